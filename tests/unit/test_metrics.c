/* SPDX-License-Identifier: MIT */
/* The registry of metrics and its text. */
#include "unit/death.h"
#include "unit/exposition.h"

#include <math.h>
#include <string.h>
#include <weir/metrics.h>

enum { JOBS, DEPTH, TOOK, HOSTS, SIZES, METRICS };

static const struct weir_metric_def defs[METRICS] = {
	[JOBS] = {"jobs_total", "Jobs that ended.\nBy \"outcome\" \\ host.", WEIR_COUNTER, {"outcome", "host"}, 5},
	[DEPTH] = {"queue:depth", "Items | that wait.", WEIR_GAUGE},
	[TOOK] = {"job_seconds", "How long a job took.", WEIR_HISTOGRAM},
	[HOSTS] = {"host_seconds", "How long a host took.", WEIR_HISTOGRAM, {"host"}, 2},
	[SIZES] = {"batch_items", "How many items a batch had.", WEIR_HISTOGRAM},
};

static struct weir_metrics *metrics;
static struct weir_metric *metric[METRICS];

static void set_up(void)
{
	ck_assert_int_eq(weir_metrics_new(&metrics), 0);
	ck_assert_int_eq(weir_metrics_add(metrics, defs, METRICS, metric), 0);
}

static struct weir_counter *jobs(const char *outcome, const char *host)
{
	return weir_metric_counter(metric[JOBS], (const char *[]){outcome, host});
}

static char *text_of(enum weir_metrics_format format)
{
	char *text;
	size_t bytes;
	ck_assert_int_eq(weir_metrics_text(metrics, format, &text, &bytes), 0);
	ck_assert_uint_eq(strlen(text), bytes);
	exposition_check(text, format == WEIR_METRICS_OPENMETRICS);
	return text;
}

#define assert_line(text, line) ck_assert_msg(exposition_has(text, line), "no line %s in\n%s", line, text)

TEST(metrics_expose_what_was_counted)
{
	set_up();
	weir_counter_add(jobs("good", "a"), 1);
	weir_counter_add(jobs("good", "a"), 2);
	weir_counter_add(jobs("bad", "a"), UINT64_MAX);
	weir_gauge_set(weir_metric_gauge(metric[DEPTH], NULL), 2);
	weir_gauge_set(weir_metric_gauge(metric[DEPTH], NULL), -0.25);
	char *text = text_of(WEIR_METRICS_TEXT), *open = text_of(WEIR_METRICS_OPENMETRICS);
	assert_line(text, "# HELP jobs_total Jobs that ended.\\nBy \"outcome\" \\\\ host.");
	assert_line(text, "# TYPE jobs_total counter");
	assert_line(text, "jobs_total{outcome=\"good\",host=\"a\"} 3");
	assert_line(text, "jobs_total{outcome=\"bad\",host=\"a\"} 18446744073709551615");
	assert_line(text, "queue:depth -0.25");
	assert_line(open, "# HELP jobs Jobs that ended.\\nBy \\\"outcome\\\" \\\\ host.");
	assert_line(open, "# TYPE jobs counter");
	assert_line(open, "jobs_total{outcome=\"good\",host=\"a\"} 3");
	free(text);
	free(open);
	weir_metrics_free(metrics);
	weir_metrics_free(NULL);
}

TEST(metrics_expose_histograms_in_seconds_below_the_usual_bounds)
{
	set_up();
	struct weir_histogram *took = weir_metric_histogram(metric[TOOK], NULL);
	weir_histogram_record(took, 5 * WEIR_MSEC); /* on a bound: at or below it */
	weir_histogram_record(took, 60 * WEIR_MSEC);
	weir_histogram_record(took, 11 * WEIR_SEC + 1);
	char *text = text_of(WEIR_METRICS_TEXT);
	assert_line(text, "# TYPE job_seconds histogram");
	assert_line(text, "job_seconds_bucket{le=\"0.005\"} 1");
	assert_line(text, "job_seconds_bucket{le=\"0.05\"} 1");
	assert_line(text, "job_seconds_bucket{le=\"0.075\"} 2");
	assert_line(text, "job_seconds_bucket{le=\"10.0\"} 2");
	assert_line(text, "job_seconds_bucket{le=\"+Inf\"} 3");
	assert_line(text, "job_seconds_sum 11.065000001");
	assert_line(text, "job_seconds_count 3");
	free(text);
	weir_metrics_free(metrics);
}

