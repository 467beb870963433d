/* SPDX-License-Identifier: MIT */
/* What a pace makes of a server's words; what it finds by itself is tried in tests/sim. */
#include "policy/adapt.h"
#include "support/test.h"

struct caller {
	struct weir__pace *pace;
	weir_nsec now;
	uint64_t number;
};

static struct caller make(const struct weir__pace_options *opts)
{
	struct caller caller = {.now = WEIR_SEC};
	ck_assert_int_eq(weir__pace_new(opts, &caller.pace), 0);
	return caller;
}

/* Sends as soon as it may; when that was. */
static weir_nsec send_one(struct caller *caller)
{
	caller->now = weir__pace_next(caller->pace, caller->now);
	weir__pace_sent(caller->pace, caller->now);
	caller->number++;
	return caller->now;
}

/* The last call has ended, a millisecond later. */
static void end_one(struct caller *caller, enum weir_outcome outcome, const struct weir_hint *hint)
{
	struct weir__sample sample = {
		.started = caller->now, .in_flight = 1, .number = caller->number, .outcome = outcome};
	caller->now += WEIR_MSEC;
	sample.ended = caller->now;
	weir__pace_add(caller->pace, &sample, hint);
}

TEST(pace_holds_nothing_back_before_a_refusal)
{
	struct caller caller = make(&(struct weir__pace_options){0});
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(send_one(&caller), WEIR_SEC);
	ck_assert(weir__pace_per_sec(caller.pace) == 0);
	ck_assert(!weir__pace_is_hinted(caller.pace));
	ck_assert(!weir__pace_blames_concurrency(caller.pace));
	weir__pace_free(caller.pace);
	weir__pace_free(NULL);
}

TEST(pace_is_shut_as_long_as_the_server_says_and_no_longer_than_allowed)
{
	struct caller caller = make(&(struct weir__pace_options){.longest = 60 * WEIR_SEC});
	send_one(&caller);
	end_one(&caller, WEIR_OUTCOME_THROTTLED, &(struct weir_hint){.retry_after = 7 * WEIR_SEC});
	ck_assert_int_eq(weir__pace_shut_until(caller.pace, caller.now), caller.now + 7 * WEIR_SEC);
	ck_assert_int_eq(weir__pace_next(caller.pace, caller.now), caller.now + 7 * WEIR_SEC);
	ck_assert_int_eq(weir__pace_shut_until(caller.pace, caller.now + 7 * WEIR_SEC), 0);
	send_one(&caller);
	end_one(&caller, WEIR_OUTCOME_FAILED, &(struct weir_hint){.retry_after = 3600 * WEIR_SEC}); /* a 503 */
	ck_assert_int_eq(weir__pace_shut_until(caller.pace, caller.now), caller.now + 60 * WEIR_SEC);
	weir__pace_free(caller.pace);
}

TEST(pace_that_searches_for_nothing_still_shuts)
{
	struct caller caller = make(&(struct weir__pace_options){.unpaced = true, .per_sec = 5});
	for (int i = 0; i < 100; i++) {
		send_one(&caller);
		end_one(&caller, WEIR_OUTCOME_THROTTLED, NULL);
	}
	ck_assert_int_eq(caller.now, WEIR_SEC + 100 * WEIR_MSEC);
	send_one(&caller);
	end_one(&caller, WEIR_OUTCOME_THROTTLED, &(struct weir_hint){.retry_after = WEIR_SEC});
	ck_assert_int_eq(weir__pace_next(caller.pace, caller.now), caller.now + WEIR_SEC);
	ck_assert(weir__pace_per_sec(caller.pace) == 0);
	weir__pace_free(caller.pace);
}

TEST(pace_begins_with_a_snapshot)
{
	struct caller caller = make(&(struct weir__pace_options){.per_sec = 100});
	weir_nsec first = send_one(&caller);
	for (int i = 0; i < 25; i++)
		send_one(&caller);
	ck_assert_int_ge(caller.now - first, 250 * WEIR_MSEC - 5 * WEIR_MSEC);
	ck_assert_int_le(caller.now - first, 260 * WEIR_MSEC);
	weir__pace_free(caller.pace);
}

