/* SPDX-License-Identifier: MIT */
#include "engine/reorder.h"

void reorder_init(struct reorder *reorder, size_t most_bytes)
{
	*reorder = (struct reorder){.most_bytes = most_bytes};
	TAILQ_INIT(&reorder->items);
}

void reorder_add(struct reorder *reorder, struct item *item)
{
	item->turn = TURN_AWAITED;
	TAILQ_INSERT_TAIL(&reorder->items, item, order);
}

/* What it takes while it waits. */
static size_t bytes_of(const struct item *item)
{
	size_t bytes = sizeof *item + item->source.len + item->record.len;
	for (size_t i = 0; i < item->outputs.n; i++)
		bytes += item->outputs.values[i].len;
	return bytes;
}

void reorder_hold(struct reorder *reorder, struct item *item)
{
	size_t bytes = bytes_of(item);
	if (item->turn == TURN_NONE)
		TAILQ_INSERT_HEAD(&reorder->items, item, order);
	item->turn = TURN_HELD;
	reorder->held++;
	reorder->held_bytes += bytes;
	reorder->counted++;
	reorder->counted_bytes += bytes;
}

void reorder_remove(struct reorder *reorder, struct item *item)
{
	if (!reorder || item->turn == TURN_NONE)
		return;
	if (item->turn == TURN_HELD) {
		reorder->held--;
		reorder->held_bytes -= bytes_of(item);
	}
	item->turn = TURN_NONE;
	TAILQ_REMOVE(&reorder->items, item, order);
}

struct item *reorder_next(struct reorder *reorder)
{
	struct item *item = reorder_first(reorder);
	if (!item || item->turn != TURN_HELD)
		return NULL;
	reorder_remove(reorder, item);
	return item;
}

/* One more would be too many.  With nothing held any item may be the first one that is done. */
bool reorder_is_full(const struct reorder *reorder, size_t under_way)
{
	if (!reorder->held)
		return false;
	uint64_t each = reorder->counted_bytes / reorder->counted;
	return reorder->held_bytes + each * (under_way + 1) > reorder->most_bytes;
}
