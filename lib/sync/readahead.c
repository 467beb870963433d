/* SPDX-License-Identifier: MIT */
/*
 * How many jobs may be at once, and how many are read ahead of them.
 *
 * Read ahead is a multiple of what may be under way: 4 to begin with, 2 at least, 16 at most.  It is looked at after
 * each so many jobs: if the reader was held up by a full queue and yet permits were free for want of jobs later on, the
 * producer comes in bursts that do not fit, and the multiple doubles; if the queue was never near empty, it is too
 * large, and a quarter of it goes.
 *
 * Who takes jobs back (process.postpone) has an order of its own for them, so that few are read ahead: as many as may
 * wait in the queues before the next ones are sent back, and one more, which may be for another upstream.
 */
#include "sync/process.h"

enum { PARTS = 4, AHEAD_FIRST = 4 * PARTS, AHEAD_LEAST = 2 * PARTS, AHEAD_MOST = 16 * PARTS, WINDOW_LEAST = 64 };
enum { LOCAL_LEAST = 16, POSTPONED_TIMES = 64 };

bool weir__run_measures(const struct run *run)
{
	enum { EVERY = 10 * 1000 * 1000 };
	weir_nsec measured_at = run->limits.measured_at;
	return measured_at == WEIR_FOREVER || weir_now() - measured_at >= EVERY;
}

/* Of all upstreams together; SIZE_MAX: it is not limited. */
static size_t most_together(const struct weir_policy_options *o)
{
	return !o->together ? SIZE_MAX : o->concurrency ? o->concurrency : o->most;
}

/* Jobs that have named no upstream yet may be as many as those that have. */
static size_t find_concurrency(const struct run *run, size_t concurrency)
{
	const struct weir_policy_options *o = &run->policy->options;
	size_t local = o->concurrency ? o->concurrency : LOCAL_LEAST, most = most_together(o);
	if (run->queues.local && concurrency < local)
		concurrency = local;
	concurrency = concurrency < most ? concurrency : most;
	concurrency = concurrency < run->limits.cap ? concurrency : run->limits.cap;
	return concurrency ? concurrency : 1;
}

void weir__run_measure(struct run *run, size_t concurrency, size_t line)
{
	const struct weir_policy *policy = run->policy;
	struct limits *limits = &run->limits;
	bool keeps = !run->process->postpone || run->process->ordering_key || run->ordered;
	limits->measured_at = weir_now();
	if (policy->chosen && policy->choice.pattern == WEIR_PATTERN_CHUNKED && !policy->options.concurrency)
		limits->batches = true;
	limits->concurrency = find_concurrency(run, concurrency);
	if (!limits->ahead)
		limits->ahead = AHEAD_FIRST;
	if (run->queues.local)
		line += limits->concurrency / 4 + 4;
	limits->capacity = policy->options.capacity ? policy->options.capacity
			   : keeps                  ? limits->concurrency * limits->ahead / PARTS
						    : line + 1;
	run->policy->capacity = limits->capacity;
	run->postponed.most = POSTPONED_TIMES * limits->concurrency;
}

void weir__run_tune(struct run *run)
{
	struct limits *limits = &run->limits;
	if (run->counts.ready == 0 && run->counts.under_way < limits->concurrency && limits->was_full)
		limits->starved++;
	size_t window = limits->capacity < WINDOW_LEAST ? WINDOW_LEAST : limits->capacity;
	if (++limits->read < window)
		return;
	if (limits->starved)
		limits->ahead = limits->ahead * 2 < AHEAD_MOST ? limits->ahead * 2 : AHEAD_MOST;
	else if (limits->full && limits->least >= limits->capacity / 4)
		limits->ahead = limits->ahead * 3 / 4 > AHEAD_LEAST ? limits->ahead * 3 / 4 : AHEAD_LEAST;
	if (run->policy->options.memory_bytes && limits->ahead > AHEAD_FIRST)
		limits->ahead = AHEAD_FIRST;
	limits->read = limits->starved = 0;
	limits->least = SIZE_MAX;
	limits->was_full = limits->full;
	limits->full = false;
	limits->measured_at = WEIR_FOREVER;
}

bool weir__run_may_start(const struct run *run)
{
	const struct counts *counts = &run->counts;
	if (run->ending)
		return false;
	if (run->in_task)
		return true;
	return counts->under_way < run->limits.cap && counts->finishing <= run->limits.concurrency &&
	       counts->under_way - counts->finishing < most_together(&run->policy->options);
}

bool weir__run_has_room(struct run *run)
{
	struct limits *limits = &run->limits;
	if (limits->batches)
		return limits->batch_left || !run->counts.live;
	if (run->in_task)
		return true;
	if (run->ordered && run->ring.next_seq - run->ring.done_seq >= 4 * limits->concurrency)
		return false;
	if (run->counts.ready >= limits->capacity) {
		limits->full = limits->was_full = true;
		return false;
	}
	return run->counts.waiting <= 4 * limits->concurrency && !weir__postponed_too_many(&run->postponed);
}
