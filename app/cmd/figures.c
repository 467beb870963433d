/* SPDX-License-Identifier: MIT */
/*
 * See figures.h.  To add a figure: a row.  Its name in JSON is that of the table, and its unit behind it.
 *
 * Some figures are there only while they mean something: a time that is left, the disk that is full.
 */
#include "cmd/figures.h"

#include "cmd/bottleneck.h"
#include "data/json_writer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <weir/weir.h>

static const char *const rates_from[] = {"none", "yours", "hint", "found"};

static double in_seconds(weir_nsec ns)
{
	return (double)ns / (double)WEIR_SEC;
}

static double in_ms(weir_nsec ns)
{
	return (double)ns / (double)WEIR_MSEC;
}

/* Of the children the largest one's peak: the system keeps no more of those that have ended. */
static double peak_bytes(void)
{
	struct rusage self, children;
	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	return ((double)self.ru_maxrss + (double)children.ru_maxrss) * 1024;
}

static double per_second(const struct report *report)
{
	double wall = report_wall_seconds();
	return wall > 0 ? (double)report_settled_here(report) / wall : 0;
}

/* --- the tables: table, name, unit, metric, kind, when there is one, value, help --- */

/* clang-format off */
#define RUN_FIGURES(X)                                                                                                 \
	X(run, state, NULL, NULL, TEXT, true, engine_state_name(now->state),                                           \
	  "running, draining, failed, done or stopped.")                                                               \
	X(run, reason, NULL, NULL, TEXT, now->reason, now->reason, "Why the run ended early.")                         \
	X(run, read, NULL, "items_read_total", COUNTER, true, (double)now->read, "Items read from the source.")        \
	X(run, succeeded, NULL, "items_succeeded_total", COUNTER, true, (double)now->succeeded,                        \
	  "Items whose outputs are in the sink.")                                                                      \
	X(run, dead, NULL, "items_dead", GAUGE, true, (double)now->dead, "Items that failed for good.")                \
	X(run, dropped, NULL, "items_dropped_total", COUNTER, true, (double)now->dropped, "Items without an output.")  \
	X(run, unfinished, NULL, "items_unfinished", GAUGE, true, (double)now->unfinished,                             \
	  "Items read and not settled.")                                                                               \
	X(run, retries, NULL, "", COUNTER, true,   (double)now->retries, "Retries.")                                   \
	X(run, attempts, NULL, NULL, COUNTER, true, (double)now->attempts, "Attempts that count towards the maximum.") \
	X(run, refused, NULL, "attempts_refused_total", COUNTER, true, (double)now->refused,                           \
	  "Attempts that a limit refused.")                                                                            \
	X(run, in_flight, NULL, "items_in_flight", GAUGE, true, (double)now->in_flight, "Items in the steps.")         \
	X(run, in_line, NULL, "items_in_line", GAUGE, true, (double)now->in_line,                                      \
	  "Items that are queued before an upstream.")                                                                 \
	X(run, waiting, NULL, "items_waiting_to_retry", GAUGE, true, (double)now->waiting, "Items waiting to retry.")  \
	X(run, concurrency, NULL, "concurrency_limit", GAUGE, true, (double)now->concurrency,                          \
	  "Maximum items in flight.")                                                                                  \
	X(run, per_s, NULL, "items_per_second", GAUGE, true, report->rate, "Items settled a second, recently.")        \
	X(run, items_per_s, NULL, "", GAUGE, true, per_second(report), "Items settled a second, since the start.")     \
	X(run, wall, "s", "uptime_seconds", GAUGE, true, report_wall_seconds(), "Time since the start.")               \
	X(run, cpu, "s", "process_cpu_seconds_total", COUNTER, true, report_cpu_seconds(),                                    \
	  "Processor time, ended children included.")                                                                  \
	X(run, peak_rss, "bytes", "process_peak_memory_bytes", GAUGE, true, peak_bytes(),                              \
	  "Peak memory, with the largest child's.")                                                                    \
	X(run, source_stalled, "s", NULL, COUNTER, true, in_seconds(now->source_stalled),                              \
	  "Time that the source waited for room in the broker.")                                                       \
	X(run, put_wait, "s", NULL, GAUGE, true, in_seconds(now->put_wait),                                            \
	  "Time that the source has been waiting for room in the broker; 0: it is not.")                               \
	X(run, filled, NULL, "broker_filled_ratio", GAUGE, true, now->filled,                                          \
	  "Share of the room of the broker in use, 0 to 1.")                                                           \
	X(run, workers_stalled, "s", NULL, COUNTER, true, in_seconds(now->workers_stalled),                            \
	  "Time that workers waited for a sink, in total.")                                                            \
	X(run, workers_starved, "s", NULL, COUNTER, true, in_seconds(now->workers_starved),                            \
	  "Time that the broker had no item for a free worker.")                                                       \
	X(run, written, NULL, "items_written_total", COUNTER, true, (double)now->written,                              \
	  "Items whose outputs were written to a sink.")                                        \
	X(run, settled_before, NULL, "items_settled_before", GAUGE, true, (double)now->settled_before,                 \
	  "Items settled in earlier runs.")                                                                            \
	X(run, resumed, NULL, NULL, FLAG, true, now->resumed, "Whether the run resumes an earlier one.")               \
	X(run, was_done, NULL, "", FLAG, true, now->was_done, "Whether everything was done before the run began.")     \
	X(run, letters, NULL, "dead_letters", GAUGE, true, (double)now->letters, "Dead letters that the state keeps.") \
	X(run, stored, "bytes", "state_bytes", GAUGE, now->durable, (double)now->stored_bytes, "Size of the state.")   \
	X(run, degraded, NULL, NULL, FLAG, now->durable, now->degraded, "Whether the run waits for disk space.")       \
	X(run, source_position, NULL, NULL, GAUGE, now->position, (double)now->position,                               \
	  "Position in the source of the item that was read last: its line, row or number.")                           \
	X(run, leases_reaped, NULL, "fleet_leases_reaped_total", COUNTER, true, (double)now->reaped,                   \
	  "Leases of dead workers that this worker gave back to all.")                                                 \
	X(run, leases_fenced, NULL, "fleet_leases_fenced_total", COUNTER, true, (double)now->fenced,                   \
	  "Leases that this worker lost because others took it for dead.")                                             \
	X(run, total, NULL, "items_expected", GAUGE, now->total >= 0, (double)now->total, "Total number of items.")    \
	X(run, total_exact, NULL, "", FLAG, now->total >= 0, now->total_exact, "Whether that is exact.")               \
	X(run, eta, "s", NULL, GAUGE, report_eta(report) >= 0, report_eta(report),                                     \
	  "Estimated time until everything is settled.")

