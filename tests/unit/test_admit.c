/* SPDX-License-Identifier: MIT */
/* What holds a call back, in which order, and what changes it. */
#include "support/test.h"

#include "policy/admit.h"

#include <weir/random.h>

static struct weir__admit *make(const struct weir__gate_options *opts)
{
	struct weir__admit *admit;
	ck_assert_int_eq(weir__admit_new(opts, &admit), 0);
	return admit;
}

static void expect(struct weir__admit *admit, weir_nsec now, weir_nsec until, enum weir_held_by held_by)
{
	enum weir_held_by told;
	ck_assert_int_eq(weir__admit_ask(admit, now, &told), until);
	ck_assert_int_eq(told, held_by);
}

static struct weir_gate_stats stats_of(const struct weir__admit *admit, weir_nsec now)
{
	struct weir_gate_stats stats;
	weir__admit_stats(admit, now, &stats);
	return stats;
}

TEST(admit_lets_in_as_many_as_may_be)
{
	struct weir__admit *admit = make(&(struct weir__gate_options){.concurrency = 2});
	struct weir__pass first, second;
	weir__admit_enter(admit, &first, 1);
	weir__admit_enter(admit, &second, 1);
	ck_assert_uint_eq(second.in_flight, 2);
	ck_assert_uint_eq(second.number, 2);
	expect(admit, 2, WEIR_FOREVER, WEIR_HELD_BY_CONCURRENCY);
	weir__admit_set_concurrency(admit, 3);
	expect(admit, 2, 2, WEIR_HELD_BY_NOTHING);
	weir__admit_set_concurrency(admit, 1);
	weir__admit_leave(admit, &first, WEIR_OUTCOME_GOOD, NULL, 3);
	expect(admit, 3, WEIR_FOREVER, WEIR_HELD_BY_CONCURRENCY);
	weir__admit_leave(admit, &second, WEIR_OUTCOME_RELEASED, NULL, 3);
	expect(admit, 3, 3, WEIR_HELD_BY_NOTHING);
	weir__admit_set_concurrency(admit, 0);
	struct weir_gate_stats stats = stats_of(admit, 3);
	ck_assert(stats.adaptive);
	ck_assert_uint_eq(stats.limit, 20);
	ck_assert_uint_eq(stats.calls, 2);
	ck_assert_uint_eq(stats.good, 1);
	ck_assert_uint_eq(stats.released, 1);
	ck_assert_uint_eq(stats.in_flight, 0);
	weir__admit_free(admit);
	weir__admit_free(NULL);
}

TEST(admit_keeps_ones_own_rate_also_when_it_changes)
{
	struct weir__admit *admit = make(&(struct weir__gate_options){.concurrency = 9, .rate = {.count = 10}});
	struct weir__pass pass;
	ck_assert(stats_of(admit, WEIR_SEC).per_sec == 10);
	weir__admit_enter(admit, &pass, WEIR_SEC);
	expect(admit, WEIR_SEC, WEIR_SEC + 100 * WEIR_MSEC, WEIR_HELD_BY_RATE);
	ck_assert_int_eq(weir__admit_set_rate(admit, &(struct weir_rate_options){.count = 100}, WEIR_SEC), 0);
	expect(admit, WEIR_SEC, WEIR_SEC + 10 * WEIR_MSEC, WEIR_HELD_BY_RATE);
	ck_assert_int_eq(weir__admit_set_rate(admit,
					      &(struct weir_rate_options){.count = 1, .kind = (enum weir_rate_kind)9},
					      WEIR_SEC),
			 WEIR_EINVAL);
	expect(admit, WEIR_SEC, WEIR_SEC + 10 * WEIR_MSEC, WEIR_HELD_BY_RATE);
	ck_assert_int_eq(weir__admit_set_rate(admit, &(struct weir_rate_options){0}, WEIR_SEC), 0);
	expect(admit, WEIR_SEC, WEIR_SEC, WEIR_HELD_BY_NOTHING);
	weir__admit_leave(admit, &pass, WEIR_OUTCOME_GOOD, NULL, WEIR_SEC);
	weir__admit_free(admit);
}

/* Whoever calls is up to 9 ms late, and sometimes pauses. */
TEST(admit_with_a_burst_that_covers_lateness_is_never_over_its_rate)
{
	enum { CALLS = 20000, PER_SEC = 1000, BURST = 11 };
	static weir_nsec at[CALLS];
	struct weir__admit *admit =
		make(&(struct weir__gate_options){.concurrency = CALLS, .rate = {.count = PER_SEC, .burst = BURST}});
	const weir_nsec window = 50 * WEIR_MSEC;
	weir_nsec now = WEIR_SEC;
	uint64_t random = 1;
	for (int i = 0, from = 0; i < CALLS; i++) {
		struct weir__pass pass;
		weir_nsec until = weir__admit_ask(admit, now, NULL);
		if (until > now)
			now = until + (weir_nsec)weir_random_below(&random, (uint64_t)(9 * WEIR_MSEC));
		weir__admit_enter(admit, &pass, now);
		at[i] = now;
		while (at[from] <= now - window)
			from++;
		quick_assert(i - from + 1 <= BURST + PER_SEC * window / WEIR_SEC);
		if (weir_random_below(&random, 20) == 0)
			now += (weir_nsec)weir_random_below(&random, (uint64_t)(10 * WEIR_MSEC));
	}
	ck_assert_int_lt(now - WEIR_SEC, CALLS * WEIR_SEC / PER_SEC * 5 / 4); /* nor far below */
	weir__admit_free(admit);
}

