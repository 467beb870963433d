/* SPDX-License-Identifier: MIT */
/*
 * Decimals are read as fixed-point numbers with nine digits after the point: what a user writes (12.5ms, 0.1%) is then
 * exact, and no locale has a say in it.
 */
#include "text.h"

#include <string.h>

enum { NANO_DIGITS = 9 };
static const uint64_t nano = 1000000000;
static const weir_nsec longest = 10 * 24 * 3600 * WEIR_SEC;

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool mock_text_number(const char *text, size_t n, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;
	if (!n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(text[i]))
			return false;
		uint64_t digit = (uint64_t)(text[i] - '0');
		if (digit > max || number > (max - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return true;
}

size_t mock_text_decimal(const char *text, size_t n, uint64_t *ret_nano)
{
	uint64_t whole = 0, part = 0;
	size_t i = 0, digits = 0;
	for (; i < n && is_digit(text[i]); i++) {
		whole = whole * 10 + (uint64_t)(text[i] - '0');
		if (whole > nano)
			return 0;
	}
	if (!i)
		return 0;
	if (i + 1 < n && text[i] == '.' && is_digit(text[i + 1])) {
		for (i++; i < n && is_digit(text[i]) && digits < NANO_DIGITS; i++, digits++)
			part = part * 10 + (uint64_t)(text[i] - '0');
		for (; digits < NANO_DIGITS; digits++)
			part *= 10;
	}
	*ret_nano = whole * nano + part;
	return i;
}

static weir_nsec unit_of(const char *text, size_t n)
{
	static const struct {
		const char *name;
		weir_nsec length;
	} units[] = {{"ns", 1},
		     {"us", WEIR_USEC},
		     {"ms", WEIR_MSEC},
		     {"s", WEIR_SEC},
		     {"m", 60 * WEIR_SEC},
		     {"h", 3600 * WEIR_SEC},
		     {"d", 24 * 3600 * WEIR_SEC}};
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (mock_text_is((struct mock_span){text, n}, units[i].name))
			return units[i].length;
	return 0;
}

bool mock_text_duration(const char *text, size_t n, weir_nsec bare, weir_nsec *ret_duration)
{
	uint64_t value = 0;
	size_t used = mock_text_decimal(text, n, &value);
	if (!used)
		return false;
	weir_nsec unit = used == n ? bare : unit_of(text + used, n - used);
	if (!unit && (used < n || value))
		return false;
	unsigned __int128 length = (unsigned __int128)value * (uint64_t)unit / nano;
	if (length > (unsigned __int128)longest)
		return false;
	*ret_duration = (weir_nsec)length;
	return true;
}

bool mock_text_percent(const char *text, size_t n, double *ret_part)
{
	uint64_t value = 0;
	size_t used = mock_text_decimal(text, n, &value);
	if (!used || used + 1 != n || text[used] != '%' || value > 100 * nano)
		return false;
	*ret_part = (double)value / (100.0 * (double)nano);
	return true;
}

static int hex_digit(char c)
{
	if (is_digit(c))
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
			if (n - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0)
				return -1;
			c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
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
