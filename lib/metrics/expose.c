/* SPDX-License-Identifier: MIT */
/*
 * The registry as text: for each metric its help, its type and its series.
 *
 * The formats differ little.  In OpenMetrics a counter's family is named without the _total of its sample, quotes are
 * escaped in help texts, too, and the text ends in "# EOF".  Histograms show their counts below the bounds that
 * OpenTelemetry advises for durations.
 */
#include "metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOUNDS = 14 };

static const int64_t bounds[BOUNDS] = {
	5 * WEIR_MSEC,    10 * WEIR_MSEC,  25 * WEIR_MSEC,   50 * WEIR_MSEC,  75 * WEIR_MSEC,
	100 * WEIR_MSEC,  250 * WEIR_MSEC, 500 * WEIR_MSEC,  750 * WEIR_MSEC, 1 * WEIR_SEC,
	2500 * WEIR_MSEC, 5 * WEIR_SEC,    7500 * WEIR_MSEC, 10 * WEIR_SEC,
};
static const char *const bound_names[BOUNDS] = {"0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25",
						"0.5",   "0.75", "1.0",   "2.5",  "5.0",   "7.5", "10.0"};

/* What one series shows, of whatever kind. */
struct reading {
	uint64_t counter; /* of a histogram: its count */
	double gauge;
	uint64_t sum, below[BOUNDS];
};

/* The labels of a series: names from the def, values one after the other; or the name of a source, and
 * which part of it. */
struct labels {
	const char *const *names;
	unsigned n;
	const char *values;
	unsigned twin;          /* written behind the last value, if it is one */
	const char *part_label; /* NULL: none */
	const char *part;
};

struct exposition {
	enum weir_metrics_format format;
	struct text text;
};

static void add_histogram(struct reading *reading, const struct weir_histogram *histogram)
{
	uint64_t below[BOUNDS];
	if (!histogram)
		return;
	weir_histogram_cumulate(histogram, bounds, BOUNDS, below);
	for (int i = 0; i < BOUNDS; i++)
		reading->below[i] += below[i];
	reading->counter += weir_histogram_count(histogram);
	if (__builtin_add_overflow(reading->sum, weir_histogram_sum(histogram), &reading->sum))
		reading->sum = UINT64_MAX;
}

/* ---- lines */

static void write_head(struct exposition *to, const struct weir_metric_def *def)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};
	size_t n = strlen(def->name);
	bool open = to->format == WEIR_METRICS_OPENMETRICS;
	if (open && def->kind == WEIR_COUNTER)
		n -= strlen("_total");
	weir__text_string(&to->text, "# HELP ");
	weir__text_put(&to->text, def->name, n);
	weir__text_string(&to->text, " ");
	weir__text_escaped(&to->text, def->help, open ? ESCAPE_LABEL : ESCAPE_HELP);
	weir__text_string(&to->text, "\n# TYPE ");
	weir__text_put(&to->text, def->name, n);
	weir__text_string(&to->text, " ");
	weir__text_string(&to->text, types[def->kind]);
	weir__text_string(&to->text, "\n");
}

static void write_literal_label(struct text *text, const char *separator, const char *name, const char *value)
{
	weir__text_string(text, separator);
	weir__text_string(text, name);
	weir__text_string(text, "=\"");
	weir__text_string(text, value);
	weir__text_string(text, "\"");
}

/* The name and the labels of a sample, up to its value; le NULL: none. */
static void write_sample(struct text *text, const char *name, const char *suffix, const struct labels *labels,
			 const char *le)
{
	const char *separator = "{", *value = labels->values;
	weir__text_string(text, name);
	weir__text_string(text, suffix);
	for (unsigned i = 0; i < labels->n; i++, separator = ",") {
		weir__text_string(text, separator);
		weir__text_string(text, labels->names[i]);
		weir__text_string(text, "=\"");
		weir__text_escaped(text, value, ESCAPE_LABEL);
		value += strlen(value) + 1;
		if (labels->twin) {
			weir__text_string(text, "#");
			weir__text_uint(text, labels->twin);
		}
		weir__text_string(text, "\"");
	}
	if (labels->part_label)
		write_literal_label(text, separator, labels->part_label, labels->part);
	if (le)
		write_literal_label(text, separator, "le", le);
	weir__text_string(text, labels->n || le ? "} " : " ");
}

