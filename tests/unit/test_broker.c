/* SPDX-License-Identifier: MIT */
/* Every broker, through the port: order, room, due times, the end.  Each test runs once for each of them. */
#include "port/adapters.h"
#include "sqlite/broker/broker.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <weir/weir.h>

static const struct broker_ops *ops;
static struct weir_error err;
static const char *source_identity = ""; /* of a source that can be read again */

static const struct adapter *const adapters[] = {&broker_memory_adapter, &broker_sqlite_adapter};

#define FOR_EACH_BROKER(at)                                                                                            \
	for (size_t at = 0; at < sizeof adapters / sizeof *adapters && (ops = adapters[at]->broker); at++)

/* In a folder of its own. */
static struct broker *open_broker_of(size_t capacity, int64_t (*class_of)(void *arg, const struct item *item),
				     bool (*fresh_first)(void *arg))
{
	static struct broker_sqlite_config config;
	static int number;
	const char *folder = test_format("%s/%d", test_folder(), number++);
	struct broker_options opts = {.folder = folder,
				      .capacity_items = capacity,
				      .most_items = 2 * capacity,
				      .capacity_bytes = 1000,
				      .class_of = class_of,
				      .arg = (void *)(uintptr_t)folder,
				      .fresh_first = fresh_first,
				      .aging = WEIR_SEC};
	struct broker *broker;
	config = (struct broker_sqlite_config){.max_size = 1 << 30,
					       .max_items = *source_identity ? 1000 : (int64_t)capacity};
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_msg(ops->open(&config, &opts, &broker, &err) == 0, "%s", err.text);
	const struct broker_start start = {
		.run = "0123456789abcdef0123456789abcdef", .plan = "", .source = source_identity};
	ck_assert_msg(ops->journal.begin(broker, &start, &err, WEIR_FOREVER) == 0, "%s", err.text);
	return broker;
}

static struct broker *open_broker_by(size_t capacity, int64_t (*class_of)(void *arg, const struct item *item))
{
	return open_broker_of(capacity, class_of, NULL);
}

static struct broker *open_broker(size_t capacity)
{
	return open_broker_by(capacity, NULL);
}

static int put_one(struct broker *broker, uint64_t position, weir_nsec deadline)
{
	struct item *item = item_new();
	item->position = position;
	ck_assert_int_eq(value_copy(&item->source, "1", 1), 0);
	int code = ops->queue.put(broker, &item, 1, NULL, &(struct source_cursor){{0}}, &err, deadline);
	if (code)
		item_free(item);
	return code;
}

static struct item *lease_one(struct broker *broker, weir_nsec deadline)
{
	struct item *item = NULL;
	int code = ops->queue.lease(broker, &item, 1, &err, deadline);
	return code == 1 ? item : NULL;
}

static void ack(struct broker *broker, struct item *const *items, size_t n)
{
	ck_assert_int_eq(ops->queue.ack(broker, items, n, OUTLET_SINK, NULL, &err, WEIR_FOREVER), 0);
}

FIBER_TEST(broker_hands_out_in_order)
{
	FOR_EACH_BROKER(at)
	{
		struct broker *broker = open_broker(10);
		struct item *items[10];
		for (uint64_t i = 1; i <= 5; i++)
			ck_assert_int_eq(put_one(broker, i, WEIR_TRY), 0);
		ck_assert_int_eq(ops->queue.lease(broker, items, 3, &err, WEIR_TRY), 3);
		ck_assert_uint_eq(items[0]->position, 1);
		ck_assert_uint_eq(items[2]->position, 3);
		ck_assert_uint_ne(items[0]->id, items[1]->id);
		ack(broker, items, 3);
		ck_assert_int_eq(ops->queue.lease(broker, items, 10, &err, WEIR_TRY), 2);
		ack(broker, items, 2);
		ck_assert_int_eq(ops->queue.lease(broker, items, 10, &err, WEIR_TRY), WEIR_EAGAIN);
		ck_assert_int_eq(ops->close(broker, &err), 0);
	}
}

