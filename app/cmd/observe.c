/* SPDX-License-Identifier: MIT */
/*
 * See observe.h.  Two tables make all that is there under /metrics: the figures of the run (figures.c), and here those
 * that have a series for each upstream.  Steps add their own (step_env.metrics).
 *
 * An upstream's series are set anew at each look: first to nothing, then to the sum of all that share them.  So where
 * there are more upstreams than series, the rest adds up in "other".
 */
#include "cmd/observe.h"

#include "cmd/figures.h"
#include "observe/endpoint.h"

#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define LOOK_PERIOD WEIR_SEC
#define STALL_TIME  (3 * WEIR_SEC)

enum {
	LIMIT,
	IN_FLIGHT,
	WAITING,
	CALLS,
	RATE,
	SHUT,
	LATENCY,
	BREAKER,
	OPENED, /* of an upstream */
	REQUESTS,
	LAG,
	FIBERS,
	BUILD,
	METRICS
};

static const struct weir_metric_def defs[METRICS] = {
	[LIMIT] = {"weir_upstream_concurrency_limit",
		   "Calls that an upstream may have in flight.",
		   WEIR_GAUGE,
		   {"upstream"}},
	[IN_FLIGHT] = {"weir_upstream_calls_in_flight", "Calls in flight.", WEIR_GAUGE, {"upstream"}},
	[WAITING] = {"weir_upstream_calls_waiting", "Calls that wait for a permit.", WEIR_GAUGE, {"upstream"}},
	[CALLS] = {"weir_upstream_calls_total",
		   "Calls that ended, by outcome.",
		   WEIR_COUNTER,
		   {"upstream", "outcome"},
		   500},
	[RATE] = {"weir_upstream_rate_limit",
		  "Calls a second that an upstream is held to; 0: any number.",
		  WEIR_GAUGE,
		  {"upstream"}},
	[SHUT] = {"weir_upstream_shut_seconds",
		  "Time until an upstream that said \"come back later\" is called again.",
		  WEIR_GAUGE,
		  {"upstream"}},
	[LATENCY] = {"weir_upstream_min_latency_seconds", "Latency without queueing.", WEIR_GAUGE, {"upstream"}},
	[BREAKER] = {"weir_upstream_breaker", "Breakers in a state.", WEIR_GAUGE, {"upstream", "state"}, 300},
	[OPENED] = {"weir_upstream_breaker_opened_total", "How often a breaker opened.", WEIR_COUNTER, {"upstream"}},
	[REQUESTS] = {"weir_http_client_request_duration_seconds",
		      "HTTP requests, by the status of their answers; \"error\": there was none.",
		      WEIR_HISTOGRAM,
		      {"host", "method", "status"},
		      50},
	[LAG] = {"weir_loop_lag_seconds", "How late the loop was for a timer, each second.", WEIR_HISTOGRAM},
	[FIBERS] = {"weir_fibers", "Fibers of the loop.", WEIR_GAUGE},
	[BUILD] = {"weir_build_info", "1, with the version.", WEIR_GAUGE, {"version"}},
};

struct observe {
	struct weir_metrics *metrics;
	struct weir_metric *metric[METRICS];
	struct report *report;
	struct endpoint *endpoint;
	bool tells_payload; /* who reads it has a token */
};

int observe_new(struct observe **ret_observe)
{
	struct observe *observe = calloc(1, sizeof *observe);
	if (!observe)
		return WEIR_ENOMEM;
	if (weir_metrics_new(&observe->metrics) || weir_metrics_add(observe->metrics, defs, METRICS, observe->metric)) {
		observe_free(observe);
		return WEIR_ENOMEM;
	}
	weir_gauge_set(weir_metric_gauge(observe->metric[BUILD], (const char *[]){WEIR_VERSION}), 1);
	*ret_observe = observe;
	return 0;
}

void observe_free(struct observe *observe)
{
	if (!observe)
		return;
	weir_metrics_free(observe->metrics);
	free(observe);
}

struct weir_metric *observe_requests(struct observe *observe)
{
	return observe ? observe->metric[REQUESTS] : NULL;
}

/* --- a look --- */

static void set_gauge(const struct observe *observe, int metric, const char *upstream, double value)
{
	weir_gauge_set(weir_metric_gauge(observe->metric[metric], &upstream), value);
}

static void add_gauge(const struct observe *observe, int metric, const char *upstream, double value)
{
	weir_metric_gauge(observe->metric[metric], &upstream)->value += value;
}

static const char *const outcomes[] = {"good", "failed", "timeout", "throttled", "released"};
static const enum weir_breaker_state states[] = {WEIR_BREAKER_CLOSED, WEIR_BREAKER_OPEN, WEIR_BREAKER_HALF_OPEN};

static struct weir_counter *calls_of(const struct observe *observe, const char *upstream, size_t outcome)
{
	return weir_metric_counter(observe->metric[CALLS], (const char *[]){upstream, outcomes[outcome]});
}

