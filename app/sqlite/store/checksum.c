/* SPDX-License-Identifier: MIT */
/*
 * SQLite believes what it reads: a bit that changed on the disk is a number of another value, or a row that is not
 * there.  So the rows that nothing else would contradict carry a checksum of their own: the progress row and each dead
 * letter (a chunk's is in chunk.c).  Numbers go in as eight bytes, texts behind their length, an absent one as none.
 */
#include "sqlite/store/internal.h"

#include <string.h>

#include "data/crc.h"

static uint32_t add_number(uint32_t crc, uint64_t number)
{
	unsigned char bytes[8];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(number >> 8 * i);
	return crc_add(crc, bytes, sizeof bytes);
}

static uint32_t add_bytes(uint32_t crc, const void *bytes, size_t n)
{
	return crc_add(add_number(crc, bytes ? n : UINT64_MAX), bytes ? bytes : "", bytes ? n : 0);
}

static uint32_t add_text(uint32_t crc, const char *text)
{
	return add_bytes(crc, text, text ? strlen(text) : 0);
}

uint32_t checksum_progress(const struct store_progress *progress, const struct value positions[OUTLETS])
{
	const struct broker_accounts *accounts = &progress->accounts;
	const uint64_t numbers[] = {progress->next_chunk, progress->sealed,  progress->clean, accounts->read,
				    accounts->succeeded,  accounts->dropped, accounts->dead,  progress->letters};
	uint32_t crc = 0;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		crc = add_number(crc, numbers[i]);
	crc = add_text(crc, progress->cursor.text);
	for (int i = 0; i < OUTLETS; i++)
		crc = add_bytes(crc, positions[i].data ? positions[i].data : "", positions[i].len);
	return crc;
}

uint32_t checksum_letter(const struct letter *letter, bool bad)
{
	const uint64_t numbers[] = {letter->id,       letter->position,          bad,
				    letter->attempts, (uint64_t)letter->at_unix, letter->cause};
	uint32_t crc = 0;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		crc = add_number(crc, numbers[i]);
	crc = add_text(crc, letter->reason);
	crc = add_text(crc, letter->history);
	crc = add_bytes(crc, letter->evidence.data, letter->evidence.len);
	return add_bytes(crc, letter->item.data, letter->item.len);
}
