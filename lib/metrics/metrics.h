/* SPDX-License-Identifier: MIT */
/*
 * What a registry holds.  Private to lib/metrics: def.c checks declarations, metrics.c keeps them and looks up,
 * walk.c reads it all, expose.c makes text of it, text.c writes.
 *
 *     weir_metrics -> weir_metric (in the order of their declaration): one def, its series, one of them "other"
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include "base/contract.h"

#include <string.h>
#include <sys/queue.h>
#include <weir/metrics.h>
#include <weir/table.h>

/* One series.  What it counts comes first, so that a handle is the series itself. */
struct series {
	union {
		struct weir_counter counter;
		struct weir_gauge gauge;
		struct weir_histogram *histogram;
	};
	STAILQ_ENTRY(series) next; /* in the order they were made */
	struct weir_table_node node;
	char values[]; /* one after the other, each with its NUL */
};

struct weir_metric {
	const struct weir_metric_def *def;
	const struct weir_figure *figure; /* that it shows, of the object; NULL: none.  Then the def is its own */
	const void *object;
	TAILQ_ENTRY(weir_metric) others;
	unsigned labels, series_count, limit;
	STAILQ_HEAD(series_list, series) series;
	struct series *other;
	struct weir_table table; /* empty without labels */
	uint64_t overflow;
};

struct weir_metrics {
	TAILQ_HEAD(metric_list, weir_metric) metrics;
};

/* What counts the look-ups that ended in "other": every registry has it. */
extern const struct weir_metric_def weir__overflow_def;

/* Whether it is about durations; a histogram: else about numbers. */
static inline bool weir__metric_is_time(const struct weir_metric_def *def)
{
	size_t n = strlen(def->name), end = strlen("_seconds");
	return n > end && !strcmp(def->name + n - end, "_seconds");
}

/* How many labels it has. */
unsigned weir__metric_labels(const struct weir_metric_def *def);

/* Whether a row is well-formed, and clashes with nothing in the registry: 0, WEIR_EINVAL, WEIR_EBUSY. */
int weir__metric_def_check(const struct weir_metrics *metrics, const struct weir_metric_def *def);

/* ---- walk.c: what there is of each metric now */

struct walker {
	void (*metric)(void *arg, const struct weir_metric_def *def); /* one that shows something; NULL: never mind */
	int (*sample)(void *arg, const struct weir_metric_sample *sample);
	void *arg;
};

/* 0, or what sample() answered other than that. */
int weir__metrics_walk(const struct weir_metrics *metrics, const struct walker *walker);

/* ---- text.c: text that grows */

struct text {
	char *bytes; /* with a NUL behind the last */
	size_t n, room;
	bool failed; /* there was no memory: some of it is missing */
};

/* How bytes of a string are written: a label's value, or a help text of the older format. */
enum escape { ESCAPE_LABEL, ESCAPE_HELP };

void weir__text_put(struct text *text, const char *bytes, size_t n);
void weir__text_string(struct text *text, const char *string);
void weir__text_escaped(struct text *text, const char *string, enum escape escape);
void weir__text_uint(struct text *text, uint64_t value);
void weir__text_double(struct text *text, double value);
/* Nanoseconds, as seconds, exactly. */
void weir__text_seconds(struct text *text, uint64_t nsec);

#endif