TEST(metrics_expose_histograms_of_numbers_as_they_are)
{
	set_up();
	struct weir_histogram *sizes = weir_metric_histogram(metric[SIZES], NULL);
	weir_histogram_record(sizes, 1);
	weir_histogram_record(sizes, 50);
	weir_histogram_record(sizes, 70000);
	char *text = text_of(WEIR_METRICS_TEXT);
	free(text_of(WEIR_METRICS_OPENMETRICS));
	assert_line(text, "# TYPE batch_items histogram");
	assert_line(text, "batch_items_bucket{le=\"1.0\"} 1");
	assert_line(text, "batch_items_bucket{le=\"20.0\"} 1");
	assert_line(text, "batch_items_bucket{le=\"50.0\"} 2");
	assert_line(text, "batch_items_bucket{le=\"10000.0\"} 2");
	assert_line(text, "batch_items_bucket{le=\"+Inf\"} 3");
	assert_line(text, "batch_items_sum 70051");
	assert_line(text, "batch_items_count 3");
	free(text);
	weir_metrics_free(metrics);
}

TEST(metrics_label_sets_are_bounded)
{
	char long_value[WEIR_LABEL_BYTES + 2];
	set_up();
	memset(long_value, 'x', sizeof long_value);
	long_value[WEIR_LABEL_BYTES + 1] = 0;
	for (int i = 0; i < 1000; i++)
		weir_counter_add(jobs("good", test_format("host%d", i % 10)), 1);
	ck_assert_ptr_eq(jobs("good", long_value), jobs("other", "other"));
	ck_assert_ptr_ne(jobs("good", "host1"), jobs("other", "other"));
	for (int i = 0; i < 3; i++)
		weir_histogram_record(weir_metric_histogram(metric[HOSTS], (const char *[]){test_format("%d", i)}), i);
	char *text = text_of(WEIR_METRICS_TEXT);
	assert_line(text, "jobs_total{outcome=\"good\",host=\"host4\"} 100");
	assert_line(text, "jobs_total{outcome=\"other\",host=\"other\"} 500");
	assert_line(text, "weir_metrics_overflow_total{metric=\"jobs_total\"} 503");
	assert_line(text, "host_seconds_count{host=\"1\"} 1");
	assert_line(text, "host_seconds_count{host=\"other\"} 1");
	assert_line(text, "weir_metrics_overflow_total{metric=\"host_seconds\"} 1");
	ck_assert_ptr_null(strstr(text, "host5"));
	free(text);
	weir_metrics_free(metrics);
}

TEST(metrics_handles_stay_and_values_do_not_run_together)
{
	set_up();
	struct weir_counter *one = jobs("ab", "c"), *two = jobs("a", "bc"), *three = jobs("", "abc");
	ck_assert_ptr_ne(one, two);
	ck_assert_ptr_ne(two, three);
	ck_assert_ptr_eq(one, jobs("ab", "c"));
	ck_assert_ptr_eq(three, jobs("", "abc"));
	weir_metrics_free(metrics);
}

