/* SPDX-License-Identifier: MIT */
/* What the tests of queues share: one call of a fiber of its own, and calls that must not wait. */
#ifndef UNIT_QUEUES_H
#define UNIT_QUEUES_H

#include "unit/fibers.h"

#include <weir/queue.h>

struct call {
	struct weir_queue *queue;
	uint64_t item;
	weir_nsec deadline; /* 0: none */
	int answer;
};

static inline weir_nsec deadline_of(const struct call *call)
{
	return call->deadline ? call->deadline : WEIR_FOREVER;
}

static inline int put_fiber(void *arg)
{
	struct call *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_queue_put(self->queue, &self->item, deadline_of(self));
	return 0;
}

static inline int get_fiber(void *arg)
{
	struct call *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_queue_get(self->queue, &self->item, deadline_of(self));
	return 0;
}

/* Starts it and lets it get in line. */
static inline void line_up(struct weir_group *group, weir_fiber_fn fn, struct call *call)
{
	spawn(group, fn, call);
	settle();
}

static inline void put(struct weir_queue *queue, uint64_t item)
{
	ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_TRY), 0);
}

static inline uint64_t get(struct weir_queue *queue)
{
	uint64_t item = UINT64_MAX;
	ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_TRY), 0);
	return item;
}

static inline struct weir_queue *new_queue_with(struct weir_queue_options opts)
{
	struct weir_queue *queue;
	opts.item_bytes = sizeof(uint64_t);
	ck_assert_int_eq(weir_queue_new_with(&opts, &queue), 0);
	return queue;
}

static inline struct weir_queue *new_queue(size_t capacity)
{
	return new_queue_with((struct weir_queue_options){.capacity = capacity});
}

#endif
