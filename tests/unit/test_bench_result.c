/* SPDX-License-Identifier: MIT */
/* Series over time, recovery, figures as text. */
#include "bench/result.h"
#include "bench/text.h"

#include <math.h>

#include "support/test.h"

TEST(bench_series_keeps_its_sum_when_its_steps_double)
{
	static struct bench_series series = {.step = 10 * WEIR_MSEC};
	for (int i = 0; i < 100000; i++)
		bench_series_add(&series, i * WEIR_MSEC, 1);
	double sum = 0;
	for (size_t i = 0; i < series.used; i++)
		sum += series.value[i];
	ck_assert(sum == 100000);
	ck_assert_int_eq(series.step, 160 * WEIR_MSEC);
	ck_assert_uint_eq(series.used, 625);
	ck_assert(series.value[0] == 160 && series.value[624] == 160);
	bench_series_add(&series, -5, 1); /* before the start counts as at it */
	ck_assert(series.value[0] == 161);
}

TEST(bench_series_keeps_its_largest_when_its_steps_double)
{
	static struct bench_series series = {.step = WEIR_MSEC};
	bench_series_most(&series, 3 * WEIR_MSEC, 7);
	bench_series_most(&series, 2 * WEIR_MSEC, 5);
	bench_series_most(&series, BENCH_SERIES_PLACES * WEIR_MSEC, 1);
	ck_assert_int_eq(series.step, 2 * WEIR_MSEC);
	ck_assert(series.value[1] == 7);
	ck_assert_uint_eq(series.used, BENCH_SERIES_PLACES / 2 + 1);
}

/* So many a second up to `down`, none until `back`, then `share` of it. */
static void fill(struct bench_series *series, weir_nsec down, weir_nsec back, double share)
{
	*series = (struct bench_series){.step = 100 * WEIR_MSEC};
	for (weir_nsec at = 0; at < 30 * WEIR_SEC; at += series->step)
		bench_series_add(series, at, at < down ? 10 : at < back ? 0 : 10 * share);
}

TEST(bench_recovery_is_the_time_until_nine_tenths_are_back)
{
	static struct bench_series series;
	struct bench_recovery recovery = {.from = 10 * WEIR_SEC, .to = 12 * WEIR_SEC};
	fill(&series, 10 * WEIR_SEC, 15 * WEIR_SEC, 1);
	bench_recovery_find(&series, 2 * WEIR_SEC, WEIR_SEC, &recovery);
	ck_assert(fabs(recovery.before - 100) < 1e-6);
	ck_assert_int_eq(recovery.took, 2900 * WEIR_MSEC); /* the window may hold a tenth of the gap */
	fill(&series, 10 * WEIR_SEC, 12 * WEIR_SEC, 1);
	bench_recovery_find(&series, 2 * WEIR_SEC, WEIR_SEC, &recovery);
	ck_assert_int_eq(recovery.took, 0);
}

TEST(bench_recovery_may_not_come)
{
	static struct bench_series series;
	struct bench_recovery recovery = {.from = 10 * WEIR_SEC, .to = 12 * WEIR_SEC};
	fill(&series, 10 * WEIR_SEC, 12 * WEIR_SEC, 0.85);
	bench_recovery_find(&series, 2 * WEIR_SEC, WEIR_SEC, &recovery);
	ck_assert_int_eq(recovery.took, -1);
	fill(&series, 10 * WEIR_SEC, 29500 * WEIR_MSEC, 1); /* too late to tell */
	bench_recovery_find(&series, 2 * WEIR_SEC, WEIR_SEC, &recovery);
	ck_assert_int_eq(recovery.took, -1);
	recovery.from = WEIR_SEC; /* nothing before it counts */
	bench_recovery_find(&series, 2 * WEIR_SEC, WEIR_SEC, &recovery);
	ck_assert_int_eq(recovery.took, -1);
	ck_assert(recovery.before == 0);
}

TEST(bench_text_is_short_and_right)
{
	char text[32];
	ck_assert_str_eq(bench_text_count(8247, text), "8,247");
	ck_assert_str_eq(bench_text_count(1000000, text), "1,000,000");
	ck_assert_str_eq(bench_text_count(33.22, text), "33.2");
	ck_assert_str_eq(bench_text_count(0, text), "0");
	ck_assert_str_eq(bench_text_count(99.97, text), "100");
	ck_assert_str_eq(bench_text_count((double)INFINITY, text), "any");
	ck_assert_str_eq(bench_text_count((double)NAN, text), "-");
	ck_assert_str_eq(bench_text_time(47 * WEIR_MSEC, text), "47 ms");
	ck_assert_str_eq(bench_text_time(2341 * WEIR_MSEC, text), "2.34 s");
	ck_assert_str_eq(bench_text_time(999999 * WEIR_USEC, text), "1 s");
	ck_assert_str_eq(bench_text_time(0, text), "0 s");
	ck_assert_str_eq(bench_text_time(301 * WEIR_SEC, text), "5.02 min");
	ck_assert_str_eq(bench_text_time(5 * 86400 * WEIR_SEC, text), "5 days");
	ck_assert_str_eq(bench_text_time(-1, text), "-");
	ck_assert_str_eq(bench_text_took(30120 * WEIR_MSEC, text), "30.12 s");
	ck_assert_str_eq(bench_text_bytes(839176, text), "839,176 B");
	ck_assert_str_eq(bench_text_bytes(1847e6, text), "1.85 GB");
	ck_assert_str_eq(bench_text_bytes(152154848, text), "152 MB");
	ck_assert_str_eq(bench_text_percent(0.34, text), "34 %");
	ck_assert_str_eq(bench_text_percent(0.034, text), "3.4 %");
	ck_assert_str_eq(bench_text_percent(-1, text), "-");
}
