/* SPDX-License-Identifier: MIT */
/*
 * sink.order: source.  Between the workers and the sink's output, outputs wait for those of the items before them
 * (reorder.h); a fiber hands them on.
 *
 *     broker --came--> reorder buffer <--put-- workers
 *       ^                |        |
 *       '---- only ------'        '--> fiber --> output --> sink
 *
 * Who waits holds no fiber, no permit and no place in the steps, so nothing that the first item needs is ever taken by
 * those behind it.  While the buffer is full the broker hands out the first item alone, even if that is a retry which
 * is not due for minutes: all else waits in the broker.
 *
 * What is done and not written when the run ends goes back to the broker, and is done again by the next one.
 *
 * NULL is fine everywhere: rows are written as their items are done.
 */
#ifndef ENGINE_ORDER_H
#define ENGINE_ORDER_H

#include "engine/output.h"
#include "engine/reorder.h"

struct engine_order;

/* Of a plan that wants it; else *ret_order is NULL.  WEIR_EINVAL with err when the broker cannot: several have it. */
int engine_order_open(struct engine_store *store, const struct engine_load *load, struct engine_order **ret_order,
		      struct weir_error *err);

/* What is put goes there. */
int engine_order_start(struct engine_order *order, struct output *output, struct weir_error *err);

/* For the broker (broker_options): an item has come into memory; the only one that it may hand out, or NULL. */
void engine_order_came(struct engine_order *order, struct item *item);
const struct item *engine_order_only(struct engine_order *order);

/* An item is done and has outputs: they are written in their turn.  Does not suspend. */
void engine_order_put(struct engine_order *order, struct item *item);

/* An item leaves without a row: those behind it need not wait for it. */
void engine_order_skip(struct engine_order *order, struct item *item);

/* Fewer items are under way. */
void engine_order_look(struct engine_order *order);

/* Whether items wait in the broker until the first has been written. */
bool engine_order_is_full(const struct engine_order *order);

/* Whether any item is done and waits for another. */
bool engine_order_holds(const struct engine_order *order);

/* Nothing more is put: what has its turn goes to the output, the rest back to the broker. */
void engine_order_finish(struct engine_order *order);

void engine_order_free(struct engine_order *order);

#endif
