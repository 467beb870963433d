/* SPDX-License-Identifier: MIT */
/* What is written of a report: as text, CSV, JSON and a page. */
#include "bench/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/chart.h"
#include "data/buf.h"
#include "data/json.h"
#include "support/test.h"

static struct bench_row rows[3];

/* Two rows that ran, one of them with a note that is hostile, and one that died. */
static struct bench_report make_report(void)
{
	struct bench_report report = {.scenario = &bench_patterns,
				      .load = bench_patterns.load,
				      .mode = "real sockets, weir mock",
				      .rows = rows};
	snprintf(report.machine, sizeof report.machine, "2 x <b>\"fast\" & 'small'</b>");
	snprintf(report.when, sizeof report.when, "2026-01-02T03:04:05Z");
	report.count = 3;
	for (int i = 0; i < 2; i++) {
		struct bench_result *result = &rows[i].result;
		rows[i].variant = &bench_patterns.variants[i];
		rows[i].run = true;
		*result = (struct bench_result){
			.jobs = 10000,
			.succeeded = 9500,
			.failed = 500,
			.attempts = 10000,
			.took = 300 * WEIR_SEC,
			.real_took = 300 * WEIR_SEC,
			.cpu_seconds = 3,
			.in_flight = 50,
			.service = {WEIR_SEC, WEIR_SEC, 2 * WEIR_SEC, 3 * WEIR_SEC, 3 * WEIR_SEC},
			.response = {WEIR_SEC, WEIR_SEC, 2 * WEIR_SEC, 4 * WEIR_SEC, 4 * WEIR_SEC},
			.idle_bytes = 3e6,
			.peak_bytes = 2e6,
			.mean_bytes = 1e6};
		result->errors[BENCH_CAUSE_SERVER] = 500;
		result->memory.step = result->ended.step = WEIR_SEC;
		bench_series_most(&result->memory, 5 * WEIR_SEC, 2e6);
		bench_series_add(&result->ended, 5 * WEIR_SEC, 9500);
	}
	rows[0].recovery = (struct bench_recovery){.tried = true,
						   .from = WEIR_SEC,
						   .to = 2 * WEIR_SEC,
						   .before = 33,
						   .took = 1500 * WEIR_MSEC,
						   .hit = 4,
						   .saved = 3};
	snprintf(rows[1].result.note, sizeof rows[1].result.note, "say \"no\", <script>alert(1)</script>");
	rows[2].variant = &bench_patterns.variants[4];
	rows[2].result.code = WEIR_EDIED;
	snprintf(rows[2].result.note, sizeof rows[2].result.note, "its process died");
	return report;
}

TEST(bench_text_fits_eighty_columns_and_has_all_rows)
{
	struct bench_report report = make_report();
	struct buf out = {0};
	bench_write_text(&report, &out);
	for (const char *line = out.data; *line; line += strcspn(line, "\n") + 1)
		ck_assert_msg(strcspn(line, "\n") <= 80, "%.*s", (int)strcspn(line, "\n"), line);
	ck_assert_ptr_nonnull(strstr(out.data, "queue: impossible under any distribution"));
	ck_assert_ptr_nonnull(strstr(out.data, "queue, semaphore: failed attempts: status 5xx 500"));
	ck_assert_ptr_nonnull(strstr(out.data, "naive: its process died"));
	ck_assert_ptr_nonnull(strstr(out.data, "1.5 s    75 %"));
	buf_fini(&out);
}

/* The number of fields, with quoted ones understood, of the line at *at, which is moved behind it. */
static size_t count_fields(const char **at)
{
	size_t fields = 1;
	bool quoted = false;
	for (; **at && (quoted || **at != '\r'); ++*at) {
		quoted ^= **at == '"';
		fields += !quoted && **at == ',';
	}
	*at += 2;
	return fields;
}

