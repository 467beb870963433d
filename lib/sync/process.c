/* SPDX-License-Identifier: MIT */
/*
 * Many jobs through a policy: a fiber that reads jobs ahead, the caller's fiber that starts them, a fiber for each job
 * under way.
 *
 * The dispatcher never waits for a gate: it serves the stations (station.c) that may start something and sleeps until
 * one of them is told, a job has ended, or something is due.  A job that ends early (the whole is cancelled, or memory
 * is short) gets its done() from the dispatcher, when no other fiber is left.
 */
#include "sync/process.h"

#include <stdlib.h>

/* ---- the two fibers wake each other */

void weir__run_wake(struct run *run)
{
	if (weir__waits(&run->dispatcher))
		weir__wake(&run->dispatcher, 0);
}

void weir__run_stop(struct run *run, int code)
{
	if (!run->code)
		run->code = code;
	run->ending = true;
	weir_group_cancel(run->group);
	weir__run_wake(run);
}

/* ---- the reader */

/* Reading goes on when half of what was read ahead is gone: fewer switches. */
void weir__run_room_changed(struct run *run)
{
	if (weir__waits(&run->reader) && weir__run_has_room(run) && (run->batches || run->ready <= run->capacity / 2))
		weir__wake(&run->reader, 0);
}

static int wait_for_room(struct run *run)
{
	int code = weir_canceled() ? WEIR_ECANCELED : 0;
	while (code == 0 && !weir__run_has_room(run)) {
		run->reader = (struct weir__waiter){.what = "room for jobs"};
		code = weir__wait(NULL, &run->reader, WEIR_FOREVER);
		if (weir_canceled()) /* also when it was woken before */
			code = WEIR_ECANCELED;
	}
	if (run->batches && !run->batch_left)
		run->batch_left = run->policy->options.concurrency ? run->policy->options.concurrency : run->at_once;
	return code;
}

static int read_one(struct run *run)
{
	const struct weir_process *process = run->process;
	struct job *job = weir__job_new(run);
	if (!job)
		return WEIR_ENOMEM;
	int code = process->produce(process->arg, job->data, run->deadline);
	if (code < 0) {
		weir__job_free(run, job);
		return code;
	}
	run->batch_left -= run->batch_left > 0; /* none, if batches were chosen just now */
	weir__run_tune(run);
	weir__job_enter(run, job);
	return 0;
}

static int reader(void *arg)
{
	enum { WITHOUT_A_BREAK = 256 };
	struct run *run = arg;
	int code = 0;
	run->begun++;
	for (unsigned n = 1; code == 0; n++) {
		code = wait_for_room(run);
		if (code == 0)
			code = read_one(run);
		if (code == 0 && n % WITHOUT_A_BREAK == 0)
			code = weir_yield();
	}
	run->produced_all = true;
	if (code != WEIR_ECLOSED && !run->ending)
		run->produce_code = code;
	weir__run_wake(run);
	return 0;
}

/* ---- the dispatcher */

static int spawn(struct run *run, weir_fiber_fn fn)
{
	int code = weir_group_spawn(run->group, fn, run, WEIR_FOREVER);
	run->spawned += code == 0;
	return code;
}

static void start_fiber(struct run *run, struct job *job)
{
	job->where = JOB_GO;
	weir__jobs_push(&run->go, job);
	run->under_way++;
	int code = spawn(run, weir__job_fiber);
	if (code)
		weir__run_stop(run, code);
}

void weir__run_launch(struct run *run, struct job *job)
{
	weir__budget_take(run->policy, &job->tries);
	if (run->ready < run->seen.least)
		run->seen.least = run->ready;
	start_fiber(run, job);
}

static void launch_doomed(struct run *run)
{
	struct job *job;
	while (!run->ending && (job = run->doomed.head)) {
		weir__jobs_remove(&run->doomed, job);
		start_fiber(run, job);
	}
}

/* Sleeps until there is something to do. */
static void rest(struct run *run)
{
	weir_nsec until = weir__jobs_next_due(run);
	if (run->openings.n && weir__earlier(weir_heap_top(&run->openings).key, until))
		until = weir_heap_top(&run->openings).key;
	weir_nsec fewer = weir__postponed_next(run);
	if (weir__earlier(fewer, until))
		until = fewer;
	if (weir__earlier(run->deadline, until))
		until = run->deadline;
	if (run->first_runnable && weir__run_may_start(run))
		return;
	int code = weir_canceled() ? WEIR_ECANCELED : 0;
	if (code == 0) {
		run->dispatcher = (struct weir__waiter){.what = "jobs"};
		code = weir__wait(NULL, &run->dispatcher, until);
	}
	if (code == WEIR_ECANCELED)
		weir__run_stop(run, code);
}

