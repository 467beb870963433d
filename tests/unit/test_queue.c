/* SPDX-License-Identifier: MIT */
/* The queue, case by case; test_queue_model.c has it compared with a naive one. */
#include "unit/death.h"
#include "unit/queues.h"

#include <string.h>

static int join_fiber(void *arg)
{
	struct call *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_queue_join(self->queue, deadline_of(self));
	return 0;
}

static void settle_items(struct weir_queue *queue, int n)
{
	for (int i = 0; i < n; i++)
		weir_queue_task_done(queue);
}

FIBER_TEST(queue_is_first_in_first_out_around_its_end)
{
	for (size_t capacity = 1; capacity <= 5; capacity++) {
		struct weir_queue *queue = new_queue(capacity);
		uint64_t in = 0, out = 0;
		for (int round = 0; round < 20; round++) {
			for (size_t i = 0; i < 1 + (size_t)round % capacity; i++)
				put(queue, in++);
			ck_assert_uint_eq(weir_queue_size(queue), in - out);
			while (out < in)
				ck_assert_uint_eq(get(queue), out++);
			ck_assert(weir_queue_empty(queue));
		}
		ck_assert_uint_eq(weir_queue_capacity(queue), capacity);
		weir_queue_free(queue);
	}
	weir_queue_free(NULL);
}

FIBER_TEST(queue_full_and_empty_answer_without_waiting)
{
	struct weir_queue *queue = new_queue(2);
	uint64_t item = 77;
	ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_queue_get(queue, &item, weir_now() - 1), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_queue_get(queue, &item, weir_after(5)), WEIR_ETIMEDOUT);
	ck_assert_uint_eq(item, 77);
	put(queue, 1);
	ck_assert(!weir_queue_full(queue));
	put(queue, 2);
	ck_assert(weir_queue_full(queue));
	ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_queue_put(queue, &item, weir_after(5)), WEIR_ETIMEDOUT);
	ck_assert_uint_eq(weir_queue_size(queue), 2);
	ck_assert_uint_eq(get(queue), 1);
	ck_assert_uint_eq(get(queue), 2);
	weir_queue_free(queue);
}

TEST(queue_of_nothing_is_refused)
{
	struct weir_queue *queue;
	ck_assert_int_eq(weir_queue_new(0, 1, &queue), WEIR_EINVAL);
	ck_assert_int_eq(weir_queue_new(1, 0, &queue), WEIR_EINVAL);
	ck_assert_int_eq(weir_queue_new(SIZE_MAX / 2, 3, &queue), WEIR_EINVAL);
}

FIBER_TEST(queue_hands_items_to_getters_in_their_order)
{
	enum { GETTERS = 20 };
	struct call getters[GETTERS];
	struct weir_queue *queue = new_queue(3);
	struct weir_group *group = new_group();
	for (int i = 0; i < GETTERS; i++) {
		getters[i] = (struct call){.queue = queue};
		line_up(group, get_fiber, &getters[i]);
	}
	for (uint64_t i = 0; i < GETTERS; i++)
		put(queue, 100 + i);
	ck_assert(weir_queue_empty(queue)); /* all went straight to those who waited */
	uint64_t item;
	ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_TRY), WEIR_EAGAIN);
	finish(group);
	for (uint64_t i = 0; i < GETTERS; i++)
		ck_assert_uint_eq(getters[i].item, 100 + i);
	weir_queue_free(queue);
}

FIBER_TEST(queue_takes_items_from_putters_in_their_order)
{
	enum { PUTTERS = 20 };
	struct call putters[PUTTERS];
	for (size_t capacity = 1; capacity <= 3; capacity++) {
		struct weir_queue *queue = new_queue(capacity);
		struct weir_group *group = new_group();
		for (size_t i = 0; i < PUTTERS; i++) {
			putters[i] = (struct call){.queue = queue, .item = i};
			line_up(group, put_fiber, &putters[i]);
			ck_assert_int_eq(putters[i].answer, i < capacity ? 0 : UNANSWERED);
		}
		for (uint64_t i = 0; i < PUTTERS; i++) {
			uint64_t item = 1000;
			ck_assert_uint_eq(get(queue), i);
			if (i + capacity < PUTTERS) /* the place went to who waited: nobody overtakes */
				ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_TRY), WEIR_EAGAIN);
		}
		finish(group);
		ck_assert(weir_queue_empty(queue));
		weir_queue_free(queue);
	}
}

