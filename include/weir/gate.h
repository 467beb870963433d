/* SPDX-License-Identifier: MIT */
/*
 * The gate before one upstream: everything that says whether another call may be made to it now.
 *
 *     how many at once     a number, or found (adapt.h)
 *     how many a second    a rate of one's own (rate.h), and the server's, told or found (adapt.h)
 *     shut until           the server said "come back later": nobody goes, not only the one who was told
 *     circuit breaker      breaker.h
 *
 *     struct weir_pass pass;
 *     int code = weir_gate_enter(gate, &pass, deadline);
 *     if (code == 0) {
 *             ... the call ...
 *             weir_gate_leave(gate, &pass, WEIR_OUTCOME_GOOD, NULL);
 *     }
 *
 * Fair: first come, first served.  Who waits is charged when it is let in, so giving up costs nothing.  Calls belong on
 * fibers of the loop that made it.
 *
 * One with a name reports itself (metrics.h): weir_gate_limit, _in_flight, _waiting, _rate_per_second, _shut,
 * _breaker_state, _calls_total, _throttled_total, _failed_total, _wait_seconds.
 */
#ifndef WEIR_GATE_H
#define WEIR_GATE_H

#include <weir/adapt.h>
#include <weir/breaker.h>
#include <weir/metrics.h>
#include <weir/rate.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_gate;

/* What is worth keeping of a gate for the next run.  All zero: nothing is known. */
struct weir_learnt {
	double limit;    /* calls at once */
	double per_sec;  /* 0: no rate limit was met */
	weir_nsec floor; /* latency without queueing */
};

enum weir_gate_flags {
	WEIR_GATE_NO_BREAKER = 1u << 0,
	WEIR_GATE_REJECT = 1u << 1,  /* with the breaker open enter answers WEIR_EOPEN at once, else it waits */
	WEIR_GATE_UNPACED = 1u << 2, /* no rate is searched for; "come back later" still shuts it */
};

struct weir_gate_options {
	const char *name;                /* copied; NULL: none, nothing is reported */
	size_t concurrency;              /* calls at once; 0: found */
	struct weir_adapt_options adapt; /* how it is found */
	struct weir_rate_options rate;   /* one's own; count 0: none */
	struct weir_breaker_options breaker;
	unsigned flags;
	weir_nsec longest;         /* most that a server's "come back later" counts for; 0: 5 min */
	struct weir_learnt learnt; /* from an earlier run */
	uint64_t seed;
	struct weir_metrics *metrics; /* where one with a name reports itself; NULL: the registry of the thread */
};

/* From enter to leave. */
struct weir_pass {
	weir_nsec entered;                 /* when it was let in */
	size_t in_flight;                  /* calls under way then, it among them */
	uint64_t number;                   /* of the call, from 1 */
	struct weir_breaker_permit permit; /* without a breaker all zero */
};

WEIR_API int weir_gate_new(const struct weir_gate_options *opts, struct weir_gate **ret_gate); /* EINVAL, ENOMEM, EBUSY
												*/

/* Contract: nobody is inside; no fiber waits on it, or was woken or cancelled there and has not run since.  NULL is
 * fine. */
WEIR_API void weir_gate_free(struct weir_gate *gate);

/* Suspends until a call may be made.  WEIR_EOPEN (see WEIR_GATE_REJECT), WEIR_ECLOSED, WEIR_EAGAIN, WEIR_ETIMEDOUT,
 * WEIR_ECANCELED: then it is not entered. */
WEIR_API int weir_gate_enter(struct weir_gate *gate, struct weir_pass *ret_pass, weir_nsec deadline);

/* The call has ended; told may be NULL.  Once for each enter.  Does not suspend. */
WEIR_API void weir_gate_leave(struct weir_gate *gate, const struct weir_pass *pass, enum weir_outcome outcome,
			      const struct weir_told *told);

/* Until when nobody is let in, whoever leaves: shut, breaker open, or paused (WEIR_FOREVER).  0: it is open, if not for
 * everybody at once.  For those who would rather do something else than wait. */
WEIR_API weir_nsec weir_gate_shut_until(const struct weir_gate *gate);

/* ---- changes while it is in use; for those who wait, too.  None suspends. */

WEIR_API int weir_gate_set_concurrency(struct weir_gate *gate, size_t concurrency); /* 0: found.  ENOMEM */
WEIR_API int weir_gate_set_rate(struct weir_gate *gate,
				const struct weir_rate_options *rate); /* count 0: none.  EINVAL */
WEIR_API void weir_gate_pause(struct weir_gate *gate, bool paused);    /* nobody is let in while it is */

/* For good: who waits, and who comes, is answered WEIR_ECLOSED.  Calls inside go on to their end. */
WEIR_API void weir_gate_close(struct weir_gate *gate);

/* ---- looking at it */

/* What holds back the call that would be next. */
enum weir_held_by {
	WEIR_HELD_BY_NOTHING,
	WEIR_HELD_BY_CONCURRENCY, /* as many as may be are under way */
	WEIR_HELD_BY_RATE,        /* one's own rate */
	WEIR_HELD_BY_SERVER_RATE, /* the server's, told or found */
	WEIR_HELD_BY_SHUT,        /* the server said "come back later" */
	WEIR_HELD_BY_BREAKER,
	WEIR_HELD_BY_PAUSE,
};

struct weir_gate_stats {
	size_t limit, in_flight, waiting;
	bool adaptive;        /* the limit is found */
	double per_sec;       /* the rate it holds to: the lower of one's own and the server's; 0: none */
	bool told;            /* the server's, and it was told */
	weir_nsec shut_until; /* 0: not shut */
	enum weir_breaker_state breaker;
	uint64_t breaker_opened;
	weir_nsec floor;                                              /* latency without queueing; 0: unknown */
	uint64_t calls, good, failed, timed_out, throttled, released; /* calls = entered; the others have left */
	enum weir_held_by held_by;
	struct weir_learnt learnt;
};
WEIR_API void weir_gate_stats(const struct weir_gate *gate, struct weir_gate_stats *ret_stats);

WEIR_API const char *weir_held_by_name(enum weir_held_by held_by); /* "nothing", "concurrency limit", "rate limit", … */

#ifdef __cplusplus
}
#endif
#endif
