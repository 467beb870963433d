/* SPDX-License-Identifier: MIT */
/*
 * A 4-ary min-heap of nodes that lie in their owners.  The keys are copied into the array, so that a walk down touches
 * one cache line a level and no node; nodes of one key leave in the order they came.
 *
 * Room is reserved apart from adding, so that adding cannot fail: whoever makes an owner reserves for it.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct weir__heap_node {
	uint64_t seq; /* of its adding; breaks ties */
	size_t index; /* in the array, from 1; 0: not in the heap */
};

struct weir__heap_entry {
	int64_t key;
	struct weir__heap_node *node;
};

struct weir__heap {
	struct weir__heap_entry *entries; /* [0] is unused */
	size_t n, room;
	uint64_t seq;
};

int weir__heap_reserve(struct weir__heap *heap, size_t n); /* 0 or WEIR_ENOMEM */
void weir__heap_add(struct weir__heap *heap, int64_t key, struct weir__heap_node *node);
void weir__heap_remove(struct weir__heap *heap, struct weir__heap_node *node);
void weir__heap_fini(struct weir__heap *heap);

/* The entry with the smallest key; the heap must not be empty. */
static inline struct weir__heap_entry weir__heap_top(const struct weir__heap *heap)
{
	return heap->entries[1];
}

#endif
