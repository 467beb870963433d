/* SPDX-License-Identifier: MIT */
/* The dead letters that the durable broker keeps. */
#include "unit/brokers.h"

FIBER_TEST(broker_sqlite_replay_brings_more_to_workers_that_wait_for_the_end)
{
	struct broker *broker = open_broker(new_folder(), &roomy);
	struct weir_group *group = new_group();
	struct item *items[2];
	struct buf text = {0};
	uint64_t n, last_id = 0;
	ck_zero(put_range(broker, 1, 2, 10, WEIR_TRY));
	ck_zero(ops->seal(broker, &err, WEIR_FOREVER));
	ck_assert_int_eq(ops->lease(broker, items, 2, &err, WEIR_TRY), 2);
	item_set_why(items[0], "status: 404");
	ops->bury(broker, items[0]);
	/* It is told of although nothing has waited for it to be written. */
	ck_zero(ops->letters(broker, &(struct letter_query){0}, &text, &last_id, &err, WEIR_FOREVER));
	ck_assert_ptr_nonnull(strstr(text.data, "status: 404"));
	ck_assert_uint_ne(last_id, 0);
	buf_fini(&text);
	lease_code = UNANSWERED;
	spawn(group, lease_for_ever, broker);
	weir_sleep(WEIR_SEC);
	ck_assert_int_eq(lease_code, UNANSWERED);
	ck_zero(ops->replay(broker, &(struct letter_query){.id = last_id}, &n, &err, WEIR_FOREVER));
	ck_assert_uint_eq(n, 1);
	finish(group);
	ck_assert_int_eq(lease_code, 1);
	ck_assert_uint_eq(leased_item->position, 1);
	ck_assert_uint_eq(letters(broker), 0);
	items[0] = leased_item;
	ck_zero(ops->ack(broker, items, 2, LANE_SINK, NULL, &err, WEIR_FOREVER));
	ck_assert_int_eq(ops->lease(broker, items, 1, &err, WEIR_FOREVER), WEIR_ECLOSED);
	ck_zero(ops->close(broker, &err));
}
