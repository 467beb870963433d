/* SPDX-License-Identifier: MIT */
/*
 * The buffer doubles, so that n appends cost O(n).  One byte beyond `len` always belongs to the NUL.  After a failed
 * append all further ones are refused: otherwise a writer that checks only at the end would have a text with a gap.
 */
#include "port/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/base.h>

#include "port/utf8.h"

enum { FIRST_ROOM = 64 };

void buf_fini(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = 0;
}

static char *grow(struct buf *buf, size_t n)
{
	char *data = NULL;
	if (!buf->failed && n < SIZE_MAX / 2 - buf->len - 1) {
		size_t need = buf->len + n + 1, room = buf->room < FIRST_ROOM ? FIRST_ROOM : buf->room * 2;
		if (room < need)
			room = need;
		data = realloc(buf->data, room);
		if (data)
			buf->room = room;
	}
	if (!data) {
		buf->failed = true;
		return NULL;
	}
	buf->data = data;
	data[buf->len] = 0;
	return data + buf->len;
}

char *buf_reserve(struct buf *buf, size_t n)
{
	if (!buf->failed && n < buf->room - buf->len)
		return buf->data + buf->len;
	return grow(buf, n);
}

int buf_add(struct buf *buf, const void *bytes, size_t n)
{
	char *end = buf_reserve(buf, n);
	if (!end)
		return WEIR_ENOMEM;
	if (n)
		memcpy(end, bytes, n);
	end[n] = 0;
	buf->len += n;
	return 0;
}

int buf_add_str(struct buf *buf, const char *str)
{
	return buf_add(buf, str, strlen(str));
}

int buf_add_char(struct buf *buf, char c)
{
	return buf_add(buf, &c, 1);
}

int buf_addf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	char *end = buf_reserve(buf, 0);
	if (!end)
		return WEIR_ENOMEM;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(end, buf->room - buf->len, format, args);
	if (n >= 0 && (size_t)n >= buf->room - buf->len) {
		*end = 0;
		end = buf_reserve(buf, (size_t)n);
		if (end)
			n = vsnprintf(end, (size_t)n + 1, format, again);
	}
	va_end(again);
	va_end(args);
	if (!end)
		return WEIR_ENOMEM;
	if (n < 0) {
		*end = 0;
		buf->failed = true;
		return WEIR_ENOMEM;
	}
	buf->len += (size_t)n;
	return 0;
}

static size_t plain_length(const char *str, size_t n)
{
	size_t i = 0;
	while (n - i >= 8 && utf8_word_is_plain(utf8_word(str + i)))
		i += 8;
	while (i < n) {
		unsigned char c = (unsigned char)str[i];
		size_t step = utf8_length(str + i, n - i);
		if (!step || c < 0x20 || c == '"' || c == '\\')
			break;
		i += step;
	}
	return i;
}

static void add_escaped(struct buf *buf, unsigned char c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = c ? strchr(from, c) : NULL;
	if (c >= 0x80)
		buf_add(buf, "\xEF\xBF\xBD", 3);
	else if (at)
		buf_add(buf, (char[]){'\\', to[at - from]}, 2);
	else
		buf_addf(buf, "\\u%04x", c);
}

int buf_add_json_str(struct buf *buf, const char *str, size_t n)
{
	size_t before = buf->len;
	if (!buf_reserve(buf, n + 2 > n ? n + 2 : n))
		return WEIR_ENOMEM;
	buf_add_char(buf, '"');
	for (size_t i = 0; i < n;) {
		size_t plain = plain_length(str + i, n - i);
		buf_add(buf, str + i, plain);
		i += plain;
		if (i < n)
			add_escaped(buf, (unsigned char)str[i++]);
	}
	buf_add_char(buf, '"');
	if (!buf->failed)
		return 0;
	buf->len = before;
	buf->data[before] = 0;
	return WEIR_ENOMEM;
}

char *buf_take(struct buf *buf, size_t *ret_len)
{
	bool failed = buf->failed || !buf_reserve(buf, 0);
	char *data = failed ? NULL : buf->data;
	if (failed)
		free(buf->data);
	else if (ret_len)
		*ret_len = buf->len;
	*buf = (struct buf){0};
	return data;
}
