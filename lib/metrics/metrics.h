/* SPDX-License-Identifier: MIT */
/*
 * What a registry holds.  Private to lib/metrics: metrics.c declares and looks up, source.c keeps the objects that
 * report themselves, expose.c reads it all, text.c writes.
 *
 *     weir_metrics -> families (in the order of their declaration)
 *                        family of metrics:  one def, its series, one of them "other"
 *                        family of sources:  a kind with its table of defs, its sources
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include "base/contract.h"

#include <weir/metrics.h>

/* One series.  What it counts comes first, so that a handle is the series itself. */
struct series {
	union {
		struct weir_counter counter;
		struct weir_gauge gauge;
		struct weir_histogram *histogram;
	};
	double (*read)(void *arg);
	void *arg;
	struct series *next;        /* in the order they were made */
	struct series *bucket_next; /* in the table */
	uint64_t hash;
	char values[]; /* one after the other, each with its NUL */
};

struct weir_metric {
	const struct weir_metric_def *def;
	struct weir_metric *next;
	unsigned labels, series_count, limit;
	struct series *first, *last, *other;
	struct series **table; /* of table_size, a power of two; NULL without labels */
	size_t table_size;
	uint64_t overflow;
};

struct source_family {
	const struct weir_metrics_kind *kind;
	struct source_family *next;
	struct weir_metrics_source *first, *last;
	unsigned own; /* sources that have a series of their own */
	uint64_t overflow;
};

struct weir_metrics {
	struct weir_metric *metrics, *last_metric;
	struct source_family *families, *last_family;
};

/* What counts the look-ups that ended in "other": every registry has it. */
extern const struct weir_metric_def weir__overflow_def;

/* Whether a row is well-formed, and clashes with nothing in the registry: 0, WEIR_EINVAL, WEIR_EBUSY. */
int weir__metric_def_check(const struct weir_metrics *metrics, const struct weir_metric_def *def);

/* Removes all sources of all families. */
void weir__sources_fini(struct weir_metrics *metrics);

/* ---- text.c: text in pieces, to a sink */

struct text {
	weir_metrics_sink sink;
	void *arg;
	int code; /* of the sink, once it was negative: nothing is written any more */
	size_t n;
	char bytes[1024];
};

/* How bytes of a string are written: a label's value, a help text of either format, a cell of a table. */
enum escape { ESCAPE_LABEL, ESCAPE_HELP, ESCAPE_CELL };

void weir__text_put(struct text *text, const char *bytes, size_t n);
void weir__text_string(struct text *text, const char *string);
void weir__text_escaped(struct text *text, const char *string, enum escape escape);
void weir__text_uint(struct text *text, uint64_t value);
void weir__text_double(struct text *text, double value);
/* Nanoseconds, as seconds, exactly. */
void weir__text_seconds(struct text *text, uint64_t nsec);
int weir__text_flush(struct text *text);

#endif
