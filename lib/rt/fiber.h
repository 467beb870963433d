/* SPDX-License-Identifier: MIT */
/*
 * Fibers and waiting, as lib/sync sees them.
 *
 *     spawn -> READY -> RUNNING -> (WAITING -> READY -> RUNNING)* -> ended
 *
 * A fiber's record is small and of its own; a stack is bound to it when it first runs.  Fibers that are started and end
 * without ever waiting run on one hot stack, one after the other, without a switch.
 *
 * There is one way to wait: put a `weir__waiter` (it lies on the waiting fiber's stack) into a list, or into none, and
 * suspend.  Whoever fulfils the wait takes it out of the list, sets its code and makes the fiber ready: weir__wake(). A
 * deadline and a cancel do the same with their own codes.  So a waiter that was woken has left its list, and nothing
 * can take back what it was given.
 */
#ifndef RT_FIBER_H
#define RT_FIBER_H

#include "base/contract.h"

#include <sys/queue.h>
#include <weir/heap.h>
#include <weir/run.h>

struct weir__loop;
struct weir__stack;
struct weir_group;

struct weir__waiter {
	TAILQ_ENTRY(weir__waiter) others;
	struct weir__waitlist *list; /* NULL: in none, or no longer */
	struct weir_fiber *fiber;
	const char *what; /* is waited for: a literal, for those who look at fibers; given by whoever waits */
	weir_nsec since;
	int code;
	struct weir__waiter
		*peer; /* ring of the waiters of one wait, of which the first to be woken ends it; or NULL */
};

TAILQ_HEAD(weir__waitlist, weir__waiter);

struct weir_fiber {
	void *sp;                    /* while it does not run; NULL until it has a stack */
	struct weir_fiber *next;     /* in the ready queue, or in the list of free records */
	struct weir__waiter *waiter; /* of a wait that was not fulfilled yet */
	struct weir__stack *stack;
	weir_fiber_fn fn; /* NULL: a free record */
	void *arg;
	void (*ended)(struct weir_fiber *fiber, int result); /* by whoever started it; must not suspend */
	struct weir_group *group;
	LIST_ENTRY(weir_fiber) siblings;
	struct weir_heap_node timer;
	struct weir_deadline *scope; /* the innermost; NULL: in none */
	int *ret_result;             /* where its group puts its result; may be NULL */
	const char *name;
	uint32_t stack_bytes; /* 0: as the loop's */
	uint16_t shield;
	bool background; /* its group cancels it when only such fibers are left */
	bool canceled;
	bool interrupt; /* canceled and not shielded: calls with a deadline answer WEIR_ECANCELED */
};

/* The fiber that runs on this thread; never NULL: outside of fibers a stand-in whose `interrupt` is set, so that the
 * fast paths need no second test. */
extern struct weir_fiber weir__no_fiber;
extern _Thread_local struct weir_fiber *weir__self __attribute__((tls_model("initial-exec")));

/* For a public function that needs a fiber. */
#define weir__require_fiber(condition)                                                                                 \
	weir__require(condition, NULL, "%s: called outside of a fiber; start one with weir_run()", __func__)

/* What every call with a deadline does first: WEIR_ECANCELED, or 0.  Aborts when there is no fiber. */
#define weir__check_cancel()                                                                                           \
	(weir__unlikely(weir__self->interrupt)                                                                         \
		 ? (weir__interrupted(__func__, __builtin_return_address(0)), WEIR_ECANCELED)                          \
		 : 0)
void weir__interrupted(const char *call, const void *from) __attribute__((cold));

/* Of two deadlines. */
static inline bool weir__earlier(weir_nsec a, weir_nsec b)
{
	return a != WEIR_FOREVER && (b == WEIR_FOREVER || a < b);
}

/* The earlier of this deadline and that of the fiber's scopes.  weir__wait() does it by itself: for those who look at a
 * deadline before. */
weir_nsec weir__deadline(weir_nsec deadline);

/* What a call that always has to wait answers without having begun, WEIR_EAGAIN for WEIR_TRY, WEIR_ETIMEDOUT for a
 * deadline that has passed; or 0.  The caller has checked for a cancel. */
int weir__refuse(weir_nsec deadline);

/* Suspends until woken: the code of the wake, WEIR_ETIMEDOUT, WEIR_ECANCELED; without suspending WEIR_EAGAIN for
 * WEIR_TRY and WEIR_ETIMEDOUT for a deadline that has passed.  list may be NULL: then only the deadline, a cancel or a
 * weir__wake() of that very waiter ends the wait.  The caller has checked for a cancel.
 * With peers (then list is NULL) each of them is put into the `list` that it names, if any. */
int weir__wait(struct weir__waitlist *list, struct weir__waiter *waiter, weir_nsec deadline);

/* Whether it waits still.  A waiter that was woken keeps its answer, whatever happens until its fiber runs: who wakes
 * by anything but the head of a list must ask.  All zero: it does not. */
static inline bool weir__waits(const struct weir__waiter *waiter)
{
	return waiter->fiber && waiter->fiber->waiter == waiter;
}

/* Ends the wait of one waiter.  Its memory may be gone as soon as its fiber runs. */
void weir__wake(struct weir__waiter *waiter, int code);
void weir__wake_all(struct weir__waitlist *list, int code);

/* A new fiber, to be given an `ended`; weir__fiber_start() makes it ready to run. */
struct weir_fiber *weir__fiber_new(weir_fiber_fn fn, void *arg);
void weir__fiber_start(struct weir_fiber *fiber);
void weir__fiber_cancel(struct weir_fiber *fiber);

/* Fibers that wait for something outside the loop: while there are any, virtual time stands still. */
void weir__outside_enter(void);
void weir__outside_leave(void);

#endif
