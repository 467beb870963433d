/* SPDX-License-Identifier: MIT */
/* The circuit breaker: its promises one by one.  test_breaker_model.c has it do as a naive model does. */
#include "unit/death.h"

#include <math.h>
#include <weir/breaker.h>

/* Opens at 5 failures of 10 calls, for a second without jitter, and has three probes. */
static const struct weir_breaker_options small = {
	.calls_least = 10, .open = WEIR_SEC, .open_most = 8 * WEIR_SEC, .jitter = -1, .half_open = 10 * WEIR_SEC};

static struct weir_breaker *new_breaker(struct weir_breaker_options opts)
{
	struct weir_breaker *breaker;
	quick_assert(weir_breaker_new(&opts, &breaker) == 0);
	return breaker;
}

static struct weir_breaker_permit allow(struct weir_breaker *breaker, weir_nsec now)
{
	struct weir_breaker_permit permit;
	quick_assert(weir_breaker_allow(breaker, now, &permit) == 0);
	return permit;
}

static bool refuses(struct weir_breaker *breaker, weir_nsec now)
{
	struct weir_breaker_permit permit = {4711};
	int code = weir_breaker_allow(breaker, now, &permit);
	quick_assert(code == WEIR_EOPEN && permit.epoch == 4711);
	return true;
}

static void call(struct weir_breaker *breaker, enum weir_outcome outcome, weir_nsec took, weir_nsec now)
{
	weir_breaker_end(breaker, allow(breaker, now), outcome, took, now);
}

static void calls(struct weir_breaker *breaker, int n, enum weir_outcome outcome, weir_nsec now)
{
	for (int i = 0; i < n; i++)
		call(breaker, outcome, 0, now);
}

static struct weir_breaker_stats stats_of(const struct weir_breaker *breaker, weir_nsec now)
{
	struct weir_breaker_stats stats;
	weir_breaker_stats(breaker, now, &stats);
	return stats;
}

/* Open at 0, so half-open from a second on. */
static struct weir_breaker *new_open(struct weir_breaker_options opts)
{
	struct weir_breaker *breaker = new_breaker(opts);
	calls(breaker, 10, WEIR_OUTCOME_FAILED, 0);
	quick_assert(weir_breaker_state(breaker, 0) == WEIR_BREAKER_OPEN);
	return breaker;
}

/* ---- opening */

TEST(breaker_opens_at_its_share_of_failures_of_enough_calls)
{
	struct weir_breaker *breaker = new_breaker(small);
	calls(breaker, 5, WEIR_OUTCOME_FAILED, 0);
	calls(breaker, 4, WEIR_OUTCOME_GOOD, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED); /* nine are not enough */
	ck_assert_int_eq(weir_breaker_next(breaker, 7), 7);
	calls(breaker, 1, WEIR_OUTCOME_GOOD, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_OPEN); /* 5 of 10 */
	ck_assert(refuses(breaker, WEIR_SEC - 1));
	ck_assert_int_eq(weir_breaker_next(breaker, 7), WEIR_SEC);
	struct weir_breaker_stats stats = stats_of(breaker, 7);
	ck_assert_uint_eq(stats.calls, 10);
	ck_assert_uint_eq(stats.failed, 5);
	ck_assert_uint_eq(stats.opened, 1);
	ck_assert_uint_eq(stats.refused, 1);
	ck_assert_int_eq(stats.until, WEIR_SEC);
	weir_breaker_free(breaker);
	weir_breaker_free(NULL);
}

TEST(breaker_stays_closed_below_its_share_of_failures)
{
	struct weir_breaker *breaker = new_breaker(small);
	calls(breaker, 6, WEIR_OUTCOME_GOOD, 0);
	calls(breaker, 5, WEIR_OUTCOME_FAILED, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED); /* 5 of 11 */
	calls(breaker, 1, WEIR_OUTCOME_TIMED_OUT, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_OPEN); /* a time-out is a failure: 6 of 12 */
	weir_breaker_free(breaker);
}

TEST(breaker_takes_three_of_thirty_for_a_tenth)
{
	struct weir_breaker_options opts = small;
	opts.failure_rate = 0.1;
	opts.calls_least = 30;
	struct weir_breaker *breaker = new_breaker(opts);
	calls(breaker, 27, WEIR_OUTCOME_GOOD, 0);
	calls(breaker, 3, WEIR_OUTCOME_FAILED, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_OPEN);
	weir_breaker_free(breaker);
}

