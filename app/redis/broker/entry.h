/* SPDX-License-Identifier: MIT */
/*
 * An item as an entry of a stream: its place there, and what of it is in the field `m`:
 *
 *     7 1 0 0 31 12 -1 14 0 0       position, attempts, whether it is bad, its number (0: its id), its ages in ms when
 *     status: 503                   this was written (-1: none), the lengths of why, record and history; then these
 *
 * Pure.
 */
#ifndef REDIS_BROKER_ENTRY_H
#define REDIS_BROKER_ENTRY_H

#include "data/buf.h"
#include "port/item.h"

/* Of a letter, or of an item that was one: a JSON array (port/letter.h), or NULL. */
struct entry_meta {
	uint64_t position, number;
	unsigned attempts;
	bool bad;
	struct item_ages ages;
	struct value why, record, history; /* borrowed from the text; data is NULL: none */
};

struct entry_meta entry_meta_of(const struct item *item);
void entry_meta_write(const struct entry_meta *meta, struct buf *out);

/* WEIR_EDATA: it is no such text. */
int entry_meta_read(const char *text, size_t n, struct entry_meta *ret_meta);

/* An entry's place is its ticket and the number of its stream, from 1. */
#define ENTRY_STREAMS 16

static inline weir_nsec entry_place(uint64_t ticket, unsigned stream)
{
	return (weir_nsec)(ticket * ENTRY_STREAMS + stream);
}

static inline unsigned entry_stream(const struct item *item)
{
	return (unsigned)((uint64_t)item->place % ENTRY_STREAMS);
}

/* "TICKET-ITEM". */
void entry_id(const struct item *item, char ret_id[48]);

/* An item of an entry's id and fields, and its meta data, which borrow from the entry; `after`: so long ago these were
 * written.  WEIR_EDATA: it is none of ours; WEIR_ENOMEM. */
struct entry {
	unsigned stream;
	const char *id;
	struct value meta, body; /* borrowed */
	unsigned deaths;
	weir_nsec after;
};

int entry_item(const struct entry *entry, struct item **ret_item, struct entry_meta *ret_meta);

#endif