TEST(admit_is_paused_from_a_time_on)
{
	struct weir__admit *admit = make(&(struct weir__gate_options){.concurrency = 2});
	struct weir__pass pass;
	weir__admit_enter(admit, &pass, WEIR_SEC);
	weir__admit_pause_from(admit, 3 * WEIR_SEC);
	expect(admit, 3 * WEIR_SEC - 1, 3 * WEIR_SEC - 1, WEIR_HELD_BY_NOTHING);
	ck_assert(weir__admit_honours(admit, &pass, 3 * WEIR_SEC - 1));
	expect(admit, 3 * WEIR_SEC, WEIR_FOREVER, WEIR_HELD_BY_PAUSE);
	ck_assert(!weir__admit_honours(admit, &pass, 3 * WEIR_SEC));
	weir__admit_pause_from(admit, WEIR_FOREVER);
	expect(admit, 3 * WEIR_SEC, 3 * WEIR_SEC, WEIR_HELD_BY_NOTHING);
	weir__admit_leave(admit, &pass, WEIR_OUTCOME_GOOD, NULL, 3 * WEIR_SEC);
	weir__admit_free(admit);
}

TEST(admit_tells_what_holds_back_first)
{
	struct weir__admit *admit = make(&(struct weir__gate_options){
		.concurrency = 2,
		.rate = {.count = 1},
		.breaker = {.calls_least = 1, .jitter = -1},
	});
	struct weir__pass first, second;
	weir_nsec now = WEIR_SEC;
	weir__admit_enter(admit, &first, now);
	expect(admit, now, 2 * WEIR_SEC, WEIR_HELD_BY_RATE);
	now = 2 * WEIR_SEC;
	weir__admit_enter(admit, &second, now);
	expect(admit, now, WEIR_FOREVER, WEIR_HELD_BY_CONCURRENCY);
	/* Shut for 9 s; the breaker takes it for no failure. */
	weir__admit_leave(admit, &first, WEIR_OUTCOME_THROTTLED, &(struct weir_hint){.retry_after = 9 * WEIR_SEC}, now);
	expect(admit, now, 11 * WEIR_SEC, WEIR_HELD_BY_SHUT);
	ck_assert_int_eq(weir__admit_shut_until(admit, now), 11 * WEIR_SEC);
	ck_assert_int_eq(stats_of(admit, now).breaker, WEIR_BREAKER_CLOSED);
	/* A failure opens the breaker for 5 s: it is told first, but the later end counts. */
	weir__admit_leave(admit, &second, WEIR_OUTCOME_FAILED, NULL, now);
	expect(admit, now, 11 * WEIR_SEC, WEIR_HELD_BY_BREAKER);
	ck_assert_int_eq(weir__admit_shut_until(admit, now), 11 * WEIR_SEC);
	ck_assert_int_eq(stats_of(admit, now).breaker, WEIR_BREAKER_OPEN);
	weir__admit_pause(admit, true);
	expect(admit, now, WEIR_FOREVER, WEIR_HELD_BY_PAUSE);
	ck_assert_int_eq(weir__admit_shut_until(admit, now), WEIR_FOREVER);
	weir__admit_pause(admit, false);
	now = 12 * WEIR_SEC;
	ck_assert_int_eq(weir__admit_shut_until(admit, now), 0);
	ck_assert_int_le(weir__admit_ask(admit, now, NULL), now + WEIR_SEC);
	weir__admit_free(admit);
}

TEST(admit_without_a_breaker_never_opens)
{
	struct weir__admit *admit =
		make(&(struct weir__gate_options){.concurrency = 1, .flags = WEIR_GATE_NO_BREAKER | WEIR_GATE_UNPACED});
	struct weir__pass pass;
	for (int i = 0; i < 100; i++) {
		weir__admit_enter(admit, &pass, WEIR_SEC);
		weir__admit_leave(admit, &pass, i % 2 ? WEIR_OUTCOME_FAILED : WEIR_OUTCOME_THROTTLED, NULL, WEIR_SEC);
	}
	expect(admit, WEIR_SEC, WEIR_SEC, WEIR_HELD_BY_NOTHING);
	ck_assert_uint_eq(stats_of(admit, WEIR_SEC).failed, 50);
	ck_assert_uint_eq(stats_of(admit, WEIR_SEC).throttled, 50);
	weir__admit_free(admit);
}

