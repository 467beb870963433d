/* SPDX-License-Identifier: MIT */
/*
 * Open addressing over 64-bit fingerprints, at most half full; 0 marks a free slot.  Two keys with the same
 * fingerprint would be taken for one: at a million keys the odds are 1 to 37 million.
 */
#include "once.h"

#include <stdlib.h>

static uint64_t fingerprint(struct mock_span key)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.at[i]) * 0x100000001b3u;
	h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
	return h ? h : 1;
}

/* The slot that holds the fingerprint, or the free one where it would go. */
static uint64_t *find(uint64_t *slots, size_t slot_count, uint64_t h)
{
	size_t i = (size_t)h & (slot_count - 1);
	while (slots[i] && slots[i] != h)
		i = (i + 1) & (slot_count - 1);
	return &slots[i];
}

static bool grow(struct mock_once *once)
{
	size_t slot_count = once->slot_count ? once->slot_count * 2 : 64;
	uint64_t *slots = calloc(slot_count, sizeof *slots);
	if (!slots)
		return false;
	for (size_t i = 0; i < once->slot_count; i++)
		if (once->slots[i])
			*find(slots, slot_count, once->slots[i]) = once->slots[i];
	free(once->slots);
	once->slots = slots;
	once->slot_count = slot_count;
	return true;
}

bool mock_once_first(struct mock_once *once, struct mock_span key)
{
	if (once->used == MOCK_ONCE_ITEMS)
		return false;
	if (once->used * 2 >= once->slot_count && !grow(once))
		return false;
	uint64_t h = fingerprint(key), *slot = find(once->slots, once->slot_count, h);
	if (*slot)
		return false;
	*slot = h;
	once->used++;
	return true;
}

void mock_once_fini(struct mock_once *once)
{
	free(once->slots);
	*once = (struct mock_once){0};
}
