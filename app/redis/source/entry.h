/* SPDX-License-Identifier: MIT */
/* An entry of a stream as an item.  Pure. */
#ifndef REDIS_SOURCE_ENTRY_H
#define REDIS_SOURCE_ENTRY_H

#include "port/item.h"
#include "port/key.h"

#include <hiredis.h>

#define REDIS_ENTRY_BYTES_MAX ((size_t)1 << 20)

struct redis_entry_config {
	char *field;             /* the item is the JSON in it; NULL: an object of all fields */
	struct key_strings json; /* of these fields the JSON, of others the text */
	char *id;                /* the item gets the entry's id as a field of this name; NULL: it does not */
};

/* fields: names and values; an integer, which is how many bytes they have; or NULL, the entry is not there any more.
 * Fills source and why of an item: SOURCE_ITEM, SOURCE_BAD or WEIR_ENOMEM. */
int redis_entry_read(const struct redis_entry_config *config, const char *id, const redisReply *fields,
		     struct item *item);

#endif
