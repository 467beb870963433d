/* SPDX-License-Identifier: MIT */
/* Which headers of an answer help to explain a failure: what its body is, where to go, when to come back, and by which
 * name the server's own log knows the request.  Pure. */
#ifndef HTTP_TELLING_H
#define HTTP_TELLING_H

#include <stdbool.h>
#include <stddef.h>

/* A line "Name: value": Content-Type, Location, Retry-After, WWW-Authenticate, request and trace ids (X-Request-Id,
 * X-Amzn-RequestId, CF-Ray, …), rate limits.  Most others are put aside at a look at the first letter. */
bool http_header_is_telling(const char *line, size_t n);

#endif
