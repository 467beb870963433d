/* SPDX-License-Identifier: MIT */
/* Metrics: those of the registry, by the same names; what counts is cumulative. */
#include "otlp/encode.h"

#include "data/json_writer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* AggregationTemporality; most bounds of a histogram */
enum { TEMPORALITY_CUMULATIVE = 2, BOUNDS_MOST = 32 };

/* So that seconds have nanoseconds. */
enum { DECIMALS = 9 };

struct encoding_metrics {
	struct buf *out;
	weir_nsec started, now;
	const struct weir_metric_def *def; /* whose points are being written; NULL: none */
	size_t n;
};

static const char *unit_of(const struct weir_metric_def *def)
{
	return strstr(def->name, "_seconds") ? "s" : strstr(def->name, "_bytes") ? "By" : "1";
}

static void end_metric(struct encoding_metrics *to)
{
	if (to->def)
		buf_add_str(to->out, "]}}");
	to->def = NULL;
}

static void begin_metric(struct encoding_metrics *to, const struct weir_metric_def *def)
{
	static const char *const kinds[] = {"sum", "gauge", "histogram"};
	if (to->def == def)
		return;
	end_metric(to);
	to->def = def;
	json_open(to->out, NULL, '{');
	json_put_text(to->out, "name", def->name);
	json_put_text(to->out, "description", def->help);
	json_put_text(to->out, "unit", unit_of(def));
	json_open(to->out, kinds[def->kind], '{');
	if (def->kind != WEIR_GAUGE)
		json_put_int(to->out, "aggregationTemporality", TEMPORALITY_CUMULATIVE);
	if (def->kind == WEIR_COUNTER)
		json_put_bool(to->out, "isMonotonic", true);
	json_open(to->out, "dataPoints", '[');
}

static void put_histogram(struct encoding_metrics *to, const struct weir_metric_sample *sample)
{
	uint64_t below[BOUNDS_MOST], count = weir_histogram_count(sample->histogram), before = 0;
	size_t n = sample->bound_count < BOUNDS_MOST ? sample->bound_count : BOUNDS_MOST;
	char digits[24];
	weir_histogram_cumulate(sample->histogram, sample->bounds, n, below);
	otlp_put_number(to->out, "count", count);
	json_put_real(to->out, "sum", (double)weir_histogram_sum(sample->histogram) * sample->scale, DECIMALS);
	json_open(to->out, "bucketCounts", '[');
	for (size_t i = 0; i <= n; i++) {
		uint64_t up_to = i < n ? below[i] : count;
		snprintf(digits, sizeof digits, "%llu", (unsigned long long)(up_to - before));
		json_put_text(to->out, NULL, digits);
		before = up_to;
	}
	json_close(to->out, ']');
	json_open(to->out, "explicitBounds", '[');
	for (size_t i = 0; i < n; i++)
		json_put_real(to->out, NULL, (double)sample->bounds[i] * sample->scale, 3);
	json_close(to->out, ']');
}

static int put_point(void *arg, const struct weir_metric_sample *sample)
{
	struct encoding_metrics *to = arg;
	const struct weir_metric_def *def = sample->def;
	if (!isfinite(sample->number))
		return 0;
	begin_metric(to, def);
	json_open(to->out, NULL, '{');
	json_open(to->out, "attributes", '[');
	for (unsigned i = 0; i < WEIR_LABELS_MOST && def->labels[i]; i++)
		otlp_put_attribute(to->out, def->labels[i], sample->values[i]);
	json_close(to->out, ']');
	if (def->kind != WEIR_GAUGE)
		otlp_put_number(to->out, "startTimeUnixNano", (uint64_t)to->started);
	otlp_put_number(to->out, "timeUnixNano", (uint64_t)to->now);
	if (sample->histogram)
		put_histogram(to, sample);
	else if (sample->is_whole)
		otlp_put_number(to->out, "asInt", sample->whole);
	else
		json_put_real(to->out, "asDouble", sample->number, DECIMALS);
	json_close(to->out, '}');
	to->n++;
	return 0;
}

size_t otlp_encode_metrics(const struct weir_metrics *metrics, const char *resource, weir_nsec started, weir_nsec now,
			   struct buf *out)
{
	static const struct otlp_frame frame = {"resourceMetrics", "scopeMetrics", "metrics"};
	struct encoding_metrics to = {.out = out, .started = started, .now = now};
	otlp_begin(out, &frame, resource);
	weir_metrics_samples(metrics, put_point, &to);
	end_metric(&to);
	otlp_end(out);
	return to.n;
}
