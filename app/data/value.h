/* SPDX-License-Identifier: MIT */
/*
 * Bytes that belong to somebody, and lists of them.  What they say as JSON is kept with them once somebody has asked,
 * so that whoever comes next need not parse them again.  It takes several times the room of the bytes: what has to wait
 * for long should forget it.
 */
#ifndef DATA_VALUE_H
#define DATA_VALUE_H

#include <stddef.h>

struct json;
struct weir_error;

/* Bytes on the heap, owned by who holds the struct; data ends with a NUL that is not counted. */
struct value {
	char *data;
	size_t len;
	struct json *json; /* owned, what data says; NULL: not parsed, see value_json() */
	char *meta;        /* owned, what a step says of where it comes from: members of a JSON object; NULL: nothing */
};

struct value_list {
	struct value *values;
	size_t n, room;
};

/* Takes value->data over, also on failure (WEIR_ENOMEM, then it is freed); *value is zeroed. */
int value_list_take(struct value_list *list, struct value *value);
void value_list_fini(struct value_list *list); /* frees the values, too; may be used again */
void value_fini(struct value *value);
int value_copy(struct value *ret_value, const void *bytes, size_t n); /* WEIR_ENOMEM */

/* Has the same meta as `from` afterwards.  WEIR_ENOMEM. */
int value_copy_meta(struct value *value, const struct value *from);

/* A copy that takes along what was parsed: `from` forgets it.  WEIR_ENOMEM. */
int value_hand_on(struct value *ret_value, const struct value *from);

/* What the bytes say, borrowed until they change or value_forget().  Only the first call parses; it fails as
 * json_parse().  To parse and to forget does not change a value, so it may be const. */
int value_json(const struct value *value, const struct json **ret_json, struct weir_error *err);
void value_forget(const struct value *value);

/* Keeps what its bytes say (taken over, also on failure).  Bytes that say more than that (json_changed()) are written
 * again.  WEIR_ENOMEM. */
int value_keep_json(struct value *value, struct json *json);

#endif
