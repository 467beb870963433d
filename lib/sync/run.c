/* SPDX-License-Identifier: MIT */
/*
 * Fibers of a run: they are woken, started, stopped.  A job that gets no attempt has a fiber, too, since what is told
 * of it may suspend.
 */
#include "sync/process.h"

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

int weir__run_spawn(struct run *run, weir_fiber_fn fn)
{
	int code = weir_group_spawn(run->group, fn, run, WEIR_FOREVER);
	run->spawned += code == 0;
	return code;
}

void weir__run_start(struct run *run, struct job *job)
{
	job->where = JOB_GO;
	TAILQ_INSERT_TAIL(&run->go, job, others);
	run->counts.under_way++;
	int code = weir__run_spawn(run, run->body);
	if (code)
		weir__run_stop(run, code);
}

void weir__run_launch(struct run *run, struct job *job)
{
	weir__budget_take(run->policy, job->attempts);
	if (run->counts.ready < run->limits.least)
		run->limits.least = run->counts.ready;
	job->is_local = !job->queue->gate;
	run->counts.local += job->is_local;
	weir__run_start(run, job);
}

static void doom(struct run *run, struct job *job, enum job_fate fate)
{
	job->where = JOB_DOOMED;
	job->fate = fate;
	TAILQ_INSERT_TAIL(&run->doomed, job, others);
	weir__run_wake(run);
}

void weir__run_end(struct run *run, struct job *job, int result, enum weir_cut cut)
{
	bool tells = cut == WEIR_CUT_GIVEN_UP || cut == WEIR_CUT_REJECTED;
	job->result = result;
	job->cut = cut;
	doom(run, job, tells && run->process->flags & WEIR_PROCESS_TELL ? JOB_TELL : JOB_END);
}

/* One whose time would be over by then is not made to wait for that. */
void weir__run_defer(struct run *run, struct job *job, weir_nsec until)
{
	weir_nsec now = weir_now();
	enum weir_cut cut;
	weir_nsec expire = weir__attempts_expire(run->policy, job->attempts, &cut);
	job->due = weir__later_by(now, weir__spread(run->policy, until - now));
	if (expire != WEIR_FOREVER && job->due >= expire)
		weir__run_end(run, job, WEIR_ETIMEDOUT, cut);
	else
		doom(run, job, JOB_DEFER);
}

bool weir__run_may_defer(const struct run *run, const struct job *job)
{
	return run->process->postpone && !job->ordering_key && !run->ordered;
}
