/* SPDX-License-Identifier: MIT */
/* The table of a run's figures: as JSON, as metrics, and what people are told, all from one look. */
#include "cmd/figures.h"
#include "cmd/words.h"
#include "data/json.h"
#include "unit/exposition.h"
#include "unit/fibers.h"

#include <stdlib.h>
#include <string.h>
#include <weir/histogram.h>

static struct report example(void)
{
	return (struct report){
		.name = "orders",
		.rate = 2.5,
		.looked_at = 1,
		.settled_at = 1,
		.own_rate = "5/s",
		.now = {.read = 70,
			.succeeded = 60,
			.dead = 3,
			.unfinished = 7,
			.total = 100,
			.total_exact = true,
			.retries = 4},
		.flow = {.concurrency = 8, .adaptive = true, .per_sec = 5, .rate_from = RATE_YOURS, .why = WHY_SINK},
		.why = {.cause = WHY_SINK, .share = 0.97},
		.spent = {[SPENT_UPSTREAM] = 1, [SPENT_SINK] = 3},
	};
}

static struct json *json_of(const struct report *report)
{
	struct buf out = {0};
	struct json *json;
	figures_summary(report, 5, &out);
	ck_assert_int_eq(json_parse(out.data, out.len, &json, NULL), 0);
	buf_fini(&out);
	return json;
}

static double number_at(const struct json *json, const char *path)
{
	const struct json *found = json_at(json, path);
	ck_assert_msg(found != NULL, "no %s", path);
	return json_real(found);
}

FIBER_TEST(figures_in_json_have_their_unit_behind_the_name)
{
	struct report report = example();
	struct weir_histogram *none, *batches;
	ck_assert_int_eq(weir_histogram_new(&none), 0);
	ck_assert_int_eq(weir_histogram_new(&batches), 0);
	report.now.attempt_ns = report.now.item_ns = report.now.write_ns = report.now.ack_ns = none;
	report.now.batch_items = batches;
	weir_histogram_record(batches, 50);
	weir_histogram_record(batches, 7);
	struct json *json = json_of(&report);
	ck_assert(number_at(json, ".read") == 70 && number_at(json, ".exit_code") == 5);
	ck_assert(number_at(json, ".per_s") == 2.5 && number_at(json, ".eta_s") == 37 / 2.5);
	ck_assert(number_at(json, ".flow.concurrency") == 8 && number_at(json, ".peak_rss_bytes") > 100000);
	ck_assert(json_bool(json_at(json, ".flow.auto")) && !json_at(json, ".reason") && !json_at(json, ".flow.disk"));
	ck_assert(number_at(json, ".batch_items.max") == 50 && number_at(json, ".batch_items.p50") == 7);
	ck_assert(number_at(json, ".flow.time_s.upstream") == 1 && number_at(json, ".flow.time_s.rate_limit") == 0);
	json_free(json);
	weir_histogram_free(none);
	weir_histogram_free(batches);
}

FIBER_TEST(figures_are_all_good_metrics)
{
	struct report report = example();
	struct weir_metrics *metrics;
	char *text;
	size_t bytes;
	ck_assert_int_eq(weir_metrics_new(&metrics), 0);
	ck_assert_int_eq(weir_metrics_show(metrics, "weir_", figures_of_run, figures_of_run_count, &report), 0);
	ck_assert_int_eq(weir_metrics_show(metrics, "weir_", figures_of_flow, figures_of_flow_count, &report), 0);
	ck_assert_int_eq(weir_metrics_text(metrics, WEIR_METRICS_TEXT, &text, &bytes), 0);
	exposition_check(text, false);
	ck_assert(exposition_has(text, "weir_items_read_total 70") &&
		  exposition_has(text, "weir_concurrency_is_found 1") && !strstr(text, "weir_min_latency"));
	free(text);
	weir_metrics_free(metrics);
}

FIBER_TEST(words_say_what_the_figures_say)
{
	struct report report = example();
	struct weir_histogram *none;
	struct buf out = {0};
	ck_assert_int_eq(weir_histogram_new(&none), 0);
	report.now.attempt_ns = none;
	words_status(&report, &out);
	ck_assert_ptr_nonnull(strstr(
		out.data, "\n  63 %, 63/100, 150/m, ETA 15 s\n  60 ok, 3 failed, 0 in flight\n"
			  "  concurrency 8 (auto), rate 5/s\n  limited by the sink, 97 % of the time; done in 15 s\n"
			  "  time: #####--------------- # upstream 25 %, - sink 75 %\n"));
	buf_clear(&out);
	words_limits(&report, &out);
	ck_assert_str_eq(out.data, "orders: concurrency 8 (auto), rate 5/s\n");
	buf_fini(&out);
	weir_histogram_free(none);
}

/* Items are settled evenly from one second to another. */
static weir_nsec run_at(struct report *report, weir_nsec now, int seconds, double per_sec)
{
	static double settled;
	settled = report->mark_count ? settled : 0;
	for (int i = 0; i < 10 * seconds; i++) {
		now += WEIR_SEC / 10;
		settled += per_sec / 10;
		report_mark(report, now, (uint64_t)settled);
	}
	return now;
}

TEST(report_rate_follows_a_run_within_seconds)
{
	struct report report = {0};
	weir_nsec now = run_at(&report, WEIR_SEC, 60, 200);
	ck_assert_double_eq_tol(report.rate, 200, 1);
	now = run_at(&report, now, 4, 20);
	ck_assert_double_eq_tol(report.rate, 20, 2);
	now = run_at(&report, now, 4, 1000);
	ck_assert_double_eq_tol(report.rate, 1000, 20);
	run_at(&report, now, 40, 0);
	ck_assert_double_eq(report.rate, 0);
}

TEST(report_rate_of_few_items_is_that_of_half_a_minute)
{
	struct report report = {0};
	run_at(&report, 0, 120, 0.2);
	ck_assert_double_eq_tol(report.rate, 0.2, 0.04);
}
