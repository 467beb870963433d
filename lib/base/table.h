/* SPDX-License-Identifier: MIT */
/*
 * A hash table of what has a node in it as its first member; the table owns only its buckets.  All zero: empty.
 *
 *     for (node = weir__table_find(&table, hash); node; node = weir__table_again(node))
 *             if (is_wanted(node)) ...
 *     for (node = weir__table_next(&table, NULL); node; node = next) {
 *             next = weir__table_next(&table, node);        (of what may be taken out)
 *             ...
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir__table_node {
	struct weir__table_node *next; /* of its bucket */
	uint64_t hash;
};

struct weir__table {
	struct weir__table_node **buckets;
	size_t bucket_count, n;
};

/* Makes room for one more, unless there is too little memory to grow: a full table works, if slowly.  false: there is
 * none at all. */
bool weir__table_reserve(struct weir__table *table);
void weir__table_fini(struct weir__table *table);

/* Contract: weir__table_reserve() once at least. */
void weir__table_add(struct weir__table *table, struct weir__table_node *node, uint64_t hash);
void weir__table_remove(struct weir__table *table, const struct weir__table_node *node);

/* Each in turn, in no order; after NULL the first. */
struct weir__table_node *weir__table_next(const struct weir__table *table, const struct weir__table_node *node);

/* The first of that hash, and the next of the same. */
static inline struct weir__table_node *weir__table_of_hash(struct weir__table_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

static inline struct weir__table_node *weir__table_find(const struct weir__table *table, uint64_t hash)
{
	return table->n ? weir__table_of_hash(table->buckets[hash & (table->bucket_count - 1)], hash) : NULL;
}

static inline struct weir__table_node *weir__table_again(const struct weir__table_node *node)
{
	return weir__table_of_hash(node->next, node->hash);
}

/* All bits of a number count for the lower ones of its hash. */
static inline uint64_t weir__hash_number(uint64_t number)
{
	number *= 0x9e3779b97f4a7c15u;
	return number ^ number >> 32;
}

/* FNV-1a. */
static inline uint64_t weir__hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash ^ hash >> 29;
}

#endif
