/* SPDX-License-Identifier: MIT */
#include "data/json_writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "data/json.h"

enum { SHORT_TEXT = 64 };

static const char blanks[] = " \t\r\n";

static bool wants_comma(const struct buf *out)
{
	char last = out->len ? out->data[out->len - 1] : '{';
	return last != '{' && last != '[' && last != ' ' && last != '\n';
}

static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Where a value of at most `most` bytes goes, behind a comma and its name; NULL: no memory.  All of it is written here
 * and not by calls of buf.h: each answer of the mock has thirty of them. */
static char *begin(struct buf *out, const char *name, size_t most)
{
	char *start = buf_reserve(out, (name ? strlen(name) : 0) + most + sizeof ",\"\":"), *to = start;
	if (!start)
		return NULL;
	if (wants_comma(out))
		*to++ = ',';
	if (name) {
		*to++ = '"';
		while (is_plain(*name))
			*to++ = *name++;
		if (*name) { /* the rest of it has bytes that must be escaped */
			out->len += (size_t)(to - start);
			buf_add_json_text(out, name, strlen(name));
			to = start = buf_reserve(out, most + sizeof "\":");
			if (!start)
				return NULL;
		}
		*to++ = '"';
		*to++ = ':';
	}
	*to = 0;
	out->len += (size_t)(to - start);
	return to;
}

static void end(struct buf *out, char *to)
{
	*to = 0;
	out->len = (size_t)(to - out->data);
}

void json_open(struct buf *out, const char *name, char bracket)
{
	char *to = begin(out, name, 1);
	if (to) {
		*to = bracket;
		end(out, to + 1);
	}
}

void json_close(struct buf *out, char bracket)
{
	buf_add_char(out, bracket);
}

void json_put_bool(struct buf *out, const char *name, bool value)
{
	json_put_raw(out, name, value ? "true" : "false", value ? 4 : 5);
}

void json_put_int(struct buf *out, const char *name, int64_t value)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%" PRId64, value);
	json_put_raw(out, name, digits, (size_t)n);
}

void json_put_uint(struct buf *out, const char *name, uint64_t value)
{
	char digits[20], *to = begin(out, name, sizeof digits);
	size_t at = sizeof digits;
	if (!to)
		return;
	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	memcpy(to, digits + at, sizeof digits - at);
	end(out, to + (sizeof digits - at));
}

void json_put_real(struct buf *out, const char *name, double value, int decimals)
{
	if (begin(out, name, 0) && isfinite(value))
		buf_addf(out, "%.*f", decimals, value);
	else
		buf_add_str(out, "null");
}

void json_put_text(struct buf *out, const char *name, const char *text)
{
	json_put_bytes(out, name, text, text ? strlen(text) : 0);
}

void json_put_bytes(struct buf *out, const char *name, const char *text, size_t n)
{
	size_t plain = 0, most = n < SHORT_TEXT ? n : 0;
	char *to = begin(out, name, most + 2);
	while (to && text && plain < most && is_plain(text[plain]))
		plain++;
	if (to && text && n && plain == n) {
		*to = '"';
		memcpy(to + 1, text, n);
		to[n + 1] = '"';
		end(out, to + n + 2);
	} else if (text) {
		buf_add_json_str(out, text, n);
	} else {
		buf_add_str(out, "null");
	}
}

void json_put_time(struct buf *out, const char *name, int64_t unix_seconds)
{
	char text[40] = "";
	time_t seconds = (time_t)unix_seconds;
	struct tm utc;
	bool known = gmtime_r(&seconds, &utc) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
	json_put_text(out, name, known ? text : NULL);
}

void json_put_value(struct buf *out, const char *name, const struct json *json)
{
	if (begin(out, name, 0))
		json_write(json, out);
}

/* White space at the end would hide that a value came before. */
void json_put_raw(struct buf *out, const char *name, const char *text, size_t n)
{
	while (n && strchr(blanks, text[n - 1]))
		n--;
	char *to = n ? begin(out, name, n) : NULL;
	if (to) {
		memcpy(to, text, n);
		end(out, to + n);
	}
}

/* --- over several lines --- */

static bool opens(char c)
{
	return c == '{' || c == '[';
}

static bool closes(char c)
{
	return c == '}' || c == ']';
}

/* A string with its quotes; returns its length. */
static size_t copy_string(struct buf *out, const char *text, size_t n)
{
	size_t i = 1;
	while (i < n && text[i] != '"')
		i += text[i] == '\\' ? 2 : 1;
	i = i < n ? i + 1 : n;
	buf_add(out, text, i);
	return i;
}

void json_indent(struct buf *out, const char *text, size_t n)
{
	unsigned depth = 0;
	for (size_t i = 0; i < n;) {
		char c = text[i];
		if (c == '"') {
			i += copy_string(out, text + i, n - i);
			continue;
		}
		i++;
		if (c && strchr(blanks, c))
			continue;
		depth -= closes(c);
		if (closes(c) && out->len && !opens(out->data[out->len - 1]))
			buf_addf(out, "\n%*s", (int)(2 * depth), "");
		buf_add_char(out, c);
		depth += opens(c);
		while (i < n && text[i] && strchr(blanks, text[i]))
			i++;
		if (c == ',' || (opens(c) && i < n && !closes(text[i])))
			buf_addf(out, "\n%*s", (int)(2 * depth), "");
		else if (c == ':')
			buf_add_char(out, ' ');
	}
}
