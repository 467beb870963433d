/* SPDX-License-Identifier: MIT */
/* weir_process() under load: random trouble, how fast it is when all is well, and how far it reads ahead. */
#include "unit/world.h"

/* ---- random trouble */

static int any_trouble(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)id;
	int code = weir_sleep((weir_nsec)weir_random_below(&world->random, 40 * WEIR_MSEC));
	if (code)
		return code;
	switch (weir_random_below(&world->random, 8)) {
	case 0:
		attempt->outcome = WEIR_OUTCOME_THROTTLED;
		attempt->hint.retry_after = (weir_nsec)weir_random_below(&world->random, 100 * WEIR_MSEC);
		return WEIR_EIO;
	case 1:
		return WEIR_EPIPE;
	case 2:
		attempt->permanent = weir_random_below(&world->random, 5) == 0;
		return WEIR_EDATA;
	case 3:
		code = weir_sleep(WEIR_SEC); /* over its deadline */
		return code ? code : 0;
	default:
		return (int)weir_random_below(&world->random, 3);
	}
}

static uint64_t any_ordering(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id % 13;
}

static int64_t any_class(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id % 3;
}

static const char *any_key(void *arg, const void *job)
{
	static const char *const keys[] = {"a", "b", "c"};
	(void)arg;
	return keys[((const struct job *)job)->id % 3];
}

static const char *any_key_or_none(void *arg, const void *job)
{
	return ((const struct job *)job)->id % 4 ? any_key(arg, job) : NULL;
}

static int produce_unsteadily(void *arg, void *ret_job, weir_nsec deadline)
{
	struct world *world = arg;
	if (weir_random_below(&world->random, 20) == 0) {
		int code = weir_sleep((weir_nsec)weir_random_below(&world->random, 50 * WEIR_MSEC));
		if (code)
			return code;
	}
	return produce(arg, ret_job, deadline);
}

static int done_slowly(void *arg, void *job, int result, const struct weir_attempt *last)
{
	struct world *world = arg;
	if (weir_random_below(&world->random, 4) == 0)
		weir_sleep((weir_nsec)weir_random_below(&world->random, 10 * WEIR_MSEC));
	return done(arg, job, result, last);
}

static const enum weir_pattern trouble_patterns[] = {WEIR_PATTERN_AUTO, WEIR_PATTERN_QUEUE, WEIR_PATTERN_SEMAPHORE,
						     WEIR_PATTERN_CHUNKED, WEIR_PATTERN_NAIVE};

static struct world *world_of_trouble(unsigned variant)
{
	enum weir_pattern pattern = trouble_patterns[variant % 5];
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){.pattern = pattern,
								   .concurrency = pattern == WEIR_PATTERN_NAIVE ? 0 : 6,
								   .timeout = 60 * WEIR_MSEC,
								   .queue_timeout = variant % 3 ? 0 : 500 * WEIR_MSEC,
								   .total_timeout = variant % 4 ? 0 : 2 * WEIR_SEC,
								   .gate_flags = variant % 7 ? 0 : WEIR_GATE_REJECT,
								   .seed = test_seed()}),
			  300);
	world->random = test_seed() * 100 + variant;
	world->process.produce = produce_unsteadily;
	world->process.done = done_slowly;
	world->process.flags = variant & 1 ? WEIR_PROCESS_ORDERED : 0;
	world->process.ordering_key = variant & 2 ? any_ordering : NULL;
	world->process.priority = variant & 4 ? any_class : NULL;
	world->process.key = variant & 16 ? any_key_or_none : variant & 8 ? any_key : NULL;
	world->answer = any_trouble;
	return world;
}

/* run_world() keeps the accounts. */
FIBER_TEST(process_ends_every_job_once_whatever_happens)
{
	for (unsigned variant = 0; variant < 40; variant++) {
		struct world *world = world_of_trouble(variant);
		ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
		ck_assert_uint_eq(world->produced, 300);
		ck_assert_uint_le(world->most_number, 5);
		free_world(world);
	}
}