TEST(breaker_opens_at_failures_in_a_row_however_many_were_good_before)
{
	struct weir_breaker_options opts = small;
	for (opts.in_row = 0; opts.in_row <= 3; opts.in_row += 3) {
		struct weir_breaker *breaker = new_breaker(opts);
		int in_row = opts.in_row ? (int)opts.in_row : 10;
		calls(breaker, 100000, WEIR_OUTCOME_GOOD, 0);
		calls(breaker, in_row - 1, WEIR_OUTCOME_FAILED, 0);
		calls(breaker, 1, WEIR_OUTCOME_GOOD, 0);
		calls(breaker, in_row - 1, WEIR_OUTCOME_TIMED_OUT, 0);
		calls(breaker, 50, WEIR_OUTCOME_THROTTLED, 0);
		ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED);
		calls(breaker, 1, WEIR_OUTCOME_FAILED, 0);
		ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_OPEN);
		weir_breaker_free(breaker);
	}
}

TEST(breaker_does_not_take_429s_for_failures_nor_for_calls)
{
	struct weir_breaker *breaker = new_breaker(small);
	calls(breaker, 100, WEIR_OUTCOME_THROTTLED, 0);
	calls(breaker, 100, WEIR_OUTCOME_RELEASED, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED);
	ck_assert_uint_eq(stats_of(breaker, 0).calls, 0);
	weir_breaker_free(breaker);
}

TEST(breaker_opens_at_its_share_of_slow_calls)
{
	struct weir_breaker_options opts = small;
	opts.slow = 100;
	opts.slow_rate = 0.8;
	struct weir_breaker *breaker = new_breaker(opts);
	for (int i = 0; i < 10; i++)
		call(breaker, WEIR_OUTCOME_GOOD, 100, 0); /* not longer than that */
	ck_assert_uint_eq(stats_of(breaker, 0).slow, 0);
	for (int i = 0; i < 39; i++)
		call(breaker, WEIR_OUTCOME_GOOD, 101, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED);
	call(breaker, WEIR_OUTCOME_GOOD, 101, 0); /* 40 of 50 */
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_OPEN);
	weir_breaker_free(breaker);
	opts.slow = 0;
	breaker = new_breaker(opts);
	for (int i = 0; i < 50; i++)
		call(breaker, WEIR_OUTCOME_GOOD, INT64_MAX, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED);
	weir_breaker_free(breaker);
}

TEST(breaker_with_a_rate_over_one_never_opens_for_it)
{
	struct weir_breaker_options opts = small;
	opts.slow = 1;
	opts.slow_rate = opts.failure_rate = 1.1;
	struct weir_breaker *breaker = new_breaker(opts);
	for (int i = 0; i < 100; i++)
		call(breaker, WEIR_OUTCOME_FAILED, 10, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED);
	weir_breaker_free(breaker);
}

TEST(breaker_for_slow_calls_alone_closes_whether_probes_fail_or_not)
{
	struct weir_breaker_options opts = small;
	opts.slow = 1;
	opts.failure_rate = 1.1;
	struct weir_breaker *breaker = new_breaker(opts);
	for (int i = 0; i < 10; i++)
		call(breaker, WEIR_OUTCOME_FAILED, 2, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_OPEN);
	for (int i = 0; i < 3; i++)
		call(breaker, WEIR_OUTCOME_FAILED, 1, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_CLOSED);
	weir_breaker_free(breaker);
}

TEST(breaker_window_of_calls_holds_the_last_ones)
{
	struct weir_breaker_options opts = small;
	opts.window_calls = 20;
	struct weir_breaker *breaker = new_breaker(opts);
	calls(breaker, 15, WEIR_OUTCOME_GOOD, 0);
	calls(breaker, 9, WEIR_OUTCOME_FAILED, 1000 * WEIR_SEC);
	ck_assert_uint_eq(stats_of(breaker, 0).calls, 20);
	ck_assert_uint_eq(stats_of(breaker, 0).failed, 9);
	calls(breaker, 11, WEIR_OUTCOME_GOOD, 2000 * WEIR_SEC);
	ck_assert_uint_eq(stats_of(breaker, 0).failed, 9);
	calls(breaker, 3, WEIR_OUTCOME_GOOD, 3000 * WEIR_SEC);
	ck_assert_uint_eq(stats_of(breaker, 0).failed, 6);
	ck_assert_uint_eq(stats_of(breaker, 0).calls, 20);
	calls(breaker, 6, WEIR_OUTCOME_GOOD, 3000 * WEIR_SEC);
	ck_assert_uint_eq(stats_of(breaker, 0).failed, 0);
	calls(breaker, 10, WEIR_OUTCOME_FAILED, 4000 * WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, 4000 * WEIR_SEC), WEIR_BREAKER_OPEN);
	weir_breaker_free(breaker);
}