TEST(bench_csv_has_as_many_fields_in_each_line)
{
	struct bench_report report = make_report();
	struct buf out = {0};
	bench_write_csv(&report, &out);
	const char *at = out.data;
	size_t fields = count_fields(&at);
	ck_assert_uint_gt(fields, 40);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(count_fields(&at), fields);
	ck_assert_int_eq(*at, 0);
	ck_assert_ptr_nonnull(strstr(out.data, "\"say \"\"no\"\", <script>"));
	buf_fini(&out);
}

TEST(bench_json_says_what_was_measured_and_null_where_nothing_was)
{
	struct bench_report report = make_report();
	struct buf out = {0};
	struct json *json;
	struct weir_error err = {0};
	bench_write_json(&report, &out);
	ck_assert_msg(json_parse(out.data, out.len, &json, &err) == 0, "%d:%d: %s", err.line, err.column, err.text);
	ck_assert(json_real(json_at(json, ".rows[0].per_sec")) > 33.3);
	ck_assert(json_real(json_at(json, ".rows[0].recovery_s")) == 1.5);
	ck_assert(json_real(json_at(json, ".rows[0].recovery_share_saved")) == 0.75);
	ck_assert(json_real(json_at(json, ".rows[0].errors_5xx")) == 500);
	ck_assert_int_eq(json_type(json_at(json, ".rows[1].recovery_s")), JSON_NULL);
	ck_assert_int_eq(json_type(json_at(json, ".rows[2].per_sec")), JSON_NULL);
	ck_assert_int_eq(json_type(json_at(json, ".rows[2].jobs")), JSON_NULL);
	ck_assert_str_eq(json_text(json_at(json, ".rows[2].verdict"), NULL), "consistent");
	ck_assert(json_real(json_at(json, ".rows[0].succeeded_in_step.values[5]")) == 9500);
	json_free(json);
	buf_fini(&out);
}

static const char *const orders_names[] = {"semaphore", "queue", "copy", "semaphore"};
static struct bench_row orders_rows[4];

/* Two rows by weir, COPY, which is faster than 500 in flight are, and a peer that lost orders. */
static struct bench_report make_orders_report(void)
{
	struct bench_report report = {.scenario = &bench_orders,
				      .load = bench_orders.load,
				      .mode = "weir mock",
				      .rows = orders_rows,
				      .count = 4};
	static const weir_nsec took[] = {20500 * WEIR_MSEC, 4200 * WEIR_MSEC, 50 * WEIR_MSEC, 22 * WEIR_SEC};
	for (int i = 0; i < 4; i++)
		orders_rows[i] = (struct bench_row){.variant = bench_find_variant(&bench_orders, orders_names[i]),
						    .peer = i == 3 ? "python" : NULL,
						    .run = true,
						    .result = {.jobs = 10000,
							       .succeeded = i == 3 ? 9700 : 10000,
							       .failed = i == 3 ? 300 : 0,
							       .took = took[i],
							       .real_took = took[i],
							       .cpu_seconds = 1.25,
							       .peak_bytes = i == 2 ? (double)NAN : 40e6,
							       .mean_bytes = i == 2 ? (double)NAN : 30e6}};
	orders_rows[3].result.errors[BENCH_CAUSE_DATABASE] = 300;
	return report;
}

/* The rest of the line of a table that begins with this. */
static const char *line_of(const char *text, const char *name)
{
	const char *line = strstr(text, name);
	ck_assert_msg(line, "no %s", name);
	return line + strlen(name);
}

static void expect_words(const char *line, const char *words)
{
	char seen[160] = "", *to = seen;
	for (; *line && *line != '\n' && to < seen + sizeof seen - 1; line++)
		if (*line != ' ' || (to > seen && to[-1] != ' '))
			*to++ = *line;
	ck_assert_str_eq(seen, words);
}

