/* SPDX-License-Identifier: MIT */
/* The bounds of the durable broker: its window in memory, its store, its end. */
#include "unit/brokers.h"

FIBER_TEST(broker_sqlite_keeps_the_window_bounded_whatever_is_on_disk)
{
	enum { ITEMS = 100000 };
	static const struct setting setting = {100, 10000, 1 << 30, 1 << 30};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct item *items[50];
	if (test_seed() > 1) {
		ck_zero(ops->close(broker, &err));
		return;
	}
	uint64_t next = 1, put = 0;
	int n = 0;
	/* At first nothing is taken out, then less than comes in, then all. */
	while (n >= 0) {
		if (put < ITEMS)
			ck_zero(put_range(broker, put + 1, put + 250, 20, WEIR_FOREVER));
		else if (!durable(broker)->sealed)
			ck_zero(ops->queue.seal(broker, &err, WEIR_FOREVER));
		put += put < ITEMS ? 250 : 0;
		quick_assert(unfinished(broker) == put - next + 1);
		quick_assert(durable(broker)->held_items <= 100 && durable(broker)->held_bytes <= 10000);
		n = put < ITEMS / 2 ? 0 : ops->queue.lease(broker, items, 50, &err, WEIR_FOREVER);
		for (int i = 0; i < n; i++)
			quick_assert(items[i]->position == next++);
		if (n > 0)
			ck_zero(ops->queue.ack(broker, items, (size_t)n, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	}
	ck_assert_int_eq(n, WEIR_ECLOSED);
	ck_assert_uint_eq(next, ITEMS + 1);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_does_not_read_ahead_of_the_window_what_can_be_read_again)
{
	static const struct setting setting = {
		.window_items = 100, .window_bytes = 1 << 20, .max_size = 1 << 30, .max_items = 1 << 30, .again = true};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct item *item;
	ck_zero(put_range(broker, 1, 60, 20, WEIR_TRY));
	ck_zero(put_range(broker, 61, 100, 20, WEIR_TRY));
	ck_assert_int_eq(put_range(broker, 101, 101, 20, weir_after(WEIR_SEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
	ck_zero(ops->queue.ack(broker, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_zero(put_range(broker, 101, 101, 20, WEIR_TRY));
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_loads_an_item_that_is_larger_than_the_window)
{
	static const struct setting setting = {4, 100, 1 << 30, 1 << 30};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct item *item;
	for (uint64_t i = 1; i <= 9; i += 3)
		ck_zero(put_range(broker, i, i + 2, 1000, WEIR_TRY));
	for (uint64_t i = 1; i <= 9; i++) {
		ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
		ck_assert_uint_eq(item->position, i);
		ck_assert_uint_eq(durable(broker)->held_items, 1);
		ck_zero(ops->queue.ack(broker, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	}
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_put_waits_for_room_and_goes_on)
{
	static const struct setting setting = {100, 10000, 1 << 30, 10};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct putter putter = {broker, 9, 14, 10, UNANSWERED};
	struct weir_group *group = new_group();
	struct item *items[10];
	ck_zero(put_range(broker, 1, 8, 10, WEIR_TRY));
	spawn(group, put_later, &putter);
	ck_assert_int_eq(weir_group_wait(group, weir_now() + WEIR_SEC), WEIR_ETIMEDOUT);
	ck_assert_int_eq(ops->queue.lease(broker, items, 8, &err, WEIR_TRY), 8);
	/* All of it waits for an hour: so does the put, and nothing else is lost by that. */
	for (int i = 4; i < 8; i++)
		ops->queue.nack(broker, items[i], 3600 * WEIR_SEC, &err, WEIR_FOREVER);
	ck_zero(ops->queue.ack(broker, items, 3, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_assert_int_eq(weir_group_wait(group, weir_now() + WEIR_SEC), WEIR_ETIMEDOUT);
	ck_zero(ops->queue.ack(broker, &items[3], 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	finish(group);
	ck_assert_int_eq(putter.code, 0);
	ck_assert_uint_eq(unfinished(broker), 10);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_put_larger_than_the_store_goes_in_alone)
{
	static const struct setting setting = {300, 1 << 20, 100, 10};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct putter putter = {broker, 101, 200, 50, UNANSWERED};
	struct weir_group *group = new_group();
	struct item *items[100];
	ck_zero(put_range(broker, 1, 100, 50, WEIR_TRY));
	ck_assert_int_eq(put_range(broker, 101, 101, 50, WEIR_TRY), WEIR_EAGAIN);
	spawn(group, put_later, &putter);
	ck_assert_int_eq(ops->queue.lease(broker, items, 100, &err, WEIR_TRY), 100);
	ops->queue.bury(broker, items[99], &err, WEIR_FOREVER);
	ck_zero(ops->queue.ack(broker, items, 98, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_assert_int_eq(weir_group_wait(group, weir_now() + WEIR_SEC), WEIR_ETIMEDOUT);
	ck_zero(ops->queue.ack(broker, &items[98], 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	finish(group);
	ck_assert_int_eq(putter.code, 0);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_stop_ends_a_put_that_waits)
{
	static const struct setting setting = {100, 10000, 1 << 30, 1};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct putter putters[2] = {{broker, 2, 2, 1, UNANSWERED}, {broker, 3, 3, 1, UNANSWERED}};
	struct weir_group *group = new_group();
	ck_zero(put_range(broker, 1, 1, 1, WEIR_TRY));
	spawn(group, put_later, &putters[0]);
	spawn(group, put_later, &putters[1]);
	weir_sleep(WEIR_SEC);
	ops->queue.stop(broker);
	finish(group);
	ck_assert_int_eq(putters[0].code, WEIR_ECLOSED);
	ck_assert_int_eq(putters[1].code, WEIR_ECLOSED);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_bury_of_the_last_item_ends_the_run)
{
	const char *folder = new_folder();
	struct broker *broker = open_broker(folder, &roomy);
	struct broker_past past;
	struct item *item;
	ck_zero(put_range(broker, 1, 1, 1, WEIR_TRY));
	ck_zero(ops->queue.seal(broker, &err, WEIR_FOREVER));
	ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_TRY), 1);
	ops->queue.bury(broker, item, &err, WEIR_FOREVER);
	ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), WEIR_ECLOSED);
	uint64_t n;
	ck_assert_int_eq(
		ops->journal.letters(broker, &(struct letters_request){LETTERS_REPLAY}, NULL, &n, &err, WEIR_FOREVER),
		WEIR_ECLOSED);
	ck_zero(ops->close(broker, &err));
	broker = open_broker(folder, &roomy);
	ck_zero(ops->journal.recall(broker, &past, &err, WEIR_FOREVER));
	ck_assert(past.done && past.letters == 1);
	broker_past_fini(&past);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_counts_records_that_wait_in_its_window)
{
	static const struct setting setting = {100, 10000, 1 << 30, 1 << 30};
	const char *folder = new_folder();
	struct broker *broker = open_broker(folder, &setting);
	struct item *items[20], *item;
	char record[1000];
	memset(record, 'x', sizeof record);
	ck_zero(put_range(broker, 1, 20, 10, WEIR_TRY));
	size_t held = durable(broker)->held_bytes;
	ck_assert_int_eq(ops->queue.lease(broker, items, 20, &err, WEIR_TRY), 20);
	for (int i = 0; i < 20; i++) {
		ck_zero(value_copy(&items[i]->record, record, sizeof record));
		ops->queue.nack(broker, items[i], WEIR_SEC, &err, WEIR_FOREVER);
	}
	ck_assert_uint_eq(durable(broker)->held_bytes, held + 20 * sizeof record);
	ck_zero(put_range(broker, 21, 30, 10, WEIR_TRY)); /* it is too much already: they stay on disk */
	ck_assert_uint_eq(durable(broker)->backlog.items, 10);
	ck_zero(ops->close(broker, &err));
	broker = open_broker(folder, &setting);
	weir_sleep(10 * WEIR_MSEC); /* as many are read back as fit */
	ck_assert_uint_eq(durable(broker)->held_items, 9);
	for (int i = 0; i < 30; i++) {
		ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
		ck_assert_uint_eq(item->record.len, item->position <= 20 ? sizeof record : 0);
		ck_zero(ops->queue.ack(broker, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
		ck_assert_uint_le(durable(broker)->held_bytes, setting.window_bytes);
	}
	ck_assert_uint_eq(durable(broker)->held_bytes, 0);
	ck_zero(ops->close(broker, &err));
}
