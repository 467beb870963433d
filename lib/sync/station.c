/* SPDX-License-Identifier: MIT */
/*
 * Stations: the jobs of one gate that wait for their turn, without a fiber.  A station with jobs tries its gate; when
 * that says "not now" it joins the gate's line like any fiber would, once, whatever the number of its jobs, and is
 * served again when it was told.  So a gate that is shut holds up its own jobs only.
 *
 * Retries that are due go first.  Those that the budget does not allow let the others pass.  A job none of whose
 * attempts counted is no retry, however often it came: it goes before the new ones, and asks for no budget.  With a
 * breaker that is half-open it is the other way round: jobs that always fail would be its probes for ever.
 */
#include "sync/process.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT = 16 }; /* stations without jobs */

/* ---- which there are */

static void make_runnable(struct station *station)
{
	struct run *run = station->run;
	if (station->runnable)
		return;
	station->runnable = true;
	station->next_runnable = NULL;
	if (run->last_runnable)
		run->last_runnable->next_runnable = station;
	else
		run->first_runnable = station;
	run->last_runnable = station;
	weir__run_wake(run);
}

static void told(struct weir__gate_waiter *line)
{
	make_runnable((struct station *)((char *)line - offsetof(struct station, line)));
}

static int new_station(struct run *run, const char *key, uint64_t hash, struct station **ret_station)
{
	size_t key_bytes = strlen(key) + 1;
	if (!weir__table_reserve(&run->stations) || weir_heap_reserve(&run->openings, run->stations.n + 1))
		return WEIR_ENOMEM;
	struct station *station = calloc(1, sizeof *station + key_bytes);
	if (!station)
		return WEIR_ENOMEM;
	if (!run->own) {
		int code = weir_policy_gate(run->policy, key, &station->gate);
		if (code) {
			free(station);
			return code;
		}
	}
	memcpy(station->key, key, key_bytes);
	station->run = run;
	station->line.tell = told;
	weir__table_add(&run->stations, &station->node, hash);
	*ret_station = station;
	return 0;
}

/* With gates of their own all jobs share one station without a gate. */
int weir__station_of(struct run *run, const char *key, struct station **ret_station)
{
	if (run->own)
		key = "";
	if (!*key && run->keyless) {
		run->keyless->jobs++;
		*ret_station = run->keyless;
		return 0;
	}
	uint64_t hash = weir__hash_text(key);
	struct weir__table_node *node = weir__table_find(&run->stations, hash);
	while (node && strcmp(((struct station *)node)->key, key) != 0)
		node = weir__table_again(node);
	struct station *station = (struct station *)node;
	if (!station) {
		int code = new_station(run, key, hash, &station);
		if (code)
			return code;
		run->measured_at = WEIR_FOREVER;
	}
	if (!*key)
		run->keyless = station;
	station->jobs++;
	*ret_station = station;
	return 0;
}

static void give_back_pass(struct station *station)
{
	if (station->in_line && station->line.code == WEIR__IN_LINE)
		weir__gate_step_out(station->gate, &station->line);
	else if (station->in_line && station->line.code == 0)
		weir_gate_leave(station->gate, &station->line.pass, WEIR_OUTCOME_RELEASED, NULL);
	station->in_line = false;
}

static void set_shut(struct station *station, bool shut)
{
	struct run *run = station->run;
	if (station->shut == shut)
		return;
	station->shut = shut;
	run->ready += shut ? -station->fresh_count : station->fresh_count;
	run->waiting += shut ? station->fresh_count : -station->fresh_count;
}

static void keep_time(struct station *station)
{
	struct run *run = station->run;
	if (station->opens.index)
		weir_heap_remove(&run->openings, &station->opens);
	if (!station->in_line)
		return;
	weir_nsec opens = weir__gate_keeps(station->gate, &station->line);
	if (opens != WEIR_FOREVER)
		weir_heap_add(&run->openings, opens, &station->opens);
}

static void station_free(struct run *run, struct station *station)
{
	give_back_pass(station);
	keep_time(station);
	if (station->gate)
		weir_policy_put(run->policy, station->gate);
	weir_heap_fini(&station->ranked);
	free(station);
}

static void unlink_runnable(struct run *run, struct station *station)
{
	struct station *before = NULL, *at = run->first_runnable;
	if (!station->runnable)
		return;
	for (; at != station; at = at->next_runnable)
		before = at;
	if (before)
		before->next_runnable = station->next_runnable;
	else
		run->first_runnable = station->next_runnable;
	if (run->last_runnable == station)
		run->last_runnable = before;
	station->runnable = false;
}

/* The station of jobs without a key stays, and so do a few others: they come again.   A job may have found no memory
 * for one. */
void weir__station_put(struct run *run, struct station *station)
{
	if (!station || --station->jobs || run->stations.n <= KEPT || station == run->keyless)
		return;
	weir__table_remove(&run->stations, &station->node);
	unlink_runnable(run, station);
	station_free(run, station);
	run->measured_at = WEIR_FOREVER;
}

static struct station *next_station(const struct run *run, const struct station *station)
{
	return (struct station *)weir__table_next(&run->stations, station ? &station->node : NULL);
}

void weir__stations_fini(struct run *run)
{
	for (struct station *station = next_station(run, NULL), *next; station; station = next) {
		next = next_station(run, station);
		station_free(run, station);
	}
	weir__table_fini(&run->stations);
	weir_heap_fini(&run->openings);
}

size_t weir__stations_limit(const struct run *run)
{
	size_t sum = 0;
	for (const struct station *station = next_station(run, NULL); station; station = next_station(run, station))
		sum += station->gate ? weir__gate_limit(station->gate) : 0;
	return sum;
}

