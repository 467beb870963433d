/* SPDX-License-Identifier: MIT */
/*
 * Task groups: fibers are started in a group, and a group is not left before its fibers have ended.
 *
 *     struct weir_group *group;
 *     weir_group_new(NULL, &group);
 *     for (int i = 0; i < 10; i++)
 *         weir_group_spawn(group, work, &jobs[i], WEIR_FOREVER);
 *     int error = weir_group_wait(group, WEIR_FOREVER);
 *     weir_group_free(group);
 *
 * or, where all that runs is known before, in one call:
 *
 *     struct weir_group_part parts[] = {{.fn = produce}, {.fn = work, .fibers = 10}};
 *     int error = weir_group_run(parts, 2, WEIR_FOREVER);
 *
 * By default the first fiber that returns a negative code cancels its siblings and is what weir_group_wait() returns;
 * weir_group_errors() has the others, and each fiber's result can be had by an option of its spawn.
 * A limit blocks the *spawn*: the permit is taken before the fiber is made, so a million jobs need the memory of
 * `limit` of them.  Calls belong on fibers of the loop that made the group.
 */
#ifndef WEIR_GROUP_H
#define WEIR_GROUP_H

#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_group;

enum weir_group_flags {
	WEIR_GROUP_COLLECT = 1u << 0, /* a failure cancels nobody; it is counted */
};

struct weir_group_options {
	unsigned flags;
	size_t limit;       /* maximum fibers alive; 0: no limit */
	size_t errors_most; /* most failures that weir_group_errors() keeps; 0: 32 */
};

/* Options of one fiber; NULL means all zero. */
struct weir_spawn_options {
	const char *name;   /* kept as a pointer: a literal, or longer-lived than the fiber */
	size_t stack_bytes; /* 0: as the loop's */
	int *ret_result;    /* where the result goes when the fiber has ended; untouched until then; may be NULL */
	bool background;    /* weir_group_wait() cancels it when only such fibers are left; WEIR_ECANCELED is no
			     * failure of it */
};

/* opts may be NULL.  WEIR_ENOMEM. */
WEIR_API int weir_group_new(const struct weir_group_options *opts, struct weir_group **ret_group);

/* Contract: no fiber of it is left; no fiber waits on it, or was woken or cancelled there and has not run since.  NULL
 * is fine. */
WEIR_API void weir_group_free(struct weir_group *group);
WEIR_API void weir__group_free(const char *here, struct weir_group *group);
#define weir_group_free(...) weir__group_free(WEIR_HERE, __VA_ARGS__)

/* Starts fn(arg) as a fiber of the group; it runs first when the caller suspends.  Suspends only while the limit is
 * reached.  WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED, WEIR_EINVAL (the stack's size), WEIR_ENOMEM: then fn will not
 * run.  A fiber that finds no memory for its stack when it is to begin ends with WEIR_ENOMEM instead.  In a group that
 * was cancelled the new fiber starts cancelled. */
WEIR_API int weir_group_spawn(struct weir_group *group, weir_fiber_fn fn, void *arg, weir_nsec deadline);
WEIR_API int weir_group_spawn_with(struct weir_group *group, const struct weir_spawn_options *opts, weir_fiber_fn fn,
				   void *arg, weir_nsec deadline);

/* Waits until no fiber of the group is left: 0, or the first failure in it.  Once only background fibers are left it
 * cancels them.  With WEIR_ETIMEDOUT (WEIR_EAGAIN) the
 * fibers go on.  When the caller itself is cancelled, so is the group; the wait still lasts until the last fiber has
 * ended and then returns WEIR_ECANCELED. */
WEIR_API int weir_group_wait(struct weir_group *group, weir_nsec deadline);

/* A part of weir_group_run(): fn(arg), as one fiber or as several. */
struct weir_group_part {
	weir_fiber_fn fn;
	void *arg;
	size_t fibers;   /* 0: 1 */
	bool background; /* cancelled when the other parts have ended: for a watcher that would wait for ever */
};

/* The life of a group in one call: starts the n parts, in their order, as fibers of a new group, waits for the last of
 * them and returns 0, or the first failure, which has cancelled the others.  At the deadline, when the caller is
 * cancelled, and when a fiber could not be started, all are cancelled and waited for: WEIR_ETIMEDOUT, WEIR_ECANCELED,
 * WEIR_ENOMEM.  Whatever it returns, none of the fibers is left.  WEIR_EAGAIN: with WEIR_TRY, and none was started. */
WEIR_API int weir_group_run(const struct weir_group_part *parts, size_t n, weir_nsec deadline);

/* Cancels all fibers in the group and all that will be started in it.  Does not suspend. */
WEIR_API void weir_group_cancel(struct weir_group *group);

/* Fibers of the group that have not ended. */
WEIR_API size_t weir_group_alive(const struct weir_group *group);

/* Fibers of the group that returned a negative code, so far.  WEIR_ECANCELED is none in a group that was cancelled. */
WEIR_API size_t weir_group_failures(const struct weir_group *group);

/* One failure. */
struct weir_group_error {
	int code;
	char name[28]; /* of the fiber, cut where it is too long; empty: it has none */
	weir_nsec at;  /* the loop's time when the fiber ended */
};

/* Copies the first n failures, or fewer where there are fewer, in the order in which they came, and returns how many
 * are kept in all.  Those beyond errors_most, or for which there was no memory, are only counted:
 * weir_group_failures().  ret_errors may be NULL if n is 0. */
WEIR_API size_t weir_group_errors(const struct weir_group *group, struct weir_group_error *ret_errors, size_t n);

#ifdef __cplusplus
}
#endif
#endif
