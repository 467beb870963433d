/* SPDX-License-Identifier: MIT */
/*
 * What a run shows to those who watch it over HTTP: its figures and the metrics of its parts, looked at each second and
 * published on its endpoint (observe/endpoint.h); and what is sent to a receiver (telemetry.h).
 */
#ifndef CMD_OBSERVE_H
#define CMD_OBSERVE_H

#include "cmd/report.h"

#include <weir/metrics.h>

struct observe;

/* Of a run of the plan that is not open yet; report will be its.  Both borrowed.  WEIR_ENOMEM. */
int observe_new(struct report *report, const struct plan *plan, struct observe **ret_observe);
void observe_free(struct observe *observe); /* NULL is fine */

/* Where steps count their requests (step_env.requests); NULL of NULL. */
struct weir_metric *observe_requests(struct observe *observe);

/* What the engine records items with; NULL: nobody collects traces. */
struct tracer *observe_tracer(struct observe *observe);

/* Keeps the history of the run in a file; before observe_start().  only_submits: others see more of the run, so they
 * write it if they are there.  Errors as history_open(). */
int observe_keep(struct observe *observe, const char *path, bool only_submits, struct weir_error *err);

bool observe_keeps(const struct observe *observe);

/* Starts the endpoint of an engine that is open.  *ret_taken: the port in plan->settings.observe_listen was taken, and
 * another one is used.  Errors as endpoint_start(). */
int observe_start(struct observe *observe, bool *ret_taken, struct weir_error *err);

/* Starts to send traces and metrics to an OpenTelemetry receiver, if there is one.  WEIR_EINVAL with err: it is not a
 * usable one; and what the system says. */
int observe_send(struct observe *observe, struct weir_error *err);

/* "http://127.0.0.1:40123"; NULL: it is not started. */
const char *observe_url(const struct observe *observe);

/* The body of a fiber: looks and publishes each second, until it is cancelled. */
int observe_run(void *observe);

/* The body of another: writes the history each second, until it is cancelled. */
int observe_remember(void *observe);

/* Publishes and sends the end, and ends the endpoint.  May be called without a start.  Suspends, a few seconds at
 * most. */
void observe_stop(struct observe *observe);

/* After that: appends what was not sent, and why; nothing if all was. */
void observe_say(const struct observe *observe, struct buf *out);

#endif
