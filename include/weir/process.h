/* SPDX-License-Identifier: MIT */
/*
 * Many jobs through a narrow gate, or one.
 *
 * A policy says how calls are made: how many at once, how many a second, how long they may take, what happens when they
 * fail.  weir_call() puts a single call through it, from anywhere; weir_process() a stream of jobs, from a producer to
 * a callback for their results.  Both share the policy's gates (gate.h), one for each upstream, told apart by a key.
 *
 *     static int fetch(void *job, struct weir_attempt *attempt, void *arg) { ... }
 *
 *     struct weir_policy *policy;
 *     weir_policy_new(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE}, &policy);
 *     int code = weir_process(&(struct weir_process){.policy = policy, .job_bytes = sizeof(struct job),
 *                             .produce = next_job, .work = fetch, .done = keep_result}, NULL, WEIR_FOREVER);
 *     weir_policy_free(policy);
 *
 * A job that fails is tried again as policy.retry says.  A retry that waits holds no permit and no fiber; when too many
 * wait, no new job is taken.  An attempt that was throttled, or that ended while its gate was shut or its breaker not
 * closed, is refunded: it uses up no attempt and no elapsed time.  A job that meets an open breaker is parked, not
 * failed. (Not so with WEIR_GATE_REJECT: then it fails with WEIR_EOPEN, and an open breaker refunds nothing.)  So an
 * outage costs no job; one that has lasted for a day is none any more, and the failures count.
 *
 * Patterns are presets over four choices, each of which can be set by itself:
 *
 *                    permit         at once     queue           rate
 *     auto           before         found       4 x at once     the server's, told or found
 *     queue          before         50          4 x at once     -
 *     semaphore      in the task    100         all of them     -
 *     chunked        per batch      100         a batch         -
 *     rate           before         200         4 x at once     100/s
 *     naive          never          all         all of them     -
 *
 * "In the task" and "never" start a fiber for each job at once: memory for all of them.
 */
#ifndef WEIR_PROCESS_H
#define WEIR_PROCESS_H

#include <weir/backoff.h>
#include <weir/gate.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- policies */

enum weir_pattern {
	WEIR_PATTERN_AUTO,
	WEIR_PATTERN_QUEUE,
	WEIR_PATTERN_SEMAPHORE,
	WEIR_PATTERN_CHUNKED,
	WEIR_PATTERN_RATE,
	WEIR_PATTERN_NAIVE,
};

WEIR_API const char *weir_pattern_name(enum weir_pattern pattern); /* "auto", "queue", … */

enum weir_permit {
	WEIR_PERMIT_BY_PATTERN,
	WEIR_PERMIT_BEFORE,    /* taken before the job is, given back when its attempt ends */
	WEIR_PERMIT_IN_TASK,   /* each job is a fiber from the start and takes its permit there */
	WEIR_PERMIT_PER_BATCH, /* so many jobs at once, the next when the last of them has ended */
	WEIR_PERMIT_NEVER,
};

struct weir_policy_options {
	enum weir_pattern pattern;
	enum weir_permit permit;       /* 0: by the pattern */
	size_t concurrency;            /* at once; 0: by the pattern */
	size_t most;                   /* that `auto` may reach; 0: 10,000 */
	size_t capacity;               /* jobs read ahead; 0: 4 x at once, tuned while running from 2 x to 16 x */
	struct weir_rate_options rate; /* count 0: by the pattern */
	struct weir_retry retry;
	weir_nsec timeout;       /* of an attempt; 0: none */
	weir_nsec queue_timeout; /* longest that a job may wait for its first attempt; 0: any time */
	weir_nsec total_timeout; /* longest from taking a job to its last attempt's end; 0: any time */
	struct weir_breaker_options breaker;
	unsigned gate_flags; /* enum weir_gate_flags */
	weir_nsec longest;   /* most that a server's "come back later" counts for; 0: 5 min */
	size_t memory_bytes; /* to stay under, as far as the number of jobs at once can do it: each counts two pages
			      * of stack, and itself and 256 bytes five times, for those read ahead; 0: any */
	weir_nsec aging;     /* of priorities, 0: 5 s */
	size_t gates_most;   /* upstreams to know of; the one used longest ago is forgotten; 0: 1,000 */
	const char *name;    /* of its gates in the metrics; NULL: they report nothing */
	struct weir_metrics *metrics;
	uint64_t seed;
};

struct weir_policy;