FIBER_TEST(queue_keeps_items_of_all_sizes)
{
	static const size_t sizes[] = {1, 2, 8, 16, 24, 4096};
	static unsigned char in[4096], out[4096 + 1];
	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		struct weir_queue *queue;
		ck_assert_int_eq(weir_queue_new(sizes[s], 3, &queue), 0);
		for (int round = 0; round < 10; round++) {
			for (int i = 0; i < 3; i++) {
				memset(in, round * 3 + i + 1, sizeof in);
				ck_assert_int_eq(weir_queue_put(queue, in, WEIR_TRY), 0);
			}
			for (int i = 0; i < 3; i++) {
				memset(in, round * 3 + i + 1, sizeof in);
				memset(out, 0xee, sizeof out);
				ck_assert_int_eq(weir_queue_get(queue, out, WEIR_TRY), 0);
				ck_assert_int_eq(memcmp(in, out, sizes[s]), 0);
				ck_assert_uint_eq(out[sizes[s]], 0xee);
			}
		}
		weir_queue_free(queue);
	}
}

/* ---- cancel */

static int get_twice(void *arg)
{
	struct call *self = arg;
	uint64_t second = 55;
	get_fiber(self);
	ck_assert_int_eq(weir_queue_get(self->queue, &second, WEIR_TRY), WEIR_ECANCELED);
	ck_assert_int_eq(weir_queue_put(self->queue, &second, WEIR_FOREVER), WEIR_ECANCELED);
	ck_assert_int_eq(weir_queue_join(self->queue, WEIR_FOREVER), WEIR_ECANCELED);
	ck_assert_uint_eq(second, 55);
	return 0;
}

FIBER_TEST(queue_getter_cancelled_after_the_hand_over_has_the_item)
{
	struct weir_queue *queue = new_queue(3);
	struct weir_group *group = new_group();
	struct call getter = {.queue = queue};
	spawn(group, get_twice, &getter);
	settle();
	put(queue, 1);
	put(queue, 2);
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(getter.answer, 0);
	ck_assert_uint_eq(getter.item, 1);
	ck_assert_uint_eq(get(queue), 2);
	weir_queue_free(queue);
}

FIBER_TEST(queue_putter_cancelled_after_its_item_was_taken_has_put_it)
{
	struct weir_queue *queue = new_queue(1);
	struct weir_group *group = new_group();
	struct call putter = {.queue = queue, .item = 2};
	put(queue, 1);
	line_up(group, put_fiber, &putter);
	ck_assert_uint_eq(get(queue), 1);
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(putter.answer, 0);
	ck_assert_uint_eq(get(queue), 2);
	weir_queue_free(queue);
}

FIBER_TEST(queue_cancelled_waiters_leave_nothing_behind)
{
	struct weir_queue *queue = new_queue(1);
	struct weir_group *canceled = new_group(), *group = new_group();
	struct call gone[3] = {{.queue = queue}, {.queue = queue}, {.queue = queue}}, stays = {.queue = queue};
	line_up(canceled, get_fiber, &gone[0]);
	line_up(canceled, get_fiber, &gone[1]);
	line_up(group, get_fiber, &stays);
	line_up(canceled, get_fiber, &gone[2]);
	weir_group_cancel(canceled);
	put(queue, 9);
	finish(canceled);
	finish(group);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(gone[i].answer, WEIR_ECANCELED);
	ck_assert_uint_eq(stays.item, 9);
	weir_queue_task_done(queue);
	ck_assert_int_eq(weir_queue_join(queue, WEIR_TRY), 0);
	weir_queue_free(queue);
}

FIBER_TEST(queue_putter_cancelled_at_the_head_lets_the_next_in)
{
	struct weir_queue *queue = new_queue(1);
	struct weir_group *canceled = new_group(), *group = new_group();
	struct call gone = {.queue = queue, .item = 2}, next = {.queue = queue, .item = 3};
	put(queue, 1);
	line_up(canceled, put_fiber, &gone);
	line_up(group, put_fiber, &next);
	weir_group_cancel(canceled); /* and before it runs a place becomes free */
	ck_assert_uint_eq(get(queue), 1);
	finish(canceled);
	finish(group);
	ck_assert_int_eq(gone.answer, WEIR_ECANCELED);
	ck_assert_int_eq(next.answer, 0);
	ck_assert_uint_eq(get(queue), 3);
	ck_assert(weir_queue_empty(queue));
	weir_queue_free(queue);
}

