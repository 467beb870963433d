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

static int fail_twice(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)attempt;
	return world->attempts[id] <= 2 ? WEIR_EIO : 0;
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

FIBER_TEST(process_with_own_gates_limits_how_many_are_under_way)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 7}), 200);
	world->process.flags = WEIR_PROCESS_OWN_GATES;
	world->latency = 10 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	ck_assert_uint_eq(world->most_in_flight, 7);
	free_world(world);
}

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

/* A store of jobs that are to come back. */
struct store {
	struct world *world;
	weir_nsec down_until;
	unsigned ids[4 * JOBS_MOST], first, last;
	weir_nsec due[4 * JOBS_MOST];
	unsigned number[JOBS_MOST];
};

static struct store store;

static int postpone(void *arg, void *arg_job, weir_nsec due, const struct weir_attempt *last)
{
	unsigned id = ((struct job *)arg_job)->id;
	struct world *world = arg;
	world->ended[id]++;
	store.number[id] = last->number;
	store.due[store.last] = due;
	store.ids[store.last++] = id;
	return 0;
}

/* Brings back what was postponed, when it is due. */
static int produce_again(void *arg, void *ret_job, weir_nsec deadline)
{
	struct world *world = arg;
	while (store.last == store.first && world->produced == world->jobs) {
		unsigned ended = 0;
		for (unsigned i = 0; i < world->jobs; i++)
			ended += world->results[i] != UNANSWERED;
		if (ended == world->jobs)
			return WEIR_ECLOSED;
		int code = weir_sleep(WEIR_MSEC);
		if (code < 0)
			return code;
	}
	if (store.first != store.last && (store.due[store.first] <= weir_now() || world->produced == world->jobs)) {
		int code = weir_sleep_until(store.due[store.first]);
		if (code < 0)
			return code;
		*(struct job *)ret_job = (struct job){store.ids[store.first]};
		world->ended[store.ids[store.first++]]--;
		return 0;
	}
	return produce(arg, ret_job, deadline);
}

static unsigned attempts_before(void *arg, const void *arg_job)
{
	(void)arg;
	return store.number[((const struct job *)arg_job)->id];
}

FIBER_TEST(process_postpones_retries_to_whoever_keeps_the_jobs)
{
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){
				  .pattern = WEIR_PATTERN_QUEUE, .concurrency = 7, .gate_flags = WEIR_GATE_NO_BREAKER}),
			  100);
	struct weir_process_stats stats;
	store = (struct store){.world = world};
	for (unsigned i = 0; i < world->jobs; i++)
		world->results[i] = UNANSWERED;
	world->process.postpone = postpone;
	world->process.produce = produce_again;
	world->process.attempts = attempts_before;
	world->latency = 10 * WEIR_MSEC;
	world->answer = fail_twice;
	ck_assert_int_eq(weir_process(&world->process, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.jobs, 300);
	ck_assert_uint_eq(stats.succeeded, 100);
	ck_assert_uint_eq(world->most_number, 3);
	for (unsigned i = 0; i < world->jobs; i++)
		quick_assert(world->ended[i] == 1);
	free_world(world);
}

/* An upstream that is down from the first call on: what comes of a store of many jobs. */
static int refuse_for_a_while(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id;
	if (weir_now() >= store.down_until)
		return 0;
	attempt->refund = true;
	attempt->not_before = weir_now() + WEIR_SEC;
	return WEIR_EIO;
}

FIBER_TEST(process_does_not_postpone_a_whole_store_over_and_over)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 2}), 4000);
	struct weir_process_stats stats;
	store = (struct store){.world = world, .down_until = weir_now() + 10 * WEIR_SEC};
	for (unsigned i = 0; i < world->jobs; i++)
		world->results[i] = UNANSWERED;
	world->process.postpone = postpone;
	world->process.produce = produce_again;
	world->process.flags = WEIR_PROCESS_OWN_GATES;
	world->latency = WEIR_MSEC / 10;
	world->answer = refuse_for_a_while;
	ck_assert_int_eq(weir_process(&world->process, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 4000);
	ck_assert_uint_le(stats.jobs - 4000, 11 * (64 * 2 + 20)); /* not 40,000 */
	free_world(world);
}

