/* SPDX-License-Identifier: MIT */
/*
 * A circuit breaker: when too many calls fail or are slow, none is made for a while; then a few probes decide.
 *
 *     CLOSED --- rate of failures or of slow calls too high ---> OPEN
 *        ^                                                     |    ^
 *        |                                            open time|    | too many probes failed, or they took too long:
 *        |                                                     v    | the open time doubles
 *        '----------- enough probes ended well ----------- HALF_OPEN
 *
 * It learns only what a call says about the upstream.  A job that always fails says nothing about it: the owner of the
 * breaker marks its permits (`again`, `suspect`), and a failure of a suspect does not count.
 *
 * Closed, it opens at the failure rate, or at so many failures in a row.  Calls of suspects are not in the window; a
 * good one ends the row.  Where most of what failed was answered (WEIR_OUTCOME_ERROR), the rate needs twice as many
 * calls after each false alarm, 16 times at most, for a window's length.
 *
 * Half-open, it closes or opens as soon as the share of failed probes is certain, whatever the others will be.  A
 * suspect that fails uses up a probe and is not in the share; if all of them were suspects it opens for the same time
 * again.  An ERROR is an answer: its probe goes to another call, `calls_least` times in all for jobs that had not
 * failed before, then it opens; for those that had, each time.
 *
 * Denied calls (WEIR_OUTCOME_DENIED) open it by a rule of their own, `denied_rate`: then one good probe closes it, and
 * it opens again when none was.  Of suspects they do not count.
 *
 * Every permit ends, as an outcome or released, exactly once; one that is released leaves its probe to another call.
 * Results of calls that were let through before the state changed are counted as stale and change nothing.  Throttled
 * calls (429) are neither good nor bad: they are released.  The state machine is that of resilience4j, with a limit on
 * half-open and a growing, jittered open time.  Half-open lasts as long as nobody asks: its limit runs from the first
 * of the probes that are under way.
 *
 * Pure: no call suspends, the time is an argument.  A plain object without locks: one thread at a time.
 */
#ifndef WEIR_BREAKER_H
#define WEIR_BREAKER_H

#include <weir/outcome.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_breaker_state { WEIR_BREAKER_CLOSED, WEIR_BREAKER_OPEN, WEIR_BREAKER_HALF_OPEN };

struct weir_breaker_options {
	double failure_rate;  /* opens at this share of failures (time-outs are some); 0: 0.5; over 1: never */
	double slow_rate;     /* opens at this share of slow calls; 0: 1; over 1: never */
	weir_nsec slow;       /* a call that takes longer is slow; 0: none is */
	unsigned calls_least; /* with fewer calls in the window it does not open; 0: 20; of a window of calls its size
			       * at  most */
	unsigned in_row; /* opens at so many failures with no good call between them, however many were good before;
			  * 0: calls_least; with a failure_rate over 1 never */
	unsigned window_calls; /* the window holds the last so many calls (10,000 at most); 0: it is one of time */
	weir_nsec window;      /* of time, in 10 buckets; 0: 30 s */
	weir_nsec open;        /* first open time; 0: 5 s */
	weir_nsec open_most;   /* largest, before jitter; 0: 30 s; below `open` it counts as that */
	double jitter;         /* of the open time, both ways; 0: 0.2; 1 at most; negative: none */
	unsigned probes;       /* calls let through in half-open; 0: 3; 1,000 at most */
	weir_nsec half_open;   /* longest stay there with probes under way; 0: 30 s */
	double denied_rate;    /* opens at this share of denied calls in the last 20, and at 20 in a row; 0: never, they
				* count as good.  After a false alarm, when a probe was good within 2 * open_most, the
				* share is that of twice as many calls, up to 1,280 */
	uint64_t seed;         /* of the jitter */
};

struct weir_breaker;

struct weir_breaker_permit {
	uint32_t epoch; /* the library's */
	bool probe;     /* with this call the breaker finds out whether it can close */
	/* For the owner to set before the permit ends: */
	bool again;   /* the job has failed here before */
	bool suspect; /* and a call that began after that was good: it is the job, not the upstream */
};

WEIR_API int weir_breaker_new(const struct weir_breaker_options *opts, struct weir_breaker **ret_breaker); /* EINVAL,
													    ENOMEM */
WEIR_API void weir_breaker_free(struct weir_breaker *breaker); /* NULL is fine */

/* 0 with a permit, or WEIR_EOPEN. */
WEIR_API int weir_breaker_allow(struct weir_breaker *breaker, weir_nsec now, struct weir_breaker_permit *ret_permit);

/* Ends a permit.  took: how long the call lasted. */
WEIR_API void weir_breaker_end(struct weir_breaker *breaker, struct weir_breaker_permit permit,
			       enum weir_outcome outcome, weir_nsec took, weir_nsec now);
WEIR_API void weir__breaker_end(const char *here, struct weir_breaker *breaker, struct weir_breaker_permit permit,
				enum weir_outcome outcome, weir_nsec took, weir_nsec now);
#define weir_breaker_end(...) weir__breaker_end(WEIR_HERE, __VA_ARGS__)

/* When the next call may be let through: `now`; the end of the open time; in half-open with all probes under way its
 * end. */
WEIR_API weir_nsec weir_breaker_next(const struct weir_breaker *breaker, weir_nsec now);

/* Time alone opens (half-open is over) and half-opens it: as it stands at `now`. */
WEIR_API enum weir_breaker_state weir_breaker_state(const struct weir_breaker *breaker, weir_nsec now);

struct weir_breaker_stats {
	enum weir_breaker_state state;
	unsigned calls, failed, slow; /* in the window */
	uint64_t opened;              /* times it opened */
	uint64_t refused;             /* calls */
	uint64_t stale;               /* results that came after the state had changed */
	weir_nsec until;              /* of open and half-open: their end; 0: none */
	unsigned denied, denied_of;   /* of open and half-open: opened for so many denied calls of the last so many;
				       * 0: not for denied calls */
	weir_nsec denied_since;       /* … then */
};
WEIR_API void weir_breaker_stats(const struct weir_breaker *breaker, weir_nsec now,
				 struct weir_breaker_stats *ret_stats);

WEIR_API const char *weir_breaker_state_name(enum weir_breaker_state state); /* "closed", "open", "half-open" */

#ifdef __cplusplus
}
#endif
#endif
