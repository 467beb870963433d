/* SPDX-License-Identifier: MIT */
/* Fixed windows and buckets of one token, which a pace finds by itself; one call after the other, on model time. */
#include "policy/adapt.h"
#include "support/test.h"

#include <math.h>

#define LATENCY WEIR_MSEC

struct server {
	double quota, length; /* of a window, s; length 0: a bucket instead */
	double rate, burst;
	weir_nsec starts;      /* its first window */
	weir_nsec retry_after; /* with each refusal; below 0: what is left of the window, in whole seconds */
	int64_t window;
	double in_window, tokens;
	weir_nsec tokens_at;
};

struct run {
	struct weir__pace *pace;
	struct server server;
	weir_nsec now;
	uint64_t sent;
};

struct tally {
	double let_in, refused;
};

static bool takes(struct server *server, weir_nsec now, struct weir_hint *hint)
{
	bool takes;
	if (server->length > 0) {
		double at = (double)(now - server->starts) / 1e9 / server->length;
		if ((int64_t)floor(at) != server->window)
			server->in_window = 0;
		server->window = (int64_t)floor(at);
		takes = ++server->in_window <= server->quota;
		if (server->retry_after < 0)
			hint->retry_after = (weir_nsec)ceil((floor(at) + 1 - at) * server->length) * WEIR_SEC;
	} else {
		double more = server->rate * (double)(now - server->tokens_at) / 1e9;
		server->tokens = fmin(server->burst, server->tokens + more);
		server->tokens_at = now;
		takes = server->tokens >= 1;
		server->tokens -= takes;
	}
	if (server->retry_after > 0)
		hint->retry_after = server->retry_after;
	return takes;
}

static struct tally run_for(struct run *run, weir_nsec time)
{
	struct tally tally = {0};
	for (weir_nsec until = run->now + time; run->now < until; run->now += LATENCY) {
		weir_nsec next = weir__pace_next(run->pace, run->now);
		if (next > run->now)
			run->now = next;
		struct weir_hint hint = {0};
		struct weir__sample sample = {.started = run->now,
					      .ended = run->now + LATENCY,
					      .in_flight = 1,
					      .number = ++run->sent,
					      .outcome = WEIR_OUTCOME_GOOD};
		weir__pace_sent(run->pace, run->now);
		if (takes(&run->server, run->now, &hint)) {
			tally.let_in++;
			weir__pace_add(run->pace, &sample, NULL);
		} else {
			tally.refused++;
			sample.outcome = WEIR_OUTCOME_THROTTLED;
			weir__pace_add(run->pace, &sample, &hint);
		}
	}
	return tally;
}

static struct run begin(const struct server *server)
{
	struct run run = {.server = *server, .now = WEIR_SEC};
	run.server.tokens = server->burst;
	run.server.tokens_at = run.now;
	ck_assert_int_eq(weir__pace_new(&(struct weir__pace_options){.seed = 1}, &run.pace), 0);
	return run;
}

static void check(const struct tally *tally, double possible, double refused)
{
	ck_assert_msg(tally->let_in >= 0.95 * possible, "%.0f let in, of %.0f", tally->let_in, possible);
	ck_assert_msg(tally->refused <= refused * possible, "%.0f refused, of %.0f", tally->refused, possible);
}

/* Wherever in a window the first call comes. */
static void check_window(struct server server, double settle)
{
	for (double phase = 0; phase < 1; phase += 0.15) {
		server.starts = WEIR_SEC - (weir_nsec)(phase * server.length * 1e9);
		struct run run = begin(&server);
		run_for(&run, (weir_nsec)(settle * 1e9));
		struct tally tally = run_for(&run, (weir_nsec)(20 * server.length * 1e9));
		check(&tally, 20 * server.quota, 0.005);
		double rate = server.quota / server.length;
		ck_assert_msg(fabs(weir__pace_per_sec(run.pace) / rate - 1) < 0.1, "%g instead of %g, %g after %g",
			      weir__pace_per_sec(run.pace), rate, phase, server.length);
		weir__pace_free(run.pace);
	}
}

TEST(pace_keeps_to_a_window_that_nobody_tells_of)
{
	check_window((struct server){.quota = 200, .length = 1}, 10);
	check_window((struct server){.quota = 900, .length = 2}, 10);
	check_window((struct server){.quota = 700, .length = 7}, 30);
	check_window((struct server){.quota = 600, .length = 60}, 200);
}

TEST(pace_keeps_to_a_window_that_only_retry_after_tells_of)
{
	check_window((struct server){.quota = 600, .length = 10, .retry_after = -1}, 30);
	check_window((struct server){.quota = 5000, .length = 3600, .retry_after = -1}, 4 * 3600);
}

/* The quota falls to a third and rises again. */
TEST(pace_follows_the_quota_of_a_window)
{
	for (weir_nsec after = 0; after >= -1; after--) {
		struct run run = begin(
			&(struct server){.quota = 300, .length = 1, .starts = 700 * WEIR_MSEC, .retry_after = after});
		run_for(&run, 10 * WEIR_SEC);
		run.server.quota = 100;
		run_for(&run, 20 * WEIR_SEC);
		struct tally low = run_for(&run, 20 * WEIR_SEC);
		check(&low, 20 * 100, 0.005);
		run.server.quota = 300;
		run_for(&run, 150 * WEIR_SEC);
		struct tally high = run_for(&run, 20 * WEIR_SEC);
		check(&high, 20 * 300, 0.005);
		weir__pace_free(run.pace);
	}
}

/* A long drought after a large burst looks like the end of a window, and what comes back later by a server's word, too.
 */
TEST(pace_does_not_take_a_bucket_for_a_window)
{
	const struct server buckets[] = {
		{.rate = 100, .burst = 100, .retry_after = 3 * WEIR_SEC},
		{.rate = 20, .burst = 200, .retry_after = 2 * WEIR_SEC},
		{.rate = 50, .burst = 500},
		{.rate = 300, .burst = 30},
	};
	for (size_t i = 0; i < sizeof buckets / sizeof *buckets; i++) {
		struct run run = begin(&buckets[i]);
		run_for(&run, 60 * WEIR_SEC);
		struct tally tally = run_for(&run, 120 * WEIR_SEC);
		check(&tally, 120 * buckets[i].rate, 0.02);
		weir__pace_free(run.pace);
	}
}

TEST(pace_finds_the_rate_of_a_bucket_of_one_token)
{
	for (double rate = 2; rate < 100; rate *= 2.3) {
		struct run run = begin(&(struct server){.rate = rate, .burst = 1});
		run_for(&run, (weir_nsec)(50 / rate * 1e9));
		struct tally tally = run_for(&run, (weir_nsec)(2000 / rate * 1e9));
		check(&tally, 2000, 0.005);
		weir__pace_free(run.pace);
	}
}

TEST(pace_follows_a_bucket_of_one_token)
{
	struct run run = begin(&(struct server){.rate = 20, .burst = 1});
	run_for(&run, 30 * WEIR_SEC);
	run.server.rate = 6;
	run_for(&run, 20 * WEIR_SEC);
	struct tally low = run_for(&run, 200 * WEIR_SEC);
	check(&low, 200 * 6, 0.01);
	run.server.rate = 20;
	run_for(&run, 300 * WEIR_SEC);
	struct tally high = run_for(&run, 100 * WEIR_SEC);
	check(&high, 100 * 20, 0.01);
	weir__pace_free(run.pace);
}
