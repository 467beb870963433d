/* SPDX-License-Identifier: MIT */
/*
 * The head is taken line by line: each line is looked at once, when its newline has come, so a head that comes a byte
 * at a time costs no more than one that comes whole.  What lies where is kept as offsets.
 *
 * Strict where servers that disagree have been tricked (length given twice, space before the
 * colon, folded lines, bare control bytes): a client that sends such a thing is broken, and the mock is there to show
 * it.  Lenient only in taking a bare newline for a line's end.
 */
#include "request.h"

#include <string.h>
#include <strings.h>

#include "data/units.h"

static bool is_token_char(unsigned char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-')
		return true;
	return c && strchr("!#$%&'*+.^_`|~", c);
}

static bool is_token(struct mock_span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!is_token_char((unsigned char)text.at[i]))
			return false;
	return text.n > 0;
}

static bool is_field_text(struct mock_span text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.at[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool equals(struct mock_span text, const char *word)
{
	return strlen(word) == text.n && !strncasecmp(text.at, word, text.n);
}

static struct mock_span trim(struct mock_span text)
{
	while (text.n && (text.at[0] == ' ' || text.at[0] == '\t'))
		text.at++, text.n--;
	while (text.n && (text.at[text.n - 1] == ' ' || text.at[text.n - 1] == '\t'))
		text.n--;
	return text;
}

struct mock_span mock_request_text(const struct mock_part *part, const char *text)
{
	return (struct mock_span){text + part->from, part->n};
}

static int read_version(struct mock_request *request, struct mock_span version)
{
	if (version.n != 8 || memcmp(version.at, "HTTP/", 5) || version.at[6] != '.')
		return -400;
	if (version.at[5] != '1' || version.at[7] < '0' || version.at[7] > '9')
		return -505;
	request->is_http10 = version.at[7] == '0';
	request->keep_alive = !request->is_http10;
	return 0;
}

static int read_request_line(struct mock_request *request, const char *text, struct mock_span line)
{
	struct mock_span rest = line, method = mock_text_cut(&rest, ' '), target = mock_text_cut(&rest, ' ');
	if (!is_token(method) || !target.n)
		return -400;
	if (target.at[0] != '/' && !equals(target, "*") && !memmem(target.at, target.n, "://", 3))
		return -400;
	for (size_t i = 0; i < target.n; i++)
		if ((unsigned char)target.at[i] <= 0x20 || target.at[i] == 0x7f)
			return -400;
	request->method = (struct mock_part){(uint32_t)(method.at - text), (uint32_t)method.n};
	request->target = (struct mock_part){(uint32_t)(target.at - text), (uint32_t)target.n};
	request->is_head = mock_text_is(method, "HEAD");
	request->started = true;
	return read_version(request, rest);
}

static int read_length(struct mock_request *request, struct mock_span value)
{
	int64_t length;
	if (!units_count(value.at, value.n, 0, INT64_MAX, &length))
		return -400;
	if (request->has_length && request->content_length != (uint64_t)length)
		return -400;
	request->has_length = true;
	request->content_length = (uint64_t)length;
	return length > MOCK_BODY_BYTES ? -413 : 0;
}

static void read_connection(struct mock_request *request, struct mock_span value)
{
	while (value.n) {
		struct mock_span option = trim(mock_text_cut(&value, ','));
		if (equals(option, "close"))
			request->keep_alive = false;
		else if (equals(option, "keep-alive") && request->is_http10)
			request->keep_alive = true;
	}
}

static int read_header(struct mock_request *request, struct mock_span line)
{
	struct mock_span rest = line, name = mock_text_cut(&rest, ':'), value = trim(rest);
	if (name.n == line.n || !is_token(name) || !is_field_text(value))
		return -400;
	switch (name.n) {
	case 4:
		if (equals(name, "Host") && request->has_host)
			return -400;
		request->has_host |= equals(name, "Host");
		break;
	case 6:
		if (equals(name, "Expect"))
			request->expects_continue = equals(value, "100-continue");
		break;
	case 10:
		if (equals(name, "Connection"))
			read_connection(request, value);
		break;
	case 14:
		if (equals(name, "Content-Length"))
			return read_length(request, value);
		break;
	case 17:
		if (equals(name, "Transfer-Encoding"))
			return -501;
		break;
	}
	return 0;
}

/* One line without its end: 0, 1 when it was the head's last, or the negated status. */
static int read_line(struct mock_request *request, const char *text, struct mock_span line)
{
	if (!request->started) {
		if (!line.n) /* an empty line before a request is overlooked, as RFC 9112 2.2 advises */
			return 0;
		int result = read_request_line(request, text, line);
		request->headers_from = request->line_from;
		return result;
	}
	if (line.n)
		return read_header(request, line);
	return request->has_host || request->is_http10 ? 1 : -400;
}

int mock_request_feed(struct mock_request *request, const char *text, size_t n)
{
	while (!request->head_bytes) {
		size_t within = n < MOCK_HEAD_BYTES ? n : MOCK_HEAD_BYTES;
		const char *newline = request->scanned < within
					      ? memchr(text + request->scanned, '\n', within - request->scanned)
					      : NULL;
		if (!newline) {
			request->scanned = (uint32_t)within;
			unsigned char first = request->line_from < n ? (unsigned char)text[request->line_from] : 'G';
			/* Whoever speaks another protocol (TLS) may wait for ever for a newline. */
			if (!request->started && first != '\r' && !is_token_char(first))
				return -400;
			return n >= MOCK_HEAD_BYTES ? -431 : 0;
		}
		struct mock_span line = {text + request->line_from, (size_t)(newline - text) - request->line_from};
		if (line.n && line.at[line.n - 1] == '\r')
			line.n--;
		request->line_from = request->scanned = (uint32_t)(newline - text) + 1;
		int result = read_line(request, text, line);
		if (result < 0)
			return result;
		if (result)
			request->head_bytes = request->line_from;
	}
	return 1;
}

bool mock_request_header(const struct mock_request *request, const char *text, uint32_t *pos,
			 struct mock_span *ret_name, struct mock_span *ret_value)
{
	uint32_t from = *pos ? *pos : request->headers_from;
	struct mock_span rest = {text + from, request->head_bytes - from};
	struct mock_span line = mock_text_cut(&rest, '\n');
	if (line.n && line.at[line.n - 1] == '\r')
		line.n--;
	if (!line.n)
		return false;
	*pos = (uint32_t)(rest.at - text);
	*ret_name = mock_text_cut(&line, ':');
	*ret_value = trim(line);
	return true;
}
