/* SPDX-License-Identifier: MIT */
/*
 * What a call says of its upstream, and what the upstream's trouble means for the item.  When calls are made, and which
 * failure is not the item's fault, the policy decides (weir/process.h): here its decisions get their words.
 */
#include "http/exchange.h"

#include <stdio.h>
#include <string.h>
#include <weir/run.h>

/* As it is said: "90 s", "5 m", "2 h". */
static const char *duration(weir_nsec time, char text[24])
{
	long long seconds = (long long)((time + WEIR_SEC / 2) / WEIR_SEC);
	bool hours = seconds >= 7200, minutes = seconds >= 120;
	snprintf(text, 24, "%lld %s",
		 hours     ? seconds / 3600
		 : minutes ? seconds / 60
			   : seconds,
		 hours     ? "h"
		 : minutes ? "m"
			   : "s");
	return text;
}

static enum step_verdict say_given_up(struct step_call *call)
{
	struct weir_gate_stats stats;
	char time[24];
	weir_gate_stats(call->permit->gate, &stats);
	bool answers = !strncmp(stats.said, "status: ", 8);
	return step_say(call, STEP_DEAD, "%.100s%s%.80s has %s for %s", stats.said, stats.said[0] ? "; " : "",
			call->permit->upstream, answers ? "had no successful call" : "not answered",
			duration(weir_now() - stats.well_at, time));
}

static enum step_verdict say_throttled(struct step_call *call)
{
	const struct weir_history *history = &call->item->history;
	char why[80], time[24];
	snprintf(why, sizeof why, "%.79s", call->why);
	return step_say(call, STEP_DEAD, "%s; throttled for %s, while %.100s %s", why,
			duration(history->throttled, time), call->permit->upstream,
			history->served ? "served others" : "had no other calls");
}

enum step_verdict step_http_turned_away(struct step_call *call)
{
	if (call->permit->cut == WEIR_CUT_REJECTED)
		return step_say(call, STEP_RETRY, "breaker: open, the upstream keeps failing");
	call->given_up = true;
	return say_given_up(call);
}

/* ---- out */

/* Whether the status says that nobody was there to do it, not that it was done badly: of gateways, of a network that
 * wants a login, and overload. */
static bool is_of_no_service(int status)
{
	return (status >= 502 && status <= 504) || status == 511 || status >= 520;
}

static enum weir_outcome outcome_of_answer(const struct http_verdict *verdict, int status)
{
	if (verdict->then == STEP_HTTP_OK || verdict->then == STEP_HTTP_DROP)
		return WEIR_OUTCOME_GOOD;
	if (verdict->then == STEP_HTTP_PAUSE) /* the item is to lose nothing by it */
		return WEIR_OUTCOME_RELEASED;
	if (verdict->then == STEP_HTTP_THROTTLED)
		return WEIR_OUTCOME_THROTTLED;
	if ((status == 401 || status == 403 || status == 407) && !verdict->is_said)
		return WEIR_OUTCOME_DENIED;
	if (status < 500)
		return WEIR_OUTCOME_GOOD;
	return is_of_no_service(status) ? WEIR_OUTCOME_FAILED : WEIR_OUTCOME_ERROR;
}

static enum weir_outcome outcome_of(const struct exchange *x)
{
	if (x->is_again) /* the connection has ended, which is not the upstream's fault */
		return WEIR_OUTCOME_RELEASED;
	switch (x->response.failure) {
	case HTTP_ANSWERED:
		return outcome_of_answer(&x->verdict, x->response.status);
	case HTTP_TOO_LARGE: /* it answers, and how */
		return WEIR_OUTCOME_GOOD;
	case HTTP_PROXY_DENIED:
		return WEIR_OUTCOME_DENIED;
	case HTTP_PROTOCOL: /* bytes of another answer say nothing of this one */
		return x->response.is_stray ? WEIR_OUTCOME_RELEASED : WEIR_OUTCOME_ERROR;
	case HTTP_TIMEOUT:
		return WEIR_OUTCOME_TIMED_OUT;
	case HTTP_NOT_ALLOWED: /* nobody was asked */
	case HTTP_BAD_URL:
		return WEIR_OUTCOME_RELEASED;
	default:
		return WEIR_OUTCOME_FAILED;
	}
}

void step_http_leave(struct step_call *call, const struct exchange *x, int error)
{
	struct weir_attempt *permit = call->permit;
	permit->outcome = WEIR_OUTCOME_RELEASED;
	if (error == 0) {
		permit->outcome = outcome_of(x);
		permit->hint = x->response.hint;
		if (x->verdict.then == STEP_HTTP_THROTTLED && x->verdict.after)
			permit->hint.retry_after = x->verdict.after;
		permit->took = x->response.took;
	} else if (error == WEIR_ETIMEDOUT) {
		permit->outcome = WEIR_OUTCOME_TIMED_OUT;
	}
	weir_attempt_leave(permit);
}

enum step_verdict step_http_excuse(struct step_call *call, enum step_verdict verdict)
{
	struct weir_attempt *permit = call->permit;
	if (verdict != STEP_OK && permit->gate && permit->outcome != WEIR_OUTCOME_GOOD)
		weir_gate_say(permit->gate, call->why);
	bool failed = verdict == STEP_RETRY || verdict == STEP_DEAD;
	if (verdict == STEP_REFUSED && permit->cut == WEIR_CUT_THROTTLED)
		return say_throttled(call);
	if (verdict != STEP_OK && verdict != STEP_DEAD && permit->cut == WEIR_CUT_GIVEN_UP)
		return say_given_up(call);
	return failed && weir_attempt_excused(permit, verdict == STEP_DEAD) ? STEP_REFUSED : verdict;
}
