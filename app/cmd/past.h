/* SPDX-License-Identifier: MIT */
/* What a run keeps of each second (observe/history.h): to add a figure, a row in past.c. */
#ifndef CMD_PAST_H
#define CMD_PAST_H

#include "cmd/report.h"
#include "observe/history.h"

#define PAST_FIGURES(X)                                                                                                \
	X(read, SUM)                                                                                                   \
	X(succeeded, SUM)                                                                                              \
	X(dead, SUM)                                                                                                   \
	X(dropped, SUM)                                                                                                \
	X(written, SUM)                                                                                                \
	X(attempts, SUM)                                                                                               \
	X(refused, SUM)                                                                                                \
	X(retries, SUM)                                                                                                \
	X(attempt_s, SUM)                                                                                              \
	X(cpu_s, SUM)                                                                                                  \
	X(upstream_s, SUM)                                                                                             \
	X(rate_limit_s, SUM)                                                                                           \
	X(retries_s, SUM)                                                                                              \
	X(this_machine_s, SUM)                                                                                         \
	X(sink_s, SUM)                                                                                                 \
	X(idle_s, SUM)                                                                                                 \
	X(in_flight, MEAN)                                                                                             \
	X(in_line, MEAN)                                                                                               \
	X(waiting, MEAN)                                                                                               \
	X(unfinished, MEAN)                                                                                            \
	X(concurrency, MEAN)                                                                                           \
	X(rate_limit, MEAN)                                                                                            \
	X(filled, MEAN)                                                                                                \
	X(memory_bytes, MOST)                                                                                          \
	X(lag_s, MOST)

enum past_figure {
#define PAST_X(name, kind) PAST_##name,
	PAST_FIGURES(PAST_X)
#undef PAST_X
		PAST_COUNT
};

extern const struct history_figure past_figures[PAST_COUNT];

/* Totals of the look before: sums are what has come since. */
struct past {
	bool looked;
	double totals[PAST_COUNT];
};

/* Makes the values of this second of a report that has just looked.  lag: how late that was.  Returns false at the
 * first look, which only has totals. */
bool past_take(struct past *past, const struct report *report, weir_nsec lag, float values[PAST_COUNT]);

#endif
