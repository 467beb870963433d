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
 * A series is one line-up of label values.  Look it up once and keep the pointer, which lives as long as the registry:
 * counting is then one addition.  Label values may come from outside, so each metric has a bound: beyond it (and for
 * values over WEIR_LABEL_BYTES, and when memory is short) all share one series whose every label is "other", and
 * weir_metrics_overflow_total counts the look-ups that ended there.  Looking up therefore never fails.
 *
 * Things with a name (a queue, a semaphore, a limiter) report themselves: they are sources, at the end of this header.
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
	WEIR_HISTOGRAM, /* of durations, recorded in nanoseconds and exposed in seconds; 30 KiB a series */
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

/* Frees all series with it.  Sources that are still there stop reporting.  NULL is fine. */
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

/* Has a gauge read by read(arg) whenever it is exposed; read NULL: its own value again.  read() must not touch the
 * registry.  WEIR_ENOSPC: the bound is reached, and "other" has no reader. */
WEIR_API int weir_metric_gauge_reader(struct weir_metric *metric, const char *const *values, double (*read)(void *arg),
				      void *arg);

static inline void weir_counter_add(struct weir_counter *counter, uint64_t n)
{
	counter->value += n;
}

static inline void weir_gauge_set(struct weir_gauge *gauge, double value)
{
	gauge->value = value;
}

static inline void weir_gauge_add(struct weir_gauge *gauge, double by)
{
	gauge->value += by;
}

enum weir_metrics_format {
	WEIR_METRICS_TEXT,        /* Prometheus text format 0.0.4 */
	WEIR_METRICS_OPENMETRICS, /* OpenMetrics 1.0 */
	WEIR_METRICS_MARKDOWN,    /* no values: a table of what is declared, for documentation */
};

/* Takes the text in pieces; a negative code ends the exposition.  Must not touch the registry, so must not suspend
 * where others do. */
typedef int (*weir_metrics_sink)(void *arg, const char *text, size_t bytes);

/* Writes all metrics.  0, or what the sink returned. */
WEIR_API int weir_metrics_expose(const struct weir_metrics *metrics, enum weir_metrics_format format,
				 weir_metrics_sink sink, void *arg);

/* The same into one piece of memory, to be freed with free(); *ret_bytes does not count the NUL at its end.
 * WEIR_ENOMEM. */
WEIR_API int weir_metrics_text(const struct weir_metrics *metrics, enum weir_metrics_format format, char **ret_text,
			       size_t *ret_bytes);

/* ---- sources: objects that report themselves
 *
 * All sources of a kind share its table of metrics, each with the one label `name`.  To make another kind of object
 * report: declare a kind, embed a weir_metrics_source in the object, register it where the object is made and remove
 * it where it is freed.
 *
 * An object with parts that are alike (the classes of a queue) reports them by a kind of their own: its series have a
 * second label, which counts the parts from 0. */

union weir_metric_value {
	uint64_t counter;
	double gauge;
	const struct weir_histogram *histogram; /* NULL: not kept */
};

struct weir_metrics_source;

struct weir_metrics_kind {
	const struct weir_metric_def *defs; /* without labels; limit counts in the first row only */
	size_t n;                           /* WEIR_KIND_METRICS_MOST at most */
	/* Fills n values, in the order of defs. */
	void (*collect)(const struct weir_metrics_source *source, union weir_metric_value *ret_values);
	const char *part_label; /* of a kind that reports parts: the second label, and then these in place of collect */
	unsigned (*count_parts)(const struct weir_metrics_source *source); /* may be none */
	void (*collect_part)(const struct weir_metrics_source *source, unsigned part,
			     union weir_metric_value *ret_values);
};

#define WEIR_KIND_METRICS_MOST 16

/* Lies in the object; its fields are the registry's. */
struct weir_metrics_source {
	const struct weir_metrics_kind *kind;
	const char *name; /* borrowed */
	struct weir_metrics *metrics;
	struct weir_metrics_source *next, *prev;
	unsigned twin; /* 2 and up: that many of this name were there; exposed as name#2 */
	bool pooled;   /* beyond the limit: summed up in the series "other", its parts, too */
};

/* Registers a source until it is removed; kind and name stay where they are until then.  metrics NULL: at the registry
 * of this thread, or nowhere if it has none.  WEIR_EINVAL, WEIR_EBUSY: as weir_metrics_add(), for the first source of
 * a kind. */
WEIR_API int weir_metrics_register(struct weir_metrics *metrics, struct weir_metrics_source *source,
				   const struct weir_metrics_kind *kind, const char *name);

/* One that is not registered (all zero) is fine. */
WEIR_API void weir_metrics_unregister(struct weir_metrics_source *source);

/* Makes `metrics` (or NULL: none) the registry of this thread, and so of the loop that runs on it: named objects made
 * from now on report to it. */
WEIR_API void weir_metrics_use(struct weir_metrics *metrics);

#ifdef __cplusplus
}
#endif
#endif
