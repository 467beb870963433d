/* SPDX-License-Identifier: MIT */
/* The children of entry i are 4i-2 … 4i+1, its parent is (i+2)/4, the root is 1. */

#include <stdbool.h>
#include <stdlib.h>
#include <weir/heap.h>

static bool before(struct weir_heap_entry a, struct weir_heap_entry b)
{
	return a.key != b.key ? a.key < b.key : a.node->seq < b.node->seq;
}

static void place(struct weir_heap *heap, size_t at, struct weir_heap_entry entry)
{
	heap->entries[at] = entry;
	entry.node->index = at;
}

static void sift_up(struct weir_heap *heap, size_t at, struct weir_heap_entry entry)
{
	while (at > 1) {
		size_t parent = (at + 2) / 4;
		if (!before(entry, heap->entries[parent]))
			break;
		place(heap, at, heap->entries[parent]);
		at = parent;
	}
	place(heap, at, entry);
}

static void sift_down(struct weir_heap *heap, size_t at, struct weir_heap_entry entry)
{
	for (;;) {
		size_t first = 4 * at - 2, last = first + 3 < heap->n ? first + 3 : heap->n, least = first;
		if (first > heap->n)
			break;
		for (size_t child = first + 1; child <= last; child++)
			if (before(heap->entries[child], heap->entries[least]))
				least = child;
		if (!before(heap->entries[least], entry))
			break;
		place(heap, at, heap->entries[least]);
		at = least;
	}
	place(heap, at, entry);
}

int weir_heap_reserve(struct weir_heap *heap, size_t n)
{
	if (n < heap->room)
		return 0;
	size_t room = heap->room ? heap->room : 32;
	while (room <= n)
		room *= 2;
	struct weir_heap_entry *entries = realloc(heap->entries, room * sizeof *entries);
	if (!entries)
		return WEIR_ENOMEM;
	heap->entries = entries;
	heap->room = room;
	return 0;
}

void weir_heap_add(struct weir_heap *heap, int64_t key, struct weir_heap_node *node)
{
	node->seq = heap->seq++;
	sift_up(heap, ++heap->n, (struct weir_heap_entry){key, node});
}

void weir_heap_remove(struct weir_heap *heap, struct weir_heap_node *node)
{
	size_t at = node->index;
	struct weir_heap_entry last = heap->entries[heap->n--];
	node->index = 0;
	if (last.node == node)
		return;
	if (at > 1 && before(last, heap->entries[(at + 2) / 4]))
		sift_up(heap, at, last);
	else
		sift_down(heap, at, last);
}

void weir_heap_fini(struct weir_heap *heap)
{
	free(heap->entries);
	*heap = (struct weir_heap){0};
}
