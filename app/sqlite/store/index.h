/* SPDX-License-Identifier: MIT */
/*
 * What is unfinished, in memory: each chunk that is left with the bits of what is settled, so that a commit needs no
 * query.  A change can be taken back until it is kept, as its transaction on disk:
 *
 *     index_append(), index_touch() and changes ...     then index_keep() or index_undo()
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "sqlite/store/chunk.h"

struct index_chunk {
	uint64_t id;
	uint64_t bytes; /* of its body */
	unsigned n, left;
	bool stored;               /* has a row in chunk */
	bool acked;                /* has a row in ack */
	bool touched;              /* is among the changes */
	struct chunk_bits settled; /* items that are; all in the place of a chunk that is gone */
	struct chunk_bits retried; /* items with a row in retry */
};

struct index_change {
	size_t at;
	struct index_chunk was;
};

/* All zero is an empty one. */
struct index {
	struct index_chunk *chunks; /* by id; those with nothing left are swept away now and then */
	size_t n, room, gone;
	size_t kept_n;       /* n before the changes */
	uint64_t unfinished; /* items, changes included */
	struct index_change *changes;
	size_t change_n, change_room;
};

void index_fini(struct index *index);

/* Adds a chunk with a higher id than all others; it counts as touched.  WEIR_ENOMEM. */
int index_append(struct index *index, const struct index_chunk *chunk);

/* NULL if there is none with something left.  Valid until the next index_append() or index_keep(). */
struct index_chunk *index_find(struct index *index, uint64_t id);

/* To be called before a change.  WEIR_ENOMEM. */
int index_touch(struct index *index, struct index_chunk *chunk);

/* Settles an item of a touched chunk. */
void index_settle(struct index *index, struct index_chunk *chunk, unsigned at);

void index_keep(struct index *index);
void index_undo(struct index *index);

#endif
