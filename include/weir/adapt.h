/* SPDX-License-Identifier: MIT */
/*
 * Limits that are found, not told: how many calls at once an upstream can take, and how many a second it lets through.
 *
 * These are two questions with two answers.  Latency tells of concurrency: it grows when calls queue up in the server.
 * A 429 says nothing about latency: it tells of a rate.  So `struct weir_adapt` watches latencies and errors and moves
 * a limit on concurrency, and `struct weir_pace` watches what is let through and turned away and moves a rate.
 *
 * Both are pure: no call suspends, the time is an argument.  Plain objects without locks: one thread at a time.
 */
#ifndef WEIR_ADAPT_H
#define WEIR_ADAPT_H

#include <weir/outcome.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One call that has ended. */
struct weir_sample {
	weir_nsec started, ended;
	size_t in_flight; /* when it started, itself included */
	uint64_t number;  /* which call to this upstream it was, from 1 */
	enum weir_outcome outcome;
};

/* ---- concurrency */

/* The published ones as their sources have them; docs/flow.md compares them. */
enum weir_adapt_kind {
	WEIR_ADAPT_AUTO,      /* weir's own: slow start, then latency against its floor, guarded by throughput */
	WEIR_ADAPT_AIMD,      /* Netflix concurrency-limits, AIMDLimit.java */
	WEIR_ADAPT_VEGAS,     /* the same, VegasLimit.java */
	WEIR_ADAPT_GRADIENT2, /* the same, Gradient2Limit.java */
	WEIR_ADAPT_ARC,       /* Vector, adaptive_concurrency/controller.rs */
};

struct weir_adapt_options {
	enum weir_adapt_kind kind;
	size_t least, most; /* of the limit; 0: as published; auto: 1 and 10,000; WEIR_ADAPT_MOST at most */
	size_t start;       /* 0: as published; auto: 20 */
	double learnt;      /* the limit that an earlier run ended with; 0: none did.  Comes before `start` */
	weir_nsec floor;    /* and its floor; 0: unknown */
	uint64_t seed;
};

#define WEIR_ADAPT_MOST ((size_t)1000000)

struct weir_adapt;

WEIR_API int weir_adapt_new(const struct weir_adapt_options *opts, struct weir_adapt **ret_adapt); /* EINVAL, ENOMEM */
WEIR_API void weir_adapt_free(struct weir_adapt *adapt);                                           /* NULL is fine */

/* A call has ended.  Those that are RELEASED are not to be told.  To `auto` a THROTTLED one says nothing, the published
 * ones take it for a failure. */
WEIR_API void weir_adapt_add(struct weir_adapt *adapt, const struct weir_sample *sample);

/* How many calls at once, from now on. */
WEIR_API size_t weir_adapt_limit(const struct weir_adapt *adapt);

/* The latency without queueing in the server, as far as it is known; 0: not yet. */
WEIR_API weir_nsec weir_adapt_floor(const struct weir_adapt *adapt);

/* ---- rate */

struct weir_pace_options {
	double per_sec;    /* to begin with, from an earlier run; 0: none is known, nothing is held back until a call is
			    * turned away */
	weir_nsec longest; /* most that a server's "come back later" counts for; 0: 5 min */
	bool unpaced;      /* no rate is searched for; "come back later" still shuts it */
	uint64_t seed;
};

struct weir_pace;

WEIR_API int weir_pace_new(const struct weir_pace_options *opts, struct weir_pace **ret_pace); /* ENOMEM */
WEIR_API void weir_pace_free(struct weir_pace *pace);                                          /* NULL is fine */

/* The earliest time at which a call may be sent: `now` or before, at once. */
WEIR_API weir_nsec weir_pace_next(const struct weir_pace *pace, weir_nsec now);

/* A call is sent now. */
WEIR_API void weir_pace_sent(struct weir_pace *pace, weir_nsec now);

/* A call has ended, RELEASED ones, too; told may be NULL.  A server that states its limit is taken at its word: then
 * nothing is searched for. */
WEIR_API void weir_pace_add(struct weir_pace *pace, const struct weir_sample *sample, const struct weir_told *told);

/* Until when it is shut, having been told to come back later; 0: it is not. */
WEIR_API weir_nsec weir_pace_shut_until(const struct weir_pace *pace, weir_nsec now);

/* The rate it holds to now; 0: none. */
WEIR_API double weir_pace_per_sec(const struct weir_pace *pace);

/* Whether that rate is what the server told. */
WEIR_API bool weir_pace_is_told(const struct weir_pace *pace);

/* Whether THROTTLED calls seem to be about how many are under way at once: then no rate helps, fewer at once do. */
WEIR_API bool weir_pace_blames_concurrency(const struct weir_pace *pace);

/* So many at once, if it does or that is tried; 0: any number. */
WEIR_API size_t weir_pace_at_once(const struct weir_pace *pace);

#ifdef __cplusplus
}
#endif
#endif