#define FLOW_FIGURES(X)                                                                                                \
	X(flow, pattern, NULL, NULL, TEXT, true, weir_pattern_name((enum weir_pattern)flow->pattern),                  \
	  "Pattern of the flow.")                                                                                      \
	X(flow, concurrency, NULL, "", GAUGE, true, (double)flow->concurrency,                                         \
	  "Maximum items in flight, over all upstreams.")                                                              \
	X(flow, auto, NULL, "concurrency_is_found", FLAG, true, flow->adaptive,                                        \
	  "Whether weir adapts the concurrency.")                                                                      \
	X(flow, paused, NULL, NULL, FLAG, true, flow->paused, "Whether the run is paused.")                            \
	X(flow, pause, NULL, NULL, TEXT, flow->pause[0], flow->pause, "Why a step has paused the run.")                \
	X(flow, rate, NULL, "", GAUGE, true, flow->per_sec, "Rate limit of the upstream, calls a second; 0: none.")    \
	X(flow, rate_from, NULL, NULL, TEXT, true, rates_from[flow->rate_from],                                        \
	  "Origin of the rate limit: none, yours, hint (of the server) or found.")                                     \
	X(flow, own_rate, NULL, NULL, TEXT, report->own_rate[0], report->own_rate, "The configured rate.")             \
	X(flow, throttled, NULL, "", COUNTER, true, (double)flow->throttled, "Answers 429.")                           \
	X(flow, breaker, NULL, NULL, TEXT, true, weir_breaker_state_name(flow->breaker),                               \
	  "State of the breaker: closed, open or half open.")                                                          \
	X(flow, breaker_opened, NULL, "", COUNTER, true, (double)flow->breaker_opened, "How often a breaker opened.")  \
	X(flow, breakers_open, NULL, NULL, GAUGE, true, (double)flow->breakers_open, "Breakers that are open.")        \
	X(flow, why, NULL, NULL, TEXT, true, engine_why_name(flow->why), "What limits the run now.")                   \
	X(flow, mostly, NULL, NULL, TEXT, true, engine_why_name(report->whole.cause),                                         \
	  "What limited the run most of the time.")                                                                    \
	X(flow, why_share, NULL, NULL, GAUGE, report->why.cause != WHY_END, report->why.share,                         \
	  "Share of the recent time for which that limits the run.")                                                   \
	X(flow, upstreams, NULL, NULL, GAUGE, true, (double)flow->gates, "Upstreams.")                                 \
	X(flow, upstream, NULL, NULL, TEXT, true, flow->upstream,                                                      \
	  "The upstream with the most waiting items, to which these figures belong.")                                  \
	X(flow, disk, NULL, NULL, TEXT, flow->disk[0], flow->disk, "The file that waits for disk space.")              \
	X(flow, shut, "s", "", GAUGE, flow->shut_until > weir_now(), in_seconds(flow->shut_until - weir_now()),        \
	  "Time until the upstream is called again.")                                                                  \
	X(flow, last_failure, NULL, NULL, TEXT, flow->last_failure[0], flow->last_failure,                             \
	  "Last failure of the upstream.")                                                                             \
	X(flow, trouble, NULL, NULL, TEXT, flow->trouble[0], flow->trouble,                                            \
	  "What is wrong with the upstream, in a sentence.")                                                           \
	X(flow, min_latency, "ms", "", GAUGE, flow->min_latency, in_ms(flow->min_latency),                             \
	  "Minimum latency of the upstream.")                                                                          \
	X(flow, budget_waits, NULL, "retry_budget_waits_total", COUNTER, true, (double)flow->budget_waits,             \
	  "How often a retry waited for flow.retry.budget.")                                                           \
	X(flow, memory, "bytes", "process_memory_bytes", GAUGE, flow->memory_bytes, (double)flow->memory_bytes,        \
	  "Memory in use.")                                                                                            \
	X(flow, choice, NULL, NULL, TEXT, flow->chosen, flow->choice, "What the pattern auto has chosen, and why.")

