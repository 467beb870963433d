/* SPDX-License-Identifier: MIT */
/*
 * The reorder buffer: the items in memory in the order of the source, and which of them are done.
 *
 *     items    done    -    done   done    -     -
 *               |      |
 *               |      '-- the first that is awaited: all behind it wait for it
 *               '--------- reorder_next() hands this one out
 *
 * It is bounded by what is done and waits, and by what those that are under way may add to it.  When it is full only
 * the first item may begin, which makes room as soon as it is done or gone.  The first is always in memory, since items
 * come in their order and stay until they are settled, so a full buffer comes to its end.
 *
 * Pure: nothing suspends.  The items are borrowed: who frees one removes it first.
 */
#ifndef ENGINE_REORDER_H
#define ENGINE_REORDER_H

#include "port/item.h"

struct reorder {
	TAILQ_HEAD(reorder_items, item) items;
	size_t most_bytes;
	size_t held, held_bytes;         /* done, and behind one that is awaited */
	uint64_t counted, counted_bytes; /* all that were done, for what the next one may take */
};

void reorder_init(struct reorder *reorder, size_t most_bytes);

/* An item has come into memory, behind all that are there. */
void reorder_add(struct reorder *reorder, struct item *item);

/* It is done, and waits for its turn; that of one which is not there has passed. */
void reorder_hold(struct reorder *reorder, struct item *item);

/* It will never be done, or is not waited for any more.  NULL, or an item that is not there: nothing. */
void reorder_remove(struct reorder *reorder, struct item *item);

/* The first item; NULL: there is none. */
static inline struct item *reorder_first(const struct reorder *reorder)
{
	return TAILQ_FIRST(&reorder->items);
}

/* Takes out the first item if it is done; else NULL. */
struct item *reorder_next(struct reorder *reorder);

/* Whether none but the first may begin, with so many under way. */
bool reorder_is_full(const struct reorder *reorder, size_t under_way);

#endif
