/* SPDX-License-Identifier: MIT */
/* The mock's request parser: what it takes, what it refuses, and that it does not matter how the text was cut. */
#include "mock/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/buf.h"
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
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", 1},
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
	{"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", -400},
	{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", -400},
	{"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n", -501},
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

static int take_body(const char *text, size_t n, size_t step, const struct mock_request *request, struct buf *keep,
		     size_t *ret_used)
{
	struct mock_body body;
	int result = mock_body_start(&body, request);
	size_t at = 0;
	while (!result) {
		size_t used, piece = n - at < step ? n - at : step;
		result = mock_body_feed(&body, text + at, piece, &used, keep, 1000);
		at += used;
		if (!piece)
			break;
	}
	*ret_used = at;
	return result;
}

TEST(mock_body_takes_and_refuses)
{
	static const struct {
		const char *text;
		int expected;
		const char *content;
		size_t left;
	} cases[] = {
		{"5\r\nhello\r\n0\r\n\r\nGET", 1, "hello", 3},
		{"5;a=b\r\nhello\r\n1\r\n!\r\n000\r\nTrailer: x\r\n\r\n", 1, "hello!", 0},
		{"A\n0123456789\n0\n\n", 1, "0123456789", 0},
		{"5\r\nhel", 0, "hel", 0},
		{"5\r\nhelloX", -400, "hello", 0},
		{"x\r\n", -400, "", 0},
		{"\r\n", -400, "", 0},
		{";\r\n", -400, "", 0},
		{"fffffffff\r\n", -413, "", 0},
		{"00000000000000000000000", -400, "", 0},
		{"5\r\nhello\r\r\n", -400, "hello", 0},
	};
	struct mock_request request = {.chunked = true};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (size_t step = 1; step < 40; step++) {
			struct buf keep = {0};
			size_t used, n = strlen(cases[i].text);
			int result = take_body(cases[i].text, n, step, &request, &keep, &used);
			ck_assert_msg(result == cases[i].expected, "case %zu: %d", i, result);
			ck_assert_str_eq(keep.data ? keep.data : "", cases[i].content);
			if (result == 1)
				ck_assert_uint_eq(n - used, cases[i].left);
			buf_fini(&keep);
		}
}

TEST(mock_body_counts_its_length_and_has_bounds)
{
	struct mock_request request = {.content_length = 5};
	struct buf keep = {0};
	size_t used;
	ck_assert_int_eq(take_body("helloGET", 8, 3, &request, &keep, &used), 1);
	ck_assert_uint_eq(used, 5);
	ck_assert_str_eq(keep.data, "hello");
	buf_fini(&keep);

	request.content_length = (uint64_t)MOCK_BODY_BYTES + 1;
	ck_assert_int_eq(take_body("", 0, 1, &request, NULL, &used), -413);

	static char trailers[2 * MOCK_TRAILER_BYTES];
	memset(trailers, 'x', sizeof trailers);
	memcpy(trailers, "0\r\n", 3);
	request = (struct mock_request){.chunked = true};
	ck_assert_int_eq(take_body(trailers, sizeof trailers, 100, &request, NULL, &used), -400);
}