static int put_at_its_time(void *arg)
{
	struct call *self = arg;
	weir_sleep_until(self->deadline);
	self->answer = weir_queue_put(self->queue, &self->item, WEIR_TRY);
	return 0;
}

/* Whoever comes first in that instant: either the getter has the item, or the queue has. */
FIBER_TEST(queue_item_put_at_the_getters_deadline_is_not_lost)
{
	for (int tie = 0; tie < 2; tie++) {
		struct weir_queue *queue = new_queue(1);
		struct weir_group *group = new_group();
		weir_nsec at = weir_now() + 100;
		struct call getter = {.queue = queue, .deadline = at};
		struct call putter = {.queue = queue, .item = 7, .deadline = at};
		line_up(group, tie ? get_fiber : put_at_its_time, tie ? &getter : &putter);
		line_up(group, tie ? put_at_its_time : get_fiber, tie ? &putter : &getter);
		finish(group);
		ck_assert_int_eq(putter.answer, 0);
		if (getter.answer == 0)
			ck_assert_uint_eq(getter.item, 7);
		else
			ck_assert_uint_eq(get(queue), 7);
		ck_assert(getter.answer == 0 || getter.answer == WEIR_ETIMEDOUT);
		ck_assert(weir_queue_empty(queue));
		weir_queue_free(queue);
	}
}

/* A getter that was handed an item before its deadline, but runs after it, has the item. */
FIBER_TEST(queue_getter_that_runs_after_its_deadline_has_what_it_was_handed)
{
	struct weir_queue *queue = new_queue(1);
	struct weir_group *group = new_group();
	struct call getter = {.queue = queue, .deadline = weir_now() + 5};
	line_up(group, get_fiber, &getter);
	weir_sleep(4);
	put(queue, 1);
	weir_group_cancel(group);
	weir_sleep(10);
	finish(group);
	ck_assert_int_eq(getter.answer, 0);
	ck_assert_uint_eq(getter.item, 1);
	weir_queue_free(queue);
}

/* ---- task_done and join */

FIBER_TEST(queue_join_waits_for_unsettled_items)
{
	struct weir_queue *queue = new_queue(5);
	struct weir_group *group = new_group();
	struct call join = {.queue = queue};
	ck_assert_int_eq(weir_queue_join(queue, WEIR_TRY), 0);
	put(queue, 1);
	put(queue, 2);
	line_up(group, join_fiber, &join);
	ck_assert_int_eq(weir_queue_join(queue, WEIR_TRY), WEIR_EAGAIN);
	get(queue);
	get(queue);
	ck_assert_int_eq(weir_queue_join(queue, weir_after(5)), WEIR_ETIMEDOUT);
	weir_queue_task_done(queue);
	settle();
	ck_assert_int_eq(join.answer, UNANSWERED);
	weir_queue_task_done(queue);
	put(queue, 3); /* too late to keep who was woken */
	finish(group);
	ck_assert_int_eq(join.answer, 0);
	weir_queue_free(queue);
}

FIBER_TEST(queue_join_counts_what_was_handed_over)
{
	struct weir_queue *queue = new_queue(1);
	struct weir_group *group = new_group();
	struct call getter = {.queue = queue};
	line_up(group, get_fiber, &getter);
	put(queue, 1);
	ck_assert_int_eq(weir_queue_join(queue, WEIR_TRY), WEIR_EAGAIN);
	finish(group);
	ck_assert_int_eq(weir_queue_join(queue, WEIR_TRY), WEIR_EAGAIN);
	weir_queue_task_done(queue);
	ck_assert_int_eq(weir_queue_join(queue, WEIR_TRY), 0);
	weir_queue_free(queue);
}

/* ---- close */

FIBER_TEST(queue_closed_gracefully_is_drained)
{
	struct weir_queue *queue = new_queue(2);
	struct weir_group *group = new_group();
	struct call putters[2] = {{.queue = queue, .item = 3}, {.queue = queue, .item = 4}};
	uint64_t item = 9;
	put(queue, 1);
	put(queue, 2);
	line_up(group, put_fiber, &putters[0]);
	line_up(group, put_fiber, &putters[1]);
	ck_assert_uint_eq(weir_queue_close(queue, 0), 0);
	finish(group);
	ck_assert_int_eq(putters[0].answer, WEIR_ECLOSED);
	ck_assert_int_eq(putters[1].answer, WEIR_ECLOSED);
	ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_TRY), WEIR_ECLOSED);
	ck_assert_uint_eq(get(queue), 1);
	ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_FOREVER), WEIR_ECLOSED);
	ck_assert_uint_eq(get(queue), 2);
	ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_FOREVER), WEIR_ECLOSED);
	ck_assert_uint_eq(item, 9);
	settle_items(queue, 2);
	ck_assert_int_eq(weir_queue_join(queue, WEIR_TRY), 0);
	weir_queue_free(queue);
}

