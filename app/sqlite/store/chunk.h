/* SPDX-License-Identifier: MIT */
/*
 * The body of a chunk: its items, one behind the other.  Pure.
 *
 *     item     head  position  [why's length  why]  source
 *     head     length of the source * 2, + 1 when the source found it unusable: then why follows
 *     position what it is more than the position before it + 1 (in a chunk without gaps: 0), or less: the sign is the
 *              lowest bit
 *     numbers  7 bits a byte, the lowest first, the highest bit set in all but the last
 *
 * The checksum is of id, n and body, so that a body that stands under another id is found, too.
 */
#ifndef STORE_CHUNK_H
#define STORE_CHUNK_H

#include "data/buf.h"
#include "port/item.h"

#define CHUNK_ITEMS 256 /* most of a chunk */
#define CHUNK_WORDS (CHUNK_ITEMS / 64)

/* One bit for each item of a chunk. */
struct chunk_bits {
	uint64_t words[CHUNK_WORDS];
};

static inline bool chunk_bit(const struct chunk_bits *bits, unsigned at)
{
	return bits->words[at / 64] >> at % 64 & 1;
}

static inline void chunk_set(struct chunk_bits *bits, unsigned at)
{
	bits->words[at / 64] |= (uint64_t)1 << at % 64;
}

unsigned chunk_count(const struct chunk_bits *bits);

/* As they are stored: item i is bit i % 8 of byte i / 8. */
#define CHUNK_BITS_BYTES ((size_t)CHUNK_ITEMS / 8)
void chunk_bits_write(const struct chunk_bits *bits, unsigned char bytes[CHUNK_BITS_BYTES]);
struct chunk_bits chunk_bits_read(const unsigned char bytes[CHUNK_BITS_BYTES]);

/* Appends the body.  WEIR_ENOMEM. */
int chunk_encode(struct item *const *items, size_t n, struct buf *out);

struct chunk;

/* Appends the body as it is, but for the items that are settled: of those nothing is left but their positions.
 * WEIR_EDATA, WEIR_ENOMEM. */
int chunk_blank(const struct chunk *chunk, const struct chunk_bits *settled, struct buf *out);

uint32_t chunk_crc(uint64_t id, size_t n, const void *body, size_t bytes);

struct chunk {
	uint64_t id;
	size_t n;
	uint32_t crc;
	const void *body;
	size_t bytes;
};

/* Makes an item of each that is not settled, in order, with id, position, bad, why and source: how many.  WEIR_EDATA
 * with *ret_why when the checksum does not match or the body is no n items, WEIR_ENOMEM; then there are none. */
int chunk_decode(const struct chunk *chunk, const struct chunk_bits *settled, struct item **ret_items,
		 const char **ret_why);

#endif
