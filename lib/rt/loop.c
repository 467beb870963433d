/* SPDX-License-Identifier: MIT */
/*
 * The loop: turns and time.
 *
 * Time is read once a turn, and who is due by then goes to the head of the ready queue.  A turn ends after
 * TURN_SWITCHES switches at the latest, so that a busy loop still sees its timers; the system is asked for events when
 * POLL_NSEC have passed or after POLL_TURNS turns, because asking costs as much as a hundred switches.
 *
 * Virtual time moves only here: when nothing is ready and nobody waits for the outside, it jumps to the next timer.
 */
#include "rt/loop.h"

#include <stddef.h>
#include <stdlib.h>
#include <weir/offload.h>

enum { TURN_SWITCHES = 128, DUE_MOST = TURN_SWITCHES / 2, POLL_TURNS = 16, STACK_DEFAULT = 64 * 1024 };

#define POLL_NSEC     (50 * WEIR_USEC)
#define VIRTUAL_EPOCH WEIR_SEC /* so that no virtual deadline looks like WEIR_TRY */

void weir_run_stats(struct weir_run_stats *ret_stats)
{
	struct weir__loop *loop = weir__loop;
	weir__require_fiber(loop);
	*ret_stats = (struct weir_run_stats){
		.switches = loop->switches + (uint64_t)(TURN_SWITCHES - loop->budget),
		.polls = loop->polls,
		.fibers = loop->fibers,
		.stacks = loop->stacks.mapped,
		.stacks_unguarded = loop->stacks.unguarded,
	};
}

static void read_clock(struct weir__loop *loop)
{
	if (!loop->is_virtual)
		loop->now = weir_clock();
}

static bool is_due(const struct weir__loop *loop)
{
	return loop->timers.n && weir_heap_top(&loop->timers).key <= loop->now;
}

/* Takes fibers whose deadline has come out of the heap, the earliest first, at most DUE_MOST.  Has the memory fetched
 * that their wakes and first steps will touch: of many sleepers nothing is in the cache, and one miss after the other
 * would cost more than all the rest. */
static size_t take_due(struct weir__loop *loop, struct weir_fiber **ret_due)
{
	size_t n = 0;
	while (n < DUE_MOST && is_due(loop)) {
		struct weir_heap_node *timer = weir_heap_top(&loop->timers).node;
		struct weir_fiber *fiber = (struct weir_fiber *)((char *)timer - offsetof(struct weir_fiber, timer));
		weir_heap_remove(&loop->timers, timer);
		__builtin_prefetch(fiber->waiter, 1);
		__builtin_prefetch(fiber->sp);
		__builtin_prefetch(fiber->stack, 1);
		ret_due[n++] = fiber;
	}
	return n;
}

/* Who is due goes before those that are ready: behind a million fibers that have not begun it would be late by all of
 * their beginnings.  Only half a turn's worth at a time, so that short sleeps do not keep the others from running; but
 * on the virtual clock, where time stands still while anyone runs, all that are due at one time are woken at once.
 * Kept out of run_turns(): its room for those who are due, inside that frame, makes a turn without them slower. */
static __attribute__((noinline)) void fire_timers(struct weir__loop *loop)
{
	struct weir_fiber *due[DUE_MOST];
	size_t n = take_due(loop, due);
	struct weir__ready others = loop->ready;
	loop->ready.head = NULL;
	do {
		for (size_t i = 0; i < n; i++)
			weir__wake(due[i]->waiter, WEIR_ETIMEDOUT);
		n = loop->is_virtual ? take_due(loop, due) : 0;
	} while (n);
	if (!loop->ready.head) { /* with a seed they are in the shuffled lists */
		loop->ready = others;
	} else if (others.head) {
		loop->ready.tail->next = others.head;
		loop->ready.tail = others.tail;
	}
}

