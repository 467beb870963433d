/* SPDX-License-Identifier: MIT */
/*
 * Reading HTTP/1.x requests, in pieces as they come.  Pure: no I/O, no memory of its own, results do not depend on how
 * the text was cut.
 *
 *     struct mock_request request = {0};
 *     while (!(result = mock_request_feed(&request, text, n)))
 *         ... append to text, which may have moved, and set n ...
 *
 * then text + request.head_bytes is where the body begins, of content_length bytes: one in chunks is refused (501).
 */
#ifndef MOCK_REQUEST_H
#define MOCK_REQUEST_H

#include "text.h"

enum { MOCK_HEAD_BYTES = 64 * 1024, MOCK_BODY_BYTES = 256 * 1024 * 1024 };

/* A stretch of the head: offsets stay right when the text moves. */
struct mock_part {
	uint32_t from, n;
};

struct mock_request {
	struct mock_part method, target;
	uint32_t head_bytes; /* 0 until the head is complete */
	uint32_t line_from;  /* lines before are done with */
	uint32_t scanned;    /* no newline between line_from and here */
	uint32_t headers_from;
	uint64_t content_length;
	bool started, is_head, keep_alive, has_length, has_host, expects_continue, is_http10;
};

/* Looks at the text from its start (the same one as before, and more).  0: more is needed.  1: the head is complete.
 * Negative: the negated status to answer (-400, -413, -431, -501, -505), after which the connection is of no use. */
int mock_request_feed(struct mock_request *request, const char *text, size_t n);

struct mock_span mock_request_text(const struct mock_part *part, const char *text);

/* Walks the headers of a complete head: start with *pos = 0; false after the last. */
bool mock_request_header(const struct mock_request *request, const char *text, uint32_t *pos,
			 struct mock_span *ret_name, struct mock_span *ret_value);

#endif
