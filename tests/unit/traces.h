/* SPDX-License-Identifier: MIT */
/* Traces that tracers have handed on, and whether those of an item make one tree. */
#ifndef UNIT_TRACES_H
#define UNIT_TRACES_H

#include "port/trace.h"

enum { TRACES_TAKEN_MOST = 4096 };

struct taken {
	struct trace *all[TRACES_TAKEN_MOST];
	size_t n;
};
extern struct taken taken;

/* One that hands its traces on to `taken`. */
struct tracer *new_tracer(double ratio, uint64_t seed);

/* Spans of that kind, of all traces. */
size_t spans_of(enum trace_kind kind);

/* Of each trace there is one item, to which all its spans lead; ids are there once; links lead to attempts of the
 * trace.  Returns the number of traces. */
size_t check_trees(void);

void forget_taken(void);

#endif
