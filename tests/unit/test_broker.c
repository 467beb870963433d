/* SPDX-License-Identifier: MIT */
/* The memory broker, through its port: order, room, due times, the end. */
#include "port/adapters.h"
#include "support/test.h"

#include <weir/weir.h>

static const struct broker_ops *ops;

static struct broker *open_broker(size_t capacity)
{
	struct broker *broker;
	ops = broker_memory_adapter.broker;
	ck_assert_int_eq(ops->open(NULL, &(struct broker_options){.capacity_items = capacity, .capacity_bytes = 1000},
				   &broker, NULL),
			 0);
	return broker;
}

static int put_one(struct broker *broker, uint64_t position, weir_nsec deadline)
{
	struct item *item = item_new();
	item->position = position;
	int code = ops->put(broker, &item, 1, &(struct source_cursor){{0}}, NULL, deadline);
	if (code)
		item_free(item);
	return code;
}

static struct item *lease_one(struct broker *broker, weir_nsec deadline)
{
	struct item *item = NULL;
	int code = ops->lease(broker, &item, 1, NULL, deadline);
	return code == 1 ? item : NULL;
}

FIBER_TEST(broker_hands_out_in_order)
{
	struct broker *broker = open_broker(10);
	struct item *items[10];
	for (uint64_t i = 1; i <= 5; i++)
		ck_assert_int_eq(put_one(broker, i, WEIR_TRY), 0);
	ck_assert_int_eq(ops->lease(broker, items, 3, NULL, WEIR_TRY), 3);
	ck_assert_uint_eq(items[0]->position, 1);
	ck_assert_uint_eq(items[2]->position, 3);
	ck_assert_uint_ne(items[0]->id, items[1]->id);
	ck_assert_int_eq(ops->ack(broker, items, 3, LANE_SINK, NULL, NULL, WEIR_FOREVER), 0);
	ck_assert_int_eq(ops->lease(broker, items, 10, NULL, WEIR_TRY), 2);
	ck_assert_int_eq(ops->ack(broker, items, 2, LANE_SINK, NULL, NULL, WEIR_FOREVER), 0);
	ck_assert_int_eq(ops->lease(broker, items, 10, NULL, WEIR_TRY), WEIR_EAGAIN);
	ops->close(broker, NULL);
}

FIBER_TEST(broker_is_bounded_by_all_that_is_inside)
{
	struct broker *broker = open_broker(3);
	struct broker_counts counts;
	for (uint64_t i = 1; i <= 3; i++)
		ck_assert_int_eq(put_one(broker, i, WEIR_TRY), 0);
	struct item *leased = lease_one(broker, WEIR_TRY), *waiting = lease_one(broker, WEIR_TRY);
	ops->nack(broker, waiting, weir_now() + WEIR_SEC);
	ops->counts(broker, &counts);
	ck_assert(counts.ready == 1 && counts.leased == 1 && counts.waiting == 1);
	ck_assert_int_eq(put_one(broker, 4, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(put_one(broker, 4, weir_now() + WEIR_MSEC), WEIR_ETIMEDOUT);
	ck_assert_int_eq(ops->ack(broker, &leased, 1, LANE_DEAD, NULL, NULL, WEIR_FOREVER), 0);
	ck_assert_int_eq(put_one(broker, 4, WEIR_TRY), 0);
	ops->close(broker, NULL);
}

FIBER_TEST(broker_gives_a_retry_when_it_is_due_not_before)
{
	struct broker *broker = open_broker(10);
	weir_nsec begun = weir_now();
	for (uint64_t i = 1; i <= 3; i++)
		ck_assert_int_eq(put_one(broker, i, WEIR_TRY), 0);
	static const weir_nsec after[] = {3 * WEIR_SEC, WEIR_SEC, 2 * WEIR_SEC};
	struct item *items[3];
	ck_assert_int_eq(ops->lease(broker, items, 3, NULL, WEIR_TRY), 3);
	for (int i = 0; i < 3; i++)
		ops->nack(broker, items[i], begun + after[i]);
	ck_assert_ptr_null(lease_one(broker, begun + WEIR_SEC / 2));
	static const uint64_t order[] = {2, 3, 1};
	for (int i = 0; i < 3; i++) {
		struct item *item = lease_one(broker, WEIR_FOREVER);
		ck_assert_uint_eq(item->position, order[i]);
		ck_assert_int_eq(weir_now(), begun + (i + 1) * WEIR_SEC);
		ops->ack(broker, &item, 1, LANE_SINK, NULL, NULL, WEIR_FOREVER);
	}
	ops->close(broker, NULL);
}

static int leased_codes[3];

static int lease_to_the_end(void *arg)
{
	struct broker *broker = arg;
	struct item *item;
	static int next;
	int at = next++ % 3;
	leased_codes[at] = ops->lease(broker, &item, 1, NULL, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(broker_ends_when_sealed_and_all_is_settled)
{
	struct broker *broker = open_broker(10);
	struct weir_group *group;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	put_one(broker, 1, WEIR_TRY);
	struct item *item = lease_one(broker, WEIR_TRY);
	ck_assert_int_eq(ops->seal(broker, NULL, WEIR_FOREVER), 0);
	for (int i = 0; i < 3; i++)
		weir_group_spawn(group, lease_to_the_end, broker, WEIR_FOREVER);
	ck_assert_int_eq(weir_group_wait(group, weir_now() + WEIR_SEC), WEIR_ETIMEDOUT);
	ck_assert_int_eq(ops->ack(broker, &item, 1, LANE_SINK, NULL, NULL, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_group_wait(group, weir_now() + WEIR_SEC), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(leased_codes[i], WEIR_ECLOSED);
	weir_group_free(group);
	ops->close(broker, NULL);
}

FIBER_TEST(broker_stop_keeps_what_is_ready)
{
	struct broker *broker = open_broker(10);
	struct item *item;
	put_one(broker, 1, WEIR_TRY);
	put_one(broker, 2, WEIR_TRY);
	struct item *leased = lease_one(broker, WEIR_TRY);
	ops->stop(broker);
	ck_assert_int_eq(ops->lease(broker, &item, 1, NULL, WEIR_FOREVER), WEIR_ECLOSED);
	ck_assert_int_eq(put_one(broker, 3, WEIR_FOREVER), WEIR_ECLOSED);
	ops->nack(broker, leased, weir_now());
	ops->close(broker, NULL);
}