static void write_uint(struct text *text, uint64_t value)
{
	weir__text_uint(text, value);
	weir__text_string(text, "\n");
}

static void write_histogram(struct text *text, const char *name, const struct labels *labels,
			    const struct reading *reading)
{
	for (int i = 0; i < BOUNDS; i++) {
		write_sample(text, name, "_bucket", labels, bound_names[i]);
		write_uint(text, reading->below[i]);
	}
	write_sample(text, name, "_bucket", labels, "+Inf");
	write_uint(text, reading->counter);
	write_sample(text, name, "_sum", labels, NULL);
	weir__text_seconds(text, reading->sum);
	weir__text_string(text, "\n");
	write_sample(text, name, "_count", labels, NULL);
	write_uint(text, reading->counter);
}

static void write_reading(struct text *text, const struct weir_metric_def *def, const struct labels *labels,
			  const struct reading *reading)
{
	if (def->kind == WEIR_HISTOGRAM) {
		write_histogram(text, def->name, labels, reading);
		return;
	}
	write_sample(text, def->name, "", labels, NULL);
	if (def->kind == WEIR_COUNTER)
		weir__text_uint(text, reading->counter);
	else
		weir__text_double(text, reading->gauge);
	weir__text_string(text, "\n");
}

/* ---- metrics */

static void write_series(struct exposition *to, const struct weir_metric *metric, const struct series *series)
{
	struct reading reading = {0};
	struct labels labels = {.names = metric->def->labels, .n = metric->labels, .values = series->values};
	if (metric->def->kind == WEIR_COUNTER)
		reading.counter = series->counter.value;
	else if (metric->def->kind == WEIR_GAUGE)
		reading.gauge = series->read ? series->read(series->arg) : series->gauge.value;
	else
		add_histogram(&reading, series->histogram);
	write_reading(&to->text, metric->def, &labels, &reading);
}

static void write_metric(struct exposition *to, const struct weir_metric *metric)
{
	write_head(to, metric->def);
	for (const struct series *series = metric->first; series; series = series->next)
		write_series(to, metric, series);
	if (!metric->labels || metric->overflow)
		write_series(to, metric, metric->other);
}

/* ---- sources */

static const char *const name_label[] = {"name"};

static void add_value(struct reading *reading, const struct weir_metric_def *def, const union weir_metric_value *value)
{
	if (def->kind == WEIR_COUNTER)
		reading->counter += value->counter;
	else if (def->kind == WEIR_GAUGE)
		reading->gauge += value->gauge;
	else
		add_histogram(reading, value->histogram);
}

static unsigned count_parts(const struct weir_metrics_source *source)
{
	return source->kind->part_label ? source->kind->count_parts(source) : 1;
}

static void add_part(struct reading *reading, const struct weir_metrics_source *source, unsigned part, size_t at)
{
	union weir_metric_value values[WEIR_KIND_METRICS_MOST] = {0};
	const struct weir_metrics_kind *kind = source->kind;
	if (kind->part_label)
		kind->collect_part(source, part, values);
	else
		kind->collect(source, values);
	add_value(reading, &kind->defs[at], &values[at]);
}

static void write_source_metric(struct exposition *to, const struct source_family *family, size_t at)
{
	const struct weir_metrics_kind *kind = family->kind;
	struct reading pool = {0};
	bool pooled = false;
	write_head(to, &kind->defs[at]);
	for (const struct weir_metrics_source *source = family->first; source; source = source->next)
		for (unsigned part = 0; part < count_parts(source); part++) {
			struct reading reading = {0};
			char part_text[12];
			pooled |= source->pooled;
			add_part(source->pooled ? &pool : &reading, source, part, at);
			snprintf(part_text, sizeof part_text, "%u", part);
			struct labels labels = {name_label, 1, source->name, source->twin, kind->part_label, part_text};
			if (!source->pooled)
				write_reading(&to->text, &kind->defs[at], &labels, &reading);
		}
	if (pooled)
		write_reading(&to->text, &kind->defs[at],
			      &(struct labels){name_label, 1, "other", 0, kind->part_label, "other"}, &pool);
}

