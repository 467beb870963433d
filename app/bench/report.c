/* SPDX-License-Identifier: MIT */
/* What all writers ask of a row, and the two plain forms: CSV and JSON. */
#include "bench/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/json_writer.h"

/* Whatever way rows take into PostgreSQL, COPY of the same rows is faster. */
static void bound_by_copy(const struct bench_report *report, struct bench_bound *bound)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct bench_row *copy = &report->rows[i];
		if (copy->variant->kind != BENCH_COPY || !copy->run)
			continue;
		bound->minimum = fmin(bound->minimum, bench_row_per_sec(copy));
		bound->steady = fmin(bound->steady, bench_row_per_sec(copy));
		bound->whole = fmin(bound->whole, bench_row_per_sec(copy));
		bound->seconds = fmax(bound->seconds, (double)copy->result.took / 1e9);
	}
}

static void bound_by_law(const struct bench_report *report, const struct bench_row *row, struct bench_bound *ret_bound)
{
	const struct bench_load without = {.jobs = report->load.jobs};
	bool calls = row->variant->kind != BENCH_COPY;
	bench_bound(&row->variant->shape, calls ? &report->load : &without, ret_bound);
	if (row->variant->kind == BENCH_POSTGRES || row->variant->kind == BENCH_FLEET)
		bound_by_copy(report, ret_bound);
}

void bench_row_bound(const struct bench_report *report, const struct bench_row *row, struct bench_bound *ret_bound)
{
	const struct bench_result *result = &row->result;
	const struct bench_shape *shape = &row->variant->shape;
	if (!report->own_urls) {
		bound_by_law(report, row, ret_bound);
		return;
	}
	/* Of times that nobody stated the mean is what was measured; so this is Little's law on what was seen. */
	double concurrency = shape->law == BENCH_LAW_ONCE ? (double)result->in_flight : (double)shape->concurrency;
	double mean = (double)result->service.mean / 1e9;
	double rate = shape->law == BENCH_LAW_RATE ? shape->per_sec : (double)INFINITY;
	concurrency = fmin(concurrency, (double)result->jobs);
	*ret_bound = (struct bench_bound){.minimum = (double)INFINITY, .whole = (double)NAN, .seconds = (double)NAN};
	ret_bound->steady = mean > 0 ? fmin(concurrency / mean, rate) : (double)INFINITY;
}

double bench_row_at_most(const struct bench_report *report, const struct bench_row *row)
{
	struct bench_bound bound;
	bench_row_bound(report, row, &bound);
	return isnan(bound.whole) ? bound.steady : bound.whole;
}

double bench_row_per_sec(const struct bench_row *row)
{
	const struct bench_result *result = &row->result;
	return row->run && result->took > 0 ? (double)result->jobs * 1e9 / (double)result->took : (double)NAN;
}

const char *bench_row_name(const struct bench_row *row, char text[static 64])
{
	if (row->peer)
		snprintf(text, 64, "%s (%s)", row->variant->name, row->peer);
	else
		snprintf(text, 64, "%s", row->variant->name);
	return text;
}

/* ---- one table of columns for both forms */

enum { COLUMNS_MOST = 64 };

struct column {
	const char *name;
	bool known;
	double number;
	const char *text; /* instead of a number */
};

struct columns {
	struct column column[COLUMNS_MOST];
	size_t n;
};

static void add_number(struct columns *columns, const char *name, double value)
{
	columns->column[columns->n++] = (struct column){name, isfinite(value), value, NULL};
}

static void add_text(struct columns *columns, const char *name, const char *text)
{
	columns->column[columns->n++] = (struct column){name, text != NULL, 0, text};
}

