/* SPDX-License-Identifier: MIT */
/*
 * Redirects in the step http.  Each request of a chain is a call of its own: the permit of its upstream was given back
 * when the redirect had come, and the next one waits in the queue of the upstream that it names.  So rates,
 * concurrency and breakers hold for every request, and a host that is down holds up nobody else.  All of them are one
 * attempt; when it fails, the next attempt begins with the item's own URL.
 */
#include "http/exchange.h"

#include <weir/run.h>

bool step_http_is_followed(const struct http_step *step, const struct step_call *call, const struct exchange *x)
{
	const struct http_response *response = &x->response;
	return call->leg && response->failure == HTTP_ANSWERED && http_is_redirect(response->status) &&
	       response->location && !x->verdict.is_said && (x->hop ? x->hop->number : 0) < step->config->follow;
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
	*call->leg = next;
	call->permit->next = step->config->label ? step->config->label : next->origin.name;
	return STEP_OK;
}
