/* SPDX-License-Identifier: MIT */
/* What ends weir_process() early, and what ends a job: cancels, failures, time-outs. */
#include "unit/world.h"

FIBER_TEST(process_canceled_at_its_deadline_ends_every_job_once)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 7}), 200);
	struct weir_process_stats stats;
	world->latency = 10 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, &stats, weir_after(55 * WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_uint_eq(stats.succeeded, 35);
	ck_assert_uint_eq(stats.canceled, stats.jobs - 35);
	free_world(world);
}

static int run_to_end(void *arg)
{
	return run_world(arg, NULL, WEIR_FOREVER);
}

FIBER_TEST(process_canceled_with_its_fiber_ends_every_job_once)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 7}), 200);
	struct weir_group *group = new_group();
	world->latency = 10 * WEIR_MSEC;
	spawn(group, run_to_end, world);
	weir_sleep(55 * WEIR_MSEC);
	weir_group_cancel(group);
	finish(group);
	ck_assert_uint_lt(world->produced, 200);
	ck_assert_int_eq(world->results[world->produced - 1], WEIR_ECANCELED);
	free_world(world);
}

/* All but each fifth in one ordering. */
static uint64_t mostly_one_ordering(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id % 5 != 0;
}

static int takes_tens_of_ms(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)id, (void)attempt;
	return weir_sleep((weir_nsec)(1 + weir_random_below(&world->random, 5)) * 10 * WEIR_MSEC);
}

/* Calls end, the reader is woken and has no room again, and the cancel comes, all in one moment. */
FIBER_TEST(process_canceled_the_moment_there_was_room_ends)
{
	for (int i = 1; i <= 60; i++) {
		struct world *world =
			new_world(new_policy(&(struct weir_policy_options){
					  .pattern = WEIR_PATTERN_QUEUE, .concurrency = 2, .capacity = 1}),
				  200);
		struct weir_group *group = new_group();
		world->process.ordering_key = mostly_one_ordering;
		world->answer = takes_tens_of_ms;
		world->random = test_seed() * 100 + (uint64_t)i;
		spawn(group, run_to_end, world);
		weir_sleep(i * 10 * WEIR_MSEC);
		weir_group_cancel(group);
		ck_assert_int_eq(weir_group_wait(group, weir_after(WEIR_SEC)), 0);
		weir_group_free(group);
		free_world(world);
	}
}

/* ---- what ends it */

static int fail_tenth(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world;
	attempt->permanent = true;
	return id == 10 ? WEIR_EPIPE : 0;
}

FIBER_TEST(process_raises_the_first_job_that_failed_for_good)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 3}), 200);
	struct weir_process_stats stats;
	world->process.flags = WEIR_PROCESS_RAISE;
	world->latency = WEIR_MSEC;
	world->answer = fail_tenth;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), WEIR_EPIPE);
	ck_assert_uint_eq(stats.failed, 1);
	ck_assert_uint_lt(stats.succeeded, 13);
	ck_assert_uint_gt(stats.canceled, 0);
	free_world(world);
}

static int produce_some(void *arg, void *ret_job, weir_nsec deadline)
{
	struct world *world = arg;
	return world->produced == 100 ? WEIR_EDATA : produce(arg, ret_job, deadline);
}

FIBER_TEST(process_whose_producer_fails_ends_after_what_was_produced)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 3}), 200);
	struct weir_process_stats stats;
	world->process.produce = produce_some;
	world->latency = WEIR_MSEC;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), WEIR_EDATA);
	ck_assert_uint_eq(stats.succeeded, 100);
	free_world(world);
}

static int done_until_full(void *arg, void *job, int result, const struct weir_attempt *last)
{
	struct world *world = arg;
	done(arg, job, result, last);
	return world->orders == 20 ? WEIR_ENOSPC : 0;
}

FIBER_TEST(process_whose_results_cannot_be_kept_ends)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 3}), 200);
	struct weir_process_stats stats;
	world->process.done = done_until_full;
	world->latency = WEIR_MSEC;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), WEIR_ENOSPC);
	ck_assert_uint_lt(stats.succeeded, 25);
	free_world(world);
}

FIBER_TEST(process_refuses_a_deadline_that_has_passed)
{
	struct world *world = new_world(new_policy(NULL), 10);
	struct weir_process_stats stats = {.jobs = 77};
	ck_assert_int_eq(weir_process(&world->process, &stats, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_uint_eq(stats.jobs, 0);
	ck_assert_int_eq(weir_process(&world->process, NULL, weir_now()), WEIR_ETIMEDOUT);
	ck_assert_uint_eq(world->produced, 0);
	free_world(world);
}

static int do_not_listen(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id, (void)attempt;
	return weir_sleep(WEIR_SEC) == WEIR_ECANCELED ? WEIR_EIO : 0;
}

FIBER_TEST(process_canceled_says_so_of_jobs_that_had_another_attempt)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 3}), 10);
	struct weir_process_stats stats;
	world->answer = do_not_listen;
	ck_assert_int_eq(run_world(world, &stats, weir_after(10)), WEIR_ETIMEDOUT);
	ck_assert_uint_eq(stats.canceled, 10);
	free_world(world);
}

/* ---- time-outs */

FIBER_TEST(process_gives_up_what_waited_too_long_for_its_first_attempt)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
										 .concurrency = 1,
										 .capacity = 50,
										 .queue_timeout = 25 * WEIR_MSEC}),
					20);
	struct weir_process_stats stats;
	world->latency = 10 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 3);
	ck_assert_uint_eq(stats.failed, 17);
	ck_assert_int_eq(world->results[19], WEIR_ETIMEDOUT);
	ck_assert_uint_eq(world->attempts[19], 0);
	ck_assert_int_eq(stats.took, 30 * WEIR_MSEC);
	free_world(world);
}

static int always_fail(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id, (void)attempt;
	return WEIR_EIO;
}

FIBER_TEST(process_gives_up_what_took_too_long_in_all)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
										 .concurrency = 20,
										 .gate_flags = WEIR_GATE_NO_BREAKER,
										 .total_timeout = WEIR_SEC,
										 .timeout = 300 * WEIR_MSEC,
										 .retry = {.attempts = 1000}}),
					20);
	struct weir_process_stats stats;
	world->latency = 50 * WEIR_MSEC;
	world->answer = always_fail;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.failed, 20);
	ck_assert_int_le(stats.took, WEIR_SEC);
	free_world(world);
}

FIBER_TEST(process_ends_an_attempt_at_its_deadline)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
							 .concurrency = 20,
							 .gate_flags = WEIR_GATE_NO_BREAKER,
							 .timeout = 30 * WEIR_MSEC,
							 .retry = {.attempts = 2, .backoff = {.base = 1, .cap = 1}}}),
		20);
	struct weir_process_stats stats;
	world->latency = WEIR_SEC;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.failed, 20);
	ck_assert_uint_eq(world->attempts[7], 2);
	ck_assert_int_eq(world->results[7], WEIR_ETIMEDOUT);
	free_world(world);
}

FIBER_TEST(process_rejects_while_the_breaker_is_open_if_told_so)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
										 .concurrency = 10,
										 .gate_flags = WEIR_GATE_REJECT,
										 .retry.attempts = 1}),
					100);
	struct weir_process_stats stats;
	world->latency = WEIR_MSEC;
	world->answer = always_fail;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.failed, 100);
	ck_assert_int_eq(world->results[99], WEIR_EOPEN);
	ck_assert_uint_eq(world->attempts[99], 0);
	free_world(world);
}
