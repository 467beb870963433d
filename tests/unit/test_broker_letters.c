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
	ck_zero(ops->queue.seal(broker, &err, WEIR_FOREVER));
	ck_assert_int_eq(ops->queue.lease(broker, items, 2, &err, WEIR_TRY), 2);
	item_set_why(items[0], "status: 404");
	ops->queue.bury(broker, items[0], &err, WEIR_FOREVER);
	/* It is told of although nothing has waited for it to be written. */
	ck_zero(ops->journal.letters(broker, &(struct letters_request){LETTERS_LIST}, &text, &last_id, &err,
				     WEIR_FOREVER));
	ck_assert_ptr_nonnull(strstr(text.data, "status: 404"));
	ck_assert_uint_ne(last_id, 0);
	buf_fini(&text);
	lease_code = UNANSWERED;
	spawn(group, lease_for_ever, broker);
	weir_sleep(WEIR_SEC);
	ck_assert_int_eq(lease_code, UNANSWERED);
	ck_zero(ops->journal.letters(broker, &(struct letters_request){LETTERS_REPLAY, {.id = last_id}}, NULL, &n, &err,
				     WEIR_FOREVER));
	ck_assert_uint_eq(n, 1);
	finish(group);
	ck_assert_int_eq(lease_code, 1);
	ck_assert_uint_eq(leased_item->position, 1);
	ck_assert_uint_ne(leased_item->id, last_id);
	ck_assert_uint_eq(item_number(leased_item), last_id);
	ck_assert_uint_eq(letters(broker), 0);
	items[0] = leased_item;
	ck_zero(ops->queue.ack(broker, items, 2, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_assert_int_eq(ops->queue.lease(broker, items, 1, &err, WEIR_FOREVER), WEIR_ECLOSED);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_letters_need_no_run_that_is_begun)
{
	const char *folder = new_folder();
	struct broker *broker = open_broker(folder, &roomy);
	struct item *items[2];
	struct buf text = {0};
	struct broker_past past;
	uint64_t n, last_id = 0;
	ck_zero(put_range(broker, 1, 2, 10, WEIR_TRY));
	ck_assert_int_eq(ops->queue.lease(broker, items, 2, &err, WEIR_TRY), 2);
	for (int i = 0; i < 2; i++)
		ck_zero(ops->queue.bury(broker, items[i], &err, WEIR_FOREVER));
	ck_zero(ops->close(broker, &err));
	broker = open_to_look(folder, &roomy);
	ck_zero(ops->journal.letters(broker, &(struct letters_request){LETTERS_LIST, {.limit = 1}}, &text, &last_id,
				     &err, WEIR_FOREVER));
	ck_zero(ops->journal.letters(broker, &(struct letters_request){LETTERS_REPLAY, {.id = last_id}}, NULL, &n, &err,
				     WEIR_FOREVER));
	ck_assert_uint_eq(n, 1);
	ck_zero(ops->journal.recall(broker, &past, &err, WEIR_FOREVER));
	ck_assert(past.begun && past.letters == 1 && past.unfinished == 1 && past.accounts.dead == 1);
	broker_past_fini(&past);
	buf_fini(&text);
	ck_zero(ops->close(broker, &err));
	broker = open_broker(folder, &roomy);
	ck_assert_int_eq(ops->queue.lease(broker, items, 2, &err, WEIR_FOREVER), 1);
	ck_zero(ops->queue.ack(broker, items, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_zero(ops->journal.audit(broker, &err, WEIR_FOREVER));
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_mend_brings_another_item_to_workers_that_wait_for_the_end)
{
	struct broker *broker = open_broker(new_folder(), &roomy);
	struct weir_group *group = new_group();
	struct item *items[2];
	struct buf text = {0};
	uint64_t n = 0, last_id = 0;
	ck_zero(put_range(broker, 1, 2, 10, WEIR_TRY));
	ck_zero(ops->queue.seal(broker, &err, WEIR_FOREVER));
	ck_assert_int_eq(ops->queue.lease(broker, items, 2, &err, WEIR_TRY), 2);
	item_set_why(items[0], "status: 404");
	ops->queue.bury(broker, items[0], &err, WEIR_FOREVER);
	/* Groups know of it although nothing has waited for it to be written. */
	ck_zero(ops->journal.letters(broker, &(struct letters_request){LETTERS_GROUPS}, &text, &n, &err, WEIR_FOREVER));
	ck_assert_ptr_nonnull(strstr(text.data, "\"letters\":1,\"groups\":1"));
	buf_clear(&text);
	ck_zero(ops->journal.letters(broker, &(struct letters_request){LETTERS_LIST}, &text, &last_id, &err,
				     WEIR_FOREVER));
	buf_fini(&text);
	spawn(group, lease_for_ever, broker);
	struct letter_mend mends[] = {{.id = 4711, .item = {"0", 1}}, {.id = last_id, .item = {"{\"n\":2}", 7}}};
	ck_zero(ops->journal.letters(broker, &(struct letters_request){LETTERS_MEND, .mends = mends, .mend_count = 2},
				     NULL, &n, &err, WEIR_FOREVER));
	ck_assert(n == 1 && !mends[0].done && mends[1].done);
	finish(group);
	ck_assert_int_eq(lease_code, 1);
	ck_assert_str_eq(leased_item->source.data, "{\"n\":2}");
	ck_assert_uint_eq(item_number(leased_item), leased_item->id);
	ck_assert_uint_ne(item_number(leased_item), last_id);
	ck_assert_uint_eq(letters(broker), 0);
	items[0] = leased_item;
	ck_zero(ops->queue.ack(broker, items, 2, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_assert_int_eq(ops->queue.lease(broker, items, 1, &err, WEIR_FOREVER), WEIR_ECLOSED);
	ck_zero(ops->close(broker, &err));
}

/* Buries the only item of a put, with so many bytes of evidence. */
static void bury_one(struct broker *broker, struct item *item, size_t bytes)
{
	char *text = malloc(bytes + 1);
	memset(text, 'x', bytes);
	memcpy(text, "{\"x\":\"", 6);
	memcpy(text + bytes - 2, "\"}", 3);
	item_set_why(item, "status: 404");
	item->evidence = (struct value){text, bytes};
	ops->queue.bury(broker, item, &err, WEIR_FOREVER);
}

FIBER_TEST(broker_sqlite_counts_evidence_in_its_window)
{
	static const struct setting setting = {100, 10000, 1 << 30, 1 << 30};
	struct broker *broker = open_broker(new_folder(), &setting);
	struct item *items[50];
	ck_zero(put_range(broker, 1, 50, 10, WEIR_TRY));
	size_t held = durable(broker)->held_bytes;
	ck_assert_int_eq(ops->queue.lease(broker, items, 20, &err, WEIR_TRY), 20);
	for (int i = 0; i < 10; i++)
		bury_one(broker, items[i], 600);
	ck_assert_uint_eq(durable(broker)->held_bytes, held + 10 * 600);
	ck_assert_int_eq(ops->queue.lease(broker, items + 20, 1, &err, WEIR_TRY), 1);
	/* More of it than the window is to hold: until it is written nothing more is handed out. */
	for (int i = 10; i < 20; i++)
		bury_one(broker, items[i], 600);
	ck_assert_int_eq(ops->queue.lease(broker, items + 21, 1, &err, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(ops->queue.lease(broker, items + 21, 29, &err, WEIR_FOREVER), 29);
	ck_assert_uint_eq(durable(broker)->evidence_bytes, 0);
	ck_zero(ops->queue.ack(broker, items + 20, 30, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_assert_uint_eq(durable(broker)->held_bytes, 0);
	ck_assert_uint_eq(letters(broker), 20);
	ck_zero(ops->close(broker, &err));
}