/* How long things took, and how much they were. */
#define TIME_FIGURES(X)                                                                                                \
	X(time, attempt, "ms", "attempt_duration_seconds", HISTOGRAM, true, now->attempt_ns,                           \
	  "An attempt: one pass of an item through the steps.")                                                        \
	X(time, item, "ms", "item_duration_seconds", HISTOGRAM, true, now->item_ns,                                    \
	  "An item, from being read to being settled.")                                                                \
	X(time, write, "ms", "sink_write_duration_seconds", HISTOGRAM, true, now->write_ns,                            \
	  "A write of a batch to a sink.")                                                                             \
	X(time, commit, "ms", "broker_commit_duration_seconds", HISTOGRAM, true, now->ack_ns,                          \
	  "A commit of settled items to the broker.")                                                                  \
	X(time, trip, "ms", "broker_round_trip_duration_seconds", HISTOGRAM, now->durable, now->trip_ns,               \
	  "A round trip to the broker: a transaction of the state, or a script in Redis.")                             \
	X(time, batch, "items", "sink_batch_items", HISTOGRAM, true, now->batch_items, "Items in a write to a sink.")
/* clang-format on */

#define FIELD_COUNTER   number
#define FIELD_GAUGE     number
#define FIELD_FLAG      flag
#define FIELD_TEXT      text
#define FIELD_HISTOGRAM histogram