/* Calls take some milliseconds and fail, so that they end when others are due. */
static int refuse_after_a_while(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)id;
	int code = weir_sleep((weir_nsec)(1 + weir_random_below(&world->random, 40)) * WEIR_MSEC);
	attempt->refund = true;
	return code ? code : weir_now() < store.down_until ? WEIR_EIO : 0;
}

FIBER_TEST(process_reads_on_when_calls_end_the_moment_others_are_due)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){
			.pattern = WEIR_PATTERN_QUEUE,
			.concurrency = 4,
			.capacity = 1,
			.retry.backoff = {.base = 10 * WEIR_SEC, .cap = 10 * WEIR_SEC, .jitter = WEIR_JITTER_NONE}}),
		1000);
	struct weir_process_stats stats;
	store = (struct store){.world = world, .down_until = weir_now() + 60 * WEIR_SEC};
	for (unsigned i = 0; i < world->jobs; i++)
		world->results[i] = UNANSWERED;
	world->process.postpone = postpone;
	world->process.produce = produce_again;
	world->process.flags = WEIR_PROCESS_OWN_GATES;
	world->answer = refuse_after_a_while;
	ck_assert_int_eq(weir_process(&world->process, &stats, weir_after(300 * WEIR_SEC)), 0);
	ck_assert_uint_eq(stats.succeeded, 1000);
	free_world(world);
}

/* Three times "come back later", then a failure that counts. */
static int throttle_thrice(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	if (world->attempts[id] <= 3)
		attempt->outcome = WEIR_OUTCOME_THROTTLED;
	return world->attempts[id] <= 4 ? WEIR_EIO : 0;
}

FIBER_TEST(process_postpones_with_the_number_of_attempts_that_counted)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
										 .concurrency = 7,
										 .retry.attempts = 2,
										 .gate_flags = WEIR_GATE_UNPACED}),
					100);
	struct weir_process_stats stats;
	store = (struct store){.world = world};
	for (unsigned i = 0; i < world->jobs; i++)
		world->results[i] = UNANSWERED;
	world->process.postpone = postpone;
	world->process.produce = produce_again;
	world->process.attempts = attempts_before;
	world->latency = 10 * WEIR_MSEC;
	world->answer = throttle_thrice;
	ck_assert_int_eq(weir_process(&world->process, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 100);
	ck_assert_uint_eq(world->most_number, 2);
	free_world(world);
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

/* ---- the patterns are what their names say */

static size_t most_fibers;

static int note_fibers(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	struct weir_run_stats stats;
	(void)world, (void)id, (void)attempt;
	weir_run_stats(&stats);
	if (stats.fibers > most_fibers)
		most_fibers = stats.fibers;
	return 0;
}

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

static uint64_t lane_of(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id % 4; /* 0: none */
}

static unsigned lane_busy[4], lane_last[4];

static int one_at_a_time(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	unsigned lane = id % 4;
	(void)attempt;
	if (lane) {
		quick_assert(!lane_busy[lane]++);
		quick_assert(id >= lane_last[lane]);
		lane_last[lane] = id;
	}
	int code = weir_sleep((weir_nsec)weir_random_below(&world->random, 20 * WEIR_MSEC));
	lane_busy[lane] = 0;
	return code ? code : weir_random_below(&world->random, 4) ? 0 : WEIR_EIO;
}

FIBER_TEST(process_lanes_go_one_after_the_other_retries_included)
{
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){
				  .pattern = WEIR_PATTERN_QUEUE, .concurrency = 8, .gate_flags = WEIR_GATE_NO_BREAKER}),
			  400);
	struct weir_process_stats stats;
	memset(lane_busy, 0, sizeof lane_busy);
	memset(lane_last, 0, sizeof lane_last);
	world->process.lane = lane_of;
	world->answer = one_at_a_time;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	for (unsigned lane = 1; lane < 4; lane++) { /* they ended in order, too */
		unsigned last = 0;
		for (unsigned i = 0; i < 400; i++)
			if (world->order[i] % 4 == lane) {
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
	attempt->told.retry_after = 10 * WEIR_SEC;
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

/* ---- waiting retries */

static int fail_once_and_look(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	struct weir_policy_stats stats;
	(void)attempt;
	weir_policy_stats(world->process.policy, &stats);
	quick_assert(stats.waiting <= 4 * 10 + 1 + 10 + 10); /* and those that were read or under way then */
	note_fibers(world, id, attempt);
	return world->attempts[id] == 1 ? WEIR_EIO : 0;
}

FIBER_TEST(process_waiting_retries_are_bounded_and_have_no_fiber)
{
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){
				  .pattern = WEIR_PATTERN_QUEUE,
				  .concurrency = 10,
				  .gate_flags = WEIR_GATE_NO_BREAKER,
				  .capacity = 10,
				  .retry.backoff = {.base = WEIR_SEC, .cap = WEIR_SEC, .jitter = WEIR_JITTER_NONE}}),
			  1000);
	struct weir_process_stats stats;
	most_fibers = 0;
	world->latency = WEIR_MSEC;
	world->answer = fail_once_and_look;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 1000);
	ck_assert_uint_le(most_fibers, 10 + 2);
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