TEST(breaker_window_of_calls_smaller_than_the_least_opens_when_full)
{
	struct weir_breaker_options opts = small;
	opts.window_calls = 4;
	struct weir_breaker *breaker = new_breaker(opts);
	calls(breaker, 3, WEIR_OUTCOME_FAILED, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED);
	calls(breaker, 1, WEIR_OUTCOME_FAILED, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_OPEN);
	weir_breaker_free(breaker);
}

TEST(breaker_window_of_time_forgets_what_is_older)
{
	struct weir_breaker *breaker = new_breaker(small); /* of 30 s: buckets of 3 s */
	calls(breaker, 9, WEIR_OUTCOME_FAILED, 4 * WEIR_SEC);
	ck_assert_uint_eq(stats_of(breaker, 33 * WEIR_SEC - 1).failed, 9);
	ck_assert_uint_eq(stats_of(breaker, 33 * WEIR_SEC).failed, 0);
	calls(breaker, 9, WEIR_OUTCOME_GOOD, 33 * WEIR_SEC);
	calls(breaker, 9, WEIR_OUTCOME_FAILED, 62 * WEIR_SEC); /* in the bucket that the first ones had */
	struct weir_breaker_stats stats = stats_of(breaker, 62 * WEIR_SEC);
	ck_assert_uint_eq(stats.calls, 18);
	ck_assert_int_eq(stats.state, WEIR_BREAKER_OPEN);
	weir_breaker_free(breaker);
}

/* ---- half-open */

TEST(breaker_half_open_admits_exactly_its_probes_however_many_ask)
{
	for (unsigned probes = 1; probes <= 1000; probes = probes * 3 + 1) {
		struct weir_breaker_options opts = small;
		opts.probes = probes;
		struct weir_breaker *breaker = new_open(opts);
		struct weir_breaker_permit permit = {0};
		unsigned admitted = 0;
		ck_assert(refuses(breaker, WEIR_SEC - 1));
		for (int i = 0; i < 5000; i++)
			admitted += weir_breaker_allow(breaker, WEIR_SEC + i, &permit) == 0;
		ck_assert_uint_eq(admitted, probes);
		ck_assert_int_eq(weir_breaker_next(breaker, WEIR_SEC + 5000), WEIR_SEC + 10 * WEIR_SEC);
		for (unsigned i = 0; i < probes / 2; i++) /* those that have ended make no room for more */
			weir_breaker_end(breaker, permit, WEIR_OUTCOME_GOOD, 0, 2 * WEIR_SEC);
		ck_assert(refuses(breaker, 2 * WEIR_SEC));
		weir_breaker_end(breaker, permit, WEIR_OUTCOME_GOOD, 0, 2 * WEIR_SEC);
		ck_assert_int_eq(weir_breaker_state(breaker, 2 * WEIR_SEC), WEIR_BREAKER_CLOSED);
		weir_breaker_free(breaker);
	}
}

TEST(breaker_closes_when_enough_probes_ended_well_and_begins_afresh)
{
	struct weir_breaker *breaker = new_open(small);
	struct weir_breaker_permit probe = allow(breaker, WEIR_SEC);
	ck_assert(probe.probe);
	weir_breaker_end(breaker, probe, WEIR_OUTCOME_GOOD, 0, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_HALF_OPEN);
	call(breaker, WEIR_OUTCOME_GOOD, 0, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_CLOSED);
	ck_assert_uint_eq(stats_of(breaker, WEIR_SEC).calls, 0); /* the ten failures are no reason any more */
	ck_assert_int_eq(stats_of(breaker, WEIR_SEC).until, 0);
	struct weir_breaker_permit permit = allow(breaker, WEIR_SEC);
	ck_assert(!permit.probe);
	weir_breaker_end(breaker, permit, WEIR_OUTCOME_RELEASED, 0, WEIR_SEC);
	calls(breaker, 9, WEIR_OUTCOME_FAILED, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_CLOSED);
	weir_breaker_free(breaker);
}

TEST(breaker_opens_again_as_soon_as_its_share_of_the_probes_must_fail)
{
	struct weir_breaker *breaker = new_open(small);
	struct weir_breaker_permit other = allow(breaker, WEIR_SEC);
	call(breaker, WEIR_OUTCOME_TIMED_OUT, 0, WEIR_SEC); /* one of three may be chance */
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_HALF_OPEN);
	call(breaker, WEIR_OUTCOME_FAILED, 0, WEIR_SEC); /* two are over a half, whatever the third does */
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_OPEN);
	ck_assert_int_eq(weir_breaker_next(breaker, WEIR_SEC), 3 * WEIR_SEC);
	weir_breaker_end(breaker, other, WEIR_OUTCOME_GOOD, 0, 2 * WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, 2 * WEIR_SEC), WEIR_BREAKER_OPEN);
	weir_breaker_free(breaker);
}

