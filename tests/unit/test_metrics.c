/* SPDX-License-Identifier: MIT */
/* The registry of metrics and its text. */
#include "unit/death.h"
#include "unit/exposition.h"

#include <math.h>
#include <string.h>
#include <weir/metrics.h>

enum { JOBS, DEPTH, TOOK, HOSTS, METRICS };

static const struct weir_metric_def defs[METRICS] = {
	[JOBS] = {"jobs_total", "Jobs that ended.\nBy \"outcome\" \\ host.", WEIR_COUNTER, {"outcome", "host"}, 5},
	[DEPTH] = {"queue:depth", "Items | that wait.", WEIR_GAUGE},
	[TOOK] = {"job_seconds", "How long a job took.", WEIR_HISTOGRAM},
	[HOSTS] = {"host_seconds", "How long a host took.", WEIR_HISTOGRAM, {"host"}, 2},
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
	if (format != WEIR_METRICS_MARKDOWN)
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
	weir_gauge_add(weir_metric_gauge(metric[DEPTH], NULL), -2.25);
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

static double read_depth(void *arg)
{
	return *(int *)arg;
}

TEST(metrics_gauge_with_a_reader_is_read_when_exposed)
{
	static const struct weir_metric_def rooms = {"rooms", "Rooms.", WEIR_GAUGE, {"house"}, 1};
	struct weir_metric *room;
	int depth = 7;
	set_up();
	ck_assert_int_eq(weir_metrics_add(metrics, &rooms, 1, &room), 0);
	weir_gauge_set(weir_metric_gauge(metric[DEPTH], NULL), 1);
	ck_assert_int_eq(weir_metric_gauge_reader(metric[DEPTH], NULL, read_depth, &depth), 0);
	ck_assert_int_eq(weir_metric_gauge_reader(room, (const char *[]){"a"}, read_depth, &depth), 0);
	ck_assert_int_eq(weir_metric_gauge_reader(room, (const char *[]){"b"}, read_depth, &depth), WEIR_ENOSPC);
	depth = 9;
	char *text = text_of(WEIR_METRICS_TEXT);
	assert_line(text, "queue:depth 9");
	assert_line(text, "rooms{house=\"a\"} 9");
	free(text);
	ck_assert_int_eq(weir_metric_gauge_reader(metric[DEPTH], NULL, NULL, NULL), 0);
	text = text_of(WEIR_METRICS_TEXT);
	assert_line(text, "queue:depth 1");
	free(text);
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

static int fail_later(void *arg, const char *text, size_t bytes)
{
	(void)text, (void)bytes;
	return --*(int *)arg ? 1 : WEIR_EPIPE;
}

TEST(metrics_end_where_the_sink_fails)
{
	set_up();
	for (int pieces = 1; pieces <= 2; pieces++) {
		int left = pieces;
		ck_assert_int_eq(weir_metrics_expose(metrics, WEIR_METRICS_TEXT, fail_later, &left), WEIR_EPIPE);
		ck_assert_int_eq(left, 0); /* not called again */
	}
	int left = 100;
	ck_assert_int_eq(weir_metrics_expose(metrics, WEIR_METRICS_TEXT, fail_later, &left), 0);
	weir_metrics_free(metrics);
}

/* ---- sources */

struct thing {
	struct weir_metrics_source source;
	uint64_t done;
	struct weir_histogram *took;
};

static void collect_thing(const struct weir_metrics_source *source, union weir_metric_value *ret_values)
{
	const struct thing *thing = (const struct thing *)source;
	ret_values[0].counter = thing->done;
	ret_values[1].gauge = (double)thing->done / 2;
	ret_values[2].histogram = thing->took;
}

static const struct weir_metric_def thing_defs[] = {
	{"thing_done_total", "Done.", WEIR_COUNTER, {NULL}, 5},
	{"thing_level", "Level.", WEIR_GAUGE},
	{"thing_seconds", "Took.", WEIR_HISTOGRAM},
};
static const struct weir_metrics_kind thing_kind = {thing_defs, 3, collect_thing};

TEST(metrics_sources_report_themselves_until_they_are_removed)
{
	struct thing a = {.done = 1}, b = {.done = 2}, twin = {.done = 3}, like = {.done = 4}, other = {.done = 5};
	struct thing pool[2] = {{.done = 10}, {.done = 20}}, late = {.done = 6};
	set_up();
	weir_metrics_use(metrics);
	ck_assert_int_eq(weir_histogram_new(&a.took), 0);
	weir_histogram_record(a.took, WEIR_SEC);
	ck_assert_int_eq(weir_metrics_register(metrics, &a.source, &thing_kind, "a"), 0);
	ck_assert_int_eq(weir_metrics_register(NULL, &b.source, &thing_kind, "b"), 0);
	ck_assert_int_eq(weir_metrics_register(NULL, &twin.source, &thing_kind, "a"), 0);
	ck_assert_int_eq(weir_metrics_register(NULL, &like.source, &thing_kind, "a#2"), 0);
	ck_assert_int_eq(weir_metrics_register(NULL, &other.source, &thing_kind, "other"), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(weir_metrics_register(NULL, &pool[i].source, &thing_kind, "p"), 0);
	char *text = text_of(WEIR_METRICS_TEXT);
	free(text_of(WEIR_METRICS_OPENMETRICS));
	assert_line(text, "thing_done_total{name=\"a\"} 1");
	assert_line(text, "thing_level{name=\"b\"} 1");
	assert_line(text, "thing_done_total{name=\"a#2\"} 3");
	assert_line(text, "thing_done_total{name=\"a#2#2\"} 4");
	assert_line(text, "thing_done_total{name=\"other#2\"} 5");
	assert_line(text, "thing_done_total{name=\"other\"} 30");
	assert_line(text, "thing_seconds_sum{name=\"a\"} 1.000000000");
	assert_line(text, "weir_metrics_overflow_total{metric=\"thing_done_total\"} 2");
	free(text);
	weir_metrics_unregister(&pool[0].source);
	weir_metrics_unregister(&a.source);
	weir_metrics_unregister(&a.source);
	weir_metrics_unregister(&other.source);
	ck_assert_int_eq(weir_metrics_register(NULL, &late.source, &thing_kind, "late"), 0);
	text = text_of(WEIR_METRICS_TEXT);
	assert_line(text, "thing_done_total{name=\"late\"} 6");
	assert_line(text, "thing_done_total{name=\"other\"} 20");
	ck_assert(!exposition_has(text, "thing_done_total{name=\"a\"} 1"));
	free(text);
	weir_metrics_free(metrics); /* before its sources */
	ck_assert_ptr_null(late.source.metrics);
	weir_metrics_unregister(&late.source);
	ck_assert_int_eq(weir_metrics_register(NULL, &late.source, &thing_kind, "nowhere"), 0);
	ck_assert_ptr_null(late.source.metrics);
	weir_histogram_free(a.took);
}

static unsigned count_parts(const struct weir_metrics_source *source)
{
	return (unsigned)((const struct thing *)source)->done;
}

static void collect_part(const struct weir_metrics_source *source, unsigned part, union weir_metric_value *ret_values)
{
	ret_values[0].counter = 100 * ((const struct thing *)source)->done + part;
	ret_values[1].histogram = part == 1 ? ((const struct thing *)source)->took : NULL;
}

TEST(metrics_sources_report_their_parts)
{
	static const struct weir_metric_def rows[] = {
		{"part_done_total", "Done.", WEIR_COUNTER, {NULL}, 3},
		{"part_seconds", "Took.", WEIR_HISTOGRAM},
	};
	static const struct weir_metrics_kind kind = {rows, 2, NULL, "part", count_parts, collect_part};
	static const struct weir_metrics_kind twice = {rows, 2, NULL, "name", count_parts, collect_part};
	static const char *const names[] = {"a", "none", "a", "b", "c"};
	struct thing things[] = {{.done = 2}, {.done = 0}, {.done = 1}, {.done = 2}, {.done = 1}};
	set_up();
	ck_assert_int_eq(weir_histogram_new(&things[0].took), 0);
	weir_histogram_record(things[0].took, WEIR_SEC);
	ck_assert_int_eq(weir_metrics_register(metrics, &things[0].source, &twice, "a"), WEIR_EINVAL);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(weir_metrics_register(metrics, &things[i].source, &kind, names[i]), 0);
	char *text = text_of(WEIR_METRICS_TEXT), *table = text_of(WEIR_METRICS_MARKDOWN);
	free(text_of(WEIR_METRICS_OPENMETRICS));
	assert_line(text, "part_done_total{name=\"a\",part=\"0\"} 200");
	assert_line(text, "part_done_total{name=\"a\",part=\"1\"} 201");
	assert_line(text, "part_done_total{name=\"a#2\",part=\"0\"} 100");
	assert_line(text, "part_done_total{name=\"other\",part=\"other\"} 501");
	assert_line(text, "part_seconds_bucket{name=\"a\",part=\"1\",le=\"1.0\"} 1");
	ck_assert_ptr_null(strstr(text, "none"));
	assert_line(table, "| `part_seconds` | histogram | `name` `part` | Took. |");
	free(table);
	free(text);
	weir_metrics_free(metrics);
	weir_histogram_free(things[0].took);
}

TEST(metrics_sources_and_metrics_share_one_space_of_names)
{
	static const struct weir_metric_def clash = {"thing_level", "h", WEIR_GAUGE};
	static const struct weir_metric_def labelled = {"labelled", "h", WEIR_GAUGE, {"x"}};
	static const struct weir_metrics_kind clashing = {defs, 1, collect_thing}, with_labels = {&labelled, 1, NULL};
	struct thing thing = {.done = 1}, second = {0};
	struct weir_metric *one;
	set_up();
	ck_assert_int_eq(weir_metrics_register(metrics, &thing.source, &thing_kind, "a"), 0);
	ck_assert_int_eq(weir_metrics_add(metrics, &clash, 1, &one), WEIR_EBUSY);
	ck_assert_int_eq(weir_metrics_register(metrics, &second.source, &with_labels, "a"), WEIR_EINVAL);
	ck_assert_int_lt(weir_metrics_register(metrics, &second.source, &clashing, "a"), 0);
	ck_assert_ptr_null(second.source.metrics);
	weir_metrics_free(metrics);
}

TEST(metrics_document_themselves)
{
	struct thing thing = {.done = 1};
	set_up();
	ck_assert_int_eq(weir_metrics_register(metrics, &thing.source, &thing_kind, "a"), 0);
	char *text = text_of(WEIR_METRICS_MARKDOWN);
	assert_line(text, "| `jobs_total` | counter | `outcome` `host` | Jobs that ended. By \"outcome\" \\ host. |");
	assert_line(text, "| `queue:depth` | gauge | | Items \\| that wait. |");
	assert_line(text, "| `thing_seconds` | histogram | `name` | Took. |");
	free(text);
	weir_metrics_free(metrics);
}

static void ask_as_another_kind(void)
{
	set_up();
	weir_metric_gauge(metric[JOBS], (const char *[]){"a", "b"});
}

TEST(metrics_broken_contracts_abort)
{
	assert_aborts(ask_as_another_kind);
}
