/* SPDX-License-Identifier: MIT */
/*
 * JSON, as far as weir reads it: is this text a value, and what lies at a path in it.  json.c alone knows the library.
 * Numbers that are looked up as text keep the digits they were written with.
 */
#ifndef PORT_JSON_H
#define PORT_JSON_H

#include <stdbool.h>
#include <weir/base.h>

struct json; /* a parsed value */

/* Parses exactly one value of any type (objects, arrays, strings, numbers, true, false, null).  Returns WEIR_EDATA with
 * err->text, line and column when it is none, is no valid UTF-8, has a duplicate key, or nests deeper than 512;
 * WEIR_ENOMEM. */
int json_parse(const char *text, size_t n, struct json **ret_json, struct weir_error *err);
void json_free(struct json *json);

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER_INT, JSON_NUMBER_REAL, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

enum json_type json_type(const struct json *json);

/* The value at a path such as ".a.b[0].c" ("." is the value itself): borrowed from json, NULL if there is none. */
const struct json *json_at(const struct json *json, const char *path);
const struct json *json_member(const struct json *json, const char *name); /* of an object; NULL if it is none */

int64_t json_int(const struct json *json);
double json_real(const struct json *json); /* of an int or a real */
bool json_bool(const struct json *json);
const char *json_text(const struct json *json, size_t *ret_len); /* of JSON_TEXT: borrowed; may hold NUL bytes */

/* The value as compact JSON text, malloc'ed; NULL if out of memory. */
char *json_dump(const struct json *json, size_t *ret_len);

/* Whether the n bytes are valid UTF-8. */
bool json_utf8_valid(const char *text, size_t n);

#endif
