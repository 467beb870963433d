/* SPDX-License-Identifier: MIT */
/*
 * The queue: what is put and got, and who waits for it.  The items of a plain FIFO queue lie in a ring and go the short
 * way; all else goes the long way, in functions of its own that are not inlined, so that the short one stays short.
 *
 *     put  -> a getter waits: its item is copied straight to it, and it is woken
 *     get  -> a place is free now: admit() lets putters in, in their order
 *     unsettled = items in the queue + items got and not yet task_done
 *     items ever put = counted + tail: the ring counts by going round
 *
 * Nothing on the paths that do not wait allocates (but the growth of an unbounded queue), calls out or reads a clock.
 */
#include "sync/queue.h"

#include <stdlib.h>

enum { UNBOUNDED_PLACES = 64 };

static int64_t default_rank(const struct weir_queue *queue)
{
	return queue->order == WEIR_EDF ? WEIR_FOREVER : 0;
}

static inline void ring_push(struct weir_queue *queue, const void *item)
{
	weir__queue_copy(queue, queue->ring + queue->tail * queue->item_bytes, item);
	if (weir__unlikely(++queue->tail == queue->places)) {
		queue->tail = 0;
		queue->counted += queue->places;
	}
	queue->ring_size++;
}

static inline void ring_pop(struct weir_queue *queue, void *ret_item)
{
	weir__queue_copy(queue, ret_item, queue->ring + queue->head * queue->item_bytes);
	if (++queue->head == queue->places)
		queue->head = 0;
	queue->ring_size--;
}

/* After every change of what it depends on. */
static void set_limit(struct weir_queue *queue)
{
	size_t most = queue->capacity < queue->places ? queue->capacity : queue->places;
	bool is_short = queue->has_ring && !queue->closed;
	queue->limit = is_short ? most : 0;
}

static bool is_valid(const struct weir_queue_options *opts)
{
	bool unbounded = opts->flags & WEIR_QUEUE_UNBOUNDED;
	return opts->item_bytes && (opts->capacity || unbounded) && opts->capacity <= SIZE_MAX / opts->item_bytes &&
	       opts->capacity < SIZE_MAX && (unsigned)opts->order <= WEIR_EDF && opts->aging >= 0 &&
	       opts->classes <= 64 && !(opts->flags & ~(unsigned)(WEIR_QUEUE_UNBOUNDED | WEIR_QUEUE_TIMED));
}

int weir_queue_new_with(const struct weir_queue_options *opts, struct weir_queue **ret_queue)
{
	if (!is_valid(opts))
		return WEIR_EINVAL;
	struct weir_queue *queue = calloc(1, sizeof *queue);
	if (!queue)
		return WEIR_ENOMEM;
	TAILQ_INIT(&queue->free);
	TAILQ_INIT(&queue->held);
	TAILQ_INIT(&queue->getters);
	TAILQ_INIT(&queue->putters);
	TAILQ_INIT(&queue->joiners);
	queue->item_bytes = opts->item_bytes;
	queue->order = opts->order;
	queue->has_slots = opts->order >= WEIR_PRIORITY || opts->flags & WEIR_QUEUE_TIMED;
	queue->has_ring = opts->order == WEIR_FIFO && !queue->has_slots;
	queue->aging = opts->aging ? opts->aging : 5 * WEIR_SEC;
	queue->capacity = opts->flags & WEIR_QUEUE_UNBOUNDED ? SIZE_MAX : opts->capacity;
	if (weir__queue_grow(queue, opts->capacity ? opts->capacity : UNBOUNDED_PLACES) ||
	    weir__queue_stats_init(queue, opts)) {
		weir_queue_free(queue);
		return WEIR_ENOMEM;
	}
	set_limit(queue);
	*ret_queue = queue;
	return 0;
}

int weir_queue_new(size_t item_bytes, size_t capacity, struct weir_queue **ret_queue)
{
	return weir_queue_new_with(&(struct weir_queue_options){.item_bytes = item_bytes, .capacity = capacity},
				   ret_queue);
}

static void destroy(struct weir_queue *queue)
{
	weir__queue_store_fini(queue);
	weir__queue_stats_fini(queue);
	free(queue);
}

void weir__queue_free(const char *here, struct weir_queue *queue)
{
	if (!queue)
		return;
	weir__require(TAILQ_EMPTY(&queue->getters) && TAILQ_EMPTY(&queue->putters) && TAILQ_EMPTY(&queue->joiners),
		      here, "weir_queue_free: a fiber waits on it");
	queue->freed = true;
	if (!queue->timing)
		destroy(queue);
}

