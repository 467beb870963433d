/* SPDX-License-Identifier: MIT */
/*
 * A bounded queue of items of one size, copied by value.
 *
 * Items leave first in first out, last in first out, by class with aging, or by deadline.  Those that wait are served
 * strictly first in first out, whatever the order of the items: an item goes straight to the fiber that has waited
 * longest, and nobody overtakes.  A fiber that is cancelled after an item was handed to it gets the item; the cancel
 * shows at its next call.  Every item that was got is settled by one weir_queue_task_done(); weir_queue_join() waits
 * for all of them.
 *
 * Closing: gracefully, gets drain what is there and then return WEIR_ECLOSED; immediately, what is left is dropped and
 * counts as settled.  Puts answer WEIR_ECLOSED from the close on, also those already waiting: their items stay with
 * the caller.
 *
 * Calls belong on fibers of the loop that made the queue.
 */
#ifndef WEIR_QUEUE_H
#define WEIR_QUEUE_H

#include <weir/histogram.h>
#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_queue;

/* ---- making one */

enum weir_queue_order {
	WEIR_FIFO,     /* the oldest item first */
	WEIR_LIFO,     /* the newest item first */
	WEIR_PRIORITY, /* the most urgent class first, and every `aging` of waiting makes an item one class more urgent:
			* an item of class p waits behind those of class q < p that came at most (p - q) * aging after
			* it */
	WEIR_EDF,      /* the item with the earliest deadline first; one that has passed is delivered all the same */
};

enum weir_queue_flags {
	WEIR_QUEUE_UNBOUNDED = 1u << 0, /* grows as needed: puts never wait, but may answer WEIR_ENOMEM */
	WEIR_QUEUE_TIMED = 1u << 1, /* counts how long puts, gets and items waited and how long items were in hand: 152
				     * KiB and 80 bytes an item; puts and gets take several times as long, though still
				     * without a clock read */
};

struct weir_queue_options {
	size_t item_bytes; /* 1 or more */
	size_t capacity;   /* in items, 1 or more; of an unbounded queue: room to begin with, 0: 64 */
	enum weir_queue_order order;
	unsigned flags;
	weir_nsec aging;  /* of WEIR_PRIORITY; 0: 5 s */
	const char *name; /* copied; NULL: none; with one puts and gets that wait are timed (64 KiB), others cost no
			   * more than without */
	unsigned classes; /* of WEIR_PRIORITY, 1 to 64, 0: 1; statistics are kept for each class from 0 (64 KiB each, 56
			   * for all), those of classes beyond go to the last */
	const weir_nsec *sla; /* of WEIR_PRIORITY: the longest an item of each class should wait, 0: any time; `classes`
			       * values, copied; may be NULL */
};

/* WEIR_EINVAL (an option), WEIR_ENOMEM. */
WEIR_API int weir_queue_new_with(const struct weir_queue_options *opts, struct weir_queue **ret_queue);

/* A FIFO queue of at most `capacity` items (1 or more) of item_bytes (1 or more) each.  WEIR_EINVAL, WEIR_ENOMEM. */
WEIR_API int weir_queue_new(size_t item_bytes, size_t capacity, struct weir_queue **ret_queue);

/* Contract: no fiber waits on it.  Items left in it are forgotten.  NULL is fine. */
WEIR_API void weir_queue_free(struct weir_queue *queue);
WEIR_API void weir__queue_free(const char *here, struct weir_queue *queue);
#define weir_queue_free(...) weir__queue_free(WEIR_HERE, __VA_ARGS__)

/* ---- put and get */

/* Copies *item in; suspends while the queue is full.  Class 0 of a PRIORITY queue; of an EDF queue no deadline.
 * WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED, WEIR_ECLOSED, WEIR_ENOMEM (unbounded): then the item was not taken. */
WEIR_API int weir_queue_put(struct weir_queue *queue, const void *item, weir_nsec deadline);

/* The same with a rank: the item's class (0 is the most urgent; a negative one is WEIR_EINVAL) in a PRIORITY queue, its
 * own deadline (WEIR_FOREVER: none) in an EDF one; FIFO and LIFO take no notice of it. */
WEIR_API int weir_queue_put_at(struct weir_queue *queue, const void *item, int64_t rank, weir_nsec deadline);

/* Copies the next item out; suspends while the queue is empty.  WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED,
 * WEIR_ECLOSED: then *ret_item is untouched. */
