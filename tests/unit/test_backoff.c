/* SPDX-License-Identifier: MIT */
/* Backoff against its closed forms, the retry budget, the end of retries. */
#include "support/test.h"

#include <math.h>
#include <weir/backoff.h>
#include <weir/random.h>

enum { DRAWS = 20000 };

struct drawn {
	double mean, var;
	weir_nsec least, most;
};

static struct drawn draw(const struct weir_backoff *backoff, unsigned failures, weir_nsec last)
{
	struct drawn drawn = {.least = INT64_MAX, .most = INT64_MIN};
	uint64_t random = 4711 + failures;
	double sum = 0, squares = 0;
	for (int i = 0; i < DRAWS; i++) {
		weir_nsec wait = weir_backoff_wait(backoff, failures, last, &random);
		sum += (double)wait;
		squares += (double)wait * (double)wait;
		drawn.least = wait < drawn.least ? wait : drawn.least;
		drawn.most = wait > drawn.most ? wait : drawn.most;
	}
	drawn.mean = sum / DRAWS;
	drawn.var = squares / DRAWS - drawn.mean * drawn.mean;
	return drawn;
}

/* Mean and variance of U(low, high), within five standard errors; its ends, which so many draws come close to. */
static void assert_uniform(struct drawn drawn, double low, double high)
{
	double width = high - low, var = width * width / 12;
	ck_assert_double_ge((double)drawn.least, floor(low));
	ck_assert_double_le((double)drawn.most, high);
	ck_assert_double_le(fabs(drawn.mean - (low + high) / 2), 5 * sqrt(var / DRAWS) + 1);
	ck_assert_double_le(fabs(drawn.var - var), 0.05 * var + 1);
	ck_assert_double_le((double)drawn.least, low + 0.002 * width);
	ck_assert_double_ge((double)drawn.most, high - 0.002 * width);
}

static double exponential(unsigned failures)
{
	return fmin(30e9, 0.2e9 * pow(2, failures - 1));
}

TEST(backoff_full_is_uniform_up_to_the_doubling_wait)
{
	struct weir_backoff backoff = {.jitter = WEIR_JITTER_FULL};
	for (unsigned failures = 1; failures < 12; failures++)
		assert_uniform(draw(&backoff, failures, 0), 0, exponential(failures));
}

TEST(backoff_equal_is_half_fixed_and_half_uniform)
{
	struct weir_backoff backoff = {.jitter = WEIR_JITTER_EQUAL};
	for (unsigned failures = 1; failures < 12; failures++)
		assert_uniform(draw(&backoff, failures, 0), exponential(failures) / 2, exponential(failures));
}

TEST(backoff_without_jitter_doubles_up_to_its_cap)
{
	struct weir_backoff backoff = {.jitter = WEIR_JITTER_NONE};
	for (unsigned failures = 1; failures < 12; failures++)
		ck_assert_double_eq((double)weir_backoff_wait(&backoff, failures, 0, NULL), exponential(failures));
}

TEST(backoff_decorrelated_is_uniform_from_the_base_to_thrice_the_last_wait)
{
	struct weir_backoff backoff = {.base = 100, .cap = 1000000, .jitter = WEIR_JITTER_DECORRELATED};
	assert_uniform(draw(&backoff, 1, 0), 100, 300);
	assert_uniform(draw(&backoff, 2, 100), 100, 300);
	assert_uniform(draw(&backoff, 2, 40), 100, 300); /* of another base */
	assert_uniform(draw(&backoff, 3, 5000), 100, 15000);
	struct drawn drawn = draw(&backoff, 9, 1000000); /* two thirds are cut off: c - (c - b)^2 / (2 (3 c - b)) */
	ck_assert_int_eq(drawn.most, 1000000);
	ck_assert_double_le(fabs(drawn.mean - (1e6 - (1e6 - 100) * (1e6 - 100) / (2 * (3e6 - 100)))), 1e4);
}

/* The chain of waits has a mean of its own: with u from (b, 3 x) it grows by half a time until it meets the cap. */
TEST(backoff_decorrelated_grows_by_half_each_time)
{
	struct weir_backoff backoff = {.base = 1000, .cap = INT64_MAX, .jitter = WEIR_JITTER_DECORRELATED};
	uint64_t random = 1;
	double sum = 0, expected = 1000;
	for (int i = 0; i < DRAWS; i++) {
		weir_nsec last = 0;
		for (unsigned failures = 1; failures <= 5; failures++)
			last = weir_backoff_wait(&backoff, failures, last, &random);
		sum += (double)last;
	}
	for (int i = 0; i < 5; i++)
		expected = (1000 + 3 * expected) / 2;
	ck_assert_double_le(fabs(sum / DRAWS / expected - 1), 0.05);
}

