/* SPDX-License-Identifier: MIT */
/*
 * An answer as bytes.  Few headers: none that a client of an API would not look at, and no Date, which would make equal
 * answers differ.
 */
#include "answer.h"

#include <string.h>
#include <time.h>

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {{200, "OK"},
		       {204, "No Content"},
		       {304, "Not Modified"},
		       {400, "Bad Request"},
		       {404, "Not Found"},
		       {413, "Content Too Large"},
		       {429, "Too Many Requests"},
		       {431, "Request Header Fields Too Large"},
		       {500, "Internal Server Error"},
		       {501, "Not Implemented"},
		       {502, "Bad Gateway"},
		       {503, "Service Unavailable"},
		       {504, "Gateway Timeout"},
		       {505, "HTTP Version Not Supported"}};
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Status";
}

static void encode_framing(const struct mock_answer *answer, size_t body_bytes, struct buf *out)
{
	long long length = (long long)(body_bytes + answer->pad + strlen(answer->tail)) + answer->length_off;
	if (answer->framing == MOCK_CHUNKED && !answer->is_http10)
		buf_add_str(out, "Transfer-Encoding: chunked\r\n");
	else if (answer->framing == MOCK_LENGTH)
		buf_addf(out, "Content-Length: %lld\r\n", length > 0 ? length : 0);
}

static void encode_limit(const struct mock_answer *answer, struct buf *out)
{
	const struct mock_quota *quota = &answer->quota;
	unsigned long long count = quota->count, left = quota->left;
	long long period = (long long)(quota->period / WEIR_SEC), reset = (long long)quota->reset;
	switch (answer->limit_headers) {
	case MOCK_TELL_NOTHING:
		return;
	case MOCK_TELL_FIELDS:
		buf_addf(out, "RateLimit-Policy: \"default\";q=%llu;w=%lld\r\nRateLimit: \"default\";r=%llu;t=%lld\r\n",
			 count, period, left, reset);
		return;
	case MOCK_TELL_OLD:
		buf_addf(out,
			 "RateLimit-Limit: %llu, %llu;w=%lld\r\nRateLimit-Remaining: %llu\r\nRateLimit-Reset: %lld\r\n",
			 count, count, period, left, reset);
		return;
	case MOCK_TELL_X:
		buf_addf(out, "X-RateLimit-Limit: %llu\r\nX-RateLimit-Remaining: %llu\r\nX-RateLimit-Reset: %lld\r\n",
			 count, left, (long long)time(NULL) + reset);
		return;
	}
}

size_t mock_answer_encode(const struct mock_answer *answer, const struct buf *body, struct buf *out)
{
	size_t start = out->len;
	if (answer->status == 200)
		buf_add_str(out, "HTTP/1.1 200 OK\r\n");
	else
		buf_addf(out, "HTTP/1.1 %d %s\r\n", answer->status, reason_of(answer->status));
	if (answer->type) {
		buf_add_str(out, "Content-Type: ");
		buf_add_str(out, answer->type);
		buf_add_str(out, "\r\n");
		encode_framing(answer, body->len, out);
	}
	encode_limit(answer, out);
	if (answer->retry_after[0])
		buf_addf(out, "Retry-After: %s\r\n", answer->retry_after);
	if (!answer->keep_alive)
		buf_add_str(out, "Connection: close\r\n");
	else if (answer->is_http10)
		buf_add_str(out, "Connection: keep-alive\r\n");
	buf_add_str(out, "\r\n");
	size_t head_bytes = out->len - start;
	if (answer->type && !answer->is_head)
		buf_add(out, body->data, body->len);
	return head_bytes;
}