TEST(pace_takes_a_server_that_states_its_limit_at_its_word)
{
	struct caller caller = make(&(struct weir__pace_options){0});
	send_one(&caller);
	end_one(&caller, WEIR_OUTCOME_GOOD, &(struct weir_hint){.quota = 600, .window = 60 * WEIR_SEC});
	ck_assert(weir__pace_is_hinted(caller.pace));
	ck_assert(weir__pace_per_sec(caller.pace) == 10);
	weir_nsec first = send_one(&caller);
	for (int i = 0; i < 600; i++)
		send_one(&caller);
	ck_assert_int_ge(caller.now - first, 60 * WEIR_SEC - 10 * WEIR_MSEC);
	ck_assert_int_le(caller.now - first, 60 * WEIR_SEC + 10 * WEIR_MSEC);
	weir__pace_free(caller.pace);
}

TEST(pace_spreads_what_is_left_and_waits_for_the_next_window)
{
	struct caller caller = make(&(struct weir__pace_options){0});
	send_one(&caller);
	end_one(&caller, WEIR_OUTCOME_GOOD, &(struct weir_hint){.counts = true, .left = 10, .reset = 10 * WEIR_SEC});
	weir_nsec hint = caller.now;
	for (int i = 0; i < 10; i++)
		send_one(&caller);
	ck_assert_int_ge(caller.now - hint, 8 * WEIR_SEC);
	ck_assert_int_le(caller.now - hint, 10 * WEIR_SEC);
	ck_assert_int_eq(weir__pace_next(caller.pace, caller.now), hint + 10 * WEIR_SEC);
	/* An answer that was overtaken says nothing any more. */
	weir__pace_add(caller.pace,
		       &(struct weir__sample){.started = hint, .ended = caller.now, .in_flight = 1, .number = 1},
		       &(struct weir_hint){.counts = true, .left = 9, .reset = 10 * WEIR_SEC});
	end_one(&caller, WEIR_OUTCOME_GOOD, &(struct weir_hint){.counts = true, .left = 0, .reset = 2 * WEIR_SEC});
	ck_assert_int_ge(weir__pace_next(caller.pace, caller.now), hint + 10 * WEIR_SEC);
	weir__pace_free(caller.pace);
}

TEST(pace_spends_half_of_a_long_window_immediately)
{
	struct caller caller = make(&(struct weir__pace_options){0});
	send_one(&caller);
	end_one(&caller, WEIR_OUTCOME_GOOD,
		&(struct weir_hint){.quota = 5000,
				    .window = 3600 * WEIR_SEC,
				    .counts = true,
				    .left = 4999,
				    .reset = 3600 * WEIR_SEC});
	weir_nsec hint = caller.now;
	for (int i = 0; i < 2400; i++)
		send_one(&caller);
	ck_assert_int_le(caller.now - hint, 3 * WEIR_SEC);
	for (int i = 0; i < 200; i++)
		send_one(&caller);
	ck_assert_int_ge(caller.now - hint, 60 * WEIR_SEC);
	weir__pace_free(caller.pace);
}

/* A bucket of ten that gains a hundred a second, on model time. */
TEST(pace_finds_the_rate_between_two_refusals)
{
	struct caller caller = make(&(struct weir__pace_options){0});
	double tokens = 10;
	weir_nsec at = caller.now;
	while (caller.now < 5 * WEIR_SEC) {
		send_one(&caller);
		tokens += (double)(caller.now - at) / 1e9 * 100;
		tokens = tokens > 10 ? 10 : tokens;
		at = caller.now;
		tokens -= tokens >= 1;
		end_one(&caller, tokens >= 1 ? WEIR_OUTCOME_GOOD : WEIR_OUTCOME_THROTTLED, NULL);
	}
	ck_assert(weir__pace_per_sec(caller.pace) > 90 && weir__pace_per_sec(caller.pace) < 125);
	weir__pace_free(caller.pace);
}

TEST(pace_finds_what_a_server_no_longer_tells)
{
	struct caller caller = make(&(struct weir__pace_options){0});
	send_one(&caller);
	end_one(&caller, WEIR_OUTCOME_GOOD, &(struct weir_hint){.counts = true, .left = 10, .reset = WEIR_SEC});
	ck_assert(weir__pace_is_hinted(caller.pace));
	caller.now += 2 * WEIR_SEC;
	/* Nothing at all is let in: it asks again at ever longer intervals. */
	for (int i = 0; i < 60; i++) {
		send_one(&caller);
		end_one(&caller, WEIR_OUTCOME_THROTTLED, NULL);
	}
	ck_assert_int_gt(caller.now, 600 * WEIR_SEC);
	weir__pace_free(caller.pace);
}