TEST(breaker_decides_by_the_share_of_its_probes_and_no_later_than_it_is_certain)
{
	static const struct {
		double rate;
		const char *probes; /* of four; what it is after the last of them */
		enum weir_breaker_state state;
	} rows[] = {
		{0.5, "gg", WEIR_BREAKER_HALF_OPEN},  {0.5, "ggg", WEIR_BREAKER_CLOSED},
		{0.5, "fgg", WEIR_BREAKER_HALF_OPEN}, {0.5, "fggg", WEIR_BREAKER_CLOSED},
		{0.5, "ff", WEIR_BREAKER_OPEN},       {0.5, "gfgf", WEIR_BREAKER_OPEN},
		{0.25, "f", WEIR_BREAKER_OPEN},       {0.25, "ggg", WEIR_BREAKER_HALF_OPEN},
		{0.25, "gggg", WEIR_BREAKER_CLOSED},  {1, "g", WEIR_BREAKER_CLOSED},
		{1, "fff", WEIR_BREAKER_HALF_OPEN},   {1, "ffff", WEIR_BREAKER_OPEN},
		{1, "fffg", WEIR_BREAKER_CLOSED},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct weir_breaker_options opts = small;
		opts.probes = 4;
		opts.failure_rate = rows[i].rate;
		struct weir_breaker *breaker = new_open(opts);
		for (const char *probe = rows[i].probes; *probe; probe++)
			call(breaker, *probe == 'g' ? WEIR_OUTCOME_GOOD : WEIR_OUTCOME_FAILED, 0, WEIR_SEC);
		ck_assert_msg(weir_breaker_state(breaker, WEIR_SEC) == rows[i].state, "%g %s", rows[i].rate,
			      rows[i].probes);
		weir_breaker_free(breaker);
	}
}

/* ---- jobs that always fail */

/* A call of a job that has failed before, and others were good since if it is a suspect. */
static void call_again(struct weir_breaker *breaker, bool suspect, enum weir_outcome outcome, weir_nsec now)
{
	struct weir_breaker_permit permit = allow(breaker, now);
	permit.again = true;
	permit.suspect = suspect;
	weir_breaker_end(breaker, permit, outcome, 0, now);
}

TEST(breaker_does_not_count_failures_of_suspects)
{
	struct weir_breaker *breaker = new_breaker(small);
	for (int i = 0; i < 1000; i++)
		call_again(breaker, true, i % 2 ? WEIR_OUTCOME_FAILED : WEIR_OUTCOME_ERROR, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED);
	ck_assert_uint_eq(stats_of(breaker, 0).calls, 0);
	calls(breaker, 9, WEIR_OUTCOME_ERROR, 0);
	call_again(breaker, true, WEIR_OUTCOME_FAILED, 0); /* is no part of the row of others, and unterminated it */
	call_again(breaker, false, WEIR_OUTCOME_FAILED, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_OPEN);
	weir_breaker_free(breaker);
}

TEST(breaker_takes_a_suspect_that_succeeds_for_the_end_of_a_row_alone)
{
	struct weir_breaker_options opts = small;
	opts.calls_least = 100;
	opts.in_row = 10;
	struct weir_breaker *breaker = new_breaker(opts);
	for (int i = 0; i < 11; i++) {
		calls(breaker, 9, WEIR_OUTCOME_FAILED, 0);
		call_again(breaker, true, WEIR_OUTCOME_GOOD, 0);
	}
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED);
	ck_assert_uint_eq(stats_of(breaker, 0).calls, 99); /* a share of retries would hide how many fail at first */
	calls(breaker, 1, WEIR_OUTCOME_FAILED, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_OPEN);
	weir_breaker_free(breaker);
}

TEST(breaker_suspects_as_probes_use_up_their_place_and_decide_nothing)
{
	struct weir_breaker *breaker = new_open(small);
	call(breaker, WEIR_OUTCOME_GOOD, 0, WEIR_SEC);
	call_again(breaker, true, WEIR_OUTCOME_TIMED_OUT, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_HALF_OPEN);
	call_again(breaker, true, WEIR_OUTCOME_FAILED, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_CLOSED); /* one of one was good */
	weir_breaker_free(breaker);
	breaker = new_open(small);
	for (int i = 0; i < 3; i++)
		call_again(breaker, true, WEIR_OUTCOME_FAILED, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_next(breaker, WEIR_SEC), 2 * WEIR_SEC); /* for as long as before */
	weir_breaker_free(breaker);
}

