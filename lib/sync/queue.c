/* SPDX-License-Identifier: MIT */
/*
 * The bounded FIFO queue: a ring of items, and three lists of waiters.
 *
 *     getters wait only while the ring is empty, putters only while it is full; so never both
 *     put  -> a getter waits: its item is copied straight to it, and it is woken
 *     get  -> a putter waits: its item takes the place that became free, and it is woken
 *     unsettled = items in the ring + items got and not yet task_done
 *
 * Nothing on the paths that do not wait allocates, calls out or reads a clock.
 */
#include "rt/fiber.h"

#include <stdlib.h>
#include <string.h>
#include <weir/queue.h>

struct weir_queue {
	char *ring;
	size_t item_bytes, capacity;
	size_t head, tail; /* places in the ring: of the oldest item, and after the newest */
	size_t size, unsettled;
	struct weir__waitlist getters, putters, joiners;
	bool closed;
};

struct queue_waiter {
	struct weir__waiter waiter;
	void *item; /* a putter's (only read) or where a getter's goes */
};

/* Compilers turn the fixed sizes into plain moves. */
static inline void copy_item(const struct weir_queue *queue, void *to, const void *from)
{
	if (weir__likely(queue->item_bytes == 8))
		memcpy(to, from, 8);
	else if (queue->item_bytes == 16)
		memcpy(to, from, 16);
	else
		memcpy(to, from, queue->item_bytes);
}

static inline void ring_push(struct weir_queue *queue, const void *item)
{
	copy_item(queue, queue->ring + queue->tail * queue->item_bytes, item);
	if (++queue->tail == queue->capacity)
		queue->tail = 0;
	queue->size++;
}

static inline void ring_pop(struct weir_queue *queue, void *ret_item)
{
	copy_item(queue, ret_item, queue->ring + queue->head * queue->item_bytes);
	if (++queue->head == queue->capacity)
		queue->head = 0;
	queue->size--;
}

int weir_queue_new(size_t item_bytes, size_t capacity, struct weir_queue **ret_queue)
{
	size_t bytes;
	if (!item_bytes || !capacity || __builtin_mul_overflow(item_bytes, capacity, &bytes))
		return WEIR_EINVAL;
	struct weir_queue *queue = calloc(1, sizeof *queue);
	if (!queue)
		return WEIR_ENOMEM;
	queue->ring = malloc(bytes);
	if (!queue->ring) {
		free(queue);
		return WEIR_ENOMEM;
	}
	queue->item_bytes = item_bytes;
	queue->capacity = capacity;
	*ret_queue = queue;
	return 0;
}

void weir_queue_free(struct weir_queue *queue)
{
	if (!queue)
		return;
	weir__require(!queue->getters.head && !queue->putters.head && !queue->joiners.head,
		      "weir_queue_free() while a fiber waits on it");
	free(queue->ring);
	free(queue);
}

static __attribute__((noinline)) void hand_over(struct weir_queue *queue, const void *item)
{
	struct queue_waiter *getter = (struct queue_waiter *)queue->getters.head;
	copy_item(queue, getter->item, item);
	weir__wake(&getter->waiter, 0);
}

static __attribute__((noinline)) void take_over(struct weir_queue *queue)
{
	struct queue_waiter *putter = (struct queue_waiter *)queue->putters.head;
	ring_push(queue, putter->item);
	queue->unsettled++;
	weir__wake(&putter->waiter, 0);
}

static __attribute__((noinline)) int wait_to_put(struct weir_queue *queue, const void *item, weir_nsec deadline)
{
	if (queue->closed)
		return WEIR_ECLOSED;
	struct queue_waiter self = {.waiter.what = "queue put", .item = (void *)(uintptr_t)item};
	return weir__wait(&queue->putters, &self.waiter, deadline);
}

int weir_queue_put(struct weir_queue *queue, const void *item, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (weir__unlikely(queue->size == queue->capacity || queue->closed))
		return wait_to_put(queue, item, deadline);
	queue->unsettled++;
	if (queue->getters.head)
		hand_over(queue, item);
	else
		ring_push(queue, item);
	return 0;
}

static __attribute__((noinline)) int wait_to_get(struct weir_queue *queue, void *ret_item, weir_nsec deadline)
{
	if (queue->closed)
		return WEIR_ECLOSED;
	struct queue_waiter self = {.waiter.what = "queue get", .item = ret_item};
	return weir__wait(&queue->getters, &self.waiter, deadline);
}

int weir_queue_get(struct weir_queue *queue, void *ret_item, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (weir__unlikely(!queue->size))
		return wait_to_get(queue, ret_item, deadline);
	ring_pop(queue, ret_item);
	if (weir__unlikely(queue->putters.head != NULL))
		take_over(queue);
	return 0;
}

void weir_queue_task_done(struct weir_queue *queue)
{
	weir__require(queue->unsettled > queue->size, "weir_queue_task_done() once too often");
	if (weir__unlikely(--queue->unsettled == 0 && queue->joiners.head))
		weir__wake_all(&queue->joiners, 0);
}

int weir_queue_join(struct weir_queue *queue, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (!queue->unsettled)
		return 0;
	struct weir__waiter self = {.what = "queue join"};
	return weir__wait(&queue->joiners, &self, deadline);
}

size_t weir_queue_close(struct weir_queue *queue, unsigned flags)
{
	size_t dropped = 0;
	queue->closed = true;
	weir__wake_all(&queue->putters, WEIR_ECLOSED);
	weir__wake_all(&queue->getters, WEIR_ECLOSED);
	if (flags & WEIR_QUEUE_DROP) {
		dropped = queue->size;
		queue->size = 0;
		queue->head = queue->tail;
		queue->unsettled -= dropped;
		if (!queue->unsettled)
			weir__wake_all(&queue->joiners, 0);
	}
	return dropped;
}

size_t weir_queue_size(const struct weir_queue *queue)
{
	return queue->size;
}

size_t weir_queue_capacity(const struct weir_queue *queue)
{
	return queue->capacity;
}

bool weir_queue_empty(const struct weir_queue *queue)
{
	return !queue->size;
}

bool weir_queue_full(const struct weir_queue *queue)
{
	return queue->size == queue->capacity;
}
