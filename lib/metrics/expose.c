/* SPDX-License-Identifier: MIT */
/*
 * The registry as text: for each metric its help, its type and its series.
 *
 * The formats differ little.  In OpenMetrics a counter's family is named without the _total of its sample, quotes are
 * escaped in help texts, too, and the text ends in "# EOF".
 */
#include "metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

/* Of the bounds of walk.c. */
static const char *const durations[] = {"0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25",
					"0.5",   "0.75", "1.0",   "2.5",  "5.0",   "7.5", "10.0"};
static const char *const numbers[] = {"1.0",   "2.0",   "5.0",    "10.0",   "20.0",   "50.0",   "100.0",
				      "200.0", "500.0", "1000.0", "2000.0", "5000.0", "10000.0"};
enum { BOUNDS_MOST = 16 };

struct exposition {
	enum weir_metrics_format format;
	struct text text;
};

/* ---- lines */

static void write_head(void *arg, const struct weir_metric_def *def)
{
	struct exposition *to = arg;
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
static void write_name(struct text *text, const struct weir_metric_sample *sample, const char *suffix, const char *le)
{
	const char *separator = "{";
	unsigned labels = weir__metric_labels(sample->def);
	weir__text_string(text, sample->def->name);
	weir__text_string(text, suffix);
	for (unsigned i = 0; i < labels; i++, separator = ",") {
		weir__text_string(text, separator);
		weir__text_string(text, sample->def->labels[i]);
		weir__text_string(text, "=\"");
		weir__text_escaped(text, sample->values[i], ESCAPE_LABEL);
		weir__text_string(text, "\"");
	}
	if (le) {
		weir__text_string(text, separator);
		weir__text_string(text, "le=\"");
		weir__text_string(text, le);
		weir__text_string(text, "\"");
	}
	weir__text_string(text, labels || le ? "} " : " ");
}

static void write_count(struct text *text, uint64_t value)
{
	weir__text_uint(text, value);
	weir__text_string(text, "\n");
}

static void write_number(struct text *text, const struct weir_metric_sample *sample)
{
	write_name(text, sample, "", NULL);
	if (sample->is_whole)
		weir__text_uint(text, sample->whole);
	else
		weir__text_double(text, sample->number);
	weir__text_string(text, "\n");
}

static void write_histogram(struct text *text, const struct weir_metric_sample *sample)
{
	const struct weir_histogram *histogram = sample->histogram;
	bool is_time = weir__metric_is_time(sample->def);
	const char *const *names = is_time ? durations : numbers;
	uint64_t below[BOUNDS_MOST];
	weir_histogram_cumulate(histogram, sample->bounds, sample->bound_count, below);
	for (size_t i = 0; i < sample->bound_count; i++) {
		write_name(text, sample, "_bucket", names[i]);
		write_count(text, below[i]);
	}
	write_name(text, sample, "_bucket", "+Inf");
	write_count(text, weir_histogram_count(histogram));
	write_name(text, sample, "_sum", NULL);
	if (is_time)
		weir__text_seconds(text, weir_histogram_sum(histogram));
	else
		weir__text_uint(text, weir_histogram_sum(histogram));
	weir__text_string(text, "\n");
	write_name(text, sample, "_count", NULL);
	write_count(text, weir_histogram_count(histogram));
}

static int write_sample(void *arg, const struct weir_metric_sample *sample)
{
	struct exposition *to = arg;
	if (sample->histogram)
		write_histogram(&to->text, sample);
	else
		write_number(&to->text, sample);
	return 0;
}

int weir_metrics_text(const struct weir_metrics *metrics, enum weir_metrics_format format, char **ret_text,
		      size_t *ret_bytes)
{
	struct exposition to = {.format = format};
	weir__metrics_walk(metrics, &(struct walker){.metric = write_head, .sample = write_sample, .arg = &to});
	if (format == WEIR_METRICS_OPENMETRICS)
		weir__text_string(&to.text, "# EOF\n");
	if (to.text.failed) {
		free(to.text.bytes);
		return WEIR_ENOMEM;
	}
	*ret_text = to.text.bytes;
	*ret_bytes = to.text.n;
	return 0;
}
