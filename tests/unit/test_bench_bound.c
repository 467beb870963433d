/* SPDX-License-Identifier: MIT */
/* What arithmetic allows, and what it says of published figures.  A simulation without fibers is the oracle. */
#include "bench/scenario.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

#include "support/test.h"

static const struct bench_load a0 = {.jobs = 10000, .low = 10 * WEIR_MSEC, .high = 3 * WEIR_SEC};
static const struct bench_load a2 = {.jobs = 100000, .low = 100 * WEIR_MSEC, .high = 200 * WEIR_MSEC};

static struct bench_bound bound_of(enum bench_law law, size_t concurrency, double per_sec,
				   const struct bench_load *load)
{
	const struct bench_shape shape = {law, concurrency, per_sec};
	struct bench_bound bound;
	bench_bound(&shape, load, &bound);
	return bound;
}

static struct bench_judgement judge(const struct bench_scenario *scenario, const char *name)
{
	struct bench_judgement judgement;
	const struct bench_variant *variant = bench_find_variant(scenario, name);
	ck_assert_ptr_nonnull(variant);
	bench_judge_variant(scenario, variant, &judgement);
	return judgement;
}

static bool near(double a, double b, double part)
{
	return fabs(a - b) <= part * b;
}

/* Each job goes to whoever is free first, no earlier than its start is allowed; the seconds of all. */
static double simulate(size_t concurrency, double per_sec, const struct bench_load *load, uint64_t *random)
{
	double free_at[256] = {0}, end = 0;
	for (uint64_t i = 0; i < load->jobs; i++) {
		size_t first = 0;
		for (size_t k = 1; k < concurrency; k++)
			if (free_at[k] < free_at[first])
				first = k;
		double start = fmax(free_at[first], per_sec > 0 ? (double)i / per_sec : 0);
		double low = (double)load->low / 1e9, high = (double)load->high / 1e9;
		free_at[first] = start + low + (high - low) * weir_random_unit(random);
		end = fmax(end, free_at[first]);
	}
	return end;
}

static double simulate_often(size_t concurrency, double per_sec, const struct bench_load *load)
{
	uint64_t random = 1;
	double sum = 0;
	enum { TIMES = 200 };
	for (int i = 0; i < TIMES; i++)
		sum += simulate(concurrency, per_sec, load, &random);
	return sum / TIMES;
}

TEST(bench_bound_is_littles_law)
{
	struct bench_bound queue = bound_of(BENCH_LAW_LIMIT, 50, 0, &a0);
	ck_assert(near(queue.minimum, 5000, 1e-9));
	ck_assert(near(queue.steady, 50 / 1.505, 1e-9));
	ck_assert(near(bound_of(BENCH_LAW_LIMIT, 100, 0, &a0).steady, 66.4, 0.001));
	ck_assert(near(bound_of(BENCH_LAW_RATE, 200, 100, &a0).steady, 100, 1e-9));
	ck_assert(near(bound_of(BENCH_LAW_RATE, 100, 100, &a0).steady, 66.4, 0.001));
	ck_assert(near(bound_of(BENCH_LAW_BATCHES, 100, 0, &a0).steady, 33.67, 0.001));
	ck_assert(near(bound_of(BENCH_LAW_ONCE, 0, 0, &a0).steady, 3333, 0.001));
}

TEST(bench_bound_of_backpressure_is_forty_and_thirty_seconds)
{
	ck_assert(near(bound_of(BENCH_LAW_BATCHES, 500, 0, &a2).seconds, 39.96, 0.0001));
	ck_assert(near((double)a2.jobs / bound_of(BENCH_LAW_LIMIT, 500, 0, &a2).steady, 30, 1e-9));
	ck_assert(near(bound_of(BENCH_LAW_LIMIT, 500, 0, &a2).seconds, 30.115, 0.0001));
	const struct bench_load narrow = {.jobs = 100000, .low = 100 * WEIR_MSEC, .high = 110 * WEIR_MSEC};
	ck_assert(near(bound_of(BENCH_LAW_LIMIT, 500, 0, &narrow).seconds, 21.056, 0.0001));
	ck_assert(near(bound_of(BENCH_LAW_BATCHES, 500, 0, &narrow).seconds, 22.0, 0.0005));
}

