/* SPDX-License-Identifier: MIT */
#include "cmd/past.h"

#include <weir/weir.h>

const struct history_figure past_figures[PAST_COUNT] = {
#define PAST_X(name, kind) {#name, HISTORY_##kind},
	PAST_FIGURES(PAST_X)
#undef PAST_X
};

static double in_seconds(double ns)
{
	return ns / (double)WEIR_SEC;
}

/* Sums as totals so far, all else as it is. */
static void look(const struct report *report, weir_nsec lag, double values[PAST_COUNT])
{
	const struct engine_stats *now = &report->now;
	const struct engine_flow *flow = &report->flow;
	values[PAST_read] = (double)now->read;
	values[PAST_succeeded] = (double)now->succeeded;
	values[PAST_dead] = (double)now->dead;
	values[PAST_dropped] = (double)now->dropped;
	values[PAST_written] = (double)now->written;
	values[PAST_attempts] = (double)now->attempts;
	values[PAST_refused] = (double)now->refused;
	values[PAST_retries] = (double)now->retries;
	values[PAST_attempt_s] = in_seconds((double)weir_histogram_sum(now->attempt_ns));
	values[PAST_cpu_s] = report_cpu_seconds();
	for (size_t i = 0; i < SPENT_PLACES; i++)
		values[PAST_upstream_s + i] = report->spent[i];
	values[PAST_in_flight] = (double)now->in_flight;
	values[PAST_in_line] = (double)now->in_line;
	values[PAST_waiting] = (double)now->waiting;
	values[PAST_unfinished] = (double)now->unfinished;
	values[PAST_concurrency] = (double)now->concurrency;
	values[PAST_rate_limit] = flow->per_sec;
	values[PAST_filled] = now->filled;
	values[PAST_memory_bytes] = (double)flow->memory_bytes;
	values[PAST_lag_s] = in_seconds((double)lag);
}

bool past_take(struct past *past, const struct report *report, weir_nsec lag, float values[PAST_COUNT])
{
	double seen[PAST_COUNT];
	bool is_first = !past->looked;
	look(report, lag, seen);
	for (size_t i = 0; i < PAST_COUNT; i++) {
		values[i] = (float)(past_figures[i].kind == HISTORY_SUM ? seen[i] - past->totals[i] : seen[i]);
		past->totals[i] = seen[i];
	}
	past->looked = true;
	return !is_first;
}
