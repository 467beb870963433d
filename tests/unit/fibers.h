/* SPDX-License-Identifier: MIT */
/* What tests on fibers all need: a group, fibers in it, its end. */
#ifndef UNIT_FIBERS_H
#define UNIT_FIBERS_H

#include "support/test.h"

#include "rt/sanitize.h" /* RUNNING_ON_VALGRIND */

#include <weir/group.h>

#if defined(WEIR__ASAN) || defined(WEIR__TSAN)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* The stand-in for an answer that was not given yet. */
enum { UNANSWERED = 1000 };

static inline struct weir_group *new_group(void)
{
	struct weir_group *group;
	quick_assert(weir_group_new(NULL, &group) == 0);
	return group;
}

static inline void spawn(struct weir_group *group, weir_fiber_fn fn, void *arg)
{
	quick_assert(weir_group_spawn(group, fn, arg, WEIR_FOREVER) == 0);
}

static inline void finish(struct weir_group *group)
{
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
}

static inline int run_virtual(uint64_t seed, weir_fiber_fn fn, void *arg)
{
	return weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK, .seed = seed}, fn, arg);
}

/* Lets every fiber that can run do so until it waits. */
static inline void settle(void)
{
	for (int i = 0; i < 100; i++)
		weir_yield();
}

#endif