TEST(bench_bound_with_its_tail_is_what_a_simulation_takes)
{
	static const struct bench_load loads[] = {
		{.jobs = 1000, .low = 10 * WEIR_MSEC, .high = 300 * WEIR_MSEC},
		{.jobs = 700, .low = 100 * WEIR_MSEC, .high = 200 * WEIR_MSEC},
		{.jobs = 2000, .low = 0, .high = WEIR_SEC},
		{.jobs = 30, .low = 10 * WEIR_MSEC, .high = 300 * WEIR_MSEC},
	};
	for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
		ck_assert(near(bound_of(BENCH_LAW_LIMIT, 50, 0, &loads[i]).seconds, simulate_often(50, 0, &loads[i]),
			       0.01));
		ck_assert(near(bound_of(BENCH_LAW_RATE, 200, 100, &loads[i]).seconds,
			       simulate_often(200, 100, &loads[i]), 0.005));
	}
}

TEST(bench_bound_of_equal_times_has_no_tail)
{
	struct bench_load load = bench_orders.load;
	ck_assert(near(bound_of(BENCH_LAW_LIMIT, 500, 0, &load).seconds, 4, 1e-9));
	ck_assert(near(bound_of(BENCH_LAW_LIMIT, 8, 0, &load).seconds, 250, 1e-9));
	load.jobs = 10001;
	ck_assert(near(bound_of(BENCH_LAW_LIMIT, 500, 0, &load).seconds, 4.2, 1e-9));
	load.low = load.high = 0;
	ck_assert(isinf(bound_of(BENCH_LAW_LIMIT, 500, 0, &load).whole));
}

TEST(bench_bound_knows_few_jobs_and_no_least_time)
{
	const struct bench_load few = {.jobs = 3, .low = WEIR_SEC, .high = WEIR_SEC};
	const struct bench_load unknown = {.jobs = 100, .low = 0, .high = WEIR_SEC};
	ck_assert(near(bound_of(BENCH_LAW_LIMIT, 50, 0, &few).seconds, 1, 1e-9));
	ck_assert(near(bound_of(BENCH_LAW_BATCHES, 2, 0, &few).seconds, 2, 1e-9));
	ck_assert(near(bound_of(BENCH_LAW_BATCHES, 50, 0, &few).steady, 3, 1e-9));
	ck_assert(isinf(bound_of(BENCH_LAW_LIMIT, 50, 0, &unknown).minimum));
	ck_assert(near(bench_slowest_of(&unknown, 99), 0.99, 1e-9));
	ck_assert(near(bench_slowest_of(&unknown, 0) + 1, 1, 1e-9));
}

TEST(bench_judge_says_what_no_distribution_allows)
{
	ck_assert_int_eq(judge(&bench_patterns, "queue").verdict, BENCH_IMPOSSIBLE);
	ck_assert(near(judge(&bench_patterns, "queue").limit, 5000, 1e-9));
	ck_assert_ptr_nonnull(strstr(judge(&bench_patterns, "queue").because, "less than 10 ms: at most 5,000/s"));
	ck_assert_int_eq(judge(&bench_patterns, "rate").verdict, BENCH_IMPOSSIBLE);
	ck_assert_ptr_nonnull(
		strstr(judge(&bench_patterns, "rate").because, "its own setting allows 100 starts a second"));
	ck_assert_int_eq(judge(&bench_patterns, "chunked").verdict, BENCH_IMPOSSIBLE);
	ck_assert_ptr_nonnull(strstr(judge(&bench_patterns, "chunked").because, "its own p95 is 89 ms"));
	ck_assert(near(judge(&bench_patterns, "chunked").limit, 1124, 0.01));
	ck_assert_int_eq(judge(&bench_quick, "queue").verdict, BENCH_IMPOSSIBLE);
	ck_assert_int_eq(judge(&bench_quick, "semaphore").verdict, BENCH_IMPOSSIBLE);
}