TEST(metrics_escape_label_values_and_replace_what_is_no_utf8)
{
	set_up();
	weir_counter_add(jobs("a\"b\\c\nd", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9f"), 1);
	weir_counter_add(jobs("\xc0\x80|\xed\xa0\x80|\xff|\xe2\x82", "\xf4\x90\x80\x80"), 1);
	char *text = text_of(WEIR_METRICS_TEXT);
	free(text_of(WEIR_METRICS_OPENMETRICS));
	assert_line(text, "jobs_total{outcome=\"a\\\"b\\\\c\\nd\",host=\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9f\"} 1");
#define R "\xef\xbf\xbd"
	assert_line(text, "jobs_total{outcome=\"" R R "|" R R R "|" R "|" R R "\",host=\"" R R R R "\"} 1");
	free(text);
	weir_metrics_free(metrics);
}

TEST(metrics_gauges_show_every_number_and_read_themselves_back)
{
	static const double values[] = {0, -0.0, 0.1, 1.0 / 3, 1e-300, -1e300, 123456789012345678.0, 5e-324, 1e15};
	set_up();
	struct weir_gauge *gauge = weir_metric_gauge(metric[DEPTH], NULL);
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		weir_gauge_set(gauge, values[i]);
		char *text = text_of(WEIR_METRICS_TEXT);
		ck_assert(strtod(strstr(text, "\nqueue:depth ") + 13, NULL) == values[i]);
		free(text);
	}
	static const char *const lines[] = {"queue:depth +Inf", "queue:depth -Inf", "queue:depth NaN"};
	for (int i = 0; i < 3; i++) {
		weir_gauge_set(gauge, i == 0 ? INFINITY : i == 1 ? -INFINITY : NAN);
		char *text = text_of(WEIR_METRICS_TEXT);
		assert_line(text, lines[i]);
		free(text);
	}
	weir_metrics_free(metrics);
}

TEST(metrics_refuse_malformed_and_clashing_rows_whole)
{
	static const struct weir_metric_def malformed[] = {
		{"", "h", WEIR_GAUGE},
		{"1a", "h", WEIR_GAUGE},
		{"a-b", "h", WEIR_GAUGE},
		{"a\xc3\xa4", "h", WEIR_GAUGE},
		{"jobs", "h", WEIR_COUNTER},
		{"_total", "h", WEIR_COUNTER},
		{"a", NULL, WEIR_GAUGE},
		{NULL, "h", WEIR_GAUGE},
		{"a", "h", WEIR_GAUGE, {"a:b"}},
		{"a", "h", WEIR_GAUGE, {"__a"}},
		{"a", "h", WEIR_HISTOGRAM, {"le"}},
		{"a", "h", WEIR_GAUGE, {"x", "y", "x"}},
		{"a", "h", (enum weir_metric_kind)3},
		{"a", "h", WEIR_GAUGE, {""}},
	};
	static const struct weir_metric_def clashing[] = {
		{"jobs_total", "h", WEIR_COUNTER},       {"jobs", "h", WEIR_GAUGE},
		{"job_seconds_sum", "h", WEIR_GAUGE},    {"job_seconds_count_total", "h", WEIR_COUNTER},
		{"job_seconds_bucket", "h", WEIR_GAUGE}, {"weir_metrics_overflow_total", "h", WEIR_COUNTER},
		{"queue:depth", "h", WEIR_HISTOGRAM},
	};
	struct weir_metric *untouched[2] = {NULL};
	set_up();
	for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
		struct weir_metric_def rows[] = {{"fine", "h", WEIR_GAUGE}, malformed[i]};
		ck_assert_int_eq(weir_metrics_add(metrics, rows, 2, untouched), WEIR_EINVAL);
	}
	for (size_t i = 0; i < sizeof clashing / sizeof clashing[0]; i++) {
		struct weir_metric_def rows[] = {{"fine", "h", WEIR_GAUGE}, clashing[i]};
		ck_assert_int_eq(weir_metrics_add(metrics, rows, 2, untouched), WEIR_EBUSY);
	}
	ck_assert_ptr_null(untouched[0]);
	char *text = text_of(WEIR_METRICS_TEXT);
	ck_assert_ptr_null(strstr(text, "fine"));
	free(text);
	weir_metrics_free(metrics);
}

/* ---- figures */

struct tank {
	uint64_t filled;
	double waited;
	bool open, known;
};

static bool get_filled(const void *object, union weir_figure_value *ret_value)
{
	ret_value->number = (double)((const struct tank *)object)->filled;
	return true;
}

static bool get_waited(const void *object, union weir_figure_value *ret_value)
{
	const struct tank *tank = object;
	ret_value->number = tank->waited;
	return tank->known;
}

static bool get_open(const void *object, union weir_figure_value *ret_value)
{
	ret_value->flag = ((const struct tank *)object)->open;
	return true;
}

static bool get_colour(const void *object, union weir_figure_value *ret_value)
{
	(void)object;
	ret_value->text = "blue";
	return true;
}