TEST(admit_begins_with_a_snapshot)
{
	struct weir__admit *admit = make(&(struct weir__gate_options){
		.snapshot = {.limit = 77, .per_sec = 50, .min_latency = 3 * WEIR_MSEC},
	});
	struct weir__pass pass;
	struct weir_gate_stats stats = stats_of(admit, WEIR_SEC);
	ck_assert_uint_eq(stats.limit, 77);
	ck_assert_int_eq(stats.min_latency, 3 * WEIR_MSEC);
	ck_assert(stats.per_sec == 50 && !stats.hinted);
	ck_assert(stats.snapshot.limit == 77 && stats.snapshot.per_sec == 50 &&
		  stats.snapshot.min_latency == 3 * WEIR_MSEC);
	weir__admit_enter(admit, &pass, WEIR_SEC);
	expect(admit, WEIR_SEC, WEIR_SEC + 18 * WEIR_MSEC, WEIR_HELD_BY_SERVER_RATE); /* who is late may catch up */
	weir__admit_leave(admit, &pass, WEIR_OUTCOME_GOOD, NULL, WEIR_SEC);
	weir__admit_free(admit);
}

enum { CALLS_MOST = 1 << 15 };

struct traffic {
	struct weir__admit *admit;
	weir_nsec now;
	uint64_t first, next;
	struct weir__pass passes[CALLS_MOST];
};

/* As many calls as may be, each of 100 ms and all in step, until `until`; what the limit is then. */
static size_t run_until(struct traffic *traffic, weir_nsec until)
{
	struct weir__admit *admit = traffic->admit;
	for (; traffic->now < until; traffic->now += WEIR_MSEC) {
		struct weir__pass *oldest = &traffic->passes[traffic->first % CALLS_MOST];
		while (traffic->first != traffic->next && oldest->entered + 100 * WEIR_MSEC <= traffic->now) {
			weir__admit_leave(admit, oldest, WEIR_OUTCOME_GOOD, NULL, traffic->now);
			oldest = &traffic->passes[++traffic->first % CALLS_MOST];
		}
		while (traffic->next - traffic->first < CALLS_MOST &&
		       weir__admit_ask(admit, traffic->now, NULL) == traffic->now)
			weir__admit_enter(admit, &traffic->passes[traffic->next++ % CALLS_MOST], traffic->now);
	}
	return stats_of(admit, traffic->now).limit;
}

TEST(admit_goes_on_with_its_slow_start_from_what_it_has_found)
{
	static struct traffic traffic;
	size_t limits[2];
	for (int told = 0; told < 2; told++) {
		traffic = (struct traffic){.admit = make(&(struct weir__gate_options){.flags = WEIR_GATE_NO_BREAKER}),
					   .now = WEIR_SEC};
		size_t found = run_until(&traffic, 2 * WEIR_SEC);
		ck_assert_uint_gt(found, 20);
		if (told)
			ck_assert_int_eq(weir__admit_go_on_from(traffic.admit, found, 0, traffic.now), 0);
		limits[told] = run_until(&traffic, 4 * WEIR_SEC);
		weir__admit_free(traffic.admit);
	}
	ck_assert_uint_gt(limits[0], 200);
	ck_assert_uint_eq(limits[1], limits[0]);
}

/* The calls of a flight that was refused are one refusal, also when the search began in the middle of the run. */
TEST(admit_goes_on_from_a_rate_with_the_calls_it_has_counted)
{
	struct weir__admit *admit =
		make(&(struct weir__gate_options){.concurrency = 1000, .flags = WEIR_GATE_NO_BREAKER});
	static struct weir__pass passes[200];
	weir_nsec now = WEIR_SEC;
	for (size_t i = 0; i < 100; i++)
		weir__admit_enter(admit, &passes[i], now);
	for (size_t i = 0; i < 100; i++)
		weir__admit_leave(admit, &passes[i], WEIR_OUTCOME_GOOD, NULL, now + WEIR_MSEC);
	ck_assert_int_eq(weir__admit_go_on_from(admit, 1000, 100, now), 0);
	for (size_t i = 0; i < 200; i++) {
		weir_nsec next = weir__admit_ask(admit, now, NULL);
		now = next > now ? next : now;
		weir__admit_enter(admit, &passes[i], now);
	}
	for (size_t i = 150; i < 200; i++)
		weir__admit_leave(admit, &passes[i], i % 2 ? WEIR_OUTCOME_THROTTLED : WEIR_OUTCOME_GOOD, NULL,
				  now + (weir_nsec)i * WEIR_USEC);
	ck_assert_msg(stats_of(admit, now).per_sec > 40, "%g", stats_of(admit, now).per_sec);
	weir__admit_free(admit);
}
