/* SPDX-License-Identifier: MIT */
/* Orders on a queue, for the unit tests, too. */
#ifndef TORTURE_ORDERS_QUEUE_H
#define TORTURE_ORDERS_QUEUE_H

#include "torture/order.h"

/* Waits in all orders so far: won, timed out, cancelled, closed. */
extern size_t order_queue_waits[4];

#endif
