/* SPDX-License-Identifier: MIT */
/*
 * Each request passes the gate of its upstream: its origin, or the label of the step.
 *
 *     shut for longer than a moment      the item is parked, and holds no place meanwhile
 *     too many wait before it, and       the same: a slow upstream must not take the places of
 *     there are other upstreams          the others
 *     else                               it waits in line, and goes
 *
 * An attempt that fails while the gate is shut by then, or its breaker not closed, is no fault of the item: it is
 * refused, which uses up no attempt.  Not so a probe, the calls with which a breaker finds out whether it can close:
 * else an upstream that never comes back would keep its items for ever.
 */
#include "step/http.h"

#include <stdio.h>
#include <string.h>
#include <weir/random.h>
#include <weir/run.h>

#define MOMENT       (100 * WEIR_MSEC)
#define LONGEST_LINE (5 * WEIR_SEC)

/* Whether this step speaks to more than one upstream, as far as it has seen. */
static bool has_others(struct step *step, const char *key)
{
	if (step->several || step->config->label)
		return step->several;
	if (!step->first_key[0])
		snprintf(step->first_key, sizeof step->first_key, "%.*s", (int)sizeof step->first_key - 1, key);
	step->several = strcmp(step->first_key, key) != 0;
	return step->several;
}

/* Up to a tenth later, so that not all come at once. */
static enum step_verdict park(struct step *step, struct step_call *call, weir_nsec until, const char *why)
{
	weir_nsec spread = (until - weir_now()) / 10;
	call->not_before = until + (spread > 0 ? (weir_nsec)weir_random_below(&step->random, (uint64_t)spread) : 0);
	return step_http_say(call, STEP_REFUSED, "%s", why);
}

/* When the line before a gate will be through, about; 0: it is short, or they go too fast to tell. */
static weir_nsec end_of_line(const struct weir_gate_stats *stats)
{
	size_t most = stats->limit / 4 + 4;
	if (stats->waiting < most)
		return 0;
	double ahead = (double)stats->waiting + 1, wait = 0;
	if (stats->per_sec > 0)
		wait = ahead / stats->per_sec * (double)WEIR_SEC;
	else if (stats->limit)
		wait = ahead / (double)stats->limit * (double)stats->floor;
	if (wait < (double)MOMENT)
		wait = (double)MOMENT;
	return weir_now() + (wait < (double)LONGEST_LINE ? (weir_nsec)wait : LONGEST_LINE);
}

/* The gate lets nobody in at the moment: what to do about it. */
static enum step_verdict wait_or_park(struct step *step, struct step_call *call, struct exchange *x, const char *key,
				      int *ret_code)
{
	struct weir_gate_stats stats;
	weir_nsec until = weir_gate_shut_until(x->gate);
	if (until != WEIR_FOREVER && until > weir_now() + MOMENT)
		return park(step, call, until, "gate: the upstream is left alone for a while");
	if (has_others(step, key)) {
		weir_gate_stats(x->gate, &stats);
		until = end_of_line(&stats);
		if (until)
			return park(step, call, until, "gate: too many wait for this upstream");
	}
	weir_nsec begun = weir_clock();
	*ret_code = weir_gate_enter(x->gate, &x->pass, call->queue_until ? call->queue_until : WEIR_FOREVER);
	call->waited += weir_clock() - begun;
	return STEP_OK;
}

enum step_verdict step_http_enter(struct step *step, struct step_call *call, struct exchange *x)
{
	const char *key = step->config->label ? step->config->label : x->origin.name;
	enum step_verdict verdict = STEP_OK;
	int code = weir_policy_gate(step->policy, key, &x->gate);
	if (code)
		return step_http_say(call, STEP_RETRY, "memory: %s", weir_strerror(code));
	code = weir_gate_enter(x->gate, &x->pass, WEIR_TRY);
	if (code == WEIR_EAGAIN)
		verdict = wait_or_park(step, call, x, key, &code);
	if (verdict != STEP_OK)
		return verdict;
	if (code == WEIR_EOPEN)
		return step_http_say(call, STEP_RETRY, "breaker: open, the upstream failed too often");
	if (code == WEIR_ETIMEDOUT && call->queue_until && weir_now() >= call->queue_until)
		return step_http_say(call, STEP_DEAD, "timeout: waited for its turn longer than flow.timeout.queue");
	if (code == WEIR_ETIMEDOUT)
		return step_http_say(call, STEP_RETRY, "timeout: the attempt waited too long for its turn");
	return code ? STEP_CANCELED : STEP_OK;
}

static enum weir_outcome outcome_of_status(const struct step_http_config *config, const struct http_response *response)
{
	if (step_http_is_good(config, response->status))
		return WEIR_OUTCOME_GOOD;
	if (step_http_is_throttled(response))
		return WEIR_OUTCOME_THROTTLED;
	return response->status >= 500 ? WEIR_OUTCOME_FAILED : WEIR_OUTCOME_GOOD;
}

static enum weir_outcome outcome_of(const struct step_http_config *config, const struct http_response *response)
{
	switch (response->failure) {
	case HTTP_ANSWERED:
		return outcome_of_status(config, response);
	case HTTP_TOO_LARGE: /* it answers, and how */
		return WEIR_OUTCOME_GOOD;
	case HTTP_TIMEOUT:
		return WEIR_OUTCOME_TIMED_OUT;
	case HTTP_NOT_ALLOWED: /* nobody was asked */
	case HTTP_BAD_URL:
		return WEIR_OUTCOME_RELEASED;
	default:
		return WEIR_OUTCOME_FAILED;
	}
}

void step_http_leave(const struct step *step, struct exchange *x, int error)
{
	enum weir_outcome outcome = WEIR_OUTCOME_RELEASED;
	if (error == 0)
		outcome = outcome_of(step->config, &x->response);
	else if (error == WEIR_ETIMEDOUT)
		outcome = WEIR_OUTCOME_TIMED_OUT;
	weir_gate_leave(x->gate, &x->pass, outcome, error == 0 ? &x->response.told : NULL);
}

enum step_verdict step_http_excuse(struct step *step, struct step_call *call, struct exchange *x,
				   enum step_verdict verdict)
{
	struct weir_attempt attempt = {0};
	char why[sizeof call->why];
	if (verdict != STEP_REFUSED && (verdict != STEP_RETRY || x->pass.permit.probe))
		return verdict;
	if (!weir_attempt_excuse(&attempt, x->gate))
		return verdict;
	memcpy(why, call->why, sizeof why);
	return attempt.not_before ? park(step, call, attempt.not_before, why) : STEP_REFUSED;
}
