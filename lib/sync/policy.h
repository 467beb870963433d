/* SPDX-License-Identifier: MIT */
/*
 * What a policy keeps, for those who call by it.  Private to lib/sync: policy.c checks the options, gates.c keeps the
 * gates, tries.c says what comes after an attempt, call.c and process.c make the calls.
 */
#ifndef SYNC_POLICY_H
#define SYNC_POLICY_H

#include "base/table.h"
#include "sync/gate.h"

#include <weir/process.h>

struct weir__upstream {
	struct weir__table_node node;
	struct weir__upstream *older, *newer; /* of those not in use */
	struct weir_gate *gate;               /* NULL: only recalled */
	struct weir_learnt learnt;
	size_t users;
	char key[];
};

/* Waits for the budget to allow a retry. */
struct weir__budget_waiter {
	struct weir__budget_waiter *next, *prev;
	bool waits;
	void (*tell)(struct weir__budget_waiter *waiter); /* it does not wait any more, and may look again */
};

enum { WEIR__PROFILE_ATTEMPTS = 100 };

/* What `auto` looks at before it chooses. */
struct weir__profiler {
	unsigned seen, good, failed, throttled;
	double told_per_sec;
	double passed_per_sec; /* the most, up to a call that was turned away */
	weir_nsec since;
	weir_nsec shut, shut_until;             /* the server said "come back later": so long in all, until then */
	weir_nsec took[WEIR__PROFILE_ATTEMPTS]; /* of the good ones */
};

struct weir_policy {
	struct weir_policy_options options; /* the pattern's presets filled in */
	char *name;
	bool paused, closed;
	uint64_t random;

	struct weir__table upstreams;
	struct weir__upstream *oldest, *newest; /* not in use, by when they were last */

	size_t in_flight, retrying; /* attempts under way; of them those after the first */
	size_t waiting;             /* jobs for their next attempt */
	struct weir__budget_waiter *first_waiter;
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

void weir__policy_gates_fini(struct weir_policy *policy);

/* The sum of the limits of all gates, each made larger by a quarter and `extra`. */
size_t weir__policy_sum(const struct weir_policy *policy, bool with_headroom);

/* Most jobs at once that memory_bytes leaves room for; SIZE_MAX: no limit. */
size_t weir__policy_memory_limit(const struct weir_policy *policy, size_t job_bytes);

/* What a job under way takes, about. */
size_t weir__policy_job_bytes(size_t job_bytes);

/* The rate that the server of a single gate told; 0: none did, or there are several. */
double weir__policy_told(const struct weir_policy *policy);

/* Where a single gate goes on from. */
void weir__policy_go_on_from(struct weir_policy *policy, const struct weir_choice *choice);

/* ---- tries.c: the attempts of one job */

struct weir__tries {
	weir_nsec taken;     /* when the job came */
	weir_nsec first;     /* when its first attempt that counts began, later by what was excused; WEIR_FOREVER */
	weir_nsec excused;   /* since when nothing counts; WEIR_FOREVER: it does */
	weir_nsec began;     /* the attempt under way, or the last one */
	weir_nsec last_wait; /* by backoff */
	unsigned counted;    /* attempts */
	unsigned streak;     /* attempts that did not succeed, refunded ones too: for the backoff */
};

void weir__tries_init(struct weir__tries *tries, unsigned counted);

/* An attempt begins, of the budget. */
void weir__tries_begin(struct weir_policy *policy, struct weir__tries *tries, struct weir_attempt *ret_attempt);

/* What an attempt with this result means for its gate. */
enum weir_outcome weir__outcome_of(const struct weir_attempt *attempt, int result);

/* It has ended, and has left its gate (NULL: of its own).  Whether there will be another, and when. */
bool weir__tries_end(struct weir_policy *policy, struct weir__tries *tries, struct weir_attempt *attempt,
		     const struct weir_gate *gate, int result, weir_nsec *ret_at);

/* The latest time at which its next attempt may begin; WEIR_FOREVER. */
weir_nsec weir__tries_expire(const struct weir_policy *policy, const struct weir__tries *tries);

/* Calls the job in the deadlines of its attempt. */
int weir__attempt_run(weir_job_fn fn, void *job, struct weir_attempt *attempt, void *arg);

/* ---- the budget */

/* An attempt is about to begin (weir__tries_end() gives back), or did not after all. */
void weir__budget_take(struct weir_policy *policy, const struct weir__tries *tries);
void weir__budget_give_back(struct weir_policy *policy, const struct weir__tries *tries);

/* Whether another retry may be. */
bool weir__budget_allows(const struct weir_policy *policy);
void weir__budget_wait(struct weir_policy *policy, struct weir__budget_waiter *waiter);
void weir__budget_leave(struct weir_policy *policy, struct weir__budget_waiter *waiter);

/* ---- auto.c */

/* Another attempt was seen; true: now it has chosen. */
bool weir__auto_add(struct weir_policy *policy, const struct weir_attempt *attempt, enum weir_outcome outcome,
		    weir_nsec took);

static inline bool weir__earlier(weir_nsec a, weir_nsec b)
{
	return a != WEIR_FOREVER && (b == WEIR_FOREVER || a < b);
}

static inline weir_nsec weir__later_by(weir_nsec at, weir_nsec by)
{
	return by < INT64_MAX - at ? at + by : INT64_MAX;
}

#endif
