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
	double share = bench_row_per_sec(place->row) / bench_row_at_most(place->report, place->row);
	if (!isfinite(share))
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

const struct bench_column bench_published_columns[] = {
	{"published", "jobs/s", 10, cell_published_rate},
	{"", "p95", 9, cell_published_p95},
	{"", "memory", 9, cell_published_memory},
	{"", "CPU", 6, cell_published_cpu},
	{"", "recovery", 11, cell_published_recovery},
	{"at most/s", "any", 11, cell_any},
	{"", "uniform", 9, cell_range},
	{0},
};

const struct bench_column bench_published_heap_columns[] = {
	{"published", "took", 11, cell_published_took},
	{"", "heap", 14, cell_published_memory},
	{"at least", "took", 11, cell_range_took},
	{"", "with its tail", 15, cell_tail_took},
	{0},
};

const struct bench_column bench_speed_columns[] = {
	{"", "jobs", 11, cell_jobs},
	{"", "took", 11, cell_took},
	{"", "jobs/s", 9, cell_rate},
	{"", "bound/s", 9, cell_bound},
	{"", "of it", 9, cell_share},
	{"", "in flight", 10, cell_in_flight},
	{0},
};

const struct bench_column bench_time_columns[] = {
	{"service", "p50", 10, cell_service_p50},
	{"", "p95", 9, cell_service_p95},
	{"", "p99", 9, cell_service_p99},
	{"response", "p50", 10, cell_response_p50},
	{"", "p95", 9, cell_response_p95},
	{"", "p99", 9, cell_response_p99},
	{0},
};

const struct bench_column bench_cost_columns[] = {
	{"memory", "peak", 12, cell_peak},
	{"", "mean", 11, cell_mean},
	{" ", "CPU", 8, cell_cpu},
	{" ", "failed", 9, cell_failed},
	{"recovery", "took", 10, cell_recovery},
	{"", "saved", 8, cell_saved},
	{0},
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
