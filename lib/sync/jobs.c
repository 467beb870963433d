/* SPDX-License-Identifier: MIT */
/*
 * The records of jobs and the places in which they wait without a fiber: behind another job of their lane, in their
 * station (station.c), in the heap of retries.
 *
 * All room that a job could need is made before it is produced, so that none can be lost for want of memory.
 */
#include "sync/process.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_JOBS = 32 };

struct job_chunk {
	struct job_chunk *next;
	_Alignas(16) char jobs[];
};

static size_t record_bytes(const struct run *run)
{
	return (sizeof(struct job) + run->process->job_bytes + 15) & ~(size_t)15;
}

static struct job *job_at(const struct run *run, struct job_chunk *chunk, size_t i)
{
	return (struct job *)(void *)(chunk->jobs + i * record_bytes(run));
}

/* ---- records */

static int add_chunk(struct run *run)
{
	struct job_chunk *chunk = calloc(1, sizeof *chunk + CHUNK_JOBS * record_bytes(run));
	if (!chunk)
		return WEIR_ENOMEM;
	size_t made = run->made + CHUNK_JOBS;
	if (weir_heap_reserve(&run->retries, made) || weir_heap_reserve(&run->expiries, made)) {
		free(chunk);
		return WEIR_ENOMEM;
	}
	chunk->next = run->chunks;
	run->chunks = chunk;
	run->made = made;
	for (size_t i = CHUNK_JOBS; i-- > 0;) {
		struct job *job = job_at(run, chunk, i);
		job->next = run->free;
		run->free = job;
	}
	return 0;
}

static int make_ring(struct run *run)
{
	size_t size = run->ring_size ? run->ring_size * 2 : 64;
	struct job **ring = calloc(size, sizeof(struct job *));
	if (!ring)
		return WEIR_ENOMEM;
	for (uint64_t seq = run->done_seq; seq != run->next_seq; seq++)
		ring[seq & (size - 1)] = run->ring[seq & (run->ring_size - 1)];
	free(run->ring);
	run->ring = ring;
	run->ring_size = size;
	return 0;
}

static int make_lane(struct run *run)
{
	if (weir__table_reserve(&run->lanes))
		run->spare_lane = calloc(1, sizeof *run->spare_lane);
	return run->spare_lane ? 0 : WEIR_ENOMEM;
}

struct job *weir__job_new(struct run *run)
{
	if (!run->free && add_chunk(run))
		return NULL;
	if (run->ordered && run->next_seq - run->done_seq >= run->ring_size && make_ring(run))
		return NULL;
	if (run->process->lane && !run->spare_lane && make_lane(run))
		return NULL;
	struct job *job = run->free;
	run->free = job->next;
	memset(job, 0, sizeof *job);
	return job;
}

void weir__job_free(struct run *run, struct job *job)
{
	job->where = JOB_FREE;
	job->next = run->free;
	run->free = job;
}

void weir__jobs_each(struct run *run, void (*fn)(struct run *run, struct job *job))
{
	if (run->ordered) {
		for (; run->done_seq != run->next_seq; run->done_seq++)
			fn(run, run->ring[run->done_seq & (run->ring_size - 1)]);
		return;
	}
	for (struct job_chunk *chunk = run->chunks; chunk; chunk = chunk->next)
		for (size_t i = 0; i < CHUNK_JOBS; i++)
			if (job_at(run, chunk, i)->where != JOB_FREE)
				fn(run, job_at(run, chunk, i));
}

