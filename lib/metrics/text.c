/* SPDX-License-Identifier: MIT */
/*
 * Writing the formats' atoms: strings with escapes, numbers.  Whether memory ran out is looked at once, at the end.
 *
 * Numbers look the same in every locale: printf's decimal point, whatever it is, becomes a dot.
 */
#include "metrics/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir__text_put(struct text *text, const char *bytes, size_t n)
{
	if (text->room - text->n <= n) {
		size_t room = 2 * (text->room + n) + 1;
		char *moved = text->failed ? NULL : realloc(text->bytes, room);
		if (!moved) {
			text->failed = true;
			return;
		}
		text->bytes = moved;
		text->room = room;
	}
	memcpy(text->bytes + text->n, bytes, n);
	text->n += n;
	text->bytes[text->n] = 0;
}

void weir__text_string(struct text *text, const char *string)
{
	weir__text_put(text, string, strlen(string));
}

/* Bytes of the UTF-8 sequence at s, 0 if there is none: no overlong form, no surrogate, nothing over U+10FFFF. */
static size_t utf8_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static const char *escape_of(char c, enum escape escape)
{
	switch (c) {
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '"':
		return escape == ESCAPE_LABEL ? "\\\"" : NULL;
	default:
		return NULL;
	}
}

void weir__text_escaped(struct text *text, const char *string, enum escape escape)
{
	while (*string) {
		size_t n = utf8_length((const unsigned char *)string);
		const char *instead = n ? escape_of(*string, escape) : "\xef\xbf\xbd";
		if (instead)
			weir__text_string(text, instead);
		else
			weir__text_put(text, string, n);
		string += n ? n : 1;
	}
}

void weir__text_uint(struct text *text, uint64_t value)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
	weir__text_put(text, digits, (size_t)n);
}

/* As few digits as read back to the same number. */
void weir__text_double(struct text *text, double value)
{
	char digits[64];
	if (isnan(value) || isinf(value)) {
		weir__text_string(text, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
		return;
	}
	snprintf(digits, sizeof digits, "%.15g", value);
	if (strtod(digits, NULL) != value)
		snprintf(digits, sizeof digits, "%.17g", value);
	for (const char *at = digits; *at;) {
		size_t plain = strspn(at, "0123456789+-e");
		weir__text_put(text, at, plain);
		at += plain;
		size_t point = strcspn(at, "0123456789+-e");
		if (point)
			weir__text_put(text, ".", 1);
		at += point;
	}
}

void weir__text_seconds(struct text *text, uint64_t nsec)
{
	char digits[40];
	int n = snprintf(digits, sizeof digits, "%llu.%09llu", (unsigned long long)(nsec / 1000000000),
			 (unsigned long long)(nsec % 1000000000));
	weir__text_put(text, digits, (size_t)n);
}
