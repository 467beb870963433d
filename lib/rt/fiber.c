/* SPDX-License-Identifier: MIT */
/*
 * Fibers: their records, the switch from one to the next, waiting.
 *
 * switch_to_next() is the hot path: take the head of the ready queue, switch.  It goes through the loop's own context
 * only when nothing is ready, when the turn is used up, or in shuffled order.  A fiber that ends takes the next one
 * that has not begun onto its own stack, without any switch.  The switches of a turn are counted once, by what is left
 * of its budget.
 */
#include "rt/fiber.h"

#include "rt/loop.h"
#include "rt/switch.h"

#include <stdlib.h>
#include <weir/random.h>

void weir__interrupted(const char *call, const void *from)
{
	if (weir__self == &weir__no_fiber)
		weir__broken(NULL, from, "%s: called outside of a fiber; start one with weir_run()", call);
}

static bool add_slab(struct weir__loop *loop)
{
	struct weir__fiber_slab *slab = malloc(sizeof *slab);
	if (!slab)
		return false;
	slab->next = loop->fiber_slabs;
	loop->fiber_slabs = slab;
	for (int i = WEIR__SLAB_FIBERS; i-- > 0;) {
		slab->fibers[i].fn = NULL;
		slab->fibers[i].next = loop->free_fibers;
		loop->free_fibers = &slab->fibers[i];
	}
	return true;
}

/* Room for the fiber's timer is made here, so that no wait can fail for want of memory. */
struct weir_fiber *weir__fiber_new(weir_fiber_fn fn, void *arg)
{
	struct weir__loop *loop = weir__loop;
	if (weir__unlikely(!loop->free_fibers) && !add_slab(loop))
		return NULL;
	if (weir__unlikely(loop->fibers >= loop->most_fibers)) {
		if (weir_heap_reserve(&loop->timers, loop->fibers + 1))
			return NULL;
		loop->most_fibers = loop->timers.room - 1;
	}
	struct weir_fiber *fiber = loop->free_fibers;
	loop->free_fibers = fiber->next;
	loop->fibers++;
	*fiber = (struct weir_fiber){.fn = fn, .arg = arg};
	return fiber;
}

static void fiber_free(struct weir__loop *loop, struct weir_fiber *fiber)
{
	fiber->fn = NULL;
	fiber->next = loop->free_fibers;
	loop->free_fibers = fiber;
	loop->fibers--;
}

/* Abandoned fibers still hold their values. */
void weir__fibers_fini(struct weir__loop *loop)
{
	struct weir__fiber_slab *slab;
	while ((slab = loop->fiber_slabs)) {
		loop->fiber_slabs = slab->next;
		for (int i = 0; i < WEIR__SLAB_FIBERS && loop->fibers; i++)
			if (slab->fibers[i].fn)
				fiber_free(loop, &slab->fibers[i]);
		free(slab);
	}
}

static void list_push(struct weir__ready *list, struct weir_fiber *fiber)
{
	fiber->next = NULL;
	if (list->head)
		list->tail->next = fiber;
	else
		list->head = fiber;
	list->tail = fiber;
}

static struct weir_fiber *list_pop(struct weir__ready *list)
{
	struct weir_fiber *fiber = list->head;
	list->head = fiber->next;
	return fiber;
}

static __attribute__((noinline)) void shuffle_in(struct weir__loop *loop, struct weir_fiber *fiber)
{
	list_push(&loop->shuffled[weir_random(&loop->random) % READY_LISTS], fiber);
	loop->shuffled_count++;
}

static inline __attribute__((always_inline)) void ready_push(struct weir__loop *loop, struct weir_fiber *fiber)
{
	if (weir__unlikely(loop->seeded))
		shuffle_in(loop, fiber);
	else
		list_push(&loop->ready, fiber);
}

void weir__fiber_start(struct weir_fiber *fiber)
{
	ready_push(weir__loop, fiber);
}

/* Moves one fiber, at random, from the shuffled lists to the (then single) entry of the ready queue. */
static void shuffle_one(struct weir__loop *loop)
{
	size_t at = weir_random(&loop->random) % READY_LISTS;
	while (!loop->shuffled[at].head)
		at = (at + 1) % READY_LISTS;
	list_push(&loop->ready, list_pop(&loop->shuffled[at]));
	loop->shuffled_count--;
}