static int64_t tens(void *arg, const struct item *item)
{
	ck_assert_ptr_nonnull(arg);
	return (int64_t)(item->position / 10);
}

FIBER_TEST(broker_hands_out_by_class_and_forgets_nobody)
{
	FOR_EACH_BROKER(at)
	{
		struct broker *broker = open_broker_by(20, tens);
		static const uint64_t put[] = {31, 11, 1, 32, 2}, order[] = {1, 2, 11, 31, 32};
		for (int i = 0; i < 5; i++)
			ck_assert_int_eq(put_one(broker, put[i], WEIR_TRY), 0);
		for (int i = 0; i < 5; i++) {
			struct item *item = lease_one(broker, WEIR_TRY);
			ck_assert_uint_eq(item->position, order[i]);
			ack(broker, &item, 1);
		}
		/* Three classes below, and more than three times the aging earlier; a retry keeps its place. */
		ck_assert_int_eq(put_one(broker, 33, WEIR_TRY), 0);
		weir_sleep(3 * WEIR_SEC + WEIR_MSEC);
		ck_assert_int_eq(put_one(broker, 3, WEIR_TRY), 0);
		struct item *item = lease_one(broker, WEIR_TRY);
		ck_assert_uint_eq(item->position, 33);
		ops->queue.nack(broker, item, WEIR_SEC, &err, WEIR_FOREVER);
		weir_sleep(2 * WEIR_SEC);
		for (int i = 0; i < 2; i++) {
			item = lease_one(broker, WEIR_TRY);
			ck_assert_uint_eq(item->position, i ? 3 : 33);
			ack(broker, &item, 1);
		}
		ck_assert_int_eq(ops->close(broker, &err), 0);
	}
}

FIBER_TEST(broker_is_bounded_by_all_that_is_inside)
{
	FOR_EACH_BROKER(at)
	{
		struct broker *broker = open_broker(3);
		struct broker_counts counts;
		for (uint64_t i = 1; i <= 3; i++)
			ck_assert_int_eq(put_one(broker, i, WEIR_TRY), 0);
		struct item *leased = lease_one(broker, WEIR_TRY), *waiting = lease_one(broker, WEIR_TRY);
		ops->queue.nack(broker, waiting, WEIR_SEC, &err, WEIR_FOREVER);
		ops->queue.counts(broker, &counts);
		ck_assert(counts.ready == 1 && counts.leased == 1 && counts.waiting == 1);
		ck_assert_int_eq(put_one(broker, 4, WEIR_TRY), WEIR_EAGAIN);
		ck_assert_int_eq(put_one(broker, 4, weir_now() + WEIR_MSEC), WEIR_ETIMEDOUT);
		ack(broker, &leased, 1);
		ck_assert_int_eq(put_one(broker, 4, WEIR_TRY), 0);
		ck_assert_int_eq(ops->close(broker, &err), 0);
	}
}

static int put_many(void *arg)
{
	struct broker *broker = arg;
	for (uint64_t i = 1; i <= 10; i++)
		if (put_one(broker, i, WEIR_FOREVER))
			return 0;
	return 0;
}

FIBER_TEST(broker_that_grows_lets_who_waits_go_on)
{
	FOR_EACH_BROKER(at)
	{
		struct broker *broker;
		struct broker_counts counts;
		struct weir_group *group;
		source_identity = "numbers";
		broker = open_broker(3);
		static const size_t sizes[] = {2, 5, 4, 6, 100}, inside[] = {3, 5, 5, 6, 6};
		ck_assert_int_eq(weir_group_new(NULL, &group), 0);
		weir_group_spawn(group, put_many, broker, WEIR_FOREVER);
		for (int i = 0; i < 5; i++) {
			ops->queue.grow(broker, sizes[i]);
			weir_sleep(WEIR_SEC);
			ops->queue.counts(broker, &counts);
			ck_assert_uint_eq(counts.ready, inside[i]);
		}
		weir_group_cancel(group);
		weir_group_wait(group, WEIR_FOREVER);
		weir_group_free(group);
		ck_assert_int_eq(ops->close(broker, &err), 0);
	}
}