TEST(breaker_is_told_by_an_answer_that_the_upstream_is_there)
{
	struct weir_breaker *breaker = new_open(small); /* of 10 calls at least */
	for (int i = 0; i < 9; i++)
		call(breaker, WEIR_OUTCOME_ERROR, 0, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_HALF_OPEN);
	for (int i = 0; i < 1000; i++) /* what is known already */
		call_again(breaker, i % 2, WEIR_OUTCOME_ERROR, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_HALF_OPEN);
	call(breaker, WEIR_OUTCOME_ERROR, 0, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_next(breaker, WEIR_SEC), 3 * WEIR_SEC);
	calls(breaker, 8, WEIR_OUTCOME_ERROR, 3 * WEIR_SEC);
	calls(breaker, 2, WEIR_OUTCOME_GOOD, 3 * WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, 3 * WEIR_SEC), WEIR_BREAKER_CLOSED);
	weir_breaker_free(breaker);
}

TEST(breaker_probes_that_were_released_give_their_place_back)
{
	struct weir_breaker *breaker = new_open(small);
	struct weir_breaker_permit probes[3];
	for (int i = 0; i < 3; i++)
		probes[i] = allow(breaker, WEIR_SEC);
	ck_assert(refuses(breaker, WEIR_SEC));
	weir_breaker_end(breaker, probes[0], WEIR_OUTCOME_RELEASED, 0, WEIR_SEC);
	weir_breaker_end(breaker, probes[1], WEIR_OUTCOME_THROTTLED, 0, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_next(breaker, WEIR_SEC + 1), WEIR_SEC + 1);
	probes[0] = allow(breaker, WEIR_SEC);
	probes[1] = allow(breaker, WEIR_SEC);
	ck_assert(refuses(breaker, WEIR_SEC));
	for (int i = 0; i < 2; i++)
		weir_breaker_end(breaker, probes[i], WEIR_OUTCOME_GOOD, 0, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_CLOSED);
	weir_breaker_free(breaker);
}

TEST(breaker_half_open_has_a_limit_on_its_stay)
{
	struct weir_breaker *breaker = new_open(small);
	weir_nsec begun = 100 * WEIR_SEC; /* nobody asked before: it waited for that */
	ck_assert_int_eq(weir_breaker_state(breaker, begun), WEIR_BREAKER_HALF_OPEN);
	ck_assert_int_eq(stats_of(breaker, begun).until, 0);
	struct weir_breaker_permit lost = allow(breaker, begun);
	call(breaker, WEIR_OUTCOME_GOOD, 0, begun + WEIR_SEC);
	ck_assert_int_eq(stats_of(breaker, begun).until, begun + 10 * WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, begun + 10 * WEIR_SEC - 1), WEIR_BREAKER_HALF_OPEN);
	ck_assert_int_eq(weir_breaker_state(breaker, begun + 10 * WEIR_SEC), WEIR_BREAKER_OPEN);
	ck_assert_uint_eq(stats_of(breaker, begun + 10 * WEIR_SEC).opened, 2);
	ck_assert_int_eq(weir_breaker_state(breaker, begun + 12 * WEIR_SEC), WEIR_BREAKER_HALF_OPEN);
	ck_assert_int_eq(weir_breaker_state(breaker, begun), WEIR_BREAKER_HALF_OPEN); /* looking changes nothing */
	weir_breaker_end(breaker, lost, WEIR_OUTCOME_FAILED, 0, begun + 12 * WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, begun + 12 * WEIR_SEC), WEIR_BREAKER_HALF_OPEN);
	ck_assert_uint_eq(stats_of(breaker, begun + 12 * WEIR_SEC).stale, 1);
	weir_breaker_free(breaker);
}

TEST(breaker_half_open_waits_for_calls_that_are_rare)
{
	struct weir_breaker *breaker = new_open(small);
	for (int minute = 1; minute <= 2; minute++) {
		weir_nsec now = minute * 60 * WEIR_SEC;
		ck_assert_int_eq(weir_breaker_state(breaker, now), WEIR_BREAKER_HALF_OPEN);
		call(breaker, WEIR_OUTCOME_GOOD, 0, now);
	}
	ck_assert_int_eq(weir_breaker_state(breaker, 120 * WEIR_SEC), WEIR_BREAKER_CLOSED);
	weir_breaker_free(breaker);
}

