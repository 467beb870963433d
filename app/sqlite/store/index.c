/* SPDX-License-Identifier: MIT */
/*
 * A sorted array.  Chunks come at its end and go anywhere, mostly near its beginning; those that are gone stay as gaps
 * until they are half of it, so that taking one away costs O(1) on the average.
 */
#include "sqlite/store/index.h"

#include "data/array.h"

void index_fini(struct index *index)
{
	free(index->chunks);
	free(index->changes);
	*index = (struct index){0};
}

static int remember(struct index *index, size_t at)
{
	int code = array_reserve(&index->changes, &index->change_room, index->change_n + 1, sizeof index->changes[0]);
	if (code)
		return code;
	index->changes[index->change_n++] = (struct index_change){at, index->chunks[at]};
	index->chunks[at].touched = true;
	return 0;
}

int index_append(struct index *index, const struct index_chunk *chunk)
{
	int code = array_reserve(&index->chunks, &index->room, index->n + 1, sizeof index->chunks[0]);
	if (code)
		return code;
	index->chunks[index->n] = *chunk;
	code = remember(index, index->n);
	if (code)
		return code;
	index->n++;
	index->unfinished += chunk->left;
	return 0;
}

struct index_chunk *index_find(struct index *index, uint64_t id)
{
	size_t low = 0, high = index->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (index->chunks[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == index->n || index->chunks[low].id != id || !index->chunks[low].left)
		return NULL;
	return &index->chunks[low];
}

int index_touch(struct index *index, struct index_chunk *chunk)
{
	return chunk->touched ? 0 : remember(index, (size_t)(chunk - index->chunks));
}

void index_settle(struct index *index, struct index_chunk *chunk, unsigned at)
{
	chunk_set(&chunk->settled, at);
	chunk->left--;
	index->unfinished--;
}

static void sweep(struct index *index)
{
	size_t n = 0;
	for (size_t i = 0; i < index->n; i++)
		if (index->chunks[i].left)
			index->chunks[n++] = index->chunks[i];
	index->n = n;
	index->gone = 0;
}

void index_keep(struct index *index)
{
	for (size_t i = 0; i < index->change_n; i++) {
		struct index_chunk *chunk = &index->chunks[index->changes[i].at];
		chunk->touched = false;
		index->gone += !chunk->left;
	}
	index->change_n = 0;
	if (index->gone > index->n / 2)
		sweep(index);
	index->kept_n = index->n;
}

void index_undo(struct index *index)
{
	while (index->change_n) {
		const struct index_change *change = &index->changes[--index->change_n];
		index->unfinished -= index->chunks[change->at].left;
		if (change->at >= index->kept_n)
			continue;
		index->chunks[change->at] = change->was;
		index->unfinished += change->was.left;
	}
	index->n = index->kept_n;
}
