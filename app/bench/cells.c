/* SPDX-License-Identifier: MIT */
/* The cells of the tables, for the terminal and the page alike, and which of them stand in which table. */
#include "bench/cells.h"

#include <math.h>
#include <stdio.h>

#include "bench/text.h"

static const char none[] = "-";

/* ---- cells */

static const struct bench_published *published(const struct bench_place *place)
{
	return &place->row->variant->published;
}

static const char *cell_published_rate(const struct bench_place *place, char text[static 32])
{
	return bench_text_count(bench_published_per_sec(place->report->scenario, place->row->variant), text);
}

static const char *cell_published_took(const struct bench_place *place, char text[static 32])
{
	return bench_text_took((weir_nsec)(published(place)->seconds * 1e9), text);
}

static const char *cell_published_p95(const struct bench_place *place, char text[static 32])
{
	return published(place)->p95 ? bench_text_time(published(place)->p95, text) : none;
}

static const char *cell_published_memory(const struct bench_place *place, char text[static 32])
{
	return published(place)->memory_bytes > 0 ? bench_text_bytes(published(place)->memory_bytes, text) : none;
}

static const char *cell_published_cpu(const struct bench_place *place, char text[static 32])
{
	return published(place)->cpu > 0 ? bench_text_percent(published(place)->cpu, text) : none;
}

static const char *cell_published_recovery(const struct bench_place *place, char text[static 32])
{
	(void)text;
	return published(place)->recovery ? published(place)->recovery : none;
}

/* Of the article's load, which this run's may differ from. */
static struct bench_bound article_bound(const struct bench_place *place)
{
	struct bench_bound bound;
	bench_bound(&place->row->variant->shape, &place->report->scenario->load, &bound);
	return bound;
}

static const char *cell_any(const struct bench_place *place, char text[static 32])
{
	return bench_text_count(article_bound(place).minimum, text);
}

static const char *cell_range(const struct bench_place *place, char text[static 32])
{
	return bench_text_count(article_bound(place).steady, text);
}

static const char *cell_range_took(const struct bench_place *place, char text[static 32])
{
	const struct bench_bound bound = article_bound(place);
	return bench_text_took((weir_nsec)((double)place->report->scenario->load.jobs * 1e9 / bound.steady), text);
}

static const char *cell_tail_took(const struct bench_place *place, char text[static 32])
{
	return bench_text_took((weir_nsec)(article_bound(place).seconds * 1e9), text);
}

static const char *cell_published_failed(const struct bench_place *place, char text[static 32])
{
	return bench_text_percent(published(place)->failed, text);
}

static const char *cell_jobs(const struct bench_place *place, char text[static 32])
{
	return bench_text_count((double)place->row->result.jobs, text);
}

static const char *cell_took(const struct bench_place *place, char text[static 32])
{
	return bench_text_took(place->row->result.took, text);
}

static const char *cell_rate(const struct bench_place *place, char text[static 32])
{
	return bench_text_count(bench_row_per_sec(place->row), text);
}

static const char *cell_bound(const struct bench_place *place, char text[static 32])
{
	return bench_text_count(bench_row_at_most(place->report, place->row), text);
}

static const char *cell_share(const struct bench_place *place, char text[static 32])
{
	double most = bench_row_at_most(place->report, place->row), share = bench_row_per_sec(place->row) / most;
	if (!isfinite(share) || !isfinite(most))
		return none;
	snprintf(text, 32, "%.1f %%", share * 100);
	return text;
}

static const char *cell_in_flight(const struct bench_place *place, char text[static 32])
{
	size_t in_flight = place->row->result.in_flight; /* peers do not say */
	return in_flight ? bench_text_count((double)in_flight, text) : none;
}

#define TIME_CELL(name, times, field)                                                                                  \
	static const char *name(const struct bench_place *place, char text[static 32])                                 \
	{                                                                                                              \
		return bench_text_time(place->row->result.times.field, text);                                          \
	}
TIME_CELL(cell_service_p50, service, p50)
TIME_CELL(cell_service_p95, service, p95)
TIME_CELL(cell_service_p99, service, p99)
TIME_CELL(cell_response_p50, response, p50)
TIME_CELL(cell_response_p95, response, p95)
TIME_CELL(cell_response_p99, response, p99)

static const char *cell_peak(const struct bench_place *place, char text[static 32])
{
	return bench_text_bytes(place->row->result.peak_bytes, text);
}

static const char *cell_mean(const struct bench_place *place, char text[static 32])
{
	return bench_text_bytes(place->row->result.mean_bytes, text);
}

static const char *cell_cpu(const struct bench_place *place, char text[static 32])
{
	const struct bench_result *result = &place->row->result;
	if (place->report->model)
		snprintf(text, 32, "%.2f s", result->cpu_seconds);
	else
		bench_text_percent(result->cpu_seconds * 1e9 / (double)result->real_took, text);
	return text;
}

static const char *cell_failed(const struct bench_place *place, char text[static 32])
{
	return bench_text_count((double)place->row->result.failed, text);
}

