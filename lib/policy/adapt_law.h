/* SPDX-License-Identifier: MIT */
/*
 * What the limits of adapt.h are made of: a law each.  To add one: its state in the union, its functions in a file, a
 * row in `laws` (adapt.c), a kind in adapt.h.
 */
#ifndef POLICY_ADAPT_LAW_H
#define POLICY_ADAPT_LAW_H

#include "policy/adapt.h"

struct weir__adapt_law {
	size_t least, most, start;               /* as published */
	void (*init)(struct weir__adapt *adapt); /* NULL: nothing to do; the state is all zero */
	/* Moves adapt->limit, which is kept between least and most afterwards, and adapt->min_latency. */
	void (*add)(struct weir__adapt *adapt, const struct weir__sample *sample);
};

struct weir__vegas {
	uint64_t samples; /* since the minimum latency was last measured anew */
	double jitter;
};

struct weir__gradient2 {
	double latency, sum; /* over the long run, ns */
	unsigned warm;       /* samples it began with */
};

struct weir__arc {
	double sum;    /* of this window's good latencies, s */
	uint64_t good; /* how many */
	double mean, variance;
	weir_nsec until; /* end of the window; 0: the first has not begun */
	bool has_past, reached, pressed;
};

enum weir__auto_phase {
	WEIR__AUTO_START,
	WEIR__AUTO_CRUISE,
	WEIR__AUTO_UP,
	WEIR__AUTO_DOWN,
	WEIR__AUTO_DRAIN,
	WEIR__AUTO_CURE,
};

struct weir__auto_window {
	weir_nsec changed;       /* the limit; failures of calls sent before count for nothing */
	weir_nsec from;          /* what ends from here on counts */
	double calls, good, bad; /* bad: failed or timed out */
	double early, early_bad; /* before `from` */
	double errors;           /* of all that were bad, those that were answered */
	double fair;             /* of all these, those sent since `changed`: whose failures count */
	double sum, square;      /* of the good ones' latencies, ns */
	double in_flight, most;  /* sum; the largest */
};

/* What a window says. */
struct weir__auto_measure {
	double per_nsec, latency, in_flight, most;
	double variation; /* of the latency: variance / mean^2 */
	double error;     /* of the latency, by chance: its standard error, as a share of it */
};

struct weir__auto {
	enum weir__auto_phase phase;
	bool begun;
	double goal;                    /* where the limit is on its way to */
	double base;                    /* the limit that is known to do */
	bool soft;                      /* they failed now and then only: near the ceiling it may be too much, too */
	double ceiling;                 /* calls began to fail there; 0: unknown */
	double min_latency;             /* ns */
	struct weir__auto_measure last; /* at the base */
	struct weir__auto_window window;
	double step; /* of the next experiment upwards */
	weir_nsec patience, next_up, next_drain;
	double natural;        /* share of failures that fewer at once do not cure */
	double natural_most;   /* as it was seen when that was found out */
	double held, held_bad; /* calls since the base is what it is, and failures */
	bool was_start;        /* the cure came in the middle of the slow start, which goes on if it was for nothing */
	double before_cut, share; /* the limit and the share of failures that a cure is tried for */
};

struct weir__adapt {
	const struct weir__adapt_law *law;
	double limit, least, most;
	bool from_snapshot; /* the limit is an earlier run's */
	weir_nsec min_latency;
	uint64_t random;
	union {
		struct weir__vegas vegas;
		struct weir__gradient2 gradient2;
		struct weir__arc arc;
		struct weir__auto automatic;
	};
};

extern const struct weir__adapt_law weir__adapt_aimd, weir__adapt_vegas, weir__adapt_gradient2, weir__adapt_arc,
	weir__adapt_auto;

/* The limit worth keeping for the next run: not that of an experiment. */
double weir__adapt_snapshot(const struct weir__adapt *adapt);

/* Whether the call tells that the upstream has too much, in the eyes of the published laws. */
static inline bool weir__adapt_is_drop(const struct weir__sample *sample)
{
	return sample->outcome != WEIR_OUTCOME_GOOD;
}

#endif