/* ---- what comes back */

static bool no_room_for_retries;

static bool has_no_room(void *arg)
{
	ck_assert_ptr_nonnull(arg);
	return no_room_for_retries;
}

/* Items 1 to 6; 1 and 2 have failed, 3 came back without having been tried; all of them are due. */
static struct broker *broker_with_some_back(void)
{
	struct broker *broker = open_broker_of(20, NULL, has_no_room);
	struct item *items[3];
	for (uint64_t i = 1; i <= 6; i++)
		ck_assert_int_eq(put_one(broker, i, WEIR_TRY), 0);
	ck_assert_int_eq(ops->queue.lease(broker, items, 3, &err, WEIR_TRY), 3);
	for (size_t i = 0; i < 3; i++) {
		items[i]->attempt_state.taken = weir_now();
		items[i]->attempts = i < 2;
		ops->queue.nack(broker, items[i], (weir_nsec)(4 - i) * WEIR_MSEC, &err, WEIR_FOREVER);
	}
	weir_sleep(WEIR_SEC);
	return broker;
}

static void expect_order(struct broker *broker, const uint64_t *order)
{
	for (int i = 0; i < 6; i++) {
		struct item *item = lease_one(broker, WEIR_TRY);
		ck_assert_uint_eq(item->position, order[i]);
		ack(broker, &item, 1);
	}
	ck_assert_int_eq(ops->close(broker, &err), 0);
}

FIBER_TEST(broker_gives_what_comes_back_the_place_that_it_had)
{
	FOR_EACH_BROKER(at)
	{
		no_room_for_retries = false;
		expect_order(broker_with_some_back(), (const uint64_t[]){1, 2, 3, 4, 5, 6});
	}
}

FIBER_TEST(broker_hands_out_retries_last_while_there_is_no_room_for_them)
{
	FOR_EACH_BROKER(at)
	{
		no_room_for_retries = true;
		expect_order(broker_with_some_back(), (const uint64_t[]){3, 4, 5, 6, 1, 2});
	}
}

FIBER_TEST(broker_gives_a_retry_when_it_is_due_not_before)
{
	FOR_EACH_BROKER(at)
	{
		struct broker *broker = open_broker(10);
		weir_nsec begun = weir_now();
		for (uint64_t i = 1; i <= 3; i++)
			ck_assert_int_eq(put_one(broker, i, WEIR_TRY), 0);
		static const weir_nsec after[] = {3 * WEIR_SEC, WEIR_SEC, 2 * WEIR_SEC};
		struct item *items[3];
		ck_assert_int_eq(ops->queue.lease(broker, items, 3, &err, WEIR_TRY), 3);
		for (int i = 0; i < 3; i++)
			ops->queue.nack(broker, items[i], begun + after[i] - weir_now(), &err, WEIR_FOREVER);
		ck_assert_ptr_null(lease_one(broker, begun + WEIR_SEC / 2));
		static const uint64_t order[] = {2, 3, 1};
		for (int i = 0; i < 3; i++) {
			struct item *item = lease_one(broker, WEIR_FOREVER);
			ck_assert_uint_eq(item->position, order[i]);
			ck_assert_int_eq(weir_now(), begun + (i + 1) * WEIR_SEC);
			ack(broker, &item, 1);
		}
		ck_assert_int_eq(ops->close(broker, &err), 0);
	}
}

static int leased_codes[3];

