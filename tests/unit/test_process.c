/* SPDX-License-Identifier: MIT */
/*
 * Many jobs through a policy.  A naive account of what became of each job is kept beside every run: each one that was
 * produced has to end exactly once, by done() or by a postpone() that took it.
 */
#include "unit/fibers.h"

#include <stdlib.h>
#include <string.h>
#include <weir/process.h>
#include <weir/random.h>

enum { JOBS_MOST = 4000 };

struct job {
	unsigned id;
};

/* What a run is given, and what it did. */
struct world {
	struct weir_process process;
	unsigned jobs, produced;
	weir_nsec latency;
	uint64_t random;
	int (*answer)(struct world *world, unsigned id, struct weir_attempt *attempt);
	size_t in_flight, most_in_flight;
	unsigned ended[JOBS_MOST], attempts[JOBS_MOST], most_number;
	int results[JOBS_MOST];
	unsigned order[JOBS_MOST], orders;
};

static int produce(void *arg, void *ret_job, weir_nsec deadline)
{
	struct world *world = arg;
	(void)deadline;
	if (world->produced == world->jobs)
		return WEIR_ECLOSED;
	*(struct job *)ret_job = (struct job){world->produced++};
	return 0;
}

static int work(void *arg_job, struct weir_attempt *attempt, void *arg)
{
	struct world *world = arg;
	unsigned id = ((struct job *)arg_job)->id;
	int code = 0;
	world->attempts[id]++;
	if (attempt->number > world->most_number)
		world->most_number = attempt->number;
	if (++world->in_flight > world->most_in_flight)
		world->most_in_flight = world->in_flight;
	if (world->latency)
		code = weir_sleep(world->latency);
	world->in_flight--;
	if (code < 0)
		return code;
	return world->answer ? world->answer(world, id, attempt) : 0;
}

static int done(void *arg, void *arg_job, int result, const struct weir_attempt *last)
{
	struct world *world = arg;
	unsigned id = ((struct job *)arg_job)->id;
	(void)last;
	world->ended[id]++;
	world->results[id] = result;
	world->order[world->orders++] = id;
	return 0;
}

static struct weir_policy *new_policy(const struct weir_policy_options *opts)
{
	struct weir_policy *policy;
	struct weir_error err = {0};
	ck_assert_msg(weir_policy_new(opts, &policy, &err) == 0, "%s", err.text);
	return policy;
}

static struct world *new_world(struct weir_policy *policy, unsigned jobs)
{
	struct world *world = calloc(1, sizeof *world);
	quick_assert(world && jobs <= JOBS_MOST);
	world->jobs = jobs;
	world->random = test_seed();
	world->process = (struct weir_process){.policy = policy,
					       .job_bytes = sizeof(struct job),
					       .arg = world,
					       .produce = produce,
					       .work = work,
					       .done = done};
	return world;
}

/* Runs it; each job that was produced has ended once. */
static int run_world(struct world *world, struct weir_process_stats *ret_stats, weir_nsec deadline)
{
	struct weir_process_stats stats;
	int code = weir_process(&world->process, &stats, deadline);
	ck_assert_uint_eq(stats.jobs, world->produced);
	ck_assert_uint_eq(stats.succeeded + stats.failed + stats.canceled, world->produced);
	for (unsigned i = 0; i < world->produced; i++)
		quick_assert(world->ended[i] == 1);
	ck_assert_uint_eq(world->in_flight, 0);
	if (ret_stats)
		*ret_stats = stats;
	return code;
}

static void free_world(struct world *world)
{
	weir_policy_free(world->process.policy);
	free(world);
}

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
	unsigned ids[JOBS_MOST], first, last;
	weir_nsec due[JOBS_MOST];
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
	if (store.first != store.last) {
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
