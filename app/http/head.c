/* SPDX-License-Identifier: MIT */
/*
 * The head of an answer, line by line, as far as it decides: libcurl accepts two Content-Lengths, and one beside
 * Transfer-Encoding, and its own limit on header bytes reports "out of memory".
 */
#include "http/shard.h"

#include "http/telling.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value of a header line if its name is that one, without the white space around it; else NULL. */
static const char *header_value(const char *line, size_t n, const char *name, size_t *ret_n)
{
	size_t name_bytes = strlen(name);
	if (n <= name_bytes || line[name_bytes] != ':' || strncasecmp(line, name, name_bytes) != 0)
		return NULL;
	const char *from = line + name_bytes + 1, *end = line + n;
	while (from < end && (*from == ' ' || *from == '\t'))
		from++;
	while (end > from && (unsigned char)end[-1] <= ' ')
		end--;
	*ret_n = (size_t)(end - from);
	return from;
}

static void take_one_length(struct transfer *self, const char *value, size_t n)
{
	int64_t length = 0;
	for (size_t i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9' || length > INT64_MAX / 16)
			return http_transfer_refuse(self, HTTP_PROTOCOL, "Content-Length is not a number");
		length = length * 10 + (value[i] - '0');
	}
	if (self->length >= 0 && self->length != length)
		return http_transfer_refuse(self, HTTP_PROTOCOL, "two different Content-Lengths");
	if (!self->head && length > (int64_t)self->shard->all->opts->body_bytes)
		return http_transfer_refuse(self, HTTP_TOO_LARGE, "body");
	self->length = length;
}

/* "7, 7" is two lines "7" that something on the way has joined. */
static void take_length(struct transfer *self, const char *value, size_t n)
{
	for (const char *end = value + n, *comma; (comma = memchr(value, ',', (size_t)(end - value)));) {
		take_one_length(self, value, (size_t)(comma - value));
		n -= (size_t)(comma - value) + 1;
		value = comma + 1;
		for (; n && *value == ' '; n--)
			value++;
	}
	take_one_length(self, value, n);
}

static void take_encoding(struct transfer *self, const char *value, size_t n)
{
	char *to = self->response->encoding;
	size_t most = sizeof self->response->encoding - 1, at = strlen(to);
	if (n == 8 && !strncasecmp(value, "identity", n))
		return;
	for (const char *between = at ? ", " : ""; *between && at < most; between++)
		to[at++] = *between;
	for (size_t i = 0; i < n && at < most; i++)
		to[at++] = (char)(value[i] >= ' ' && value[i] < 0x7f ? value[i] : '?');
	to[at] = 0;
}

/* Stripe's SDKs obey the one header, OpenAI's and Anthropic's the other. */
static void take_should_retry(struct transfer *self, const char *line, size_t n)
{
	size_t value_bytes;
	const char *value = header_value(line, n, "x-should-retry", &value_bytes);
	if (!value)
		value = header_value(line, n, "stripe-should-retry", &value_bytes);
	if (value && value_bytes >= 4)
		self->response->should_retry = !strncasecmp(value, "true", 4) - !strncasecmp(value, "fals", 4);
}

static void take_limit(struct transfer *self, const char *line, size_t n)
{
	if (self->limits) /* there was a status line */
		http_limits_line(self->limits, line, n);
}

/* Without the white space at its end. */
static void keep_telling(struct transfer *self, const char *line, size_t n)
{
	while (n && (unsigned char)line[n - 1] <= ' ')
		n--;
	size_t most = self->shard->all->opts->all_headers ? HTTP_ALL_BYTES : HTTP_TELLING_BYTES;
	if (n >= most - self->telling.len)
		return;
	buf_add(&self->telling, line, n);
	buf_add_char(&self->telling, '\n');
}

size_t http_head_line(char *line, size_t one, size_t n, void *arg)
{
	(void)one;
	struct transfer *self = arg;
	const struct http_transfers *all = self->shard->all;
	size_t value_bytes;
	const char *value;
	all->events->heard(&self->base);
	self->header_bytes += n;
	if (self->header_bytes > all->opts->header_bytes) {
		http_transfer_refuse(self, HTTP_TOO_LARGE, "headers");
		return 0;
	}
	if (self->has_head && memcmp(line, "HTTP/", n < 5 ? n : 5) != 0)
		return n; /* a trailer: it decides nothing */
	self->has_head = self->has_head || line[0] == '\r' || line[0] == '\n';
	switch (line[0] | 0x20) {
	case 'h':
		if (n > 5 && !memcmp(line, "HTTP/", 5)) { /* an interim answer was before */
			self->length = -1;
			self->chunked = false;
			self->response->encoding[0] = 0;
			self->response->should_retry = 0;
			if (!self->limits && !(self->limits = malloc(sizeof *self->limits)))
				return 0;
			*self->limits = (struct http_limits){0};
			buf_clear(&self->telling);
			buf_clear(&self->location);
			self->has_head = false;
			self->framed = self->base.shares && line[5] == '2';
		}
		break;
	case 'l':
		if (!self->location.len && (value = header_value(line, n, "location", &value_bytes)))
			buf_add(&self->location, value, value_bytes);
		break;
	case 'c':
		if ((value = header_value(line, n, "content-length", &value_bytes)))
			take_length(self, value, value_bytes);
		else if ((value = header_value(line, n, "connection", &value_bytes)))
			self->base.closed = value_bytes == 5 && !strncasecmp(value, "close", 5);
		else if ((value = header_value(line, n, "content-encoding", &value_bytes)))
			take_encoding(self, value, value_bytes);
		break;
	case 's':
		take_should_retry(self, line, n);
		break;
	case 't':
		if (header_value(line, n, "transfer-encoding", &value_bytes))
			self->chunked = true;
		break;
	case 'x':
		take_should_retry(self, line, n);
		take_limit(self, line, n);
		break;
	default:
		take_limit(self, line, n);
		break;
	}
	if (http_header_is_telling(line, n) || all->opts->all_headers)
		keep_telling(self, line, n);
	if (self->chunked && self->length >= 0 && self->failure == HTTP_ANSWERED)
		http_transfer_refuse(self, HTTP_PROTOCOL, "Content-Length and Transfer-Encoding together");
	return self->failure == HTTP_ANSWERED ? n : 0;
}
