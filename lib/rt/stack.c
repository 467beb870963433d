/* SPDX-License-Identifier: MIT */
/* See stack.h for the layout.  Slabs grow from 16 stacks to 256, so that small programs stay small. */
#include "rt/stack.h"

#include "rt/switch.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define CANARY ((uint64_t)0x7765697263616e61)

enum { SLAB_FIRST = 16, SLAB_MOST = 256, COLOURS = 16, COLOUR_BYTES = 128 };

struct weir__stack_slab {
	struct weir__stack_slab *next;
	char *base;
	size_t stacks, uncut; /* all of them, and those at the low end that were never handed out */
};

static size_t page_bytes(void)
{
	static size_t bytes;
	if (!bytes)
		bytes = (size_t)sysconf(_SC_PAGESIZE);
	return bytes;
}

/* In whole pages.  The guard counts as 4 KiB, which it mostly is: there are kernels with pages as large as a stack. */
static size_t whole_pages(size_t bytes)
{
	size_t page = page_bytes();
	return (bytes - 4096 + page - 1) / page * page + page;
}

/* Half of the mappings the kernel allows, less a margin for the rest of the program: a guard splits one into three. */
static size_t guards_by_mprotect(void)
{
	size_t most = 65530;
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	if (file) {
		if (fscanf(file, "%zu", &most) != 1)
			most = 65530;
		fclose(file);
	}
	return most > 4096 ? (most - 4096) / 2 : 0;
}

void weir__stack_pool_init(struct weir__stack_pool *pool, size_t stack_bytes)
{
	*pool = (struct weir__stack_pool){.stack_bytes = whole_pages(stack_bytes)};
}

static bool install_guard(struct weir__stack_pool *pool, char *at)
{
	if (pool->guard_kind != GUARD_MPROTECT) {
		if (!madvise(at, page_bytes(), MADV_GUARD_INSTALL)) {
			pool->guard_kind = GUARD_MADVISE;
			return true;
		}
		pool->guard_kind = GUARD_MPROTECT;
		pool->mprotect_left = guards_by_mprotect();
	}
	if (!pool->mprotect_left || mprotect(at, page_bytes(), PROT_NONE))
		return false;
	pool->mprotect_left--;
	return true;
}

static struct weir__stack *prepare(struct weir__stack_pool *pool, char *base, size_t bytes)
{
	struct weir__stack *stack = (struct weir__stack *)(base + bytes) - 1;
	stack->next = NULL;
	stack->single = 0;
	stack->colour = pool->next_colour++ % COLOURS;
	stack->guarded = install_guard(pool, base);
	size_t guard = stack->guarded ? page_bytes() : 0;
	weir__checked_init(&stack->checked, base + guard, bytes - guard);
	if (!stack->guarded) {
		*(uint64_t *)(void *)base = CANARY;
		pool->unguarded++;
	}
	pool->mapped++;
	return stack;
}

static char *map_stacks(size_t bytes)
{
	char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	/* A huge page under a stack would cost 2 MiB for the 4 KiB that are used. */
	madvise(base, bytes, MADV_NOHUGEPAGE);
	return base;
}

static struct weir__stack_slab *add_slab(struct weir__stack_pool *pool)
{
	struct weir__stack_slab *slab = calloc(1, sizeof *slab);
	if (!slab)
		return NULL;
	slab->stacks = pool->mapped < SLAB_FIRST ? SLAB_FIRST : pool->mapped < SLAB_MOST ? pool->mapped : SLAB_MOST;
	slab->uncut = slab->stacks;
	slab->base = map_stacks(slab->stacks * pool->stack_bytes);
	if (!slab->base) {
		free(slab);
		return NULL;
	}
	slab->next = pool->slabs;
	pool->slabs = slab;
	return slab;
}

/* A stack is touched only when it is first handed out. */
static struct weir__stack *cut_from_slab(struct weir__stack_pool *pool)
{
	struct weir__stack_slab *slab = pool->slabs;
	if (!slab || !slab->uncut)
		slab = add_slab(pool);
	if (!slab)
		return NULL;
	return prepare(pool, slab->base + --slab->uncut * pool->stack_bytes, pool->stack_bytes);
}

struct weir__stack *weir__stack_get(struct weir__stack_pool *pool, size_t bytes)
{
	if (bytes)
		bytes = whole_pages(bytes);
	if (bytes == 0 || bytes == pool->stack_bytes) {
		struct weir__stack *stack = pool->free;
		if (!stack)
			return cut_from_slab(pool);
		pool->free = stack->next;
		return stack;
	}
	char *base = map_stacks(bytes);
	if (!base)
		return NULL;
	struct weir__stack *stack = prepare(pool, base, bytes);
	stack->single = 1;
	return stack;
}

static char *mapping_of(const struct weir__stack *stack)
{
	return stack->checked.bottom - (stack->guarded ? page_bytes() : 0);
}

void weir__stack_verify(const struct weir__stack *stack, const char *name)
{
	if (stack->guarded || *(uint64_t *)(void *)mapping_of(stack) == CANARY)
		return;
	fprintf(stderr, "weir: the stack of fiber %s was overrun\n", name ? name : "(no name)");
	abort();
}

static void unmap_single(struct weir__stack_pool *pool, struct weir__stack *stack)
{
	char *base = mapping_of(stack), *end = (char *)(stack + 1);
	pool->mapped--;
	pool->unguarded -= !stack->guarded;
	weir__checked_fini(&stack->checked);
	munmap(base, (size_t)(end - base));
}

void weir__stack_put(struct weir__stack_pool *pool, struct weir__stack *stack)
{
	if (stack->single) {
		unmap_single(pool, stack);
		return;
	}
	stack->next = pool->free;
	pool->free = stack;
}

void weir__stack_pool_fini(struct weir__stack_pool *pool)
{
	struct weir__stack_slab *slab;
	while ((slab = pool->slabs)) {
		pool->slabs = slab->next;
		for (size_t i = slab->uncut; i < slab->stacks; i++)
			weir__checked_fini(
				&((struct weir__stack *)(slab->base + (i + 1) * pool->stack_bytes) - 1)->checked);
		munmap(slab->base, slab->stacks * pool->stack_bytes);
		free(slab);
	}
}

void *weir__stack_begin(struct weir__stack *stack, const struct weir__floating *floating)
{
	uintptr_t top = (uintptr_t)stack - (uintptr_t)stack->colour * COLOUR_BYTES;
	weir__checked_reset(&stack->checked);
	return weir__context_begin(stack->checked.bottom, (void *)(top & ~(uintptr_t)15), floating);
}