/* Nothing is ready: lets time pass, or waits for events.  WEIR_EDEADLOCK if neither can ever wake a fiber. */
static int idle(struct weir__loop *loop)
{
	if (!loop->timers.n && !loop->outside)
		return WEIR_EDEADLOCK;
	if (loop->is_virtual && !loop->outside) {
		loop->now = weir_heap_top(&loop->timers).key;
		return 0;
	}
	weir__poll(loop, loop->timers.n && !loop->is_virtual ? weir_heap_top(&loop->timers).key : WEIR_FOREVER);
	return 0;
}

static int run_turns(struct weir__loop *loop)
{
	unsigned turns_unpolled = 0;
	while (!loop->main_done) {
		read_clock(loop);
		if (is_due(loop))
			fire_timers(loop);
		if (!weir__has_ready(loop)) {
			int code = idle(loop);
			if (code)
				return code;
			turns_unpolled = 0;
			read_clock(loop);
			if (is_due(loop))
				fire_timers(loop);
		} else if (loop->outside &&
			   (loop->now - loop->polled_at >= POLL_NSEC || ++turns_unpolled >= POLL_TURNS)) {
			weir__poll(loop, WEIR_TRY);
			turns_unpolled = 0;
		}
		loop->budget = TURN_SWITCHES;
		weir__run_ready(loop);
		loop->switches += (uint64_t)(TURN_SWITCHES - (loop->budget > 0 ? loop->budget : 0));
	}
	return 0;
}

static void end_first(struct weir_fiber *fiber, int result)
{
	(void)fiber;
	weir__loop->main_result = result;
	weir__loop->main_done = true;
	weir__loop->budget = 0; /* back to the loop */
}

static int run_first(const char *here, struct weir__loop *loop, weir_fiber_fn fn, void *arg)
{
	struct weir_fiber *first = weir__fiber_new(fn, arg);
	if (!first)
		return WEIR_ENOMEM;
	first->name = "main";
	first->ended = end_first;
	weir__fiber_start(first);
	int code = run_turns(loop);
	weir__require(code || !loop->fibers, here, "weir_run: its function returned before the fibers of its groups");
	return code ? code : loop->main_result;
}

static bool options_valid(const struct weir_options *opts)
{
	bool stack = !opts->stack_bytes || (opts->stack_bytes >= WEIR_STACK_MIN && opts->stack_bytes <= UINT32_MAX);
	return stack && !(opts->flags & ~(unsigned)WEIR_VIRTUAL_CLOCK) && opts->offload_threads <= WEIR_POOL_MOST;
}

int weir__run(const char *here, const struct weir_options *opts, weir_fiber_fn fn, void *arg)
{
	static const struct weir_options defaults;
	weir__require(!weir__loop, here, "weir_run: called on a fiber; a loop cannot run inside another one");
	if (!opts)
		opts = &defaults;
	if (!options_valid(opts))
		return WEIR_EINVAL;
	struct weir__loop *loop = calloc(1, sizeof *loop);
	if (!loop)
		return WEIR_ENOMEM;
	loop->is_virtual = opts->flags & WEIR_VIRTUAL_CLOCK;
	loop->now = loop->is_virtual ? VIRTUAL_EPOCH : weir_clock();
	loop->seeded = opts->seed != 0;
	loop->random = opts->seed;
	loop->offload_threads = opts->offload_threads ? opts->offload_threads : 4;
	weir__stack_pool_init(&loop->stacks, opts->stack_bytes ? opts->stack_bytes : STACK_DEFAULT);
	weir__floating_store(&loop->floating);
	weir__checked_thread(&loop->checked);
	int code = weir__poll_init(loop);
	if (!code) {
		weir__loop = loop;
		code = run_first(here, loop, fn, arg);
		weir_pool_free(loop->pool);
		weir__poll_fini(loop);
		weir__loop = NULL;
	}
	weir__stack_pool_fini(&loop->stacks);
	weir__fibers_fini(loop);
	weir_heap_fini(&loop->timers);
	free(loop);
	return code;
}

#undef weir_run
int weir_run(const struct weir_options *opts, weir_fiber_fn fn, void *arg)
{
	return weir__run(NULL, opts, fn, arg);
}