/* A fiber that found no memory for its stack has ended without having begun. */
static bool are_begun(struct run *run)
{
	size_t failed = weir_group_failures(run->group);
	if (failed)
		weir__run_stop(run, WEIR_ENOMEM);
	return run->spawned == run->begun + failed;
}

static void dispatch(struct run *run)
{
	while (!run->ending && !(run->produced_all && !run->live)) {
		weir__run_measure(run);
		weir__jobs_due(run);
		weir__postponed_due(run);
		weir__stations_serve(run);
		launch_doomed(run);
		weir__run_room_changed(run);
		if (run->deadline != WEIR_FOREVER && weir_now() >= run->deadline)
			weir__run_stop(run, WEIR_ETIMEDOUT);
		else if (are_begun(run))
			rest(run);
		else if (weir_yield())
			weir__run_stop(run, WEIR_ECANCELED);
	}
}

/* ---- beginning and end */

static void budget_allows(struct weir__budget_waiter *waiter)
{
	struct run *run = (struct run *)((char *)waiter - offsetof(struct run, budget));
	weir__stations_retry(run);
	weir__run_wake(run);
}

/* One that no fiber has. */
static void end_job(struct run *run, struct job *job)
{
	struct weir_attempt last = {
		.number = job->tries.counted, .deadline = WEIR_FOREVER, .outcome = WEIR_OUTCOME_RELEASED};
	if (job->where == JOB_ENDED) {
		last.outcome = (enum weir_outcome)job->outcome;
		last.permanent = job->permanent;
	} else if (!job->doomed) {
		if (job->where == JOB_GO)
			weir__job_give_back(run, job);
		job->result = WEIR_ECANCELED;
	}
	weir__job_take_out(run, job);
	weir__job_hand_on(run, job, &last);
}

static int init(struct run *run, const struct weir_process *process, weir_nsec deadline)
{
	const struct weir_policy *policy = process->policy;
	*run = (struct run){
		.process = process,
		.policy = process->policy,
		.deadline = weir__deadline(deadline),
		.own = process->flags & WEIR_PROCESS_OWN_GATES,
		.ordered = process->flags & WEIR_PROCESS_ORDERED,
		.in_task = policy->options.permit == WEIR_PERMIT_IN_TASK || policy->options.permit == WEIR_PERMIT_NEVER,
		.batches = policy->options.permit == WEIR_PERMIT_PER_BATCH,
		.budget.tell = budget_allows,
		.cap = weir__policy_memory_limit(policy, process->job_bytes),
		.seen.least = SIZE_MAX,
		.measured_at = WEIR_FOREVER,
	};
	return weir_group_new(&(struct weir_group_options){.flags = WEIR_GROUP_COLLECT}, &run->group);
}

static void end(struct run *run)
{
	weir_shield_enter();
	weir_group_wait(run->group, WEIR_FOREVER);
	weir_shield_leave();
	run->ending = true; /* for what its done() calls may lead to */
	weir__jobs_each(run, end_job);
	weir__budget_leave(run->policy, &run->budget);
	weir__stations_fini(run);
	weir__jobs_fini(run);
	weir_group_free(run->group);
}

int weir_process(const struct weir_process *process, struct weir_process_stats *ret_stats, weir_nsec deadline)
{
	struct weir_process_stats unused;
	struct run run;
	weir_nsec began = weir_now();
	if (!ret_stats)
		ret_stats = &unused;
	*ret_stats = (struct weir_process_stats){0};
	int code = weir__refuse(deadline);
	if (code == 0)
		code = init(&run, process, deadline);
	if (code)
		return code;
	run.policy->users++;
	run.policy->job_bytes = process->job_bytes;
	run.policy->jobs = process->jobs;
	code = spawn(&run, reader);
	if (code)
		weir__run_stop(&run, code);
	dispatch(&run);
	end(&run);
	run.policy->users--;
	*ret_stats = run.stats;
	ret_stats->took = weir_now() - began;
	return run.code ? run.code : run.produce_code;
}
