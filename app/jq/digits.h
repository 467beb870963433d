/* SPDX-License-Identifier: MIT */
/*
 * Numbers that jq 1.6 would round, carried past it.  It holds numbers as doubles, and so changes whole numbers beyond
 * 2^53 and decimals of more than 17 digits, even if it only copies them.
 */
#ifndef JQ_DIGITS_H
#define JQ_DIGITS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether there may be such numbers: a run of 16 digits, perhaps in a string.  Looks at one byte of 16. */
bool digits_are_many(const char *text, size_t n);

enum { DIGITS_MARK_BYTES = 4, DIGITS_GROWTH = 2 }; /* marked text takes at most so many times the room */

/* Copies JSON texts, with each such number made a string that begins with a mark.  *mark is the mark to use, and is
 * changed if the text has it already.  Returns the length, 0 if the text has all marks there are. */
size_t digits_mark(const char *text, size_t n, unsigned *mark, char *to, size_t *ret_marked);

/* Makes the strings numbers again and drops the mark wherever else it is, in place: the new length. */
size_t digits_restore(char *text, size_t n, unsigned mark);

/* The functions of jq under which marked strings are numbers; malloc'ed, NULL if out of memory. */
char *digits_definitions(unsigned mark);

#endif
