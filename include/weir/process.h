/* SPDX-License-Identifier: MIT */
/*
 * Many jobs through a narrow gate, or one.
 *
 * A policy says how calls are made: their concurrency, their rate, how long they may take, what happens when they
 * fail.  weir_call() puts a single call through it, from anywhere; weir_process() a stream of jobs, from a producer to
 * a callback for their results.  Both share the policy's gates (gate.h), one for each upstream, by its key.
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
 * closed, is refunded: it uses up no attempt and no elapsed time.  A job that meets an open breaker waits, and does not
 * fail. (Not so with WEIR_GATE_REJECT: then it fails with WEIR_EOPEN, and an open breaker refunds nothing.)  So an
 * outage costs no job; one that has lasted for a day is none any more, and the failures count.
 *
 * Patterns are presets over four choices, each of which can be set by itself:
 *
 *                    permit         concurrency     queue               rate
 *     auto           before         found           4 x concurrency     the server's, stated or found
 *     queue          before         50              4 x concurrency     -
 *     semaphore      in the task    100             all jobs            -
 *     chunked        per batch      100             a batch             -
 *     rate           before         200             4 x concurrency     100/s
 *     naive          never          all             all jobs            -
 *
 * "In the task" and "never" start a fiber for each job as it comes: memory for all of them.
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
	WEIR_PERMIT_PER_BATCH, /* a batch of jobs; the next batch starts when the last of them has ended */
	WEIR_PERMIT_NEVER,
};

struct weir_policy_options {
	enum weir_pattern pattern;
	enum weir_permit permit;       /* 0: by the pattern */
	size_t concurrency;            /* jobs in flight; 0: by the pattern */
	size_t most;                   /* that `auto` may reach; 0: 10,000 */
	size_t capacity;               /* jobs read ahead; 0: 4 x concurrency, tuned while running from 2 x to 16 x */
	struct weir_rate_options rate; /* count 0: by the pattern */
	struct weir_retry retry;
	weir_nsec timeout;       /* of an attempt; 0: none */
	weir_nsec queue_timeout; /* longest that a job may wait for its first attempt; 0: any time */
	weir_nsec total_timeout; /* longest from taking a job to its last attempt's end; 0: any time */
	weir_nsec throttled;     /* a job that is throttled for so long while others are served fails; 0: none.  Only of
				  * jobs with a history (struct weir_attempts) */
	weir_nsec give_up;       /* jobs fail whose upstream has had no successful call for so long; 0: none */
	bool probes_count;       /* a probe of a half-open breaker that fails uses up an attempt: so an upstream that
				  * never comes back does not keep its jobs for ever */
	bool together;           /* `concurrency`, or else `most`, holds for all upstreams of a process together, too */
	struct weir_breaker_options breaker;
	unsigned gate_flags; /* enum weir_gate_flags */
	weir_nsec longest;   /* most that a server's "come back later" counts for; 0: 5 min */
	size_t memory_bytes; /* to stay under, as far as fewer jobs in flight can do it: each counts two pages
			      * of stack, and itself and 256 bytes five times, for those read ahead; 0: any */
	weir_nsec aging;     /* of priorities, 0: 5 s */
	size_t gates_most;   /* upstreams to know of; the one used longest ago is forgotten; 0: 1,000 */
	/* One's own rate that is to hold beyond this process: calls are let in only as far as it was granted
	 * (weir_policy_grant) by somebody who has written that down.  Called when a call waits for more of it, or soon
	 * will; must not suspend, nor touch the policy.  NULL: all is granted. */
	void (*rate_wanted)(void *arg);
	void *rate_arg;
	uint64_t seed;
};

struct weir_policy;

/* WEIR_EINVAL: options that contradict each other, with err->text (err may be NULL); WEIR_ENOMEM. */
WEIR_API int weir_policy_new(const struct weir_policy_options *opts, struct weir_policy **ret_policy,
			     struct weir_error *err);
