/* SPDX-License-Identifier: MIT */
/*
 * Inside a queue.  queue.c holds the calls and the waiting, queue_store.c keeps items in their order, queue_stats.c
 * counts; select.c waits in the lists of several queues.
 *
 *     size     = ring_size + store_size       one of them is 0 for ever: FIFO has the ring, all else the store
 *     limit    = what ring_size must be below for a put to go the short way; 0: all go the long way
 *     putters  wait only while size >= capacity, getters only while size is 0
 */
#ifndef SYNC_QUEUE_H
#define SYNC_QUEUE_H

#include "rt/fiber.h"

#include <string.h>
#include <weir/heap.h>
#include <weir/queue.h>

/* An item of a PRIORITY, EDF or timed queue. */
struct weir__queue_slot {
	struct weir_heap_node node;
	TAILQ_ENTRY(weir__queue_slot) others;
	weir_nsec entered;
	int64_t rank;
	char item[];
};

struct weir__queue_chunk {
	struct weir__queue_chunk *next;
};

struct weir__queue_class {
	uint64_t got, overtook, breaches;
	weir_nsec sla;
	struct weir_histogram *times, *tasks;
};

/* Items of one class that were got in the same turn and are still in hand. */
struct weir__queue_run {
	weir_nsec got_at;
	size_t n;
	unsigned class; /* WEIR__UNTIMED: there was no room to tell them apart */
};

enum { WEIR__QUEUE_RUNS = 1024, WEIR__UNTIMED = 1000 };

struct weir__queue_waits {
	uint64_t n;
	weir_nsec total;
	struct weir_histogram *times;
};

struct weir_queue {
	char *ring; /* also the stack of a LIFO queue */
	size_t item_bytes, places;
	size_t head, tail; /* places in the ring: of the oldest item, and after the newest */
	size_t ring_size, limit;
	size_t unsettled;
	uint64_t counted; /* items ever put, less `tail` */
	struct weir__waitlist getters, putters, joiners;

	size_t store_size;
	size_t capacity; /* SIZE_MAX: unbounded */
	bool has_ring;   /* the short way is open to it */
	bool has_slots;  /* its items know their time and class */
	bool closed;
	enum weir_queue_order order;

	struct weir_heap heap;
	TAILQ_HEAD(weir__queue_slots, weir__queue_slot) free, held; /* those held in the order in which they came */
	struct weir__queue_chunk *chunks;
	weir_nsec aging;

	char *name;
	uint64_t dropped;
	uint64_t in_hand_ns; /* of a queue with slots, modulo 2^64: times of all task_done less times of all gets */
	struct weir__queue_waits put_waits, get_waits; /* `times` is NULL: not counted */
	struct weir__queue_class *classes;
	unsigned n_classes;
	struct weir_histogram *tasks;    /* of one class: that class's */
	struct weir__queue_run *in_hand; /* a ring of WEIR__QUEUE_RUNS, the longest in hand first */
	size_t first_run, n_runs;
	uint64_t untimed;

	size_t timing; /* waits that are counted and whose fiber has yet to do so; it may have been woken */
	bool freed;    /* by its user: the last of them frees it */
};

struct weir__queue_waiter {
	struct weir__waiter waiter;
	char *item;   /* a putter's (only read), or where a getter's goes */
	int64_t rank; /* of a putter's item */
};

/* Compilers turn the fixed sizes into plain moves. */
static inline void weir__queue_copy(const struct weir_queue *queue, void *to, const void *from)
{
	if (weir__likely(queue->item_bytes == 8))
		memcpy(to, from, 8);
	else if (queue->item_bytes == 16)
		memcpy(to, from, 16);
	else
		memcpy(to, from, queue->item_bytes);
}

static inline size_t weir__queue_size(const struct weir_queue *queue)
{
	return queue->ring_size + queue->store_size;
}

static inline bool weir__queue_has_place(const struct weir_queue *queue)
{
	return weir__queue_size(queue) < queue->capacity;
}

static inline bool weir__queue_is_drained(const struct weir_queue *queue)
{
	return queue->closed && !weir__queue_size(queue);
}

/* ---- queue_store.c */

/* Room for so many items in all.  WEIR_ENOMEM: nothing has changed. */
int weir__queue_grow(struct weir_queue *queue, size_t places);
void weir__queue_store_fini(struct weir_queue *queue);

/* Puts an item in for which there is room, or takes the next out of what is not empty; not with a ring. */
void weir__queue_push(struct weir_queue *queue, const void *item, int64_t rank);
void weir__queue_pop(struct weir_queue *queue, void *ret_item);
void weir__queue_forget_all(struct weir_queue *queue);

/* ---- queue_stats.c */

int weir__queue_stats_init(struct weir_queue *queue, const struct weir_queue_options *opts);
void weir__queue_stats_fini(struct weir_queue *queue);
/* An item has been got: NULL for one that was handed over without ever being in the queue, then rank counts. */
void weir__queue_count_got(struct weir_queue *queue, const struct weir__queue_slot *slot, int64_t rank);
/* An item has been settled. */
void weir__queue_count_settled(struct weir_queue *queue);

/* ---- queue.c, for select.c: the calls without looking for a cancel, WEIR_EAGAIN where they would have to wait */

int weir__queue_try_put(struct weir_queue *queue, const void *item, int64_t rank);
int weir__queue_try_get(struct weir_queue *queue, void *ret_item);

/* Around a wait for several things, which is timed: of the end of one that did not suspend `since` is WEIR_FOREVER. */
void weir__queue_wait_begins(struct weir_queue *queue);
void weir__queue_wait_ended(struct weir_queue *queue, struct weir__queue_waits *waits, weir_nsec since);

#endif
