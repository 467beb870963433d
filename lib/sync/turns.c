/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is in a queue, and when.
 *
 * Retries that are due go first.  Those that the budget does not allow let the others pass.  A job none of whose
 * attempts counted is no retry, however often it came: it goes before the new ones, and asks for no budget.
 *
 * While its breaker is not closed one of those goes first that have not failed yet, if there are any, and any of them:
 * jobs that always fail say nothing of the upstream, and those that fail often stand next to each other.
 *
 * While the gate is shut for longer than a moment the jobs go back to who keeps them, until it opens; those of an
 * upstream that is given up end.
 */
#include "sync/process.h"

#include <weir/random.h>

/* ---- who is next */

static void take_out(struct upstream_queue *queue, struct job *job)
{
	if (job->expires.index)
		weir_heap_remove(&queue->run->expiries, &job->expires);
	weir__upstream_queue_remove(queue, job);
	job->where = JOB_TAKEN;
}

static struct job *ranked_at(const struct upstream_queue *queue, size_t at)
{
	return (struct job *)((char *)queue->ranked.entries[at].node - offsetof(struct job, rank));
}

/* Any of the first many that have not failed yet; NULL: there is none. */
static struct job *pick_probe(struct upstream_queue *queue)
{
	enum { LOOKS = 1000 };
	struct job *picked = NULL;
	uint64_t seen = 0, *random = &queue->run->policy->random;
	struct job *listed = TAILQ_FIRST(&queue->fresh);
	for (size_t i = 0; i < LOOKS && listed; i++, listed = TAILQ_NEXT(listed, others))
		if (!listed->attempts->failed && weir_random_below(random, ++seen) == 0)
			picked = listed;
	for (size_t at = 1; at <= LOOKS && at <= queue->ranked.n; at++)
		if (!ranked_at(queue, at)->attempts->failed && weir_random_below(random, ++seen) == 0)
			picked = ranked_at(queue, at);
	return picked;
}

/* Which is next; NULL: none may. */
static struct job *pick(struct upstream_queue *queue)
{
	struct run *run = queue->run;
	struct job *again = TAILQ_FIRST(&queue->again);
	bool probes = queue->gate && weir__gate_probes(queue->gate);
	struct job *probe = probes && queue->fresh_count ? pick_probe(queue) : NULL;
	if (probe)
		return probe;
	if (again && weir__budget_allows(run->policy))
		return again;
	if (!TAILQ_EMPTY(&queue->fresh))
		return TAILQ_FIRST(&queue->fresh);
	return queue->ranked.n ? ranked_at(queue, 1) : NULL;
}

/* ---- it is shut */

static void set_shut(struct upstream_queue *queue, bool shut)
{
	struct run *run = queue->run;
	if (queue->shut == shut)
		return;
	queue->shut = shut;
	run->counts.ready += shut ? -queue->fresh_count : queue->fresh_count;
	run->counts.waiting += shut ? queue->fresh_count : -queue->fresh_count;
}

static void send_away(struct upstream_queue *queue, struct job *job, weir_nsec until)
{
	take_out(queue, job);
	weir__run_defer(queue->run, job, until);
}

static bool rejects(const struct upstream_queue *queue)
{
	return queue->run->policy->options.gate_flags & WEIR_GATE_REJECT;
}

static bool is_given_up(const struct upstream_queue *queue)
{
	struct weir_gate_stats stats;
	weir_gate_stats(queue->gate, &stats);
	return stats.breaker != WEIR_BREAKER_CLOSED && weir__gives_up(queue->run->policy, queue->gate, stats.word);
}

static void give_up(struct upstream_queue *queue, struct job *job)
{
	take_out(queue, job);
	weir__run_end(queue->run, job, WEIR_EOPEN, WEIR_CUT_GIVEN_UP);
}

/* A job that has failed comes back later than the others. */
static void leave_shut(struct upstream_queue *queue, struct job *job, bool given_up, weir_nsec until)
{
	if (given_up) {
		give_up(queue, job);
	} else if (weir__run_may_defer(queue->run, job)) {
		weir_nsec of_job = weir__attempts_knock(job->attempts, queue->gate);
		send_away(queue, job, of_job != WEIR_FOREVER && of_job > until ? of_job : until);
	}
}

static void send_all_away(struct upstream_queue *queue, bool given_up, weir_nsec until)
{
	struct jobs *const lists[] = {&queue->again, &queue->fresh};
	for (size_t i = 0; i < 2; i++)
		for (struct job *job = TAILQ_FIRST(lists[i]), *next; job; job = next) {
			next = TAILQ_NEXT(job, others);
			leave_shut(queue, job, given_up, until);
		}
	for (size_t at = queue->ranked.n; at > 0; at--)
		if (at <= queue->ranked.n)
			leave_shut(queue, ranked_at(queue, at), given_up, until);
}

