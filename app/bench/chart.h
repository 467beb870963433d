/* SPDX-License-Identifier: MIT */
/* Charts as inline SVG: no script, no style of their own but the page's classes. */
#ifndef BENCH_CHART_H
#define BENCH_CHART_H

#include "bench/report.h"

struct buf;

void bench_chart_speed(const struct bench_report *report, struct buf *out);  /* against the bound, and what was said */
void bench_chart_times(const struct bench_report *report, struct buf *out);  /* percentiles */
void bench_chart_memory(const struct bench_report *report, struct buf *out); /* over time, one small chart a row */

/* With &, <, >, " and ' replaced. */
void bench_add_escaped(struct buf *out, const char *text);

#endif
