/* SPDX-License-Identifier: MIT */
/*
 * Bodies that no memory holds: those of a request that come from a source, those of an answer that go to a sink
 * (client.h).  They go through in pieces.  The transfer stops when it has used one up or filled one, and says so here;
 * the fiber that fetches serves it, and lets it go on.
 */
#ifndef HTTP_FLOW_H
#define HTTP_FLOW_H

#include "http/client.h"

#define HTTP_PIECE_BYTES ((size_t)64 << 10)

struct http_flow {
	char *piece; /* of the request's body: of these n bytes the transfer has sent `at` */
	size_t at, n;
	uint64_t next; /* where in the body the next piece begins */
	bool is_empty; /* what the transfer waits for: another piece, … */
	bool is_full;  /* … and that somebody takes what is in response->body */
};

/* Reads the first piece, if the body has a source.  What the source says, or WEIR_ENOMEM.  May suspend. */
int http_flow_begin(struct http_flow *flow, const struct http_request *request);

/* Does what the transfer waits for.  What source or sink say.  May suspend. */
int http_flow_serve(struct http_flow *flow, const struct http_request *request, struct http_response *response);

void http_flow_end(struct http_flow *flow);

#endif
