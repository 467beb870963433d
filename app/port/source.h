/* SPDX-License-Identifier: MIT */
/* The port of sources: where items come from.  All calls on one fiber of the loop. */
#ifndef PORT_SOURCE_H
#define PORT_SOURCE_H

#include "port/item.h"

struct source; /* an adapter's own */

/* What next() found. */
enum source_verdict {
	SOURCE_END = 0,
	SOURCE_ITEM = 1,
	SOURCE_BAD = 2, /* not usable: item->why says why, item->source holds an excerpt (512 bytes at most) */
};

struct source_ops {
	/* Opens and checks.  config is borrowed for the life of the source. */
	int (*open)(const void *config, struct source **ret_source, struct weir_error *err);

	/* Fills source and position of a zeroed item (and why, if bad): a source_verdict, or a negative code when the
	 * source cannot be read, with err filled.  May suspend; WEIR_ECANCELED.  A SOURCE_ITEM is valid JSON in valid
	 * UTF-8 of at most 1 MiB. */
	int (*next)(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline);

	/* Items in all, as far as can be told: exact (*ret_exact), estimated from what was read, or -1. */
	int64_t (*total)(const struct source *source, bool *ret_exact);

	void (*close)(struct source *source);
};

#endif
