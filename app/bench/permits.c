/* SPDX-License-Identifier: MIT */
/*
 * Four ways of letting 500 of 100,000 sleepers run, by hand, from the library's groups and semaphores.  Where the
 * permit is taken decides how much memory there is at once: before the fiber is made, for 500; inside it, for all.
 */
#include <stdlib.h>
#include <weir/group.h>
#include <weir/sem.h>

#include "bench/meter.h"
#include "bench/run.h"
#include "bench/upstream.h"

struct permits {
	struct bench_run *run;
	struct weir_group *group;
	struct weir_sem *sem;
	uint64_t begun; /* jobs; whichever fiber comes first takes the next */
};

static int do_next(struct permits *permits)
{
	struct bench_meter *meter = permits->run->meter;
	uint64_t index = permits->begun++;
	enum bench_cause cause = BENCH_CAUSE_OTHER;
	weir_nsec took;
	weir_nsec began = bench_meter_now(meter);
	bench_meter_begin(meter);
	int code = bench_upstream_call(permits->run->upstream, index, 1, &took, &cause, WEIR_FOREVER);
	bench_meter_end(meter, took, code, cause);
	bench_meter_job(meter, index, began, -1, code >= 0);
	return code == WEIR_ECANCELED ? code : 0;
}

/* ---- batches */

static int do_one(void *arg)
{
	return do_next(arg);
}

static int run_batches(struct permits *permits, uint64_t jobs)
{
	for (uint64_t left = jobs; left;) {
		struct weir_group_part batch = {
			.fn = do_one, .arg = permits, .fibers = permits->run->shape.concurrency};
		batch.fibers = left < batch.fibers ? (size_t)left : batch.fibers;
		int code = weir_group_run(&batch, 1, WEIR_FOREVER);
		if (code < 0)
			return code;
		left -= batch.fibers;
	}
	return 0;
}

/* ---- the permit inside */

static int do_with_permit(void *arg)
{
	struct permits *permits = arg;
	int code = weir_sem_acquire(permits->sem, 1, WEIR_FOREVER);
	if (code < 0)
		return code;
	code = do_next(permits);
	weir_sem_release(permits->sem, 1);
	return code;
}

static int run_in_task(struct permits *permits, uint64_t jobs)
{
	for (uint64_t i = 0; i < jobs; i++) {
		int code = weir_group_spawn(permits->group, do_with_permit, permits, WEIR_FOREVER);
		if (code < 0)
			return code;
	}
	return 0;
}

/* ---- the permit before */

struct closure {
	struct permits *permits;
	void (*at_end)(struct closure *closure);
};

static void release_by_callback(struct closure *closure)
{
	weir_sem_release(closure->permits->sem, 1);
	free(closure);
}

static int do_and_call_back(void *arg)
{
	struct closure *closure = arg;
	int code = do_next(closure->permits);
	closure->at_end(closure);
	return code;
}

static int do_and_release(void *arg)
{
	struct permits *permits = arg;
	int code = do_next(permits);
	weir_sem_release(permits->sem, 1);
	return code;
}

static int spawn_with_permit(struct permits *permits, bool callback)
{
	if (!callback)
		return weir_group_spawn(permits->group, do_and_release, permits, WEIR_FOREVER);
	struct closure *closure = malloc(sizeof *closure);
	if (!closure)
		return WEIR_ENOMEM;
	*closure = (struct closure){permits, release_by_callback};
	int code = weir_group_spawn(permits->group, do_and_call_back, closure, WEIR_FOREVER);
	if (code < 0)
		free(closure);
	return code;
}

static int run_before(struct permits *permits, uint64_t jobs, bool callback)
{
	for (uint64_t i = 0; i < jobs; i++) {
		int code = weir_sem_acquire(permits->sem, 1, WEIR_FOREVER);
		if (!code)
			code = spawn_with_permit(permits, callback);
		if (code < 0)
			return code;
	}
	return 0;
}

static int run_kind(struct permits *permits)
{
	uint64_t jobs = permits->run->plan->load.jobs;
	switch (permits->run->variant->kind) {
	case BENCH_WAVES:
		return run_batches(permits, jobs);
	case BENCH_IN_TASK:
		return run_in_task(permits, jobs);
	default:
		return run_before(permits, jobs, permits->run->variant->kind == BENCH_CALLBACK);
	}
}

int bench_run_permits(struct bench_run *run)
{
	struct permits permits = {.run = run};
	int code = weir_group_new(NULL, &permits.group);
	if (code < 0)
		return code;
	code = weir_sem_new(run->shape.concurrency, &permits.sem);
	if (!code)
		code = run_kind(&permits);
	if (code < 0)
		weir_group_cancel(permits.group);
	int ended = weir_group_wait(permits.group, WEIR_FOREVER);
	weir_sem_free(permits.sem);
	weir_group_free(permits.group);
	return code < 0 ? code : ended;
}
