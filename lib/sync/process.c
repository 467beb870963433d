/* SPDX-License-Identifier: MIT */
/*
 * Many jobs through a policy: a fiber that reads jobs ahead, the caller's fiber that starts them, a fiber for each job
 * under way.
 *
 * The dispatcher never waits for a gate: it serves the queues (upstream_queue.c) that may start something and sleeps
 * until one of them is told, a job has ended, or something is due.  A job that ends early (the whole is cancelled, or
 * memory is short) gets its done() from the dispatcher, when no other fiber is left.
 */
#include "sync/process.h"

#include <stdlib.h>

/* ---- the reader */

static int wait_for_room(struct run *run)
{
	int code = weir_canceled() ? WEIR_ECANCELED : 0;
	while (code == 0 && !weir__run_has_room(run)) {
		run->reader = (struct weir__waiter){.what = "room for jobs"};
		code = weir__wait(NULL, &run->reader, WEIR_FOREVER);
		if (weir_canceled()) /* also when it was woken before */
			code = WEIR_ECANCELED;
	}
	struct limits *limits = &run->limits;
	if (limits->batches && !limits->batch_left)
		limits->batch_left =
			run->policy->options.concurrency ? run->policy->options.concurrency : limits->concurrency;
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
	run->limits.batch_left -= run->limits.batch_left > 0; /* none, if batches were chosen just now */
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

static void launch_doomed(struct run *run)
{
	struct job *job;
	while (!run->ending && (job = TAILQ_FIRST(&run->doomed))) {
		TAILQ_REMOVE(&run->doomed, job, others);
		weir__run_start(run, job);
	}
}

/* Sleeps until there is something to do. */
static void rest(struct run *run)
{
	weir_nsec until = weir__jobs_next_due(run);
	const struct weir_heap *openings = &run->queues.openings;
	if (openings->n && weir__earlier(weir_heap_top(openings).key, until))
		until = weir_heap_top(openings).key;
	weir_nsec fewer = weir__postponed_next(&run->postponed);
	if (weir__earlier(fewer, until))
		until = fewer;
	if (weir__earlier(run->deadline, until))
		until = run->deadline;
	if (!TAILQ_EMPTY(&run->queues.runnable) && weir__run_may_start(run))
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

/* Figures of the gates are summed up again only now and then. */
static void measure(struct run *run)
{
	size_t concurrency, line;
	if (!weir__run_measures(run))
		return;
	weir__upstream_queues_measure(run, &concurrency, &line);
	weir__run_measure(run, concurrency, line);
}

static void dispatch(struct run *run)
{
	while (!run->ending && !(run->produced_all && !run->counts.live)) {
		measure(run);
		weir__jobs_due(run);
		weir__postponed_due(&run->postponed);
		weir__upstream_queues_serve(run);
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
	weir__upstream_queues_retry(run);
	weir__run_wake(run);
}

static int init(struct run *run, const struct weir_process *process, weir_nsec deadline)
{
	const struct weir_policy *policy = process->policy;
	enum weir_permit permit = policy->options.permit;
	*run = (struct run){
		.process = process,
		.policy = process->policy,
		.deadline = weir__deadline(deadline),
		.ordered = process->flags & WEIR_PROCESS_ORDERED,
		.in_task = permit == WEIR_PERMIT_IN_TASK || permit == WEIR_PERMIT_NEVER,
		.body = weir__job_fiber,
		.budget.tell = budget_allows,
		.records.bytes = (sizeof(struct job) + process->job_bytes + 15) & ~(size_t)15,
		.limits = {.batches = permit == WEIR_PERMIT_PER_BATCH,
			   .cap = weir__policy_memory_limit(policy, process->job_bytes),
			   .least = SIZE_MAX,
			   .measured_at = WEIR_FOREVER},
	};
	TAILQ_INIT(&run->go);
	TAILQ_INIT(&run->doomed);
	TAILQ_INIT(&run->queues.runnable);
	return weir_group_new(&(struct weir_group_options){.flags = WEIR_GROUP_COLLECT}, &run->group);
}

/* Those that no fiber has end here. */
static void end_jobs(struct run *run)
{
	struct job *job;
	if (!run->ordered)
		weir__records_each(&run->records, weir__job_end, run);
	while ((job = weir__ring_first(&run->ring))) {
		run->ring.done_seq++;
		weir__job_end(run, job);
	}
}

static void end(struct run *run)
{
	weir_shield_enter();
	weir_group_wait(run->group, WEIR_FOREVER);
	weir_shield_leave();
	run->ending = true; /* for what its done() calls may lead to */
	end_jobs(run);
	weir__budget_leave(run->policy, &run->budget);
	weir__upstream_queues_fini(run);
	weir__ordering_keys_fini(&run->ordering_keys);
	weir__records_fini(&run->records);
	weir__postponed_fini(&run->postponed);
	free(run->ring.jobs);
	weir_heap_fini(&run->retries);
	weir_heap_fini(&run->expiries);
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
	int code = weir__check_cancel() ? WEIR_ECANCELED : weir__refuse(deadline);
	if (code == 0)
		code = init(&run, process, deadline);
	if (code)
		return code;
	run.policy->users++;
	run.policy->job_bytes = process->job_bytes;
	run.policy->jobs = process->jobs;
	code = weir__run_spawn(&run, reader);
	if (code)
		weir__run_stop(&run, code);
	dispatch(&run);
	end(&run);
	run.policy->users--;
	*ret_stats = run.stats;
	ret_stats->took = weir_now() - began;
	return run.code ? run.code : run.produce_code;
}