static struct weir_gauge *breaker_of(const struct observe *observe, const char *upstream, enum weir_breaker_state state)
{
	return weir_metric_gauge(observe->metric[BREAKER], (const char *[]){upstream, weir_breaker_state_name(state)});
}

static int forget(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	const struct observe *observe = arg;
	(void)stats;
	for (int metric = LIMIT; metric <= LATENCY; metric++)
		if (metric != CALLS)
			set_gauge(observe, metric, key, 0);
	for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
		calls_of(observe, key, i)->value = 0;
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		weir_gauge_set(breaker_of(observe, key, states[i]), 0);
	weir_metric_counter(observe->metric[OPENED], &key)->value = 0;
	return 0;
}

static double seconds(weir_nsec ns)
{
	return (double)ns / (double)WEIR_SEC;
}

static int add(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	const struct observe *observe = arg;
	const uint64_t ended[] = {stats->good, stats->failed, stats->timed_out, stats->throttled, stats->released};
	add_gauge(observe, LIMIT, key, (double)stats->limit);
	add_gauge(observe, IN_FLIGHT, key, (double)stats->in_flight);
	add_gauge(observe, WAITING, key, (double)stats->waiting);
	add_gauge(observe, RATE, key, stats->per_sec);
	add_gauge(observe, SHUT, key, stats->shut_until > weir_now() ? seconds(stats->shut_until - weir_now()) : 0);
	add_gauge(observe, LATENCY, key, seconds(stats->min_latency));
	for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
		weir_counter_add(calls_of(observe, key, i), ended[i]);
	breaker_of(observe, key, stats->breaker)->value += 1;
	weir_counter_add(weir_metric_counter(observe->metric[OPENED], &key), stats->breaker_opened);
	return 0;
}

static int count(const struct weir_fiber_info *info, void *arg)
{
	(void)info;
	++*(double *)arg;
	return 0;
}

static void publish_metrics(struct observe *observe, enum weir_metrics_format format, enum endpoint_page page)
{
	char *text;
	size_t n;
	if (weir_metrics_text(observe->metrics, format, &text, &n))
		return;
	endpoint_publish(observe->endpoint, page, text, n);
	free(text);
}

/* What finds no memory is published at the next look. */
static void publish(struct observe *observe)
{
	struct buf status = {0};
	double fibers = 0;
	report_look(observe->report);
	engine_gates(observe->report->engine, forget, observe);
	engine_gates(observe->report->engine, add, observe);
	weir_inspect_fibers(0, count, &fibers);
	weir_gauge_set(weir_metric_gauge(observe->metric[FIBERS], NULL), fibers);
	publish_metrics(observe, WEIR_METRICS_TEXT, ENDPOINT_TEXT);
	publish_metrics(observe, WEIR_METRICS_OPENMETRICS, ENDPOINT_OPENMETRICS);
	figures_json(observe->report, "status", observe->tells_payload, &status);
	if (!status.failed)
		endpoint_publish(observe->endpoint, ENDPOINT_STATUS, status.data, status.len);
	buf_fini(&status);
}

static const char *not_ready(const struct report *report)
{
	if (report->now.state != ENGINE_RUNNING)
		return engine_state_name(report->now.state);
	if (report->now.degraded)
		return "a disk is full";
	return NULL;
}

/* --- life --- */

int observe_start(struct observe *observe, const struct plan *plan, struct report *report, bool *ret_taken,
		  struct weir_error *err)
{
	const struct plan_settings *settings = &plan->settings;
	const struct endpoint_options opts = {
		.listen = settings->observe_listen, .token = settings->observe_token, .stall = STALL_TIME};
	observe->report = report;
	observe->tells_payload = settings->observe_token;
	if (weir_metrics_show(observe->metrics, "weir_", figures_of_run, figures_of_run_count, report) ||
	    weir_metrics_show(observe->metrics, "weir_", figures_of_flow, figures_of_flow_count, report))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = endpoint_start(&opts, &observe->endpoint, err);
	if (code)
		return code;
	const char *port = strrchr(settings->observe_listen, ':');
	*ret_taken = strcmp(port, ":0") != 0 && strcmp(port, strrchr(endpoint_url(observe->endpoint), ':')) != 0;
	return 0;
}

const char *observe_url(const struct observe *observe)
{
	return observe && observe->endpoint ? endpoint_url(observe->endpoint) : NULL;
}

int observe_run(void *arg)
{
	struct observe *observe = arg;
	struct weir_histogram *lag = weir_metric_histogram(observe->metric[LAG], NULL);
	for (;;) {
		weir_nsec due = weir_now() + LOOK_PERIOD;
		publish(observe);
		endpoint_beat(observe->endpoint, not_ready(observe->report));
		if (weir_sleep_until(due))
			return 0;
		weir_histogram_record(lag, weir_clock() - due);
	}
}

void observe_stop(struct observe *observe)
{
	if (observe->endpoint)
		publish(observe);
	endpoint_stop(observe->endpoint);
	observe->endpoint = NULL;
}