void weir__stations_retry(struct run *run)
{
	for (struct station *station = next_station(run, NULL); station; station = next_station(run, station))
		if (station->again.head && !station->in_line)
			make_runnable(station);
}

/* ---- the jobs in it */

static int64_t rank_of(struct run *run, struct job *job)
{
	int64_t class = run->process->priority(run->process->arg, job->data), behind;
	weir_nsec since = job->pass.permit.probe ? job->tries.began : job->tries.taken;
	if (class <= 0)
		return since;
	if (__builtin_mul_overflow(class, run->policy->options.aging, &behind) ||
	    __builtin_add_overflow(behind, since, &behind))
		return INT64_MAX;
	return behind;
}

/* Without memory for another rank the job goes with those that have none.  A probe that failed goes behind the others:
 * else a job that always fails would be the next probe, too, and no breaker would ever close. */
static void add_fresh(struct station *station, struct job *job)
{
	struct run *run = station->run;
	if (run->process->priority && weir_heap_reserve(&station->ranked, station->ranked.n + 1) == 0) {
		job->where = JOB_RANKED;
		weir_heap_add(&station->ranked, rank_of(run, job), &job->rank);
	} else {
		job->where = JOB_FRESH;
		if (job->tries.streak && !job->pass.permit.probe)
			weir__jobs_push_front(&station->fresh, job);
		else
			weir__jobs_push(&station->fresh, job);
	}
	station->fresh_count++;
	if (station->shut)
		run->waiting++;
	else
		run->ready++;
}

void weir__station_add(struct station *station, struct job *job)
{
	struct run *run = station->run;
	if (job->tries.counted) {
		job->where = JOB_AGAIN;
		weir__jobs_push(&station->again, job);
		run->waiting++;
		run->policy->waiting++;
	} else {
		add_fresh(station, job);
	}
	if (!station->in_line)
		make_runnable(station);
}

void weir__station_remove(struct station *station, struct job *job)
{
	struct run *run = station->run;
	if (job->where == JOB_AGAIN) {
		weir__jobs_remove(&station->again, job);
		run->waiting--;
		run->policy->waiting--;
		return;
	}
	if (job->where == JOB_RANKED)
		weir_heap_remove(&station->ranked, &job->rank);
	else
		weir__jobs_remove(&station->fresh, job);
	station->fresh_count--;
	if (station->shut)
		run->waiting--;
	else
		run->ready--;
}

/* Which is next; NULL: none may.  Those that have not failed yet make the better probes. */
static struct job *pick(struct station *station)
{
	struct run *run = station->run;
	struct job *again = station->again.head;
	bool is_first = again && !(station->fresh_count && station->gate && weir__gate_probes(station->gate));
	if (is_first && weir__budget_allows(run->policy))
		return again;
	if (station->fresh.head)
		return station->fresh.head;
	if (station->ranked.n)
		return (struct job *)((char *)weir_heap_top(&station->ranked).node - offsetof(struct job, rank));
	return NULL;
}

/* ---- serving */

/* 0 with a pass for the next job, WEIR_EAGAIN: it stands in line, WEIR_EOPEN. */
static int get_pass(struct station *station, struct weir_pass *ret_pass)
{
	if (station->in_line && station->line.code == WEIR__IN_LINE)
		return WEIR_EAGAIN;
	if (station->in_line && station->line.code == 0 && !weir__gate_honours(station->gate, &station->line.pass)) {
		give_back_pass(station); /* while there was no room for another job */
	} else if (station->in_line) {
		station->in_line = false;
		*ret_pass = station->line.pass;
		return station->line.code;
	}
	int code = weir__gate_try(station->gate, ret_pass);
	if (code != WEIR_EAGAIN)
		return code;
	station->in_line = true;
	weir__gate_line_up(station->gate, &station->line);
	return station->line.code == WEIR__IN_LINE ? WEIR_EAGAIN : get_pass(station, ret_pass);
}

/* Starts one job: whether another one might start. */
static bool serve_one(struct run *run, struct station *station)
{
	struct job *job = pick(station);
	int code = 0;
	if (!job) {
		give_back_pass(station);
		if (station->again.head)
			weir__budget_wait(run->policy, &run->budget);
		return false;
	}
	if (station->gate && !run->in_task)
		code = get_pass(station, &job->pass);
	if (code == WEIR_EAGAIN) {
		set_shut(station, weir_gate_shut_until(station->gate) != 0);
		return false;
	}
	set_shut(station, false);
	weir__job_take_out(run, job);
	job->has_pass = code == 0 && station->gate && !run->in_task;
	if (code)
		weir__job_doom(run, job, code);
	else
		weir__run_launch(run, job);
	return true;
}

static void serve(struct run *run, struct station *station)
{
	while (weir__run_may_start(run))
		if (!serve_one(run, station)) {
			keep_time(station);
			return;
		}
	make_runnable(station); /* it goes on when there is room */
}

void weir__stations_serve(struct run *run)
{
	weir_nsec now = weir_now();
	while (run->openings.n && weir_heap_top(&run->openings).key <= now) {
		struct station *station = (struct station *)((char *)weir_heap_top(&run->openings).node -
							     offsetof(struct station, opens));
		weir_heap_remove(&run->openings, &station->opens);
		weir__gate_hand_out(station->gate);
		make_runnable(station);
	}
	/* Those that become runnable meanwhile have their turn the next time. */
	struct station *last = run->last_runnable, *station;
	while ((station = run->first_runnable) && weir__run_may_start(run)) {
		run->first_runnable = station->next_runnable;
		if (!run->first_runnable)
			run->last_runnable = NULL;
		station->runnable = false;
		serve(run, station);
		if (station == last)
			break;
	}
}
