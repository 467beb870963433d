/* SPDX-License-Identifier: MIT */
/*
 * JSON, as far as weir reads it: is this text a value, and what lies at a path in it.
 * Numbers keep the digits they were written with, however many.  Nothing here recurses: it all runs on small stacks.
 */
#ifndef PORT_JSON_H
#define PORT_JSON_H

#include <stdbool.h>
#include <weir/base.h>

struct buf;
struct json; /* a parsed value; those inside it are of the same type and live as long as the outermost */

/* Parses exactly one value of any type (objects, arrays, strings, numbers, true, false, null).  Returns WEIR_EDATA with
 * err->text, line and column when it is none, is no valid UTF-8, has a lone surrogate, or nests deeper than 512;
 * WEIR_ENOMEM.  Of members with the same name the last one counts, the others are not in the value.  The text is
 * borrowed for the call.  Takes at most 20 times the text's size. */
int json_parse(const char *text, size_t n, struct json **ret_json, struct weir_error *err);
void json_free(struct json *json);          /* the outermost value, or NULL */
bool json_changed(const struct json *json); /* of the outermost: its text has members that it has not */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER_INT, JSON_NUMBER_REAL, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

/* JSON_NUMBER_INT is written without fraction and exponent; it may be larger than an int64_t. */
enum json_type json_type(const struct json *json);

/* The value at a path such as ".a.b[0].c" ("." is the value itself; `.["a b"]` for names with other characters than
 * letters, digits, '_', '-', '$', '@', ':' and those beyond ASCII): borrowed from json, NULL if there is none. */
const struct json *json_at(const struct json *json, const char *path);
const struct json *json_member(const struct json *json, const char *name); /* of an object; NULL if it is none */

/* Of an object's member: its text, "" if it has none; its whole number, 0 if it has none; its number of
 * any kind, NAN if it has none. */
const char *json_member_text(const struct json *json, const char *name);
int64_t json_member_int(const struct json *json, const char *name);
double json_member_real(const struct json *json, const char *name);

/* The length of the path at the beginning of text, 0 if there is none.  A path is valid if that is all of it. */
size_t json_path_length(const char *text);

/* Walks an object or an array: start with *pos = 0; NULL after the last.  ret_name, if not NULL, is set to the name of
 * an object's member (JSON_TEXT), to NULL in an array. */
const struct json *json_next(const struct json *json, size_t *pos, const struct json **ret_name);

int64_t json_int(const struct json *json);   /* of a JSON_NUMBER_INT; one that does not fit becomes the nearest */
double json_real(const struct json *json);   /* of an int or a real, the nearest; may be infinite */
bool json_fits_int(const struct json *json); /* is a JSON_NUMBER_INT and fits into an int64_t */

/* Is a number, and a double that is printed with as many digits has the same ones.  The second is for the text of a
 * number, which must not be followed by more of one. */
bool json_fits_real(const struct json *json);
bool json_number_fits_real(const char *text, size_t n);

bool json_bool(const struct json *json);
const char *json_text(const struct json *json, size_t *ret_len); /* of JSON_TEXT: borrowed; NUL-terminated, may hold
								    NUL bytes */

/* The value as compact JSON text: members in their order, numbers as written.  Appended, 0 or WEIR_ENOMEM; or
 * malloc'ed, NULL if out of memory. */
int json_write(const struct json *json, struct buf *out);
char *json_dump(const struct json *json, size_t *ret_len);

/* Writes json without what is at a path of names, and where that belongs, *ret_at; missing objects are made.  json may
 * be NULL, for nothing.  WEIR_EDATA (nothing is written) if the path has an index, is ".", or leads through what is no
 * object; WEIR_ENOMEM.
 *
 *     {"id": 1, "a": {"b": 2, "c": 3}}  at .a.b:  {"id":1,"a":{"c":3,"b":}}
 *                                                                      ^ */
int json_write_around(const struct json *json, const char *path, struct buf *out, size_t *ret_at);

/* Whether the n bytes are valid UTF-8. */
bool json_utf8_valid(const char *text, size_t n);

#endif