weir__function(queue_free, struct weir_queue *);

/* ---- waits that are timed: while there is one the queue may be freed, not its memory */

void weir__queue_wait_begins(struct weir_queue *queue)
{
	queue->timing++;
}

void weir__queue_wait_ended(struct weir_queue *queue, struct weir__queue_waits *waits, weir_nsec since)
{
	if (since != WEIR_FOREVER) {
		waits->n++;
		waits->total += weir_now() - since;
		weir_histogram_record(waits->times, weir_now() - since);
	}
	if (!--queue->timing && queue->freed)
		destroy(queue);
}

static int wait_timed(struct weir_queue *queue, struct weir__queue_waiter *self, weir_nsec deadline,
		      struct weir__queue_waits *waits)
{
	weir__queue_wait_begins(queue);
	int code = weir__wait(waits == &queue->put_waits ? &queue->putters : &queue->getters, &self->waiter, deadline);
	weir__queue_wait_ended(queue, waits, self->waiter.fiber ? self->waiter.since : WEIR_FOREVER);
	return code;
}

/* ---- items in, items out */

static __attribute__((noinline)) void hand_over(struct weir_queue *queue, const void *item)
{
	struct weir__queue_waiter *getter = (struct weir__queue_waiter *)TAILQ_FIRST(&queue->getters);
	queue->counted++;
	weir__queue_copy(queue, getter->item, item);
	weir__wake(&getter->waiter, 0);
}

/* Takes an item for which there is a place: to a getter, or in. */
static void accept_item(struct weir_queue *queue, const void *item, int64_t rank)
{
	queue->unsettled++;
	if (!TAILQ_EMPTY(&queue->getters)) {
		if (queue->has_slots)
			weir__queue_count_got(queue, NULL, rank);
		hand_over(queue, item);
	} else if (queue->has_ring) {
		ring_push(queue, item);
	} else {
		queue->counted++;
		weir__queue_push(queue, item, rank);
	}
}

/* Lets putters in while there are places. */
static __attribute__((noinline)) void admit(struct weir_queue *queue)
{
	while (!TAILQ_EMPTY(&queue->putters) && weir__queue_has_place(queue)) {
		struct weir__queue_waiter *putter = (struct weir__queue_waiter *)TAILQ_FIRST(&queue->putters);
		weir__wake(&putter->waiter, 0);
		accept_item(queue, putter->item, putter->rank);
	}
}

/* Room for one item more in an unbounded queue. */
static int make_room(struct weir_queue *queue)
{
	if (weir__likely(weir__queue_size(queue) < queue->places))
		return 0;
	if (weir__queue_grow(queue, 2 * queue->places))
		return WEIR_ENOMEM;
	set_limit(queue);
	return 0;
}

int weir__queue_try_put(struct weir_queue *queue, const void *item, int64_t rank)
{
	if (queue->closed)
		return WEIR_ECLOSED;
	if (!weir__queue_has_place(queue))
		return WEIR_EAGAIN;
	int code = make_room(queue);
	if (!code)
		accept_item(queue, item, rank);
	return code;
}

int weir__queue_try_get(struct weir_queue *queue, void *ret_item)
{
	if (queue->ring_size)
		ring_pop(queue, ret_item);
	else if (queue->store_size)
		weir__queue_pop(queue, ret_item);
	else
		return weir__queue_is_drained(queue) ? WEIR_ECLOSED : WEIR_EAGAIN;
	if (!TAILQ_EMPTY(&queue->putters))
		admit(queue);
	return 0;
}

static int wait_to_put(struct weir_queue *queue, struct weir__queue_waiter *self, weir_nsec deadline)
{
	if (weir__unlikely(queue->put_waits.times != NULL))
		return wait_timed(queue, self, deadline, &queue->put_waits);
	return weir__wait(&queue->putters, &self->waiter, deadline);
}

static inline int wait_to_get(struct weir_queue *queue, void *ret_item, weir_nsec deadline)
{
	struct weir__queue_waiter self = {.waiter.what = "queue get", .item = ret_item};
	if (weir__unlikely(queue->get_waits.times != NULL))
		return wait_timed(queue, &self, deadline, &queue->get_waits);
	return weir__wait(&queue->getters, &self.waiter, deadline);
}

