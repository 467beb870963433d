/* SPDX-License-Identifier: MIT */
/*
 * What credentials mean for an item.
 *
 *     there are none now           as if its upstream failed: the item waits and uses up no attempt
 *     they are refused             as if its upstream denied the call: likewise, until stop_when.denied; a run that
 *                                  never had any ends, since its config is wrong
 *     an answer 401, and others    the item is attempted again, once, and uses up no attempt.  That attempt has a
 *     can be had                   permit of its own, so that a limit of the rate holds
 *     … but not yet                likewise, a little later, and the call counts as denied by the upstream
 *
 * A server that a redirect names is another, which must not see them.
 *
 * That an item has had its free attempt is known from its last failure.
 */
#include "http/exchange.h"

#include <stdlib.h>
#include <string.h>

static const char renewed[] = "status: 401; again with a new token";

static int add_lines(struct exchange *x, struct http_grant *grant)
{
	char **lines = reallocarray(x->lines, x->line_count + grant->n, sizeof *lines);
	for (size_t i = 0; i < grant->n; i++) {
		if (lines)
			lines[x->line_count++] = grant->lines[i];
		else
			free(grant->lines[i]);
	}
	if (!lines)
		return WEIR_ENOMEM;
	x->lines = lines;
	x->token = grant->token;
	return 0;
}

static enum step_verdict give_up(struct step_call *call, enum weir_outcome outcome)
{
	call->permit->outcome = outcome;
	weir_attempt_leave(call->permit);
	return STEP_REFUSED;
}

enum step_verdict step_http_authorize(const struct http_step *step, struct step_call *call, struct exchange *x)
{
	struct http_request *request = &x->request;
	struct http_grant grant;
	struct http_token_lack lack;
	if (!step->credentials || request->is_foreign)
		return STEP_OK;
	int error = http_credentials_grant(step->credentials, request, &grant, &lack, WEIR_FOREVER);
	if (error == 0)
		error = add_lines(x, &grant);
	request->headers = (const char *const *)x->lines;
	request->header_count = x->line_count;
	if (error == 0)
		return STEP_OK;
	if (error == WEIR_EAGAIN) {
		step_say(call, STEP_REFUSED, "auth: %s", lack.why);
		call->stop = lack.refused && !lack.ever;
		enum weir_outcome outcome = lack.refused ? WEIR_OUTCOME_DENIED : WEIR_OUTCOME_FAILED;
		return step_http_excuse(call, give_up(call, outcome));
	}
	if (error == WEIR_ETIMEDOUT) {
		step_say(call, STEP_REFUSED, "auth: no token in time (flow.timeout.attempt)");
		return step_http_excuse(call, give_up(call, WEIR_OUTCOME_FAILED));
	}
	give_up(call, WEIR_OUTCOME_RELEASED);
	if (error == WEIR_ECANCELED)
		return STEP_CANCELED;
	return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
}

/* ---- refused by the upstream ---- */

static bool has_had_its_free_attempt(const struct step_call *call)
{
	return call->item && !strcmp(item_why(call->item), renewed);
}

bool step_http_reauthorize(const struct http_step *step, struct step_call *call, const struct exchange *x,
			   enum step_verdict *ret_verdict)
{
	const struct http_response *response = &x->response;
	if (!x->token || response->failure != HTTP_ANSWERED)
		return false;
	if (response->status >= 200 && response->status <= 299)
		http_credentials_accepted(step->credentials, x->token);
	if (response->status != 401 || x->verdict.is_said || has_had_its_free_attempt(call))
		return false;
	enum http_renewal renewal = http_credentials_renew(step->credentials, x->token, &call->after, WEIR_FOREVER);
	if (renewal == HTTP_TOKEN_STAYS)
		return false;
	give_up(call, renewal == HTTP_TOKEN_LATER ? WEIR_OUTCOME_DENIED : WEIR_OUTCOME_RELEASED);
	*ret_verdict = step_say(call, STEP_REFUSED, "%s", renewed);
	return true;
}
