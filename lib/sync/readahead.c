/* SPDX-License-Identifier: MIT */
/*
 * How many jobs may be at once, and how many are read ahead of them.
 *
 * Read ahead is a multiple of what may be under way: 4 to begin with, 2 at least, 16 at most.  It is looked at after
 * each so many jobs: if the reader was held up by a full queue and yet permits were free for want of jobs later on, the
 * producer comes in bursts that do not fit, and the multiple doubles; if the queue was never near empty, it is too
 * large, and a quarter of it goes.
 */
#include "sync/process.h"

enum { PARTS = 4, AHEAD_FIRST = 4 * PARTS, AHEAD_LEAST = 2 * PARTS, AHEAD_MOST = 16 * PARTS, WINDOW_LEAST = 64 };

static size_t own_at_once(const struct run *run)
{
	enum { LEAST = 16 };
	const struct weir_policy_options *o = &run->policy->options;
	if (o->concurrency)
		return o->concurrency;
	size_t at_once = weir__policy_sum(run->policy, true);
	at_once = at_once < LEAST ? LEAST : at_once;
	return at_once < o->most ? at_once : o->most;
}

/* Figures of the gates are summed up again only now and then. */
void weir__run_measure(struct run *run)
{
	enum { EVERY = 10 * 1000 * 1000 };
	const struct weir_policy *policy = run->policy;
	weir_nsec now = weir_now();
	if (run->measured_at != WEIR_FOREVER && now - run->measured_at < EVERY)
		return;
	run->measured_at = now;
	if (policy->chosen && policy->choice.pattern == WEIR_PATTERN_CHUNKED && !policy->options.concurrency)
		run->batches = true;
	size_t at_once = run->own ? own_at_once(run) : weir__stations_limit(run);
	if (at_once > run->cap)
		at_once = run->cap;
	run->at_once = at_once ? at_once : 1;
	if (!run->ahead)
		run->ahead = AHEAD_FIRST;
	run->capacity = policy->options.capacity ? policy->options.capacity : run->at_once * run->ahead / PARTS;
	run->policy->capacity = run->capacity;
}

/* Another job was read. */
void weir__run_tune(struct run *run)
{
	struct readahead *seen = &run->seen;
	if (run->ready == 0 && run->under_way < run->at_once && seen->was_full)
		seen->starved++;
	size_t window = run->capacity < WINDOW_LEAST ? WINDOW_LEAST : run->capacity;
	if (++seen->jobs < window)
		return;
	if (seen->starved)
		run->ahead = run->ahead * 2 < AHEAD_MOST ? run->ahead * 2 : AHEAD_MOST;
	else if (seen->full && seen->least >= run->capacity / 4)
		run->ahead = run->ahead * 3 / 4 > AHEAD_LEAST ? run->ahead * 3 / 4 : AHEAD_LEAST;
	if (run->policy->options.memory_bytes && run->ahead > AHEAD_FIRST)
		run->ahead = AHEAD_FIRST;
	*seen = (struct readahead){.least = SIZE_MAX, .was_full = seen->full};
	run->measured_at = WEIR_FOREVER;
}

bool weir__run_may_start(const struct run *run)
{
	if (run->ending)
		return false;
	if (run->in_task)
		return true;
	if (run->under_way >= run->cap)
		return false;
	return run->own ? run->under_way < run->at_once : run->finishing <= run->at_once;
}

bool weir__run_has_room(struct run *run)
{
	if (run->batches)
		return run->batch_left || !run->live;
	if (run->in_task)
		return true;
	if (run->ordered && run->next_seq - run->done_seq >= 4 * run->at_once)
		return false;
	if (run->ready >= run->capacity) {
		run->seen.full = run->seen.was_full = true;
		return false;
	}
	return run->waiting <= 4 * run->at_once && !weir__postponed_too_many(run);
}
