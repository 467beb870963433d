/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include <stdlib.h>
#include <weir/histogram.h>

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

TEST(histogram_quantiles_are_right_to_one_part_in_sixty_four)
{
	enum { N = 20000 };
	static int64_t values[N];
	struct weir_histogram *histogram;
	ck_assert_int_eq(weir_histogram_new(&histogram), 0);
	uint64_t state = 1;
	for (int i = 0; i < N; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		values[i] = (int64_t)(state >> 1 >> (state % 61));
		weir_histogram_record(histogram, values[i]);
	}
	qsort(values, N, sizeof values[0], compare);
	for (int percent = 1; percent <= 100; percent++) {
		int64_t exact = values[N * percent / 100 - 1];
		int64_t told = weir_histogram_quantile(histogram, percent / 100.0);
		ck_assert_int_ge(told, exact);
		ck_assert_int_le(told - exact, exact / 64);
	}
	ck_assert_int_eq(weir_histogram_max(histogram), values[N - 1]);
	ck_assert_uint_eq(weir_histogram_count(histogram), N);
	weir_histogram_free(histogram);
}

TEST(histogram_takes_the_ends_of_its_range)
{
	struct weir_histogram *histogram;
	ck_assert_int_eq(weir_histogram_new(&histogram), 0);
	ck_assert_int_eq(weir_histogram_quantile(histogram, 0.5), 0);
	weir_histogram_record(histogram, -5);
	ck_assert_int_eq(weir_histogram_quantile(histogram, 1), 0);
	weir_histogram_record(histogram, INT64_MAX);
	ck_assert_int_eq(weir_histogram_quantile(histogram, 1), INT64_MAX);
	ck_assert_int_eq(weir_histogram_quantile(histogram, 0.5), 0);
	weir_histogram_free(histogram);
}

TEST(histogram_counts_below_bounds_and_sums_up)
{
	static const int64_t bounds[] = {-1, 0, 63, 100, 1000000, INT64_MAX};
	static const uint64_t expected[] = {0, 2, 3, 4, 5, 6};
	struct weir_histogram *histogram;
	uint64_t counts[6];
	ck_assert_int_eq(weir_histogram_new(&histogram), 0);
	static const int64_t values[] = {0, -9, 63, 100, 999999, INT64_MAX - 1};
	for (int i = 0; i < 6; i++)
		weir_histogram_record(histogram, values[i]);
	weir_histogram_cumulate(histogram, bounds, 6, counts);
	for (int i = 0; i < 6; i++)
		ck_assert_uint_eq(counts[i], expected[i]);
	ck_assert_uint_eq(weir_histogram_sum(histogram), (uint64_t)INT64_MAX + 63 + 100 + 999998);
	for (int i = 0; i < 2; i++)
		weir_histogram_record(histogram, INT64_MAX);
	ck_assert_uint_eq(weir_histogram_sum(histogram), UINT64_MAX);
	weir_histogram_free(histogram);
}