static void add_published(const struct bench_report *report, const struct bench_row *row,
			  struct bench_judgement *judgement, struct columns *columns)
{
	const struct bench_published *published = &row->variant->published;
	double per_sec = bench_published_per_sec(report->scenario, row->variant);
	bool any = per_sec > 0 && !row->peer && !report->own_urls;
	bench_judge_variant(report->scenario, row->variant, judgement);
	add_number(columns, "published_per_sec", any ? per_sec : (double)NAN);
	add_number(columns, "published_p95_s", any && published->p95 ? (double)published->p95 / 1e9 : (double)NAN);
	add_number(columns, "published_memory_bytes",
		   any && published->memory_bytes > 0 ? published->memory_bytes : (double)NAN);
	add_number(columns, "published_cpu", any && published->cpu > 0 ? published->cpu : (double)NAN);
	add_text(columns, "published_recovery", any ? published->recovery : NULL);
	add_number(columns, "published_failed",
		   any && report->scenario->form == BENCH_FORM_ORDERS ? published->failed : (double)NAN);
	add_text(columns, "verdict", any ? bench_verdict_name(judgement->verdict) : NULL);
	add_number(columns, "verdict_limit_per_sec", any ? judgement->limit : (double)NAN);
	add_text(columns, "verdict_because", any ? judgement->because : NULL);
}

static void add_bound(const struct bench_report *report, const struct bench_row *row, struct columns *columns)
{
	struct bench_bound bound;
	bench_row_bound(report, row, &bound);
	add_number(columns, "bound_minimum_per_sec", bound.minimum);
	add_number(columns, "bound_steady_per_sec", bound.steady);
	add_number(columns, "bound_whole_per_sec", bound.whole);
	add_number(columns, "bound_seconds", bound.seconds);
}

static void add_times(const struct bench_times *times, const char *const names[static 5], struct columns *columns)
{
	const weir_nsec values[] = {times->mean, times->p50, times->p95, times->p99, times->most};
	for (int i = 0; i < 5; i++)
		add_number(columns, names[i], times->most ? (double)values[i] / 1e9 : (double)NAN);
}

static void add_recovery(const struct bench_row *row, struct columns *columns)
{
	const struct bench_recovery *recovery = &row->recovery;
	bool tried = recovery->tried, before = tried && recovery->before > 0;
	add_number(columns, "recovery_fault_s", tried ? (double)(recovery->to - recovery->from) / 1e9 : (double)NAN);
	add_number(columns, "recovery_before_per_sec", before ? recovery->before : (double)NAN);
	add_number(columns, "recovery_s", before && recovery->took >= 0 ? (double)recovery->took / 1e9 : (double)NAN);
	add_text(columns, "recovery", !before ? NULL : recovery->took >= 0 ? "recovered" : "not within the run");
	add_number(columns, "recovery_jobs_hit", tried ? (double)recovery->hit : (double)NAN);
	add_number(columns, "recovery_share_saved",
		   tried && recovery->hit ? (double)recovery->saved / (double)recovery->hit : (double)NAN);
}

static void add_measured(const struct bench_report *report, const struct bench_row *row, struct columns *columns)
{
	static const char *const service[] = {"service_mean_s", "service_p50_s", "service_p95_s", "service_p99_s",
					      "service_max_s"};
	static const char *const response[] = {"response_mean_s", "response_p50_s", "response_p95_s", "response_p99_s",
					       "response_max_s"};
	static const char *const errors[] = {"errors_5xx",     "errors_429",   "errors_4xx",      "errors_timeout",
					     "errors_connect", "errors_reset", "errors_database", "errors_other"};
	const struct bench_result *result = &row->result;
	add_number(columns, "jobs", (double)result->jobs);
	add_number(columns, "succeeded", (double)result->succeeded);
	add_number(columns, "failed", (double)result->failed);
	add_number(columns, "attempts", (double)result->attempts);
	add_number(columns, "took_s", (double)result->took / 1e9);
	add_number(columns, "per_sec", bench_row_per_sec(row));
	add_number(columns, "most_in_flight", (double)result->in_flight);
	add_times(&result->service, service, columns);
	add_times(&result->response, response, columns);
	add_number(columns, "idle_bytes", result->idle_bytes);
	add_number(columns, "peak_bytes_above_idle", result->peak_bytes);
	add_number(columns, "mean_bytes_above_idle", result->mean_bytes);
	add_number(columns, "cpu_seconds", result->cpu_seconds);
	add_number(columns, "cpu", report->model ? (double)NAN : result->cpu_seconds * 1e9 / (double)result->real_took);
	add_number(columns, "real_s", (double)result->real_took / 1e9);
	for (int i = 0; i < BENCH_CAUSE_COUNT; i++)
		add_number(columns, errors[i], (double)result->errors[i]);
	_Static_assert(sizeof errors / sizeof errors[0] == BENCH_CAUSE_COUNT, "a name for each cause");
}

