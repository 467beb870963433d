/* SPDX-License-Identifier: MIT */
/*
 * What holds a run back, how sure that is, and what would make a difference: decided from what was measured.  Pure.
 *
 * Each resource that a run needs is in use for a share u of the time.  With x items a second it could do x / u.  What
 * holds the run back has u = 1.  With twice of it, its share is half, and the run gets faster until the next resource
 * is in use all the time:
 *
 *     how many times as fast = 1 / the largest u
 *
 * Shares are those that a look measures: calls in flight of those that may be, calls of those that a rate lets through,
 * how long a sink was writing.  So this says nothing of what only shows under more load: an upstream that gets slower.
 */
#ifndef ENGINE_WHY_H
#define ENGINE_WHY_H

#include <stdbool.h>
#include <stddef.h>

/* What keeps a run from being faster. */
#define ENGINE_WHYS(X)                                                                                                 \
	X(WHY_END, "nothing")                                                                                          \
	X(WHY_UPSTREAM, "upstream latency")                                                                            \
	X(WHY_STEPS, "the steps")                                                                                      \
	X(WHY_CONCURRENCY, "concurrency limit")                                                                        \
	X(WHY_RATE_OWN, "rate limit (yours)")                                                                          \
	X(WHY_RATE_HINT, "rate limit (stated by the server)")                                                          \
	X(WHY_RATE_FOUND, "rate limit (found)")                                                                        \
	X(WHY_SHUT, "rate limit (Retry-After)")                                                                        \
	X(WHY_THROTTLED, "rate limit (429 without Retry-After)")                                                       \
	X(WHY_BREAKER, "breaker open")                                                                                 \
	X(WHY_DENIED, "denied (check the credentials)")                                                                \
	X(WHY_RETRIES, "waiting to retry")                                                                             \
	X(WHY_PAUSED, "paused")                                                                                        \
	X(WHY_DISK, "disk full")                                                                                       \
	X(WHY_MEMORY, "max_memory")                                                                                    \
	X(WHY_SOURCE, "source")                                                                                        \
	X(WHY_ORDER, "order of the sink")                                                                              \
	X(WHY_SINK, "sink")                                                                                            \
	X(WHY_BROKER, "broker")                                                                                        \
	X(WHY_CPU, "CPU")

enum engine_why {
#define ENGINE_X(name, text) name,
	ENGINE_WHYS(ENGINE_X)
#undef ENGINE_X
		WHYS
};

const char *engine_why_name(enum engine_why why);

/* Resources. */
enum why_use { USE_CALLS, USE_RATE, USE_SINK, USE_BROKER, USE_SOURCE, USE_CPU, USES };

/* Where the time went. */
enum why_place { SPENT_UPSTREAM, SPENT_RATE, SPENT_RETRIES, SPENT_MACHINE, SPENT_SINK, SPENT_IDLE, SPENT_PLACES };

const char *why_place_name(enum why_place place); /* "upstream", "rate limit", … */

/* What was measured in some time. */
struct why_spent {
	double seconds, used_seconds; /* the same, but that what is used is forgotten later */
	double held[WHYS];            /* of `seconds`: by what */
	double used[USES];            /* of `used_seconds`: each resource */
};

/* A look: in the last `seconds` it was `why`, and such a share of each resource was in
 * use.  Calls come in lumps, so for a moment more than all of a rate may be. */
void why_add(struct why_spent *spent, double seconds, enum engine_why why, const double shares[USES]);

/* Has `spent` forget what is some seconds old: so it is about what happened of late. */
void why_forget(struct why_spent *spent, double seconds);

/* All calls wait for one thing, which only time or somebody ends: the pace of late says nothing of the time left. */
bool why_is_hold(enum engine_why why);

/* What held it back most of that time; WHY_END: nothing did. */
enum engine_why why_most(const struct why_spent *spent);

/* The same of late, where it is `now` this: a hold is said the moment it begins, and not after it has ended. */
enum engine_why why_of_late(const struct why_spent *late, enum engine_why now);

/* With twice of that (of calls: with twice as many in flight, or with half the latency). */
struct why_if {
	enum why_use twice;
	double faster; /* so many times as fast, while it is the cause; 1: no difference */
};

#define WHY_DIFFERENCE 1.05 /* less than that is none */

enum { WHY_IFS = 2 };

struct why {
	enum engine_why cause;
	double share; /* of the time: how long it was that */
	struct why_if ifs[WHY_IFS];
	size_t if_count;
};

/* All that is known of a cause.  Holds have no "if". */
void why_explain(const struct why_spent *spent, enum engine_why cause, struct why *ret_why);

/* Seconds of the time that belong to each place; they are spent->seconds in all. */
void why_places(const struct why_spent *spent, double ret_seconds[SPENT_PLACES]);

#endif
