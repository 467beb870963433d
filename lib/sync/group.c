/* SPDX-License-Identifier: MIT */
/*
 * Task groups: the list of the fibers alive, a count, and two lists of waiters: for the last one to end, and for a
 * place under the limit.
 *
 * A place under the limit is counted in `taken`.  A fiber that ends hands its place straight to the spawn that has
 * waited longest, so `taken` does not change then and nobody overtakes.  Until that spawn has run, the place has no
 * fiber: so it is `taken`, not `alive`, that tells whether the group is done.  Spawns wait only while it is not 0.
 *
 * Background fibers count in `taken` like all others.  Whoever waits for the group is woken when only they are left,
 * cancels them, and waits on.
 *
 * Failures are kept in an array that grows to `errors_most`; where that cannot be, they are still counted, and the
 * first one's code has a place of its own.
 */
#include "rt/fiber.h"

#include <stdlib.h>
#include <string.h>
#include <weir/group.h>

enum { ERRORS_DEFAULT = 32, ERRORS_FIRST = 4 };

struct weir_group {
	LIST_HEAD(siblings, weir_fiber) fibers; /* alive, newest first */
	size_t alive, taken, limit, failures;
	size_t background; /* of those alive */
	int first_error;
	bool collect, canceled;
	struct weir__waitlist waiting, spawning;
	size_t inside; /* fibers in weir_group_wait(): they look at it again when they were woken */
	struct weir_group_error *errors;
	size_t errors_kept, errors_room, errors_most;
};

int weir_group_new(const struct weir_group_options *opts, struct weir_group **ret_group)
{
	struct weir_group *group = calloc(1, sizeof *group);
	if (!group)
		return WEIR_ENOMEM;
	TAILQ_INIT(&group->waiting);
	TAILQ_INIT(&group->spawning);
	if (opts) {
		group->collect = opts->flags & WEIR_GROUP_COLLECT;
		group->limit = opts->limit;
		group->errors_most = opts->errors_most;
	}
	if (!group->errors_most)
		group->errors_most = ERRORS_DEFAULT;
	*ret_group = group;
	return 0;
}

void weir__group_free(const char *here, struct weir_group *group)
{
	if (!group)
		return;
	weir__require(!group->taken, here, "weir_group_free: fibers of the group have not ended");
	weir__require(!group->inside, here, "weir_group_free: a fiber waits on it, or was woken and has not run since");
	free(group->errors);
	free(group);
}

weir__function(group_free, struct weir_group *);

static void give_place_back(struct weir_group *group)
{
	if (!TAILQ_EMPTY(&group->spawning))
		weir__wake(TAILQ_FIRST(&group->spawning), 0);
	else if (--group->taken <= group->background)
		weir__wake_all(&group->waiting, 0);
}

static int take_place(struct weir_group *group, weir_nsec deadline)
{
	if (group->limit && (group->taken >= group->limit || !TAILQ_EMPTY(&group->spawning))) {
		struct weir__waiter self = {.what = "group spawn"};
		return weir__wait(&group->spawning, &self, deadline);
	}
	group->taken++;
	return 0;
}

static bool room_for_error(struct weir_group *group)
{
	if (group->errors_kept < group->errors_room)
		return true;
	size_t room = group->errors_room ? group->errors_room * 2 : ERRORS_FIRST;
	if (room > group->errors_most)
		room = group->errors_most;
	if (room == group->errors_room)
		return false;
	struct weir_group_error *errors = realloc(group->errors, room * sizeof *errors);
	if (!errors)
		return false;
	group->errors = errors;
	group->errors_room = room;
	return true;
}

static __attribute__((noinline)) void note_failure(struct weir_group *group, const char *name, int code)
{
	group->failures++;
	if (!group->first_error)
		group->first_error = code;
	if (!room_for_error(group))
		return;
	struct weir_group_error *error = &group->errors[group->errors_kept++];
	*error = (struct weir_group_error){.code = code, .at = weir_now()};
	if (name)
		memcpy(error->name, name, strnlen(name, sizeof error->name - 1));
}

