/* SPDX-License-Identifier: MIT */
/*
 * The registry: declaring metrics and finding their series.
 *
 * A metric without labels has one series, made with it.  One with labels has a chained hash table of at most `limit`
 * series and, made with it, the series "other" for all the rest: so a look-up can neither fail nor grow without end.
 * Series are never removed; their addresses are the handles.
 */
#include "metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

static bool is_name(const char *name, bool colons)
{
	for (const char *at = name; *at; at++) {
		bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
		if (!letter && !(colons && *at == ':') && !(at > name && *at >= '0' && *at <= '9'))
			return false;
	}
	return *name;
}

static bool ends_in(const char *name, size_t n, const char *end)
{
	size_t m = strlen(end);
	return n > m && !memcmp(name + n - m, end, m);
}

/* Without the ending that says what kind it is. */
static size_t base_length(const struct weir_metric_def *def)
{
	size_t n = strlen(def->name);
	return def->kind == WEIR_COUNTER ? n - strlen("_total") : n;
}

static unsigned count_labels(const struct weir_metric_def *def)
{
	unsigned n = 0;
	while (n < WEIR_LABELS_MOST && def->labels[n])
		n++;
	return n;
}

static bool is_well_formed(const struct weir_metric_def *def)
{
	if (!def->name || !def->help || !is_name(def->name, true) || (unsigned)def->kind > WEIR_HISTOGRAM)
		return false;
	if (def->kind == WEIR_COUNTER && !ends_in(def->name, strlen(def->name), "_total"))
		return false;
	for (unsigned i = 0; i < count_labels(def); i++) {
		const char *label = def->labels[i];
		if (!is_name(label, false) || !strncmp(label, "__", 2) || !strcmp(label, "le"))
			return false;
		for (unsigned j = 0; j < i; j++)
			if (!strcmp(label, def->labels[j]))
				return false;
	}
	return true;
}

/* Whether `name` is one of the names that a histogram has beside its own. */
static bool is_part_of(const char *name, size_t n, const struct weir_metric_def *histogram)
{
	static const char *const parts[] = {"_bucket", "_count", "_sum"};
	size_t m = strlen(histogram->name);
	if (histogram->kind != WEIR_HISTOGRAM || n <= m || memcmp(name, histogram->name, m) != 0)
		return false;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (n - m == strlen(parts[i]) && !memcmp(name + m, parts[i], n - m))
			return true;
	return false;
}

static bool clash(const struct weir_metric_def *a, const struct weir_metric_def *b)
{
	size_t n = base_length(a), m = base_length(b);
	return (n == m && !memcmp(a->name, b->name, n)) || is_part_of(a->name, n, b) || is_part_of(b->name, m, a);
}

int weir__metric_def_check(const struct weir_metrics *metrics, const struct weir_metric_def *def)
{
	if (!is_well_formed(def))
		return WEIR_EINVAL;
	if (clash(def, &weir__overflow_def))
		return WEIR_EBUSY;
	for (const struct weir_metric *other = metrics->metrics; other; other = other->next)
		if (clash(def, other->def))
			return WEIR_EBUSY;
	for (const struct source_family *family = metrics->families; family; family = family->next)
		for (size_t i = 0; i < family->kind->n; i++)
			if (clash(def, &family->kind->defs[i]))
				return WEIR_EBUSY;
	return 0;
}

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

/* FNV-1a, the NULs between the values included. */
static uint64_t hash_of(const struct weir_metric *metric, const char *const *values)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (unsigned i = 0; i < metric->labels; i++) {
		for (const char *at = values[i]; *at; at++)
			hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
		hash = hash * 0x100000001b3u;
	}
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

/* Makes a series and appends it; NULL where there is no room. */
static struct series *add_series(struct weir_metric *metric, const char *const *values, uint64_t hash)
{
	struct series *series = metric->series_count < metric->limit ? series_new(metric, values) : NULL;
	if (!series)
		return NULL;
	struct series **bucket = &metric->table[hash & (metric->table_size - 1)];
	series->hash = hash;
	series->bucket_next = *bucket;
	*bucket = series;
	if (metric->last)
		metric->last->next = series;
	else
		metric->first = series;
	metric->last = series;
	metric->series_count++;
	return series;
}