/* ---- all of it */

static const char *const metric_label[] = {"metric"};
const struct weir_metric_def weir__overflow_def = {
	"weir_metrics_overflow_total",
	"Look-ups of series, and named objects, that were counted as \"other\".",
	WEIR_COUNTER,
	{"metric"},
	0};

static void write_overflow(struct exposition *to, const char *name, uint64_t n)
{
	write_reading(&to->text, &weir__overflow_def, &(struct labels){metric_label, 1, name, 0},
		      &(struct reading){.counter = n});
}

static void write_values(struct exposition *to, const struct weir_metrics *metrics)
{
	for (const struct weir_metric *metric = metrics->metrics; metric; metric = metric->next)
		write_metric(to, metric);
	for (const struct source_family *family = metrics->families; family; family = family->next)
		for (size_t i = 0; i < family->kind->n; i++)
			write_source_metric(to, family, i);
	write_head(to, &weir__overflow_def);
	for (const struct weir_metric *metric = metrics->metrics; metric; metric = metric->next)
		if (metric->labels)
			write_overflow(to, metric->def->name, metric->overflow);
	for (const struct source_family *family = metrics->families; family; family = family->next)
		write_overflow(to, family->kind->defs[0].name, family->overflow);
	if (to->format == WEIR_METRICS_OPENMETRICS)
		weir__text_string(&to->text, "# EOF\n");
}

static void write_row(struct text *text, const struct weir_metric_def *def, const char *const *labels)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	weir__text_string(text, "| `");
	weir__text_string(text, def->name);
	weir__text_string(text, "` | ");
	weir__text_string(text, kinds[def->kind]);
	weir__text_string(text, " |");
	for (int i = 0; i < WEIR_LABELS_MOST && labels[i]; i++) {
		weir__text_string(text, " `");
		weir__text_string(text, labels[i]);
		weir__text_string(text, "`");
	}
	weir__text_string(text, " | ");
	weir__text_escaped(text, def->help, ESCAPE_CELL);
	weir__text_string(text, " |\n");
}

static void write_markdown(struct text *text, const struct weir_metrics *metrics)
{
	weir__text_string(text, "| metric | kind | labels | what |\n|---|---|---|---|\n");
	for (const struct weir_metric *metric = metrics->metrics; metric; metric = metric->next)
		write_row(text, metric->def, metric->def->labels);
	for (const struct source_family *family = metrics->families; family; family = family->next)
		for (size_t i = 0; i < family->kind->n; i++)
			write_row(text, &family->kind->defs[i],
				  (const char *[WEIR_LABELS_MOST]){"name", family->kind->part_label});
	write_row(text, &weir__overflow_def, weir__overflow_def.labels);
}

int weir_metrics_expose(const struct weir_metrics *metrics, enum weir_metrics_format format, weir_metrics_sink sink,
			void *arg)
{
	struct exposition to = {.format = format, .text = {.sink = sink, .arg = arg}};
	if (format == WEIR_METRICS_MARKDOWN)
		write_markdown(&to.text, metrics);
	else
		write_values(&to, metrics);
	return weir__text_flush(&to.text);
}

struct growing {
	char *bytes;
	size_t n, room;
};

static int grow(void *arg, const char *text, size_t bytes)
{
	struct growing *all = arg;
	if (all->room - all->n <= bytes) {
		size_t room = 2 * (all->room + bytes) + 1;
		char *moved = realloc(all->bytes, room);
		if (!moved)
			return WEIR_ENOMEM;
		all->bytes = moved;
		all->room = room;
	}
	memcpy(all->bytes + all->n, text, bytes);
	all->n += bytes;
	all->bytes[all->n] = 0;
	return 0;
}

int weir_metrics_text(const struct weir_metrics *metrics, enum weir_metrics_format format, char **ret_text,
		      size_t *ret_bytes)
{
	struct growing all = {0};
	int code = weir_metrics_expose(metrics, format, grow, &all);
	if (code) {
		free(all.bytes);
		return code;
	}
	*ret_text = all.bytes;
	*ret_bytes = all.n;
	return 0;
}
