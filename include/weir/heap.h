/* SPDX-License-Identifier: MIT */
/*
 * A 4-ary min-heap of nodes that lie in their owners: what is due first, what is most urgent.  The keys are copied into
 * the array, so that a walk down touches one cache line a level and no node; nodes of one key leave in the order they
 * came.  All zero is a valid empty heap.
 *
 * Room is reserved apart from adding, so that adding cannot fail: the code that makes an owner reserves for it.  A
 * plain object without locks: one thread at a time.
 */
#ifndef WEIR_HEAP_H
#define WEIR_HEAP_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_heap_node {
	uint64_t seq; /* of its adding; breaks ties */
	size_t index; /* in the array, from 1; 0: not in the heap */
};

struct weir_heap_entry {
	int64_t key;
	struct weir_heap_node *node;
};

struct weir_heap {
	struct weir_heap_entry *entries; /* [0] is unused */
	size_t n, room;
	uint64_t seq;
};

/* Makes room for n nodes in all.  WEIR_ENOMEM. */
WEIR_API int weir_heap_reserve(struct weir_heap *heap, size_t n);

/* Adds a node that is in no heap; room for it was reserved. */
WEIR_API void weir_heap_add(struct weir_heap *heap, int64_t key, struct weir_heap_node *node);

/* Removes a node that is in this heap. */
WEIR_API void weir_heap_remove(struct weir_heap *heap, struct weir_heap_node *node);

/* Frees the heap's own memory; nodes left in it are forgotten. */
WEIR_API void weir_heap_fini(struct weir_heap *heap);

/* The entry with the smallest key; the heap must not be empty. */
static inline struct weir_heap_entry weir_heap_top(const struct weir_heap *heap)
{
	return heap->entries[1];
}

#ifdef __cplusplus
}
#endif
#endif
