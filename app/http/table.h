/* SPDX-License-Identifier: MIT */
/*
 * A table from names to records that knows which was used longest ago, so that its owner can keep it bounded.
 * The entry is embedded in the owner's record; the table owns neither.
 */
#ifndef HTTP_TABLE_H
#define HTTP_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct http_entry {
	TAILQ_ENTRY(http_entry) age;
	struct http_entry *chain;
	uint32_t hash;
	char *name; /* owned by the entry while it is in the table */
};

struct http_table {
	struct http_entry **buckets;
	size_t bucket_count; /* a power of two */
	size_t n;
	TAILQ_HEAD(http_ages, http_entry) ages; /* oldest use first */
};

/* WEIR_ENOMEM. */
int http_table_init(struct http_table *table, size_t buckets);
void http_table_fini(struct http_table *table); /* contract: empty */

/* The entry of that name, which thereby becomes the youngest; or NULL. */
struct http_entry *http_table_find(struct http_table *table, const char *name);

/* Adds an entry whose name is not in the table; the name is copied.  WEIR_ENOMEM. */
int http_table_add(struct http_table *table, struct http_entry *entry, const char *name);
void http_table_remove(struct http_table *table, struct http_entry *entry);

#endif
