/* SPDX-License-Identifier: MIT */
#include "base/table.h"

#include <stdlib.h>

enum { BUCKETS_FIRST = 16 };

static struct weir__table_node **bucket_of(const struct weir__table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->bucket_count - 1)];
}

static void link_in(struct weir__table *table, struct weir__table_node *node)
{
	struct weir__table_node **bucket = bucket_of(table, node->hash);
	node->next = *bucket;
	*bucket = node;
}

bool weir__table_reserve(struct weir__table *table)
{
	const struct weir__table old = *table;
	if (old.bucket_count && old.n < old.bucket_count)
		return true;
	size_t count = old.bucket_count ? 2 * old.bucket_count : BUCKETS_FIRST;
	struct weir__table_node **buckets = calloc(count, sizeof(struct weir__table_node *));
	if (!buckets)
		return old.buckets != NULL;
	table->buckets = buckets;
	table->bucket_count = count;
	for (size_t i = 0; i < old.bucket_count; i++)
		for (struct weir__table_node *node = old.buckets[i], *next; node; node = next) {
			next = node->next;
			link_in(table, node);
		}
	free(old.buckets);
	return true;
}

void weir__table_fini(struct weir__table *table)
{
	free(table->buckets);
	*table = (struct weir__table){0};
}

void weir__table_add(struct weir__table *table, struct weir__table_node *node, uint64_t hash)
{
	node->hash = hash;
	link_in(table, node);
	table->n++;
}

void weir__table_remove(struct weir__table *table, const struct weir__table_node *node)
{
	struct weir__table_node **at = bucket_of(table, node->hash);
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	table->n--;
}

struct weir__table_node *weir__table_next(const struct weir__table *table, const struct weir__table_node *node)
{
	if (node && node->next)
		return node->next;
	size_t from = node ? (node->hash & (table->bucket_count - 1)) + 1 : 0;
	for (size_t i = from; i < table->bucket_count; i++)
		if (table->buckets[i])
			return table->buckets[i];
	return NULL;
}