/* Contract: no call and no process is under way.  NULL is fine. */
WEIR_API void weir_policy_free(struct weir_policy *policy);
WEIR_API void weir__policy_free(const char *here, struct weir_policy *policy);
#define weir_policy_free(...) weir__policy_free(WEIR_HERE, __VA_ARGS__)

/* The snapshot of an upstream from an earlier run; before its gate is first used.  WEIR_ENOMEM. */
WEIR_API int weir_policy_recall(struct weir_policy *policy, const char *key, const struct weir_snapshot *snapshot);

/* Calls fn for each gate there is, in no particular order, until it answers other than 0: that is the answer.  fn must
 * not suspend. */
WEIR_API int weir_policy_gates(const struct weir_policy *policy,
			       int (*fn)(void *arg, const char *key, const struct weir_gate_stats *stats), void *arg);

/* Changes while it is in use, for all its gates, and those to come.  None suspends. */
WEIR_API int weir_policy_set_concurrency(struct weir_policy *policy, size_t concurrency); /* 0: found */
WEIR_API int weir_policy_set_rate(struct weir_policy *policy, const struct weir_rate_options *rate);
WEIR_API void weir_policy_pause(struct weir_policy *policy, bool paused);

/* It is paused from that time on, whatever runs then, or does not: for who may call no longer than it was allowed to,
 * and may be asleep when that ends.  What is said last counts; WEIR_FOREVER, as to begin with: it is not. */
WEIR_API void weir_policy_pause_from(struct weir_policy *policy, weir_nsec at);

/* Calls to the upstream with this key may be let in as long as what has passed one's own rate is paid off by then
 * (weir_rate_paid): see rate_wanted.  It never becomes less.  Nothing if there is no such upstream. */
WEIR_API void weir_policy_grant(struct weir_policy *policy, const char *key, weir_nsec paid);

/* What others that call the same upstream have heard of it; nothing if there is no such upstream.  No call is made
 * before `until`, as if the server had asked for that.  And so many call it in all, this one among them: each holds to
 * its part of the limit that the server states; 1 to begin with. */
WEIR_API void weir_policy_shut(struct weir_policy *policy, const char *key, weir_nsec until);
WEIR_API void weir_policy_share(struct weir_policy *policy, const char *key, unsigned callers);

/* For good: no more calls.  weir_call() answers WEIR_ECLOSED, and so does a job of weir_process() that has not begun.
 */
WEIR_API void weir_policy_close(struct weir_policy *policy);

/* What `auto` has seen of the first jobs, and what it made of it. */
struct weir_profile {
	uint64_t jobs;            /* in all, as far as known; 0: unknown */
	uint64_t seen;            /* attempts it is made from */
	weir_nsec p50, p95;       /* latency of the good ones */
	double failed, throttled; /* shares */
	double hinted_per_sec;    /* the limit that the server stated; 0: none */
	double passed_per_sec;    /* the most that it let through before it turned one away; 0: none, or not known */
	size_t concurrency;       /* concurrent calls, as found so far; 0: not known */
	size_t memory_bytes;      /* to stay under; 0: any */
	size_t job_bytes;         /* what a job under way takes, about */
};

struct weir_choice {
	enum weir_pattern pattern; /* never auto */
	unsigned rule;             /* of the table in docs/flow.md, from 1 */
	size_t concurrency;        /* to continue from; 0: no limit */
	double per_sec;            /* 0: none */
	char why[160];             /* one sentence without a final stop */
};

struct weir_policy_stats {
	enum weir_permit permit;
	size_t concurrency; /* now, over all gates */
	size_t capacity;
	bool chosen; /* `auto` has made its choice */
	struct weir_choice choice;
	uint64_t attempts, retries, refunded; /* attempts that counted; of them those after the first; others */
	uint64_t budget_waits;                /* times a retry waited for the budget */
	size_t in_flight, waiting;            /* jobs in an attempt; waiting for their next one */
};
WEIR_API void weir_policy_stats(const struct weir_policy *policy, struct weir_policy_stats *ret_stats);

