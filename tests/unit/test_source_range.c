/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include "sources.h"
#include "support/test.h"

static struct opened open_range(int64_t from, int64_t to)
{
	void *config = calloc(1, source_range_adapter.config_bytes);
	int64_t numbers[2] = {from, to};
	memcpy(config_field(&source_range_adapter, config, "numbers"), numbers, sizeof numbers);
	return open_with(&source_range_adapter, config);
}

FIBER_TEST(source_range_counts_from_the_first_to_the_last)
{
	bool exact = false;
	struct opened opened = open_range(-1, 1);
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), 3);
	ck_assert(exact);
	expect_item(&opened, 1, "-1");
	expect_item(&opened, 2, "0");
	expect_item(&opened, 3, "1");
	expect_end(&opened);
	opened = open_range(INT64_MAX, INT64_MAX);
	expect_item(&opened, 1, "9223372036854775807");
	expect_end(&opened);
	opened = open_range(INT64_MIN, INT64_MAX);
	expect_item(&opened, 1, "-9223372036854775808");
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), -1);
	shut(&opened);
}

TEST(source_range_that_ends_before_it_begins_is_refused)
{
	int64_t numbers[2] = {2, 1};
	const char *key = NULL;
	struct weir_error err = {0};
	ck_assert_int_eq(source_range_adapter.check(numbers, &key, &err), WEIR_EINVAL);
	ck_assert_str_eq(key, "numbers");
	numbers[1] = 2;
	ck_assert_int_eq(source_range_adapter.check(numbers, &key, &err), 0);
}

static struct left leave_range(int64_t from, int64_t to, uint64_t after)
{
	struct opened opened = open_range(from, to);
	for (uint64_t i = 0; i < after; i++)
		item_free(take(&opened, SOURCE_ITEM));
	return leave(&opened);
}

FIBER_TEST(source_range_goes_on_where_it_was)
{
	bool exact = false;
	for (uint64_t after = 0; after <= 3; after++) {
		struct left left = leave_range(-1, 1, after);
		struct opened opened = open_range(-1, 1);
		go_on(&opened, &left);
		ck_assert_int_eq(opened.ops->total(opened.source, &exact), 3);
		for (uint64_t i = after; i < 3; i++)
			expect_item(&opened, i + 1, test_format("%d", (int)i - 1));
		expect_end(&opened);
	}
}

FIBER_TEST(source_range_that_became_longer_gives_the_new_numbers)
{
	bool exact = false;
	struct opened opened = open_range(5, 6);
	for (int i = 0; i < 3; i++)
		item_free(take(&opened, i < 2 ? SOURCE_ITEM : SOURCE_END));
	struct left left = leave(&opened);
	opened = open_range(5, 7);
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), 3);
	go_on(&opened, &left);
	expect_item(&opened, 3, "7");
	expect_end(&opened);
}

FIBER_TEST(source_range_that_shrank_goes_on_as_long_as_it_holds_its_place)
{
	struct left left = leave_range(5, 9, 2);
	struct opened opened = open_range(5, 5);
	expect_refused(&opened, &left, true, "ends before");
	opened = open_range(5, 6);
	go_on(&opened, &left);
	expect_end(&opened);
}

FIBER_TEST(source_range_that_begins_elsewhere_is_refused)
{
	struct left left = leave_range(5, 9, 2);
	struct opened opened = open_range(4, 9);
	expect_refused(&opened, &left, true, "began elsewhere");
	opened = open_range(4, 9);
	free(left.identity);
	left.identity = strdup("file device=1:2 inode=3 size=4 head=4 crc=00000000");
	expect_refused(&opened, &left, true, "began elsewhere");
	free(left.identity);
}

FIBER_TEST(source_range_goes_on_behind_its_last_number)
{
	struct left left = leave_range(INT64_MAX - 1, INT64_MAX, 2);
	struct opened opened = open_range(INT64_MAX - 1, INT64_MAX);
	go_on(&opened, &left);
	expect_end(&opened);
}
