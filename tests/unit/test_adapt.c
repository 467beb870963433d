/* SPDX-License-Identifier: MIT */
/* The published limits against steps made by hand, and what auto promises without an upstream (tests/sim has those). */
#include "policy/adapt.h"
#include "support/test.h"

static struct weir__adapt *make(enum weir__adapt_kind kind, size_t start)
{
	struct weir__adapt *adapt;
	ck_assert_int_eq(
		weir__adapt_new(&(struct weir__adapt_options){.kind = kind, .start = start, .seed = 1}, &adapt), 0);
	return adapt;
}

/* A call of so many ms that ends now. */
static void add(struct weir__adapt *adapt, weir_nsec now, weir_nsec ms, size_t in_flight, enum weir_outcome outcome)
{
	weir__adapt_add(adapt, &(struct weir__sample){.started = now - ms * WEIR_MSEC,
						      .ended = now,
						      .in_flight = in_flight,
						      .outcome = outcome});
}

TEST(adapt_options_have_their_bounds)
{
	struct weir__adapt *adapt = NULL;
	ck_assert_int_eq(weir__adapt_new(&(struct weir__adapt_options){.kind = (enum weir__adapt_kind)9}, &adapt),
			 WEIR_EINVAL);
	ck_assert_int_eq(weir__adapt_new(&(struct weir__adapt_options){.least = 9, .most = 8}, &adapt), WEIR_EINVAL);
	ck_assert_int_eq(weir__adapt_new(&(struct weir__adapt_options){.most = WEIR__ADAPT_MOST + 1}, &adapt),
			 WEIR_EINVAL);
	ck_assert_ptr_null(adapt);
	ck_assert_int_eq(weir__adapt_new(&(struct weir__adapt_options){.most = 5}, &adapt), 0);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 5);
	ck_assert_int_eq(weir__adapt_min_latency(adapt), 0);
	weir__adapt_free(adapt);
	ck_assert_int_eq(
		weir__adapt_new(&(struct weir__adapt_options){.snapshot = 321, .min_latency = WEIR_MSEC}, &adapt), 0);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 321);
	ck_assert_int_eq(weir__adapt_min_latency(adapt), WEIR_MSEC);
	weir__adapt_free(adapt);
	weir__adapt_free(NULL);
}

TEST(adapt_aimd_adds_one_and_takes_a_tenth)
{
	struct weir__adapt *adapt = make(WEIR__ADAPT_AIMD, 0);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 20);
	add(adapt, WEIR_SEC, 10, 9, WEIR_OUTCOME_GOOD); /* less than half of it is used */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 20);
	for (int i = 0; i < 30; i++)
		add(adapt, WEIR_SEC, 10, 40, WEIR_OUTCOME_GOOD);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 50);
	add(adapt, WEIR_SEC, 10, 50, WEIR_OUTCOME_THROTTLED);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 45);
	add(adapt, 20 * WEIR_SEC, 5001, 45, WEIR_OUTCOME_GOOD); /* too slow */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 40);
	for (int i = 0; i < 30; i++)
		add(adapt, WEIR_SEC, 10, 40, WEIR_OUTCOME_FAILED);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 20);
	for (int i = 0; i < 500; i++)
		add(adapt, WEIR_SEC, 10, 400, WEIR_OUTCOME_GOOD);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 200);
	weir__adapt_free(adapt);
}

/* With a limit of 100 lg is 2: alpha 6, beta 12, threshold 2. */
TEST(adapt_vegas_keeps_a_short_queue)
{
	struct weir__adapt *adapt = make(WEIR__ADAPT_VEGAS, 100);
	add(adapt, WEIR_SEC, 100, 100, WEIR_OUTCOME_GOOD); /* the minimum latency */
	ck_assert_int_eq(weir__adapt_min_latency(adapt), 100 * WEIR_MSEC);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 100);
	add(adapt, WEIR_SEC, 101, 100, WEIR_OUTCOME_GOOD); /* queue 1: + beta */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 112);
	add(adapt, WEIR_SEC, 104, 112, WEIR_OUTCOME_GOOD); /* queue 5: + lg */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 114);
	add(adapt, WEIR_SEC, 108, 114, WEIR_OUTCOME_GOOD); /* queue 9: as it is */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 114);
	add(adapt, WEIR_SEC, 200, 114, WEIR_OUTCOME_GOOD); /* queue 57: - lg */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 112);
	add(adapt, WEIR_SEC, 101, 50, WEIR_OUTCOME_GOOD); /* not half of it is used */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 112);
	add(adapt, WEIR_SEC, 101, 112, WEIR_OUTCOME_TIMED_OUT);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 110);
	for (int i = 0; i < 4000; i++) /* after 30 limits at the most the minimum latency is measured anew */
		add(adapt, WEIR_SEC, 150, 1, WEIR_OUTCOME_GOOD);
	ck_assert_int_eq(weir__adapt_min_latency(adapt), 150 * WEIR_MSEC);
	weir__adapt_free(adapt);
}

