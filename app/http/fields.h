/* SPDX-License-Identifier: MIT */
/*
 * Values of header fields: numbers, times, and lists of members with parameters.  Pure.
 *
 * The reader of structured fields (RFC 9651) is a lenient one: a list of members, WORD=VALUE;NAME=VALUE, where each
 * part may be missing.  It takes each byte once and copies nothing, so there is nothing for a hostile server to make
 * large.
 */
#ifndef HTTP_FIELDS_H
#define HTTP_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of a line, borrowed. */
struct span {
	const char *at;
	size_t n;
};

bool span_is(struct span span, const char *text); /* whatever the case */
struct span span_trim(const char *from, const char *end);

/* Numbers and times are in thousandths; what is too large is FIELD_LARGEST of them or a little more. */
#define FIELD_LARGEST ((int64_t)1000 * 1000 * 1000 * 1000 * 1000 * 1000)

/* A time longer than this is no time from now, but a point in time. */
#define FIELD_POINT ((int64_t)1000 * 1000 * 1000 * 1000)

/* A number without a sign ("2", "2.0", "0.35").  -1: it is none. */
int64_t field_number(struct span text);

/* A time from now, or a point in time, in thousandths of a second: a number of seconds; a duration (6m0s, 20ms),
 * rounded up; a date of HTTP or RFC 3339; a Unix time in s, ms, µs or ns, as its size tells.  -1: it is none. */
int64_t field_time(struct span text);

/* A date of HTTP as Unix time, or -1. */
int64_t field_date(const char *text);

/* One of a list. */
struct field_member {
	struct span word, value;
	int64_t q, w, r, t; /* parameters, as numbers; -1: none */
	bool other_unit;    /* what its limit counts (qu) is not requests */
};

struct field_cursor {
	const char *at, *end;
};

static inline struct field_cursor field_begin(struct span value)
{
	return (struct field_cursor){value.at, value.at + value.n};
}

/* The next one; false: that was the last. */
bool field_next(struct field_cursor *cursor, struct field_member *ret_member);

#endif
