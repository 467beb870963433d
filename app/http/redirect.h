/* SPDX-License-Identifier: MIT */
/* Where an answer sends a request on to, and what may go there.  Pure. */
#ifndef HTTP_REDIRECT_H
#define HTTP_REDIRECT_H

#include "http/client.h"
#include "http/origin.h"

/* 301, 302, 303, 307, 308. */
bool http_is_redirect(int status);

/* A request that a server asked for: the next of a chain that began with one of ours; or one that is sent once more.
 * One malloc'ed block. */
struct http_hop {
	unsigned number;           /* of redirects before it */
	bool is_again;             /* the one before it was the same, and most likely not done */
	bool is_fresh;             /* … and the next one is on a new connection */
	bool is_foreign;           /* the chain has left its first origin */
	bool is_emptied;           /* it has become a GET without the body */
	weir_nsec took;            /* all requests before it */
	struct http_origin origin; /* of its URL */
	char url[];
};

/* Follows the answer, a redirect, to a request to `url` with that method; before: the hop that it was, or NULL.  0 with
 * *ret_hop; WEIR_EINVAL with err->text, why that may not be, to go behind "302 to URL"; WEIR_ENOMEM. */
int http_redirect(const struct http_response *response, const char *url, const struct http_origin *origin,
		  const char *method, const struct http_hop *before, struct http_hop **ret_hop, struct weir_error *err);

/* Whether a header of the first request ("Name: value") may go along: foreign ones get those that say what may come and
 * what is sent, and the idempotency key, and no other, since any of the others may be a credential. */
bool http_header_may_go(const char *line, bool is_foreign, bool is_emptied);

#endif
