/* SPDX-License-Identifier: MIT */
/*
 * A circuit breaker: when too many calls fail or are slow, none is made for a while; then a few probes decide.
 *
 *     CLOSED --- rate of failures or of slow calls too high ---> OPEN
 *        ^                                                     |    ^
 *        |                                            open time|    | a probe failed, or they took too long:
 *        |                                                     v    | the open time doubles
 *        '------------- all probes ended well ------------- HALF_OPEN
 *
 * Every permit ends, as an outcome or released, exactly once; one that is released leaves its probe to another call.
 * Results of calls that were let through before the state changed are counted as stale and change nothing.  Throttled
 * calls (429) are neither good nor bad: they are released.  One probe that fails opens it again; slow probes do when
 * all have ended and their share is the slow rate.  The state machine is that of resilience4j, with a limit on
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
	uint64_t seed;         /* of the jitter */
};

struct weir_breaker;

struct weir_breaker_permit {
	uint32_t epoch; /* the library's */
	bool probe;     /* with this call the breaker finds out whether it can close */
};

WEIR_API int weir_breaker_new(const struct weir_breaker_options *opts, struct weir_breaker **ret_breaker); /* EINVAL,
													    ENOMEM */
WEIR_API void weir_breaker_free(struct weir_breaker *breaker); /* NULL is fine */

/* 0 with a permit, or WEIR_EOPEN. */
WEIR_API int weir_breaker_allow(struct weir_breaker *breaker, weir_nsec now, struct weir_breaker_permit *ret_permit);

/* Ends a permit.  took: how long the call lasted. */
WEIR_API void weir_breaker_end(struct weir_breaker *breaker, struct weir_breaker_permit permit,
			       enum weir_outcome outcome, weir_nsec took, weir_nsec now);

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
};
WEIR_API void weir_breaker_stats(const struct weir_breaker *breaker, weir_nsec now,
				 struct weir_breaker_stats *ret_stats);

WEIR_API const char *weir_breaker_state_name(enum weir_breaker_state state); /* "closed", "open", "half-open" */

#ifdef __cplusplus
}
#endif
#endif
