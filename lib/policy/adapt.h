/* SPDX-License-Identifier: MIT */
/*
 * Limits that are found, not stated: how many calls at once an upstream can take, and how many a second it lets
 * through.
 *
 * These are two questions with two answers.  Latency tells of concurrency: it grows when calls queue up in the server.
 * A 429 says nothing about latency: it tells of a rate.  So `struct weir__adapt` watches latencies and errors and moves
 * a limit on concurrency, and `struct weir__pace` watches what is let through and turned away and moves a rate.
 *
 * Both are pure: no call suspends, the time is an argument.  Plain objects without locks: one thread at a time.
 */
#ifndef POLICY_ADAPT_H
#define POLICY_ADAPT_H

#include <weir/outcome.h>

/* One call that has ended. */
struct weir__sample {
	weir_nsec started, ended;
	size_t in_flight; /* when it started, itself included */
	uint64_t number;  /* which call to this upstream it was, from 1 */
	enum weir_outcome outcome;
};

/* ---- concurrency */

/* The published ones as their sources have them; docs/flow.md compares them. */
enum weir__adapt_kind {
	WEIR__ADAPT_AUTO,  /* weir's own: slow start, then latency against its minimum latency, guarded by throughput */
	WEIR__ADAPT_AIMD,  /* Netflix concurrency-limits, AIMDLimit.java */
	WEIR__ADAPT_VEGAS, /* the same, VegasLimit.java */
	WEIR__ADAPT_GRADIENT2, /* the same, Gradient2Limit.java */
	WEIR__ADAPT_ARC,       /* Vector, adaptive_concurrency/controller.rs */
};

struct weir__adapt_options {
	enum weir__adapt_kind kind;
	size_t least, most;    /* of the limit; 0: as published; auto: 1 and 10,000; WEIR__ADAPT_MOST at most */
	size_t start;          /* 0: as published; auto: 20 */
	double snapshot;       /* the limit that an earlier run ended with; 0: none did.  Comes before `start` */
	weir_nsec min_latency; /* and its minimum latency; 0: unknown */
	uint64_t seed;
};

#define WEIR__ADAPT_MOST ((size_t)1000000)

struct weir__adapt;

int weir__adapt_new(const struct weir__adapt_options *opts, struct weir__adapt **ret_adapt); /* EINVAL, ENOMEM */
void weir__adapt_free(struct weir__adapt *adapt);                                            /* NULL is fine */

/* A call has ended.  Those that are RELEASED are not to be told.  To `auto` a THROTTLED one says nothing, the published
 * ones take it for a failure. */
void weir__adapt_add(struct weir__adapt *adapt, const struct weir__sample *sample);

/* How many calls at once, from now on. */
size_t weir__adapt_limit(const struct weir__adapt *adapt);

/* The latency without queueing in the server, as far as it is known; 0: not yet. */
weir_nsec weir__adapt_min_latency(const struct weir__adapt *adapt);

/* ---- rate */

struct weir__pace_options {
	double per_sec;    /* to begin with, from an earlier run; 0: none is known, nothing is held back until a call is
			    * turned away */
	weir_nsec longest; /* most that a server's "come back later" counts for; 0: 5 min */
	bool unpaced;      /* no rate is searched for; "come back later" still shuts it */
	uint64_t seed;
};

struct weir__pace;

int weir__pace_new(const struct weir__pace_options *opts, struct weir__pace **ret_pace); /* ENOMEM */
void weir__pace_free(struct weir__pace *pace);                                           /* NULL is fine */

/* The earliest time at which a call may be sent: `now` or before, at once. */
weir_nsec weir__pace_next(const struct weir__pace *pace, weir_nsec now);

/* A call is sent now. */
void weir__pace_sent(struct weir__pace *pace, weir_nsec now);

/* A call has ended, RELEASED ones, too; hint may be NULL.  A server that states its limit is taken at its word: then
 * nothing is searched for. */
void weir__pace_add(struct weir__pace *pace, const struct weir__sample *sample, const struct weir_hint *hint);

/* Until when it is shut, having been asked to come back later; 0: it is not. */
weir_nsec weir__pace_shut_until(const struct weir__pace *pace, weir_nsec now);

/* The rate it holds to now; 0: none. */
double weir__pace_per_sec(const struct weir__pace *pace);

/* Whether that rate is what the server stated. */
bool weir__pace_is_hinted(const struct weir__pace *pace);

/* Whether THROTTLED calls seem to be about how many are under way at once: then no rate helps, fewer at once do. */
bool weir__pace_blames_concurrency(const struct weir__pace *pace);

/* So many at once, if it does or that is tried; 0: any number. */
size_t weir__pace_concurrency(const struct weir__pace *pace);

#endif