/* A fiber that ends with WEIR_ECANCELED in a cancelled group, or in the background, was cancelled: no failure. */
static void child_ended(struct weir_fiber *fiber, int result)
{
	struct weir_group *group = fiber->group;
	LIST_REMOVE(fiber, siblings);
	group->alive--;
	group->background -= fiber->background;
	if (fiber->ret_result)
		*fiber->ret_result = result;
	if (result < 0 && !((group->canceled || fiber->background) && result == WEIR_ECANCELED)) {
		note_failure(group, fiber->name, result);
		if (!group->collect)
			weir_group_cancel(group);
	}
	give_place_back(group);
}

static void link_fiber(struct weir_group *group, struct weir_fiber *fiber)
{
	fiber->ended = child_ended;
	fiber->group = group;
	LIST_INSERT_HEAD(&group->fibers, fiber, siblings);
	group->alive++;
	group->background += fiber->background;
}

int weir_group_spawn_with(struct weir_group *group, const struct weir_spawn_options *opts, weir_fiber_fn fn, void *arg,
			  weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (opts && opts->stack_bytes && (opts->stack_bytes < WEIR_STACK_MIN || opts->stack_bytes > UINT32_MAX))
		return WEIR_EINVAL;
	int code = take_place(group, deadline);
	if (code)
		return code;
	struct weir_fiber *fiber = weir__fiber_new(fn, arg);
	if (!fiber) {
		give_place_back(group);
		return WEIR_ENOMEM;
	}
	if (opts) {
		fiber->name = opts->name;
		fiber->stack_bytes = (uint32_t)opts->stack_bytes;
		fiber->ret_result = opts->ret_result;
		fiber->background = opts->background;
	}
	link_fiber(group, fiber);
	if (group->canceled)
		weir__fiber_cancel(fiber);
	weir__fiber_start(fiber);
	return 0;
}

int weir_group_spawn(struct weir_group *group, weir_fiber_fn fn, void *arg, weir_nsec deadline)
{
	return weir_group_spawn_with(group, NULL, fn, arg, deadline);
}

static void cancel_background(struct weir_group *group)
{
	for (struct weir_fiber *fiber = LIST_FIRST(&group->fibers); fiber; fiber = LIST_NEXT(fiber, siblings))
		weir__fiber_cancel(fiber);
}

static int wait_for_last(struct weir_group *group, weir_nsec deadline)
{
	while (group->taken) {
		if (group->taken == group->background)
			cancel_background(group);
		struct weir__waiter self = {.what = "group wait"};
		int code = weir__check_cancel(); /* also when it was woken and there is a fiber again */
		if (!code) {
			group->inside++;
			code = weir__wait(&group->waiting, &self, deadline);
			group->inside--;
		}
		if (code)
			return code;
	}
	return 0;
}

int weir_group_wait(struct weir_group *group, weir_nsec deadline)
{
	int code = weir__check_cancel();
	if (!code)
		code = wait_for_last(group, deadline);
	if (code == WEIR_ECANCELED) {
		weir_group_cancel(group);
		weir_shield_enter();
		wait_for_last(group, WEIR_FOREVER);
		weir_shield_leave();
	}
	return code ? code : group->first_error;
}

void weir_group_cancel(struct weir_group *group)
{
	if (group->canceled)
		return;
	group->canceled = true;
	for (struct weir_fiber *fiber = LIST_FIRST(&group->fibers); fiber; fiber = LIST_NEXT(fiber, siblings))
		weir__fiber_cancel(fiber);
}

size_t weir_group_alive(const struct weir_group *group)
{
	return group->alive;
}

size_t weir_group_failures(const struct weir_group *group)
{
	return group->failures;
}

size_t weir_group_errors(const struct weir_group *group, struct weir_group_error *ret_errors, size_t n)
{
	size_t copied = n < group->errors_kept ? n : group->errors_kept;
	if (copied)
		memcpy(ret_errors, group->errors, copied * sizeof *ret_errors);
	return group->errors_kept;
}
