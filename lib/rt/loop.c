/* SPDX-License-Identifier: MIT */
/*
 * The loop: turns, time, and the way in for other threads.
 *
 * Time is read once a turn, and who is due by then goes to the head of the ready queue.  A turn ends after
 * TURN_SWITCHES switches at the latest, so that a busy loop still sees its timers; the system is asked for events when
 * POLL_NSEC have passed or after POLL_TURNS turns, because asking costs as much as a hundred switches.
 *
 * Virtual time moves only here: when nothing is ready and nobody waits for the outside, it jumps to the next timer.
 */
#include "rt/loop.h"

#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <weir/offload.h>

_Thread_local struct weir__loop *weir__loop __attribute__((tls_model("initial-exec")));

enum { TURN_SWITCHES = 128, DUE_MOST = TURN_SWITCHES / 2, POLL_TURNS = 16, STACK_DEFAULT = 64 * 1024 };

#define POLL_NSEC     (50 * WEIR_USEC)
#define VIRTUAL_EPOCH WEIR_SEC /* so that no virtual deadline looks like WEIR_TRY */

static weir_nsec read_monotonic(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * WEIR_SEC + ts.tv_nsec;
}

weir_nsec weir_clock(void)
{
	return weir__loop && weir__loop->is_virtual ? weir__loop->now : read_monotonic();
}

weir_nsec weir_now(void)
{
	return weir__loop ? weir__loop->now : read_monotonic();
}

weir_nsec weir_after(weir_nsec timeout)
{
	weir_nsec now = weir_now();
	if (timeout <= 0 || timeout > INT64_MAX - now)
		return WEIR_FOREVER;
	return now + timeout;
}

void weir_run_stats(struct weir_run_stats *ret_stats)
{
	struct weir__loop *loop = weir__loop;
	weir__require(loop, "weir_run_stats() belongs on a fiber");
	*ret_stats = (struct weir_run_stats){
		.switches = loop->switches + (uint64_t)(TURN_SWITCHES - loop->budget),
		.polls = loop->polls,
		.fibers = loop->fibers,
		.stacks = loop->stacks.mapped,
		.stacks_unguarded = loop->stacks.unguarded,
	};
}

void weir__outside_enter(void)
{
	weir__loop->outside++;
}

void weir__outside_leave(void)
{
	weir__loop->outside--;
}

/* The receiver empties the whole box at once, so only the message that finds it empty has to ring.  Once pushed a
 * message is the receiver's: it may be gone before the bell rings, and the loop may be about to end. */
void weir__post(struct weir__loop *loop, struct weir__message *message)
{
	struct weir__message *newest = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);
	atomic_fetch_add_explicit(&loop->posting, 1, memory_order_relaxed);
	do
		message->next = newest;
	while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &newest, message, memory_order_release,
						      memory_order_relaxed));
	if (!newest)
		uv_async_send(&loop->wakeup);
	atomic_fetch_sub_explicit(&loop->posting, 1, memory_order_release);
}

static void empty_mailbox(uv_async_t *wakeup)
{
	struct weir__loop *loop = wakeup->data;
	struct weir__message *message = atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
	struct weir__message *in_order = NULL;
	while (message) {
		struct weir__message *next = message->next;
		message->next = in_order;
		in_order = message;
		message = next;
	}
	while (in_order) {
		struct weir__message *next = in_order->next;
		in_order->deliver(in_order);
		in_order = next;
	}
}

int weir__poll_init(struct weir__loop *loop)
{
	int code = uv_loop_init(&loop->uv);
	if (code)
		return code;
	loop->wakeup.data = loop;
	code = uv_async_init(&loop->uv, &loop->wakeup, empty_mailbox);
	if (code)
		uv_loop_close(&loop->uv);
	loop->uv_dirty = true;
	loop->no_pwait2 = weir__on_valgrind();
	return code;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void weir__poll_fini(struct weir__loop *loop)
{
	while (atomic_load_explicit(&loop->posting, memory_order_acquire))
		sched_yield();
	uv_walk(&loop->uv, close_handle, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
}

static void read_clock(struct weir__loop *loop)
{
	if (!loop->is_virtual)
		loop->now = read_monotonic();
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

void weir__root_ended(int result)
{
	weir__loop->main_result = result;
	weir__loop->main_done = true;
	weir__loop->budget = 0; /* back to the loop */
}

static int run_first(struct weir__loop *loop, weir_fiber_fn fn, void *arg)
{
	struct weir_fiber *first = weir__fiber_new(fn, arg);
	if (!first)
		return WEIR_ENOMEM;
	first->name = "main";
	weir__fiber_start(first);
	int code = run_turns(loop);
	weir__require(code || !loop->fibers, "the first fiber ended before the fibers of its groups");
	return code ? code : loop->main_result;
}

static bool options_valid(const struct weir_options *opts)
{
	bool stack = !opts->stack_bytes || (opts->stack_bytes >= WEIR_STACK_MIN && opts->stack_bytes <= UINT32_MAX);
	return stack && !(opts->flags & ~(unsigned)WEIR_VIRTUAL_CLOCK) && opts->offload_threads <= WEIR_POOL_MOST;
}

int weir_run(const struct weir_options *opts, weir_fiber_fn fn, void *arg)
{
	static const struct weir_options defaults;
	weir__require(!weir__loop, "a loop inside a loop");
	if (!opts)
		opts = &defaults;
	if (!options_valid(opts))
		return WEIR_EINVAL;
	struct weir__loop *loop = calloc(1, sizeof *loop);
	if (!loop)
		return WEIR_ENOMEM;
	loop->is_virtual = opts->flags & WEIR_VIRTUAL_CLOCK;
	loop->now = loop->is_virtual ? VIRTUAL_EPOCH : read_monotonic();
	loop->seeded = opts->seed != 0;
	loop->random = opts->seed;
	loop->offload_threads = opts->offload_threads ? opts->offload_threads : 4;
	weir__stack_pool_init(&loop->stacks, opts->stack_bytes ? opts->stack_bytes : STACK_DEFAULT);
	weir__floating_store(&loop->floating);
	weir__checked_thread(&loop->checked);
	int code = weir__poll_init(loop);
	if (!code) {
		weir__loop = loop;
		code = run_first(loop, fn, arg);
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