/* Whether the budget has room for another retry, those that stand in line for it counted.  For who produces jobs:
 * without room it is of no use to bring one back. */
WEIR_API bool weir_policy_may_retry(const struct weir_policy *policy);

/* ---- a call */

/* The account of a job's attempts, its fields the library's: all zero at first, but for two.  Who keeps jobs while they
 * wait keeps it with them (process.attempts).  Who can only keep times keeps `taken` and `first`; `excused` is
 * WEIR_FOREVER then, the rest zero. */
struct weir_attempts {
	unsigned counted;             /* attempts; to begin with those of an earlier process */
	struct weir_history *history; /* to tell a bad job from a bad upstream; NULL: less is known of that */
	weir_nsec taken;              /* when the job came first; 0: it has not */
	weir_nsec first;              /* when its first attempt began, later by what was excused; WEIR_FOREVER */
	weir_nsec excused;            /* since when nothing counts; WEIR_FOREVER: it does */
	weir_nsec began;              /* the attempt under way, or the last one */
	weir_nsec last_wait;          /* by backoff */
	uint64_t failed;              /* as in the history */
	unsigned streak;              /* attempts that did not succeed, refunded ones too: for the backoff */
	bool suspect, is_blamed;      /* its last failure says nothing about the upstream; is its own, whatever the
				       * upstream is like */
};

/* Why there is no next attempt. */
enum weir_cut {
	WEIR_CUT_NONE,      /* there may be one; or none is needed: it succeeded, was permanent, or was cancelled */
	WEIR_CUT_ATTEMPTS,  /* retry.attempts */
	WEIR_CUT_ELAPSED,   /* retry.elapsed would be over */
	WEIR_CUT_QUEUE,     /* queue_timeout */
	WEIR_CUT_TOTAL,     /* total_timeout is over, or would be */
	WEIR_CUT_THROTTLED, /* `throttled` */
	WEIR_CUT_GIVEN_UP,  /* `give_up` */
	WEIR_CUT_REJECTED,  /* WEIR_GATE_REJECT: no call could be made.  It costs an attempt and no more if the job is
			     * called back (WEIR_PROCESS_TELL) */
};

/* One attempt of a job, as the job sees it. */
struct weir_attempt {
	unsigned number;    /* from 1; those refunded do not count.  To done(): 0 of a job that was never attempted */
	bool last;          /* after a failure now it is not tried again */
	bool may_be_last;   /* nor, maybe, after this one: a limit of time is near */
	weir_nsec deadline; /* of this attempt; WEIR_FOREVER.  Calls of the job that would wait beyond it answer
			     * WEIR_ETIMEDOUT (weir_deadline_enter) */
	struct weir_gate *gate;  /* of the upstream that the job has named; NULL: none */
	const char *upstream;    /* its key */
	struct weir__call *call; /* the library's */
	enum weir_cut cut;       /* to done(), and after weir_attempt_leave() */
	/* For the job to set, when it knows better. */
	enum weir_outcome outcome; /* of a job that failed; preset to FAILED; TIMED_OUT follows from the code */
	bool permanent;            /* trying again is useless */
	bool refund;               /* this one is to use up no attempt and no time: it was not the job's fault, or, with
				    * a GOOD outcome, no failure: what the job asks for is not there yet */
	weir_nsec not_before;      /* of the next attempt; 0: as the backoff says */
	struct weir_hint hint;     /* what the server stated about its limits */
	weir_nsec took;            /* how long the call itself took, if the attempt was more than that; 0: all of it */
	const char *next; /* with WEIR_EAGAIN: the job has to call this upstream now.  It is called again when it
			   * may, and nothing is counted.  Copied.  Only of weir_process() */
};

/* Whether the attempt has a permit for the upstream with this key that it has not given back. */
WEIR_API bool weir_attempt_may_call(const struct weir_attempt *attempt, const char *key);

