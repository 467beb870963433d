/* SPDX-License-Identifier: MIT */
/*
 * What a parsed value is, for json.c, json_value.c and json_twins.c alone: a tape, all nodes in the order of the text,
 * and a copy of the text that they point into:
 *
 *     {"a": [1, 2]}   ->   object   "a"   array   1   2        the span of the object is 5, of the array 3
 *
 * so the next sibling is `span` nodes further on.  In the copy the closing quote of each string is replaced by a NUL;
 * since strings cannot hold a raw NUL, the text can still be written out again.  Strings with escapes are decoded into
 * an arena beside it.
 */
#ifndef PORT_JSON_TAPE_H
#define PORT_JSON_TAPE_H

#include "data/json.h"

struct json {
	const char *at; /* a string's content; else where it begins in the copy */
	uint32_t size;  /* of a container: its span; else its bytes */
	uint8_t type;
};

struct doc {
	char *text, *decoded;
	bool changed; /* twins were dropped from it */
	struct json nodes[];
};

/* json_twins.c: of members with the same name leaves the last, in the tape and in the text.  The object is the last of
 * the tape, and its span may shrink.  1 if so, 0, WEIR_ENOMEM. */
int json_drop_twins(struct json *object);

#endif
