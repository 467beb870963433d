/* SPDX-License-Identifier: MIT */
/* In which order items leave a queue, and what it counts of that. */
#include "unit/queues.h"

static void put_at(struct weir_queue *queue, uint64_t item, int64_t rank)
{
	ck_assert_int_eq(weir_queue_put_at(queue, &item, rank, WEIR_TRY), 0);
}

FIBER_TEST(queue_lifo_gives_the_newest_first)
{
	struct weir_queue *queue = new_queue_with((struct weir_queue_options){.capacity = 3, .order = WEIR_LIFO});
	uint64_t item = 9;
	for (int round = 0; round < 3; round++) {
		put(queue, 1);
		put(queue, 2);
		ck_assert_uint_eq(get(queue), 2);
		put_at(queue, 3, 77); /* takes no notice of ranks */
		put(queue, 4);
		ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_TRY), WEIR_EAGAIN);
		ck_assert_uint_eq(get(queue), 4);
		ck_assert_uint_eq(get(queue), 3);
		ck_assert_uint_eq(get(queue), 1);
	}
	put(queue, 5);
	ck_assert_uint_eq(weir_queue_close(queue, WEIR_QUEUE_DROP), 1);
	ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_TRY), WEIR_ECLOSED);
	weir_queue_free(queue);
}

FIBER_TEST(queue_priority_gives_the_most_urgent_first_and_equals_in_their_order)
{
	struct weir_queue *queue = new_queue_with((struct weir_queue_options){.capacity = 99, .order = WEIR_PRIORITY});
	for (uint64_t i = 0; i < 30; i++)
		put_at(queue, i, (int64_t)(i % 3));
	put(queue, 30); /* class 0 */
	for (uint64_t class = 0; class < 3; class ++) {
		for (uint64_t i = class; i < 30; i += 3)
			ck_assert_uint_eq(get(queue), i);
		if (class == 0)
			ck_assert_uint_eq(get(queue), 30);
	}
	uint64_t item = 1;
	ck_assert_int_eq(weir_queue_put_at(queue, &item, -1, WEIR_FOREVER), WEIR_EINVAL);
	put_at(queue, 1, INT64_MAX); /* far beyond all time, and no overflow */
	put_at(queue, 2, INT64_MAX / 2);
	put_at(queue, 3, 5);
	ck_assert_uint_eq(get(queue), 3);
	ck_assert_uint_eq(get(queue), 1);
	ck_assert_uint_eq(get(queue), 2);
	weir_queue_free(queue);
}

/* Class 0 arrives for ever; an item of class 2 leaves once it is 2 * aging older than what arrives. */
FIBER_TEST(queue_aging_ends_starvation_at_its_bound)
{
	struct weir_queue *queue = new_queue_with(
		(struct weir_queue_options){.capacity = 9, .order = WEIR_PRIORITY, .aging = 100 * WEIR_MSEC});
	weir_nsec start = weir_now();
	put_at(queue, 1000, 2);
	for (uint64_t i = 0;; i++) {
		put_at(queue, i, 0);
		uint64_t item = get(queue);
		if (item == 1000)
			break;
		ck_assert_uint_eq(item, i);
		ck_assert_int_lt(weir_now() - start, 201 * WEIR_MSEC);
		weir_sleep(WEIR_MSEC);
	}
	ck_assert_int_eq(weir_now() - start, 200 * WEIR_MSEC); /* a tie: who came first */
	weir_queue_free(queue);
}

FIBER_TEST(queue_edf_gives_the_earliest_deadline_first_and_none_last)
{
	struct weir_queue *queue = new_queue_with((struct weir_queue_options){.capacity = 9, .order = WEIR_EDF});
	struct weir_queue_class_stats stats;
	weir_nsec now = weir_now();
	put(queue, 1);
	put_at(queue, 2, now + 20);
	put_at(queue, 3, now + 10);
	put_at(queue, 4, WEIR_FOREVER);
	put_at(queue, 5, now + 10);
	weir_sleep(15);
	static const uint64_t expected[] = {3, 5, 2, 1, 4};
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(get(queue), expected[i]);
	ck_assert_int_eq(weir_queue_class_stats(queue, 0, &stats), 0);
	ck_assert_uint_eq(stats.got, 5);
	ck_assert_uint_eq(stats.breaches, 2);
	ck_assert_uint_eq(stats.overtook, 3);
	weir_queue_free(queue);
}

