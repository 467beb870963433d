/* SPDX-License-Identifier: MIT */
/*
 * Eight bytes at a time ("slicing by 8", Kounavis and Berry 2005): table k gives what a byte does to the checksum k
 * bytes later, so eight lookups take eight bytes at once.  Each stored item goes through here twice.
 */
#include "port/crc.h"

#include <string.h>

enum { SLICES = 8 };

static uint32_t tables[SLICES][256];

__attribute__((constructor)) static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
		tables[0][i] = crc;
	}
	for (int k = 1; k < SLICES; k++)
		for (uint32_t i = 0; i < 256; i++)
			tables[k][i] = tables[k - 1][i] >> 8 ^ tables[0][tables[k - 1][i] & 0xFF];
}

/* In the order of the bytes in memory, on any machine. */
static uint32_t word_at(const unsigned char *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t crc_add(uint32_t crc, const void *bytes, size_t n)
{
	const unsigned char *at = bytes;
	crc = ~crc;
	for (; n >= SLICES; n -= SLICES, at += SLICES) {
		uint32_t low = crc ^ word_at(at), high = word_at(at + 4);
		crc = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^
		      tables[4][low >> 24] ^ tables[3][high & 0xFF] ^ tables[2][high >> 8 & 0xFF] ^
		      tables[1][high >> 16 & 0xFF] ^ tables[0][high >> 24];
	}
	for (; n; n--, at++)
		crc = crc >> 8 ^ tables[0][(crc ^ *at) & 0xFF];
	return ~crc;
}
