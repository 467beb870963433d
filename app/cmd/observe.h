/* SPDX-License-Identifier: MIT */
/*
 * What a run shows to those who watch it over HTTP: its figures and the metrics of its parts, looked at each second and
 * published on its endpoint (observe/endpoint.h).
 */
#ifndef CMD_OBSERVE_H
#define CMD_OBSERVE_H

#include "cmd/report.h"

#include <weir/metrics.h>

struct observe;

/* Of a run that is not open yet; report (borrowed) will be its.  WEIR_ENOMEM. */
int observe_new(struct report *report, struct observe **ret_observe);
void observe_free(struct observe *observe); /* NULL is fine */

/* Where steps count their requests (step_env.requests); NULL of NULL. */
struct weir_metric *observe_requests(struct observe *observe);

/* Keeps the history of the run in a file; before observe_start().  Errors as history_open(). */
int observe_keep(struct observe *observe, const char *path, struct weir_error *err);

bool observe_keeps(const struct observe *observe);

/* Starts the endpoint of an engine that is open.  *ret_taken: the port in plan->settings.observe_listen was taken, and
 * another one is used.  Errors as endpoint_start(). */
int observe_start(struct observe *observe, const struct plan *plan, bool *ret_taken, struct weir_error *err);

/* "http://127.0.0.1:40123"; NULL: it is not started. */
const char *observe_url(const struct observe *observe);

/* The body of a fiber: looks and publishes each second, until it is cancelled. */
int observe_run(void *observe);

/* The body of another: writes the history each second, until it is cancelled. */
int observe_remember(void *observe);

/* Publishes the end, and ends the endpoint.  May be called without a start. */
void observe_stop(struct observe *observe);

#endif
