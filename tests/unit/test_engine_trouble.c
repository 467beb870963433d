/* SPDX-License-Identifier: MIT */
/* The engine through random trouble: a few of those of `make torture`, which shrinks what fails. */
#include "support/test.h"
#include "torture/orders_engine.h"

#include <stdlib.h>

enum { ORDERS = 200 };

TEST(engine_goes_on_to_its_end_whatever_befalls_it)
{
	const char *wanted = getenv("WEIR_TEST_SEED");
	uint64_t first = (wanted ? strtoull(wanted, NULL, 10) : 1) * ORDERS;
	order_engine_begin();
	for (uint64_t seed = first; seed < first + ORDERS; seed++) {
		struct order order;
		order_draw(&order, &order_engine, seed);
		ck_assert_msg(order_run(&order) == 0, "weir-orders --object engine --seed %llu",
			      (unsigned long long)seed);
	}
	order_engine_end();
}
