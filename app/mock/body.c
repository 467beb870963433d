/* SPDX-License-Identifier: MIT */
/*
 * Taking a request's body off the wire.  With a Content-Length it is a count; chunked it is
 *
 *     SIZE -> (EXTENSION ->) DATA -> DATA_END -> SIZE ... size 0 -> TRAILER, lines until an empty one -> DONE
 *
 * a byte at a time outside of the data, which goes in one piece.
 */
#include "request.h"

#include <string.h>

#include "port/buf.h"

enum body_state {
	BODY_PLAIN,
	BODY_SIZE,
	BODY_EXTENSION,
	BODY_DATA,
	BODY_DATA_END,
	BODY_TRAILER,
	BODY_TRAILER_LINE,
	BODY_DONE
};

int mock_body_start(struct mock_body *body, const struct mock_request *request)
{
	*body = (struct mock_body){.state = request->chunked ? BODY_SIZE : BODY_PLAIN};
	if (!request->chunked)
		body->left = request->content_length;
	return body->left > MOCK_BODY_BYTES ? -413 : 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int end_size_line(struct mock_body *body)
{
	if (!body->digits)
		return -400;
	body->state = body->left ? BODY_DATA : BODY_TRAILER;
	body->digits = 0;
	return 0;
}

static int take_size(struct mock_body *body, char c)
{
	int digit = hex_value(c);
	if (digit >= 0) {
		body->left = body->left * 16 + (uint64_t)digit;
		if (++body->digits > 16)
			return -400;
		return body->left > MOCK_BODY_BYTES - body->total ? -413 : 0;
	}
	if (c == '\n')
		return end_size_line(body);
	if (c == '\r' || c == ';' || c == ' ' || c == '\t') {
		body->state = BODY_EXTENSION;
		return 0;
	}
	return -400;
}

/* One byte of what is not content. */
static int take_frame(struct mock_body *body, char c)
{
	switch ((enum body_state)body->state) {
	case BODY_SIZE:
		return take_size(body, c);
	case BODY_EXTENSION:
		if (c == '\n')
			return end_size_line(body);
		break;
	case BODY_DATA_END:
		if (c != '\n')
			return c == '\r' && !body->digits++ ? 0 : -400;
		body->state = BODY_SIZE;
		body->digits = 0;
		return 0;
	case BODY_TRAILER:
		if (c == '\n')
			body->state = BODY_DONE;
		else if (c != '\r')
			body->state = BODY_TRAILER_LINE;
		break;
	default:
		if (c == '\n')
			body->state = BODY_TRAILER;
		break;
	}
	return ++body->overhead > MOCK_TRAILER_BYTES ? -400 : 0;
}

static size_t take_content(struct mock_body *body, const char *text, size_t n, struct buf *keep, size_t keep_bytes)
{
	if (n > body->left)
		n = (size_t)body->left;
	if (keep && keep->len + n <= keep_bytes)
		buf_add(keep, text, n);
	body->left -= n;
	body->total += n;
	return n;
}

int mock_body_feed(struct mock_body *body, const char *text, size_t n, size_t *ret_used, struct buf *keep,
		   size_t keep_bytes)
{
	size_t used = 0;
	int result = 0;
	while (!result && body->state != BODY_DONE) {
		bool content = body->state == BODY_PLAIN || body->state == BODY_DATA;
		if (content && !body->left)
			body->state = body->state == BODY_PLAIN ? BODY_DONE : BODY_DATA_END;
		else if (used == n)
			break;
		else if (content)
			used += take_content(body, text + used, n - used, keep, keep_bytes);
		else
			result = take_frame(body, text[used++]);
	}
	*ret_used = used;
	return result ? result : body->state == BODY_DONE;
}