static __attribute__((noinline)) int put_the_long_way(struct weir_queue *queue, const void *item, int64_t rank,
						      weir_nsec deadline)
{
	int code = weir__queue_try_put(queue, item, rank);
	if (code != WEIR_EAGAIN)
		return code;
	struct weir__queue_waiter self = {.waiter.what = "queue put", .item = (char *)(uintptr_t)item, .rank = rank};
	return wait_to_put(queue, &self, deadline);
}

int weir_queue_put(struct weir_queue *queue, const void *item, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (weir__unlikely(queue->ring_size >= queue->limit))
		return put_the_long_way(queue, item, default_rank(queue), deadline);
	queue->unsettled++;
	if (!TAILQ_EMPTY(&queue->getters))
		hand_over(queue, item);
	else
		ring_push(queue, item);
	return 0;
}

int weir_queue_put_at(struct weir_queue *queue, const void *item, int64_t rank, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (queue->order == WEIR_PRIORITY && rank < 0)
		return WEIR_EINVAL;
	return put_the_long_way(queue, item, rank, deadline);
}

static __attribute__((noinline)) int get_the_long_way(struct weir_queue *queue, void *ret_item, weir_nsec deadline)
{
	if (queue->store_size)
		return weir__queue_try_get(queue, ret_item);
	return weir__queue_is_drained(queue) ? WEIR_ECLOSED : wait_to_get(queue, ret_item, deadline);
}

int weir_queue_get(struct weir_queue *queue, void *ret_item, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (weir__unlikely(!queue->ring_size))
		return get_the_long_way(queue, ret_item, deadline);
	ring_pop(queue, ret_item);
	if (weir__unlikely(!TAILQ_EMPTY(&queue->putters)))
		admit(queue);
	return 0;
}

/* ---- settling, closing, resizing */

void weir__queue_task_done(const char *here, struct weir_queue *queue)
{
	size_t size = queue->ring_size;
	if (weir__unlikely(!queue->has_ring))
		size = queue->store_size;
	weir__require(queue->unsettled > size, here, "weir_queue_task_done: called more often than items were taken");
	if (weir__unlikely(queue->has_slots))
		weir__queue_count_settled(queue);
	if (weir__unlikely(--queue->unsettled == 0 && !TAILQ_EMPTY(&queue->joiners)))
		weir__wake_all(&queue->joiners, 0);
}

weir__function(queue_task_done, struct weir_queue *);

int weir_queue_join(struct weir_queue *queue, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (!queue->unsettled)
		return 0;
	struct weir__waiter self = {.what = "queue join"};
	return weir__wait(&queue->joiners, &self, deadline);
}

static size_t drop_all(struct weir_queue *queue)
{
	size_t dropped = weir__queue_size(queue);
	queue->ring_size = 0;
	queue->head = queue->tail;
	weir__queue_forget_all(queue);
	queue->dropped += dropped;
	queue->unsettled -= dropped;
	if (!queue->unsettled)
		weir__wake_all(&queue->joiners, 0);
	return dropped;
}

size_t weir_queue_close(struct weir_queue *queue, unsigned flags)
{
	queue->closed = true;
	set_limit(queue);
	weir__wake_all(&queue->putters, WEIR_ECLOSED);
	size_t dropped = flags & WEIR_QUEUE_DROP ? drop_all(queue) : 0;
	if (weir__queue_is_drained(queue))
		weir__wake_all(&queue->getters, WEIR_ECLOSED);
	return dropped;
}

int weir_queue_resize(struct weir_queue *queue, size_t capacity)
{
	if (!capacity || capacity > SIZE_MAX / queue->item_bytes || capacity == SIZE_MAX || queue->capacity == SIZE_MAX)
		return WEIR_EINVAL;
	if (capacity > queue->places && weir__queue_grow(queue, capacity))
		return WEIR_ENOMEM;
	queue->capacity = capacity;
	set_limit(queue);
	admit(queue);
	return 0;
}

size_t weir_queue_size(const struct weir_queue *queue)
{
	return weir__queue_size(queue);
}

size_t weir_queue_capacity(const struct weir_queue *queue)
{
	return queue->capacity;
}

bool weir_queue_empty(const struct weir_queue *queue)
{
	return !weir__queue_size(queue);
}

bool weir_queue_full(const struct weir_queue *queue)
{
	return !weir__queue_has_place(queue);
}