static int run_world_aside(void *arg)
{
	run_world(arg, NULL, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(process_ends_every_job_once_whenever_it_is_canceled)
{
	for (unsigned variant = 0; variant < 40; variant++) {
		struct world *world = world_of_trouble(variant);
		weir_nsec at = (weir_nsec)weir_random_below(&world->random, 400 * WEIR_MSEC);
		if (variant & 1) {
			int code = run_world(world, NULL, weir_after(1 + at));
			ck_assert(code == WEIR_ETIMEDOUT || code == 0);
		} else {
			struct weir_group *group = new_group();
			spawn(group, run_world_aside, world);
			weir_sleep(at);
			weir_group_cancel(group);
			finish(group);
		}
		free_world(world);
	}
}

/* ---- as fast as it can be */

struct many {
	unsigned produced, jobs;
	uint64_t random;
	size_t in_flight, most;
};

static int produce_many(void *arg, void *ret_job, weir_nsec deadline)
{
	struct many *many = arg;
	(void)deadline;
	*(struct job *)ret_job = (struct job){many->produced};
	return many->produced == many->jobs ? WEIR_ECLOSED : (int)(many->produced++, 0);
}

static int work_of_many(void *job, struct weir_attempt *attempt, void *arg)
{
	struct many *many = arg;
	(void)job, (void)attempt;
	if (++many->in_flight > many->most)
		many->most = many->in_flight;
	int code = weir_sleep(100 * WEIR_MSEC + (weir_nsec)weir_random_below(&many->random, 100 * WEIR_MSEC));
	many->in_flight--;
	return code;
}

static int run_many(void *arg)
{
	struct many many = {.jobs = 100000, .random = 1};
	struct weir_process_stats stats;
	struct weir_policy *policy =
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 500});
	(void)arg;
	ck_assert_int_eq(weir_process(&(struct weir_process){.policy = policy,
							     .job_bytes = sizeof(struct job),
							     .arg = &many,
							     .produce = produce_many,
							     .work = work_of_many},
				      &stats, WEIR_FOREVER),
			 0);
	ck_assert_uint_eq(stats.succeeded, 100000);
	ck_assert_uint_eq(many.most, 500);
	ck_assert_int_le(stats.took, (weir_nsec)(1.002 * 30.14 * (double)WEIR_SEC));
	weir_policy_free(policy);
	return 0;
}

TEST(process_of_a_hundred_thousand_jobs_wastes_no_time)
{
	ck_assert_int_eq(run_virtual(0, run_many, NULL), 0);
}

/* ---- reading ahead */

static int produce_in_bursts(void *arg, void *ret_job, weir_nsec deadline)
{
	struct world *world = arg;
	if (world->produced % 200 == 0) {
		int code = weir_sleep(180 * WEIR_MSEC);
		if (code)
			return code;
	}
	return produce(arg, ret_job, deadline);
}

static size_t capacity_after(struct world *world)
{
	struct weir_policy_stats stats;
	world->latency = 10 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	free_world(world);
	return stats.capacity;
}

FIBER_TEST(process_reads_further_ahead_of_a_producer_in_bursts)
{
	const struct weir_policy_options opts = {.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10};
	struct world *world = new_world(new_policy(&opts), 4000);
	world->process.produce = produce_in_bursts;
	ck_assert_uint_ge(capacity_after(world), 80);
	/* One that is always ahead needs hardly more than twice what is under way. */
	ck_assert_uint_le(capacity_after(new_world(new_policy(&opts), 4000)), 25);
	struct weir_policy_options fixed = opts;
	fixed.capacity = 33;
	ck_assert_uint_eq(capacity_after(new_world(new_policy(&fixed), 4000)), 33);
}

static int never_too_far_ahead(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)id, (void)attempt;
	quick_assert(world->produced - world->orders <= 10 + 40);
	return 0;
}

FIBER_TEST(process_reads_no_further_ahead_than_its_capacity)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){
						.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10, .capacity = 40}),
					1000);
	world->latency = WEIR_MSEC;
	world->answer = never_too_far_ahead;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	free_world(world);
}

static int sink_is_slow(void *arg, void *job, int result, const struct weir_attempt *last)
{
	weir_sleep(100 * WEIR_MSEC);
	return done(arg, job, result, last);
}

FIBER_TEST(process_is_held_back_by_those_who_take_its_results)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){
						.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10, .capacity = 20}),
					1000);
	world->process.done = sink_is_slow;
	world->latency = WEIR_MSEC;
	world->answer = never_too_far_ahead; /* 10 under way, 11 to be taken, 20 read ahead */
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	free_world(world);
}

static bool is_paused;

static int not_in_a_pause(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id, (void)attempt;
	quick_assert(!is_paused);
	return 0;
}

static int done_after_a_second(void *arg, void *job, int result, const struct weir_attempt *last)
{
	weir_sleep(WEIR_SEC);
	return done(arg, job, result, last);
}

static int run_to_its_end(void *arg)
{
	return run_world(arg, NULL, WEIR_FOREVER);
}

/* The third job has a permit at once, and no room before the first of the results was taken. */
FIBER_TEST(process_begins_nothing_in_a_pause_with_a_permit_from_before_it)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 1}), 20);
	struct weir_group *group = new_group();
	world->process.done = done_after_a_second;
	world->answer = not_in_a_pause;
	is_paused = false;
	spawn(group, run_to_its_end, world);
	weir_sleep(WEIR_SEC / 2);
	weir_policy_pause(world->process.policy, is_paused = true);
	weir_sleep(10 * WEIR_SEC);
	weir_policy_pause(world->process.policy, is_paused = false);
	finish(group);
	ck_assert_uint_eq(world->orders, 20);
	free_world(world);
}