TEST(metrics_figures_are_read_when_they_are_exposed)
{
	static const struct weir_figure figures[] = {
		{"filled", "bytes", WEIR_FIGURE_COUNTER, "Bytes that came.", get_filled},
		{"waited", "s", WEIR_FIGURE_GAUGE, "How long.", get_waited},
		{"open", NULL, WEIR_FIGURE_FLAG, "Whether.", get_open},
		{"colour", NULL, WEIR_FIGURE_TEXT, "Not a number.", get_colour},
		{"again", "ms", WEIR_FIGURE_GAUGE, "How long.", get_waited},
		{"third", NULL, WEIR_FIGURE_GAUGE, "How long.", get_waited, "other_name"},
		{"fourth", NULL, WEIR_FIGURE_GAUGE, "How long.", get_waited, ""},
	};
	static const struct weir_figure clash[] = {{"shut", NULL, WEIR_FIGURE_FLAG, "New.", get_open},
						   {"open", NULL, WEIR_FIGURE_FLAG, "Again.", get_open}};
	static const struct weir_figure bad[] = {{"not a name", NULL, WEIR_FIGURE_FLAG, "Bad.", get_open}};
	struct tank tank = {.filled = 7, .waited = 1.5};
	set_up();
	ck_assert_int_eq(weir_metrics_show(metrics, "tank_", figures, 7, &tank), 0);
	ck_assert_int_eq(weir_metrics_show(metrics, "tank_", clash, 2, &tank), WEIR_EBUSY);
	ck_assert_int_eq(weir_metrics_show(metrics, "tank_", bad, 1, &tank), WEIR_EINVAL);
	tank = (struct tank){.filled = 8, .open = true};
	char *text = text_of(WEIR_METRICS_TEXT);
	assert_line(text, "tank_filled_bytes_total 8");
	assert_line(text, "tank_open 1");
	ck_assert(!strstr(text, "tank_waited") && !strstr(text, "blue") && !strstr(text, "tank_shut"));
	free(text);
	tank.known = true;
	tank.waited = 0.25;
	text = text_of(WEIR_METRICS_OPENMETRICS);
	assert_line(text, "# TYPE tank_filled_bytes counter");
	assert_line(text, "tank_waited_seconds 0.25");
	assert_line(text, "tank_again_seconds 0.00025");
	assert_line(text, "tank_other_name 0.25");
	ck_assert(!strstr(text, "third") && !strstr(text, "fourth"));
	free(text);
	weir_metrics_free(metrics);
}

static bool get_times(const void *object, union weir_figure_value *ret_value)
{
	ret_value->histogram = object;
	return true;
}

static int note_name(void *arg, const struct weir_metric_def *def)
{
	char *names = arg;
	strcat(strcat(names, def->name), def->kind == WEIR_HISTOGRAM ? "(h) " : " ");
	return strstr(def->name, "stop") ? 7 : 0;
}

TEST(metrics_figures_may_be_histograms_and_are_walked)
{
	static const struct weir_figure figures[] = {
		{"wait", "ms", WEIR_FIGURE_HISTOGRAM, "Waits.", get_times, "wait_seconds"},
		{"stop", NULL, WEIR_FIGURE_FLAG, "Stop.", get_open}};
	struct weir_histogram *times;
	struct weir_metrics *all;
	struct tank tank = {0};
	char names[200] = "", *text;
	size_t bytes;
	ck_assert_int_eq(weir_histogram_new(&times), 0);
	ck_assert_int_eq(weir_metrics_new(&all), 0);
	weir_histogram_record(times, 20 * WEIR_MSEC);
	ck_assert_int_eq(weir_metrics_show(all, "tank_", figures, 1, times), 0);
	ck_assert_int_eq(weir_metrics_text(all, WEIR_METRICS_TEXT, &text, &bytes), 0);
	assert_line(text, "# TYPE tank_wait_seconds histogram");
	assert_line(text, "tank_wait_seconds_bucket{le=\"0.01\"} 0");
	assert_line(text, "tank_wait_seconds_bucket{le=\"0.025\"} 1");
	free(text);
	ck_assert_int_eq(weir_metrics_each(all, note_name, names), 0);
	ck_assert_str_eq(names, "tank_wait_seconds(h) weir_metrics_overflow_total ");
	ck_assert_int_eq(weir_metrics_show(all, "tank_", figures + 1, 1, &tank), 0);
	ck_assert_int_eq(weir_metrics_each(all, note_name, names), 7);
	weir_metrics_free(all);
	weir_histogram_free(times);
}

static void ask_as_another_kind(void)
{
	set_up();
	weir_metric_gauge(metric[JOBS], (const char *[]){"a", "b"});
}

TEST(metrics_broken_contracts_abort)
{
	assert_aborts(ask_as_another_kind, "weir_metric_gauge: this metric is of another kind");
}
