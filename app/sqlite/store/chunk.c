/* SPDX-License-Identifier: MIT */
/* See chunk.h.  What comes from the disk is not trusted even if its checksum matches: each length is checked. */
#include "sqlite/store/chunk.h"

#include <string.h>

#include "data/crc.h"

enum { NUMBER_MAX = 10 }; /* bytes of a 64-bit number */

struct chunk_reader {
	const unsigned char *at, *end;
};

unsigned chunk_count(const struct chunk_bits *bits)
{
	unsigned n = 0;
	for (size_t i = 0; i < CHUNK_WORDS; i++)
		n += (unsigned)__builtin_popcountll(bits->words[i]);
	return n;
}

void chunk_bits_write(const struct chunk_bits *bits, unsigned char bytes[CHUNK_BITS_BYTES])
{
	for (size_t i = 0; i < CHUNK_BITS_BYTES; i++)
		bytes[i] = (unsigned char)(bits->words[i / 8] >> i % 8 * 8);
}

struct chunk_bits chunk_bits_read(const unsigned char bytes[CHUNK_BITS_BYTES])
{
	struct chunk_bits bits = {{0}};
	for (size_t i = 0; i < CHUNK_BITS_BYTES; i++)
		bits.words[i / 8] |= (uint64_t)bytes[i] << i % 8 * 8;
	return bits;
}

/* ---- writing */

static char *put_number(char *at, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		*at++ = (char)(number | 0x80);
	*at++ = (char)number;
	return at;
}

/* Differences wrap around, so that any two positions have one. */
static uint64_t fold_sign(uint64_t difference)
{
	return difference << 1 ^ (difference >> 63 ? UINT64_MAX : 0);
}

static uint64_t unfold_sign(uint64_t folded)
{
	return folded >> 1 ^ (folded & 1 ? UINT64_MAX : 0);
}

static int encode_item(const struct item *item, uint64_t expected, struct buf *out)
{
	size_t why = item->bad ? strlen(item_why(item)) : 0;
	char *begin = buf_reserve(out, 3 * NUMBER_MAX + why + item->source.len), *at = begin;
	if (!begin)
		return WEIR_ENOMEM;
	at = put_number(at, (uint64_t)item->source.len << 1 | item->bad);
	at = put_number(at, fold_sign(item->position - expected));
	if (item->bad) {
		at = put_number(at, why);
		memcpy(at, item_why(item), why);
		at += why;
	}
	if (item->source.len)
		memcpy(at, item->source.data, item->source.len);
	at += item->source.len;
	*at = 0;
	out->len += (size_t)(at - begin);
	return 0;
}

int chunk_encode(struct item *const *items, size_t n, struct buf *out)
{
	uint64_t expected = 1;
	for (size_t i = 0; i < n; i++) {
		int code = encode_item(items[i], expected, out);
		if (code)
			return code;
		expected = items[i]->position + 1;
	}
	return 0;
}

uint32_t chunk_crc(uint64_t id, size_t n, const void *body, size_t bytes)
{
	char head[2 * NUMBER_MAX], *end = put_number(put_number(head, id), n);
	return crc_add(crc_add(0, head, (size_t)(end - head)), body, bytes);
}

/* ---- reading */

static bool take_number(struct chunk_reader *reader, uint64_t *ret_number)
{
	uint64_t number = 0;
	for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
		unsigned char byte = *reader->at++;
		number |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80) {
			*ret_number = number;
			return true;
		}
	}
	return false;
}

struct head {
	uint64_t position, source, why;
	bool bad;
};

static bool take_head(struct chunk_reader *reader, uint64_t expected, struct head *ret_head)
{
	uint64_t length, folded;
	*ret_head = (struct head){0};
	if (!take_number(reader, &length) || !take_number(reader, &folded))
		return false;
	ret_head->bad = length & 1;
	ret_head->source = length >> 1;
	ret_head->position = expected + unfold_sign(folded);
	if (ret_head->bad && (!take_number(reader, &ret_head->why) || ret_head->why >= ITEM_WHY_BYTES))
		return false;
	size_t left = (size_t)(reader->end - reader->at);
	return ret_head->why <= left && ret_head->source <= left - ret_head->why;
}

static struct item *make_item(const struct head *head, const unsigned char *bytes)
{
	struct item *item = item_new();
	if (!item || value_copy(&item->source, bytes + head->why, head->source)) {
		item_free(item);
		return NULL;
	}
	item->position = head->position;
	item->bad = head->bad;
	if (head->why)
		item_set_why(item, "%.*s", (int)head->why, (const char *)bytes);
	return item;
}

static int decode_items(const struct chunk *chunk, const struct chunk_bits *settled, struct item **items, int *made)
{
	struct chunk_reader reader = {chunk->body, (const unsigned char *)chunk->body + chunk->bytes};
	uint64_t expected = 1;
	for (unsigned i = 0; i < chunk->n; i++) {
		struct head head;
		if (!take_head(&reader, expected, &head))
			return WEIR_EDATA;
		if (!chunk_bit(settled, i)) {
			struct item *item = make_item(&head, reader.at);
			if (!item)
				return WEIR_ENOMEM;
			item->id = chunk->id * CHUNK_ITEMS + i;
			items[(*made)++] = item;
		}
		reader.at += head.why + head.source;
		expected = head.position + 1;
	}
	return reader.at == reader.end ? 0 : WEIR_EDATA;
}

/* The item whose head and bytes begin at `begin`, where the reader is behind the head. */
static int copy_item(const struct head *head, const unsigned char *begin, const struct chunk_reader *reader,
		     struct buf *out)
{
	size_t n = (size_t)(reader->at - begin) + head->why + head->source;
	return buf_add(out, begin, n);
}

static int blank_item(const struct head *head, uint64_t expected, struct buf *out)
{
	const struct item blank = {.position = head->position};
	return encode_item(&blank, expected, out);
}

int chunk_blank(const struct chunk *chunk, const struct chunk_bits *settled, struct buf *out)
{
	struct chunk_reader reader = {chunk->body, (const unsigned char *)chunk->body + chunk->bytes};
	uint64_t expected = 1;
	if (chunk->n > CHUNK_ITEMS || chunk_crc(chunk->id, chunk->n, chunk->body, chunk->bytes) != chunk->crc)
		return WEIR_EDATA;
	for (unsigned i = 0; i < chunk->n; i++) {
		const unsigned char *begin = reader.at;
		struct head head;
		if (!take_head(&reader, expected, &head))
			return WEIR_EDATA;
		if (chunk_bit(settled, i) ? blank_item(&head, expected, out) : copy_item(&head, begin, &reader, out))
			return WEIR_ENOMEM;
		reader.at += head.why + head.source;
		expected = head.position + 1;
	}
	return reader.at == reader.end ? 0 : WEIR_EDATA;
}

int chunk_decode(const struct chunk *chunk, const struct chunk_bits *settled, struct item **ret_items,
		 const char **ret_why)
{
	struct item *items[CHUNK_ITEMS];
	int made = 0;
	*ret_why = "its checksum does not match";
	if (chunk->n > CHUNK_ITEMS || chunk_crc(chunk->id, chunk->n, chunk->body, chunk->bytes) != chunk->crc)
		return WEIR_EDATA;
	*ret_why = "its body cannot be read";
	int code = decode_items(chunk, settled, items, &made);
	if (!code) {
		memcpy(ret_items, items, (size_t)made * sizeof items[0]);
		return made;
	}
	while (made)
		item_free(items[--made]);
	return code;
}
