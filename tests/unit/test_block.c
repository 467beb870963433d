/* SPDX-License-Identifier: MIT */
/* The block and the card of a run: what they say, in terminals of all widths. */
#include "cmd/block.h"
#include "cmd/card.h"
#include "data/utf8.h"
#include "unit/fibers.h"

#include <stdio.h>
#include <string.h>
#include <weir/histogram.h>

static struct weir_histogram *latencies;

static struct report example(void)
{
	ck_assert_int_eq(weir_histogram_new(&latencies), 0);
	return (struct report){
		.name = "orders",
		.rate = 2.5,
		.own_rate = "5/s",
		.looked_at = 1,
		.settled_at = 1,
		.now = {.succeeded = 60,
			.dead = 3,
			.in_flight = 7,
			.total = 100,
			.total_exact = true,
			.attempt_ns = latencies},
		.flow = {.why = WHY_SINK},
		.why = {.cause = WHY_SINK, .share = 0.97, .ifs = {{USE_SINK, 1.5}, {USE_CALLS, 1}}, .if_count = 2},
	};
}

static void expect_line(const struct report *report, const char *expected)
{
	struct buf out = {0};
	block_add_line(report, &out);
	ck_assert_str_eq(out.data, expected);
	buf_fini(&out);
}

FIBER_TEST(block_on_one_line_says_what_holds_it_back)
{
	struct report report = example();
	expect_line(&report,
		    "orders: 63 %, 63/100, 150/m, ETA 15 s, 60 ok, 3 failed, 7 in flight; limited by the sink, 97 % of "
		    "the time; done in 15 s; with a sink twice as fast in 9.9 s; more concurrency: no difference");
	report.now.total = -1;
	report.flow.why = report.why.cause = WHY_RATE_OWN;
	report.why.ifs[0] = (struct why_if){USE_RATE, 2};
	expect_line(&report,
		    "orders: 63 done, 150/m, 60 ok, 3 failed, 7 in flight; limited by your rate (5/s), 97 % of the "
		    "time; with twice the rate 2.0 times as fast; more concurrency: no difference");
	report.why.if_count = 0;
	report.now.total = 100;
	report.flow.why = WHY_PAUSED;
	report.flow.paused = true;
	report.looked_at = 75 * WEIR_SEC;
	report.settled_at = WEIR_SEC;
	expect_line(&report, "orders: 63 %, 63/100, paused, 1:14, 60 ok, 3 failed, 7 in flight; "
			     "paused; weir resume orders continues");
	weir_histogram_free(latencies);
}

/* Of the line at text, without its escape sequences; all its characters take one column. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	for (; *text != '\n'; text++) {
		if (*text == '\033')
			text += strcspn(text, "mK");
		else
			width += !utf8_is_tail((unsigned char)*text);
	}
	return width;
}

static void expect_widths(const struct report *report, size_t columns)
{
	const struct terminal terminal = {
		.obeys = true, .colours = columns % 2, .utf8 = columns % 3, .columns = columns};
	struct block block;
	block_make(report, &terminal, &block);
	const char *line = block.text.data;
	for (size_t i = 0; i < block.lines; i++, line = strchr(line, '\n') + 1) {
		ck_assert_uint_eq(width_of(line), block.widths[i]);
		ck_assert_msg(block.widths[i] < columns, "of %zu columns: %.200s", columns, line);
	}
	ck_assert(!*line && block.lines == (columns < 60 ? 1 : block.lines));
	buf_fini(&block.text);
}

FIBER_TEST(block_has_room_in_each_terminal)
{
	struct report usual = example(), large = usual, unknown = usual;
	large.name = "a-name-of-forty-characters-or-a-bit-less";
	large.now.succeeded = 123456789012;
	large.now.total = 123456789000; /* too low: it was estimated */
	large.now.total_exact = false;
	large.now.waiting = large.now.in_line = large.flow.throttled = 98765432;
	large.rate = 12345678;
	snprintf(large.flow.trouble, sizeof large.flow.trouble, "%s",
		 "api.example.com fails (connect: refused); items wait, next probe in 5 s; caf\xC3\xA9s and a "
		 "word-that-is-"
		 "longer-than-any-line-of-any-terminal-of-eighty-columns-or-so-and-has-no-blank-in-it-at-all; and some "
		 "more");
	unknown.now.total = -1;
	for (size_t columns = 20; columns < 200; columns++) {
		expect_widths(&usual, columns);
		expect_widths(&large, columns);
		expect_widths(&unknown, columns);
	}
	weir_histogram_free(latencies);
}

FIBER_TEST(card_names_causes_in_any_terminal)
{
	const struct engine_cause causes[] = {{1, 1234567, "not allowed: the host has a private address"},
					      {2, 2, "status: 404"}};
	struct report report = example();
	report.now.state = ENGINE_DONE;
	report.now.causes = causes;
	report.now.cause_count = 2;
	report.now.dead = 1234570;
	for (size_t columns = 20; columns < 120; columns++) {
		const struct terminal terminal = {.columns = columns};
		struct buf card = {0};
		card_make(&report, 3, &terminal, &card);
		ck_assert(!strncmp(card.data, "! orders: 1,234,630 items in ", 29));
		ck_assert_ptr_nonnull(strstr(card.data, "1,234,567 x not allowed: the"));
		ck_assert_ptr_nonnull(strstr(card.data, "\n                    2 x status: 404\n"));
		ck_assert_ptr_nonnull(strstr(card.data, "\n                    1 x others\n"));
		buf_fini(&card);
	}
	weir_histogram_free(latencies);
}
