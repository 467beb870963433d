/* SPDX-License-Identifier: MIT */
/* What the mock's good answers hold.  The same id always makes the same text. */
#ifndef MOCK_CONTENT_H
#define MOCK_CONTENT_H

#include "request.h"

struct buf;

/* An order of about 300 bytes of JSON.  Prices are multiples of 0.25, so that sums of qty × price come out exactly in
 * any order of adding; "total" holds that sum.  The id is a JSON number when it is written as one would be. */
void mock_content_order(struct buf *out, struct mock_span id);

/* A page of about 2 KiB with a title. */
void mock_content_page(struct buf *out, struct mock_span id);

/* Method, path, headers (small letters; of equal ones the values joined by commas; 100 at most) and the body (NULL:
 * none) as JSON. */
void mock_content_echo(struct buf *out, const struct mock_request *request, const char *text, const struct buf *body);

#endif
