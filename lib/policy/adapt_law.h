/* SPDX-License-Identifier: MIT */
/*
 * What the limits of adapt.h are made of: a law each.  To add one: its state in the union, its functions in a file, a
 * row in `laws` (adapt.c), a kind in adapt.h.
 */
#ifndef POLICY_ADAPT_LAW_H
#define POLICY_ADAPT_LAW_H

#include <weir/adapt.h>

struct weir__adapt_law {
	size_t least, most, start;              /* as published */
	void (*init)(struct weir_adapt *adapt); /* NULL: nothing to do; the state is all zero */
	/* Moves adapt->limit, which is kept between least and most afterwards, and adapt->floor. */
	void (*add)(struct weir_adapt *adapt, const struct weir_sample *sample);
};

struct weir__vegas {
	uint64_t samples; /* since the floor was last measured anew */
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

struct weir_adapt {
	const struct weir__adapt_law *law;
	double limit, least, most;
	weir_nsec floor;
	uint64_t random;
	union {
		struct weir__vegas vegas;
		struct weir__gradient2 gradient2;
		struct weir__arc arc;
	};
};

extern const struct weir__adapt_law weir__adapt_aimd, weir__adapt_vegas, weir__adapt_gradient2, weir__adapt_arc;

/* Whether the call tells that the upstream has too much, in the eyes of the published laws. */
static inline bool weir__adapt_is_drop(const struct weir_sample *sample)
{
	return sample->outcome != WEIR_OUTCOME_GOOD;
}

#endif
