/* SPDX-License-Identifier: MIT */
/*
 * See stack.h for the layout.  Slabs grow from 16 stacks to 256, so that small programs stay small.
 *
 * Where there are thousands of stacks there will be more: they are then made ready in batches, one system call for the
 * guards of all and one for their top pages.  That is a third less work for the kernel than a call and a page fault for
 * each.
 */
#include "rt/stack.h"

#include "rt/switch.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define CANARY ((uint64_t)0x7765697263616e61)

enum { SLAB_FIRST = 16, SLAB_MOST = 256, COLOURS = 16, COLOUR_BYTES = 128 };

/* A batch is this part of the stacks there are: the memory taken ahead stays below two per cent. */
enum { BATCH_SHARE = 64 };

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

static struct weir__stack *prepare(struct weir__stack_pool *pool, char *base, size_t bytes, bool guarded)
{
	struct weir__stack *stack = (struct weir__stack *)(base + bytes) - 1;
	stack->next = NULL;
	stack->single = 0;
	stack->colour = pool->next_colour++ % COLOURS;
	stack->guarded = guarded || install_guard(pool, base);
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

/* One system call for a page in each of n stacks.  False: it did not reach them all. */
static bool advise_each(struct weir__stack_pool *pool, char *first, size_t n, int advice)
{
	long done = -1;
#if defined(SYS_process_madvise) && defined(SYS_pidfd_open)
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (self < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		pool->batch[i] = (struct iovec){first + i * pool->stack_bytes, page_bytes()};
	done = syscall(SYS_process_madvise, self, pool->batch, n, advice, 0);
	close(self);
#else
	(void)pool, (void)first, (void)advice;
#endif
	return done == (long)(n * page_bytes());
}

/* How many stacks to make ready at once.  Kernels that guard by madvise() also take many pages in one call. */
static size_t batch_of(const struct weir__stack_pool *pool, const struct weir__stack_slab *slab)
{
	size_t n = pool->mapped / BATCH_SHARE;
	if (n < 2 || pool->guard_kind != GUARD_MADVISE || pool->no_batches || weir__on_valgrind())
		return 1;
	if (n > WEIR__STACK_BATCH)
		n = WEIR__STACK_BATCH;
	return n < slab->uncut ? n : slab->uncut;
}

/* Makes the next stacks of a slab ready; all but the one returned go to the free ones.  Without a batch a stack is
 * touched only when it is first handed out. */
static struct weir__stack *cut_from_slab(struct weir__stack_pool *pool)
{
	struct weir__stack_slab *slab = pool->slabs;
	if (!slab || !slab->uncut)
		slab = add_slab(pool);
	if (!slab)
		return NULL;
	size_t bytes = pool->stack_bytes, n = batch_of(pool, slab);
	char *low = slab->base + (slab->uncut -= n) * bytes;
	bool guarded = n > 1 && advise_each(pool, low, n, MADV_GUARD_INSTALL);
	if (n > 1 && (!guarded || !advise_each(pool, low + bytes - page_bytes(), n, MADV_POPULATE_WRITE)))
		pool->no_batches = true;
	for (size_t i = 0; i < n - 1; i++)
		weir__stack_put(pool, prepare(pool, low + i * bytes, bytes, guarded));
	return prepare(pool, low + (n - 1) * bytes, bytes, guarded);
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
	struct weir__stack *stack = prepare(pool, base, bytes, false);
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
		for (size_t i = slab->uncut; i < slab->stacks && weir__is_checked(); i++)
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
