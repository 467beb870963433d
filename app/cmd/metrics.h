/* SPDX-License-Identifier: MIT */
/*
 * The metrics of a run: the figures (figures.h), and those that have a series for each upstream, class or group of dead
 * letters.  All that is there under /metrics is in these tables; `weir list metrics` prints them, and docs/observe.md,
 * the dashboard and the alerts in contrib/ are made from that.
 */
#ifndef CMD_METRICS_H
#define CMD_METRICS_H

#include "cmd/report.h"
#include "cmd/telemetry.h"

#include <weir/metrics.h>

struct metrics;

/* The metrics of a run, of which report is a look, and of its telemetry (NULL: there is none); both borrowed.
 * WEIR_ENOMEM. */
int metrics_new(const struct report *report, const struct telemetry *telemetry, struct metrics **ret_metrics);
void metrics_free(struct metrics *metrics); /* NULL is fine */

/* The registry. */
const struct weir_metrics *metrics_all(const struct metrics *metrics);

/* Where steps count their requests (step_env.requests). */
struct weir_metric *metrics_requests(struct metrics *metrics);

/* Brings them up to date with a report that has just looked; to be called each second.  lag: how late that was. */
void metrics_look(struct metrics *metrics, weir_nsec lag);

/* As weir_metrics_text(). */
int metrics_text(const struct metrics *metrics, enum weir_metrics_format format, char **ret_text, size_t *ret_bytes);

/* Appends name, kind, labels and meaning of each, for people or as an array of JSON objects. */
void metrics_describe(const struct metrics *metrics, bool json, struct buf *out);

#endif
