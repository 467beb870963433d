/* SPDX-License-Identifier: MIT */
/* Places in a queue: many at once, reserved, more and fewer of them; and the forms that never wait. */
#include "unit/death.h"
#include "unit/queues.h"

FIBER_TEST(queue_try_forms_never_wait)
{
	struct weir_queue *queue = new_queue(1);
	uint64_t item = 5, got = 9;
	ck_assert_int_eq(weir_queue_try_get(queue, &got), WEIR_EAGAIN);
	ck_assert_int_eq(weir_queue_try_put(queue, &item), 0);
	ck_assert_int_eq(weir_queue_try_put(queue, &item), WEIR_EAGAIN);
	weir_queue_close(queue, 0);
	ck_assert_int_eq(weir_queue_try_put(queue, &item), WEIR_ECLOSED);
	ck_assert_int_eq(weir_queue_try_get(queue, &got), 0);
	ck_assert_uint_eq(got, 5);
	ck_assert_int_eq(weir_queue_try_get(queue, &got), WEIR_ECLOSED);
	weir_queue_free(queue);
}

static int try_after_cancel(void *arg)
{
	struct call *self = arg;
	ck_assert_int_eq(weir_sleep(WEIR_SEC), WEIR_ECANCELED);
	ck_assert_int_eq(weir_queue_put(self->queue, &self->item, WEIR_TRY), WEIR_ECANCELED);
	self->answer = weir_queue_try_put(self->queue, &self->item);
	return 0;
}

FIBER_TEST(queue_item_can_be_put_back_in_clean_up)
{
	struct call call = {.queue = new_queue(1), .item = 3};
	struct weir_group *group = new_group();
	line_up(group, try_after_cancel, &call);
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(call.answer, 0);
	ck_assert_uint_eq(get(call.queue), 3);
	weir_queue_free(call.queue);
}

/* ---- many */

struct many {
	struct weir_queue *queue;
	uint64_t items[5];
	size_t n;
	int answer;
};

static int put_five(void *arg)
{
	struct many *self = arg;
	self->answer = weir_queue_put_many(self->queue, self->items, 5, &self->n, WEIR_FOREVER);
	return 0;
}