WEIR_API int weir_queue_get(struct weir_queue *queue, void *ret_item, weir_nsec deadline);

/* ---- settling */

/* Settles one item that was got.  Once too often is a broken contract. */
WEIR_API void weir_queue_task_done(struct weir_queue *queue);
WEIR_API void weir__queue_task_done(const char *here, struct weir_queue *queue);
#define weir_queue_task_done(...) weir__queue_task_done(WEIR_HERE, __VA_ARGS__)

/* Suspends until every item ever put was settled.  WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED. */
WEIR_API int weir_queue_join(struct weir_queue *queue, weir_nsec deadline);

/* ---- closing, resizing */

enum weir_queue_close_flags {
	WEIR_QUEUE_DROP = 1u << 0, /* drop what is in the queue; join counts it as settled */
};

/* Closes the queue and returns how many items were dropped.  A second call may only add WEIR_QUEUE_DROP. */
WEIR_API size_t weir_queue_close(struct weir_queue *queue, unsigned flags);

/* Another capacity (1 or more).  Growing admits waiting puts immediately, in their order; shrinking drops nothing and
 * lets nobody in until there are fewer items than that; memory is kept.  WEIR_EINVAL (also of an unbounded queue),
 * WEIR_ENOMEM: then nothing has changed. */
WEIR_API int weir_queue_resize(struct weir_queue *queue, size_t capacity);

/* ---- looking at it */

WEIR_API size_t weir_queue_size(const struct weir_queue *queue);
WEIR_API size_t weir_queue_capacity(const struct weir_queue *queue); /* of an unbounded queue SIZE_MAX */
WEIR_API bool weir_queue_empty(const struct weir_queue *queue);
WEIR_API bool weir_queue_full(const struct weir_queue *queue); /* every place is taken */

/* Of a queue with a name or WEIR_QUEUE_TIMED: how calls waited, whatever became of them.  Calls that did not suspend
 * are not in it.  A weir_select() that waited counts once for each of its cases, whichever won: as long as it stood in
 * the line of the queue. */
struct weir_queue_waits {
	uint64_t n;
	weir_nsec total;
	const struct weir_histogram *times; /* NULL: not counted; valid as long as the queue */
};

/* The time in hand runs from get to task_done.  As task_done names no item, the k-th is taken to settle the k-th that
 * was got, whichever fiber got it, and belongs to that item's class.  With one consumer, or several that are alike,
 * that is the truth; where one is slower than the others, its times mix with theirs: the mean over all classes stays
 * exact, percentiles draw towards it.
 *
 * Costs no clock read: times are those of weir_now().  So an item that is settled without suspending counts 0.  As
 * long as at most 1,023 items are in hand (got in the same turn and of one class they count as one) the times of all
 * are known; those of items got beyond that are in `in_hand`, but `untimed` in the histograms. */
struct weir_queue_stats {
	const char *name;                    /* NULL: none */
	uint64_t put, got, settled, dropped; /* items so far; settled includes dropped, got does not */
	size_t size;
	struct weir_queue_waits puts, gets; /* puts: stalled by a full queue */
	weir_nsec in_hand; /* of all items together, to now if not settled: divided by `got` their mean; 0 without
			    * classes */
	const struct weir_histogram *tasks; /* the time in hand of those settled; NULL without classes; valid as long as
					     * the queue */
	uint64_t untimed;                   /* items settled that are not in it */
	unsigned classes;                   /* of EDF 1; of FIFO and LIFO 1 with WEIR_QUEUE_TIMED, else 0 */
};
WEIR_API void weir_queue_stats(const struct weir_queue *queue, struct weir_queue_stats *ret_stats);

/* Of the items of one class that were got. */
struct weir_queue_class_stats {
	uint64_t got;
	uint64_t overtook; /* left while an older item, of whatever class, stayed behind */
	uint64_t breaches; /* waited longer than the class's sla; of EDF: left after their own deadline */
	const struct weir_histogram *times; /* from going in to coming out; valid as long as the queue */
	const struct weir_histogram *tasks; /* from coming out to task_done, as above; valid as long as the queue */
};

/* WEIR_EINVAL: there is no such class. */
WEIR_API int weir_queue_class_stats(const struct weir_queue *queue, unsigned class_index,
				    struct weir_queue_class_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
