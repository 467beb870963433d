/* SPDX-License-Identifier: MIT */
/* Flows through random trouble: a few of those of `make torture`, which shrinks what fails. */
#include "support/test.h"
#include "torture/order.h"

#include <stdlib.h>

enum { ORDERS = 300 };

TEST(flow_goes_on_to_its_end_whatever_befalls_it)
{
	const char *wanted = getenv("WEIR_TEST_SEED");
	uint64_t first = (wanted ? strtoull(wanted, NULL, 10) : 1) * ORDERS;
	for (uint64_t seed = first; seed < first + ORDERS; seed++) {
		struct order order;
		order_draw(&order, &order_flow, seed);
		ck_assert_msg(order_run(&order) == 0, "weir-orders --object flow --seed %llu",
			      (unsigned long long)seed);
	}
}
