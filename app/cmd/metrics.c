/* SPDX-License-Identifier: MIT */
/*
 * See metrics.h.  To add a metric: a row in figures.c if it is one number of the run; else a row here, and its values
 * in metrics_look().
 *
 * Labels come from upstreams, so their number is bounded: where there are more upstreams than series, the rest adds up
 * in "other".  Therefore an upstream's series are first set to nothing at each look, and then to the sum of all that
 * share them.
 */
#include "cmd/metrics.h"

#include "cmd/figures.h"
#include "data/json_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <weir/weir.h>

enum {
	LIMIT, /* of an upstream, as all to HELD */
	IN_FLIGHT,
	WAITING,
	RATE,
	SHUT,
	LATENCY,
	BREAKER,
	OPENED,
	CALLS,
	HELD,
	REQUESTS,
	RETRIES,
	BOTTLENECK,
	LETTERS,
	BEGUN,
	LATE,
	OVERTAKEN,
	LAG,
	FIBERS,
	OTLP_SENT,
	OTLP_LOST,
	BUILD,
	METRICS
};

/* clang-format off */
static const struct weir_metric_def defs[METRICS] = {
	[LIMIT] = {"weir_upstream_concurrency_limit", "Calls that an upstream may have in flight.",
		   WEIR_GAUGE, {"upstream"}},
	[IN_FLIGHT] = {"weir_upstream_calls_in_flight", "Calls in flight.", WEIR_GAUGE, {"upstream"}},
	[WAITING] = {"weir_upstream_calls_waiting", "Calls that wait for a permit.", WEIR_GAUGE, {"upstream"}},
	[RATE] = {"weir_upstream_rate_limit", "Rate limit of an upstream, calls a second; 0: none.",
		  WEIR_GAUGE, {"upstream"}},
	[SHUT] = {"weir_upstream_shut_seconds", "Time until an upstream that said \"come back later\" is called again.",
		  WEIR_GAUGE, {"upstream"}},
	[LATENCY] = {"weir_upstream_min_latency_seconds", "Minimum latency of an upstream: that without queueing.",
		     WEIR_GAUGE, {"upstream"}},
	[BREAKER] = {"weir_upstream_breaker", "Breakers in a state: closed, open, half open.",
		     WEIR_GAUGE, {"upstream", "state"}, 300},
	[OPENED] = {"weir_upstream_breaker_opened_total", "How often a breaker opened.", WEIR_COUNTER, {"upstream"}},
	[CALLS] = {"weir_upstream_calls_total",
		   "Calls that ended, by outcome: good, failed, timeout, throttled, released.",
		   WEIR_COUNTER, {"upstream", "outcome"}, 500},
	[HELD] = {"weir_upstream_held_seconds_total",
		  "Time in which calls waited, by what the next one waited for; sampled each second.",
		  WEIR_COUNTER, {"upstream", "by"}, 700},
	[REQUESTS] = {"weir_http_client_request_duration_seconds",
		      "HTTP requests, by the status of their answers; \"error\": there was none.",
		      WEIR_HISTOGRAM, {"upstream", "method", "status"}, 50},
	[RETRIES] = {"weir_retries_total", "Retries, by the outcome of the attempt before.", WEIR_COUNTER, {"reason"}},
	[BOTTLENECK] = {"weir_bottleneck_seconds_total", "Time in which this limited the run; sampled each second.",
			WEIR_COUNTER, {"by"}},
	[LETTERS] = {"weir_dead_letters_by_group_total",
		     "Dead letters since the start, of the first 32 groups of `weir dead`.", WEIR_COUNTER, {"group"}},
	[BEGUN] = {"weir_class_items_begun_total", "Items of a class of flow.priority.sla that began their first attempt.",
		   WEIR_COUNTER, {"class"}},
	[LATE] = {"weir_class_items_late_total", "Those of them that began later than flow.priority.sla.",
		  WEIR_COUNTER, {"class"}},
	[OVERTAKEN] = {"weir_class_items_overtaken_total", "Items of such a class that began after an item that came later.",
		       WEIR_COUNTER, {"class"}},
	[LAG] = {"weir_loop_lag_seconds", "How late the loop was for a timer, each second.", WEIR_HISTOGRAM, {0}},
	[FIBERS] = {"weir_fibers", "Fibers of the loop.", WEIR_GAUGE, {0}},
	[OTLP_SENT] = {"weir_otlp_sent_total", "Spans and metric points that the OpenTelemetry receiver took.",
		       WEIR_COUNTER, {"signal"}},
	[OTLP_LOST] = {"weir_otlp_dropped_total", "Spans and metric points that were dropped, by reason.",
		       WEIR_COUNTER, {"signal", "reason"}},
	[BUILD] = {"weir_build_info", "1, with the version.", WEIR_GAUGE, {"version"}},
};
/* clang-format on */

