/* SPDX-License-Identifier: MIT */
#include "engine/order.h"

#include <stdlib.h>
#include <weir/weir.h>

enum { ORDER_BYTES = 64 * 1024 * 1024 };

struct engine_order {
	struct engine_store *store;
	const struct engine_load *load;
	struct output *output;
	struct reorder reorder;
	struct weir_event *turn; /* the first item is done, or nothing more is put */
	struct weir_group *fiber;
	bool asked;  /* the broker was told to hand out the first item alone */
	bool ending; /* nothing more is put */
};

int engine_order_open(struct engine_store *store, const struct engine_load *load, struct engine_order **ret_order,
		      struct weir_error *err)
{
	const struct plan *plan = store->life->plan;
	if (plan->settings.order != ORDER_SOURCE)
		return 0;
	if (store->ops->exactness == BROKER_SHARED)
		return weir_error_set(err, WEIR_EINVAL,
				      "sink.order: source needs a broker that one process has for itself, and several "
				      "may share %s; remove order, or choose the broker sqlite or memory",
				      plan->broker.adapter->name);
	struct engine_order *order = calloc(1, sizeof *order);
	if (!order || weir_event_new(&order->turn) || weir_group_new(NULL, &order->fiber)) {
		engine_order_free(order);
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	order->store = store;
	order->load = load;
	reorder_init(&order->reorder, engine_queue_bytes(plan, ORDER_BYTES));
	store->reorder = &order->reorder;
	*ret_order = order;
	return 0;
}

/* As it was before the attempt that was good: one that was used up would make a retry of it, within the budget. */
static void give_back(struct engine_order *order, struct item *item)
{
	item->attempts -= item->attempts > 0;
	engine_give_back(order->store, item);
}

/* Hands on what has its turn.  An output takes what it is given until it is finished, which comes after this. */
static int hand_on(void *arg)
{
	struct engine_order *order = arg;
	struct item *item;
	for (;;) {
		while ((item = reorder_next(&order->reorder))) {
			engine_order_look(order);
			if (output_put(order->output, item, WEIR_FOREVER))
				give_back(order, item);
		}
		if (order->ending)
			return 0;
		weir_event_clear(order->turn);
		weir_event_wait(order->turn, WEIR_FOREVER);
	}
}

int engine_order_start(struct engine_order *order, struct output *output, struct weir_error *err)
{
	static const struct weir_spawn_options opts = {.name = "order"};
	if (!order)
		return 0;
	order->output = output;
	int code = weir_group_spawn_with(order->fiber, &opts, hand_on, order, WEIR_FOREVER);
	return code ? weir_error_set(err, code, "%s", weir_strerror(code)) : 0;
}

void engine_order_came(struct engine_order *order, struct item *item)
{
	reorder_add(&order->reorder, item);
}

const struct item *engine_order_only(struct engine_order *order)
{
	order->asked = engine_order_is_full(order);
	return order->asked ? reorder_first(&order->reorder) : NULL;
}

/* Another item is the first, or there is room: either may be what the broker waits for. */
void engine_order_look(struct engine_order *order)
{
	if (order && order->asked)
		order->store->ops->queue.look(order->store->broker);
}

static void changed(struct engine_order *order)
{
	const struct item *first = reorder_first(&order->reorder);
	if (first && first->turn == TURN_HELD)
		weir_event_set(order->turn);
	engine_order_look(order);
}

/* What has to wait is text, as in an output. */
void engine_order_put(struct engine_order *order, struct item *item)
{
	bool waits = item != reorder_first(&order->reorder);
	for (size_t i = 0; waits && i < item->outputs.n; i++)
		value_forget(&item->outputs.values[i]);
	reorder_hold(&order->reorder, item);
	changed(order);
}

void engine_order_skip(struct engine_order *order, struct item *item)
{
	if (!order)
		return;
	reorder_remove(&order->reorder, item);
	changed(order);
}

bool engine_order_is_full(const struct engine_order *order)
{
	return order && reorder_is_full(&order->reorder, order->load->under_way);
}

bool engine_order_holds(const struct engine_order *order)
{
	return order && order->reorder.held;
}

void engine_order_finish(struct engine_order *order)
{
	struct item *item;
	if (!order)
		return;
	order->ending = true;
	weir_event_set(order->turn);
	weir_shield_enter();
	weir_group_wait(order->fiber, WEIR_FOREVER);
	weir_shield_leave();
	while ((item = reorder_first(&order->reorder))) {
		bool ours = item->turn == TURN_HELD;
		reorder_remove(&order->reorder, item);
		if (ours)
			give_back(order, item);
	}
}

void engine_order_free(struct engine_order *order)
{
	if (!order)
		return;
	weir_event_free(order->turn);
	weir_group_free(order->fiber);
	free(order);
}
