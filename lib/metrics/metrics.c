/* SPDX-License-Identifier: MIT */
/*
 * The registry: declaring metrics and finding their series.
 *
 * A metric without labels has one series, made with it.  One with labels has a table of at most `limit`
 * series and, made with it, the series "other" for all the rest: so a look-up can neither fail nor grow without end.
 * Series are never removed; their addresses are the handles.
 */
#include "metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- series */

static void series_free(struct weir_metric *metric, struct series *series)
{
	if (series && metric->def->kind == WEIR_HISTOGRAM)
		weir_histogram_free(series->histogram);
	free(series);
}

static size_t values_bytes(const struct weir_metric *metric, const char *const *values)
{
	size_t bytes = 0;
	for (unsigned i = 0; i < metric->labels; i++)
		bytes += strlen(values[i]) + 1;
	return bytes;
}

/* NULL if out of memory. */
static struct series *series_new(struct weir_metric *metric, const char *const *values)
{
	struct series *series = calloc(1, sizeof *series + values_bytes(metric, values));
	if (!series)
		return NULL;
	if (metric->def->kind == WEIR_HISTOGRAM && weir_histogram_new(&series->histogram)) {
		free(series);
		return NULL;
	}
	char *at = series->values;
	for (unsigned i = 0; i < metric->labels; i++)
		at = stpcpy(at, values[i]) + 1;
	return series;
}

/* The NULs between the values included.  Without a seed: no series is ever removed, so each has its place for good. */
static uint64_t hash_of(const struct weir_metric *metric, const char *const *values)
{
	uint64_t hash = WEIR_HASH;
	for (unsigned i = 0; i < metric->labels; i++)
		hash = weir_hash(hash, values[i], strlen(values[i]) + 1);
	return hash ^ hash >> 32;
}

static bool has_values(const struct weir_metric *metric, const struct series *series, const char *const *values)
{
	const char *at = series->values;
	for (unsigned i = 0; i < metric->labels; i++) {
		if (strcmp(at, values[i]) != 0)
			return false;
		at += strlen(at) + 1;
	}
	return true;
}

static bool has_long_value(const struct weir_metric *metric, const char *const *values)
{
	for (unsigned i = 0; i < metric->labels; i++)
		if (strnlen(values[i], WEIR_LABEL_BYTES + 1) > WEIR_LABEL_BYTES)
			return true;
	return false;
}

static struct series *find_series(const struct weir_metric *metric, const char *const *values, uint64_t hash)
{
	for (struct weir_table_node *node = weir_table_find(&metric->table, hash); node;
	     node = weir_table_again(node)) {
		struct series *series = (struct series *)((char *)node - offsetof(struct series, node));
		if (has_values(metric, series, values))
			return series;
	}
	return NULL;
}

/* Makes a series and appends it; NULL where there is no room. */
static struct series *add_series(struct weir_metric *metric, const char *const *values, uint64_t hash)
{
	if (metric->series_count >= metric->limit || weir_table_reserve(&metric->table))
		return NULL;
	struct series *series = series_new(metric, values);
	if (!series)
		return NULL;
	weir_table_add(&metric->table, &series->node, hash);
	STAILQ_INSERT_TAIL(&metric->series, series, next);
	metric->series_count++;
	return series;
}

static struct series *find(struct weir_metric *metric, const char *const *values)
{
	if (!metric->labels)
		return metric->other;
	struct series *series = NULL;
	if (!has_long_value(metric, values)) {
		uint64_t hash = hash_of(metric, values);
		series = find_series(metric, values, hash);
		if (!series && !has_values(metric, metric->other, values))
			series = add_series(metric, values, hash);
	}
	if (series)
		return series;
	metric->overflow++;
	return metric->other;
}

#define require_kind(metric, of_kind)                                                                                  \
	weir__require((metric)->def->kind == (of_kind), NULL, "%s: this metric is of another kind", __func__)

struct weir_counter *weir_metric_counter(struct weir_metric *metric, const char *const *values)
{
	require_kind(metric, WEIR_COUNTER);
	return &find(metric, values)->counter;
}

struct weir_gauge *weir_metric_gauge(struct weir_metric *metric, const char *const *values)
{
	require_kind(metric, WEIR_GAUGE);
	return &find(metric, values)->gauge;
}

struct weir_histogram *weir_metric_histogram(struct weir_metric *metric, const char *const *values)
{
	require_kind(metric, WEIR_HISTOGRAM);
	return find(metric, values)->histogram;
}

/* ---- metrics */

static void metric_free(struct weir_metric *metric)
{
	struct series *series;
	while ((series = STAILQ_FIRST(&metric->series))) {
		STAILQ_REMOVE_HEAD(&metric->series, next);
		series_free(metric, series);
	}
	series_free(metric, metric->other);
	weir_table_fini(&metric->table);
	if (metric->figure)
		free((void *)(uintptr_t)metric->def);
	free(metric);
}