/* WEIR_EINVAL: options that contradict each other, with err->text (err may be NULL); WEIR_ENOMEM. */
WEIR_API int weir_policy_new(const struct weir_policy_options *opts, struct weir_policy **ret_policy,
			     struct weir_error *err);
/* Contract: no call and no process is under way.  NULL is fine. */
WEIR_API void weir_policy_free(struct weir_policy *policy);

/* The gate of an upstream, made when first asked for; "" is the one of calls without a key.  It is the policy's, and
 * not forgotten before weir_policy_put() was called as often.  WEIR_ENOMEM. */
WEIR_API int weir_policy_gate(struct weir_policy *policy, const char *key, struct weir_gate **ret_gate);
WEIR_API void weir_policy_put(struct weir_policy *policy, struct weir_gate *gate);

/* What an earlier run learnt of an upstream; before its gate is first used.  WEIR_ENOMEM. */
WEIR_API int weir_policy_recall(struct weir_policy *policy, const char *key, const struct weir_learnt *learnt);

/* Calls fn for each gate there is, in no particular order, until it answers other than 0: that is the answer.  fn must
 * not suspend. */
WEIR_API int weir_policy_gates(const struct weir_policy *policy,
			       int (*fn)(void *arg, const char *key, const struct weir_gate_stats *stats), void *arg);

/* Changes while it is in use, for all its gates, and those to come.  None suspends. */
WEIR_API int weir_policy_set_concurrency(struct weir_policy *policy, size_t concurrency); /* 0: found */
WEIR_API int weir_policy_set_rate(struct weir_policy *policy, const struct weir_rate_options *rate);
WEIR_API void weir_policy_pause(struct weir_policy *policy, bool paused);

/* For good: no more calls.  weir_call() answers WEIR_ECLOSED, and so does a job of weir_process() that has not begun.
 */
WEIR_API void weir_policy_close(struct weir_policy *policy);

/* What `auto` has seen of the first jobs, and what it made of it. */
struct weir_profile {
	uint64_t jobs;            /* in all, as far as known; 0: unknown */
	uint64_t seen;            /* attempts it is made from */
	weir_nsec p50, p95;       /* latency of the good ones */
	double failed, throttled; /* shares */
	double told_per_sec;      /* the server told its limit; 0: it did not */
	double passed_per_sec;    /* the most that it let through before it turned one away; 0: none, or not known */
	size_t concurrency;       /* calls at once, as found so far; 0: not known */
	size_t memory_bytes;      /* to stay under; 0: any */
	size_t job_bytes;         /* what a job under way takes, about */
};

struct weir_choice {
	enum weir_pattern pattern; /* never auto */
	unsigned rule;             /* of the table in docs/flow.md, from 1 */
	size_t concurrency;        /* to go on from; 0: all at once */
	double per_sec;            /* 0: none */
	char why[160];             /* one sentence without a final stop */
};

/* The rules of `auto`, pure: the first of the table that applies.  Whatever the profile holds, the choice is one that
 * can be acted on. */
WEIR_API void weir_choose(const struct weir_profile *profile, struct weir_choice *ret_choice);

struct weir_policy_stats {
	enum weir_permit permit;
	size_t concurrency; /* at once, now, over all gates */
	size_t capacity;
	bool chosen; /* `auto` has made its choice */
	struct weir_choice choice;
	uint64_t attempts, retries, refunded; /* attempts that counted; of them those after the first; others */
	uint64_t budget_waits;                /* times a retry waited for the budget */
	size_t in_flight, waiting;            /* jobs in an attempt; waiting for their next one */
};
WEIR_API void weir_policy_stats(const struct weir_policy *policy, struct weir_policy_stats *ret_stats);

/* ---- a call */

/* One try of a job, as the job sees it. */
struct weir_attempt {
	unsigned number;    /* from 1; those refunded do not count.  To done(): 0 of a job that was never tried */
	bool last;          /* after a failure now it is not tried again */
	weir_nsec deadline; /* of this attempt; WEIR_FOREVER.  Calls of the job that would wait beyond it answer
			     * WEIR_ETIMEDOUT (weir_deadline_enter) */
	/* For the job to set, when it knows better. */
	enum weir_outcome
		outcome;       /* of a job that failed; preset to FAILED, and TIMED_OUT counts as told by its code */
	bool permanent;        /* trying again is useless */
	bool refund;           /* this one is to use up no attempt and no time: it was not the job's fault */
	weir_nsec not_before;  /* of the next try; 0: as the backoff says */
	struct weir_told told; /* what the server told of its limits */
	weir_nsec took;        /* how long the call itself took, if the attempt was more than that; 0: all of it */
};

