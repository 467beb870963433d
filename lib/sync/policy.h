/* SPDX-License-Identifier: MIT */
/*
 * What a policy keeps, for those who call by it.  Private to lib/sync: policy.c checks the options, gates.c keeps the
 * gates, attempts.c says what comes after an attempt, call.c and process.c make the calls.
 */
#ifndef SYNC_POLICY_H
#define SYNC_POLICY_H

#include "sync/gate.h"
#include <weir/table.h>

#include <sys/queue.h>
#include <weir/process.h>

struct weir__upstream {
	struct weir_table_node node;
	TAILQ_ENTRY(weir__upstream) idle; /* while not in use */
	struct weir_gate *gate;           /* NULL: only recalled */
	struct weir_snapshot snapshot;
	size_t users;
	char key[];
};

/* Waits for the budget to allow a retry. */
struct weir__budget_waiter {
	TAILQ_ENTRY(weir__budget_waiter) others;
	bool waits;
	void (*tell)(struct weir__budget_waiter *waiter); /* it does not wait any more, and may look again */
};

enum { WEIR__PROFILE_ATTEMPTS = 100 };

/* What `auto` looks at before it chooses. */
struct weir__profiler {
	unsigned seen, good, failed, throttled;
	double hinted_per_sec;
	double passed_per_sec; /* the most, up to a call that was turned away */
	weir_nsec since;
	weir_nsec shut, shut_until;             /* the server said "come back later": so long in all, until then */
	weir_nsec took[WEIR__PROFILE_ATTEMPTS]; /* of the good ones */
};

struct weir_policy {
	struct weir_policy_options options; /* the pattern's presets filled in */
	bool paused, closed;
	weir_nsec pause_from;
	uint64_t random;

	struct weir_table upstreams;
	TAILQ_HEAD(weir__upstreams, weir__upstream) idle; /* not in use, the one used longest ago first */

	size_t in_flight, retrying; /* attempts under way; of them those after the first */
	size_t waiting;             /* jobs for their next attempt */
	size_t due;                 /* of them those that wait for the budget, or their turn */
	TAILQ_HEAD(weir__budget_waiters, weir__budget_waiter) waiters;
	uint64_t attempts, retries, refunded, budget_waits;

	size_t users;    /* calls and processes under way */
	size_t capacity; /* of the process that looked last */
	size_t job_bytes;
	uint64_t jobs;
	struct weir__profiler *profiler; /* NULL: nothing is to be chosen, or it was */
	bool chosen;
	struct weir_choice choice;
};

/* ---- gates.c */

/* The gate of an upstream, made when first asked for; "" is the one of calls without a key.  It is the policy's, and
 * not forgotten before weir__policy_unref() was called as often.  WEIR_ENOMEM. */
int weir__policy_gate(struct weir_policy *policy, const char *key, struct weir_gate **ret_gate);
void weir__policy_unref(struct weir_policy *policy, struct weir_gate *gate);

void weir__policy_gates_fini(struct weir_policy *policy);

/* The sum of the limits of all gates. */
size_t weir__policy_sum(const struct weir_policy *policy);

/* Most jobs at once that memory_bytes leaves room for; SIZE_MAX: no limit. */
size_t weir__policy_memory_limit(const struct weir_policy *policy, size_t job_bytes);

/* What a job under way takes, about. */
size_t weir__policy_job_bytes(size_t job_bytes);

/* The rate that the server of a single gate stated; 0: none did, or there are several. */
double weir__policy_hint(const struct weir_policy *policy);

/* Where a single gate goes on from. */
void weir__policy_go_on_from(struct weir_policy *policy, const struct weir_choice *choice);

/* ---- attempts.c: the attempts of one job */

/* A call under way, or the attempt that is not one yet. */
struct weir__call {
	struct weir_policy *policy;
	struct weir_attempts *attempts;
	struct weir_gate *gate; /* NULL: no upstream was named */
	const char *key;
	struct weir__pass pass;
	bool has_pass;   /* it is inside its gate */
	weir_nsec first; /* as it was before this attempt */
};

/* The job is taken, for the first time or again. */
void weir__attempts_take(struct weir_attempts *attempts);

/* The latest time at which its next attempt may begin, WEIR_FOREVER; and what ends it then. */
weir_nsec weir__attempts_expire(const struct weir_policy *policy, const struct weir_attempts *attempts,
				enum weir_cut *ret_cut);

/* Until when the gate lets nobody in, or not this job: weir__gate_knock(). */
weir_nsec weir__attempts_knock(const struct weir_attempts *attempts, struct weir_gate *gate);

/* Whether an upstream is given up; word: until when the server said to stay away. */
bool weir__gives_up(const struct weir_policy *policy, const struct weir_gate *gate, weir_nsec word);

/* Up to a tenth longer, so that not all come back at once. */
weir_nsec weir__spread(struct weir_policy *policy, weir_nsec wait);

/* An attempt begins, of the budget; calls the job in its deadlines; it ended with this result and leaves its gate,
 * unless it has; whether there will be another, and when.  Or else it was none, and all is as before. */
void weir__attempt_begin(struct weir__call *call, struct weir_attempt *ret_attempt);
int weir__attempt_run(weir_job_fn fn, void *job, struct weir_attempt *attempt, void *arg);
void weir__attempt_leave(struct weir_attempt *attempt, int result);
bool weir__attempt_end(struct weir_attempt *attempt, int result, weir_nsec *ret_at);
void weir__attempt_undo(struct weir_attempt *attempt);

/* ---- the budget */

/* An attempt is about to begin (weir__attempt_end() gives back), or did not after all. */
void weir__budget_take(struct weir_policy *policy, const struct weir_attempts *attempts);
void weir__budget_give_back(struct weir_policy *policy, const struct weir_attempts *attempts);

/* Whether another retry may be. */
bool weir__budget_allows(const struct weir_policy *policy);
void weir__budget_wait(struct weir_policy *policy, struct weir__budget_waiter *waiter);
void weir__budget_leave(struct weir_policy *policy, struct weir__budget_waiter *waiter);

/* ---- auto.c */

/* Another attempt was seen; true: now it has chosen. */
bool weir__auto_add(struct weir_policy *policy, const struct weir_attempt *attempt, enum weir_outcome outcome,
		    weir_nsec took);

static inline weir_nsec weir__later_by(weir_nsec at, weir_nsec by)
{
	return by < INT64_MAX - at ? at + by : INT64_MAX;
}

#endif