/* A fiber that has not begun gets a stack; one that finds no memory for it ends at once with WEIR_ENOMEM. */
static __attribute__((noinline)) bool bind_stack(struct weir__loop *loop, struct weir_fiber *fiber)
{
	fiber->stack = weir__stack_get(&loop->stacks, fiber->stack_bytes);
	if (!fiber->stack) {
		fiber->ended(fiber, WEIR_ENOMEM);
		fiber_free(loop, fiber);
		return false;
	}
	fiber->sp = weir__stack_begin(fiber->stack, &loop->floating);
	return true;
}

/* The next fiber to run, with a stack; NULL: back to the loop. */
static inline __attribute__((always_inline)) struct weir_fiber *next_fiber(struct weir__loop *loop)
{
	for (;;) {
		struct weir_fiber *next = loop->ready.head;
		if (weir__unlikely(!next || --loop->budget < 0))
			return NULL;
		loop->ready.head = next->next;
		if (weir__likely(next->sp != NULL) || bind_stack(loop, next))
			return next;
	}
}

static struct weir__checked *checked_of(struct weir__loop *loop, struct weir_fiber *fiber)
{
	return fiber ? &fiber->stack->checked : &loop->checked;
}

/* Inlined where it is used: a call would be a tenth of it. */
static inline __attribute__((always_inline)) void switch_to_next(struct weir__loop *loop, struct weir_fiber *self)
{
	struct weir_fiber *next = next_fiber(loop);
	if (weir__unlikely(next == self))
		return;
	weir__checked_leave(&self->stack->checked, checked_of(loop, next), 0);
	weir__self = next ? next : &weir__no_fiber;
	weir__switch(&self->sp, next ? next->sp : loop->sp);
	weir__checked_enter(&self->stack->checked, 0);
}

/* Leaves the running fiber, which waits, for the next one. */
static __attribute__((noinline)) void suspend(struct weir__loop *loop, struct weir_fiber *self)
{
	switch_to_next(loop, self);
}

/* The stack is still under our feet: it goes back to the pool only after the next fiber has got one, and one that the
 * pool would unmap is left to the loop. */
static void leave_for_good(struct weir__loop *loop, struct weir__stack *stack)
{
	void *unused;
	struct weir_fiber *next = NULL;
	if (weir__unlikely(stack->single)) {
		loop->resumed_from = stack;
	} else {
		next = next_fiber(loop);
		weir__stack_put(&loop->stacks, stack);
	}
	weir__checked_leave(&stack->checked, checked_of(loop, next), 1);
	weir__self = next ? next : &weir__no_fiber;
	weir__switch(&unused, next ? next->sp : loop->sp);
	__builtin_unreachable();
}

/* Takes the head of the ready queue if it can run on this very stack from the start. */
static struct weir_fiber *next_on_this_stack(struct weir__loop *loop, const struct weir__stack *stack)
{
	struct weir_fiber *next = loop->ready.head;
	if (!next || next->sp || next->stack_bytes || stack->single || --loop->budget < 0)
		return NULL;
	loop->ready.head = next->next;
	return next;
}

WEIR__FIBER_ENTRY

__attribute__((used)) void weir__fiber_main(void)
{
	struct weir__loop *loop = weir__loop;
	struct weir_fiber *self = weir__self;
	struct weir__stack *stack = self->stack;
	weir__checked_enter(&stack->checked, 1);
	do {
		int result = self->fn(self->arg);
		if (weir__unlikely(self->shield || self->scope))
			weir__broken(NULL, (const char *)self->fn + 1,
				     "this function of a fiber returned inside a shield or a deadline scope");
		if (weir__unlikely(!stack->guarded))
			weir__stack_verify(stack, self->name);
		self->ended(self, result);
		fiber_free(loop, self);
		self = next_on_this_stack(loop, stack);
		if (self) {
			self->stack = stack;
			self->sp = stack; /* it has begun */
			weir__self = self;
			weir__floating_load(&loop->floating);
		}
	} while (self);
	leave_for_good(loop, stack);
}

void weir__run_ready(struct weir__loop *loop)
{
	do {
		if (loop->seeded && loop->shuffled_count)
			shuffle_one(loop);
		struct weir_fiber *next = next_fiber(loop);
		if (!next)
			break;
		weir__checked_leave(&loop->checked, &next->stack->checked, 0);
		weir__self = next;
		weir__switch(&loop->sp, next->sp);
		weir__checked_enter(&loop->checked, 0);
		if (weir__unlikely(loop->resumed_from != NULL)) {
			weir__stack_put(&loop->stacks, loop->resumed_from);
			loop->resumed_from = NULL;
		}
	} while (loop->seeded && loop->shuffled_count && loop->budget > 0 && !loop->main_done);
}

