/* SPDX-License-Identifier: MIT */
/*
 * Once:
 *
 *     idle -> a fiber runs fn -> done             all who wait are woken with 0
 *                  |      ^
 *                  v      |  fn failed: the turn goes to the head of the line, directly, so that nobody overtakes;
 *                 idle ---'  idle if nobody waits
 *
 * A fiber that got the turn and finds itself cancelled when it runs passes it on.
 */
#include "rt/fiber.h"

#include <stdlib.h>
#include <weir/once.h>

/* The code of a wake that passes the turn on. */
enum { YOUR_TURN = 1 };

struct weir_once {
	bool done, taken;          /* taken: a fiber runs fn, or was woken to */
	struct weir_fiber *runner; /* whose fn runs */
	struct weir__waitlist waiters;
};

int weir_once_new(struct weir_once **ret_once)
{
	struct weir_once *once = calloc(1, sizeof *once);
	if (!once)
		return WEIR_ENOMEM;
	*ret_once = once;
	return 0;
}

void weir_once_free(struct weir_once *once)
{
	weir__require(!once || (!once->taken && !once->waiters.head), "weir_once_free() while a fiber is in it");
	free(once);
}

static void pass_turn(struct weir_once *once)
{
	once->taken = once->waiters.head;
	if (once->taken)
		weir__wake(once->waiters.head, YOUR_TURN);
}

static int run(struct weir_once *once, weir_fiber_fn fn, void *arg)
{
	once->taken = true;
	once->runner = weir__self;
	int code = fn(arg);
	once->runner = NULL;
	if (code < 0) {
		pass_turn(once);
		return code;
	}
	once->taken = false;
	once->done = true;
	weir__wake_all(&once->waiters, 0);
	return 0;
}

int weir_once_run(struct weir_once *once, weir_fiber_fn fn, void *arg, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (weir__likely(once->done))
		return 0;
	if (once->taken) {
		struct weir__waiter self = {.what = "once"};
		weir__require(once->runner != weir__self, "weir_once_run() inside its own fn would wait for ever");
		int code = weir__wait(&once->waiters, &self, deadline);
		if (code != YOUR_TURN)
			return code;
		if (weir__check_cancel()) {
			pass_turn(once);
			return WEIR_ECANCELED;
		}
	}
	return run(once, fn, arg);
}

bool weir_once_is_done(const struct weir_once *once)
{
	return once->done;
}
