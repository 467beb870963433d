/* SPDX-License-Identifier: MIT */
/* The queue against its model, in random orders of operations: a few of those of `make torture`, which shrinks what
 * fails. */
#include "support/test.h"
#include "torture/orders_queue.h"

#include <stdlib.h>

enum { ORDERS = 1000 };

TEST(queue_does_what_the_model_foretells)
{
	const char *wanted = getenv("WEIR_TEST_SEED");
	uint64_t first = (wanted ? strtoull(wanted, NULL, 10) : 1) * ORDERS;
	for (uint64_t seed = first; seed < first + ORDERS; seed++) {
		struct order order;
		order_draw(&order, &order_queue, seed);
		ck_assert_int_eq(order_run(&order), 0);
	}
	for (int i = 0; i < 4; i++)
		ck_assert_msg(order_queue_waits[i] > 50, "waits that ended so (%d): %zu", i, order_queue_waits[i]);
}
