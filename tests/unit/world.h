/* SPDX-License-Identifier: MIT */
/*
 * A small world for tests of weir_process(): numbered jobs, what they are to answer, and a naive account of what became
 * of each.  Each job that was produced has to end exactly once.
 */
#ifndef UNIT_WORLD_H
#define UNIT_WORLD_H

#include "unit/fibers.h"

#include <stdio.h>
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

static inline int produce(void *arg, void *ret_job, weir_nsec deadline)
{
	struct world *world = arg;
	(void)deadline;
	if (world->produced == world->jobs)
		return WEIR_ECLOSED;
	*(struct job *)ret_job = (struct job){world->produced++};
	return 0;
}

static inline int work(void *arg_job, struct weir_attempt *attempt, void *arg)
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

static inline int done(void *arg, void *arg_job, int result, const struct weir_attempt *last)
{
	struct world *world = arg;
	unsigned id = ((struct job *)arg_job)->id;
	(void)last;
	world->ended[id]++;
	world->results[id] = result;
	world->order[world->orders++] = id;
	return 0;
}

/* An answer: two failures, then all is well. */
static inline int fail_twice(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)attempt;
	return world->attempts[id] <= 2 ? WEIR_EIO : 0;
}

static size_t most_fibers;

/* An answer: good, and how many fibers there are is noted. */
static inline int note_fibers(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	struct weir_run_stats stats;
	(void)world, (void)id, (void)attempt;
	weir_run_stats(&stats);
	if (stats.fibers > most_fibers)
		most_fibers = stats.fibers;
	return 0;
}

static inline struct weir_policy *new_policy(const struct weir_policy_options *opts)
{
	struct weir_policy *policy;
	struct weir_error err = {0};
	ck_assert_msg(weir_policy_new(opts, &policy, &err) == 0, "%s", err.text);
	return policy;
}

static inline struct world *new_world(struct weir_policy *policy, unsigned jobs)
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
static inline int run_world(struct world *world, struct weir_process_stats *ret_stats, weir_nsec deadline)
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

static inline void free_world(struct world *world)
{
	weir_policy_free(world->process.policy);
	free(world);
}

#endif
