/* SPDX-License-Identifier: MIT */
/*
 * Where items leave their worker, and the accounts.
 *
 * An item is counted as read when the broker has taken it (or, if the source found it unusable, when it is on its way
 * to the dead letters), and once more when what became of it is durable.  An item without an id never was in the
 * broker.
 */
#include "engine/internal.h"

#include "port/buf.h"

#include <string.h>

/* stop_when: the share of dead letters among the first items, as they leave their workers: to wait for the commits
 * would let hundreds more die. */
static void count_first(struct engine *engine, bool is_dead)
{
	const struct plan_settings *settings = &engine->plan->settings;
	if (settings->stop_dead <= 0 || engine->left >= (uint64_t)settings->stop_of_first)
		return;
	engine->left++;
	engine->left_dead += is_dead;
	if ((double)engine->left_dead >= settings->stop_dead * (double)settings->stop_of_first)
		engine_stop(engine, "too many dead letters among the first items (stop_when)");
}

/* Shielded: an item's account is settled even when its worker was cancelled meanwhile. */
static void settle_one(struct engine *engine, struct item *item, enum fate fate, weir_nsec now)
{
	weir_histogram_record(engine->item_ns, now - item->born);
	switch (fate) {
	case FATE_SUCCEEDED:
		engine->succeeded++;
		break;
	case FATE_DROPPED:
		engine->dropped++;
		break;
	case FATE_DEAD:
		engine->dead++;
		break;
	}
	if (!item->id)
		item_free(item);
	else if (fate == FATE_DEAD)
		engine->broker_ops->dead(engine->broker, item, WEIR_FOREVER);
	else
		engine->broker_ops->ack(engine->broker, &item, 1, WEIR_FOREVER);
}

void engine_settle(struct engine *engine, struct lane_entry *entries, size_t n)
{
	weir_nsec now = weir_clock();
	weir_shield_enter();
	for (size_t i = 0; i < n; i++)
		settle_one(engine, entries[i].item, entries[i].fate, now);
	weir_shield_leave();
}

void engine_give_back(struct engine *engine, struct item *item)
{
	weir_shield_enter();
	if (item->id) {
		value_list_fini(&item->outputs);
		engine->broker_ops->nack(engine->broker, item, weir_now(), WEIR_FOREVER);
	} else {
		engine->read--; /* the next run will find the line again */
		item_free(item);
	}
	weir_shield_leave();
}

void engine_pass(struct engine *engine, struct item *item)
{
	enum fate fate = item->outputs.n ? FATE_SUCCEEDED : FATE_DROPPED;
	count_first(engine, false);
	if (lane_put(engine->sink_lane, item, fate, WEIR_FOREVER))
		engine_give_back(engine, item);
}

/* A dead letter: reason, attempts, where it was, and the item as it came. */
static int make_letter(struct item *item)
{
	struct buf text = {0};
	struct value letter = {0};
	buf_add_str(&text, "{\"reason\":");
	buf_add_json_str(&text, item->why, strlen(item->why));
	buf_addf(&text, ",\"attempts\":%u,\"position\":%llu,\"item\":", item->attempts,
		 (unsigned long long)item->position);
	buf_add(&text, item->source.data, item->source.len);
	buf_add_str(&text, "}");
	value_list_fini(&item->outputs);
	if (text.failed) {
		buf_fini(&text);
		return WEIR_ENOMEM;
	}
	letter.data = buf_take(&text, &letter.len);
	return letter.data ? value_list_take(&item->outputs, &letter) : WEIR_ENOMEM;
}

void engine_bury(struct engine *engine, struct item *item)
{
	bool is_record = engine->opts.dead_to_sink && item->outputs.n;
	count_first(engine, true);
	if ((!is_record && make_letter(item)) || lane_put(engine->dead_lane, item, FATE_DEAD, WEIR_FOREVER))
		engine_give_back(engine, item);
}

void engine_postpone(struct engine *engine, struct item *item, weir_nsec due)
{
	weir_shield_enter();
	value_list_fini(&item->outputs);
	engine->broker_ops->nack(engine->broker, item, due, WEIR_FOREVER);
	weir_shield_leave();
}
