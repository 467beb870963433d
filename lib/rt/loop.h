/* SPDX-License-Identifier: MIT */
/*
 * The loop: ready queue, timers, polling, messages from other threads.  Private to lib/rt.
 *
 * A turn: read the clock, wake what is due, ask the system for events if it is time to, then run ready fibers, which
 * switch to one another directly, until none is ready or the turn's share of switches is used up.
 */
#ifndef RT_LOOP_H
#define RT_LOOP_H

#include "rt/fiber.h"
#include "rt/stack.h"
#include "rt/switch.h"

#include <stdatomic.h>
#include <uv.h>

/* A message from another thread: deliver() runs on the loop's thread, outside of fibers, and must not suspend. */
struct weir__message {
	struct weir__message *next;
	void (*deliver)(struct weir__message *message);
};

struct weir__ready {
	struct weir_fiber *head, *tail;
};

/* Records of fibers are made by the slab; one that is free has no function. */
enum { WEIR__SLAB_FIBERS = 128 };

struct weir__fiber_slab {
	struct weir__fiber_slab *next;
	struct weir_fiber fibers[WEIR__SLAB_FIBERS];
};

/* With a seed the ready queue is spread over lists, and who goes into and comes from which is random. */
enum { READY_LISTS = 8 };

struct weir__loop {
	struct weir__ready ready;
	int budget; /* switches left in this turn */
	bool is_virtual, seeded, main_done;
	int main_result;
	weir_nsec now;
	struct weir_heap timers;

	void *sp;                         /* of the loop itself, while a fiber runs */
	struct weir__floating floating;   /* what every fiber begins with: the thread's */
	struct weir__checked checked;     /* of the thread's own stack */
	struct weir__stack *resumed_from; /* a stack to give back, now that nobody runs on it */
	struct weir__stack_pool stacks;
	struct weir_fiber *free_fibers;
	struct weir__fiber_slab *fiber_slabs;
	size_t fibers, most_fibers;

	struct weir__ready shuffled[READY_LISTS];
	size_t shuffled_count;
	uint64_t random;

	uv_loop_t uv;
	uv_async_t wakeup;
	bool uv_dirty; /* handles were started or closed: uv_run must see them before the next wait */
	bool no_pwait2;
	size_t outside;
	weir_nsec polled_at;
	/* Written by other threads (push, release), emptied by the loop's (exchange, acquire). */
	_Atomic(struct weir__message *) mailbox;
	/* Threads inside weir__post(), counted by them (release); the loop does not end before they left (acquire). */
	atomic_uint posting;

	struct weir_pool *pool; /* of weir_offload(), made when first used */
	unsigned offload_threads;
	uint64_t switches; /* before this turn */
	uint64_t polls;
};

extern _Thread_local struct weir__loop *weir__loop __attribute__((tls_model("initial-exec")));

/* From any thread. */
void weir__post(struct weir__loop *loop, struct weir__message *message);

static inline bool weir__has_ready(const struct weir__loop *loop)
{
	return loop->ready.head || loop->shuffled_count;
}

/* Runs ready fibers until none is left or the budget is used up.  On the thread's own stack. */
void weir__run_ready(struct weir__loop *loop);

void weir__fibers_fini(struct weir__loop *loop);

/* Waits for events until `until` (WEIR_TRY: only looks; WEIR_FOREVER), then runs their callbacks. */
void weir__poll(struct weir__loop *loop, weir_nsec until);
int weir__poll_init(struct weir__loop *loop);
void weir__poll_fini(struct weir__loop *loop);

#endif