static void unlink_waiter(struct weir__waiter *waiter)
{
	struct weir__waitlist *list = waiter->list;
	if (!list)
		return;
	TAILQ_REMOVE(list, waiter, others);
	waiter->list = NULL;
}

static void unlink_peers(struct weir__waiter *waiter)
{
	for (struct weir__waiter *peer = waiter->peer; peer != waiter; peer = peer->peer)
		unlink_waiter(peer);
}

static void link_waiter(struct weir__waitlist *list, struct weir__waiter *waiter)
{
	waiter->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, waiter, others);
}

static __attribute__((noinline)) void link_peers(struct weir__waiter *waiter)
{
	for (struct weir__waiter *peer = waiter->peer; peer != waiter; peer = peer->peer) {
		peer->fiber = waiter->fiber;
		link_waiter(peer->list, peer);
	}
}

int weir__wait(struct weir__waitlist *list, struct weir__waiter *waiter, weir_nsec deadline)
{
	struct weir__loop *loop = weir__loop;
	struct weir_fiber *self = weir__self;
	if (deadline == WEIR_TRY)
		return WEIR_EAGAIN;
	if (weir__unlikely(self->scope != NULL))
		deadline = weir__deadline(deadline);
	if (deadline != WEIR_FOREVER) {
		if (deadline <= loop->now)
			return WEIR_ETIMEDOUT;
		weir_heap_add(&loop->timers, deadline, &self->timer);
	}
	waiter->fiber = self;
	waiter->since = loop->now;
	link_waiter(list, waiter);
	if (weir__unlikely(waiter->peer != NULL))
		link_peers(waiter);
	self->waiter = waiter;
	suspend(loop, self);
	return waiter->code;
}

void weir__wake(struct weir__waiter *waiter, int code)
{
	struct weir__loop *loop = weir__loop;
	struct weir_fiber *fiber = waiter->fiber;
	unlink_waiter(waiter);
	if (weir__unlikely(waiter->peer != NULL))
		unlink_peers(waiter);
	waiter->code = code;
	fiber->waiter = NULL;
	if (fiber->timer.index)
		weir_heap_remove(&loop->timers, &fiber->timer);
	ready_push(loop, fiber);
}

void weir__wake_all(struct weir__waitlist *list, int code)
{
	while (!TAILQ_EMPTY(list))
		weir__wake(TAILQ_FIRST(list), code);
}

void weir__fiber_cancel(struct weir_fiber *fiber)
{
	if (fiber->canceled)
		return;
	fiber->canceled = true;
	if (fiber->shield)
		return;
	fiber->interrupt = true;
	if (fiber->waiter)
		weir__wake(fiber->waiter, WEIR_ECANCELED);
}

int weir_yield(void)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	struct weir__loop *loop = weir__loop;
	struct weir_fiber *self = weir__self;
	ready_push(loop, self);
	switch_to_next(loop, self);
	return 0;
}

int weir_sleep_until(weir_nsec deadline)
{
	struct weir__waiter waiter = {.what = "sleep"};
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	int code = weir__wait(NULL, &waiter, deadline == WEIR_TRY ? 1 : deadline);
	bool slept = deadline != WEIR_FOREVER && deadline <= weir__loop->now; /* else a scope has ended */
	return code == WEIR_ETIMEDOUT && slept ? 0 : code;
}

int weir_sleep(weir_nsec duration)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	weir_nsec now = weir__loop->now, most = INT64_MAX - now;
	return weir_sleep_until(duration <= 0 ? now : duration < most ? now + duration : WEIR_FOREVER);
}

bool weir_canceled(void)
{
	return weir__self->interrupt;
}

void weir_shield_enter(void)
{
	struct weir_fiber *self = weir__self;
	weir__require_fiber(self != &weir__no_fiber && self->shield < UINT16_MAX);
	self->shield++;
	self->interrupt = false;
}

void weir__shield_leave(const char *here)
{
	struct weir_fiber *self = weir__self;
	weir__require(self->shield > 0, here, "weir_shield_leave: there was no weir_shield_enter()");
	if (--self->shield == 0)
		self->interrupt = self->canceled;
}

#undef weir_shield_leave
void weir_shield_leave(void)
{
	weir__shield_leave(NULL);
}
