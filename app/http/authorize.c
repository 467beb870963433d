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
 *     AWS keys have expired        the same; and without others the items wait until stop_when.denied, for it is known
 *                                  that none of them is to blame
 *     the clock is wrong           the server's is used from now on, and the item is attempted again, once
 *
 * A server that a redirect names is another, which must not see them.
 *
 * That an item has had its free attempt is known from its last failure.
 */
#include "http/exchange.h"

#include <stdlib.h>
#include <string.h>

/* Behind the status. */
static const char renewed[] = "; again with new credentials", corrected[] = "; again with the server's time";

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
	x->grant = (struct http_grant){.token = grant->token, .clock = grant->clock};
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

static bool has_had(const struct step_call *call, const char *free_attempt)
{
	const char *why = call->item ? strchr(item_why(call->item), ';') : NULL;
	return why && !strcmp(why, free_attempt);
}

static bool again(struct step_call *call, const struct http_response *response, enum weir_outcome outcome,
		  const char *how, enum step_verdict *ret_verdict)
{
	call->took = response->took;
	call->sent = response->sent;
	give_up(call, outcome);
	*ret_verdict = step_say(call, STEP_REFUSED, "status: %d%s", response->status, how);
	if (outcome == WEIR_OUTCOME_DENIED)
		*ret_verdict = step_http_excuse(call, *ret_verdict);
	return true;
}

static bool renew(const struct http_step *step, struct step_call *call, const struct exchange *x,
		  enum step_verdict *ret_verdict)
{
	static const char expired[] = "; the AWS keys have expired or are not known: check auth.aws";
	enum http_renewal renewal = HTTP_TOKEN_STAYS;
	if (!has_had(call, renewed))
		renewal = http_credentials_renew(step->credentials, &x->grant, &call->after, WEIR_FOREVER);
	if (renewal == HTTP_TOKEN_RENEWED)
		return again(call, &x->response, WEIR_OUTCOME_RELEASED, renewed, ret_verdict);
	if (renewal == HTTP_TOKEN_LATER)
		return again(call, &x->response, WEIR_OUTCOME_DENIED, renewed, ret_verdict);
	if (!http_credentials_sign(step->credentials))
		return false;
	call->stop = !http_credentials_ever_worked(step->credentials);
	return again(call, &x->response, WEIR_OUTCOME_DENIED, expired, ret_verdict);
}

bool step_http_reauthorize(const struct http_step *step, struct step_call *call, const struct exchange *x,
			   enum step_verdict *ret_verdict)
{
	const struct http_response *response = &x->response;
	if (!step->credentials || x->request.is_foreign || response->failure != HTTP_ANSWERED)
		return false;
	enum http_heard heard = http_credentials_hear(step->credentials, &x->grant, response);
	if (heard == HTTP_HEARD_NOTHING || x->verdict.is_said)
		return false;
	if (heard == HTTP_HEARD_REFUSED)
		return renew(step, call, x, ret_verdict);
	return !has_had(call, corrected) && again(call, response, WEIR_OUTCOME_RELEASED, corrected, ret_verdict);
}
