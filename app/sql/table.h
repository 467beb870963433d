/* SPDX-License-Identifier: MIT */
/* Which columns of which table a sink fills: what the sinks of SQL databases have in common. */
#ifndef SINK_TABLE_H
#define SINK_TABLE_H

#include "port/key.h"

#define SINK_COLUMNS_MAX ((size_t)500)
#define SINK_ITEM_COLUMN "item" /* holds the whole output where no columns are named */

struct sink_table_config {
	char *table, *key; /* key may be NULL */
	struct key_strings columns;
};

/* The columns in order: the key first unless it is among those named; the whole output last if none is named. */
struct sink_table {
	const char **columns; /* borrowed from the config, but for the array */
	size_t n;
	size_t key;   /* its place; n: there is no key */
	size_t whole; /* place of the column for the whole output; n: there is none */
};

/* Names are letters, digits and '_', so that they can be quoted without escaping.  WEIR_EINVAL with err->text and the
 * key to blame. */
int sink_table_check(const struct sink_table_config *config, const char **ret_key, struct weir_error *err);

/* WEIR_ENOMEM. */
int sink_table_init(struct sink_table *table, const struct sink_table_config *config);
void sink_table_fini(struct sink_table *table);

#endif
