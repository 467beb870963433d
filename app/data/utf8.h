/* SPDX-License-Identifier: MIT */
/* One step of walking UTF-8 that may be broken.  Text without NUL at its end is fine: nothing beyond `left` is read. */
#ifndef PORT_UTF8_H
#define PORT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool utf8_is_tail(unsigned char c)
{
	return (c & 0xC0) == 0x80;
}

/* The length (1 to 4) of the well-formed character at text, or 0: overlong forms, surrogates and code points beyond
 * U+10FFFF are none.  left is at least 1. */
static inline size_t utf8_length(const char *text, size_t left)
{
	const unsigned char *p = (const unsigned char *)text;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4 || left < 2 || !utf8_is_tail(p[1]))
		return 0;
	if (p[0] < 0xE0)
		return 2;
	if (left < 3 || !utf8_is_tail(p[2]))
		return 0;
	if (p[0] < 0xF0)
		return (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ? 0 : 3;
	if (left < 4 || !utf8_is_tail(p[3]) || (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
		return 0;
	return 4;
}

/* The length of no more than `most` bytes of a text, without half a character at the end. */
static inline size_t utf8_cut(const char *text, size_t n, size_t most)
{
	if (n <= most)
		return n;
	for (n = most; n && utf8_is_tail((unsigned char)text[n]) && most - n < 4; n--)
		;
	return n;
}

/* Eight bytes at once, for fast paths over plain ASCII. */
static inline uint64_t utf8_word(const char *text)
{
	uint64_t word;
	memcpy(&word, text, sizeof word);
	return word;
}

#define UTF8_ONES  UINT64_C(0x0101010101010101)
#define UTF8_HIGHS UINT64_C(0x8080808080808080)

/* Whether each of the eight bytes may stand in a JSON string as it is: ASCII, no control byte, no quote, no backslash.
 * May say no too often, never yes. */
static inline bool utf8_word_is_plain(uint64_t word)
{
	uint64_t quote = word ^ (UTF8_ONES * '"'), slash = word ^ (UTF8_ONES * '\\');
	uint64_t found = word | (word - UTF8_ONES * 0x20) | (quote - UTF8_ONES) | (slash - UTF8_ONES);
	return !(found & UTF8_HIGHS);
}

#endif
