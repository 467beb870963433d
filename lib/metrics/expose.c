/* SPDX-License-Identifier: MIT */
/*
 * The registry as text: for each metric its help, its type and its series.
 *
 * The formats differ little.  In OpenMetrics a counter's family is named without the _total of its sample, quotes are
 * escaped in help texts, too, and the text ends in "# EOF".  Histograms show their counts below the bounds that
 * OpenTelemetry advises for durations.
 */
#include "metrics/metrics.h"

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

/* The labels of a series: names from the def, values one after the other. */
struct labels {
	const char *const *names;
	unsigned n;
	const char *values;
};

struct exposition {
	enum weir_metrics_format format;
	struct text text;
};

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
		weir__text_string(text, "\"");
	}
	if (le) {
		weir__text_string(text, separator);
		weir__text_string(text, "le=\"");
		weir__text_string(text, le);
		weir__text_string(text, "\"");
	}
	weir__text_string(text, labels->n || le ? "} " : " ");
}

static void write_uint(struct text *text, uint64_t value)
{
	weir__text_uint(text, value);
	weir__text_string(text, "\n");
}

static void write_counter(struct text *text, const char *name, const struct labels *labels, uint64_t value)
{
	write_sample(text, name, "", labels, NULL);
	write_uint(text, value);
}

static void write_gauge(struct text *text, const char *name, const struct labels *labels, double value)
{
	write_sample(text, name, "", labels, NULL);
	weir__text_double(text, value);
	weir__text_string(text, "\n");
}

static void write_histogram(struct text *text, const char *name, const struct labels *labels,
			    const struct weir_histogram *histogram)
{
	uint64_t below[BOUNDS];
	weir_histogram_cumulate(histogram, bounds, BOUNDS, below);
	for (int i = 0; i < BOUNDS; i++) {
		write_sample(text, name, "_bucket", labels, bound_names[i]);
		write_uint(text, below[i]);
	}
	write_sample(text, name, "_bucket", labels, "+Inf");
	write_uint(text, weir_histogram_count(histogram));
	write_sample(text, name, "_sum", labels, NULL);
	weir__text_seconds(text, weir_histogram_sum(histogram));
	weir__text_string(text, "\n");
	write_sample(text, name, "_count", labels, NULL);
	write_uint(text, weir_histogram_count(histogram));
}

/* ---- metrics */

static void write_series(struct text *text, const struct weir_metric *metric, const struct series *series)
{
	const char *name = metric->def->name;
	struct labels labels = {.names = metric->def->labels, .n = metric->labels, .values = series->values};
	if (metric->def->kind == WEIR_COUNTER)
		write_counter(text, name, &labels, series->counter.value);
	else if (metric->def->kind == WEIR_GAUGE)
		write_gauge(text, name, &labels, series->gauge.value);
	else
		write_histogram(text, name, &labels, series->histogram);
}

/* Nothing while there is none. */
static void write_figure(struct exposition *to, const struct weir_metric *metric)
{
	union weir_figure_value value;
	if (!metric->figure->get(metric->object, &value))
		return;
	const struct labels none = {0};
	const char *name = metric->def->name, *unit = metric->figure->unit;
	double scale = unit && !strcmp(unit, "ms") ? 1e-3 : 1;
	write_head(to, metric->def);
	if (metric->figure->kind == WEIR_FIGURE_HISTOGRAM)
		write_histogram(&to->text, name, &none, value.histogram);
	else
		write_gauge(&to->text, name, &none,
			    metric->figure->kind == WEIR_FIGURE_FLAG ? value.flag : value.number * scale);
}

static void write_metric(struct exposition *to, const struct weir_metric *metric)
{
	if (metric->figure) {
		write_figure(to, metric);
		return;
	}
	write_head(to, metric->def);
	for (const struct series *series = STAILQ_FIRST(&metric->series); series; series = STAILQ_NEXT(series, next))
		write_series(&to->text, metric, series);
	if (!metric->labels || metric->overflow)
		write_series(&to->text, metric, metric->other);
}

/* ---- all of it */

const struct weir_metric_def weir__overflow_def = {"weir_metrics_overflow_total",
						   "Look-ups of series that were counted as \"other\".",
						   WEIR_COUNTER,
						   {"metric"},
						   0};

static void write_values(struct exposition *to, const struct weir_metrics *metrics)
{
	for (const struct weir_metric *metric = TAILQ_FIRST(&metrics->metrics); metric;
	     metric = TAILQ_NEXT(metric, others))
		write_metric(to, metric);
	write_head(to, &weir__overflow_def);
	for (const struct weir_metric *metric = TAILQ_FIRST(&metrics->metrics); metric;
	     metric = TAILQ_NEXT(metric, others))
		if (metric->labels)
			write_counter(&to->text, weir__overflow_def.name,
				      &(struct labels){weir__overflow_def.labels, 1, metric->def->name},
				      metric->overflow);
	if (to->format == WEIR_METRICS_OPENMETRICS)
		weir__text_string(&to->text, "# EOF\n");
}

int weir_metrics_text(const struct weir_metrics *metrics, enum weir_metrics_format format, char **ret_text,
		      size_t *ret_bytes)
{
	struct exposition to = {.format = format};
	write_values(&to, metrics);
	if (to.text.failed) {
		free(to.text.bytes);
		return WEIR_ENOMEM;
	}
	*ret_text = to.text.bytes;
	*ret_bytes = to.text.n;
	return 0;
}
