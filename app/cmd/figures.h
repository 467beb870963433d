/* SPDX-License-Identifier: MIT */
/*
 * The figures of a run: one table, with the name, unit, kind and meaning of each.  The lines of progress, `weir status
 * --json` and the summary are written from it; weir_metrics_show() exposes it.
 */
#ifndef CMD_FIGURES_H
#define CMD_FIGURES_H

#include "cmd/report.h"

#include <weir/metrics.h>

/* Of a `const struct report *`; those of the second table say how fast it goes, and why, and the third has histograms,
 * which only the summary shows: as quantiles. */
extern const struct weir_figure figures_of_run[], figures_of_flow[], figures_of_times[];
extern const size_t figures_of_run_count, figures_of_flow_count, figures_of_times_count;

/* One JSON object on a line: `event` is "progress", "set", "status" or "end".  payload: with texts that may hold parts
 * of items and answers. */
void figures_json(const struct report *report, const char *event, bool payload, struct buf *out);

/* The totals, as JSON on several lines.  After the children of the run have ended. */
void figures_summary(const struct report *report, int exit_code, struct buf *out);

#endif