TEST(breaker_slow_probes_open_it_at_the_slow_rate)
{
	struct weir_breaker_options opts = small;
	opts.slow = 100;
	opts.slow_rate = 0.5;
	for (int slow = 0; slow <= 3; slow++) {
		struct weir_breaker *breaker = new_open(opts);
		for (int i = 0; i < 3 && weir_breaker_state(breaker, WEIR_SEC) == WEIR_BREAKER_HALF_OPEN; i++)
			call(breaker, WEIR_OUTCOME_GOOD, i < slow ? 101 : 100, WEIR_SEC);
		ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC),
				 slow < 2 ? WEIR_BREAKER_CLOSED : WEIR_BREAKER_OPEN);
		weir_breaker_free(breaker);
	}
}

TEST(breaker_asks_for_more_calls_after_a_false_alarm_of_answers)
{
	struct weir_breaker *breaker = new_breaker(small);
	weir_nsec now = WEIR_SEC;
	for (int needed = 10; needed <= 160; needed *= 2) {
		for (int i = 0; i < needed; i++) {
			ck_assert_int_eq(weir_breaker_state(breaker, now), WEIR_BREAKER_CLOSED);
			call(breaker, i % 2 ? WEIR_OUTCOME_ERROR : WEIR_OUTCOME_GOOD, 0, now);
		}
		ck_assert_int_eq(weir_breaker_state(breaker, now), WEIR_BREAKER_OPEN);
		now = weir_breaker_next(breaker, now);
		calls(breaker, 2, WEIR_OUTCOME_GOOD, now);
	}
	calls(breaker, 10, WEIR_OUTCOME_ERROR, now); /* a row needs no more */
	ck_assert_int_eq(weir_breaker_state(breaker, now), WEIR_BREAKER_OPEN);
	now = weir_breaker_next(breaker, now);
	calls(breaker, 2, WEIR_OUTCOME_GOOD, now);
	for (int i = 0; i < 10; i++)
		call(breaker, i % 2 ? WEIR_OUTCOME_FAILED : WEIR_OUTCOME_GOOD, 0, now);
	ck_assert_int_eq(weir_breaker_state(breaker, now), WEIR_BREAKER_OPEN);
	weir_breaker_free(breaker);
}

/* ---- denied calls */

static struct weir_breaker *new_denying(void)
{
	struct weir_breaker_options opts = small;
	opts.denied_rate = 0.5;
	return new_breaker(opts);
}

TEST(breaker_takes_denied_calls_for_good_ones_unless_it_is_told)
{
	struct weir_breaker *breaker = new_breaker(small);
	calls(breaker, 1000, WEIR_OUTCOME_DENIED, 0);
	ck_assert_int_eq(weir_breaker_state(breaker, 0), WEIR_BREAKER_CLOSED);
	ck_assert_uint_eq(stats_of(breaker, 0).failed, 0);
	weir_breaker_free(breaker);
}

TEST(breaker_opens_at_denied_calls_in_a_row_however_many_were_good_before)
{
	struct weir_breaker *breaker = new_denying();
	calls(breaker, 100019, WEIR_OUTCOME_GOOD, 0);
	calls(breaker, 19, WEIR_OUTCOME_DENIED, 5);
	ck_assert_int_eq(weir_breaker_state(breaker, 5), WEIR_BREAKER_CLOSED);
	calls(breaker, 1, WEIR_OUTCOME_DENIED, 7);
	struct weir_breaker_stats stats = stats_of(breaker, 7);
	ck_assert_int_eq(stats.state, WEIR_BREAKER_OPEN);
	ck_assert_int_eq(stats.denied_since, 7);
	ck_assert_uint_eq(stats.denied, 20);
	ck_assert_uint_eq(stats.denied_of, 20);
	weir_breaker_free(breaker);
}

TEST(breaker_opens_at_its_share_of_denied_calls)
{
	for (int denied = 9; denied <= 10; denied++) {
		struct weir_breaker *breaker = new_denying();
		calls(breaker, 40, WEIR_OUTCOME_GOOD, 0);
		for (int i = 0; i < 20; i++)
			call(breaker, i < denied ? WEIR_OUTCOME_DENIED : WEIR_OUTCOME_GOOD, 0, 0);
		ck_assert_int_eq(weir_breaker_state(breaker, 0), denied < 10 ? WEIR_BREAKER_CLOSED : WEIR_BREAKER_OPEN);
		ck_assert_uint_eq(stats_of(breaker, 0).denied, denied < 10 ? 0 : 10);
		weir_breaker_free(breaker);
	}
}