/* It lets nobody in at the moment: until it opens, if that is known, they need not wait here. */
static void hold_back(struct upstream_queue *queue)
{
	weir_nsec until = weir__gate_shut_until(queue->gate);
	set_shut(queue, until != 0);
	if (!until || until == WEIR_FOREVER || until <= weir_now() + WEIR__MOMENT)
		return;
	send_all_away(queue, is_given_up(queue), until);
	if (!queue->waiting)
		weir__upstream_queue_give_back(queue);
}

/* One that would wait in its own fiber is looked at before it has that. */
static bool leaves_task(struct upstream_queue *queue, struct job *job)
{
	weir_nsec until = weir__gate_shut_until(queue->gate);
	if (until == WEIR_FOREVER || until <= weir_now() + WEIR__MOMENT || rejects(queue) ||
	    !weir__run_may_defer(queue->run, job))
		return false;
	leave_shut(queue, job, is_given_up(queue), until);
	return true;
}

/* A job that has failed leaves the first probes of a half-open breaker to others, which may be elsewhere. */
static bool leaves_probes(struct upstream_queue *queue, struct job *job)
{
	if (!job->attempts->failed || !job->attempts->history || !weir__run_may_defer(queue->run, job) ||
	    rejects(queue) || !weir__gate_probes(queue->gate))
		return false;
	weir_nsec until = weir__gate_knock(queue->gate, job->attempts->history);
	if (until == WEIR_FOREVER || until <= weir_now() + WEIR__MOMENT)
		return false;
	if (is_given_up(queue))
		give_up(queue, job);
	else
		send_away(queue, job, until);
	return true;
}

/* ---- serving */

/* 0 with a pass for the next job, WEIR_EAGAIN: it stands in line, WEIR_EOPEN. */
static int get_pass(struct upstream_queue *queue, struct weir__pass *ret_pass)
{
	if (queue->in_line && queue->line.code == WEIR__IN_LINE)
		return WEIR_EAGAIN;
	if (queue->in_line && queue->line.code == 0 && !weir__gate_honours(queue->gate, &queue->line.pass)) {
		weir__upstream_queue_give_back(queue); /* while there was no room for another job */
	} else if (queue->in_line) {
		queue->in_line = false;
		*ret_pass = queue->line.pass;
		return queue->line.code;
	}
	int code = weir__gate_try(queue->gate, ret_pass);
	if (code != WEIR_EAGAIN)
		return code;
	queue->in_line = true;
	weir__gate_line_up(queue->gate, &queue->line);
	return queue->line.code == WEIR__IN_LINE ? WEIR_EAGAIN : get_pass(queue, ret_pass);
}

/* Starts one job: whether another one might start. */
static bool serve_one(struct run *run, struct upstream_queue *queue)
{
	struct job *job = pick(queue);
	bool enters = queue->gate && !run->in_task;
	int code = 0;
	if (!job) {
		weir__upstream_queue_give_back(queue);
		if (!TAILQ_EMPTY(&queue->again))
			weir__budget_wait(run->policy, &run->budget);
		return false;
	}
	if (enters ? leaves_probes(queue, job) : queue->gate && leaves_task(queue, job))
		return true;
	if (enters)
		code = get_pass(queue, &job->pass);
	if (code == WEIR_EAGAIN) {
		hold_back(queue);
		return false;
	}
	set_shut(queue, false);
	take_out(queue, job);
	job->has_pass = code == 0 && enters;
	if (code)
		weir__run_end(run, job, code, code == WEIR_EOPEN ? WEIR_CUT_REJECTED : WEIR_CUT_NONE);
	else
		weir__run_launch(run, job);
	return true;
}

static void serve(struct run *run, struct upstream_queue *queue)
{
	while (weir__run_may_start(run)) {
		bool is_full = !queue->gate && !run->in_task && run->counts.local >= run->limits.concurrency;
		if (is_full || !serve_one(run, queue)) {
			weir__upstream_queue_keep_time(queue);
			return;
		}
	}
	weir__upstream_queue_wake(queue); /* it goes on when there is room */
}

void weir__upstream_queues_serve(struct run *run)
{
	struct upstream_queues *queues = &run->queues;
	struct weir_heap *openings = &queues->openings;
	weir_nsec now = weir_now();
	while (openings->n && weir_heap_top(openings).key <= now) {
		struct upstream_queue *queue = (struct upstream_queue *)((char *)weir_heap_top(openings).node -
									 offsetof(struct upstream_queue, opens));
		weir_heap_remove(openings, &queue->opens);
		weir__gate_hand_out(queue->gate);
		weir__upstream_queue_wake(queue);
	}
	/* Those that become runnable meanwhile have their turn the next time. */
	struct upstream_queue *last = TAILQ_LAST(&queues->runnable, runnable_queues), *queue;
	while ((queue = TAILQ_FIRST(&queues->runnable)) && weir__run_may_start(run)) {
		TAILQ_REMOVE(&queues->runnable, queue, others);
		queue->runnable = false;
		serve(run, queue);
		if (queue == last)
			break;
	}
}
