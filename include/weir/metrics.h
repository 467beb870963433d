/* SPDX-License-Identifier: MIT */
/*
 * Metrics: counters, gauges and histograms, declared once in a table and exposed as text.
 *
 *     enum { JOBS, DEPTH, TOOK, METRICS };
 *     static const struct weir_metric_def defs[METRICS] = {
 *         [JOBS] = {"jobs_total", "Jobs that ended.", WEIR_COUNTER, {"outcome"}},
 *         [DEPTH] = {"queue_depth", "Items that wait.", WEIR_GAUGE},
 *         [TOOK] = {"job_seconds", "How long a job took.", WEIR_HISTOGRAM},
 *     };
 *     struct weir_metric *metric[METRICS];
 *     weir_metrics_add(metrics, defs, METRICS, metric);
 *     struct weir_counter *good = weir_metric_counter(metric[JOBS], (const char *[]){"good"});
 *     ...
 *     weir_counter_add(good, 1);
 *
 * A series is one line-up of label values.  Look it up once and keep the pointer, which is valid as long as the
 * registry: counting is then one addition.  Label values may come from outside, so each metric has a bound: beyond it
 * (and for values over WEIR_LABEL_BYTES, and when memory is short) all share one series whose every label is "other",
 * and weir_metrics_overflow_total counts the look-ups that ended there.  Looking up therefore never fails.
 *
 * No call suspends.  A registry and all in it belong to one thread at a time; there are no locks.
 */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include <weir/histogram.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_LABELS_MOST       4   /* labels of a metric */
#define WEIR_LABEL_BYTES       128 /* of a label's value, at most */
#define WEIR_SERIES_LIMIT      100 /* series of a metric, by default */
#define WEIR_METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define WEIR_OPENMETRICS_TYPE  "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct weir_metrics;
struct weir_metric;

struct weir_counter {
	uint64_t value;
};

struct weir_gauge {
	double value;
};

enum weir_metric_kind {
	WEIR_COUNTER,
	WEIR_GAUGE,
	/* Of durations, recorded in nanoseconds and exposed in seconds, if its name ends in _seconds; else of whole
	 * numbers, exposed as they are.  30 KiB a series. */
	WEIR_HISTOGRAM,
};

/* One metric.  Rows are kept as pointers: they are static tables, or outlive the registry. */
struct weir_metric_def {
	const char *name; /* [a-zA-Z_:][a-zA-Z0-9_:]*; a counter's ends in _total */
	const char *help; /* a sentence */
	enum weir_metric_kind kind;
	const char *labels[WEIR_LABELS_MOST]; /* names, [a-zA-Z_][a-zA-Z0-9_]*, not le, no leading __; NULL ends them */
	unsigned limit;                       /* most series, apart from "other"; 0: WEIR_SERIES_LIMIT */
};

WEIR_API int weir_metrics_new(struct weir_metrics **ret_metrics); /* WEIR_ENOMEM */

/* Frees all series with it.  NULL is fine. */
WEIR_API void weir_metrics_free(struct weir_metrics *metrics);

/* Declares n metrics, all or none; ret_metrics gets n of them.  WEIR_EINVAL: a row is malformed; WEIR_EBUSY: its name
 * clashes with one that is there (a histogram h also owns h_bucket, h_count and h_sum); WEIR_ENOMEM. */
WEIR_API int weir_metrics_add(struct weir_metrics *metrics, const struct weir_metric_def *defs, size_t n,
			      struct weir_metric **ret_metrics);

/* The series with these label values: as many as the metric has labels, copied; NULL if it has none.  Contract: the
 * metric is of that kind.  Made when first asked for; bytes that are no UTF-8 are exposed as U+FFFD. */
WEIR_API struct weir_counter *weir_metric_counter(struct weir_metric *metric, const char *const *values);
WEIR_API struct weir_gauge *weir_metric_gauge(struct weir_metric *metric, const char *const *values);
WEIR_API struct weir_histogram *weir_metric_histogram(struct weir_metric *metric, const char *const *values);