FIBER_TEST(queue_closed_while_getters_wait)
{
	struct weir_queue *queue = new_queue(2);
	struct weir_group *group = new_group();
	struct call getters[3] = {{.queue = queue}, {.queue = queue}, {.queue = queue}};
	for (int i = 0; i < 3; i++)
		line_up(group, get_fiber, &getters[i]);
	put(queue, 1); /* the first has won before the close */
	ck_assert_uint_eq(weir_queue_close(queue, WEIR_QUEUE_DROP), 0);
	finish(group);
	ck_assert_int_eq(getters[0].answer, 0);
	ck_assert_uint_eq(getters[0].item, 1);
	ck_assert_int_eq(getters[1].answer, WEIR_ECLOSED);
	ck_assert_int_eq(getters[2].answer, WEIR_ECLOSED);
	settle_items(queue, 1);
	weir_queue_free(queue);
}

FIBER_TEST(queue_closed_immediately_counts_the_dropped_as_settled)
{
	struct weir_queue *queue = new_queue(3);
	struct weir_group *group = new_group();
	struct call join = {.queue = queue}, putter = {.queue = queue, .item = 4};
	uint64_t item = 9;
	for (uint64_t i = 1; i <= 3; i++)
		put(queue, i);
	get(queue);
	put(queue, 5);
	line_up(group, join_fiber, &join);
	line_up(group, put_fiber, &putter);
	ck_assert_uint_eq(weir_queue_close(queue, 0), 0);
	ck_assert_uint_eq(weir_queue_close(queue, WEIR_QUEUE_DROP), 3);
	ck_assert_uint_eq(weir_queue_close(queue, WEIR_QUEUE_DROP), 0);
	settle();
	ck_assert_int_eq(putter.answer, WEIR_ECLOSED);
	ck_assert_int_eq(join.answer, UNANSWERED); /* one item is still in hand */
	ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_TRY), WEIR_ECLOSED);
	weir_queue_task_done(queue);
	finish(group);
	ck_assert_int_eq(join.answer, 0);
	weir_queue_free(queue);
}

FIBER_TEST(queue_dropping_all_ends_the_join)
{
	struct weir_queue *queue = new_queue(3);
	struct weir_group *group = new_group();
	struct call join = {.queue = queue};
	put(queue, 1);
	put(queue, 2);
	line_up(group, join_fiber, &join);
	ck_assert_uint_eq(weir_queue_close(queue, WEIR_QUEUE_DROP), 2);
	finish(group);
	ck_assert_int_eq(join.answer, 0);
	weir_queue_free(queue);
}

/* ---- contracts */

static int settle_too_often(void *arg)
{
	(void)arg;
	struct weir_queue *queue = new_queue(2);
	put(queue, 1);
	put(queue, 2);
	get(queue);
	weir_queue_task_done(queue);
	breaks(weir_queue_task_done(queue));
	return 0;
}

static int settle_before_the_get(void *arg)
{
	(void)arg;
	struct weir_queue *queue = new_queue(2);
	put(queue, 1);
	breaks(weir_queue_task_done(queue));
	return 0;
}

static int free_awaited(void *arg)
{
	(void)arg;
	static struct call getter;
	getter.queue = new_queue(1);
	line_up(new_group(), get_fiber, &getter);
	breaks(weir_queue_free(getter.queue));
	return 0;
}

static void run_settle_too_often(void)
{
	weir_run(NULL, settle_too_often, NULL);
}

static void run_settle_before_the_get(void)
{
	weir_run(NULL, settle_before_the_get, NULL);
}

static void run_free_awaited(void)
{
	weir_run(NULL, free_awaited, NULL);
}

TEST(queue_broken_contracts_abort)
{
	assert_breaks(run_settle_too_often, "weir_queue_task_done: called more often than items were taken");
	assert_breaks(run_settle_before_the_get, "weir_queue_task_done: called more often than items were taken");
	assert_breaks(run_free_awaited, "weir_queue_free: a fiber waits on it");
}
