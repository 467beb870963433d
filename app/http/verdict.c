/* SPDX-License-Identifier: MIT */
/*
 * What an answer means for its item.
 *
 *     in ok, retry_on or throttled_on    what the list says
 *     2xx                                good, unless there is a list `ok`
 *     429, 503 and 529 + Retry-After     throttled: its gate shuts, and no attempt is used up.  A 403, too, that says
 *                                        when to come back or that nothing is left of the quota: so GitHub says it
 *     X-Should-Retry                     as it says, of what ends below
 *     408 425 5xx                        tried again (not 501 and 505: they stay as they are)
 *     other 4xx, 3xx                     dead, but for a redirect that is followed (follow.c)
 *
 * A rule of `when` that holds goes before all that.  Rules judge what ends a chain of redirects, not the redirects.
 */
#include "http/exchange.h"

static bool has(const struct key_counts *statuses, int status)
{
	for (size_t i = 0; i < statuses->n; i++)
		if (statuses->values[i] == status)
			return true;
	return false;
}

static bool is_throttled(const struct http_response *response)
{
	const struct weir_hint *hint = &response->hint;
	bool used_up = hint->counts && !hint->left;
	bool overloaded = response->status == 503 || response->status == 529;
	return response->status == 429 || (overloaded && hint->retry_after > 0) ||
	       (response->status == 403 && (hint->retry_after > 0 || used_up));
}

static bool is_passing(int status)
{
	return status == 408 || status == 425 || (status >= 500 && status != 501 && status != 505);
}

struct http_verdict step_http_by_status(const struct step_http_config *config, const struct http_response *response)
{
	int status = response->status;
	if (has(&config->ok, status))
		return (struct http_verdict){STEP_HTTP_OK, .is_said = true};
	if (has(&config->retry_on, status))
		return (struct http_verdict){STEP_HTTP_RETRY, .is_said = true};
	if (has(&config->throttled_on, status))
		return (struct http_verdict){STEP_HTTP_THROTTLED, .is_said = true};
	if (!config->ok.n && status >= 200 && status <= 299)
		return (struct http_verdict){STEP_HTTP_OK};
	if (is_throttled(response))
		return (struct http_verdict){STEP_HTTP_THROTTLED};
	if (status >= 400 && response->should_retry > 0)
		return (struct http_verdict){STEP_HTTP_RETRY};
	bool is_final = is_passing(status) && response->should_retry < 0;
	return (struct http_verdict){is_passing(status) && !is_final ? STEP_HTTP_RETRY : STEP_HTTP_DEAD,
				     .is_final = is_final};
}

enum step_verdict step_http_decide(const struct http_step *step, struct step_call *call, struct exchange *x)
{
	size_t number = 0;
	weir_nsec after = 0;
	call->took = x->response.took;
	call->sent = x->response.sent;
	x->verdict = step_http_by_status(step->config, &x->response);
	x->is_again = step_http_is_sent_again(step, call, x);
	if (!step->rules || x->response.failure != HTTP_ANSWERED || x->is_again || step_http_is_followed(step, call, x))
		return STEP_OK;
	enum step_verdict verdict = step_http_rules_ask(step->rules, call, &x->response, &number, &after);
	if (verdict == STEP_OK && number) {
		const struct step_http_rule *rules = step->config->when.elements;
		x->verdict = (struct http_verdict){.then = (enum step_http_then)rules[number - 1].then,
						   .is_said = true,
						   .rule = number,
						   .after = after};
	}
	return verdict;
}