static inline void weir_counter_add(struct weir_counter *counter, uint64_t n)
{
	counter->value += n;
}

static inline void weir_gauge_set(struct weir_gauge *gauge, double value)
{
	gauge->value = value;
}

/* Calls fn for each metric in the order they were declared, until it answers other than 0: that is the answer. */
WEIR_API int weir_metrics_each(const struct weir_metrics *metrics,
			       int (*fn)(void *arg, const struct weir_metric_def *def), void *arg);

/* One series at this moment.  All of it is borrowed for the call. */
struct weir_metric_sample {
	const struct weir_metric_def *def;
	const char *values[WEIR_LABELS_MOST]; /* of its labels */
	bool is_whole;                        /* it counts, and the value is: */
	uint64_t whole;
	double number;                          /* else, of a counter or a gauge; in seconds if it is a time */
	const struct weir_histogram *histogram; /* of a histogram */
	const int64_t *bounds;                  /* … and those below which its text shows counts, as it is recorded */
	size_t bound_count;
	double scale; /* … and what 1 of that is when it is exposed: 1e-9 or 1 */
};

/* Calls fn for each series, those of a metric one after the other, until it answers other than 0: that is the answer.
 */
WEIR_API int weir_metrics_samples(const struct weir_metrics *metrics,
				  int (*fn)(void *arg, const struct weir_metric_sample *sample), void *arg);

enum weir_metrics_format {
	WEIR_METRICS_TEXT,        /* Prometheus text format 0.0.4 */
	WEIR_METRICS_OPENMETRICS, /* OpenMetrics 1.0 */
};

/* All metrics as text in one piece of memory, to be freed with free(); *ret_bytes does not count the NUL at its end.
 * WEIR_ENOMEM. */
WEIR_API int weir_metrics_text(const struct weir_metrics *metrics, enum weir_metrics_format format, char **ret_text,
			       size_t *ret_bytes);

/* ---- figures: what one object shows of itself, by a table of getters
 *
 *     static bool get_depth(const void *object, union weir_figure_value *ret_value);
 *     static const struct weir_figure figures[] = {
 *         {"depth", NULL, WEIR_FIGURE_GAUGE, "Items that wait.", get_depth},
 *     };
 *
 * A program walks such a table to show its figures in any form; here they become metrics, read when they are exposed.
 */

enum weir_figure_kind {
	WEIR_FIGURE_COUNTER,
	WEIR_FIGURE_GAUGE,
	WEIR_FIGURE_FLAG,
	WEIR_FIGURE_TEXT,
	WEIR_FIGURE_HISTOGRAM, /* as WEIR_HISTOGRAM, whatever its unit says */
};

union weir_figure_value {
	double number; /* of a counter or a gauge */
	bool flag;
	const char *text; /* borrowed from the object, as the next */
	const struct weir_histogram *histogram;
};

struct weir_figure {
	const char *name; /* without its unit */
	const char *unit; /* "s", "ms", "bytes"; NULL: none */
	enum weir_figure_kind kind;
	const char *help;                                                    /* a sentence */
	bool (*get)(const void *object, union weir_figure_value *ret_value); /* false: there is none now */
	/* The metric's name behind the prefix.  NULL: that of the figure, its unit, and _total of a counter; "": the
	 * figure is not a metric. */
	const char *metric;
};

/* Exposes the figures until the registry is freed: milliseconds as seconds, flags as 0 and 1.  Texts are left out, and
 * so are figures whose get() answers false.  The table and the object are borrowed as long.  All or none: WEIR_EINVAL,
 * WEIR_EBUSY, WEIR_ENOMEM as weir_metrics_add(). */
WEIR_API int weir_metrics_show(struct weir_metrics *metrics, const char *prefix, const struct weir_figure *figures,
			       size_t n, const void *object);

#ifdef __cplusplus
}
#endif
#endif
