/* SPDX-License-Identifier: MIT */
/*
 * The buffer doubles, so that n appends cost O(n).  One byte beyond `len` always belongs to the NUL.  After a failed
 * append all further ones are refused: otherwise a writer that checks only at the end would have a text with a gap.
 */
#include "data/buf.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/base.h>

#include "data/utf8.h"

/* A file is read in pieces that have room for one of 64 KiB and a byte more: a secret is not moved about. */
enum { FIRST_ROOM = 64, READ_BYTES = 64 * 1024 + 1 };

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

int buf_add_uint(struct buf *buf, uint64_t number)
{
	char digits[20];
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	return buf_add(buf, digits + at, sizeof digits - at);
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

int buf_add_json_text(struct buf *buf, const char *str, size_t n)
{
	size_t before = buf->len;
	if (!buf_reserve(buf, n))
		return WEIR_ENOMEM;
	for (size_t i = 0; i < n;) {
		size_t plain = plain_length(str + i, n - i);
		buf_add(buf, str + i, plain);
		i += plain;
		if (i < n)
			add_escaped(buf, (unsigned char)str[i++]);
	}
	if (!buf->failed)
		return 0;
	buf->len = before;
	buf->data[before] = 0;
	return WEIR_ENOMEM;
}

int buf_add_json_str(struct buf *buf, const char *str, size_t n)
{
	size_t before = buf->len;
	if (!buf_reserve(buf, n + 2 > n ? n + 2 : n))
		return WEIR_ENOMEM;
	buf_add_char(buf, '"');
	buf_add_json_text(buf, str, n);
	buf_add_char(buf, '"');
	if (!buf->failed)
		return 0;
	buf->len = before;
	buf->data[before] = 0;
	return WEIR_ENOMEM;
}

/* Of a well-formed character of so many bytes. */
static unsigned code_point(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	switch (n) {
	case 1:
		return p[0];
	case 2:
		return (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
	case 3:
		return (p[0] & 0xFu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
	default:
		return 0x10000; /* nothing there matters here */
	}
}

/* Moves the cursor, or the text, where a reader does not expect it. */
static bool is_treacherous(unsigned c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x61C || c == 0x200E || c == 0x200F ||
	       (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

int buf_add_visible(struct buf *buf, const char *text, size_t n, bool lines)
{
	for (size_t i = 0, length; i < n; i += length ? length : 1) {
		length = utf8_length(text + i, n - i);
		unsigned c = length ? code_point(text + i, length) : (unsigned char)text[i];
		if (length && (!is_treacherous(c) || (lines && c == '\n')))
			buf_add(buf, text + i, length);
		else
			buf_addf(buf, "\\u%04x", c);
	}
	return buf->failed ? WEIR_ENOMEM : 0;
}

int buf_add_base64(struct buf *buf, const void *bytes, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = bytes;
	char *to = buf_reserve(buf, (n + 2) / 3 * 4 + 1);
	if (!to)
		return WEIR_ENOMEM;
	for (size_t i = 0; i < n; i += 3, buf->len += 4, to += 4) {
		unsigned word = (unsigned)in[i] << 16 | (i + 1 < n ? (unsigned)in[i + 1] << 8 : 0) |
				(i + 2 < n ? in[i + 2] : 0u);
		to[0] = digits[word >> 18];
		to[1] = digits[word >> 12 & 63];
		to[2] = i + 1 < n ? digits[word >> 6 & 63] : '=';
		to[3] = i + 2 < n ? digits[word & 63] : '=';
	}
	*to = '\0';
	return 0;
}

int buf_add_percent(struct buf *buf, const char *bytes, size_t n)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
	int code = 0;
	for (size_t i = 0; i < n && !code; i++)
		code = bytes[i] && strchr(plain, bytes[i]) ? buf_add_char(buf, bytes[i])
							   : buf_addf(buf, "%%%02X", (unsigned char)bytes[i]);
	return code;
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

int buf_read_file(struct buf *buf, const char *path, int flags, size_t most)
{
	size_t left = most + 1;
	ssize_t got = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags), code = fd < 0 ? -errno : 0;
	while (!code && got && left) {
		size_t piece = left < READ_BYTES ? left : READ_BYTES;
		char *to = buf_reserve(buf, piece);
		got = to ? read(fd, to, piece) : 0;
		if (!to || (got < 0 && errno != EINTR))
			code = to ? -errno : WEIR_ENOMEM;
		buf->len += got > 0 ? (size_t)got : 0;
		left -= got > 0 ? (size_t)got : 0;
	}
	if (buf->data)
		buf->data[buf->len] = 0;
	if (fd >= 0)
		close(fd);
	return !code && !left ? -EFBIG : code;
}
