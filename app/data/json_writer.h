/* SPDX-License-Identifier: MIT */
/*
 * Writes JSON, value by value, to the end of a buffer:
 *
 *     json_open(&out, NULL, '{');
 *     json_put_text(&out, "state", "running");
 *     json_open(&out, "late", '[');
 *     json_put_uint(&out, NULL, 7);
 *     json_close(&out, ']');
 *     json_close(&out, '}');                       {"state":"running","late":[7]}
 *
 * Each value has a name in an object, and none (NULL) in an array or by itself.  There is no state but the text: a
 * comma is written where the buffer does not end with an opening bracket, a line end or a blank, or is empty.  So what
 * was written elsewhere, members without their braces too, is put in its place with json_put_raw().
 */
#ifndef DATA_JSON_WRITER_H
#define DATA_JSON_WRITER_H

#include "data/buf.h"

#include <stdint.h>

struct json;

void json_open(struct buf *out, const char *name, char bracket);
void json_close(struct buf *out, char bracket);

void json_put_bool(struct buf *out, const char *name, bool value);
void json_put_int(struct buf *out, const char *name, int64_t value);
void json_put_uint(struct buf *out, const char *name, uint64_t value);
void json_put_real(struct buf *out, const char *name, double value, int decimals);  /* null unless finite */
void json_put_text(struct buf *out, const char *name, const char *text);            /* NULL: null */
void json_put_bytes(struct buf *out, const char *name, const char *text, size_t n); /* likewise */
void json_put_time(struct buf *out, const char *name, int64_t unix_seconds);        /* "2026-05-01T12:00:00Z" */
void json_put_value(struct buf *out, const char *name, const struct json *json);
void json_put_raw(struct buf *out, const char *name, const char *text, size_t n); /* JSON already; nothing if empty */

/* Appends JSON text over several lines, for people. */
void json_indent(struct buf *out, const char *text, size_t n);

#endif
