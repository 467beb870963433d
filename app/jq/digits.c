/* SPDX-License-Identifier: MIT */
/*
 * On its way into jq a number that would lose digits becomes a string: the mark, a private character that the text does
 * not have, and the digits.
 *
 *     {"id": 9007199254740993}   ->   {"id": "M9007199254740993"}   -> jq ->   {"n": 9007199254740993}
 *
 * The program is compiled a second time for such texts, under definitions that make the strings numbers to it: their
 * type is number, they have no sum, and as a text they are their digits.  A usual text costs a look at some of its
 * bytes.
 */
#include "jq/digits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RUN = 16, MARKS = 254, DOUBLE_DIGITS = 17 };

/* Behind `_weir_` are jq's own.  "M" stands for the mark.  Operators are calls of _plus and so on, which a program may
 * define; text in strings is made by format("text"). */
static const char definitions[] =
	"def _weir_type: type; def _weir_json: tojson; def _weir_tonumber: tonumber; def _weir_length: length;"
	"def _weir_tostring: tostring; def _weir_format($f): format($f); def _weir_negate: -(.);"
	"def _weir_plus($a; $b): $a + $b; def _weir_minus($a; $b): $a - $b; def _weir_multiply($a; $b): $a * $b;"
	"def _weir_divide($a; $b): $a / $b; def _weir_mod($a; $b): $a % $b;"
	"def _weir_is: _weir_type == \"string\" and startswith(\"M\");"
	"def _weir_digits: .[1:];"
	"def _weir_refuse: error(_weir_digits + \" has more digits than jq computes with; tonumber rounds it\");"
	"def _weir_rounded: if _weir_is then _weir_digits | _weir_tonumber else . end;"
	"def _weir_unmark: split(\"\\\"M\") | reduce .[1:][] as $p (.[0];"
	"  . + ($p | index(\"\\\"\") as $i | .[:$i] + .[$i + 1:])) | split(\"M\") | join(\"\");"
	"def _weir_both($a; $b; f): if $a | _weir_is then $a | _weir_refuse"
	"  elif $b | _weir_is then $b | _weir_refuse else f end;"
	"def _weir_same($a; $b): if ($a | _weir_is) and ($b | _weir_is) then $a == $b"
	"  else ($a | _weir_rounded) == ($b | _weir_rounded) end;"
	"def _weir_less($a; $b): ($a | _weir_rounded) < ($b | _weir_rounded);"
	"def type: if _weir_is then \"number\" else _weir_type end;"
	"def numbers: select(type == \"number\"); def strings: select(type == \"string\");"
	"def tonumber: if _weir_is then _weir_rounded"
	"  elif _weir_type == \"string\" and test(\"^-?[1-9][0-9]{15,}$\") and (_weir_tonumber | _weir_tostring) != ."
	"  then \"M\" + . else _weir_tonumber end;"
	"def length: if _weir_is then _weir_refuse else _weir_length end;"
	"def tojson: if _weir_is then _weir_digits elif _weir_type == \"string\" then _weir_json"
	"  else _weir_json | _weir_unmark end;"
	"def tostring: if _weir_type == \"string\" and (_weir_is | not) then . else tojson end;"
	"def format($f): if $f == \"text\" then tostring elif $f == \"json\" then tojson"
	"  elif $f == \"csv\" or $f == \"tsv\" or $f == \"sh\" then _weir_format($f) | _weir_unmark"
	"  else tostring | _weir_format($f) end;"
	"def join($x): reduce .[] as $i (null; _weir_plus(if . == null then \"\" else _weir_plus(.; $x) end;"
	"  $i | if type == \"boolean\" or type == \"number\" then tojson else . // \"\" end)) // \"\";"
	"def _negate: if _weir_is then _weir_refuse else _weir_negate end;"
	"def _plus(a; b): b as $b | a as $a | if $a == null then $b elif $b == null then $a"
	"  else _weir_both($a; $b; _weir_plus($a; $b)) end;"
	"def _minus(a; b): b as $b | a as $a | _weir_both($a; $b; _weir_minus($a; $b));"
	"def _multiply(a; b): b as $b | a as $a | _weir_both($a; $b; _weir_multiply($a; $b));"
	"def _divide(a; b): b as $b | a as $a | _weir_both($a; $b; _weir_divide($a; $b));"
	"def _mod(a; b): b as $b | a as $a | _weir_both($a; $b; _weir_mod($a; $b));"
	"def _equal(a; b): b as $b | a as $a | _weir_same($a; $b);"
	"def _notequal(a; b): b as $b | a as $a | _weir_same($a; $b) | not;"
	"def _less(a; b): b as $b | a as $a | _weir_less($a; $b);"
	"def _greater(a; b): b as $b | a as $a | _weir_less($b; $a);"
	"def _lesseq(a; b): b as $b | a as $a | _weir_less($b; $a) | not;"
	"def _greatereq(a; b): b as $b | a as $a | _weir_less($a; $b) | not;"
	"def add: reduce .[] as $x (null; . + $x); ";

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_part(char c)
{
	return is_digit(c) || c == '.' || c == '+' || c == '-' || c == 'e' || c == 'E';
}

bool digits_are_many(const char *text, size_t n)
{
	for (size_t i = RUN - 1; i < n; i += RUN) {
		if (!is_part(text[i]))
			continue;
		size_t from = i, to = i;
		while (from && is_part(text[from - 1]))
			from--;
		while (to < n && is_part(text[to]))
			to++;
		if (to - from >= RUN)
			return true;
	}
	return false;
}