/* ---- retries and the budget, refunds and their turn */

static size_t retrying, most_retrying;

static int look_at_budget(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	bool retry = attempt->number > 1;
	(void)world;
	retrying += retry;
	if (retrying > most_retrying)
		most_retrying = retrying;
	int code = weir_sleep(10 * WEIR_MSEC);
	retrying -= retry;
	return code ? code : retry || id % 2 ? 0 : WEIR_EIO;
}

FIBER_TEST(process_retries_stay_within_their_budget)
{
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
								   .concurrency = 40,
								   .gate_flags = WEIR_GATE_NO_BREAKER,
								   .retry.backoff = {.base = 1, .cap = 1}}),
			  1000);
	struct weir_policy_stats stats;
	retrying = most_retrying = 0;
	world->answer = look_at_budget;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_uint_eq(stats.retries, 500);
	ck_assert_uint_ge(most_retrying, 4);
	ck_assert_uint_le(most_retrying, 40 / 5 + 1);
	ck_assert_uint_gt(stats.budget_waits, 0);
	free_world(world);
}

static weir_nsec begun_again[JOBS_MOST];

static int throttle_first_ten(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	if (id >= 10 || world->attempts[id] > 1) {
		begun_again[id] = weir_now() - world->latency;
		return 0;
	}
	attempt->outcome = WEIR_OUTCOME_THROTTLED;
	attempt->told.retry_after = 10 * WEIR_SEC;
	return WEIR_EIO;
}

FIBER_TEST(process_refunded_jobs_come_again_spread_and_before_the_new_ones)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
										 .concurrency = 10,
										 .capacity = 200,
										 .gate_flags = WEIR_GATE_UNPACED,
										 .seed = test_seed()}),
					300);
	world->latency = 200 * WEIR_MSEC;
	world->answer = throttle_first_ten;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	unsigned apart = 0, at = 0;
	for (unsigned i = 1; i < 10; i++)
		apart += begun_again[i] != begun_again[0];
	ck_assert_uint_ge(apart, 5);
	for (unsigned i = 0; i < 300; i++)
		if (world->order[i] < 10)
			at = i;
	/* They come within a tenth of the 10 s, in which 10 x 5 others end. */
	ck_assert_uint_le(at, 10 + 50 + 20);
	free_world(world);
}

FIBER_TEST(process_with_own_gates_spreads_those_told_to_come_back)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){
						.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10, .seed = test_seed()}),
					10);
	unsigned apart = 0;
	weir_nsec began = weir_now();
	world->process.flags = WEIR_PROCESS_OWN_GATES;
	world->answer = throttle_first_ten;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	for (unsigned i = 1; i < 10; i++) {
		quick_assert(begun_again[i] - began >= 10 * WEIR_SEC && begun_again[i] - began <= 11 * WEIR_SEC);
		apart += begun_again[i] != begun_again[0];
	}
	ck_assert_uint_ge(apart, 5);
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
