/* SPDX-License-Identifier: MIT */
/*
 * The traces and metrics of a run for an OpenTelemetry receiver: observe.otlp and its environment variables put
 * together with the recorder (port/trace.h) and the exporter (otlp/exporter.h).
 */
#ifndef CMD_TELEMETRY_H
#define CMD_TELEMETRY_H

#include "otlp/exporter.h"
#include "spec/plan.h"

struct telemetry;

/* *ret_telemetry: NULL if neither the plan nor the environment names a receiver.  WEIR_EINVAL with err: what they say
 * cannot be used; WEIR_ENOMEM. */
int telemetry_new(const struct plan *plan, struct telemetry **ret_telemetry, struct weir_error *err);
void telemetry_free(struct telemetry *telemetry); /* NULL is fine, as in all that follow */

/* What the engine records with; NULL of NULL. */
struct tracer *telemetry_tracer(struct telemetry *telemetry);

/* Starts sending, for the run with that name. */
int telemetry_start(struct telemetry *telemetry, const char *run, struct weir_error *err);

/* To be called each second with the metrics of the run: sends them when it is time, and in any case with is_last. */
void telemetry_look(struct telemetry *telemetry, const struct weir_metrics *metrics, bool is_last);

/* Sends what is left, for a few seconds at most; on a thread, so that the loop turns meanwhile.  Suspends. */
void telemetry_stop(struct telemetry *telemetry);

/* Appends what was dropped, and most of it why; nothing if nothing was. */
void telemetry_say(const struct telemetry *telemetry, struct buf *out);

/* Spans or points that were sent, and that were lost. */
uint64_t telemetry_sent(const struct telemetry *telemetry, enum otlp_signal signal);
uint64_t telemetry_lost(const struct telemetry *telemetry, enum otlp_signal signal, enum otlp_loss loss);

#endif
