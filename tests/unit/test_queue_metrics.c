/* SPDX-License-Identifier: MIT */
/* What a queue measures: waits, also of selects, and time in hand. */
#include "unit/queues.h"

#include <stdlib.h>
#include <weir/select.h>

static void put_at(struct weir_queue *queue, uint64_t item, int64_t rank)
{
	ck_assert_int_eq(weir_queue_put_at(queue, &item, rank, WEIR_TRY), 0);
}

/* ---- time in hand */

FIBER_TEST(queue_times_items_from_get_to_task_done)
{
	struct weir_queue_stats stats;
	struct weir_queue_class_stats class;
	struct weir_queue *queue =
		new_queue_with((struct weir_queue_options){.capacity = 200, .order = WEIR_PRIORITY, .classes = 2});
	for (uint64_t i = 0; i < 100; i++)
		put_at(queue, i, 0);
	put_at(queue, 100, 1);
	for (int i = 0; i < 100; i++)
		get(queue);
	for (int i = 0; i < 100; i++) { /* 1 to 100 */
		weir_sleep(1);
		weir_queue_task_done(queue);
	}
	get(queue);
	weir_sleep(1000);
	weir_queue_stats(queue, &stats);
	ck_assert_uint_eq(weir_histogram_count(stats.tasks), 100); /* not what is still in hand */
	weir_queue_task_done(queue);
	weir_queue_stats(queue, &stats);
	ck_assert_int_eq(weir_queue_class_stats(queue, 0, &class), 0);
	ck_assert_uint_eq(weir_histogram_sum(class.tasks), 5050);
	ck_assert_int_eq(weir_histogram_quantile(class.tasks, 0.5), 50);
	ck_assert_int_eq(weir_histogram_quantile(class.tasks, 0.99), 99);
	ck_assert_int_eq(weir_queue_class_stats(queue, 1, &class), 0);
	ck_assert_int_eq(weir_histogram_max(class.tasks), 1000);
	ck_assert_int_eq(weir_histogram_max(stats.tasks), 1000);
	ck_assert_uint_eq(weir_histogram_sum(stats.tasks), (uint64_t)stats.in_hand);
	ck_assert_uint_eq(stats.untimed, 0);
	weir_queue_free(queue);
}

FIBER_TEST(queue_settles_items_in_the_order_they_were_got)
{
	struct weir_queue_stats stats;
	struct weir_queue *queue =
		new_queue_with((struct weir_queue_options){.capacity = 2, .flags = WEIR_QUEUE_TIMED});
	put(queue, 1), put(queue, 2);
	get(queue);
	weir_sleep(10);
	get(queue);
	weir_sleep(1);
	weir_queue_task_done(queue); /* whichever it was: the first */
	weir_queue_stats(queue, &stats);
	ck_assert_uint_eq(weir_histogram_sum(stats.tasks), 11);
	weir_queue_task_done(queue);
	weir_queue_stats(queue, &stats);
	ck_assert_uint_eq(weir_histogram_sum(stats.tasks), 12);
	weir_queue_free(queue);
}

FIBER_TEST(queue_knows_the_times_of_a_bounded_number_in_hand)
{
	enum { KNOWN = 1023, BEYOND = 100 };
	struct weir_queue_stats stats;
	struct weir_queue *queue =
		new_queue_with((struct weir_queue_options){.capacity = 1, .flags = WEIR_QUEUE_TIMED});
	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < KNOWN + BEYOND; i++) {
			put(queue, i);
			get(queue);
			weir_sleep(1);
		}
		for (int i = 0; i < KNOWN / 2; i++)
			weir_queue_task_done(queue);
		put(queue, 0), get(queue); /* there is room again */
		for (int i = KNOWN / 2; i < KNOWN + BEYOND + 1; i++)
			weir_queue_task_done(queue);
		weir_queue_stats(queue, &stats);
		ck_assert_uint_eq(stats.untimed, (uint64_t)(round + 1) * BEYOND);
		ck_assert_uint_eq(weir_histogram_count(stats.tasks), (uint64_t)(round + 1) * (KNOWN + 1));
		ck_assert_int_eq(weir_histogram_max(stats.tasks), KNOWN + BEYOND);
		ck_assert_uint_eq(stats.settled, stats.got);
	}
	weir_queue_free(queue);
}

/* ---- waits */

struct choice {
	struct weir_select_case cases[3];
	weir_nsec deadline;
};

static int select_fiber(void *arg)
{
	struct choice *choice = arg;
	return weir_select(choice->cases, 3, choice->deadline);
}

FIBER_TEST(queue_counts_the_waits_of_selects)
{
	uint64_t in = 7, out = 0;
	struct weir_queue_stats empty_stats, full_stats;
	struct weir_queue *empty = new_queue_with((struct weir_queue_options){.capacity = 1, .name = "empty"});
	struct weir_queue *full = new_queue_with((struct weir_queue_options){.capacity = 1, .flags = WEIR_QUEUE_TIMED});
	struct weir_queue *plain = new_queue(1);
	struct weir_group *group = new_group();
	struct choice choice = {
		.cases = {{.get = empty, .item = &out}, {.put = full, .item = &in}, {.get = plain, .item = &out}},
		.deadline = WEIR_FOREVER,
	};
	put(full, 1);
	spawn(group, select_fiber, &choice);
	weir_sleep(5);
	put(empty, 3);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	ck_assert_uint_eq(out, 3);
	choice.deadline = weir_now() + 4;
	ck_assert_int_eq(select_fiber(&choice), WEIR_ETIMEDOUT);
	ck_assert_int_eq(select_fiber(&choice), WEIR_ETIMEDOUT); /* did not wait */
	choice.deadline = WEIR_TRY;
	ck_assert_int_eq(select_fiber(&choice), WEIR_EAGAIN);
	weir_queue_stats(empty, &empty_stats);
	weir_queue_stats(full, &full_stats);
	ck_assert_uint_eq(empty_stats.gets.n, 2);
	ck_assert_int_eq(empty_stats.gets.total, 9);
	ck_assert_uint_eq(empty_stats.puts.n, 0);
	ck_assert_uint_eq(full_stats.puts.n, 2);
	ck_assert_int_eq(weir_histogram_max(full_stats.puts.times), 5);
	ck_assert_uint_eq(full_stats.gets.n, 0);
	weir_queue_free(empty);
	weir_queue_free(full);
	weir_queue_free(plain);
	weir_group_free(group);
}

FIBER_TEST(queue_may_be_freed_when_nobody_is_in_line_though_the_woken_have_not_run)
{
	uint64_t out = 0;
	struct weir_queue *queue = new_queue_with((struct weir_queue_options){.capacity = 1, .name = "short-lived"});
	struct weir_queue *other = new_queue(1);
	struct weir_group *group = new_group();
	struct call getter = {.queue = queue};
	struct choice choice = {.cases = {{.get = queue, .item = &out}, {.get = other, .item = &out}},
				.deadline = WEIR_FOREVER};
	line_up(group, get_fiber, &getter);
	spawn(group, select_fiber, &choice);
	settle();
	put(other, 1);
	weir_queue_close(queue, 0);
	weir_queue_free(queue);
	weir_group_wait(group, WEIR_FOREVER);
	ck_assert_int_eq(getter.answer, WEIR_ECLOSED);
	ck_assert_uint_eq(out, 1);
	weir_group_free(group);
	weir_queue_free(other);
}
