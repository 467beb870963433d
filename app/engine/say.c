/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with an upstream, in a sentence: what it does, what becomes of its items, when it is asked next, what
 * to do.  Notes say it when it begins, `weir status` and the progress say it all the time.
 */
#include "engine/parts.h"

#include "data/units.h"

#include <stdio.h>
#include <string.h>
#include <weir/weir.h>

/* Those that wait for less are not worth a note. */
#define LONG_WAIT (30 * WEIR_SEC)

/* "in 0.4 s", "in 12 s", "in 5 m 30 s"; or that it is due. */
static const char *in_time(weir_nsec at, char text[48])
{
	weir_nsec wait = at - weir_now();
	char seconds[32];
	if (wait > 0)
		snprintf(text, 48, "in %s", units_seconds_text((double)wait / (double)WEIR_SEC, seconds));
	else
		snprintf(text, 48, "now");
	return text;
}

/* "http://api.example.com:80" without what everybody knows. */
static const char *host(const struct engine_flow *flow)
{
	const char *behind = strstr(flow->upstream, "://");
	return behind ? behind + 3 : flow->upstream;
}

/* "status: 401" is answered as 401. */
static const char *answer(const struct engine_flow *flow, char text[64])
{
	const char *said = flow->last_failure;
	snprintf(text, 64, "%.63s", !strncmp(said, "status: ", 8) ? said + 8 : said);
	return text;
}

static void say_denied(const struct engine_flow *flow, char *text, size_t size)
{
	char what[64], when[48];
	snprintf(text, size,
		 "%s answers %s to %u of the last %u calls: check the credentials; items wait, next probe %s",
		 host(flow), answer(flow, what), flow->denied, flow->denied_of, in_time(flow->breaker_until, when));
}

static void say_breaker(const struct engine_life *life, const struct engine_flow *flow, char *text, size_t size)
{
	bool defers = life->plan->settings.breaker_when_open == WHEN_OPEN_DEFER;
	char when[48], last[140] = "";
	if (flow->last_failure[0])
		snprintf(last, sizeof last, " (%s)", flow->last_failure);
	snprintf(text, size, "%s fails%s; %s, next probe %s%s", host(flow), last,
		 defers ? "items wait" : "its items fail", in_time(flow->breaker_until, when),
		 flow->good ? "" : "; no call has succeeded yet: is the address right?");
}

/* Nobody was called: there are no credentials to do it with. */
static bool is_about_credentials(const struct engine_flow *flow)
{
	bool is_open = flow->denied_of || flow->breaker != WEIR_BREAKER_CLOSED;
	return is_open && !strncmp(flow->last_failure, "auth: ", 6);
}

static void say_credentials(const struct engine_life *life, const struct engine_flow *flow, char *text, size_t size)
{
	bool defers = life->plan->settings.breaker_when_open == WHEN_OPEN_DEFER;
	char when[48];
	snprintf(text, size, "%s; %s, next attempt %s", flow->last_failure, defers ? "items wait" : "items fail",
		 in_time(flow->breaker_until, when));
}

static void say_shut(const struct engine_flow *flow, char *text, size_t size)
{
	char what[64], when[48];
	if (flow->shut_hinted)
		snprintf(text, size, "%s asks to wait (Retry-After); next call %s", host(flow),
			 in_time(flow->shut_until, when));
	else if (flow->shut_until > weir_now())
		snprintf(text, size, "%s answers %s without Retry-After; items wait, next call %s", host(flow),
			 answer(flow, what), in_time(flow->shut_until, when));
	else
		snprintf(text, size, "%s answers %s to the items that are left; they wait", host(flow),
			 answer(flow, what));
}

void engine_say(const struct engine_life *life, struct engine_flow *flow)
{
	flow->trouble[0] = 0;
	if (life->state != ENGINE_RUNNING || flow->why == WHY_PAUSED)
		return;
	if (is_about_credentials(flow))
		say_credentials(life, flow, flow->trouble, sizeof flow->trouble);
	else if (flow->denied_of)
		say_denied(flow, flow->trouble, sizeof flow->trouble);
	else if (flow->breaker != WEIR_BREAKER_CLOSED)
		say_breaker(life, flow, flow->trouble, sizeof flow->trouble);
	else if (flow->why == WHY_SHUT || flow->why == WHY_THROTTLED)
		say_shut(flow, flow->trouble, sizeof flow->trouble);
}

/* What a note is about; another one of these is worth another note. */
static enum engine_trouble trouble_of(const struct engine_flow *flow)
{
	if (flow->denied_of)
		return TROUBLE_IS_DENIED;
	if (flow->breakers_open)
		return TROUBLE_IS_DOWN;
	bool is_long = flow->shut_until > weir_now() + LONG_WAIT;
	return is_long && flow->trouble[0] ? TROUBLE_IS_SHUT : TROUBLE_IS_NONE;
}

/* Said when an upstream gets into trouble, and when all are out of it. */
void engine_tell_trouble(const struct engine_life *life, struct engine_announced *announced,
			 const struct engine_flow *flow)
{
	enum engine_trouble trouble = trouble_of(flow), before = announced->trouble;
	if (trouble == before || life->state != ENGINE_RUNNING)
		return;
	announced->trouble = trouble;
	if (trouble != TROUBLE_IS_NONE)
		engine_note(life, "%s", flow->trouble);
	else if (before != TROUBLE_IS_SHUT)
		engine_note(life, "%s is back", host(flow));
}
