/* SPDX-License-Identifier: MIT */
/* What weir_process() tries again: where a retry waits, what it costs, when its turn is. */
#include "unit/world.h"

/* A store of jobs that are to come back. */
struct store {
	struct world *world;
	weir_nsec down_until;
	unsigned ids[4 * JOBS_MOST], first, last;
	weir_nsec due[4 * JOBS_MOST];
	unsigned number[JOBS_MOST];
	struct weir_attempts accounts[JOBS_MOST];
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

static struct weir_attempts *attempts_of(void *arg, void *arg_job)
{
	unsigned id = ((const struct job *)arg_job)->id;
	(void)arg;
	store.accounts[id].counted = store.number[id];
	return &store.accounts[id];
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
	world->process.attempts = attempts_of;
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
	world->latency = WEIR_MSEC / 10;
	world->answer = refuse_for_a_while;
	ck_assert_int_eq(weir_process(&world->process, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 4000);
	ck_assert_uint_le(stats.jobs - 4000, 11 * (64 * 2 + 20)); /* not 40,000 */
	free_world(world);
}

/* Asks for something until it is there. */
static int ask_for_a_while(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id;
	ck_assert_uint_eq(attempt->number, 1);
	if (weir_now() >= store.down_until)
		return 0;
	attempt->outcome = WEIR_OUTCOME_GOOD;
	attempt->refund = true;
	attempt->hint.retry_after = WEIR_SEC;
	return WEIR_EIO;
}

FIBER_TEST(process_job_may_ask_again_after_a_call_that_went_well)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
										 .concurrency = 4,
										 .queue_timeout = 10 * WEIR_SEC,
										 .retry.attempts = 1,
										 .retry.elapsed = WEIR_SEC}),
					100);
	struct weir_process_stats stats;
	struct weir_policy_stats policy;
	store = (struct store){.down_until = weir_now() + 60 * WEIR_SEC};
	world->latency = WEIR_MSEC;
	world->answer = ask_for_a_while;
	ck_assert_int_eq(weir_process(&world->process, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 100);
	weir_policy_stats(world->process.policy, &policy);
	ck_assert_uint_eq(policy.attempts, 100);
	ck_assert_uint_ge(policy.refunded, 1000);
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
	world->process.attempts = attempts_of;
	world->latency = 10 * WEIR_MSEC;
	world->answer = throttle_thrice;
	ck_assert_int_eq(weir_process(&world->process, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 100);
	ck_assert_uint_eq(world->most_number, 2);
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
	attempt->hint.retry_after = 10 * WEIR_SEC;
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