static struct weir_metric *metric_new(const struct weir_metric_def *def)
{
	static const char *const others[WEIR_LABELS_MOST] = {"other", "other", "other", "other"};
	struct weir_metric *metric = calloc(1, sizeof *metric);
	if (!metric)
		return NULL;
	STAILQ_INIT(&metric->series);
	metric->def = def;
	metric->labels = weir__metric_labels(def);
	metric->limit = def->limit ? def->limit : WEIR_SERIES_LIMIT;
	metric->other = series_new(metric, others);
	if (metric->other)
		return metric;
	metric_free(metric);
	return NULL;
}

/* The n that were added last. */
static void drop(struct weir_metrics *metrics, size_t n)
{
	while (n--) {
		struct weir_metric *metric = TAILQ_LAST(&metrics->metrics, metric_list);
		TAILQ_REMOVE(&metrics->metrics, metric, others);
		metric_free(metric);
	}
}

/* 0 and the metric, which is the last now. */
static int append(struct weir_metrics *metrics, const struct weir_metric_def *def)
{
	int code = weir__metric_def_check(metrics, def);
	struct weir_metric *metric = code ? NULL : metric_new(def);
	if (!metric)
		return code ? code : WEIR_ENOMEM;
	TAILQ_INSERT_TAIL(&metrics->metrics, metric, others);
	return 0;
}

int weir_metrics_add(struct weir_metrics *metrics, const struct weir_metric_def *defs, size_t n,
		     struct weir_metric **ret_metrics)
{
	for (size_t i = 0; i < n; i++) {
		int code = append(metrics, &defs[i]);
		if (code) {
			drop(metrics, i);
			return code;
		}
	}
	struct weir_metric *metric = TAILQ_LAST(&metrics->metrics, metric_list);
	for (size_t i = n; i-- > 0; metric = TAILQ_PREV(metric, metric_list, others))
		ret_metrics[i] = metric;
	return 0;
}

/* ---- figures */

/* "weir_" and "source_stalled" in "s", a counter: weir_source_stalled_seconds_total.  The name lies behind the def. */
static struct weir_metric_def *def_of(const char *prefix, const struct weir_figure *figure)
{
	const char *unit = figure->unit ? figure->unit : "";
	bool counts = figure->kind == WEIR_FIGURE_COUNTER;
	bool is_time = !strcmp(unit, "s") || !strcmp(unit, "ms");
	char name[160];
	if (figure->metric)
		snprintf(name, sizeof name, "%s%s", prefix, figure->metric);
	else
		snprintf(name, sizeof name, "%s%s%s%s%s", prefix, figure->name, *unit ? "_" : "",
			 is_time ? "seconds" : unit, counts ? "_total" : "");
	size_t bytes = strlen(name) + 1;
	struct weir_metric_def *def = calloc(1, sizeof *def + bytes);
	if (!def)
		return NULL;
	def->name = memcpy(def + 1, name, bytes);
	def->help = figure->help;
	def->kind = counts ? WEIR_COUNTER : figure->kind == WEIR_FIGURE_HISTOGRAM ? WEIR_HISTOGRAM : WEIR_GAUGE;
	return def;
}

static int show(struct weir_metrics *metrics, const char *prefix, const struct weir_figure *figure, const void *object)
{
	struct weir_metric_def *def = def_of(prefix, figure);
	int code = def ? append(metrics, def) : WEIR_ENOMEM;
	if (code) {
		free(def);
		return code;
	}
	struct weir_metric *metric = TAILQ_LAST(&metrics->metrics, metric_list);
	metric->figure = figure;
	metric->object = object;
	return 0;
}

int weir_metrics_show(struct weir_metrics *metrics, const char *prefix, const struct weir_figure *figures, size_t n,
		      const void *object)
{
	size_t shown = 0;
	for (size_t i = 0; i < n; i++) {
		if (figures[i].kind == WEIR_FIGURE_TEXT || (figures[i].metric && !*figures[i].metric))
			continue;
		int code = show(metrics, prefix, &figures[i], object);
		if (code) {
			drop(metrics, shown);
			return code;
		}
		shown++;
	}
	return 0;
}

/* ---- the registry */

int weir_metrics_each(const struct weir_metrics *metrics, int (*fn)(void *arg, const struct weir_metric_def *def),
		      void *arg)
{
	int code = 0;
	for (const struct weir_metric *metric = TAILQ_FIRST(&metrics->metrics); metric && !code;
	     metric = TAILQ_NEXT(metric, others))
		code = fn(arg, metric->def);
	return code ? code : fn(arg, &weir__overflow_def);
}

int weir_metrics_new(struct weir_metrics **ret_metrics)
{
	struct weir_metrics *metrics = calloc(1, sizeof *metrics);
	if (!metrics)
		return WEIR_ENOMEM;
	TAILQ_INIT(&metrics->metrics);
	*ret_metrics = metrics;
	return 0;
}

void weir_metrics_free(struct weir_metrics *metrics)
{
	if (!metrics)
		return;
	while (!TAILQ_EMPTY(&metrics->metrics))
		drop(metrics, 1);
	free(metrics);
}
