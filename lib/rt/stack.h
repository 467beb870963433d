/* SPDX-License-Identifier: MIT */
/*
 * Stacks for fibers: mapped in slabs, guarded, recycled last-in-first-out, coloured.
 *
 *     low                                                             high
 *     | guard page |  … grows down …            | colour | struct weir__stack |
 *
 * The record of a stack lies in its top page, so a fiber that sleeps near the top of its stack costs that one page.
 * Colour (0 to 15 times 128 bytes) keeps the hot tops of many stacks out of the same cache sets.
 *
 * Guards: MADV_GUARD_INSTALL where the kernel has it, which splits no mapping; else mprotect while that leaves room
 * under vm.max_map_count; else only a canary, checked when the stack is given back, and counted.
 */
#ifndef RT_STACK_H
#define RT_STACK_H

#include "rt/sanitize.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

enum { WEIR__STACK_BATCH = 64 };

struct weir__floating;

struct weir__stack {
	struct weir__stack *next; /* in the pool */
	struct weir__checked checked;
	unsigned colour;
	unsigned guarded : 1;
	unsigned single : 1; /* of an unusual size, in a mapping of its own: unmapped when given back */
};

enum weir__guard_kind { GUARD_UNKNOWN, GUARD_MADVISE, GUARD_MPROTECT };

struct weir__stack_pool {
	size_t stack_bytes; /* of the stacks in slabs, guard included; a multiple of the page size */
	struct weir__stack *free;
	struct weir__stack_slab *slabs;
	size_t mapped, unguarded;
	size_t mprotect_left; /* guards that may still be made by mprotect */
	unsigned next_colour;
	enum weir__guard_kind guard_kind; /* found out with the first stack */
	bool no_batches;                  /* the kernel refused one */
	struct iovec batch[WEIR__STACK_BATCH];
};

void weir__stack_pool_init(struct weir__stack_pool *pool, size_t stack_bytes);
void weir__stack_pool_fini(struct weir__stack_pool *pool);

/* bytes: 0 for the pool's size.  NULL: no memory. */
struct weir__stack *weir__stack_get(struct weir__stack_pool *pool, size_t bytes);
void weir__stack_put(struct weir__stack_pool *pool, struct weir__stack *stack);

/* Aborts, naming what ran, if an unguarded stack was overrun. */
void weir__stack_verify(const struct weir__stack *stack, const char *name);

/* A new context at the top of the stack, for weir__switch(): its stack pointer.  Not for the stack that is in use. */
void *weir__stack_begin(struct weir__stack *stack, const struct weir__floating *floating);

#endif
