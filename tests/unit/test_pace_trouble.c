/* SPDX-License-Identifier: MIT */
/* What the search for a rate makes of times in which it is not the rate that holds calls back.  On model time. */
#include "policy/adapt.h"
#include "support/test.h"

/* A bucket, and whoever sends to it one call after the other. */
struct upstream {
	struct weir__pace *pace;
	weir_nsec now, filled_at, took; /* took: by a call */
	double rate, burst, tokens;
	uint64_t number, let_in;
};

static struct upstream begin(double rate, double burst)
{
	struct upstream upstream = {.now = WEIR_SEC, .took = WEIR_MSEC, .rate = rate, .burst = burst, .tokens = burst};
	upstream.filled_at = upstream.now;
	ck_assert_int_eq(weir__pace_new(&(struct weir__pace_options){0}, &upstream.pace), 0);
	return upstream;
}

static void end(struct upstream *upstream, weir_nsec sent, enum weir_outcome outcome)
{
	struct weir__sample sample = {.started = sent,
				      .ended = upstream->now,
				      .in_flight = 1,
				      .number = upstream->number,
				      .outcome = outcome};
	weir__pace_add(upstream->pace, &sample, NULL);
}

static void call(struct upstream *upstream)
{
	weir_nsec sent = weir__pace_next(upstream->pace, upstream->now);
	upstream->tokens += (double)(sent - upstream->filled_at) / 1e9 * upstream->rate;
	upstream->tokens = upstream->tokens < upstream->burst ? upstream->tokens : upstream->burst;
	upstream->filled_at = sent;
	weir__pace_sent(upstream->pace, sent);
	upstream->number++;
	upstream->now = sent + upstream->took;
	bool is_let_in = upstream->tokens >= 1;
	upstream->tokens -= is_let_in;
	upstream->let_in += is_let_in;
	end(upstream, sent, is_let_in ? WEIR_OUTCOME_GOOD : WEIR_OUTCOME_THROTTLED);
}

/* As fast as it may, or with so much time between calls. */
static void go_on_for(struct upstream *upstream, weir_nsec time, weir_nsec between)
{
	weir_nsec until = upstream->now + time;
	while (upstream->now < until) {
		call(upstream);
		upstream->now += between;
	}
}

/* Calls that fail: a probe of the breaker now and then. */
static void out_for(struct upstream *upstream, weir_nsec time)
{
	for (weir_nsec until = upstream->now + time; upstream->now < until; upstream->now += 10 * WEIR_SEC) {
		weir_nsec sent = weir__pace_next(upstream->pace, upstream->now);
		weir__pace_sent(upstream->pace, sent);
		upstream->number++;
		upstream->now = sent + WEIR_MSEC;
		end(upstream, sent, WEIR_OUTCOME_FAILED);
	}
}

static double share_in(struct upstream *upstream, weir_nsec time)
{
	uint64_t before = upstream->let_in;
	weir_nsec from = upstream->now;
	go_on_for(upstream, time, 0);
	return (double)(upstream->let_in - before) / (upstream->rate * (double)(upstream->now - from) / 1e9);
}

TEST(pace_that_holds_nothing_back_does_not_rise_for_ever)
{
	struct upstream upstream = begin(100, 10);
	go_on_for(&upstream, 2 * WEIR_SEC, 0);
	ck_assert(weir__pace_per_sec(upstream.pace) > 50);
	upstream.rate = 120;
	go_on_for(&upstream, 600 * WEIR_SEC, 8090 * WEIR_USEC); /* 110 a second is all there is to do */
	ck_assert_msg(weir__pace_per_sec(upstream.pace) < 400, "%g", weir__pace_per_sec(upstream.pace));
	ck_assert(share_in(&upstream, 20 * WEIR_SEC) > 0.9);
	weir__pace_free(upstream.pace);
}

TEST(pace_is_not_what_little_was_sent_in_an_outage)
{
	struct upstream upstream = begin(100, 10);
	go_on_for(&upstream, 20 * WEIR_SEC, 0);
	out_for(&upstream, 1800 * WEIR_SEC);
	upstream.rate = 0.01; /* it is back, and not yet itself */
	upstream.tokens = 0;
	upstream.filled_at = upstream.now;
	go_on_for(&upstream, 2 * WEIR_SEC, 0);
	upstream.rate = 100;
	go_on_for(&upstream, 30 * WEIR_SEC, 0);
	double share = share_in(&upstream, 20 * WEIR_SEC);
	ck_assert_msg(share > 0.9, "%g", share);
	weir__pace_free(upstream.pace);
}

TEST(pace_does_not_wait_for_long_because_a_refusal_once_took_long)
{
	struct upstream upstream = begin(100, 10);
	go_on_for(&upstream, 5 * WEIR_SEC, 0);
	upstream.rate = 0.01; /* it hangs, and refuses in the end */
	upstream.took = 20 * WEIR_SEC;
	go_on_for(&upstream, 200 * WEIR_SEC, 0);
	upstream.rate = 100;
	upstream.took = WEIR_MSEC;
	go_on_for(&upstream, 30 * WEIR_SEC, 0);
	double share = share_in(&upstream, 20 * WEIR_SEC);
	ck_assert_msg(share > 0.9, "%g", share);
	weir__pace_free(upstream.pace);
}
