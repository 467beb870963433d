/* SPDX-License-Identifier: MIT */
/* What dead letters died of, counted while a run lasts. */
#include "engine/parts.h"
#include "unit/fibers.h"

#include <string.h>

static void die(struct engine_causes *causes, const char *why, const char *evidence)
{
	struct item item = {.evidence = {.data = (char *)evidence, .len = evidence ? strlen(evidence) : 0}};
	item_set_why(&item, "%s", why);
	engine_cause_count(causes, &item);
	item_forget_why(&item);
}

TEST(causes_are_counted_the_most_frequent_first)
{
	struct engine_causes causes = {0};
	die(&causes, "status: 404", "{\"step\":1,\"kind\":\"http\",\"status\":404}");
	for (int i = 0; i < 3; i++)
		die(&causes, i % 2 ? "order 17 is late" : "order 18 is late", NULL);
	ck_assert_uint_eq(causes.n, 2);
	ck_assert_uint_eq(causes.all[0].letters, 3);
	ck_assert_str_eq(causes.all[0].text, "order 18 is late");
	ck_assert_str_eq(causes.all[1].text, "step 1 (http): status: 404");
}

TEST(causes_take_a_bounded_amount_of_memory)
{
	struct engine_causes causes = {0};
	char why[16] = "a";
	for (int i = 0; i < 2 * ENGINE_CAUSES; i++) {
		why[0] = (char)('A' + i % 32);
		why[1] = (char)('A' + i / 32);
		die(&causes, why, NULL);
	}
	ck_assert_uint_eq(causes.n, ENGINE_CAUSES);
	die(&causes, "AA", NULL);
	ck_assert_uint_eq(causes.all[0].letters, 2);
}
