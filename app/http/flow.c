/* SPDX-License-Identifier: MIT */
#include "http/flow.h"

#include <stdlib.h>

static int fill(struct http_flow *flow, const struct http_source *source)
{
	uint64_t left = source->bytes - flow->next;
	size_t n = left < HTTP_PIECE_BYTES ? (size_t)left : HTTP_PIECE_BYTES;
	int error = n ? source->fill(source->arg, flow->next, flow->piece, n) : 0;
	if (error < 0)
		return error;
	flow->next += n;
	flow->at = 0;
	flow->n = n;
	return 0;
}

int http_flow_begin(struct http_flow *flow, const struct http_request *request)
{
	if (!request->source)
		return 0;
	flow->piece = malloc(HTTP_PIECE_BYTES);
	return flow->piece ? fill(flow, request->source) : WEIR_ENOMEM;
}

int http_flow_serve(struct http_flow *flow, const struct http_request *request, struct http_response *response)
{
	int error = 0;
	if (flow->is_empty)
		error = fill(flow, request->source);
	flow->is_empty = false;
	if (error == 0 && flow->is_full) {
		/* The transfer fills another one meanwhile, if it was not this that it waited for. */
		char *bytes = response->body;
		size_t n = response->body_bytes;
		response->body = NULL;
		response->body_bytes = 0;
		response->is_handed_on = true;
		error = request->sink->take(request->sink->arg, response, bytes, n);
		free(bytes);
	}
	flow->is_full = false;
	return error;
}

void http_flow_end(struct http_flow *flow)
{
	free(flow->piece);
	flow->piece = NULL;
}