/* For jobs that enter gates themselves (WEIR_PROCESS_OWN_GATES), after weir_gate_leave() or instead of entering: if the
 * gate lets nobody in, or its breaker is not closed (and it had a good call in the last 24 hours), the attempt is
 * refunded and the next one comes when the gate opens.  Whether it is so. */
WEIR_API bool weir_attempt_excuse(struct weir_attempt *attempt, const struct weir_gate *gate);

/* A job: 0 or more is success, negative is failure.  WEIR_ECANCELED is none, the job is not done. */
typedef int (*weir_job_fn)(void *job, struct weir_attempt *attempt, void *arg);

/* Puts one call through the policy, its retries included, and returns fn's last answer.  Suspends.  WEIR_EOPEN: the
 * breaker is open and the policy rejects; WEIR_ETIMEDOUT, WEIR_EAGAIN, WEIR_ECANCELED. */
WEIR_API int weir_call(struct weir_policy *policy, weir_job_fn fn, void *job, weir_nsec deadline);
WEIR_API int weir_call_to(struct weir_policy *policy, const char *key, weir_job_fn fn, void *job, weir_nsec deadline);

/* ---- many jobs */

enum weir_process_flags {
	WEIR_PROCESS_ORDERED = 1u << 0, /* results come in the order of the jobs; a window of 4 x at once is kept */
	WEIR_PROCESS_RAISE = 1u << 1,   /* the first job that fails for good ends the whole, and is what is returned */
	WEIR_PROCESS_OWN_GATES = 1u << 2, /* jobs enter the policy's gates themselves (weir_policy_gate); what is
					   * limited here is only how many are under way: enough for all gates */
};

struct weir_process {
	struct weir_policy *policy;
	size_t job_bytes; /* jobs are copied by value */
	void *arg;        /* of all callbacks */
	unsigned flags;
	uint64_t jobs; /* in all, if known; 0 */

	/* The next job: 0; WEIR_ECLOSED: there is none any more; another negative code ends the whole, after the jobs
	 * produced before have ended.  Suspends while there is none yet, until the deadline.  On a fiber of its own. */
	int (*produce)(void *arg, void *ret_job, weir_nsec deadline);
	weir_job_fn work;
	/* The job has ended: fn's last answer, WEIR_ETIMEDOUT (queue_timeout, total_timeout), WEIR_ECANCELED.  Once for
	 * each job produced.  May suspend: then fewer are started.  After a cancel its calls with a deadline answer
	 * WEIR_ECANCELED like all others (weir_shield_enter).  A negative answer ends the whole. */
	int (*done)(void *arg, void *job, int result, const struct weir_attempt *last);

	/* All of these may be NULL. */
	const char *(*key)(void *arg, const void *job);  /* which upstream: of its gate */
	int64_t (*priority)(void *arg, const void *job); /* class, 0 is the most urgent; among those read ahead */
	uint64_t (*lane)(void *arg, const void *job);    /* jobs of the same lane go one after the other, in order,
							  * retries included; 0: no lane */
	/* Where a retry waits: 0, and the job is gone from here, produce() will bring it back at `due`; a negative
	 * code: it waits in memory.  While more than 64 x at once are not due yet nothing is produced.  attempt.number
	 * goes with the job, by attempts() below.  Not asked for jobs that have an order: with WEIR_PROCESS_ORDERED, or
	 * in a lane. */
	int (*postpone)(void *arg, void *job, weir_nsec due, const struct weir_attempt *last);
	unsigned (*attempts)(void *arg, const void *job); /* that counted before, of a job that was brought back */
	void (*chosen)(void *arg, const struct weir_choice *choice); /* `auto` has decided */
};

struct weir_process_stats {
	uint64_t jobs, succeeded, failed, canceled;
	weir_nsec took;
};

/* Puts all jobs of the producer through.  When it ends early, jobs under way are cancelled, and the others end with
 * WEIR_ECANCELED without having been tried.  Returns when all have ended and their done() returned: 0, or what ended
 * it: a negative code of produce() or done(), WEIR_PROCESS_RAISE's, WEIR_ECANCELED, WEIR_ETIMEDOUT, WEIR_ENOMEM.
 * Failures of jobs are no failure of the whole.  ret_stats may be NULL, and is filled in any case. */
WEIR_API int weir_process(const struct weir_process *process, struct weir_process_stats *ret_stats, weir_nsec deadline);

#ifdef __cplusplus
}
#endif
#endif
