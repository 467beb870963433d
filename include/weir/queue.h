/* SPDX-License-Identifier: MIT */
/*
 * A bounded first-in-first-out queue of items of one size, copied by value.
 *
 * Strictly FIFO, also among those that wait: an item goes straight to the fiber that has waited longest, and nobody
 * overtakes.  A fiber that is cancelled after an item was handed to it gets the item; the cancel shows at its next
 * call.  Every item that was got is settled by one weir_queue_task_done(); weir_queue_join() waits for all of them.
 *
 * Closing: gracefully, gets drain what is there and then answer WEIR_ECLOSED; at once, what is left is dropped and
 * counts as settled.  Puts answer WEIR_ECLOSED from the close on, also those already waiting: their items stay with
 * the caller.
 *
 * Calls belong on fibers of the loop that made the queue.
 */
#ifndef WEIR_QUEUE_H
#define WEIR_QUEUE_H

#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_queue;

/* A queue of at most `capacity` items (1 or more) of item_bytes (1 or more) each.  WEIR_EINVAL, WEIR_ENOMEM. */
WEIR_API int weir_queue_new(size_t item_bytes, size_t capacity, struct weir_queue **ret_queue);

/* Contract: no fiber waits on it.  Items left in it are forgotten.  NULL is fine. */
WEIR_API void weir_queue_free(struct weir_queue *queue);

/* Copies *item in; suspends while the queue is full.  WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED, WEIR_ECLOSED: then
 * the item was not taken. */
WEIR_API int weir_queue_put(struct weir_queue *queue, const void *item, weir_nsec deadline);

/* Copies the oldest item out; suspends while the queue is empty.  WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED,
 * WEIR_ECLOSED: then *ret_item is untouched. */
WEIR_API int weir_queue_get(struct weir_queue *queue, void *ret_item, weir_nsec deadline);

/* Settles one item that was got.  Once too often is a broken contract. */
WEIR_API void weir_queue_task_done(struct weir_queue *queue);

/* Suspends until every item ever put was settled.  WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED. */
WEIR_API int weir_queue_join(struct weir_queue *queue, weir_nsec deadline);

enum weir_queue_close_flags {
	WEIR_QUEUE_DROP = 1u << 0, /* drop what is in the queue; join counts it as settled */
};

/* Closes the queue and returns how many items were dropped.  A second call may only add WEIR_QUEUE_DROP. */
WEIR_API size_t weir_queue_close(struct weir_queue *queue, unsigned flags);

WEIR_API size_t weir_queue_size(const struct weir_queue *queue);
WEIR_API size_t weir_queue_capacity(const struct weir_queue *queue);
WEIR_API bool weir_queue_empty(const struct weir_queue *queue);
WEIR_API bool weir_queue_full(const struct weir_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
