/* SPDX-License-Identifier: MIT */
/* A queue whose capacity changes. */
#include "unit/queues.h"

FIBER_TEST(queue_growing_lets_putters_in_immediately_in_their_order)
{
	enum { PUTTERS = 5 };
	struct weir_queue *queue = new_queue(1);
	struct weir_group *group = new_group();
	struct call putters[PUTTERS];
	put(queue, 100);
	for (uint64_t i = 0; i < PUTTERS; i++) {
		putters[i] = (struct call){.queue = queue, .item = i};
		line_up(group, put_fiber, &putters[i]);
	}
	ck_assert_int_eq(weir_queue_resize(queue, 4), 0);
	ck_assert_uint_eq(weir_queue_size(queue), 4);
	settle();
	for (uint64_t i = 0; i < PUTTERS; i++)
		ck_assert_int_eq(putters[i].answer, i < 3 ? 0 : UNANSWERED);
	ck_assert_int_eq(weir_queue_resize(queue, 0), WEIR_EINVAL);
	ck_assert_uint_eq(get(queue), 100);
	for (uint64_t i = 0; i < PUTTERS; i++)
		ck_assert_uint_eq(get(queue), i);
	finish(group);
	weir_queue_free(queue);
}

FIBER_TEST(queue_shrinking_admits_nobody_until_drained)
{
	struct weir_queue *queue = new_queue(4);
	struct weir_group *group = new_group();
	struct call putter = {.queue = queue, .item = 5};
	for (uint64_t i = 1; i <= 4; i++)
		put(queue, i);
	ck_assert_int_eq(weir_queue_resize(queue, 2), 0);
	ck_assert_uint_eq(weir_queue_size(queue), 4);
	line_up(group, put_fiber, &putter);
	ck_assert_uint_eq(get(queue), 1);
	ck_assert_uint_eq(get(queue), 2);
	settle();
	ck_assert_int_eq(putter.answer, UNANSWERED);
	ck_assert(weir_queue_full(queue));
	ck_assert_uint_eq(get(queue), 3);
	finish(group);
	ck_assert_int_eq(putter.answer, 0);
	ck_assert_uint_eq(get(queue), 4);
	ck_assert_uint_eq(get(queue), 5);
	weir_queue_free(queue);
}
