/* SPDX-License-Identifier: MIT */
/*
 * Where jobs go, without a fiber: behind another job of their ordering key, into their queue (upstream_queue.c), among
 * the retries; and what takes them out of there, be it time or their end.
 */
#include "sync/process.h"

static int make_room(struct run *run)
{
	if (SLIST_EMPTY(&run->records.spare) && weir__records_more(&run->records))
		return WEIR_ENOMEM;
	size_t made = run->records.made;
	if (weir_heap_reserve(&run->retries, made) || weir_heap_reserve(&run->expiries, made))
		return WEIR_ENOMEM;
	if (run->ordered && weir__ring_more(&run->ring))
		return WEIR_ENOMEM;
	return run->process->ordering_key ? weir__ordering_keys_more(&run->ordering_keys) : 0;
}

struct job *weir__job_new(struct run *run)
{
	return make_room(run) ? NULL : weir__records_take(&run->records);
}

void weir__job_free(struct run *run, struct job *job)
{
	weir__records_give(&run->records, job);
}

/* ---- into a place */

static void watch_expiry(struct run *run, struct job *job)
{
	enum weir_cut cut;
	weir_nsec at = weir__attempts_expire(run->policy, job->attempts, &cut);
	if (at != WEIR_FOREVER)
		weir_heap_add(&run->expiries, at, &job->expires);
}

static void go_to_ordering_key(struct run *run, struct job *job)
{
	const struct weir_process *process = run->process;
	uint64_t key = process->ordering_key ? process->ordering_key(process->arg, job->data) : 0;
	if (!key || weir__ordering_keys_enter(&run->ordering_keys, job, key))
		weir__upstream_queue_add(job->queue, job);
	else
		run->counts.waiting++;
}

void weir__job_enter(struct run *run, struct job *job)
{
	const struct weir_process *process = run->process;
	job->where = JOB_TAKEN;
	run->counts.live++;
	run->stats.jobs++;
	if (run->ordered)
		weir__ring_add(&run->ring, job);
	job->attempts = process->attempts ? process->attempts(process->arg, job->data) : &job->own;
	weir__attempts_take(job->attempts);
	int code = weir__upstream_queue_of(run, process->key ? process->key(process->arg, job->data) : "", &job->queue);
	if (code) {
		weir__run_end(run, job, code, WEIR_CUT_NONE);
		return;
	}
	watch_expiry(run, job);
	go_to_ordering_key(run, job);
}

void weir__job_retry(struct run *run, struct job *job, weir_nsec at)
{
	job->where = JOB_RETRY;
	run->counts.waiting++;
	run->policy->waiting++;
	weir_heap_add(&run->retries, at, &job->rank);
	watch_expiry(run, job);
	if (weir_heap_top(&run->retries).node == &job->rank)
		weir__run_wake(run);
}

void weir__job_move(struct run *run, struct job *job, const char *key)
{
	struct upstream_queue *before = job->queue;
	job->where = JOB_TAKEN;
	int code = weir__upstream_queue_of(run, key, &job->queue);
	weir__upstream_queue_unref(run, before);
	if (code) {
		job->queue = NULL;
		weir__run_end(run, job, code, WEIR_CUT_NONE);
		return;
	}
	watch_expiry(run, job);
	weir__upstream_queue_add(job->queue, job);
}

/* ---- out of it */

void weir__job_leave_ordering_key(struct run *run, struct job *job)
{
	struct job *next = job->ordering_key ? weir__ordering_keys_leave(&run->ordering_keys, job) : NULL;
	if (!next)
		return;
	run->counts.waiting--;
	weir__upstream_queue_add(next->queue, next);
}

void weir__job_take_out(struct run *run, struct job *job)
{
	if (job->expires.index)
		weir_heap_remove(&run->expiries, &job->expires);
	switch ((enum job_where)job->where) {
	case JOB_BEHIND:
		TAILQ_REMOVE(&job->ordering_key->behind, job, others);
		job->ordering_key = NULL;
		run->counts.waiting--;
		break;
	case JOB_FRESH:
	case JOB_RANKED:
	case JOB_AGAIN:
		weir__upstream_queue_remove(job->queue, job);
		break;
	case JOB_RETRY:
		weir_heap_remove(&run->retries, &job->rank);
		run->counts.waiting--;
		run->policy->waiting--;
		break;
	case JOB_DOOMED:
		TAILQ_REMOVE(&run->doomed, job, others);
		break;
	case JOB_GO:
		TAILQ_REMOVE(&run->go, job, others);
		break;
	case JOB_FREE:
	case JOB_TAKEN:
	case JOB_RUNS:
	case JOB_ENDED:
		break;
	}
	job->where = JOB_TAKEN;
}

/* ---- by time */

#define owner_of(entry, member) ((struct job *)((char *)(entry).node - offsetof(struct job, member)))

void weir__jobs_due(struct run *run)
{
	weir_nsec now = weir_now();
	while (run->expiries.n && weir_heap_top(&run->expiries).key <= now) {
		struct job *job = owner_of(weir_heap_top(&run->expiries), expires);
		enum weir_cut cut;
		weir__attempts_expire(run->policy, job->attempts, &cut);
		weir__job_take_out(run, job);
		weir__run_end(run, job, WEIR_ETIMEDOUT, cut);
	}
	while (run->retries.n && weir_heap_top(&run->retries).key <= now) {
		struct job *job = owner_of(weir_heap_top(&run->retries), rank);
		weir_heap_remove(&run->retries, &job->rank);
		run->counts.waiting--;
		run->policy->waiting--;
		weir__upstream_queue_add(job->queue, job);
	}
}

weir_nsec weir__jobs_next_due(const struct run *run)
{
	weir_nsec retry = run->retries.n ? weir_heap_top(&run->retries).key : WEIR_FOREVER;
	weir_nsec expiry = run->expiries.n ? weir_heap_top(&run->expiries).key : WEIR_FOREVER;
	return weir__earlier(retry, expiry) ? retry : expiry;
}
