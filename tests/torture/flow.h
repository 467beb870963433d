/* SPDX-License-Identifier: MIT */
/* Random settings of a flow, which both orders_flow.c and orders_engine.c draw. */
#ifndef TORTURE_FLOW_H
#define TORTURE_FLOW_H

#include "torture/order.h"

/* Options that do not contradict each other; after trouble_draw(). */
void flow_draw(struct order *order, uint64_t *random);

/* Makes it simpler in its step-th way (order_object). */
bool flow_simplify(struct order *order, unsigned step);
void flow_print(const struct order *order);

#endif
