/* SPDX-License-Identifier: MIT */
/* Which job weir_process() takes next: order, orderings, classes, several upstreams. */
#include "unit/world.h"

/* ---- order */

static int take_any_time(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)attempt;
	quick_assert(id - world->orders <= 4 * 5); /* the window */
	int code = weir_sleep((weir_nsec)weir_random_below(&world->random, 20 * WEIR_MSEC));
	return code ? code : weir_random_below(&world->random, 10) ? 0 : WEIR_EIO;
}

FIBER_TEST(process_ordered_hands_results_on_in_the_order_of_the_jobs)
{
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){
				  .pattern = WEIR_PATTERN_QUEUE, .concurrency = 5, .gate_flags = WEIR_GATE_NO_BREAKER}),
			  500);
	world->process.flags = WEIR_PROCESS_ORDERED;
	world->answer = take_any_time;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	for (unsigned i = 0; i < 500; i++)
		quick_assert(world->order[i] == i);
	free_world(world);
}

FIBER_TEST(process_ordered_and_canceled_keeps_the_order)
{
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){
				  .pattern = WEIR_PATTERN_QUEUE, .concurrency = 5, .gate_flags = WEIR_GATE_NO_BREAKER}),
			  500);
	world->process.flags = WEIR_PROCESS_ORDERED;
	world->answer = take_any_time;
	ck_assert_int_eq(run_world(world, NULL, weir_after(333 * WEIR_MSEC)), WEIR_ETIMEDOUT);
	for (unsigned i = 0; i < world->orders; i++)
		quick_assert(world->order[i] == i);
	free_world(world);
}

static uint64_t ordering_of(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id % 4; /* 0: none */
}

static unsigned ordering_busy[4], ordering_last[4];

static int one_at_a_time(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	unsigned ordering = id % 4;
	(void)attempt;
	if (ordering) {
		quick_assert(!ordering_busy[ordering]++);
		quick_assert(id >= ordering_last[ordering]);
		ordering_last[ordering] = id;
	}
	int code = weir_sleep((weir_nsec)weir_random_below(&world->random, 20 * WEIR_MSEC));
	ordering_busy[ordering] = 0;
	return code ? code : weir_random_below(&world->random, 4) ? 0 : WEIR_EIO;
}

FIBER_TEST(process_jobs_of_an_ordering_key_go_one_after_the_other_retries_included)
{
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){
				  .pattern = WEIR_PATTERN_QUEUE, .concurrency = 8, .gate_flags = WEIR_GATE_NO_BREAKER}),
			  400);
	struct weir_process_stats stats;
	memset(ordering_busy, 0, sizeof ordering_busy);
	memset(ordering_last, 0, sizeof ordering_last);
	world->process.ordering_key = ordering_of;
	world->answer = one_at_a_time;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	for (unsigned ordering = 1; ordering < 4; ordering++) { /* they ended in order, too */
		unsigned last = 0;
		for (unsigned i = 0; i < 400; i++)
			if (world->order[i] % 4 == ordering) {
				quick_assert(world->order[i] >= last);
				last = world->order[i];
			}
	}
	free_world(world);
}

static int64_t class_of(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id < 30 ? 1 : 0;
}

FIBER_TEST(process_takes_the_most_urgent_of_those_read_ahead)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){
						.pattern = WEIR_PATTERN_QUEUE, .concurrency = 1, .capacity = 60}),
					60);
	world->process.priority = class_of;
	world->latency = WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	/* All were read before the first was begun; only that may be of the lesser class. */
	for (unsigned i = 0; i < 60; i++)
		quick_assert(world->order[i] == (i + 30) % 60);
	free_world(world);
}

static int64_t class_ages(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id == 0 ? 1 : 0;
}

FIBER_TEST(process_priorities_age)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){
			.pattern = WEIR_PATTERN_QUEUE, .concurrency = 1, .capacity = 10, .aging = 20 * WEIR_MSEC}),
		100);
	world->process.priority = class_ages;
	world->latency = WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	unsigned at = 0;
	while (world->order[at] != 0)
		at++;
	ck_assert_uint_ge(at, 20);          /* behind those that came up to 20 ms after it … */
	ck_assert_uint_le(at, 20 + 10 + 2); /* … and no others */
	free_world(world);
}

/* ---- several upstreams */

static const char *key_of(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id % 2 ? "odd" : "even";
}

static int odd_is_told_to_wait(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	if (id % 2 == 0 || world->attempts[id] > 1 || id > 1)
		return 0;
	attempt->outcome = WEIR_OUTCOME_THROTTLED;
	attempt->hint.retry_after = 10 * WEIR_SEC;
	return WEIR_EIO;
}

FIBER_TEST(process_with_one_gate_shut_goes_on_at_the_others)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
										 .concurrency = 10,
										 .capacity = 10,
										 .gate_flags = WEIR_GATE_UNPACED}),
					90);
	struct weir_process_stats stats;
	world->process.key = key_of;
	world->latency = WEIR_MSEC;
	world->answer = odd_is_told_to_wait;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 90);
	/* Those of the other gate did not wait for it. */
	for (unsigned i = 0; i < 40; i++)
		quick_assert(world->order[i] % 2 == 0 || world->order[i] < 30);
	ck_assert_int_ge(stats.took, 10 * WEIR_SEC);
	free_world(world);
}

static const char *key_of_many(void *arg, const void *job)
{
	static char keys[8][16];
	static unsigned next;
	char *key = keys[next++ % 8];
	(void)arg;
	snprintf(key, 16, "host%u", ((const struct job *)job)->id % 97);
	return key;
}

FIBER_TEST(process_serves_more_upstreams_than_it_can_remember)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){
						.pattern = WEIR_PATTERN_QUEUE, .concurrency = 2, .gates_most = 10}),
					970);
	world->process.key = key_of_many;
	world->latency = WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	free_world(world);
}