static struct series *find(struct weir_metric *metric, enum weir_metric_kind kind, const char *const *values)
{
	weir__require(metric->def->kind == kind, "a metric is asked for as if it were of another kind");
	if (!metric->labels)
		return metric->other;
	struct series *series = NULL;
	if (!has_long_value(metric, values)) {
		uint64_t hash = hash_of(metric, values);
		series = metric->table[hash & (metric->table_size - 1)];
		while (series && (series->hash != hash || !has_values(metric, series, values)))
			series = series->bucket_next;
		if (!series && !has_values(metric, metric->other, values))
			series = add_series(metric, values, hash);
	}
	if (series)
		return series;
	metric->overflow++;
	return metric->other;
}

struct weir_counter *weir_metric_counter(struct weir_metric *metric, const char *const *values)
{
	return &find(metric, WEIR_COUNTER, values)->counter;
}

struct weir_gauge *weir_metric_gauge(struct weir_metric *metric, const char *const *values)
{
	return &find(metric, WEIR_GAUGE, values)->gauge;
}

struct weir_histogram *weir_metric_histogram(struct weir_metric *metric, const char *const *values)
{
	return find(metric, WEIR_HISTOGRAM, values)->histogram;
}

int weir_metric_gauge_reader(struct weir_metric *metric, const char *const *values, double (*read)(void *arg),
			     void *arg)
{
	struct series *series = find(metric, WEIR_GAUGE, values);
	if (metric->labels && series == metric->other)
		return WEIR_ENOSPC;
	series->read = read;
	series->arg = arg;
	return 0;
}

/* ---- metrics */

static void metric_free(struct weir_metric *metric)
{
	struct series *series;
	while ((series = metric->first)) {
		metric->first = series->next;
		series_free(metric, series);
	}
	series_free(metric, metric->other);
	free(metric->table);
	free(metric);
}

static struct weir_metric *metric_new(const struct weir_metric_def *def)
{
	static const char *const others[WEIR_LABELS_MOST] = {"other", "other", "other", "other"};
	struct weir_metric *metric = calloc(1, sizeof *metric);
	if (!metric)
		return NULL;
	metric->def = def;
	metric->labels = count_labels(def);
	metric->limit = def->limit ? def->limit : WEIR_SERIES_LIMIT;
	metric->other = series_new(metric, others);
	if (metric->labels) {
		metric->table_size = 64;
		while (metric->table_size < metric->limit && metric->table_size < 65536)
			metric->table_size *= 2;
		metric->table = calloc(metric->table_size, sizeof *metric->table);
	}
	if (metric->other && (metric->table || !metric->labels))
		return metric;
	metric_free(metric);
	return NULL;
}

static void drop_after(struct weir_metrics *metrics, struct weir_metric *last)
{
	struct weir_metric *metric = last ? last->next : metrics->metrics;
	while (metric) {
		struct weir_metric *next = metric->next;
		metric_free(metric);
		metric = next;
	}
	if (last)
		last->next = NULL;
	else
		metrics->metrics = NULL;
	metrics->last_metric = last;
}

int weir_metrics_add(struct weir_metrics *metrics, const struct weir_metric_def *defs, size_t n,
		     struct weir_metric **ret_metrics)
{
	struct weir_metric *before = metrics->last_metric;
	for (size_t i = 0; i < n; i++) {
		int code = weir__metric_def_check(metrics, &defs[i]);
		struct weir_metric *metric = code ? NULL : metric_new(&defs[i]);
		if (!metric) {
			drop_after(metrics, before);
			return code ? code : WEIR_ENOMEM;
		}
		if (metrics->last_metric)
			metrics->last_metric->next = metric;
		else
			metrics->metrics = metric;
		metrics->last_metric = metric;
	}
	struct weir_metric *metric = before ? before->next : metrics->metrics;
	for (size_t i = 0; i < n; i++, metric = metric->next)
		ret_metrics[i] = metric;
	return 0;
}

int weir_metrics_new(struct weir_metrics **ret_metrics)
{
	struct weir_metrics *metrics = calloc(1, sizeof *metrics);
	if (!metrics)
		return WEIR_ENOMEM;
	*ret_metrics = metrics;
	return 0;
}

void weir_metrics_free(struct weir_metrics *metrics)
{
	if (!metrics)
		return;
	weir__sources_fini(metrics);
	drop_after(metrics, NULL);
	free(metrics);
}
