/* SPDX-License-Identifier: MIT */
/* What is written of a report: as text, CSV, JSON and a page. */
#include "bench/report.h"

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
