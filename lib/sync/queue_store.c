/* SPDX-License-Identifier: MIT */
/*
 * Where the items of a queue lie, and which leaves next.
 *
 *     FIFO                   the ring; queue.c pushes and pops, here it only grows
 *     LIFO                   the same memory as a stack: items 0 … store_size-1
 *     PRIORITY, EDF, timed   slots that never move, in chunks; a heap of them by key, and a list of them by going in
 *
 * Aging needs neither clock nor thread: the urgency of an item, its class less the time it has waited in units of
 * `aging`, grows as fast as everybody else's, so any two items keep their order, and
 *
 *     key = class * aging + time of going in
 *
 * says it once and for all.  EDF is the same heap with the deadline as the key.  Equal keys leave as they came.
 */
#include "sync/queue.h"

#include <stdlib.h>

static int grow_ring(struct weir_queue *queue, size_t places)
{
	size_t item = queue->item_bytes, more = places - queue->places, bytes;
	if (__builtin_mul_overflow(places, item, &bytes))
		return WEIR_ENOMEM;
	char *ring = realloc(queue->ring, bytes);
	if (!ring)
		return WEIR_ENOMEM;
	queue->ring = ring;
	if (queue->ring_size > queue->tail) { /* its oldest items lie before the end: they move there again */
		size_t moved = queue->places - queue->head;
		memmove(ring + (queue->head + more) * item, ring + queue->head * item, moved * item);
		queue->head += more;
	}
	queue->places = places;
	return 0;
}

static int grow_slots(struct weir_queue *queue, size_t places)
{
	size_t align = _Alignof(struct weir__queue_slot), room, bytes, more = places - queue->places;
	if (__builtin_add_overflow(sizeof(struct weir__queue_slot), queue->item_bytes, &room) ||
	    __builtin_add_overflow(room, align - 1, &room))
		return WEIR_ENOMEM;
	room -= room % align;
	if (__builtin_mul_overflow(room, more, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(struct weir__queue_chunk), &bytes) ||
	    weir_heap_reserve(&queue->heap, places))
		return WEIR_ENOMEM;
	struct weir__queue_chunk *chunk = malloc(bytes);
	if (!chunk)
		return WEIR_ENOMEM;
	chunk->next = queue->chunks;
	queue->chunks = chunk;
	for (size_t i = more; i-- > 0;) {
		struct weir__queue_slot *slot = (void *)((char *)(chunk + 1) + i * room);
		TAILQ_INSERT_HEAD(&queue->free, slot, others);
	}
	queue->places = places;
	return 0;
}

int weir__queue_grow(struct weir_queue *queue, size_t places)
{
	return queue->has_slots ? grow_slots(queue, places) : grow_ring(queue, places);
}

void weir__queue_store_fini(struct weir_queue *queue)
{
	for (struct weir__queue_chunk *next, *chunk = queue->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	weir_heap_fini(&queue->heap);
	free(queue->ring);
}

static int64_t key_of(const struct weir_queue *queue, int64_t rank, weir_nsec now)
{
	int64_t key;
	if (queue->order == WEIR_FIFO)
		return 0;
	if (queue->order == WEIR_LIFO)
		return -(int64_t)queue->heap.seq;
	if (queue->order == WEIR_EDF)
		return rank == WEIR_FOREVER ? INT64_MAX : rank;
	if (__builtin_mul_overflow(rank, queue->aging, &key) || __builtin_add_overflow(key, now, &key))
		return INT64_MAX;
	return key;
}

void weir__queue_push(struct weir_queue *queue, const void *item, int64_t rank)
{
	if (!queue->has_slots) {
		weir__queue_copy(queue, queue->ring + queue->store_size++ * queue->item_bytes, item);
		return;
	}
	struct weir__queue_slot *slot = TAILQ_FIRST(&queue->free);
	TAILQ_REMOVE(&queue->free, slot, others);
	TAILQ_INSERT_TAIL(&queue->held, slot, others);
	slot->entered = weir_now();
	slot->rank = rank;
	weir__queue_copy(queue, slot->item, item);
	weir_heap_add(&queue->heap, key_of(queue, rank, slot->entered), &slot->node);
	queue->store_size++;
}

static void release(struct weir_queue *queue, struct weir__queue_slot *slot)
{
	TAILQ_REMOVE(&queue->held, slot, others);
	TAILQ_INSERT_HEAD(&queue->free, slot, others);
	weir_heap_remove(&queue->heap, &slot->node);
	queue->store_size--;
}

static struct weir__queue_slot *top_slot(const struct weir_queue *queue)
{
	char *node = (char *)weir_heap_top(&queue->heap).node;
	return (struct weir__queue_slot *)(node - offsetof(struct weir__queue_slot, node));
}

void weir__queue_pop(struct weir_queue *queue, void *ret_item)
{
	if (!queue->has_slots) {
		weir__queue_copy(queue, ret_item, queue->ring + --queue->store_size * queue->item_bytes);
		return;
	}
	struct weir__queue_slot *slot = top_slot(queue);
	weir__queue_copy(queue, ret_item, slot->item);
	weir__queue_count_got(queue, slot, slot->rank);
	release(queue, slot);
}

void weir__queue_forget_all(struct weir_queue *queue)
{
	while (!TAILQ_EMPTY(&queue->held))
		release(queue, TAILQ_FIRST(&queue->held));
	queue->store_size = 0;
}
