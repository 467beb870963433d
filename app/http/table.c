/* SPDX-License-Identifier: MIT */
/*
 * Chained buckets and a list in the order of use.  The number of buckets is fixed: the owner bounds the number of
 * entries, so it knows it.  Names come from outside, but a chain can grow no longer than that bound.
 */
#include "http/table.h"

#include <stdlib.h>
#include <string.h>
#include <weir/base.h>

static uint32_t hash_name(const char *name)
{
	uint32_t hash = 2166136261u;
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return hash ^ hash >> 15;
}

int http_table_init(struct http_table *table, size_t buckets)
{
	*table = (struct http_table){.buckets = calloc(buckets, sizeof(void *)), .bucket_count = buckets};
	TAILQ_INIT(&table->ages);
	return table->buckets ? 0 : WEIR_ENOMEM;
}

void http_table_fini(struct http_table *table)
{
	free(table->buckets);
	table->buckets = NULL;
}

static struct http_entry **bucket_of(const struct http_table *table, uint32_t hash)
{
	return &table->buckets[hash & (table->bucket_count - 1)];
}

struct http_entry *http_table_find(struct http_table *table, const char *name)
{
	uint32_t hash = hash_name(name);
	for (struct http_entry *entry = *bucket_of(table, hash); entry; entry = entry->chain) {
		if (entry->hash != hash || strcmp(entry->name, name) != 0)
			continue;
		TAILQ_REMOVE(&table->ages, entry, age);
		TAILQ_INSERT_TAIL(&table->ages, entry, age);
		return entry;
	}
	return NULL;
}

int http_table_add(struct http_table *table, struct http_entry *entry, const char *name)
{
	entry->name = strdup(name);
	if (!entry->name)
		return WEIR_ENOMEM;
	entry->hash = hash_name(name);
	struct http_entry **bucket = bucket_of(table, entry->hash);
	entry->chain = *bucket;
	*bucket = entry;
	TAILQ_INSERT_TAIL(&table->ages, entry, age);
	table->n++;
	return 0;
}

void http_table_remove(struct http_table *table, struct http_entry *entry)
{
	struct http_entry **at = bucket_of(table, entry->hash);
	while (*at != entry)
		at = &(*at)->chain;
	*at = entry->chain;
	TAILQ_REMOVE(&table->ages, entry, age);
	table->n--;
	free(entry->name);
	entry->name = NULL;
}