static int lease_to_the_end(void *arg)
{
	struct broker *broker = arg;
	struct item *item;
	static int next;
	int at = next++ % 3;
	leased_codes[at] = ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(broker_ends_when_sealed_and_all_is_settled)
{
	FOR_EACH_BROKER(at)
	{
		struct broker *broker = open_broker(10);
		struct weir_group *group;
		ck_assert_int_eq(weir_group_new(NULL, &group), 0);
		put_one(broker, 1, WEIR_TRY);
		struct item *item = lease_one(broker, WEIR_TRY);
		ck_assert_int_eq(ops->queue.seal(broker, &err, WEIR_FOREVER), 0);
		for (int i = 0; i < 3; i++)
			weir_group_spawn(group, lease_to_the_end, broker, WEIR_FOREVER);
		ck_assert_int_eq(weir_group_wait(group, weir_now() + WEIR_SEC), WEIR_ETIMEDOUT);
		ack(broker, &item, 1);
		ck_assert_int_eq(weir_group_wait(group, weir_now() + WEIR_SEC), 0);
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq(leased_codes[i], WEIR_ECLOSED);
		weir_group_free(group);
		ck_assert_int_eq(ops->close(broker, &err), 0);
	}
}

FIBER_TEST(broker_stop_keeps_what_is_ready)
{
	FOR_EACH_BROKER(at)
	{
		struct broker *broker = open_broker(10);
		struct broker_counts counts;
		struct item *item;
		put_one(broker, 1, WEIR_TRY);
		put_one(broker, 2, WEIR_TRY);
		struct item *leased = lease_one(broker, WEIR_TRY);
		ops->queue.stop(broker);
		ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), WEIR_ECLOSED);
		ck_assert_int_eq(put_one(broker, 3, WEIR_FOREVER), WEIR_ECLOSED);
		ops->queue.nack(broker, leased, 0, &err, WEIR_FOREVER);
		ops->queue.counts(broker, &counts);
		ck_assert_uint_eq(counts.ready + counts.leased + counts.waiting, 2);
		ck_assert_int_eq(ops->close(broker, &err), 0);
	}
}

FIBER_TEST(broker_memory_takes_nothing_new_while_records_fill_its_room)
{
	ops = broker_memory_adapter.broker;
	struct broker *broker = open_broker(10);
	struct item *items[2];
	char record[900] = "";
	for (uint64_t i = 1; i <= 2; i++)
		ck_assert_int_eq(put_one(broker, i, WEIR_TRY), 0);
	ck_assert_int_eq(ops->queue.lease(broker, items, 2, &err, WEIR_TRY), 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(value_copy(&items[i]->record, record, sizeof record), 0);
		ck_assert_int_eq(ops->queue.nack(broker, items[i], WEIR_SEC, &err, WEIR_FOREVER), 0);
	}
	ck_assert_int_eq(put_one(broker, 3, WEIR_TRY), WEIR_EAGAIN);
	items[0] = lease_one(broker, WEIR_FOREVER);
	ck_assert_uint_eq(items[0]->record.len, sizeof record);
	ck_assert_int_eq(put_one(broker, 3, WEIR_TRY), 0);
	items[1] = lease_one(broker, WEIR_FOREVER);
	ack(broker, items, 2);
	ck_assert_int_eq(ops->close(broker, &err), 0);
}

enum { PUT_ITEMS = 4 };

static int put_together(void *arg)
{
	struct item *items[PUT_ITEMS];
	for (int i = 0; i < PUT_ITEMS; i++) {
		items[i] = item_new();
		ck_assert_int_eq(value_copy(&items[i]->source, "1", 1), 0);
	}
	return ops->queue.put(arg, items, PUT_ITEMS, NULL, &(struct source_cursor){{0}}, &err, WEIR_FOREVER);
}

FIBER_TEST(broker_memory_is_full_while_a_put_has_no_room)
{
	ops = broker_memory_adapter.broker;
	struct broker *broker = open_broker(2 * PUT_ITEMS - 1);
	struct weir_group *group;
	struct broker_counts counts;
	ck_assert_int_eq(put_together(broker), 0);
	ops->queue.counts(broker, &counts);
	ck_assert(counts.filled < 0.6);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	weir_group_spawn(group, put_together, broker, WEIR_FOREVER);
	weir_sleep(WEIR_SEC);
	ops->queue.counts(broker, &counts);
	ck_assert(counts.filled == 1);
	struct item *item = lease_one(broker, WEIR_TRY);
	ack(broker, &item, 1);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	ops->queue.counts(broker, &counts);
	ck_assert(counts.filled == 1);
	ck_assert_int_eq(ops->close(broker, &err), 0);
}
