/* SPDX-License-Identifier: MIT */
/*
 * All that a registry holds, series by series.  Histograms come with the bounds that OpenTelemetry advises for
 * durations.
 */
#include "metrics/metrics.h"

#include <string.h>

static const int64_t bounds[] = {
	5 * WEIR_MSEC,    10 * WEIR_MSEC,  25 * WEIR_MSEC,   50 * WEIR_MSEC,  75 * WEIR_MSEC,
	100 * WEIR_MSEC,  250 * WEIR_MSEC, 500 * WEIR_MSEC,  750 * WEIR_MSEC, 1 * WEIR_SEC,
	2500 * WEIR_MSEC, 5 * WEIR_SEC,    7500 * WEIR_MSEC, 10 * WEIR_SEC,
};

const struct weir_metric_def weir__overflow_def = {"weir_metrics_overflow_total",
						   "Look-ups of series that were counted as \"other\".",
						   WEIR_COUNTER,
						   {"metric"},
						   0};

static int visit(const struct visitor *visitor, struct weir_metric_sample *sample)
{
	if (sample->histogram) {
		sample->bounds = bounds;
		sample->bound_count = sizeof bounds / sizeof bounds[0];
	}
	return visitor->sample(visitor->arg, sample);
}

static void begin(const struct visitor *visitor, const struct weir_metric_def *def)
{
	if (visitor->metric)
		visitor->metric(visitor->arg, def);
}

static int visit_series(const struct visitor *visitor, const struct weir_metric *metric, const struct series *series)
{
	struct weir_metric_sample sample = {.def = metric->def};
	const char *value = series->values;
	for (unsigned i = 0; i < metric->labels; i++, value += strlen(value) + 1)
		sample.values[i] = value;
	sample.is_whole = metric->def->kind == WEIR_COUNTER;
	if (sample.is_whole)
		sample.whole = series->counter.value;
	else if (metric->def->kind == WEIR_GAUGE)
		sample.number = series->gauge.value;
	else
		sample.histogram = series->histogram;
	return visit(visitor, &sample);
}

/* Nothing while there is none. */
static int visit_figure(const struct visitor *visitor, const struct weir_metric *metric)
{
	union weir_figure_value value;
	struct weir_metric_sample sample = {.def = metric->def};
	const char *unit = metric->figure->unit;
	if (!metric->figure->get(metric->object, &value))
		return 0;
	if (metric->figure->kind == WEIR_FIGURE_HISTOGRAM)
		sample.histogram = value.histogram;
	else if (metric->figure->kind == WEIR_FIGURE_FLAG)
		sample.number = value.flag;
	else
		sample.number = value.number * (unit && !strcmp(unit, "ms") ? 1e-3 : 1);
	begin(visitor, metric->def);
	return visit(visitor, &sample);
}

static int visit_metric(const struct visitor *visitor, const struct weir_metric *metric)
{
	int code = 0;
	if (metric->figure)
		return visit_figure(visitor, metric);
	begin(visitor, metric->def);
	for (const struct series *series = STAILQ_FIRST(&metric->series); series && !code;
	     series = STAILQ_NEXT(series, next))
		code = visit_series(visitor, metric, series);
	if (!code && (!metric->labels || metric->overflow))
		code = visit_series(visitor, metric, metric->other);
	return code;
}

int weir__metrics_walk(const struct weir_metrics *metrics, const struct visitor *visitor)
{
	int code = 0;
	for (const struct weir_metric *metric = TAILQ_FIRST(&metrics->metrics); metric && !code;
	     metric = TAILQ_NEXT(metric, others))
		code = visit_metric(visitor, metric);
	begin(visitor, &weir__overflow_def);
	for (const struct weir_metric *metric = TAILQ_FIRST(&metrics->metrics); metric && !code;
	     metric = TAILQ_NEXT(metric, others))
		if (metric->labels)
			code = visit(visitor, &(struct weir_metric_sample){.def = &weir__overflow_def,
									   .values = {metric->def->name},
									   .is_whole = true,
									   .whole = metric->overflow});
	return code;
}

int weir_metrics_samples(const struct weir_metrics *metrics,
			 int (*fn)(void *arg, const struct weir_metric_sample *sample), void *arg)
{
	return weir__metrics_walk(metrics, &(struct visitor){.sample = fn, .arg = arg});
}
