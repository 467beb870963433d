/* SPDX-License-Identifier: MIT */
/* The table of nodes against an array of who is in it. */
#include "support/test.h"
#include <weir/table.h>

#include <stdio.h>
#include <weir/random.h>

enum { MOST = 300, HASHES = 90 };

struct owner {
	struct weir_table_node node;
	uint64_t hash;
	bool in, seen;
};

/* Those of the hash that the table finds, and those that it should. */
static void same_of_hash(const struct weir_table *table, struct owner *owners, uint64_t hash)
{
	unsigned found = 0, wanted = 0;
	for (struct weir_table_node *node = weir_table_find(table, hash); node; node = weir_table_again(node)) {
		struct owner *owner = (struct owner *)node;
		quick_assert(owner->in && owner->hash == hash && !owner->seen);
		owner->seen = true;
		found++;
	}
	for (int i = 0; i < MOST; i++) {
		wanted += owners[i].in && owners[i].hash == hash;
		owners[i].seen = false;
	}
	quick_assert(found == wanted);
}

static void same_in_all(const struct weir_table *table, struct owner *owners)
{
	size_t n = 0, wanted = 0;
	for (struct weir_table_node *node = weir_table_next(table, NULL); node; node = weir_table_next(table, node)) {
		struct owner *owner = (struct owner *)node;
		quick_assert(owner->in && !owner->seen);
		owner->seen = true;
		n++;
	}
	for (int i = 0; i < MOST; i++) {
		wanted += owners[i].in;
		owners[i].seen = false;
	}
	quick_assert(n == wanted && table->n == wanted);
}

TEST(table_has_what_was_added_and_not_removed)
{
	struct weir_table table = {0};
	static struct owner owners[MOST];
	uint64_t random = 7;
	ck_assert_ptr_null(weir_table_find(&table, 1));
	ck_assert_ptr_null(weir_table_next(&table, NULL));
	for (int turn = 0; turn < 30000; turn++) {
		struct owner *owner = &owners[weir_random_below(&random, MOST)];
		/* Once mostly in, once mostly out: it grows, and is emptied. */
		bool in = weir_random_below(&random, 10) < (turn / 5000 % 2 ? 1 : 9);
		if (in && !owner->in) {
			owner->hash = weir_random_below(&random, HASHES) * 0x100000001u;
			ck_assert_int_eq(weir_table_reserve(&table), 0);
			weir_table_add(&table, &owner->node, owner->hash);
		} else if (!in && owner->in) {
			weir_table_remove(&table, &owner->node);
		}
		owner->in = in;
		same_of_hash(&table, owners, weir_random_below(&random, HASHES) * 0x100000001u);
		if (turn % 100 == 0)
			same_in_all(&table, owners);
	}
	weir_table_fini(&table);
	ck_assert_ptr_null(weir_table_find(&table, 0));
}

TEST(table_can_be_emptied_while_it_is_gone_through)
{
	struct weir_table table = {0};
	struct owner owners[100] = {0};
	unsigned removed = 0;
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_int_eq(weir_table_reserve(&table), 0);
		weir_table_add(&table, &owners[i].node, weir_hash_number(i / 3));
	}
	for (struct weir_table_node *node = weir_table_next(&table, NULL), *next; node; node = next) {
		next = weir_table_next(&table, node);
		weir_table_remove(&table, node);
		removed++;
	}
	ck_assert_uint_eq(removed, 100);
	ck_assert_uint_eq(table.n, 0);
	weir_table_fini(&table);
}

TEST(hash_is_fnv_1a_and_goes_on_where_it_stopped)
{
	ck_assert_uint_eq(weir_hash(WEIR_HASH, "foobar", 6), 0x85944171f73967e8u);
	ck_assert_uint_eq(weir_hash(weir_hash(WEIR_HASH, "foo", 3), "bar", 3), 0x85944171f73967e8u);
}

TEST(hashes_of_numbers_and_texts_spread_over_the_lower_bits)
{
	unsigned numbers[64] = {0}, texts[64] = {0};
	for (unsigned i = 0; i < 6400; i++) {
		char text[32];
		snprintf(text, sizeof text, "https://host-%u.test", i);
		numbers[weir_hash_number((uint64_t)i << 32) % 64]++;
		texts[weir_hash_text(0, text) % 64]++;
		ck_assert_uint_ne(weir_hash_text(1, text), weir_hash_text(0, text));
	}
	for (unsigned i = 0; i < 64; i++) {
		ck_assert_uint_gt(numbers[i], 40);
		ck_assert_uint_lt(numbers[i], 200);
		ck_assert_uint_gt(texts[i], 40);
		ck_assert_uint_lt(texts[i], 200);
	}
}
