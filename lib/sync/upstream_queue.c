/* SPDX-License-Identifier: MIT */
/*
 * Per-upstream queues: the jobs that wait for one gate, without a fiber each.  A queue with jobs tries its gate
 * (turns.c); when that says "not now" it joins the gate's line like any fiber would, once, whatever the number of its
 * jobs, and is served again when it was notified.  So a gate that is shut holds up its own jobs only.
 *
 * A slow upstream must not take the places of others: when too many wait in a queue, and it is not the only one, the
 * next ones go back to who keeps them (process.postpone), until the line before them should be through.
 */
#include "sync/process.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT = 16 }; /* queues without jobs */

#define LONGEST_LINE (5 * WEIR_SEC) /* that a job is sent back for */

/* ---- which there are */

void weir__upstream_queue_wake(struct upstream_queue *queue)
{
	struct upstream_queues *queues = &queue->run->queues;
	if (queue->runnable)
		return;
	queue->runnable = true;
	TAILQ_INSERT_TAIL(&queues->runnable, queue, others);
	weir__run_wake(queue->run);
}

static void notified(struct weir__gate_waiter *line)
{
	weir__upstream_queue_wake((struct upstream_queue *)((char *)line - offsetof(struct upstream_queue, line)));
}

static struct upstream_queue *make_queue(struct run *run, const char *key)
{
	size_t key_bytes = strlen(key) + 1;
	struct upstream_queue *queue = calloc(1, sizeof *queue + key_bytes);
	if (!queue)
		return NULL;
	memcpy(queue->key, key, key_bytes);
	queue->run = run;
	TAILQ_INIT(&queue->again);
	TAILQ_INIT(&queue->fresh);
	queue->line.tell = notified;
	run->limits.measured_at = WEIR_FOREVER;
	return queue;
}

static int new_queue(struct run *run, const char *key, uint64_t hash, struct upstream_queue **ret_queue)
{
	struct upstream_queues *queues = &run->queues;
	if (weir_table_reserve(&queues->table) || weir_heap_reserve(&queues->openings, queues->table.n + 1))
		return WEIR_ENOMEM;
	struct upstream_queue *queue = make_queue(run, key);
	int code = queue ? weir__policy_gate(run->policy, key, &queue->gate) : WEIR_ENOMEM;
	if (code) {
		free(queue);
		return code;
	}
	weir_table_add(&queues->table, &queue->node, hash);
	*ret_queue = queue;
	return 0;
}

static int find_queue(struct run *run, const char *key, struct upstream_queue **ret_queue)
{
	uint64_t hash = weir_hash_text(run->policy->options.seed, key);
	struct weir_table_node *node = weir_table_find(&run->queues.table, hash);
	while (node && strcmp(((struct upstream_queue *)node)->key, key) != 0)
		node = weir_table_again(node);
	*ret_queue = (struct upstream_queue *)node;
	return node ? 0 : new_queue(run, key, hash, ret_queue);
}

int weir__upstream_queue_of(struct run *run, const char *key, struct upstream_queue **ret_queue)
{
	struct upstream_queue *found = NULL, **known = &found;
	int code = 0;
	if (!key)
		known = &run->queues.local;
	else if (!*key)
		known = &run->queues.keyless;
	if (!*known && key)
		code = find_queue(run, key, known);
	else if (!*known)
		code = (*known = make_queue(run, "")) ? 0 : WEIR_ENOMEM;
	if (code)
		return code;
	(*known)->jobs++;
	*ret_queue = *known;
	return 0;
}

void weir__upstream_queue_give_back(struct upstream_queue *queue)
{
	if (queue->in_line && queue->line.code == WEIR__IN_LINE)
		weir__gate_step_out(queue->gate, &queue->line);
	else if (queue->in_line && queue->line.code == 0)
		weir__gate_leave(queue->gate, &queue->line.pass, WEIR_OUTCOME_RELEASED, NULL);
	queue->in_line = false;
}

void weir__upstream_queue_keep_time(struct upstream_queue *queue)
{
	struct weir_heap *openings = &queue->run->queues.openings;
	if (queue->opens.index)
		weir_heap_remove(openings, &queue->opens);
	if (!queue->in_line)
		return;
	weir_nsec opens = weir__gate_keeps(queue->gate, &queue->line);
	if (opens != WEIR_FOREVER)
		weir_heap_add(openings, opens, &queue->opens);
}

static void free_queue(struct run *run, struct upstream_queue *queue)
{
	weir__upstream_queue_give_back(queue);
	weir__upstream_queue_keep_time(queue);
	if (queue->gate)
		weir__policy_unref(run->policy, queue->gate);
	weir_heap_fini(&queue->ranked);
	free(queue);
}

/* The queues of jobs without a key or an upstream stay, and so do a few others: they come again.  A job may have
 * found no memory for one. */
void weir__upstream_queue_unref(struct run *run, struct upstream_queue *queue)
{
	struct upstream_queues *queues = &run->queues;
	if (!queue || --queue->jobs || queues->table.n <= KEPT || queue == queues->keyless || queue == queues->local)
		return;
	weir_table_remove(&queues->table, &queue->node);
	if (queue->runnable)
		TAILQ_REMOVE(&queues->runnable, queue, others);
	free_queue(run, queue);
	run->limits.measured_at = WEIR_FOREVER;
}