struct metrics {
	struct weir_metrics *all;
	struct weir_metric *metric[METRICS];
	const struct report *report;
	const struct telemetry *telemetry;
};

static int show_figures(struct weir_metrics *all, const struct report *report)
{
	int code = weir_metrics_show(all, "weir_", figures_of_run, figures_of_run_count, report);
	if (!code)
		code = weir_metrics_show(all, "weir_", figures_of_flow, figures_of_flow_count, report);
	if (!code)
		code = weir_metrics_show(all, "weir_", figures_of_times, figures_of_times_count, report);
	return code;
}

int metrics_new(const struct report *report, const struct telemetry *telemetry, struct metrics **ret_metrics)
{
	struct metrics *metrics = calloc(1, sizeof *metrics);
	if (!metrics)
		return WEIR_ENOMEM;
	metrics->report = report;
	metrics->telemetry = telemetry;
	if (weir_metrics_new(&metrics->all) || show_figures(metrics->all, report) ||
	    weir_metrics_add(metrics->all, defs, METRICS, metrics->metric)) {
		metrics_free(metrics);
		return WEIR_ENOMEM;
	}
	weir_gauge_set(weir_metric_gauge(metrics->metric[BUILD], (const char *[]){WEIR_VERSION}), 1);
	*ret_metrics = metrics;
	return 0;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	weir_metrics_free(metrics->all);
	free(metrics);
}

const struct weir_metrics *metrics_all(const struct metrics *metrics)
{
	return metrics->all;
}

struct weir_metric *metrics_requests(struct metrics *metrics)
{
	return metrics->metric[REQUESTS];
}

int metrics_text(const struct metrics *metrics, enum weir_metrics_format format, char **ret_text, size_t *ret_bytes)
{
	return weir_metrics_text(metrics->all, format, ret_text, ret_bytes);
}

/* --- upstreams --- */

static struct weir_gauge *gauge_of(const struct metrics *metrics, int metric, const char *label, const char *second)
{
	return weir_metric_gauge(metrics->metric[metric], (const char *[]){label, second});
}

static struct weir_counter *counter_of(const struct metrics *metrics, int metric, const char *label, const char *second)
{
	return weir_metric_counter(metrics->metric[metric], (const char *[]){label, second});
}

static const char *const outcomes[] = {"good", "failed", "timeout", "throttled", "released"};
static const enum weir_breaker_state states[] = {WEIR_BREAKER_CLOSED, WEIR_BREAKER_OPEN, WEIR_BREAKER_HALF_OPEN};

static int forget(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	const struct metrics *metrics = arg;
	(void)stats;
	for (int metric = LIMIT; metric < BREAKER; metric++)
		weir_gauge_set(gauge_of(metrics, metric, key, NULL), 0);
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		weir_gauge_set(gauge_of(metrics, BREAKER, key, weir_breaker_state_name(states[i])), 0);
	for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
		counter_of(metrics, CALLS, key, outcomes[i])->value = 0;
	counter_of(metrics, OPENED, key, NULL)->value = 0;
	return 0;
}

static double seconds(weir_nsec ns)
{
	return ns > 0 ? (double)ns / (double)WEIR_SEC : 0;
}

static int add(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	const struct metrics *metrics = arg;
	const double values[] = {
		[LIMIT] = (double)stats->limit,
		[IN_FLIGHT] = (double)stats->in_flight,
		[WAITING] = (double)stats->waiting,
		[RATE] = stats->per_sec,
		[SHUT] = seconds(stats->shut_until - weir_now()),
		[LATENCY] = seconds(stats->min_latency),
	};
	const uint64_t ended[] = {stats->good, stats->failed, stats->timed_out, stats->throttled, stats->released};
	for (int metric = LIMIT; metric < BREAKER; metric++)
		gauge_of(metrics, metric, key, NULL)->value += values[metric];
	gauge_of(metrics, BREAKER, key, weir_breaker_state_name(stats->breaker))->value += 1;
	for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
		weir_counter_add(counter_of(metrics, CALLS, key, outcomes[i]), ended[i]);
	weir_counter_add(counter_of(metrics, OPENED, key, NULL), stats->breaker_opened);
	if (stats->waiting)
		weir_counter_add(counter_of(metrics, HELD, key, weir_held_by_name(stats->held_by)), 1);
	return 0;
}