/* Its call has ended, with attempt->outcome and ->hint: the permit is given back now, not only when the attempt ends.
 * Then attempt->cut says if it was the last for its upstream's sake.  Does not suspend. */
WEIR_API void weir_attempt_leave(struct weir_attempt *attempt);

/* After that, of a failure: whether it was not the job's fault, so that nothing is used up and it is tried again,
 * `permanent` or not. */
WEIR_API bool weir_attempt_excused(const struct weir_attempt *attempt, bool permanent);

/* A job: 0 or more is success, negative is failure.  WEIR_ECANCELED is none, the job is not done. */
typedef int (*weir_job_fn)(void *job, struct weir_attempt *attempt, void *arg);

/* Puts one call through the policy, its retries included, and returns fn's last answer.  Suspends.  WEIR_EOPEN: the
 * breaker is open and the policy rejects; WEIR_ETIMEDOUT, WEIR_EAGAIN, WEIR_ECANCELED. */
WEIR_API int weir_call(struct weir_policy *policy, weir_job_fn fn, void *job, weir_nsec deadline);
WEIR_API int weir_call_to(struct weir_policy *policy, const char *key, weir_job_fn fn, void *job, weir_nsec deadline);

/* ---- many jobs */

enum weir_process_flags {
	WEIR_PROCESS_ORDERED = 1u << 0, /* results come in the order of the jobs; a window of 4 x concurrency is kept */
	WEIR_PROCESS_RAISE = 1u << 1,   /* the first job that fails for good ends the whole, and is what is returned */
	WEIR_PROCESS_TELL = 1u << 2,    /* a job whose upstream is given up, or that it rejects, is called all the same,
					 * with attempt->cut and without a permit, to say so */
};

struct weir_process {
	struct weir_policy *policy;
	size_t job_bytes; /* jobs are copied by value */
	void *arg;        /* of all callbacks */
	unsigned flags;
	uint64_t jobs; /* in all, if known; 0 */

	/* The next job: 0; WEIR_ECLOSED: there is none any more; another negative code ends the whole, after the jobs
	 * produced before have ended.  Suspends while there is none yet, until the deadline.  On a separate fiber. */
	int (*produce)(void *arg, void *ret_job, weir_nsec deadline);
	weir_job_fn work;
	/* The job has ended: fn's last answer, WEIR_ETIMEDOUT (queue_timeout, total_timeout), WEIR_ECANCELED.  Once for
	 * each job produced.  May suspend: then fewer are started.  After a cancel its calls with a deadline answer
	 * WEIR_ECANCELED like all others (weir_shield_enter).  A negative answer ends the whole. */
	int (*done)(void *arg, void *job, int result, const struct weir_attempt *last);

	/* All of these may be NULL. */
	const char *(*key)(void *arg, const void *job);  /* the upstream that it calls first, copied; NULL: none, or
							  * it is not known yet (attempt.next) */
	int64_t (*priority)(void *arg, const void *job); /* class, 0 is the most urgent; among those read ahead */
	uint64_t (*ordering_key)(void *arg, const void *job); /* jobs of the same ordering key go one after the other,
							       * in order, retries included; 0: no ordering key */
	/* Where a retry waits: 0, and the job is gone from here, produce() will bring it back at `due`; a negative
	 * code: it waits in memory.  Jobs whose upstream lets nobody in for a while go back, too, and so do those that
	 * would be too many before one of several.  While more than 64 x concurrency are not due yet nothing is
	 * produced; and since the jobs wait elsewhere, only a few are read ahead.  Not asked for jobs that have an
	 * order: with WEIR_PROCESS_ORDERED, or in an ordering key. */
	int (*postpone)(void *arg, void *job, weir_nsec due, const struct weir_attempt *last);
	struct weir_attempts *(*attempts)(void *arg,
					  void *job); /* where its account is kept; it stays there meanwhile */
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
