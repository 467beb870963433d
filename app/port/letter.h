/* SPDX-License-Identifier: MIT */
/*
 * What a dead letter looks like, wherever it is kept or shown: one JSON object.
 *
 *     {"id": 3073, "reason": "status: 422", "attempts": 1, "position": 7, "at": "2026-05-01T12:00:00Z",
 *      "group": "3fa2b1c0", "history": [{"id": 12, "reason": "status: 503", "attempts": 5, "at": "…"}],
 *      "evidence": {"step": 1, "kind": "http", "method": "POST", "url": "http://…", "status": 422,
 *                   "headers": {"x-request-id": "…"}, "error": "no such customer", "answer": "…", "sent": "…"},
 *      "item": {"order_id": 7}}
 *
 * `position` is the item's place in its source, `at` the time of its death (UTC), `group` its cause (cause.h),
 * `history` its earlier deaths if it was replayed, each with the id that it had then, and `"mended": true` if it got
 * another item after it, `evidence` what is known of the failure (evidence.h), `item` what
 * the source had.  A letter that goes to a sink has no `id` and no `history`.
 */
#ifndef PORT_LETTER_H
#define PORT_LETTER_H

#include "data/buf.h"
#include "port/item.h"

struct letter {
	uint64_t id; /* 0: none */
	const char *reason;
	unsigned attempts;
	uint64_t position;
	int64_t at_unix;       /* seconds */
	uint32_t cause;        /* as cause_of() has it */
	const char *history;   /* JSON array; NULL: none */
	struct value evidence; /* JSON object, borrowed; data is NULL: none */
	struct value item;     /* borrowed */
};

/* That of an item, if it dies now. */
struct letter letter_of(const struct item *item, int64_t at_unix);

/* The number (item_number()) that an item with that history and that id has: its id at its first death since it is what
 * it is.  A history of an earlier release has no ids.  WEIR_EDATA when it cannot be read; WEIR_ENOMEM. */
int letter_number(const char *history, uint64_t id, uint64_t *ret_number);

/* Whether the item that was given for the letter's own is another one.  The excerpt of a bad line is no JSON.
 * WEIR_ENOMEM. */
int letter_is_mended(const struct letter *letter, const struct value *instead, bool *ret_mended);

/* Appends the history of the letter's item when it is replayed: with this death; mended: as another item. */
void letter_add_death(const struct letter *letter, bool mended, struct buf *history);

/* Appends it, without a line end; see buf->failed. */
void letter_write(const struct letter *letter, struct buf *out);

#endif
