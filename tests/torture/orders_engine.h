/* SPDX-License-Identifier: MIT */
#ifndef TORTURE_ORDERS_ENGINE_H
#define TORTURE_ORDERS_ENGINE_H

#include "torture/order.h"

extern const struct order_object order_engine;

/* Makes and removes the folder in which the brokers on disk lie, one after the other. */
void order_engine_begin(void);
void order_engine_end(void);

#endif
