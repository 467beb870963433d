/* SPDX-License-Identifier: MIT */
/*
 * Where items leave their worker, and the accounts.
 *
 * An item is counted as read when the broker has taken it, and once more when what became of it is durable.
 */
#include "engine/internal.h"

#include "port/letter.h"

#include <time.h>

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

static void count(struct engine *engine, enum fate fate, uint64_t n)
{
	struct broker_accounts *accounts = &engine->accounts;
	switch (fate) {
	case FATE_SUCCEEDED:
		accounts->succeeded += n;
		break;
	case FATE_DROPPED:
		accounts->dropped += n;
		break;
	case FATE_DEAD:
		accounts->dead += n;
		break;
	}
}

/* Shielded: an item's account is settled even when its lane was cancelled meanwhile.  What is counted is noted before
 * the broker frees the items, and counted when it has them stored: others count while this waits. */
int engine_settle(struct engine *engine, struct item *const *items, size_t n, enum broker_lane which,
		  const struct value *position, struct weir_error *err)
{
	uint64_t of_fate[FATES] = {0};
	weir_nsec now = weir_clock();
	for (size_t i = 0; i < n; i++) {
		of_fate[items[i]->fate]++;
		weir_histogram_record(engine->item_ns, now - items[i]->born);
	}
	weir_shield_enter();
	int code = engine->broker_ops->ack(engine->broker, items, n, which, position, err, WEIR_FOREVER);
	weir_shield_leave();
	for (int fate = 0; fate < FATES && !code; fate++)
		count(engine, (enum fate)fate, of_fate[fate]);
	return code;
}

void engine_give_back(struct engine *engine, struct item *item)
{
	value_list_fini(&item->outputs);
	engine->broker_ops->nack(engine->broker, item, weir_now());
}

static void send(struct engine *engine, struct lane *lane, struct item *item, enum fate fate)
{
	weir_nsec begun = weir_now();
	item->fate = fate;
	int code = lane_put(lane, item, WEIR_FOREVER);
	engine->workers_stalled += weir_now() - begun;
	if (code)
		engine_give_back(engine, item);
}

void engine_pass(struct engine *engine, struct item *item)
{
	count_first(engine, false);
	send(engine, engine->sink_lane, item, item->outputs.n ? FATE_SUCCEEDED : FATE_DROPPED);
}

static int make_letter(struct item *item)
{
	struct letter letter = {
		.reason = item->why,
		.attempts = item->attempts,
		.position = item->position,
		.at_unix = time(NULL),
		.item = item->source,
	};
	struct buf text = {0};
	struct value output = {0};
	letter_write(&letter, &text);
	value_list_fini(&item->outputs);
	output.data = buf_take(&text, &output.len);
	return output.data ? value_list_take(&item->outputs, &output) : WEIR_ENOMEM;
}

void engine_bury(struct engine *engine, struct item *item)
{
	bool is_record = engine->opts.dead_to_sink && item->outputs.n;
	count_first(engine, true);
	if (!engine->dead_lane) {
		weir_histogram_record(engine->item_ns, weir_clock() - item->born);
		count(engine, FATE_DEAD, 1);
		value_list_fini(&item->outputs);
		engine->broker_ops->bury(engine->broker, item);
	} else if (!is_record && make_letter(item)) {
		engine_give_back(engine, item);
	} else {
		send(engine, engine->dead_lane, item, FATE_DEAD);
	}
}

void engine_postpone(struct engine *engine, struct item *item, weir_nsec due)
{
	value_list_fini(&item->outputs);
	engine->broker_ops->nack(engine->broker, item, due);
}
