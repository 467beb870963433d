/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <string.h>

#include "data/units.h"

/* So that none of them, added to a clock, is too much for it. */
static const weir_nsec longest = 10 * 24 * 3600 * WEIR_SEC;

bool mock_text_durations(struct mock_span text, weir_nsec ret_pair[2])
{
	return units_durations(text.at, text.n, ret_pair) && ret_pair[1] <= longest;
}

/* The value of a hexadecimal digit; -1: it is none. */
static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int mock_text_unescape(const char *text, size_t n, char *ret_text, size_t room)
{
	size_t length = 0;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (c == '%') {
			if (n - i < 3 || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
				return -1;
			c = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
			i += 2;
		}
		if (length == room)
			return -1;
		ret_text[length++] = c;
	}
	return (int)length;
}

struct mock_span mock_text_cut(struct mock_span *rest, char end)
{
	struct mock_span piece = *rest;
	const char *found = rest->n ? memchr(rest->at, end, rest->n) : NULL;
	if (found)
		piece.n = (size_t)(found - rest->at);
	size_t used = piece.n + (found ? 1 : 0);
	rest->at += used;
	rest->n -= used;
	return piece;
}

bool mock_text_is(struct mock_span text, const char *word)
{
	return strlen(word) == text.n && !memcmp(word, text.at, text.n);
}
