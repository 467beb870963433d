/* SPDX-License-Identifier: MIT */
/* weir_process() with the pattern auto: what it chooses, and by what it has seen; and how it stays under its memory. */
#include "sync/policy.h"
#include "unit/world.h"

FIBER_TEST(process_stays_under_its_memory)
{
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){
				  .pattern = WEIR_PATTERN_QUEUE, .concurrency = 50, .memory_bytes = 128 * 1024}),
			  500);
	world->latency = WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	ck_assert_uint_le(world->most_in_flight, 128 * 1024 / (8192 + 5 * (256 + sizeof(struct job))));
	ck_assert_uint_ge(world->most_in_flight, 10);
	free_world(world);
}

static unsigned times_chosen;

static void note_choice(void *arg, const struct weir_choice *choice)
{
	struct world *world = arg;
	struct weir_policy_stats stats;
	times_chosen++;
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_uint_eq(stats.concurrency, choice->concurrency); /* goes on from there */
	ck_assert_uint_ge(choice->rule, 1);
	ck_assert(choice->why[0]);
}

static int fail_some(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)attempt;
	return id % 3 == 0 && attempt->number == 1 ? WEIR_EIO : 0;
}

FIBER_TEST(process_auto_chooses_once_by_what_it_has_seen)
{
	for (int failing = 0; failing < 2; failing++) {
		struct world *world = new_world(new_policy(&(struct weir_policy_options){.seed = test_seed()}), 1000);
		struct weir_policy_stats stats;
		struct weir_gate *gate;
		struct weir_gate_stats gate_stats;
		times_chosen = 0;
		world->process.chosen = note_choice;
		world->latency = 20 * WEIR_MSEC;
		world->answer = failing ? fail_some : NULL;
		ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
		weir_policy_stats(world->process.policy, &stats);
		ck_assert_uint_eq(times_chosen, 1);
		ck_assert(stats.chosen);
		ck_assert_int_eq(stats.choice.pattern, WEIR_PATTERN_QUEUE);
		ck_assert((strstr(stats.choice.why, "half") != NULL) == (failing == 1));
		weir__policy_gate(world->process.policy, "", &gate);
		weir_gate_stats(gate, &gate_stats);
		ck_assert(gate_stats.adaptive); /* it is found on */
		weir__policy_unref(world->process.policy, gate);
		free_world(world);
	}
}

FIBER_TEST(process_auto_lets_few_jobs_go_concurrently)
{
	struct world *world = new_world(new_policy(NULL), 90);
	struct weir_policy_stats stats;
	world->process.jobs = 90;
	world->latency = 20 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_int_eq(stats.choice.pattern, WEIR_PATTERN_NAIVE);
	ck_assert_uint_ge(world->most_in_flight, 25); /* of the 45 after the look at the others */
	free_world(world);
}

FIBER_TEST(process_auto_short_of_memory_goes_in_batches)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.memory_bytes = 80 * 1024, .seed = test_seed()}), 1000);
	struct weir_policy_stats stats;
	world->latency = 20 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_msg(stats.choice.pattern == WEIR_PATTERN_CHUNKED, "%s", stats.choice.why);
	ck_assert_uint_ge(world->most_in_flight, 8);
	ck_assert_uint_le(world->most_in_flight, 80 * 1024 / (8192 + 5 * (256 + sizeof(struct job))));
	free_world(world);
}

static int tell_limit(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id;
	attempt->hint = (struct weir_hint){.quota = 100, .window = 2 * WEIR_SEC};
	return 0;
}

FIBER_TEST(process_auto_takes_a_server_at_its_word)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.seed = test_seed()}), 1000);
	struct weir_policy_stats stats;
	world->latency = 20 * WEIR_MSEC;
	world->answer = tell_limit;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_uint_eq(stats.choice.rule, 1);
	ck_assert_double_eq(stats.choice.per_sec, 50);
	free_world(world);
}

static int tell_what_is_left(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)id;
	unsigned left = 1000 - world->orders; /* of the minute */
	attempt->hint = (struct weir_hint){.counts = true, .left = left, .reset = 20 * WEIR_SEC};
	return 0;
}

FIBER_TEST(process_auto_takes_a_server_at_its_word_that_tells_what_is_left)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.seed = test_seed()}), 300);
	struct weir_policy_stats stats;
	world->latency = 20 * WEIR_MSEC;
	world->answer = tell_what_is_left;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_uint_eq(stats.choice.rule, 1);
	ck_assert_double_eq_tol(stats.choice.per_sec, 45, 6); /* 900 in 20 s, about */
	free_world(world);
}

/* 300 a second, 30 at once; else 429, come back in a second. */
static int come_back_later(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	static struct weir_rate rate;
	(void)id;
	if (world->orders == 0)
		weir_rate_init(&rate, &(struct weir_rate_options){.count = 300, .period = WEIR_SEC, .burst = 30});
	if (weir_rate_next(&rate, 1, weir_now()) <= weir_now()) {
		weir_rate_take(&rate, 1, weir_now());
		return 0;
	}
	attempt->outcome = WEIR_OUTCOME_THROTTLED;
	attempt->hint.retry_after = WEIR_SEC;
	return WEIR_EAGAIN;
}

FIBER_TEST(process_auto_leaves_time_out_in_which_it_was_told_to_stay_away)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.seed = test_seed()}), 600);
	struct weir_policy_stats stats;
	world->latency = 20 * WEIR_MSEC;
	world->answer = come_back_later;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_msg(stats.choice.rule == 2 && stats.choice.per_sec >= 300 && stats.choice.per_sec <= 1100, "%s",
		      stats.choice.why);
	free_world(world);
}
