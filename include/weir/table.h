/* SPDX-License-Identifier: MIT */
/*
 * A hash table of nodes that lie in their owners, and the hash.  The table owns only its buckets; it grows with what is
 * in it, and all zero is a valid empty one.  Who looks something up compares: the table knows hashes alone.
 *
 *     for (node = weir_table_find(&table, hash); node; node = weir_table_again(node))
 *             if (is_wanted(node)) ...
 *     for (node = weir_table_next(&table, NULL); node; node = next) {
 *             next = weir_table_next(&table, node);        (of what may be removed)
 *             ...
 *
 * Begin the hash of keys that come from outside with a secret seed, lest somebody choose keys that all have one hash.
 * A plain object without locks: one thread at a time.
 */
#ifndef WEIR_TABLE_H
#define WEIR_TABLE_H

#include <string.h>
#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_table_node {
	struct weir_table_node *next; /* of its bucket */
	uint64_t hash;
};

struct weir_table {
	struct weir_table_node **buckets;
	size_t bucket_count, n;
};

/* Makes room for one more node.  Where memory is too short to grow a full table works, if slowly; WEIR_ENOMEM when
 * there is no table at all. */
WEIR_API int weir_table_reserve(struct weir_table *table);

/* Frees the table's own memory; nodes left in it are forgotten. */
WEIR_API void weir_table_fini(struct weir_table *table);

/* Adds a node that is in no table; room for it was reserved. */
WEIR_API void weir_table_add(struct weir_table *table, struct weir_table_node *node, uint64_t hash);

/* Removes a node that is in this table. */
WEIR_API void weir_table_remove(struct weir_table *table, const struct weir_table_node *node);

/* Each node in turn, in no order; after NULL the first, after the last NULL. */
WEIR_API struct weir_table_node *weir_table_next(const struct weir_table *table, const struct weir_table_node *node);

/* This node or the next of its bucket that has the hash; NULL: none. */
static inline struct weir_table_node *weir__table_of_hash(struct weir_table_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

/* The first node of that hash, or NULL. */
static inline struct weir_table_node *weir_table_find(const struct weir_table *table, uint64_t hash)
{
	return table->n ? weir__table_of_hash(table->buckets[hash & (table->bucket_count - 1)], hash) : NULL;
}

/* The next node of the same hash, or NULL. */
static inline struct weir_table_node *weir_table_again(const struct weir_table_node *node)
{
	return weir__table_of_hash(node->next, node->hash);
}

/* All bits of a number count for the lower ones of its hash. */
static inline uint64_t weir_hash_number(uint64_t number)
{
	number *= 0x9e3779b97f4a7c15u;
	return number ^ number >> 32;
}

/* Where weir_hash() begins; to be combined with a seed by ^. */
#define WEIR_HASH 0xcbf29ce484222325u

/* FNV-1a (Fowler, Noll, Vo): the hash of the bytes behind those that `hash` is of. */
static inline uint64_t weir_hash(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *at = (const unsigned char *)bytes;
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ at[i]) * 0x100000001b3u;
	return hash;
}

/* The hash of a text, of which all bits count for the lower ones. */
static inline uint64_t weir_hash_text(uint64_t seed, const char *text)
{
	uint64_t hash = weir_hash(WEIR_HASH ^ seed, text, strlen(text));
	return hash ^ hash >> 29;
}

#ifdef __cplusplus
}
#endif
#endif
