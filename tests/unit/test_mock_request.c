/* SPDX-License-Identifier: MIT */
/* The mock's request parser: what it takes, what it refuses, and that it does not matter how the text was cut. */
#include "mock/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/buf.h"
#include "support/test.h"

static const struct {
	const char *text;
	int expected;
} heads[] = {
	{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1},
	{"GET / HTTP/1.1\nHost: a\n\n", 1},
	{"\r\n\r\nGET /x?y=1 HTTP/1.1\r\nhost: a\r\nX: \t b c \r\n\r\n", 1},
	{"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 1},
	{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 1},
	{"GET / HTTP/1.0\r\n\r\n", 1},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 1},
	{"GET / HTTP/1.1\r\nHost: a\r\n", 0},
	{"GET / HTTP/1.1\r\nHo", 0},
	{"\r\n", 0},
	{"", 0},
	{"GET / HTTP/1.1\r\n\r\n", -400},
	{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", -400},
	{"GET /\r\n", -400},
	{"GET  / HTTP/1.1\r\n", -400},
	{"GET x HTTP/1.1\r\n", -400},
	{"G\x01T / HTTP/1.1\r\n", -400},
	{"GET /\x7f HTTP/1.1\r\n", -400},
	{"GET / HTTP/2.0\r\n", -505},
	{"GET / HTTQ/1.1\r\n", -400},
	{"\x16\x03\x01\x02", -400},
	{"GET / HTTP/1.1\r\nHost : a\r\n", -400},
	{"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n", -400},
	{"GET / HTTP/1.1\r\nno colon\r\n", -400},
	{"GET / HTTP/1.1\r\nX: a\x01\r\n", -400},
	{"POST / HTTP/1.1\r\nContent-Length: -1\r\n", -400},
	{"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n", -400},
	{"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n", -400},
	{"POST / HTTP/1.1\r\nContent-Length: 268435457\r\n", -413},
	{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", -501},
};

static int feed_by(const char *text, size_t n, size_t step, struct mock_request *request)
{
	int result = 0;
	*request = (struct mock_request){0};
	for (size_t upto = 0; !result && upto < n;) {
		upto = n - upto < step ? n : upto + step;
		/* A copy of just that size at another place: reading beyond it, or keeping pointers, shows. */
		char *piece = malloc(upto);
		memcpy(piece, text, upto);
		result = mock_request_feed(request, piece, upto);
		free(piece);
	}
	return result;
}

TEST(mock_request_takes_and_refuses)
{
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		struct mock_request request = {0};
		int result = mock_request_feed(&request, heads[i].text, strlen(heads[i].text));
		ck_assert_msg(result == heads[i].expected, "case %zu: %d", i, result);
		if (result == 1)
			ck_assert_uint_eq(request.head_bytes, strlen(heads[i].text));
	}
}

TEST(mock_request_does_not_depend_on_how_the_text_is_cut)
{
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		struct mock_request whole, cut;
		size_t n = strlen(heads[i].text);
		int result = feed_by(heads[i].text, n, n ? n : 1, &whole);
		for (size_t step = 1; step < 8; step++) {
			ck_assert_msg(feed_by(heads[i].text, n, step, &cut) == result, "case %zu, step %zu", i, step);
			if (result == 1)
				ck_assert_int_eq(memcmp(&whole, &cut, sizeof cut), 0);
		}
	}
}

TEST(mock_request_reads_what_it_needs_to_know)
{
	static const char text[] = "HEAD /a/b?c HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\nExpect: 100-Continue\r\n"
				   "Content-Length: 12\r\n\r\nGET";
	struct mock_request request = {0};
	struct mock_span name, value;
	uint32_t pos = 0;
	ck_assert_int_eq(mock_request_feed(&request, text, sizeof text - 1), 1);
	ck_assert_uint_eq(request.head_bytes, sizeof text - 1 - 3);
	ck_assert(request.is_head && !request.keep_alive && request.expects_continue && request.has_length);
	ck_assert_uint_eq(request.content_length, 12);
	ck_assert(mock_text_is(mock_request_text(&request.target, text), "/a/b?c"));
	ck_assert(mock_request_header(&request, text, &pos, &name, &value));
	ck_assert(mock_text_is(name, "Host") && mock_text_is(value, "a"));
	ck_assert(mock_request_header(&request, text, &pos, &name, &value));
	ck_assert(mock_text_is(name, "Connection") && mock_text_is(value, "x, close"));
	ck_assert(mock_request_header(&request, text, &pos, &name, &value));
	ck_assert(mock_request_header(&request, text, &pos, &name, &value));
	ck_assert(!mock_request_header(&request, text, &pos, &name, &value));
}

TEST(mock_request_keeps_alive_as_the_version_says)
{
	static const struct {
		const char *text;
		bool keep_alive;
	} cases[] = {{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
		     {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", false},
		     {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", false},
		     {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mock_request request = {0};
		ck_assert_int_eq(mock_request_feed(&request, cases[i].text, strlen(cases[i].text)), 1);
		ck_assert_msg(request.keep_alive == cases[i].keep_alive, "case %zu", i);
	}
}

TEST(mock_request_refuses_a_head_that_does_not_end)
{
	static char text[MOCK_HEAD_BYTES + 1000];
	struct mock_request request = {0};
	size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	memset(text + n, 'x', sizeof text - n);
	ck_assert_int_eq(mock_request_feed(&request, text, MOCK_HEAD_BYTES - 1), 0);
	ck_assert_int_eq(mock_request_feed(&request, text, MOCK_HEAD_BYTES), -431);
	memcpy(text + sizeof text - 4, "\r\n\r\n", 4); /* the end comes too late */
	request = (struct mock_request){0};
	ck_assert_int_eq(mock_request_feed(&request, text, sizeof text), -431);
}
