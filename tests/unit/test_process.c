/* SPDX-License-Identifier: MIT */
/*
 * Many jobs through a policy.  A naive account of what became of each job is kept beside every run: each one that was
 * produced has to end exactly once, by done() or by a postpone() that took it.
 */
#include "unit/world.h"

FIBER_TEST(process_puts_every_job_through_and_holds_the_concurrency)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 7}), 200);
	struct weir_process_stats stats;
	world->latency = 10 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 200);
	ck_assert_uint_eq(world->most_in_flight, 7);
	ck_assert_int_eq(stats.took, 290 * WEIR_MSEC); /* 200 / 7 rounds */
	free_world(world);
}

FIBER_TEST(process_tries_again_what_failed)
{
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){
				  .pattern = WEIR_PATTERN_QUEUE, .concurrency = 7, .gate_flags = WEIR_GATE_NO_BREAKER}),
			  200);
	struct weir_process_stats stats;
	world->latency = 10 * WEIR_MSEC;
	world->answer = fail_twice;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 200);
	ck_assert_uint_eq(world->most_number, 3);
	free_world(world);
}

static const char *no_upstream(void *arg, const void *job)
{
	(void)arg, (void)job;
	return NULL;
}

FIBER_TEST(process_limits_how_many_are_under_way_that_name_no_upstream)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 7}), 200);
	world->process.key = no_upstream;
	world->latency = 10 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	ck_assert_uint_eq(world->most_in_flight, 7);
	free_world(world);
}

/* ---- the patterns are what their names say */

static struct world *run_pattern(enum weir_pattern pattern, size_t concurrency, struct weir_process_stats *ret_stats)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = pattern, .concurrency = concurrency}), 200);
	world->latency = 10 * WEIR_MSEC;
	world->answer = note_fibers;
	most_fibers = 0;
	ck_assert_int_eq(run_world(world, ret_stats, WEIR_FOREVER), 0);
	return world;
}

FIBER_TEST(process_semaphore_has_a_fiber_for_every_job_from_the_start)
{
	struct weir_process_stats stats;
	struct world *world = run_pattern(WEIR_PATTERN_SEMAPHORE, 10, &stats);
	ck_assert_uint_eq(world->most_in_flight, 10);
	ck_assert_uint_ge(most_fibers, 200);
	ck_assert_int_eq(stats.took, 200 * WEIR_MSEC);
	free_world(world);
}

FIBER_TEST(process_queue_has_a_fiber_for_those_under_way_only)
{
	struct weir_process_stats stats;
	struct world *world = run_pattern(WEIR_PATTERN_QUEUE, 10, &stats);
	ck_assert_uint_eq(world->most_in_flight, 10);
	ck_assert_uint_le(most_fibers, 10 + 2);
	ck_assert_int_eq(stats.took, 200 * WEIR_MSEC);
	free_world(world);
}

FIBER_TEST(process_naive_has_all_of_them_in_flight)
{
	struct weir_process_stats stats;
	struct world *world = run_pattern(WEIR_PATTERN_NAIVE, 0, &stats);
	ck_assert_uint_eq(world->most_in_flight, 200);
	ck_assert_int_eq(stats.took, 10 * WEIR_MSEC);
	free_world(world);
}

static int slow_first(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)attempt;
	quick_assert(world->produced == (id / 10 + 1) * 10);
	return id % 10 ? 0 : weir_sleep(50 * WEIR_MSEC);
}

FIBER_TEST(process_chunked_waits_for_the_slowest_of_each_batch)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_CHUNKED, .concurrency = 10}), 100);
	struct weir_process_stats stats;
	world->latency = 10 * WEIR_MSEC;
	world->answer = slow_first;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(world->most_in_flight, 10);
	ck_assert_int_eq(stats.took, 10 * 60 * WEIR_MSEC);
	free_world(world);
}

static weir_nsec begun_at[JOBS_MOST];

static int note_begin(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)attempt;
	begun_at[id] = weir_now() - world->latency;
	return 0;
}

FIBER_TEST(process_rate_holds_in_any_window)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_RATE}), 500);
	struct weir_process_stats stats;
	world->latency = 30 * WEIR_MSEC;
	world->answer = note_begin;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	for (unsigned i = 1; i < 500; i++)
		quick_assert(begun_at[i] - begun_at[i - 1] >= 10 * WEIR_MSEC); /* in order: one gate, no retries */
	ck_assert_int_eq(stats.took, 499 * 10 * WEIR_MSEC + 30 * WEIR_MSEC);
	free_world(world);
}

/* ---- changes while it runs */

static int run_aside(void *arg)
{
	return run_world(arg, NULL, WEIR_FOREVER);
}

FIBER_TEST(process_follows_changes_of_its_policy)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 2}), 2000);
	struct weir_group *group = new_group();
	world->latency = 10 * WEIR_MSEC;
	spawn(group, run_aside, world);
	weir_sleep(105 * WEIR_MSEC);
	ck_assert_uint_eq(world->most_in_flight, 2);
	weir_policy_set_concurrency(world->process.policy, 20);
	settle();
	ck_assert_uint_eq(world->in_flight, 20);
	weir_policy_pause(world->process.policy, true);
	weir_sleep(WEIR_SEC);
	ck_assert_uint_eq(world->in_flight, 0);
	unsigned ended = world->orders;
	weir_sleep(WEIR_SEC);
	ck_assert_uint_eq(world->orders, ended);
	weir_policy_pause(world->process.policy, false);
	finish(group);
	free_world(world);
}