FIBER_TEST(queue_counts_waits_breaches_and_overtakes_of_each_class)
{
	static const weir_nsec sla[2] = {10, 0};
	struct weir_queue_class_stats stats;
	struct weir_queue *queue = new_queue_with((struct weir_queue_options){
		.capacity = 9, .order = WEIR_PRIORITY, .classes = 2, .sla = sla, .name = "orders"});
	put_at(queue, 1, 1);
	put_at(queue, 2, 0); /* overtakes 1 */
	weir_sleep(11);
	put_at(queue, 3, 0);
	weir_sleep(10);
	ck_assert_uint_eq(get(queue), 2);
	ck_assert_uint_eq(get(queue), 3);
	ck_assert_uint_eq(get(queue), 1);
	ck_assert_int_eq(weir_queue_class_stats(queue, 0, &stats), 0);
	ck_assert_uint_eq(stats.got, 2);
	ck_assert_uint_eq(stats.breaches, 1);
	ck_assert_uint_eq(stats.overtook, 2);
	ck_assert_int_eq(weir_histogram_max(stats.times), 21);
	ck_assert_int_eq(weir_histogram_quantile(stats.times, 0.5), 10);
	ck_assert_int_eq(weir_queue_class_stats(queue, 1, &stats), 0);
	ck_assert_uint_eq(stats.got, 1);
	ck_assert_uint_eq(stats.breaches, 0);
	ck_assert_uint_eq(stats.overtook, 0);
	ck_assert_int_eq(weir_queue_class_stats(queue, 2, &stats), WEIR_EINVAL);
	struct weir_queue_stats all;
	weir_queue_stats(queue, &all);
	ck_assert_str_eq(all.name, "orders");
	ck_assert_uint_eq(all.classes, 2);
	weir_queue_free(queue);
}

FIBER_TEST(queue_counts_how_long_puts_and_gets_waited)
{
	struct weir_queue *queue =
		new_queue_with((struct weir_queue_options){.capacity = 1, .flags = WEIR_QUEUE_TIMED});
	struct weir_group *group = new_group();
	struct call getter = {.queue = queue}, putter = {.queue = queue, .item = 3};
	uint64_t item = 9;
	line_up(group, get_fiber, &getter);
	weir_sleep(7);
	put(queue, 1);
	put(queue, 2);
	line_up(group, put_fiber, &putter);
	weir_sleep(20);
	ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_TRY), WEIR_EAGAIN);          /* not a wait */
	ck_assert_int_eq(weir_queue_put(queue, &item, weir_now() + 5), WEIR_ETIMEDOUT); /* one, though in vain */
	get(queue);
	finish(group);
	struct weir_queue_stats stats;
	weir_queue_stats(queue, &stats);
	ck_assert_uint_eq(stats.gets.n, 1);
	ck_assert_int_eq(stats.gets.total, 7);
	ck_assert_uint_eq(stats.puts.n, 2);
	ck_assert_int_eq(stats.puts.total, 30);
	ck_assert_int_eq(weir_histogram_max(stats.puts.times), 25);
	ck_assert_uint_eq(stats.put, 3);
	ck_assert_uint_eq(stats.got, 2);
	ck_assert_uint_eq(stats.settled, 0);
	ck_assert_uint_eq(stats.size, 1);
	weir_queue_free(queue);
}

TEST(queue_options_that_make_no_sense_are_refused)
{
	static const struct weir_queue_options wrong[] = {
		{.item_bytes = 0, .capacity = 1},
		{.item_bytes = 1, .capacity = 0},
		{.item_bytes = 1, .capacity = SIZE_MAX},
		{.item_bytes = SIZE_MAX / 2, .capacity = 3},
		{.item_bytes = 1, .capacity = 1, .order = (enum weir_queue_order)4},
		{.item_bytes = 1, .capacity = 1, .flags = 1u << 9},
		{.item_bytes = 1, .capacity = 1, .order = WEIR_PRIORITY, .classes = 65},
		{.item_bytes = 1, .capacity = 1, .order = WEIR_PRIORITY, .aging = -1},
	};
	struct weir_queue *queue = NULL;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		ck_assert_msg(weir_queue_new_with(&wrong[i], &queue) == WEIR_EINVAL, "options %zu", i);
	ck_assert_ptr_null(queue);
	struct weir_queue_options huge = {.item_bytes = SIZE_MAX - 8, .capacity = 1, .order = WEIR_EDF};
	ck_assert_int_eq(weir_queue_new_with(&huge, &queue), WEIR_ENOMEM);
}

FIBER_TEST(queue_unbounded_grows_in_every_order)
{
	enum { ITEMS = 1000 };
	for (int order = WEIR_FIFO; order <= WEIR_EDF; order++) {
		struct weir_queue *queue = new_queue_with((struct weir_queue_options){
			.capacity = 3, .order = (enum weir_queue_order)order, .flags = WEIR_QUEUE_UNBOUNDED});
		for (uint64_t i = 0; i < 2; i++) /* so that the ring does not begin at its beginning */
			put(queue, i);
		get(queue), get(queue);
		for (uint64_t i = 0; i < ITEMS; i++)
			put(queue, i);
		ck_assert(!weir_queue_full(queue));
		ck_assert_uint_eq(weir_queue_capacity(queue), SIZE_MAX);
		for (uint64_t i = 0; i < ITEMS; i++)
			ck_assert_uint_eq(get(queue), order == WEIR_LIFO ? ITEMS - 1 - i : i);
		weir_queue_free(queue);
	}
}
