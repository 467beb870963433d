/* SPDX-License-Identifier: MIT */
/* The body of a chunk: what goes in comes out, and no damage goes unnoticed. */
#include "sqlite/store/chunk.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

static const struct chunk_bits nothing;

static struct item *make_item(uint64_t position, const char *source, const char *why)
{
	struct item *item = item_new();
	item->position = position;
	ck_assert_int_eq(value_copy(&item->source, source, strlen(source)), 0);
	if (why) {
		item->bad = true;
		item_set_why(item, "%s", why);
	}
	return item;
}

static void free_all(struct item **items, int n)
{
	for (int i = 0; i < n; i++)
		item_free(items[i]);
}

static struct chunk sum(uint64_t id, size_t n, const struct buf *body)
{
	return (struct chunk){id, n, chunk_crc(id, n, body->data, body->len), body->data, body->len};
}

TEST(chunk_gives_back_what_it_was_given)
{
	static const uint64_t positions[] = {1, 2, 3, 100, 7, 0, UINT64_MAX, 1};
	char longest[256];
	memset(longest, 'w', 255);
	longest[255] = 0;
	const char *whys[] = {NULL, "", NULL, "not JSON", NULL, longest, NULL, NULL};
	struct item *in[8], *out[CHUNK_ITEMS];
	struct buf body = {0};
	const char *why;
	for (int i = 0; i < 8; i++)
		in[i] = make_item(positions[i], i == 4 ? "" : test_format("{\"i\":%d}", i), whys[i]);
	ck_assert_int_eq(chunk_encode(in, 8, &body), 0);
	struct chunk chunk = sum(77, 8, &body);
	ck_assert_int_eq(chunk_decode(&chunk, &nothing, out, &why), 8);
	for (int i = 0; i < 8; i++) {
		ck_assert_uint_eq(out[i]->id, 77 * 256 + (unsigned)i);
		ck_assert_uint_eq(out[i]->position, positions[i]);
		ck_assert_int_eq(out[i]->bad, whys[i] != NULL);
		ck_assert_str_eq(item_why(out[i]), whys[i] ? whys[i] : "");
		ck_assert_uint_eq(out[i]->source.len, in[i]->source.len);
		ck_assert_str_eq(out[i]->source.data, in[i]->source.data);
	}
	free_all(in, 8);
	free_all(out, 8);
	buf_fini(&body);
}

TEST(chunk_leaves_out_what_is_settled)
{
	struct item *in[CHUNK_ITEMS], *out[CHUNK_ITEMS];
	struct chunk_bits settled = {{0}};
	struct buf body = {0};
	const char *why;
	for (unsigned i = 0; i < CHUNK_ITEMS; i++) {
		in[i] = make_item(i + 1, "1", NULL);
		if (i % 3)
			chunk_set(&settled, i);
	}
	ck_assert_int_eq(chunk_encode(in, CHUNK_ITEMS, &body), 0);
	ck_assert_uint_lt(body.len, CHUNK_ITEMS * 4);
	struct chunk chunk = sum(1, CHUNK_ITEMS, &body);
	int n = chunk_decode(&chunk, &settled, out, &why);
	ck_assert_int_eq(n, (CHUNK_ITEMS + 2) / 3);
	ck_assert_uint_eq(chunk_count(&settled), CHUNK_ITEMS - (unsigned)n);
	for (int i = 0; i < n; i++)
		ck_assert_uint_eq(out[i]->position, (unsigned)i * 3 + 1);
	free_all(in, CHUNK_ITEMS);
	free_all(out, n);
	buf_fini(&body);
}

TEST(chunk_bits_are_written_lowest_first)
{
	struct chunk_bits bits = {{0}};
	unsigned char bytes[CHUNK_BITS_BYTES];
	chunk_set(&bits, 0);
	chunk_set(&bits, 9);
	chunk_set(&bits, 255);
	chunk_bits_write(&bits, bytes);
	ck_assert(bytes[0] == 1 && bytes[1] == 2 && bytes[31] == 0x80);
	struct chunk_bits again = chunk_bits_read(bytes);
	ck_assert_mem_eq(&again, &bits, sizeof bits);
}

TEST(chunk_finds_each_flipped_bit)
{
	struct item *in[3], *out[CHUNK_ITEMS];
	struct buf body = {0};
	const char *why = NULL;
	for (unsigned i = 0; i < 3; i++)
		in[i] = make_item(i + 5, "[true, false]", i == 1 ? "odd" : NULL);
	ck_assert_int_eq(chunk_encode(in, 3, &body), 0);
	struct chunk chunk = sum(9, 3, &body);
	for (size_t bit = 0; bit < body.len * 8; bit++) {
		body.data[bit / 8] ^= (char)(1 << bit % 8);
		ck_assert_int_eq(chunk_decode(&chunk, &nothing, out, &why), WEIR_EDATA);
		body.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	ck_assert_str_eq(why, "its checksum does not match");
	chunk.id = 10;
	ck_assert_int_eq(chunk_decode(&chunk, &nothing, out, &why), WEIR_EDATA);
	chunk.id = 9;
	chunk.n = 2;
	ck_assert_int_eq(chunk_decode(&chunk, &nothing, out, &why), WEIR_EDATA);
	free_all(in, 3);
	buf_fini(&body);
}

/* Its checksum may match by bad luck, or bad will. */
TEST(chunk_reads_any_bytes_without_harm)
{
	uint64_t random = 1;
	for (int round = 0; round < 20000; round++) {
		unsigned char bytes[64];
		struct item *out[CHUNK_ITEMS];
		struct buf body = {.data = (char *)bytes, .len = weir_random_below(&random, sizeof bytes + 1)};
		const char *why;
		for (size_t i = 0; i < body.len; i++)
			bytes[i] = (unsigned char)(weir_random(&random) >> (round % 2 ? 0 : 60));
		struct chunk chunk = sum(1, weir_random_below(&random, 6), &body);
		int n = chunk_decode(&chunk, &nothing, out, &why);
		quick_assert(n == WEIR_EDATA || n == (int)chunk.n);
		free_all(out, n);
	}
}