TEST(backoff_after_a_thousand_failures_is_at_its_cap)
{
	uint64_t random = 1;
	for (int jitter = WEIR_JITTER_FULL; jitter <= WEIR_JITTER_NONE; jitter++) {
		static const weir_nsec caps[] = {30 * WEIR_SEC, INT64_MAX};
		for (int i = 0; i < 2; i++) {
			struct weir_backoff backoff = {.cap = caps[i], .jitter = (enum weir_jitter)jitter};
			weir_nsec last = 0, most = 0;
			for (unsigned failures = 1; failures <= 1000; failures++) {
				last = weir_backoff_wait(&backoff, failures, last, &random);
				ck_assert_int_ge(last, 0);
				ck_assert_int_le(last, caps[i]);
				most = last > most ? last : most;
			}
			ck_assert_int_ge(most, caps[i] / 10 * 9);
		}
	}
	struct weir_backoff backoff = {.base = 3, .cap = INT64_MAX, .jitter = WEIR_JITTER_NONE};
	ck_assert_int_eq(weir_backoff_wait(&backoff, 62, 0, NULL), (weir_nsec)3 << 61);
	ck_assert_int_eq(weir_backoff_wait(&backoff, 63, 0, NULL), INT64_MAX);
	ck_assert_int_eq(weir_backoff_wait(&backoff, UINT32_MAX, 0, NULL), INT64_MAX);
}

TEST(backoff_with_a_cap_below_its_base_waits_the_base)
{
	struct weir_backoff backoff = {.base = 50, .cap = 20, .jitter = WEIR_JITTER_NONE};
	ck_assert_int_eq(weir_backoff_wait(&backoff, 1, 0, NULL), 50);
	ck_assert_int_eq(weir_backoff_wait(&backoff, 7, 0, NULL), 50);
	backoff = (struct weir_backoff){.base = 60 * WEIR_SEC, .jitter = WEIR_JITTER_NONE};
	ck_assert_int_eq(weir_backoff_wait(&backoff, 3, 0, NULL), 60 * WEIR_SEC);
}

TEST(backoff_of_the_same_seed_is_the_same)
{
	struct weir_backoff backoff = {0};
	uint64_t one = 5, other = 5;
	for (unsigned failures = 1; failures < 100; failures++)
		ck_assert_int_eq(weir_backoff_wait(&backoff, failures, 0, &one),
				 weir_backoff_wait(&backoff, failures, 0, &other));
}

/* ---- budget */

TEST(retry_budget_allows_a_few_and_then_a_share)
{
	struct weir_retry_budget budget = {0};
	ck_assert(weir_retry_budget_allows(&budget, 0, 0));
	ck_assert(weir_retry_budget_allows(&budget, 2, 2));
	ck_assert(!weir_retry_budget_allows(&budget, 3, 14));
	ck_assert(weir_retry_budget_allows(&budget, 3, 15));
	ck_assert(weir_retry_budget_allows(&budget, 20, 100));
	ck_assert(!weir_retry_budget_allows(&budget, 21, 104));
	budget = (struct weir_retry_budget){.share = 0.29, .least = 1};
	ck_assert(weir_retry_budget_allows(&budget, 0, 1));
	ck_assert(!weir_retry_budget_allows(&budget, 1, 3));
	ck_assert(weir_retry_budget_allows(&budget, 29, 100));
	ck_assert(!weir_retry_budget_allows(&budget, 30, 100));
}

/* All fail: then calls in flight are retries up to the share, and never many more. */
TEST(retry_budget_keeps_an_outage_from_being_doubled)
{
	struct weir_retry_budget budget = {0};
	size_t retries = 0;
	for (size_t first = 0; first < 1000; first++)
		while (weir_retry_budget_allows(&budget, retries, first + retries))
			retries++;
	ck_assert_uint_ge(retries, 999 / 4);
	ck_assert_uint_le(retries, 999 / 4 + 2);
}

/* ---- the end of retries */

TEST(retry_ends_after_its_attempts)
{
	struct weir_retry retry = {0};
	for (unsigned attempts = 0; attempts < 5; attempts++)
		ck_assert(weir_retry_allows(&retry, attempts, 0, 1000 * WEIR_SEC));
	ck_assert(!weir_retry_allows(&retry, 5, 0, 0));
	retry.attempts = 1;
	ck_assert(weir_retry_allows(&retry, 0, 0, 0));
	ck_assert(!weir_retry_allows(&retry, 1, 0, 0));
}

TEST(retry_begins_no_later_than_its_elapsed_time)
{
	struct weir_retry retry = {.attempts = 100, .elapsed = 50};
	ck_assert(weir_retry_allows(&retry, 1, 1000, 1050));
	ck_assert(!weir_retry_allows(&retry, 1, 1000, 1051));
	ck_assert(weir_retry_allows(&retry, 0, 0, 1051)); /* the first attempt is no retry */
	ck_assert(!weir_retry_allows(&retry, 100, 1000, 1000));
	retry.elapsed = INT64_MAX;
	ck_assert(weir_retry_allows(&retry, 1, 1000, INT64_MAX));
}
