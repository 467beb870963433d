/* SPDX-License-Identifier: MIT */
/* Where items go that leave their worker: to the sink, or to the dead letters. */
#include "engine/internal.h"

#include "data/units.h"
#include "port/letter.h"

#include <time.h>

static void send(struct engine *engine, struct output *output, struct item *item, enum fate fate)
{
	bool is_row = output == engine->sinks.outputs[OUTLET_SINK] && item->outputs.n;
	weir_nsec begun = weir_now();
	item->fate = fate;
	if (engine->order && is_row) {
		engine_order_put(engine->order, item);
		return;
	}
	engine_order_skip(engine->order, item);
	int code = output_put(output, item, WEIR_FOREVER);
	engine->sinks.stalled += weir_now() - begun;
	if (code)
		engine_give_back(&engine->store, item);
}

void engine_pass(struct engine *engine, struct item *item)
{
	engine_left(&engine->left, false);
	send(engine, engine->sinks.outputs[OUTLET_SINK], item, item->outputs.n ? FATE_SUCCEEDED : FATE_DROPPED);
}

void engine_tell_dropped(const struct engine *engine)
{
	const struct broker_accounts *mine = &engine->store.mine;
	const uint64_t *dropped = engine->tally.dropped;
	char a[32], b[32];
	for (size_t i = 0; i < engine->life.plan->step_count && !mine->succeeded; i++)
		if (dropped[i])
			engine_note(&engine->life, "%s of %s items were dropped by step %zu (%s)",
				    units_number_text(dropped[i], a), units_number_text(mine->dropped + mine->dead, b),
				    i + 1, engine->life.plan->steps[i].adapter->name);
}

static int make_letter(struct item *item)
{
	struct letter letter = letter_of(item, time(NULL));
	letter.id = 0; /* those that go to a sink have none */
	struct buf text = {0};
	struct value output = {0};
	letter_write(&letter, &text);
	value_list_fini(&item->outputs);
	value_fini(&item->evidence);
	output.data = buf_take(&text, &output.len);
	return output.data ? value_list_take(&item->outputs, &output) : WEIR_ENOMEM;
}

void engine_bury(struct engine *engine, struct item *item)
{
	bool is_record = engine->life.opts.dead_to_sink && item->outputs.n;
	engine_left(&engine->left, true);
	engine_cause_count(&engine->causes, item);
	if (!engine->sinks.dead) {
		engine_order_skip(engine->order, item);
		engine_keep_letter(&engine->store, item);
	} else if (!is_record && make_letter(item)) {
		engine_give_back(&engine->store, item);
	} else {
		send(engine, engine->sinks.dead, item, FATE_DEAD);
	}
}

void engine_refused(void *arg, struct item *item)
{
	struct engine *engine = arg;
	engine_set_row_evidence(engine->life.opts.tracer, item, engine->life.plan->sink.adapter->name);
	engine_bury(engine, item);
}