TEST(bench_orders_are_shown_published_bound_and_measured)
{
	struct bench_report report = make_orders_report();
	struct buf out = {0};
	bench_write_text(&report, &out);
	for (const char *line = out.data; *line; line += strcspn(line, "\n") + 1)
		ck_assert_msg(strcspn(line, "\n") <= 80, "%.*s", (int)strcspn(line, "\n"), line);
	const char *measured = strstr(out.data, "Measured: weir mock, 10,000 jobs, 200 ms each");
	ck_assert_ptr_nonnull(measured);
	expect_words(line_of(out.data, "\nsemaphore"), "52.8 s 480 MB 0 % 20 s");
	expect_words(line_of(measured, "\nqueue"), "10,000 4.2 s 4 s 2,381 2,500 95.2 %");
	expect_words(line_of(measured, "\nsemaphore (python)"), "10,000 22 s 20 s 455 500 90.9 %");
	expect_words(line_of(measured, "\ncopy"), "10,000 50 ms - 200,000 any -");
	const char *cost = strstr(measured, "of a core");
	expect_words(line_of(cost, "\nsemaphore (python)"), "40 MB 30 MB 1.25 s 5.7 % 300 3.0 %");
	expect_words(line_of(cost, "\ncopy"), "- - 1.25 s 2500 % 0 0 %");
	ck_assert_ptr_nonnull(strstr(cost, "semaphore (python): failed attempts: database 300"));
	ck_assert_ptr_null(strstr(out.data, "response"));
	buf_fini(&out);
}

TEST(bench_orders_are_bound_by_copy_too)
{
	struct bench_report report = make_orders_report();
	struct bench_bound bound;
	report.load.low = report.load.high = 0;
	bench_row_bound(&report, &orders_rows[1], &bound);
	ck_assert(bound.whole == 200000 && bound.steady == 200000);
	ck_assert(bound.seconds == 0.05);
	orders_rows[2].run = false;
	bench_row_bound(&report, &orders_rows[1], &bound);
	ck_assert(bound.seconds == 0);
}

TEST(bench_orders_have_no_latencies_in_files)
{
	struct bench_report report = make_orders_report();
	struct buf out = {0};
	struct json *json;
	bench_write_json(&report, &out);
	ck_assert_int_eq(json_parse(out.data, out.len, &json, NULL), 0);
	ck_assert(json_real(json_at(json, ".rows[3].errors_database")) == 300);
	ck_assert(json_real(json_at(json, ".rows[0].published_failed")) == 0);
	ck_assert_int_eq(json_type(json_at(json, ".rows[0].service_p50_s")), JSON_NULL);
	ck_assert_int_eq(json_type(json_at(json, ".rows[2].peak_bytes_above_idle")), JSON_NULL);
	json_free(json);
	buf_clear(&out);
	bench_write_html(&report, &out);
	ck_assert_ptr_null(strstr(out.data, "nan"));
	ck_assert_ptr_null(strstr(out.data, "Latency"));
	ck_assert_ptr_nonnull(strstr(out.data, "<td>semaphore (python)</td><td>10,000</td><td>22 s</td>"));
	buf_fini(&out);
}

TEST(bench_page_escapes_and_needs_nothing_from_elsewhere)
{
	struct bench_report report = make_report();
	struct buf out = {0};
	bench_write_html(&report, &out);
	ck_assert_ptr_null(strstr(out.data, "<script"));
	ck_assert_ptr_null(strstr(out.data, "<b>"));
	ck_assert_ptr_null(strstr(out.data, "http"));
	ck_assert_ptr_null(strstr(out.data, "src="));
	ck_assert_ptr_null(strstr(out.data, "nan"));
	ck_assert_ptr_null(strstr(out.data, "inf\""));
	ck_assert_ptr_nonnull(strstr(out.data, "&lt;script&gt;"));
	ck_assert_ptr_nonnull(strstr(out.data, "&quot;fast&quot; &amp; &#39;small&#39;"));
	ck_assert_ptr_nonnull(strstr(out.data, "class=\"said wrong\""));
	buf_fini(&out);
}
