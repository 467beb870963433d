/* SPDX-License-Identifier: MIT */
/*
 * A pattern, as weir_process() runs it.  A run that is measured tries each job once and has no breaker, as the articles
 * do: an error stays an error.  A recovery run has the retries and the breaker that weir has by default.
 */
#include <stdio.h>
#include <string.h>

#include "bench/meter.h"
#include "bench/run.h"
#include "bench/upstream.h"

struct bench_job {
	uint64_t index;
	weir_nsec due;   /* from the start; negative: by its number */
	weir_nsec began; /* its first attempt; negative: none yet */
	bool hit;        /* an attempt of it has failed */
};

struct bench_jobs {
	struct bench_run *run;
	uint64_t made;
};

/* What is started all at once cannot go on until a time: its jobs are counted. */
static bool needs_count(const struct bench_run *run)
{
	return run->variant->pattern == WEIR_PATTERN_NAIVE || run->variant->pattern == WEIR_PATTERN_SEMAPHORE;
}

/* Of own URLs: a job is due when it is read, and the time is over when the reading ends, so that none may wait for a
 * permit long after it was read.  The other patterns have no queue. */
static bool reads_ahead(const struct bench_run *run)
{
	return run->variant->pattern == WEIR_PATTERN_QUEUE || run->variant->pattern == WEIR_PATTERN_RATE ||
	       run->variant->pattern == WEIR_PATTERN_AUTO;
}

static bool is_last(const struct bench_jobs *jobs)
{
	const struct bench_run *run = jobs->run;
	const struct bench_plan *plan = run->plan;
	if (run->stopping)
		return true;
	if (needs_count(run))
		return jobs->made >= plan->load.jobs;
	if (plan->recovery)
		return false;
	if (plan->duration)
		return bench_meter_now(run->meter) >= plan->duration;
	return jobs->made >= plan->load.jobs;
}

static int produce(void *arg, void *ret_job, weir_nsec deadline)
{
	struct bench_jobs *jobs = arg;
	struct bench_job job = {.index = jobs->made, .due = -1, .began = -1};
	(void)deadline;
	if (is_last(jobs))
		return WEIR_ECLOSED;
	if (jobs->run->plan->urls ||
	    jobs->run->variant->pattern == WEIR_PATTERN_AUTO) /* nothing says how many a second */
		job.due = bench_meter_now(jobs->run->meter);
	jobs->made++;
	memcpy(ret_job, &job, sizeof job);
	return 0;
}

static int work(void *arg, struct weir_attempt *attempt, void *context)
{
	struct bench_job *job = arg;
	struct bench_jobs *jobs = context;
	struct bench_meter *meter = jobs->run->meter;
	enum bench_cause cause = BENCH_CAUSE_OTHER;
	weir_nsec took;
	if (job->began < 0)
		job->began = bench_meter_now(meter);
	bench_meter_begin(meter);
	int code =
		bench_upstream_call(jobs->run->upstream, job->index, attempt->number, &took, &cause, attempt->deadline);
	bench_meter_end(meter, took, code, cause);
	if (cause == BENCH_CAUSE_THROTTLED && code < 0)
		attempt->outcome = WEIR_OUTCOME_THROTTLED;
	if (cause == BENCH_CAUSE_TIMEOUT && code < 0)
		attempt->outcome = WEIR_OUTCOME_TIMED_OUT;
	if (cause == BENCH_CAUSE_CLIENT && code < 0)
		attempt->outcome = WEIR_OUTCOME_GOOD;
	job->hit |= code < 0;
	return code;
}

static int done(void *arg, void *ended, int result, const struct weir_attempt *last)
{
	struct bench_jobs *jobs = arg;
	const struct bench_job *job = ended;
	struct bench_recovery *recovery = &jobs->run->result->recovery;
	(void)last;
	weir_nsec began = job->began < 0 ? bench_meter_now(jobs->run->meter) : job->began;
	bench_meter_job(jobs->run->meter, job->index, began, job->due, result >= 0);
	recovery->hit += job->hit;
	recovery->saved += job->hit && result >= 0;
	return 0;
}

int bench_run_process(struct bench_run *run)
{
	const struct bench_plan *plan = run->plan;
	const struct bench_shape *shape = &run->shape;
	struct bench_jobs jobs = {.run = run};
	struct weir_policy *policy;
	struct weir_policy_options opts = {
		.pattern = run->variant->pattern,
		.capacity = plan->urls && reads_ahead(run) ? 1 : 0,
		.retry.attempts = plan->recovery ? 0 : 1,
		.timeout = 10 * WEIR_SEC,
		.gate_flags = plan->recovery ? 0 : WEIR_GATE_NO_BREAKER,
		.seed = plan->seed,
	};
	struct weir_error err = {0};
	if (run->variant->pattern == WEIR_PATTERN_AUTO)
		opts.most = shape->concurrency;
	else if (run->variant->pattern != WEIR_PATTERN_NAIVE)
		opts.concurrency = shape->concurrency;
	if (shape->law == BENCH_LAW_RATE)
		opts.rate.count = (uint64_t)shape->per_sec;
	if (plan->duration && needs_count(run) && !run->result->note[0])
		snprintf(run->result->note, sizeof run->result->note,
			 "creates all jobs at the start, so it fetches each URL once, not for a time");
	int code = weir_policy_new(&opts, &policy, &err);
	if (code < 0) {
		snprintf(run->result->note, sizeof run->result->note, "%.199s", err.text);
		return code;
	}
	const struct weir_process process = {
		.policy = policy,
		.job_bytes = sizeof(struct bench_job),
		.arg = &jobs,
		.jobs = plan->recovery || plan->duration ? 0 : plan->load.jobs,
		.produce = produce,
		.work = work,
		.done = done,
	};
	code = weir_process(&process, NULL, WEIR_FOREVER);
	weir_policy_free(policy);
	return code;
}