#define GETTER(table, name, unit, metric, kind, condition, value, help)                                                \
	static bool get_##table##_##name(const void *object, union weir_figure_value *ret_value)                       \
	{                                                                                                              \
		const struct report *report = object;                                                                  \
		const struct engine_stats *now = &report->now;                                                         \
		const struct engine_flow *flow = &report->flow;                                                        \
		(void)now, (void)flow;                                                                                 \
		if (!(condition))                                                                                      \
			return false;                                                                                  \
		ret_value->FIELD_##kind = value;                                                                       \
		return true;                                                                                           \
	}
RUN_FIGURES(GETTER)
FLOW_FIGURES(GETTER)
TIME_FIGURES(GETTER)

#define ROW(table, name, unit, metric, kind, condition, value, help)                                                   \
	{#name, unit, WEIR_FIGURE_##kind, help, get_##table##_##name, metric},
const struct weir_figure figures_of_run[] = {RUN_FIGURES(ROW)};
const struct weir_figure figures_of_flow[] = {FLOW_FIGURES(ROW)};
const struct weir_figure figures_of_times[] = {TIME_FIGURES(ROW)};
const size_t figures_of_run_count = sizeof figures_of_run / sizeof figures_of_run[0];
const size_t figures_of_flow_count = sizeof figures_of_flow / sizeof figures_of_flow[0];
const size_t figures_of_times_count = sizeof figures_of_times / sizeof figures_of_times[0];

/* --- JSON --- */

static void put_number(struct buf *out, const char *name, double number)
{
	if (number == floor(number))
		json_put_real(out, name, number, 0);
	else
		json_put_real(out, name, number, 3);
}

static void put_value(struct buf *out, const char *name, const struct weir_figure *figure, int64_t value)
{
	if (!strcmp(figure->unit, "ms"))
		json_put_real(out, name, in_ms(value), 3);
	else
		json_put_int(out, name, value);
}

static void put_quantiles(struct buf *out, const char *name, const struct weir_figure *figure,
			  const struct weir_histogram *histogram)
{
	static const struct {
		const char *name;
		double q;
	} quantiles[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};
	json_open(out, name, '{');
	for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
		put_value(out, quantiles[i].name, figure, weir_histogram_quantile(histogram, quantiles[i].q));
	put_value(out, "max", figure, weir_histogram_max(histogram));
	json_close(out, '}');
}

/* Whether it may hold something of an item or an answer. */
static bool is_payload(const char *name)
{
	static const char *const names[] = {"last_failure", "trouble", "pause", "reason"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static void put_all(const struct weir_figure *figures, size_t n, const struct report *report, bool payload,
		    struct buf *out)
{
	for (const struct weir_figure *figure = figures; figure < figures + n; figure++) {
		union weir_figure_value value;
		char name[40];
		if (!figure->get(report, &value) || (!payload && is_payload(figure->name)))
			continue;
		snprintf(name, sizeof name, "%s%s%s", figure->name, figure->unit ? "_" : "",
			 figure->unit ? figure->unit : "");
		if (figure->kind == WEIR_FIGURE_TEXT)
			json_put_text(out, name, value.text);
		else if (figure->kind == WEIR_FIGURE_FLAG)
			json_put_bool(out, name, value.flag);
		else if (figure->kind == WEIR_FIGURE_HISTOGRAM)
			put_quantiles(out, name, figure, value.histogram);
		else
			put_number(out, name, value.number);
	}
}

/* Those that are to begin in time. */
static void put_classes(const struct engine_stats *now, struct buf *out)
{
	if (!now->class_count)
		return;
	json_open(out, "classes", '[');
	for (size_t i = 0; i < now->class_count; i++) {
		const struct engine_class *class = &now->classes[i];
		json_open(out, NULL, '{');
		json_put_int(out, "class", class->number);
		put_number(out, "sla_s", in_seconds(class->sla));
		json_put_uint(out, "begun", weir_histogram_count(class->waits));
		json_put_uint(out, "late", class->late);
		json_put_uint(out, "overtaken", class->overtaken);
		json_put_real(out, "wait_p50_ms", in_ms(weir_histogram_quantile(class->waits, 0.5)), 3);
		json_put_real(out, "wait_p99_ms", in_ms(weir_histogram_quantile(class->waits, 0.99)), 3);
		json_put_real(out, "wait_max_ms", in_ms(weir_histogram_max(class->waits)), 3);
		json_close(out, '}');
	}
	json_close(out, ']');
}

/* What items have died of in this process, the most frequent first; `weir dead` calls the causes groups. */
static void put_failures(const struct engine_stats *now, bool payload, struct buf *out)
{
	char id[16];
	if (!now->cause_count)
		return;
	json_open(out, "failures", '[');
	for (size_t i = 0; i < now->cause_count; i++) {
		snprintf(id, sizeof id, "%08x", now->causes[i].id);
		json_open(out, NULL, '{');
		json_put_text(out, "group", id);
		json_put_uint(out, "letters", now->causes[i].letters);
		if (payload)
			json_put_text(out, "example", now->causes[i].text);
		json_close(out, '}');
	}
	json_close(out, ']');
}

/* What limits the run in a sentence, and where the time went. */
static void put_bottleneck(const struct report *report, struct buf *out)
{
	struct buf sentence = {0};
	bottleneck_add_limit(report, &sentence);
	if (sentence.len)
		json_put_text(out, "bottleneck", sentence.data);
	buf_fini(&sentence);
	json_open(out, "time_s", '{');
	for (size_t i = 0; i < SPENT_PLACES; i++) {
		char name[32];
		snprintf(name, sizeof name, "%s", why_place_name((enum why_place)i));
		for (char *at = name; (at = strchr(at, ' '));)
			*at = '_';
		json_put_real(out, name, report->spent[i], 1);
	}
	json_close(out, '}');
}

static void put_figures(const struct report *report, bool payload, struct buf *out)
{
	put_all(figures_of_run, figures_of_run_count, report, payload, out);
	put_failures(&report->now, payload, out);
	json_open(out, "flow", '{');
	put_all(figures_of_flow, figures_of_flow_count, report, payload, out);
	put_bottleneck(report, out);
	put_classes(&report->now, out);
	json_close(out, '}');
}

void figures_json(const struct report *report, const char *event, bool payload, struct buf *out)
{
	json_open(out, NULL, '{');
	json_put_text(out, "event", event);
	json_put_text(out, "name", report->name);
	json_put_int(out, "pid", getpid());
	json_put_text(out, "run", report->now.run);
	if (report->where)
		json_put_text(out, "where", report->where);
	put_figures(report, payload, out);
	engine_figures(report->engine, out);
	if (report->url)
		json_put_text(out, "url", report->url);
	if (report->now.letters && report->where) {
		char hint[300];
		snprintf(hint, sizeof hint, "weir dead %s", report->where);
		json_put_text(out, "hint", hint);
	}
	json_close(out, '}');
}

void figures_summary(const struct report *report, int exit_code, struct buf *out)
{
	struct buf line = {0};
	json_open(&line, NULL, '{');
	json_put_uint(&line, "schema", 1);
	json_put_text(&line, "name", report->name);
	json_put_int(&line, "exit_code", exit_code);
	put_figures(report, true, &line);
	put_all(figures_of_times, figures_of_times_count, report, true, &line);
	json_close(&line, '}');
	json_indent(out, line.data ? line.data : "", line.len);
	buf_add_char(out, '\n');
	out->failed |= line.failed;
	buf_fini(&line);
}