static const char *cell_failed_share(const struct bench_place *place, char text[static 32])
{
	const struct bench_result *result = &place->row->result;
	return bench_text_percent((double)result->failed / (double)result->jobs, text);
}

static const char *cell_bound_took(const struct bench_place *place, char text[static 32])
{
	struct bench_bound bound;
	bench_row_bound(place->report, place->row, &bound);
	return bound.seconds > 0 ? bench_text_took((weir_nsec)(bound.seconds * 1e9), text) : none;
}

static const char *cell_cpu_seconds(const struct bench_place *place, char text[static 32])
{
	snprintf(text, 32, "%.2f s", place->row->result.cpu_seconds);
	return text;
}

static const char *cell_recovery(const struct bench_place *place, char text[static 32])
{
	const struct bench_recovery *recovery = &place->row->recovery;
	if (!recovery->tried || recovery->before <= 0)
		return none;
	return recovery->took < 0 ? "never" : bench_text_time(recovery->took, text);
}

static const char *cell_saved(const struct bench_place *place, char text[static 32])
{
	const struct bench_recovery *recovery = &place->row->recovery;
	if (!recovery->tried || !recovery->hit)
		return none;
	return bench_text_percent((double)recovery->saved / (double)recovery->hit, text);
}

/* ---- tables */

static const struct bench_column published_columns[] = {
	{"published", "jobs/s", 10, cell_published_rate},
	{"", "p95", 9, cell_published_p95},
	{"", "memory", 9, cell_published_memory},
	{"", "CPU", 6, cell_published_cpu},
	{"", "recovery", 11, cell_published_recovery},
	{"at most/s", "any", 11, cell_any},
	{"", "uniform", 9, cell_range},
	{0},
};

static const struct bench_column published_heap_columns[] = {
	{"published", "took", 11, cell_published_took},
	{"", "heap", 14, cell_published_memory},
	{"at least", "took", 11, cell_range_took},
	{"", "with its tail", 15, cell_tail_took},
	{0},
};

static const struct bench_column speed_columns[] = {
	{"", "jobs", 11, cell_jobs},
	{"", "took", 11, cell_took},
	{"", "jobs/s", 9, cell_rate},
	{"", "bound/s", 9, cell_bound},
	{"", "of it", 9, cell_share},
	{"", "in flight", 10, cell_in_flight},
	{0},
};

static const struct bench_column time_columns[] = {
	{"service", "p50", 10, cell_service_p50},
	{"", "p95", 9, cell_service_p95},
	{"", "p99", 9, cell_service_p99},
	{"response", "p50", 10, cell_response_p50},
	{"", "p95", 9, cell_response_p95},
	{"", "p99", 9, cell_response_p99},
	{0},
};

static const struct bench_column cost_columns[] = {
	{"memory", "peak", 12, cell_peak},
	{"", "mean", 11, cell_mean},
	{" ", "CPU", 8, cell_cpu},
	{" ", "failed", 9, cell_failed},
	{"recovery", "took", 10, cell_recovery},
	{"", "saved", 8, cell_saved},
	{0},
};

static const struct bench_column published_orders_columns[] = {
	{"published", "took", 11, cell_published_took},
	{"", "memory", 10, cell_published_memory},
	{"", "failed", 9, cell_published_failed},
	{"at least", "took", 11, cell_tail_took},
	{0},
};

static const struct bench_column orders_speed_columns[] = {
	{"", "orders", 10, cell_jobs},
	{"", "took", 11, cell_took},
	{"", "at least", 10, cell_bound_took},
	{"", "orders/s", 10, cell_rate},
	{"", "bound/s", 9, cell_bound},
	{"", "of it", 9, cell_share},
	{0},
};

static const struct bench_column orders_cost_columns[] = {
	{"memory", "peak", 12, cell_peak},
	{"", "mean", 11, cell_mean},
	{"CPU", "time", 10, cell_cpu_seconds},
	{"", "of a core", 11, cell_cpu},
	{"failed", "orders", 9, cell_failed},
	{"", "share", 8, cell_failed_share},
	{0},
};

struct bench_tables bench_tables_of(const struct bench_scenario *scenario)
{
	struct bench_tables tables = {published_columns, speed_columns, cost_columns, time_columns};
	if (scenario->form == BENCH_FORM_HEAP)
		tables.published = published_heap_columns;
	if (scenario->form == BENCH_FORM_ORDERS)
		tables = (struct bench_tables){published_orders_columns, orders_speed_columns, orders_cost_columns,
					       NULL};
	return tables;
}

const char *const bench_orders_legend[] = {
	"Bound: Little's law on the latency and, if it was run, COPY of the same rows into the same table.",
	"Time counts from the start of the command; with Python from its first order.",
	"Memory is the sum over all processes of a row (PSS), without the mock and the database server.",
	NULL,
};

/* Which rows stand in a table. */
bool bench_is_published(const struct bench_place *place)
{
	return !place->row->peer && !place->report->own_urls &&
	       bench_published_per_sec(place->report->scenario, place->row->variant) > 0;
}

bool bench_any_published(const struct bench_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		if (bench_is_published(&(struct bench_place){report, &report->rows[i]}))
			return true;
	return false;
}