/* U+10FF00 and what follows it, where nobody has a meaning for characters. */
static void encode_mark(unsigned mark, char to[DIGITS_MARK_BYTES + 1])
{
	to[0] = (char)0xF4;
	to[1] = (char)0x8F;
	to[2] = (char)(0xBC | mark >> 6);
	to[3] = (char)(0x80 | (mark & 0x3F));
	to[4] = 0;
}

/* As such, or as an escape. */
static bool has_mark(const char *text, size_t n, unsigned mark)
{
	char raw[DIGITS_MARK_BYTES + 1], escape[16];
	encode_mark(mark, raw);
	int len = snprintf(escape, sizeof escape, "\\udbff\\udf%02x", mark);
	if (memmem(text, n, raw, DIGITS_MARK_BYTES))
		return true;
	for (const char *at = text; (at = memmem(at, n - (size_t)(at - text), "\\u", 2)); at += 2)
		if ((size_t)(text + n - at) >= (size_t)len && !strncasecmp(at, escape, (size_t)len))
			return true;
	return false;
}

/* The digits that count, without a point, zeros before and after them, and the exponent: how many; some go to `to`. */
static size_t significant(const char *number, size_t n, char to[DOUBLE_DIGITS])
{
	size_t digits = 0, zeros = 0;
	for (size_t i = 0; i < n && (number[i] | 0x20) != 'e'; i++) {
		if (!is_digit(number[i]) || (number[i] == '0' && !digits))
			continue;
		zeros = number[i] == '0' ? zeros + 1 : 0;
		if (digits < DOUBLE_DIGITS)
			to[digits] = number[i];
		digits++;
	}
	return digits - zeros;
}

/* Whether jq would make another number of this one, behind which the text goes on.  A decimal may be that of a double,
 * as programs write it. */
static bool loses_digits(const char *number, size_t n)
{
	static const char greatest[] = "9007199254740992";
	char own[DOUBLE_DIGITS], back[DOUBLE_DIGITS], printed[40];
	size_t sign = *number == '-', whole = strspn(number + sign, "0123456789");
	if (whole + sign >= n)
		return whole > RUN || (whole == RUN && memcmp(number + sign, greatest, RUN) > 0);
	size_t digits = significant(number, n, own);
	if (digits > DOUBLE_DIGITS)
		return true;
	int len = snprintf(printed, sizeof printed, "%.*e", digits ? (int)digits - 1 : 0, strtod(number, NULL));
	return significant(printed, (size_t)len, back) != digits || memcmp(own, back, digits) != 0;
}

/* Behind the string that begins at i. */
static size_t skip_string(const char *text, size_t n, size_t i)
{
	for (i++; i < n && text[i] != '"'; i++)
		i += text[i] == '\\';
	return i < n ? i + 1 : n;
}

size_t digits_mark(const char *text, size_t n, unsigned *mark, char *to, size_t *ret_marked)
{
	char raw[DIGITS_MARK_BYTES + 1], *out = to;
	unsigned tries = 0;
	for (; has_mark(text, n, *mark); *mark = (*mark + 1) % MARKS)
		if (++tries == MARKS)
			return 0;
	encode_mark(*mark, raw);
	*ret_marked = 0;
	for (size_t i = 0, end; i < n; i = end) {
		end = i + 1;
		if (text[i] == '"')
			end = skip_string(text, n, i);
		else if (is_digit(text[i]) || text[i] == '-')
			while (end < n && is_part(text[end]))
				end++;
		bool lost = text[i] != '"' && end - i >= RUN && loses_digits(text + i, end - i);
		*ret_marked += lost;
		if (lost)
			out = mempcpy(mempcpy(out, "\"", 1), raw, DIGITS_MARK_BYTES);
		out = mempcpy(out, text + i, end - i);
		if (lost)
			*out++ = '"';
	}
	return (size_t)(out - to);
}

/* The length of a number that is all of a string from `at` on, and no name of a member; 0: it is none. */
static size_t number_length(const char *at, const char *end)
{
	size_t n = 0;
	while (at + n < end && is_part(at[n]))
		n++;
	return at + n < end && at[n] == '"' && (at + n + 1 == end || at[n + 1] != ':') ? n : 0;
}

size_t digits_restore(char *text, size_t n, unsigned mark)
{
	char raw[DIGITS_MARK_BYTES + 1], *to = text;
	const char *from = text, *end = text + n;
	encode_mark(mark, raw);
	for (const char *at; (at = memmem(from, (size_t)(end - from), raw, DIGITS_MARK_BYTES));) {
		const char *number = at + DIGITS_MARK_BYTES;
		size_t digits = at > from && at[-1] == '"' ? number_length(number, end) : 0;
		size_t before = (size_t)(at - from) - (digits > 0);
		memmove(to, from, before);
		memmove(to + before, number, digits);
		to += before + digits;
		from = number + (digits ? digits + 1 : 0);
	}
	memmove(to, from, (size_t)(end - from));
	return (size_t)(to - text) + (size_t)(end - from);
}

char *digits_definitions(unsigned mark)
{
	char raw[DIGITS_MARK_BYTES + 1], *text = malloc(sizeof definitions * DIGITS_MARK_BYTES), *to = text;
	encode_mark(mark, raw);
	for (const char *from = definitions; text && *from; from++)
		to = *from == 'M' ? mempcpy(to, raw, DIGITS_MARK_BYTES) : mempcpy(to, from, 1);
	if (text)
		*to = 0;
	return text;
}
