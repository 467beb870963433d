/* SPDX-License-Identifier: MIT */
/*
 * What all other files of the broker stand on: its thread, its failure, its end, and the window.
 *
 * held_items counts what is in the window and never exceeds the capacity, for which the line has room: taking an item
 * back cannot fail and does not wait.  held_bytes has the records of those that wait, too, which may be more than its
 * share: then nothing new comes in.  After stop() nothing becomes ready any more; what is here then, is in the store,
 * too, and is just forgotten at the end.
 */
#include "sqlite/broker/durable.h"

int broker_on_thread(struct sqlite_broker *broker, weir_offload_fn fn, void *arg)
{
	weir_nsec begun = weir_clock();
	weir_shield_enter();
	int code = weir_pool_call(broker->pool, fn, arg, WEIR_FOREVER);
	weir_shield_leave();
	if (broker->trip_ns)
		weir_histogram_record(broker->trip_ns, weir_clock() - begun);
	return code;
}

void broker_fail(struct sqlite_broker *broker, int code, const struct weir_error *err)
{
	if (broker->failed.code)
		return;
	weir_error_set(&broker->failed, code, "%s", err->text[0] ? err->text : weir_strerror(code));
	broker_line_close(&broker->line);
	broker_pulse(broker->room);
	weir_event_set(broker->committer.work);
}

int broker_answer_failed(const struct sqlite_broker *broker, struct weir_error *err)
{
	return broker->failed.code ? weir_error_set(err, broker->failed.code, "%s", broker->failed.text) : 0;
}

void broker_end_if_done(struct sqlite_broker *broker)
{
	if (!broker->sealed || broker->ended || broker->replays || broker_unfinished(broker))
		return;
	broker->ended = true;
	broker_line_close(&broker->line);
}

/* ---- the window */

size_t broker_item_bytes(const struct item *item)
{
	return item->source.len + 1 + item->evidence.len;
}

bool broker_window_fits(const struct sqlite_broker *broker, size_t items, size_t bytes)
{
	if (broker->held_items + items > broker->capacity_items)
		return false;
	return broker->held_bytes + bytes <= broker->capacity_bytes || (!broker->held_items && items == 1);
}

void broker_window_admit(struct sqlite_broker *broker, struct item *item)
{
	broker->held_items++;
	broker->held_bytes += broker_item_bytes(item) + item->record.len;
	broker_line_add(&broker->line, item);
}

void broker_window_drop(struct sqlite_broker *broker, struct item *item)
{
	broker->held_items--;
	broker->held_bytes -= broker_item_bytes(item);
	item_free(item);
}
