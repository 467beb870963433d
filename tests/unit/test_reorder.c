/* SPDX-License-Identifier: MIT */
/* The reorder buffer against a list that is looked through. */
#include "engine/reorder.h"
#include "support/test.h"

#include <string.h>
#include <weir/random.h>

enum { ITEMS = 64, BYTES_EACH = 1000 };

static struct item items[ITEMS];
static struct value output = {.data = NULL, .len = BYTES_EACH};

static void add_all(struct reorder *reorder, size_t n, size_t most_bytes)
{
	reorder_init(reorder, most_bytes);
	memset(items, 0, sizeof items);
	for (size_t i = 0; i < n; i++) {
		items[i].outputs = (struct value_list){.values = &output, .n = 1};
		reorder_add(reorder, &items[i]);
	}
}

TEST(reorder_hands_out_what_is_done_in_the_order_of_the_source)
{
	enum gone { HERE, DONE, OUT, LEFT };
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct reorder reorder;
		enum gone gone[ITEMS] = {HERE};
		uint64_t random = seed;
		size_t first = 0;
		add_all(&reorder, ITEMS, SIZE_MAX);
		for (size_t left = ITEMS; left; left--) {
			size_t i = weir_random_below(&random, ITEMS);
			while (gone[i] != HERE)
				i = (i + 1) % ITEMS;
			bool leaves = weir_random_below(&random, 3) == 0;
			gone[i] = leaves ? LEFT : DONE;
			if (leaves)
				reorder_remove(&reorder, &items[i]);
			else
				reorder_hold(&reorder, &items[i]);
			struct item *next;
			while ((next = reorder_next(&reorder))) {
				while (gone[first] == LEFT || gone[first] == OUT)
					first++;
				ck_assert_ptr_eq(next, &items[first]);
				ck_assert_int_eq(gone[first], DONE);
				gone[first] = OUT;
			}
		}
		for (size_t i = 0; i < ITEMS; i++)
			ck_assert(gone[i] == OUT || gone[i] == LEFT);
		ck_assert_ptr_null(reorder_first(&reorder));
		ck_assert_uint_eq(reorder.held, 0);
		ck_assert_uint_eq(reorder.held_bytes, 0);
	}
}

TEST(reorder_is_full_of_what_waits_and_of_what_may_come)
{
	struct reorder reorder;
	size_t each = sizeof(struct item) + BYTES_EACH;
	add_all(&reorder, 8, 4 * each);
	ck_assert(!reorder_is_full(&reorder, 1000)); /* nothing is known yet, and nothing waits */
	reorder_hold(&reorder, &items[2]);
	ck_assert(!reorder_is_full(&reorder, 2));
	ck_assert(reorder_is_full(&reorder, 3));
	reorder_hold(&reorder, &items[1]);
	reorder_hold(&reorder, &items[4]);
	reorder_hold(&reorder, &items[5]);
	ck_assert(reorder_is_full(&reorder, 0));
	ck_assert_ptr_null(reorder_next(&reorder));
	reorder_remove(&reorder, &items[0]);
	ck_assert_ptr_eq(reorder_next(&reorder), &items[1]);
	ck_assert(!reorder_is_full(&reorder, 0));
	ck_assert_ptr_eq(reorder_next(&reorder), &items[2]);
	ck_assert_ptr_null(reorder_next(&reorder)); /* 3 is awaited */
}

TEST(reorder_hands_out_first_what_comes_again)
{
	struct reorder reorder;
	add_all(&reorder, 3, SIZE_MAX);
	reorder_hold(&reorder, &items[0]);
	ck_assert_ptr_eq(reorder_next(&reorder), &items[0]);
	reorder_hold(&reorder, &items[1]);
	reorder_hold(&reorder, &items[0]);
	ck_assert_ptr_eq(reorder_next(&reorder), &items[0]);
	ck_assert_ptr_eq(reorder_next(&reorder), &items[1]);
	reorder_remove(&reorder, &items[0]); /* it is not there */
	ck_assert_ptr_eq(reorder_first(&reorder), &items[2]);
}
