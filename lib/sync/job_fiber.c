/* SPDX-License-Identifier: MIT */
/*
 * The fiber of a job: one attempt, and what comes of it.  The permit is given back when the attempt has ended, before
 * the result is handed on; a job that is to be tried again leaves its fiber.
 */
#include "sync/process.h"

/* A pass that was not used, or the part of the budget. */
void weir__job_give_back(struct run *run, struct job *job)
{
	weir__budget_give_back(run->policy, &job->tries);
	if (job->has_pass)
		weir_gate_leave(job->station->gate, &job->pass, WEIR_OUTCOME_RELEASED, NULL);
	job->has_pass = false;
}

/* ---- the end of a job */

static void count_result(struct run *run, int result)
{
	if (result >= 0)
		run->stats.succeeded++;
	else if (result == WEIR_ECANCELED)
		run->stats.canceled++;
	else
		run->stats.failed++;
}

void weir__job_hand_on(struct run *run, struct job *job, const struct weir_attempt *last)
{
	const struct weir_process *process = run->process;
	int result = job->result;
	count_result(run, result);
	int code = process->done ? process->done(process->arg, job->data, result, last) : 0;
	weir__station_put(run, job->station);
	weir__job_free(run, job);
	run->live--;
	if (code < 0)
		weir__run_stop(run, code);
	else if (result < 0 && result != WEIR_ECANCELED && process->flags & WEIR_PROCESS_RAISE)
		weir__run_stop(run, result);
}

/* Hands on what has ended, as far as there is no gap: one fiber at a time. */
static void hand_on_in_order(struct run *run)
{
	if (run->draining)
		return;
	run->draining = true;
	while (run->done_seq != run->next_seq) {
		struct job *job = run->ring[run->done_seq & (run->ring_size - 1)];
		if (job->where != JOB_ENDED)
			break;
		struct weir_attempt last = {.number = job->tries.counted,
					    .deadline = WEIR_FOREVER,
					    .outcome = (enum weir_outcome)job->outcome,
					    .permanent = job->permanent};
		run->done_seq++; /* first: whoever looks for what is left must not find it twice */
		weir__job_hand_on(run, job, &last);
		weir__run_room_changed(run);
	}
	run->draining = false;
}

void weir__job_finish(struct run *run, struct job *job, const struct weir_attempt *last)
{
	struct weir_attempt none = {
		.number = job->tries.counted, .deadline = WEIR_FOREVER, .outcome = WEIR_OUTCOME_RELEASED};
	weir__job_leave_lane(run, job);
	if (!last)
		last = &none;
	job->where = JOB_ENDED;
	job->outcome = (unsigned char)last->outcome;
	job->permanent = last->permanent;
	if (run->ordered)
		hand_on_in_order(run);
	else
		weir__job_hand_on(run, job, last);
}

/* ---- an attempt */

/* Where the next attempt waits: with whoever keeps the jobs, or here.  Jobs with an order among them stay here. */
static void wait_for_next(struct run *run, struct job *job, const struct weir_attempt *attempt, weir_nsec at)
{
	const struct weir_process *process = run->process;
	if (process->postpone && !job->lane && !run->ordered &&
	    process->postpone(process->arg, job->data, at, attempt) == 0) {
		weir__postponed_add(run, at);
		weir__station_put(run, job->station);
		weir__job_free(run, job);
		run->live--;
		return;
	}
	if (run->ending) {
		job->result = WEIR_ECANCELED;
		weir__job_finish(run, job, attempt);
		return;
	}
	weir__job_retry(run, job, at);
}

static void after_attempt(struct run *run, struct job *job, struct weir_attempt *attempt)
{
	struct weir_policy *policy = run->policy;
	enum weir_outcome outcome = weir__outcome_of(attempt, job->result);
	struct weir_gate *gate = job->station->gate;
	weir_nsec at;
	if (gate)
		weir_gate_leave(gate, &job->pass, outcome, &attempt->told);
	job->has_pass = false;
	weir_nsec took = attempt->took ? attempt->took : weir_now() - job->tries.began;
	if (weir__unlikely(policy->profiler != NULL) && weir__auto_add(policy, attempt, outcome, took) &&
	    run->process->chosen)
		run->process->chosen(run->process->arg, &policy->choice);
	run->finishing++;
	bool again = weir__tries_end(policy, &job->tries, attempt, gate, job->result, &at);
	if (again && run->ending)
		job->result = WEIR_ECANCELED;
	if (again && !run->ending)
		wait_for_next(run, job, attempt, at);
	else
		weir__job_finish(run, job, attempt);
	run->finishing--;
}

/* With the permit in the task it is taken here. */
static int enter(struct run *run, struct job *job)
{
	if (weir_canceled())
		return WEIR_ECANCELED;
	if (!run->in_task || !job->station->gate)
		return 0;
	int code = weir_gate_enter(job->station->gate, &job->pass, weir__tries_expire(run->policy, &job->tries));
	job->has_pass = code == 0;
	return code;
}

static void attempt_job(struct run *run, struct job *job)
{
	struct weir_attempt attempt;
	int code = enter(run, job);
	if (code) {
		weir__job_give_back(run, job);
		job->result = code;
		weir__job_finish(run, job, NULL);
		return;
	}
	weir__tries_begin(run->policy, &job->tries, &attempt);
	job->result = weir__attempt_run(run->process->work, job->data, &attempt, run->process->arg);
	after_attempt(run, job, &attempt);
}

int weir__job_fiber(void *arg)
{
	struct run *run = arg;
	struct job *job = run->go.head;
	run->begun++;
	weir__jobs_remove(&run->go, job);
	job->where = JOB_RUNS;
	if (job->doomed)
		weir__job_finish(run, job, NULL);
	else
		attempt_job(run, job);
	run->under_way--;
	weir__run_room_changed(run);
	if (run->first_runnable || run->doomed.head || (run->produced_all && !run->live))
		weir__run_wake(run);
	return 0;
}