void weir__jobs_fini(struct run *run)
{
	for (struct job_chunk *chunk = run->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	for (struct weir__table_node *node = weir__table_next(&run->lanes, NULL), *next; node; node = next) {
		next = weir__table_next(&run->lanes, node);
		free(node);
	}
	free(run->spare_lane);
	weir__table_fini(&run->lanes);
	free(run->ring);
	free(run->postponed.due);
	weir_heap_fini(&run->retries);
	weir_heap_fini(&run->expiries);
}

/* ---- lists */

void weir__jobs_push(struct jobs *jobs, struct job *job)
{
	job->next = NULL;
	job->prev = jobs->tail;
	if (jobs->tail)
		jobs->tail->next = job;
	else
		jobs->head = job;
	jobs->tail = job;
}

void weir__jobs_push_front(struct jobs *jobs, struct job *job)
{
	job->prev = NULL;
	job->next = jobs->head;
	if (jobs->head)
		jobs->head->prev = job;
	else
		jobs->tail = job;
	jobs->head = job;
}

void weir__jobs_remove(struct jobs *jobs, struct job *job)
{
	if (job->prev)
		job->prev->next = job->next;
	else
		jobs->head = job->next;
	if (job->next)
		job->next->prev = job->prev;
	else
		jobs->tail = job->prev;
}

/* ---- lanes */

/* Whether the job has its lane for itself; else it waits behind others now. */
static bool enter_lane(struct run *run, struct job *job, uint64_t id)
{
	uint64_t hash = weir__hash_number(id);
	struct weir__table_node *node = weir__table_find(&run->lanes, hash);
	while (node && ((struct lane *)node)->id != id)
		node = weir__table_again(node);
	struct lane *lane = (struct lane *)node;
	if (lane) {
		job->lane = lane;
		job->where = JOB_IN_LANE;
		weir__jobs_push(&lane->behind, job);
		run->waiting++;
		return false;
	}
	lane = run->spare_lane;
	run->spare_lane = NULL;
	*lane = (struct lane){.id = id};
	weir__table_add(&run->lanes, &lane->node, hash);
	job->lane = lane;
	return true;
}

void weir__job_leave_lane(struct run *run, struct job *job)
{
	struct lane *lane = job->lane;
	if (!lane)
		return;
	job->lane = NULL;
	struct job *next = lane->behind.head;
	if (next) {
		weir__jobs_remove(&lane->behind, next);
		run->waiting--;
		weir__station_add(next->station, next);
		return;
	}
	weir__table_remove(&run->lanes, &lane->node);
	if (run->spare_lane)
		free(lane);
	else
		run->spare_lane = lane;
}

/* ---- places */

static void watch_expiry(struct run *run, struct job *job)
{
	weir_nsec at = weir__tries_expire(run->policy, &job->tries);
	if (at != WEIR_FOREVER)
		weir_heap_add(&run->expiries, at, &job->expires);
}

void weir__job_enter(struct run *run, struct job *job)
{
	const struct weir_process *process = run->process;
	job->where = JOB_TAKEN;
	run->live++;
	run->stats.jobs++;
	job->seq = run->next_seq++;
	if (run->ordered)
		run->ring[job->seq & (run->ring_size - 1)] = job;
	weir__tries_init(&job->tries, process->attempts ? process->attempts(process->arg, job->data) : 0);
	const char *key = process->key ? process->key(process->arg, job->data) : NULL;
	int code = weir__station_of(run, key ? key : "", &job->station);
	if (code) {
		weir__job_doom(run, job, code);
		return;
	}
	watch_expiry(run, job);
	uint64_t lane = process->lane ? process->lane(process->arg, job->data) : 0;
	if (!lane || enter_lane(run, job, lane))
		weir__station_add(job->station, job);
}

void weir__job_retry(struct run *run, struct job *job, weir_nsec at)
{
	job->where = JOB_RETRY;
	run->waiting++;
	run->policy->waiting++;
	weir_heap_add(&run->retries, at, &job->rank);
	watch_expiry(run, job);
	if (run->dispatcher.fiber && weir_heap_top(&run->retries).node == &job->rank)
		weir__run_wake(run);
}

void weir__job_doom(struct run *run, struct job *job, int result)
{
	job->where = JOB_DOOMED;
	job->doomed = true;
	job->result = result;
	weir__jobs_push(&run->doomed, job);
	weir__run_wake(run);
}

void weir__job_take_out(struct run *run, struct job *job)
{
	if (job->expires.index)
		weir_heap_remove(&run->expiries, &job->expires);
	switch ((enum job_where)job->where) {
	case JOB_IN_LANE:
		weir__jobs_remove(&job->lane->behind, job);
		job->lane = NULL;
		run->waiting--;
		break;
	case JOB_FRESH:
	case JOB_RANKED:
	case JOB_AGAIN:
		weir__station_remove(job->station, job);
		break;
	case JOB_RETRY:
		weir_heap_remove(&run->retries, &job->rank);
		run->waiting--;
		run->policy->waiting--;
		break;
	case JOB_DOOMED:
		weir__jobs_remove(&run->doomed, job);
		break;
	case JOB_GO:
		weir__jobs_remove(&run->go, job);
		break;
	case JOB_FREE:
	case JOB_TAKEN:
	case JOB_RUNS:
	case JOB_ENDED:
		break;
	}
	job->where = JOB_TAKEN;
}

#define owner_of(entry, member) ((struct job *)((char *)(entry).node - offsetof(struct job, member)))

void weir__jobs_due(struct run *run)
{
	weir_nsec now = weir_now();
	while (run->expiries.n && weir_heap_top(&run->expiries).key <= now) {
		struct job *job = owner_of(weir_heap_top(&run->expiries), expires);
		weir__job_take_out(run, job);
		weir__job_doom(run, job, WEIR_ETIMEDOUT);
	}
	while (run->retries.n && weir_heap_top(&run->retries).key <= now) {
		struct job *job = owner_of(weir_heap_top(&run->retries), rank);
		weir_heap_remove(&run->retries, &job->rank);
		run->waiting--;
		run->policy->waiting--;
		weir__station_add(job->station, job);
	}
}

weir_nsec weir__jobs_next_due(const struct run *run)
{
	weir_nsec retry = run->retries.n ? weir_heap_top(&run->retries).key : WEIR_FOREVER;
	weir_nsec expiry = run->expiries.n ? weir_heap_top(&run->expiries).key : WEIR_FOREVER;
	return weir__earlier(retry, expiry) ? retry : expiry;
}