static struct upstream_queue *next_queue(const struct run *run, const struct upstream_queue *queue)
{
	return (struct upstream_queue *)weir_table_next(&run->queues.table, queue ? &queue->node : NULL);
}

void weir__upstream_queues_fini(struct run *run)
{
	for (struct upstream_queue *queue = next_queue(run, NULL), *next; queue; queue = next) {
		next = next_queue(run, queue);
		free_queue(run, queue);
	}
	if (run->queues.local)
		free_queue(run, run->queues.local);
	weir_table_fini(&run->queues.table);
	weir_heap_fini(&run->queues.openings);
}

/* How many may wait before a gate that others need not wait for. */
static size_t line_of(size_t limit)
{
	return limit / 4 + 4;
}

void weir__upstream_queues_measure(const struct run *run, size_t *ret_concurrency, size_t *ret_line)
{
	*ret_concurrency = *ret_line = 0;
	for (const struct upstream_queue *queue = next_queue(run, NULL); queue; queue = next_queue(run, queue)) {
		size_t limit = weir__gate_limit(queue->gate);
		*ret_concurrency += limit;
		*ret_line += line_of(limit);
	}
}

void weir__upstream_queues_retry(struct run *run)
{
	for (struct upstream_queue *queue = next_queue(run, NULL); queue; queue = next_queue(run, queue))
		if (!TAILQ_EMPTY(&queue->again) && !queue->in_line)
			weir__upstream_queue_wake(queue);
	weir__upstream_queues_local(run);
}

void weir__upstream_queues_local(struct run *run)
{
	if (run->queues.local && run->queues.local->waiting)
		weir__upstream_queue_wake(run->queues.local);
}

/* ---- the jobs in it */

static int64_t rank_of(struct run *run, struct job *job)
{
	int64_t class = run->process->priority(run->process->arg, job->data), behind;
	if (class <= 0)
		return job->attempts->taken;
	if (__builtin_mul_overflow(class, run->policy->options.aging, &behind) ||
	    __builtin_add_overflow(behind, job->attempts->taken, &behind))
		return INT64_MAX;
	return behind;
}

/* Without memory for another rank the job goes with those that have none. */
static void add_fresh(struct upstream_queue *queue, struct job *job)
{
	struct run *run = queue->run;
	if (run->process->priority && weir_heap_reserve(&queue->ranked, queue->ranked.n + 1) == 0) {
		job->where = JOB_RANKED;
		weir_heap_add(&queue->ranked, rank_of(run, job), &job->rank);
	} else {
		job->where = JOB_FRESH;
		if (job->attempts->streak)
			TAILQ_INSERT_HEAD(&queue->fresh, job, others);
		else
			TAILQ_INSERT_TAIL(&queue->fresh, job, others);
	}
	queue->fresh_count++;
	if (queue->shut)
		run->counts.waiting++;
	else
		run->counts.ready++;
}

/* ---- too many before one of several */

/* When the line before its gate will be through, about. */
static weir_nsec end_of_line(const struct upstream_queue *queue)
{
	struct weir_gate_stats stats;
	weir_gate_stats(queue->gate, &stats);
	double ahead = (double)queue->waiting + 1, wait = 0;
	if (stats.per_sec > 0)
		wait = ahead / stats.per_sec * (double)WEIR_SEC;
	else if (stats.limit)
		wait = ahead / (double)stats.limit * (double)stats.min_latency;
	if (wait < (double)WEIR__MOMENT)
		wait = (double)WEIR__MOMENT;
	return weir_now() + (wait < (double)LONGEST_LINE ? (weir_nsec)wait : LONGEST_LINE);
}

static bool is_crowded(const struct upstream_queue *queue)
{
	return queue->in_line && queue->waiting >= 4 && queue->run->queues.table.n > 1 &&
	       queue->waiting >= line_of(weir__gate_limit(queue->gate));
}

void weir__upstream_queue_add(struct upstream_queue *queue, struct job *job)
{
	struct run *run = queue->run;
	if (is_crowded(queue) && weir__run_may_defer(run, job)) {
		if (job->expires.index)
			weir_heap_remove(&run->expiries, &job->expires);
		weir__run_defer(run, job, end_of_line(queue));
		return;
	}
	queue->waiting++;
	if (job->attempts->counted) {
		job->where = JOB_AGAIN;
		TAILQ_INSERT_TAIL(&queue->again, job, others);
		run->counts.waiting++;
		run->policy->waiting++;
		run->policy->due++;
	} else {
		add_fresh(queue, job);
	}
	if (!queue->in_line || queue->shut)
		weir__upstream_queue_wake(queue);
}

void weir__upstream_queue_remove(struct upstream_queue *queue, struct job *job)
{
	struct run *run = queue->run;
	queue->waiting--;
	if (job->where == JOB_AGAIN) {
		TAILQ_REMOVE(&queue->again, job, others);
		run->counts.waiting--;
		run->policy->waiting--;
		run->policy->due--;
		return;
	}
	if (job->where == JOB_RANKED)
		weir_heap_remove(&queue->ranked, &job->rank);
	else
		TAILQ_REMOVE(&queue->fresh, job, others);
	queue->fresh_count--;
	if (queue->shut)
		run->counts.waiting--;
	else
		run->counts.ready--;
}
