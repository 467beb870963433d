/* SPDX-License-Identifier: MIT */
/*
 * What makes several requests of one attempt: redirects, and a request that is sent once more on a new connection,
 * since the one that it was on has ended, or was the wrong one.  Each request of such a chain is a call of its own: the
 * permit of its upstream was given back when the one before had ended, and the next one waits in the queue of the
 * upstream that it names.  So rates, concurrency and breakers hold for every request, and a host that is down holds up
 * nobody else. All of them are one attempt; when it fails, the next attempt begins with the item's own URL.
 */
#include "http/exchange.h"

#include <stdlib.h>
#include <string.h>
#include <weir/run.h>

bool step_http_is_followed(const struct http_step *step, const struct step_call *call, const struct exchange *x)
{
	const struct http_response *response = &x->response;
	return call->leg && response->failure == HTTP_ANSWERED && http_is_redirect(response->status) &&
	       response->location && !x->verdict.is_said && (x->hop ? x->hop->number : 0) < step->config->follow;
}

bool step_http_is_sent_again(const struct http_step *step, const struct step_call *call, const struct exchange *x)
{
	bool harmless = x->response.again != HTTP_AGAIN_IF_REPEATABLE || x->request.is_emptied ||
			step_http_is_repeatable(step->config);
	return call->leg && x->response.again != HTTP_NOT_AGAIN && harmless && !x->verdict.is_said &&
	       !(x->hop && x->hop->is_again);
}

static enum step_verdict go_to(const struct http_step *step, struct step_call *call, struct http_hop *next)
{
	*call->leg = next;
	call->permit->next = step->config->label ? step->config->label : next->origin.name;
	return STEP_OK;
}

enum step_verdict step_http_send_again(const struct http_step *step, struct step_call *call, const struct exchange *x)
{
	size_t n = strlen(x->request.url) + 1;
	struct http_hop *next = malloc(sizeof *next + n);
	if (!next)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(WEIR_ENOMEM));
	*next = x->hop ? *x->hop : (struct http_hop){.origin = *x->request.origin};
	next->is_again = true;
	/* A connection of HTTP/2 that refuses a request takes no other: the next is on another one anyway. */
	next->is_fresh = x->response.again != HTTP_AGAIN_IF_REPEATABLE || !x->response.shared;
	next->took += x->response.took;
	memcpy(next->url, x->request.url, n);
	return go_to(step, call, next);
}

enum step_verdict step_http_follow(const struct http_step *step, struct step_call *call, const struct exchange *x)
{
	const struct http_request *request = &x->request;
	const struct http_response *response = &x->response;
	struct weir_error err = {0};
	struct http_hop *next;
	int error = http_redirect(response, request->url, request->origin, request->method, x->hop, &next, &err);
	if (error == WEIR_ENOMEM)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	if (error < 0)
		return step_say(call, STEP_DEAD, "redirect: %d to %.120s%s", response->status, response->location,
				err.text);
	return go_to(step, call, next);
}
