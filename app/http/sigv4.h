/* SPDX-License-Identifier: MIT */
/* AWS Signature Version 4: the header lines that sign a request.  Pure: the time is a parameter. */
#ifndef HTTP_SIGV4_H
#define HTTP_SIGV4_H

#include "http/client.h"

struct http_sigv4_keys {
	const char *access_key, *secret_key;
	const char *session_token; /* NULL: none */
	const char *region, *service;
};

#define HTTP_SIGV4_LINES 4 /* that signing adds, at most */

/* The request as it is sent: its URL percent-encoded, its headers all those that the caller sets.  unix_time: now.
 * Writes malloc'ed header lines and their number; they belong to the caller.  WEIR_ENOMEM: there are none. */
int http_sigv4_sign(const struct http_sigv4_keys *keys, const struct http_request *request, int64_t unix_time,
		    char *ret_lines[HTTP_SIGV4_LINES], size_t *ret_n);

#endif
