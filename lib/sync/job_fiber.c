/* SPDX-License-Identifier: MIT */
/*
 * The fiber of a job: one attempt, and what comes of it.  The permit is given back when the attempt has ended, before
 * the result is handed on; a job that is to be tried again leaves its fiber.
 */
#include "sync/process.h"

/* Reading goes on when half of what was read ahead is gone: fewer switches. */
void weir__run_room_changed(struct run *run)
{
	if (weir__waits(&run->reader) && weir__run_has_room(run) &&
	    (run->limits.batches || run->counts.ready <= run->limits.capacity / 2))
		weir__wake(&run->reader, 0);
}

/* A pass that was not used, or the part of the budget. */
static void give_back(struct run *run, struct job *job)
{
	weir__budget_give_back(run->policy, job->attempts);
	if (job->has_pass)
		weir__gate_leave(job->queue->gate, &job->pass, WEIR_OUTCOME_RELEASED, NULL);
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

static void leave(struct run *run, struct job *job)
{
	weir__upstream_queue_unref(run, job->queue);
	weir__job_free(run, job);
	run->counts.live--;
}

static void hand_on(struct run *run, struct job *job, const struct weir_attempt *last)
{
	const struct weir_process *process = run->process;
	int result = job->result;
	count_result(run, result);
	int code = process->done ? process->done(process->arg, job->data, result, last) : 0;
	leave(run, job);
	if (code < 0)
		weir__run_stop(run, code);
	else if (result < 0 && result != WEIR_ECANCELED && process->flags & WEIR_PROCESS_RAISE)
		weir__run_stop(run, result);
}

/* As far as it is known when others had to end before. */
static struct weir_attempt last_of(const struct job *job)
{
	return (struct weir_attempt){
		.number = job->attempts->counted,
		.deadline = WEIR_FOREVER,
		.outcome = job->where == JOB_ENDED ? (enum weir_outcome)job->outcome : WEIR_OUTCOME_RELEASED,
		.permanent = job->permanent,
		.cut = (enum weir_cut)job->cut,
	};
}

/* Hands on what has ended, as far as there is no gap: one fiber at a time. */
static void hand_on_in_order(struct run *run)
{
	struct job *job;
	if (run->ring.draining)
		return;
	run->ring.draining = true;
	while ((job = weir__ring_first(&run->ring)) && job->where == JOB_ENDED) {
		struct weir_attempt last = last_of(job);
		run->ring.done_seq++; /* first: whoever looks for what is left must not find it twice */
		hand_on(run, job, &last);
		weir__run_room_changed(run);
	}
	run->ring.draining = false;
}

static void finish(struct run *run, struct job *job, const struct weir_attempt *last)
{
	weir__job_leave_ordering_key(run, job);
	job->outcome = (unsigned char)last->outcome;
	job->permanent = last->permanent;
	job->cut = (unsigned char)last->cut;
	job->where = JOB_ENDED;
	if (run->ordered)
		hand_on_in_order(run);
	else
		hand_on(run, job, last);
}

/* Without an attempt. */
static void finish_with(struct run *run, struct job *job, int result, enum weir_cut cut)
{
	job->result = result;
	job->cut = (unsigned char)cut;
	struct weir_attempt last = last_of(job);
	finish(run, job, &last);
}

void weir__job_end(struct run *run, struct job *job)
{
	struct weir_attempt last = last_of(job);
	if (job->where != JOB_ENDED && job->fate != JOB_END) {
		if (job->where == JOB_GO && job->fate == JOB_TRY)
			give_back(run, job);
		job->result = WEIR_ECANCELED;
	}
	weir__job_take_out(run, job);
	hand_on(run, job, &last);
}

/* ---- an attempt */

/* Where the next attempt waits: with whoever keeps the jobs, or here.  Jobs with an order among them stay here. */
static void wait_for_next(struct run *run, struct job *job, const struct weir_attempt *attempt, weir_nsec at)
{
	const struct weir_process *process = run->process;
	if (weir__run_may_defer(run, job) && process->postpone(process->arg, job->data, at, attempt) == 0) {
		bool were_too_many = weir__postponed_too_many(&run->postponed);
		weir__postponed_add(&run->postponed, at);
		if (!were_too_many && weir__postponed_too_many(&run->postponed))
			weir__run_wake(run); /* which has to know when there will be fewer: the reader waits for that */
		leave(run, job);
	} else if (run->ending) {
		job->result = WEIR_ECANCELED;
		finish(run, job, attempt);
	} else {
		job->fate = JOB_TRY;
		weir__job_retry(run, job, at);
	}
}

static void after_attempt(struct run *run, struct job *job, struct weir_attempt *attempt)
{
	struct weir_policy *policy = run->policy;
	weir_nsec at;
	weir__attempt_leave(attempt, job->result);
	weir_nsec took = attempt->took ? attempt->took : weir_now() - job->attempts->began;
	if (weir__unlikely(policy->profiler != NULL) && weir__auto_add(policy, attempt, attempt->outcome, took) &&
	    run->process->chosen)
		run->process->chosen(run->process->arg, &policy->choice);
	run->counts.finishing++;
	bool again = weir__attempt_end(attempt, job->result, &at);
	if (again && run->ending)
		job->result = WEIR_ECANCELED;
	if (again && !run->ending)
		wait_for_next(run, job, attempt, at);
	else
		finish(run, job, attempt);
	run->counts.finishing--;
}

static void attempt_job(struct run *run, struct job *job)
{
	struct weir__call call = {
		.policy = run->policy,
		.attempts = job->attempts,
		.gate = job->queue->gate,
		.key = job->queue->key,
		.pass = job->pass,
		.has_pass = job->has_pass,
	};
	struct weir_attempt attempt;
	weir__attempt_begin(&call, &attempt);
	attempt.cut = (enum weir_cut)job->cut;
	job->has_pass = false;
	job->fate = JOB_TRY;
	job->cut = WEIR_CUT_NONE;
	job->result = weir__attempt_run(run->process->work, job->data, &attempt, run->process->arg);
	if (job->result != WEIR_EAGAIN || !attempt.next) {
		after_attempt(run, job, &attempt);
		return;
	}
	weir__attempt_undo(&attempt);
	if (run->ending)
		finish_with(run, job, WEIR_ECANCELED, WEIR_CUT_NONE);
	else
		weir__job_move(run, job, attempt.next);
}

/* With the permit in the task it is taken here. */
static void enter_and_attempt(struct run *run, struct job *job)
{
	enum weir_cut cut = WEIR_CUT_NONE;
	weir_nsec expire = weir__attempts_expire(run->policy, job->attempts, &cut);
	int code = weir_canceled() ? WEIR_ECANCELED : 0;
	bool enters = run->in_task && job->queue->gate;
	if (code == 0 && enters)
		code = weir__gate_enter(job->queue->gate, &job->pass, expire);
	job->has_pass = job->has_pass || (code == 0 && enters);
	if (code == WEIR_EOPEN)
		cut = WEIR_CUT_REJECTED;
	else if (code != WEIR_ETIMEDOUT)
		cut = WEIR_CUT_NONE;
	job->cut = (unsigned char)cut;
	if (code == 0 || (code == WEIR_EOPEN && run->process->flags & WEIR_PROCESS_TELL)) {
		attempt_job(run, job);
		return;
	}
	give_back(run, job);
	finish_with(run, job, code, cut);
}

static void defer(struct run *run, struct job *job)
{
	struct weir_attempt none = last_of(job);
	weir_nsec due = job->due;
	job->pass = (struct weir__pass){0};
	wait_for_next(run, job, &none, due);
}

int weir__job_fiber(void *arg)
{
	struct run *run = arg;
	struct job *job = TAILQ_FIRST(&run->go);
	bool is_local = job->is_local;
	run->begun++;
	TAILQ_REMOVE(&run->go, job, others);
	job->where = JOB_RUNS;
	job->is_local = false;
	switch ((enum job_fate)job->fate) {
	case JOB_TRY:
		enter_and_attempt(run, job);
		break;
	case JOB_TELL:
		weir__budget_take(run->policy, job->attempts);
		attempt_job(run, job);
		break;
	case JOB_DEFER:
		defer(run, job);
		break;
	case JOB_END:
		finish_with(run, job, job->result, (enum weir_cut)job->cut);
		break;
	}
	run->counts.under_way--;
	run->counts.local -= is_local;
	if (is_local)
		weir__upstream_queues_local(run);
	weir__run_room_changed(run);
	if (!TAILQ_EMPTY(&run->queues.runnable) || !TAILQ_EMPTY(&run->doomed) ||
	    (run->produced_all && !run->counts.live))
		weir__run_wake(run);
	return 0;
}
