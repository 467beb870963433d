/* SPDX-License-Identifier: MIT */
/*
 * All that a registry holds, series by series.  Histograms of durations come with the bounds that OpenTelemetry advises
 * for them.
 */
#include "metrics/metrics.h"

#include <string.h>

static const int64_t durations[] = {
	5 * WEIR_MSEC,    10 * WEIR_MSEC,  25 * WEIR_MSEC,   50 * WEIR_MSEC,  75 * WEIR_MSEC,
	100 * WEIR_MSEC,  250 * WEIR_MSEC, 500 * WEIR_MSEC,  750 * WEIR_MSEC, 1 * WEIR_SEC,
	2500 * WEIR_MSEC, 5 * WEIR_SEC,    7500 * WEIR_MSEC, 10 * WEIR_SEC,
};
static const int64_t numbers[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};

const struct weir_metric_def weir__overflow_def = {"weir_metrics_overflow_total",
						   "Look-ups of series that were counted as \"other\".",
						   WEIR_COUNTER,
						   {"metric"},
						   0};

static int visit(const struct walker *walker, struct weir_metric_sample *sample)
{
	bool is_time = weir__metric_is_time(sample->def);
	if (sample->histogram) {
		sample->bounds = is_time ? durations : numbers;
		sample->bound_count = is_time ? sizeof durations / sizeof *durations : sizeof numbers / sizeof *numbers;
		sample->scale = is_time ? 1e-9 : 1;
	}
	return walker->sample(walker->arg, sample);
}

static void begin(const struct walker *walker, const struct weir_metric_def *def)
{
	if (walker->metric)
		walker->metric(walker->arg, def);
}

static int visit_series(const struct walker *walker, const struct weir_metric *metric, const struct series *series)
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
	return visit(walker, &sample);
}

/* Nothing while there is none. */
static int visit_figure(const struct walker *walker, const struct weir_metric *metric)
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
	begin(walker, metric->def);
	return visit(walker, &sample);
}

static int visit_metric(const struct walker *walker, const struct weir_metric *metric)
{
	int code = 0;
	if (metric->figure)
		return visit_figure(walker, metric);
	begin(walker, metric->def);
	for (const struct series *series = STAILQ_FIRST(&metric->series); series && !code;
	     series = STAILQ_NEXT(series, next))
		code = visit_series(walker, metric, series);
	if (!code && (!metric->labels || metric->overflow))
		code = visit_series(walker, metric, metric->other);
	return code;
}

int weir__metrics_walk(const struct weir_metrics *metrics, const struct walker *walker)
{
	int code = 0;
	for (const struct weir_metric *metric = TAILQ_FIRST(&metrics->metrics); metric && !code;
	     metric = TAILQ_NEXT(metric, others))
		code = visit_metric(walker, metric);
	begin(walker, &weir__overflow_def);
	for (const struct weir_metric *metric = TAILQ_FIRST(&metrics->metrics); metric && !code;
	     metric = TAILQ_NEXT(metric, others))
		if (metric->labels)
			code = visit(walker, &(struct weir_metric_sample){.def = &weir__overflow_def,
									  .values = {metric->def->name},
									  .is_whole = true,
									  .whole = metric->overflow});
	return code;
}

int weir_metrics_samples(const struct weir_metrics *metrics,
			 int (*fn)(void *arg, const struct weir_metric_sample *sample), void *arg)
{
	return weir__metrics_walk(metrics, &(struct walker){.sample = fn, .arg = arg});
}
