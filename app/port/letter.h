/* SPDX-License-Identifier: MIT */
/*
 * What a dead letter looks like, wherever it is kept or shown: one JSON object.
 *
 *     {"id": 3073, "reason": "status: 404", "attempts": 1, "position": 7, "at": "2026-05-01T12:00:00Z",
 *      "history": [{"reason": "status: 503", "attempts": 5, "at": "…"}], "item": {"order_id": 7}}
 *
 * `position` is the item's place in its source, `at` the time of its death (UTC), `history` its earlier deaths if it
 * was replayed, `item` what the source had.  A letter that goes to a sink has no `id` and no `history`.
 */
#ifndef PORT_LETTER_H
#define PORT_LETTER_H

#include "port/buf.h"
#include "port/item.h"

struct letter {
	uint64_t id; /* 0: none */
	const char *reason;
	unsigned attempts;
	uint64_t position;
	int64_t at_unix;     /* seconds */
	const char *history; /* JSON array; NULL: none */
	struct value item;   /* borrowed */
};

/* Appends it, without a line end; see buf->failed. */
void letter_write(const struct letter *letter, struct buf *out);

#endif