/* judgement: memory for the texts of the columns. */
static void fill_columns(const struct bench_report *report, const struct bench_row *row,
			 struct bench_judgement *judgement, struct columns *columns)
{
	columns->n = 0;
	add_text(columns, "pattern", row->variant->name);
	add_text(columns, "by", row->peer ? row->peer : "weir");
	add_text(columns, "mode", report->mode);
	add_published(report, row, judgement, columns);
	add_bound(report, row, columns);
	add_measured(report, row, columns);
	if (!row->run)
		for (size_t i = columns->n - 1; strcmp(columns->column[i].name, "bound_seconds") != 0; i--)
			columns->column[i].known = false;
	add_recovery(row, columns);
	add_text(columns, "note", row->result.note[0] ? row->result.note : NULL);
}

/* ---- CSV (RFC 4180) */

static void add_csv_text(struct buf *out, const char *text)
{
	buf_add_char(out, '"');
	for (; *text; text++) {
		if (*text == '"')
			buf_add_char(out, '"');
		buf_add_char(out, *text);
	}
	buf_add_char(out, '"');
}

void bench_write_csv(const struct bench_report *report, struct buf *out)
{
	struct columns columns;
	struct bench_judgement judgement;
	for (size_t r = 0; r < report->count; r++) {
		fill_columns(report, &report->rows[r], &judgement, &columns);
		for (size_t i = 0; r == 0 && i < columns.n; i++)
			buf_addf(out, "%s%s", i ? "," : "", columns.column[i].name);
		buf_add_str(out, r ? "" : "\r\n");
		for (size_t i = 0; i < columns.n; i++) {
			const struct column *column = &columns.column[i];
			buf_add_str(out, i ? "," : "");
			if (column->known && column->text)
				add_csv_text(out, column->text);
			else if (column->known)
				buf_addf(out, "%.9g", column->number);
		}
		buf_add_str(out, "\r\n");
	}
}

/* ---- JSON */

static void put_number(struct buf *out, const char *name, double value)
{
	char text[32];
	json_put_raw(out, name, text, (size_t)snprintf(text, sizeof text, "%.9g", value));
}

static void put_series(struct buf *out, const char *name, const struct bench_series *series)
{
	json_open(out, name, '{');
	put_number(out, "step_s", (double)series->step / 1e9);
	json_open(out, "values", '[');
	for (size_t i = 0; i < series->used; i++)
		json_put_real(out, NULL, series->value[i], 0);
	json_close(out, ']');
	json_close(out, '}');
}

static void put_row(const struct bench_report *report, const struct bench_row *row, struct buf *out)
{
	struct columns columns;
	struct bench_judgement judgement;
	fill_columns(report, row, &judgement, &columns);
	json_open(out, NULL, '{');
	for (size_t i = 0; i < columns.n; i++) {
		const struct column *column = &columns.column[i];
		if (!column->known || column->text)
			json_put_text(out, column->name, column->known ? column->text : NULL);
		else
			put_number(out, column->name, column->number);
	}
	if (row->run) {
		put_series(out, "memory_bytes_above_idle", &row->result.memory);
		put_series(out, "succeeded_in_step", &row->result.ended);
	}
	json_close(out, '}');
}

void bench_write_json(const struct bench_report *report, struct buf *out)
{
	json_open(out, NULL, '{');
	json_put_text(out, "weir", WEIR_VERSION);
	json_put_text(out, "when", report->when);
	json_put_text(out, "machine", report->machine);
	json_put_text(out, "scenario", report->scenario->name);
	json_put_text(out, "mode", report->mode);
	json_put_uint(out, "seed", report->seed);
	json_open(out, "load", '{');
	json_put_uint(out, "jobs", report->load.jobs);
	put_number(out, "low_s", (double)report->load.low / 1e9);
	put_number(out, "high_s", (double)report->load.high / 1e9);
	put_number(out, "errors", report->load.errors);
	json_close(out, '}');
	json_open(out, "rows", '[');
	for (size_t i = 0; i < report->count; i++)
		put_row(report, &report->rows[i], out);
	buf_add_str(out, "]}\n");
}