static int get_five(void *arg)
{
	struct many *self = arg;
	self->answer = weir_queue_get_many(self->queue, self->items, 5, &self->n, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(queue_put_many_goes_in_whole_and_in_order)
{
	struct many many = {.queue = new_queue(2), .items = {1, 2, 3, 4, 5}};
	struct call other = {.queue = many.queue, .item = 6};
	struct weir_group *group = new_group();
	spawn(group, put_five, &many);
	settle();
	line_up(group, put_fiber, &other);
	for (uint64_t i = 1; i <= 6; i++)
		ck_assert_uint_eq(get(many.queue), i);
	finish(group);
	ck_assert_int_eq(many.answer, 0);
	ck_assert_uint_eq(many.n, 5);
	weir_queue_free(many.queue);
}

FIBER_TEST(queue_put_many_says_how_many_went_in_before_the_cancel)
{
	struct many many = {.queue = new_queue(2), .items = {1, 2, 3, 4, 5}};
	struct weir_group *group = new_group();
	spawn(group, put_five, &many);
	settle();
	ck_assert_uint_eq(get(many.queue), 1);
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(many.answer, WEIR_ECANCELED);
	ck_assert_uint_eq(many.n, 3);
	ck_assert_uint_eq(get(many.queue), 2);
	ck_assert_uint_eq(get(many.queue), 3);
	size_t n = 9;
	weir_queue_close(many.queue, 0);
	ck_assert_int_eq(weir_queue_put_many(many.queue, many.items, 5, &n, WEIR_FOREVER), WEIR_ECLOSED);
	ck_assert_uint_eq(n, 0);
	weir_queue_free(many.queue);
}

FIBER_TEST(queue_get_many_takes_what_there_is_and_waits_only_for_one)
{
	struct many many = {.queue = new_queue(9)};
	struct weir_group *group = new_group();
	put(many.queue, 1);
	put(many.queue, 2);
	get_five(&many);
	ck_assert_int_eq(many.answer, 0);
	ck_assert_uint_eq(many.n, 2);
	ck_assert_uint_eq(many.items[1], 2);
	spawn(group, get_five, &many);
	settle();
	for (uint64_t i = 11; i <= 17; i++)
		put(many.queue, i);
	finish(group);
	ck_assert_uint_eq(many.n, 5);
	for (uint64_t i = 0; i < 5; i++)
		ck_assert_uint_eq(many.items[i], 11 + i);
	ck_assert_uint_eq(weir_queue_size(many.queue), 2);
	weir_queue_free(many.queue);
}

/* ---- reserve, commit, abort */

static int reserve_fiber(void *arg)
{
	struct call *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_queue_reserve(self->queue, deadline_of(self));
	return 0;
}

FIBER_TEST(queue_reserved_place_is_taken_until_commit_or_abort)
{
	struct weir_queue *queue = new_queue(1);
	struct weir_group *group = new_group();
	struct call next = {.queue = queue, .item = 2}, getter = {.queue = queue};
	uint64_t item = 1;
	ck_assert_int_eq(weir_queue_reserve(queue, WEIR_FOREVER), 0);
	ck_assert(weir_queue_full(queue) && weir_queue_empty(queue));
	ck_assert_int_eq(weir_queue_reserve(queue, WEIR_TRY), WEIR_EAGAIN);
	line_up(group, get_fiber, &getter); /* putter and getter wait at once: the place between them is reserved */
	line_up(group, put_fiber, &next);
	ck_assert_int_eq(next.answer, UNANSWERED);
	weir_queue_commit(queue, &item);
	settle();
	ck_assert_uint_eq(getter.item, 1);
	ck_assert_int_eq(next.answer, 0);
	ck_assert_uint_eq(get(queue), 2);
	ck_assert_int_eq(weir_queue_reserve(queue, WEIR_TRY), 0);
	next.item = 3;
	line_up(group, put_fiber, &next);
	weir_queue_abort(queue);
	finish(group);
	ck_assert_uint_eq(get(queue), 3);
	weir_queue_free(queue);
}

FIBER_TEST(queue_reserver_cancelled_after_it_got_its_place_can_commit)
{
	struct weir_queue *queue = new_queue(1);
	struct weir_group *group = new_group();
	struct call reserver = {.queue = queue};
	uint64_t item = 2;
	put(queue, 1);
	line_up(group, reserve_fiber, &reserver);
	get(queue);
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(reserver.answer, 0);
	weir_queue_commit(queue, &item);
	ck_assert_uint_eq(get(queue), 2);
	weir_queue_free(queue);
}

FIBER_TEST(queue_closed_with_reserved_places_is_drained_when_they_end)
{
	for (int commit = 0; commit < 2; commit++) {
		struct weir_queue *queue = new_queue(2);
		struct weir_group *group = new_group();
		struct call getters[2] = {{.queue = queue}, {.queue = queue}};
		uint64_t item = 1;
		ck_assert_int_eq(weir_queue_reserve(queue, WEIR_TRY), 0);
		line_up(group, get_fiber, &getters[0]);
		weir_queue_close(queue, 0);
		line_up(group, get_fiber, &getters[1]);
		ck_assert_int_eq(getters[1].answer, UNANSWERED);
		if (commit)
			weir_queue_commit(queue, &item);
		else
			weir_queue_abort(queue);
		finish(group);
		ck_assert_int_eq(getters[0].answer, commit ? 0 : WEIR_ECLOSED);
		ck_assert_int_eq(getters[1].answer, WEIR_ECLOSED);
		ck_assert_int_eq(weir_queue_reserve(queue, WEIR_FOREVER), WEIR_ECLOSED);
		weir_queue_free(queue);
	}
}

FIBER_TEST(queue_item_committed_after_the_drop_counts_as_settled)
{
	struct weir_queue *queue = new_queue(2);
	struct weir_queue_stats stats;
	uint64_t item = 1;
	ck_assert_int_eq(weir_queue_reserve(queue, WEIR_TRY), 0);
	weir_queue_close(queue, WEIR_QUEUE_DROP);
	ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_FOREVER), WEIR_ECLOSED);
	weir_queue_commit(queue, &item);
	ck_assert_int_eq(weir_queue_join(queue, WEIR_TRY), 0);
	weir_queue_stats(queue, &stats);
	ck_assert_uint_eq(stats.dropped, 1);
	ck_assert_uint_eq(stats.got, 0);
	weir_queue_free(queue);
}

FIBER_TEST(queue_unbounded_keeps_room_for_what_is_reserved)
{
	enum { PLACES = 100 };
	struct weir_queue *queue =
		new_queue_with((struct weir_queue_options){.capacity = 1, .flags = WEIR_QUEUE_UNBOUNDED});
	for (uint64_t i = 0; i < PLACES; i++)
		ck_assert_int_eq(weir_queue_reserve(queue, WEIR_TRY), 0);
	put(queue, 0);
	for (uint64_t i = 1; i <= PLACES; i++)
		weir_queue_commit(queue, &i);
	for (uint64_t i = 0; i <= PLACES; i++)
		ck_assert_uint_eq(get(queue), i);
	weir_queue_free(queue);
}

/* ---- resize */

FIBER_TEST(queue_growing_lets_putters_in_at_once_in_their_order)
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

/* ---- contracts */

static int commit_unreserved(void *arg)
{
	(void)arg;
	struct weir_queue *queue = new_queue(1);
	uint64_t item = 1;
	weir_queue_commit(queue, &item);
	return 0;
}

static int get_many_of_nothing(void *arg)
{
	(void)arg;
	struct weir_queue *queue = new_queue(1);
	uint64_t item;
	size_t n;
	return weir_queue_get_many(queue, &item, 0, &n, WEIR_TRY);
}

static void run_commit_unreserved(void)
{
	weir_run(NULL, commit_unreserved, NULL);
}

static void run_get_many_of_nothing(void)
{
	weir_run(NULL, get_many_of_nothing, NULL);
}

TEST(queue_broken_contracts_of_places_abort)
{
	assert_aborts(run_commit_unreserved);
	assert_aborts(run_get_many_of_nothing);
}