TEST(adapt_gradient2_weighs_now_against_the_long_run)
{
	struct weir__adapt *adapt = make(WEIR__ADAPT_GRADIENT2, 100);
	add(adapt, WEIR_SEC, 100, 100, WEIR_OUTCOME_GOOD); /* gradient 1: 80 + (100 + 4) / 5 */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 100);
	for (int i = 0; i < 9; i++)
		add(adapt, WEIR_SEC, 100, 100, WEIR_OUTCOME_GOOD);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 108); /* 0.8 more each time */
	/* long = 100 + 2 / 601 * 900 = 102.995; gradient 0.5: 108 * 0.8 + (54 + 4) / 5 */
	add(adapt, WEIR_SEC, 1000, 108, WEIR_OUTCOME_GOOD);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 98);
	ck_assert_int_eq(weir__adapt_min_latency(adapt) / WEIR_USEC, 102995);
	add(adapt, WEIR_SEC, 1000, 20, WEIR_OUTCOME_GOOD); /* not half of it is used */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 98);
	weir__adapt_free(adapt);
}

TEST(adapt_arc_decides_once_a_window)
{
	struct weir__adapt *adapt = make(WEIR__ADAPT_ARC, 0);
	weir_nsec now = WEIR_SEC;
	ck_assert_uint_eq(weir__adapt_limit(adapt), 1);
	add(adapt, now, 125, 1, WEIR_OUTCOME_GOOD); /* the first mean: 125 ms; the window ends 125 ms later */
	add(adapt, now + 50 * WEIR_MSEC, 125, 1, WEIR_OUTCOME_GOOD);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 1);
	for (int i = 1; i <= 19; i++)
		add(adapt, now + i * 126 * WEIR_MSEC, 125, 50, WEIR_OUTCOME_GOOD);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 20);
	now += 30 * 126 * WEIR_MSEC;
	add(adapt, now, 120, 10, WEIR_OUTCOME_GOOD); /* it was not reached */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 20);
	add(adapt, now + WEIR_SEC, 135, 50, WEIR_OUTCOME_GOOD); /* over 123 + 2.5 * 2.4 */
	ck_assert_uint_eq(weir__adapt_limit(adapt), 18);
	/* mean 127.8, variance 0.6 * (6 + 0.4 * 12^2) = 38: up to 127.8 + 2.5 * 6.2 nothing happens */
	add(adapt, now + 2 * WEIR_SEC, 140, 50, WEIR_OUTCOME_GOOD);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 18);
	add(adapt, now + 3 * WEIR_SEC, 90, 50, WEIR_OUTCOME_FAILED);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 16);
	weir__adapt_free(adapt);
}

/* So many at once, each of 100 ms. */
static weir_nsec load(struct weir__adapt *adapt, weir_nsec now, int rounds, size_t most, enum weir_outcome outcome)
{
	for (int i = 0; i < rounds; i++) {
		size_t n = weir__adapt_limit(adapt) < most ? weir__adapt_limit(adapt) : most;
		for (size_t k = 0; k < n; k++)
			add(adapt, now + (weir_nsec)k * 100 * WEIR_MSEC / (weir_nsec)n, 100, n, outcome);
		now += 100 * WEIR_MSEC;
	}
	return now;
}

TEST(adapt_auto_grows_while_nothing_queues)
{
	struct weir__adapt *adapt = make(WEIR__ADAPT_AUTO, 0);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 20);
	load(adapt, WEIR_SEC, 60, SIZE_MAX, WEIR_OUTCOME_GOOD);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 10000);
	ck_assert_int_eq(weir__adapt_min_latency(adapt), 100 * WEIR_MSEC);
	weir__adapt_free(adapt);
}

TEST(adapt_auto_learns_nothing_of_a_limit_that_was_not_reached)
{
	struct weir__adapt *adapt = make(WEIR__ADAPT_AUTO, 0);
	load(adapt, WEIR_SEC, 100, 10, WEIR_OUTCOME_GOOD);
	ck_assert_uint_eq(weir__adapt_limit(adapt), 20);
	weir__adapt_free(adapt);
}

TEST(adapt_auto_takes_throttled_calls_for_no_failure)
{
	struct weir__adapt *adapt = make(WEIR__ADAPT_AUTO, 0);
	weir_nsec now = load(adapt, WEIR_SEC, 6, SIZE_MAX, WEIR_OUTCOME_GOOD);
	size_t before = weir__adapt_limit(adapt);
	load(adapt, now, 50, SIZE_MAX, WEIR_OUTCOME_THROTTLED);
	ck_assert_uint_eq(weir__adapt_limit(adapt), before);
	weir__adapt_free(adapt);
}

TEST(adapt_auto_shrinks_in_an_outage_and_comes_back)
{
	struct weir__adapt *adapt = make(WEIR__ADAPT_AUTO, 0);
	weir_nsec now = load(adapt, WEIR_SEC, 20, SIZE_MAX, WEIR_OUTCOME_GOOD);
	size_t before = weir__adapt_limit(adapt);
	ck_assert_uint_gt(before, 200);
	now = load(adapt, now, 200, SIZE_MAX, WEIR_OUTCOME_TIMED_OUT);
	ck_assert_uint_le(weir__adapt_limit(adapt), 2);
	load(adapt, now, 120, SIZE_MAX, WEIR_OUTCOME_GOOD);
	ck_assert_uint_ge(weir__adapt_limit(adapt), before);
	weir__adapt_free(adapt);
}
