/* SPDX-License-Identifier: MIT */
/* Reading the small values that options and paths are made of.  Texts are (pointer, length), without a NUL. */
#ifndef MOCK_TEXT_H
#define MOCK_TEXT_H

#include <weir/base.h>

/* A stretch of a text that belongs to somebody else. */
struct mock_span {
	const char *at;
	size_t n;
};

/* A whole number of at most `max`, digits only.  False when it is none. */
bool mock_text_number(const char *text, size_t n, uint64_t max, uint64_t *ret_number);

/* A decimal number such as "12" or "0.5" at the beginning of the text, times 10^9; up to 10^9 and nine digits after
 * the point.  Returns how many bytes it takes, 0 if there is none. */
size_t mock_text_decimal(const char *text, size_t n, uint64_t *ret_nano);

/* "200ms", "1.5s", "0": a duration of at most 10 days (units ns us ms s m h d).  A number without a unit counts
 * `bare` ns each; with bare 0 only "0" may do without. */
bool mock_text_duration(const char *text, size_t n, weir_nsec bare, weir_nsec *ret_duration);

/* "5%", "0.5%": as a part of 1. */
bool mock_text_percent(const char *text, size_t n, double *ret_part);

/* Decodes %XX; writes at most `room` bytes and returns how many, or -1 when the text is no good or too long. */
int mock_text_unescape(const char *text, size_t n, char *ret_text, size_t room);

/* The piece of *rest up to the first `end`, which is taken off with it; all of it where there is none. */
struct mock_span mock_text_cut(struct mock_span *rest, char end);

bool mock_text_is(struct mock_span text, const char *word);

#endif