TEST(breaker_that_opened_for_denied_calls_closes_with_one_good_probe)
{
	struct weir_breaker *breaker = new_denying();
	calls(breaker, 20, WEIR_OUTCOME_DENIED, 0);
	calls(breaker, 3, WEIR_OUTCOME_DENIED, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_next(breaker, WEIR_SEC), 3 * WEIR_SEC);
	ck_assert_uint_eq(stats_of(breaker, WEIR_SEC).denied_of, 20);
	ck_assert_int_eq(stats_of(breaker, WEIR_SEC).denied_since, 0); /* since the first time, not the second */
	calls(breaker, 2, WEIR_OUTCOME_DENIED, 3 * WEIR_SEC);
	calls(breaker, 1, WEIR_OUTCOME_GOOD, 3 * WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, 3 * WEIR_SEC), WEIR_BREAKER_CLOSED);
	weir_breaker_free(breaker);
}

TEST(breaker_asks_for_more_denied_calls_after_each_false_alarm)
{
	struct weir_breaker *breaker = new_denying();
	weir_nsec now = 1;
	for (int block = 20; block <= 1280; block *= 2) {
		for (int i = 0; i < block; i++) { /* two of three */
			ck_assert_int_eq(weir_breaker_state(breaker, now), WEIR_BREAKER_CLOSED);
			call(breaker, i % 3 ? WEIR_OUTCOME_DENIED : WEIR_OUTCOME_GOOD, 0, now);
		}
		ck_assert_int_eq(weir_breaker_state(breaker, now), WEIR_BREAKER_OPEN);
		now = weir_breaker_next(breaker, now);
		calls(breaker, 1, WEIR_OUTCOME_GOOD, now);
	}
	calls(breaker, 1280, WEIR_OUTCOME_GOOD, now);
	calls(breaker, 20, WEIR_OUTCOME_DENIED, now); /* a row needs no block */
	ck_assert_int_eq(weir_breaker_state(breaker, now), WEIR_BREAKER_OPEN);
	weir_breaker_free(breaker);
}

TEST(breaker_that_is_denied_by_its_probes_says_so)
{
	struct weir_breaker_options opts = small;
	opts.denied_rate = 0.5;
	struct weir_breaker *breaker = new_open(opts); /* for failures */
	calls(breaker, 2, WEIR_OUTCOME_DENIED, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_OPEN);
	ck_assert_int_eq(stats_of(breaker, WEIR_SEC).denied_since, WEIR_SEC);
	calls(breaker, 3, WEIR_OUTCOME_FAILED, 3 * WEIR_SEC); /* now it is down again */
	ck_assert_uint_eq(stats_of(breaker, 3 * WEIR_SEC).denied_of, 0);
	weir_breaker_free(breaker);
}

/* ---- late results */

TEST(breaker_results_of_calls_let_through_before_change_nothing)
{
	struct weir_breaker *breaker = new_breaker(small);
	struct weir_breaker_permit late[40];
	for (int i = 0; i < 40; i++)
		late[i] = allow(breaker, 0);
	calls(breaker, 10, WEIR_OUTCOME_FAILED, 0);
	weir_breaker_end(breaker, late[0], WEIR_OUTCOME_GOOD, 0, 1); /* open */
	ck_assert_uint_eq(stats_of(breaker, 1).calls, 10);
	ck_assert_uint_eq(stats_of(breaker, 1).stale, 1);
	for (int i = 1; i < 10; i++) /* half-open: no probes, be they good or bad */
		weir_breaker_end(breaker, late[i], i % 2 ? WEIR_OUTCOME_GOOD : WEIR_OUTCOME_FAILED, 0, WEIR_SEC);
	ck_assert_int_eq(weir_breaker_state(breaker, WEIR_SEC), WEIR_BREAKER_HALF_OPEN);
	calls(breaker, 2, WEIR_OUTCOME_GOOD, WEIR_SEC);
	for (int i = 10; i < 40; i++) /* closed again */
		weir_breaker_end(breaker, late[i], WEIR_OUTCOME_FAILED, 0, WEIR_SEC);
	struct weir_breaker_stats stats = stats_of(breaker, WEIR_SEC);
	ck_assert_int_eq(stats.state, WEIR_BREAKER_CLOSED);
	ck_assert_uint_eq(stats.calls, 0);
	ck_assert_uint_eq(stats.stale, 40);
	weir_breaker_free(breaker);
}

/* ---- open time */

/* Lets the breaker fail its probe, again and again; the n-th open time. */
static weir_nsec open_time(struct weir_breaker *breaker, int n, weir_nsec *ret_half_open)
{
	weir_nsec now = 0, until = weir_breaker_next(breaker, 0);
	for (int i = 1; i < n; i++) {
		now = until;
		calls(breaker, 2, WEIR_OUTCOME_FAILED, now);
		until = weir_breaker_next(breaker, now);
	}
	*ret_half_open = until;
	return until - now;
}