TEST(bench_judge_says_what_the_stated_range_does_not_allow)
{
	ck_assert_int_eq(judge(&bench_patterns, "semaphore").verdict, BENCH_IMPOSSIBLE_IN_RANGE);
	ck_assert(near(judge(&bench_patterns, "semaphore").limit, 66.4, 0.001));
	ck_assert_ptr_nonnull(strstr(judge(&bench_patterns, "semaphore").because, "uniform from 10 ms to 3 s"));
}

TEST(bench_judge_finds_no_fault_with_what_is_possible)
{
	ck_assert_int_eq(judge(&bench_patterns, "naive").verdict, BENCH_CONSISTENT);
	ck_assert_int_eq(judge(&bench_quick, "naive").verdict, BENCH_CONSISTENT);
	ck_assert_int_eq(judge(&bench_patterns, "auto").verdict, BENCH_NOT_PUBLISHED);
	for (size_t i = 0; i < bench_backpressure.count; i++) {
		ck_assert_int_eq(judge(&bench_backpressure, bench_backpressure.variants[i].name).verdict,
				 BENCH_CONSISTENT);
		ck_assert_int_eq(judge(&bench_backpressure_narrow, bench_backpressure.variants[i].name).verdict,
				 BENCH_CONSISTENT);
	}
}

TEST(bench_judge_allows_eight_processes_forty_orders_a_second)
{
	ck_assert_int_eq(judge(&bench_orders, "processes").verdict, BENCH_IMPOSSIBLE);
	ck_assert_ptr_nonnull(strstr(judge(&bench_orders, "processes").because, "less than 200 ms: at most 40"));
	ck_assert_int_eq(judge(&bench_orders, "gather").verdict, BENCH_CONSISTENT);
	ck_assert_int_eq(judge(&bench_orders, "semaphore").verdict, BENCH_CONSISTENT);
	ck_assert_ptr_nonnull(strstr(judge(&bench_orders, "threads").because, "latency 200 ms: at most 500/s"));
	ck_assert_int_eq(judge(&bench_orders, "copy").verdict, BENCH_NOT_PUBLISHED);
}

TEST(bench_judge_allows_twenty_workers_a_hundred_orders_a_second)
{
	ck_assert_int_eq(judge(&bench_orders, "streams").verdict, BENCH_IMPOSSIBLE);
	ck_assert_ptr_nonnull(strstr(judge(&bench_orders, "streams").because, "less than 200 ms: at most 100"));
	ck_assert_int_eq(judge(&bench_orders, "fleet").verdict, BENCH_NOT_PUBLISHED);
}

TEST(bench_judge_takes_the_bound_itself_for_possible)
{
	const struct bench_shape shape = {BENCH_LAW_LIMIT, 50, 0};
	struct bench_judgement judgement;
	bench_judge(&shape, &a0, 5000, 0, &judgement);
	ck_assert_int_eq(judgement.verdict, BENCH_IMPOSSIBLE_IN_RANGE);
	bench_judge(&shape, &a0, 5000.1, 0, &judgement);
	ck_assert_int_eq(judgement.verdict, BENCH_IMPOSSIBLE);
	bench_judge(&shape, &a0, 33.2, 0, &judgement);
	ck_assert_int_eq(judgement.verdict, BENCH_CONSISTENT);
}

TEST(bench_variants_are_found_by_name)
{
	ck_assert_str_eq(bench_find_variant(&bench_patterns, "aiometer")->name, "rate");
	ck_assert_ptr_null(bench_find_variant(&bench_patterns, "queues"));
}
