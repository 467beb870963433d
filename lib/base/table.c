/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <weir/table.h>

enum { BUCKETS_FIRST = 16 };

static struct weir_table_node **bucket_of(const struct weir_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->bucket_count - 1)];
}

static void link_in(struct weir_table *table, struct weir_table_node *node)
{
	struct weir_table_node **bucket = bucket_of(table, node->hash);
	node->next = *bucket;
	*bucket = node;
}

int weir_table_reserve(struct weir_table *table)
{
	const struct weir_table old = *table;
	if (old.bucket_count && old.n < old.bucket_count)
		return 0;
	size_t count = old.bucket_count ? 2 * old.bucket_count : BUCKETS_FIRST;
	struct weir_table_node **buckets = calloc(count, sizeof(struct weir_table_node *));
	if (!buckets)
		return old.buckets ? 0 : WEIR_ENOMEM;
	table->buckets = buckets;
	table->bucket_count = count;
	for (size_t i = 0; i < old.bucket_count; i++)
		for (struct weir_table_node *node = old.buckets[i], *next; node; node = next) {
			next = node->next;
			link_in(table, node);
		}
	free(old.buckets);
	return 0;
}

void weir_table_fini(struct weir_table *table)
{
	free(table->buckets);
	*table = (struct weir_table){0};
}

void weir_table_add(struct weir_table *table, struct weir_table_node *node, uint64_t hash)
{
	node->hash = hash;
	link_in(table, node);
	table->n++;
}

void weir_table_remove(struct weir_table *table, const struct weir_table_node *node)
{
	struct weir_table_node **at = bucket_of(table, node->hash);
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	table->n--;
}

struct weir_table_node *weir_table_next(const struct weir_table *table, const struct weir_table_node *node)
{
	if (node && node->next)
		return node->next;
	size_t from = node ? (node->hash & (table->bucket_count - 1)) + 1 : 0;
	for (size_t i = from; i < table->bucket_count; i++)
		if (table->buckets[i])
			return table->buckets[i];
	return NULL;
}