TEST(breaker_open_time_doubles_to_its_largest_and_begins_anew_after_closing)
{
	static const int seconds[] = {1, 2, 4, 7, 7, 7};
	struct weir_breaker_options opts = small;
	opts.open_most = 7 * WEIR_SEC;
	weir_nsec now;
	for (int n = 1; n <= 6; n++) {
		struct weir_breaker *breaker = new_open(opts);
		ck_assert_int_eq(open_time(breaker, n, &now), seconds[n - 1] * WEIR_SEC);
		calls(breaker, 2, WEIR_OUTCOME_GOOD, now);
		calls(breaker, 10, WEIR_OUTCOME_FAILED, now);
		ck_assert_int_eq(weir_breaker_next(breaker, now), now + WEIR_SEC);
		weir_breaker_free(breaker);
	}
}

TEST(breaker_open_time_is_never_less_than_the_first)
{
	struct weir_breaker_options opts = small;
	weir_nsec now;
	opts.open_most = WEIR_SEC / 2;
	struct weir_breaker *breaker = new_open(opts);
	ck_assert_int_eq(open_time(breaker, 3, &now), WEIR_SEC);
	weir_breaker_free(breaker);
}

TEST(breaker_open_time_has_jitter_within_its_bounds)
{
	struct weir_breaker_options opts = small;
	double least[4] = {2, 2, 2, 2}, most[4] = {0}, sum = 0;
	opts.jitter = 0; /* a fifth */
	for (opts.seed = 0; opts.seed < 1000; opts.seed++)
		for (int n = 0; n < 4; n++) {
			struct weir_breaker *breaker = new_open(opts);
			weir_nsec now;
			double share = (double)open_time(breaker, n + 1, &now) / (double)(WEIR_SEC << n);
			least[n] = fmin(least[n], share);
			most[n] = fmax(most[n], share);
			sum += share / 4000;
			weir_breaker_free(breaker);
		}
	for (int n = 0; n < 4; n++) {
		ck_assert_double_ge(least[n], 0.8);
		ck_assert_double_le(least[n], 0.81);
		ck_assert_double_ge(most[n], 1.19);
		ck_assert_double_le(most[n], 1.2);
	}
	ck_assert_double_le(fabs(sum - 1), 0.01);
}

TEST(breaker_times_may_be_as_long_as_times_get)
{
	struct weir_breaker_options opts = {
		.calls_least = 10, .open = INT64_MAX, .half_open = INT64_MAX, .window = INT64_MAX};
	for (opts.seed = 0; opts.seed < 50; opts.seed++) {
		struct weir_breaker *breaker = new_open(opts);
		ck_assert_int_eq(weir_breaker_state(breaker, INT64_MAX / 2), WEIR_BREAKER_OPEN);
		weir_breaker_free(breaker);
	}
}

/* ---- contracts */

TEST(breaker_refuses_options_out_of_range)
{
	static const struct weir_breaker_options wrong[] = {
		{.failure_rate = -0.1}, {.failure_rate = NAN}, {.slow_rate = -1},    {.slow_rate = NAN},
		{.jitter = 1.1},        {.jitter = NAN},       {.probes = 1001},     {.window_calls = 10001},
		{.slow = -1},           {.window = -1},        {.open = -1},         {.open_most = -1},
		{.half_open = -1},      {.denied_rate = -1},   {.denied_rate = NAN},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct weir_breaker *untouched = (void *)&wrong;
		ck_assert_int_eq(weir_breaker_new(&wrong[i], &untouched), WEIR_EINVAL);
		ck_assert_ptr_eq(untouched, &wrong);
	}
	ck_assert_str_eq(weir_breaker_state_name(WEIR_BREAKER_CLOSED), "closed");
	ck_assert_str_eq(weir_breaker_state_name(WEIR_BREAKER_OPEN), "open");
	ck_assert_str_eq(weir_breaker_state_name(WEIR_BREAKER_HALF_OPEN), "half-open");
}

static void end_twice(void)
{
	struct weir_breaker *breaker = new_breaker(small);
	struct weir_breaker_permit permit = allow(breaker, 0);
	weir_breaker_end(breaker, permit, WEIR_OUTCOME_GOOD, 0, 0);
	breaks(weir_breaker_end(breaker, permit, WEIR_OUTCOME_GOOD, 0, 0));
}

TEST(breaker_permit_that_ends_twice_aborts)
{
	assert_breaks(end_twice, "weir_breaker_end: this permit has ended before");
}