/* --- the run --- */

static void look_at_run(const struct metrics *metrics)
{
	static const char *const reasons[WEIR_OUTCOMES] = {"item",     "failed", "timeout", "throttled",
							   "released", "error",  "denied"};
	const struct engine_stats *now = &metrics->report->now;
	char text[32];
	for (int i = 0; i < WEIR_OUTCOMES; i++)
		counter_of(metrics, RETRIES, reasons[i], NULL)->value = now->retries_of[i];
	if (now->state == ENGINE_RUNNING)
		weir_counter_add(counter_of(metrics, BOTTLENECK, engine_why_name(metrics->report->flow.why), NULL), 1);
	for (size_t i = 0; i < now->cause_count; i++) {
		snprintf(text, sizeof text, "%08x", now->causes[i].id);
		counter_of(metrics, LETTERS, text, NULL)->value = now->causes[i].letters;
	}
	for (size_t i = 0; i < now->class_count; i++) {
		snprintf(text, sizeof text, "%lld", (long long)now->classes[i].number);
		counter_of(metrics, BEGUN, text, NULL)->value = weir_histogram_count(now->classes[i].waits);
		counter_of(metrics, LATE, text, NULL)->value = now->classes[i].late;
		counter_of(metrics, OVERTAKEN, text, NULL)->value = now->classes[i].overtaken;
	}
}

static void look_at_telemetry(const struct metrics *metrics)
{
	static const char *const signals[OTLP_SIGNALS] = {"traces", "metrics"};
	for (int signal = 0; signal < OTLP_SIGNALS; signal++) {
		counter_of(metrics, OTLP_SENT, signals[signal], NULL)->value =
			telemetry_sent(metrics->telemetry, (enum otlp_signal)signal);
		for (int loss = 0; loss < OTLP_LOSS_KINDS; loss++)
			counter_of(metrics, OTLP_LOST, signals[signal], otlp_loss_name((enum otlp_loss)loss))->value =
				telemetry_lost(metrics->telemetry, (enum otlp_signal)signal, (enum otlp_loss)loss);
	}
}

static int count(const struct weir_fiber_info *info, void *arg)
{
	(void)info;
	++*(double *)arg;
	return 0;
}

void metrics_look(struct metrics *metrics, weir_nsec lag)
{
	double fibers = 0;
	engine_gates(metrics->report->engine, forget, metrics);
	engine_gates(metrics->report->engine, add, metrics);
	look_at_run(metrics);
	look_at_telemetry(metrics);
	weir_inspect_fibers(0, count, &fibers);
	weir_gauge_set(weir_metric_gauge(metrics->metric[FIBERS], NULL), fibers);
	weir_histogram_record(weir_metric_histogram(metrics->metric[LAG], NULL), lag);
}

/* --- what they are --- */

static const char *const kinds[] = {"counter", "gauge", "histogram"};

static int describe(void *arg, const struct weir_metric_def *def)
{
	struct buf *out = arg;
	buf_add_str(out, def->name);
	for (unsigned i = 0; i < WEIR_LABELS_MOST && def->labels[i]; i++)
		buf_addf(out, "%s%s", i ? ", " : "{", def->labels[i]);
	buf_addf(out, "%s  %s\n    %s\n", def->labels[0] ? "}" : "", kinds[def->kind], def->help);
	return 0;
}

static int describe_json(void *arg, const struct weir_metric_def *def)
{
	struct buf *out = arg;
	json_open(out, NULL, '{');
	json_put_text(out, "name", def->name);
	json_put_text(out, "type", kinds[def->kind]);
	json_open(out, "labels", '[');
	for (unsigned i = 0; i < WEIR_LABELS_MOST && def->labels[i]; i++)
		json_put_text(out, NULL, def->labels[i]);
	json_close(out, ']');
	json_put_text(out, "help", def->help);
	json_close(out, '}');
	return 0;
}

void metrics_describe(const struct metrics *metrics, bool json, struct buf *out)
{
	if (!json) {
		weir_metrics_each(metrics->all, describe, out);
		return;
	}
	json_open(out, NULL, '[');
	weir_metrics_each(metrics->all, describe_json, out);
	json_close(out, ']');
	buf_add_char(out, '\n');
}
