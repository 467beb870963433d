/* SPDX-License-Identifier: MIT */
/*
 * The rate that a server lets through: the law by which calls go out, and what the server states of it.  What it does
 * not state is found (pace_find.c).
 *
 * Calls are spaced evenly (GCRA).  Whoever came late may catch up by two milliseconds' worth: timers are late, servers
 * allow for more.
 */
#include "policy/pace.h"

#include <stdlib.h>

/* Windows up to here are spread evenly.  Of longer ones the first half may go as fast as it can: nobody wants to wait
 * an hour because 5,000 an hour are allowed. */
#define EVENLY (30 * WEIR_SEC)

int weir__pace_new(const struct weir__pace_options *opts, struct weir__pace **ret_pace)
{
	struct weir__pace *pace = calloc(1, sizeof *pace);
	if (!pace)
		return WEIR_ENOMEM;
	pace->options = *opts;
	if (!pace->options.longest)
		pace->options.longest = 300 * WEIR_SEC;
	pace->random = opts->seed;
	pace->hint.share = 1;
	pace->callers = 1;
	if (opts->per_sec > 0 && !opts->unpaced)
		weir__pace_go_on_from(pace, opts->per_sec);
	*ret_pace = pace;
	return 0;
}

void weir__pace_go_on_from(struct weir__pace *pace, double per_sec)
{
	pace->found = (struct weir__pace_found){
		.phase = WEIR__PACE_HOLD, .rate = per_sec, .estimate = per_sec / (1 - WEIR__PACE_MARGIN)};
}

void weir__pace_free(struct weir__pace *pace)
{
	free(pace);
}

/* ---- the law */

static double rate_now(const struct weir__pace *pace)
{
	return pace->hint.per_sec > 0 ? pace->hint.per_sec * pace->hint.share / pace->callers : pace->found.rate;
}

static weir_nsec hint_until(const struct weir__pace *pace, weir_nsec now)
{
	const struct weir__pace_hint *hint = &pace->hint;
	return hint->counts && hint->left < 1 && hint->reset_at > now ? hint->reset_at : now;
}

weir_nsec weir__pace_next(const struct weir__pace *pace, weir_nsec now)
{
	weir_nsec at = now;
	if (rate_now(pace) > 0 && pace->at - WEIR__PACE_CATCH_UP > at)
		at = pace->at;
	if (pace->shut > at)
		at = pace->shut;
	weir_nsec hint = hint_until(pace, now);
	return hint > at ? hint : at;
}

static void measure_sending(struct weir__pace *pace, weir_nsec now)
{
	weir_nsec took = now - pace->recent_from;
	uint64_t calls = pace->sent - pace->recent_sent;
	if (calls < 10 || took < WEIR_MSEC)
		return;
	pace->recent = (double)calls * 1e9 / (double)took;
	if (calls < 200 && took < 50 * WEIR_MSEC)
		return;
	pace->recent_from = now;
	pace->recent_sent = pace->sent;
}

static void tell_rest(struct weir__pace *pace, weir_nsec now);

void weir__pace_sent(struct weir__pace *pace, weir_nsec now)
{
	if (!pace->sent)
		pace->recent_from = now;
	pace->sent++;
	measure_sending(pace, now);
	if (pace->hint.is_hinted)
		tell_rest(pace, now);
	if (pace->hint.per_sec <= 0 && !pace->options.unpaced)
		weir__pace_advance(pace, now);
	double rate = rate_now(pace);
	if (rate <= 0)
		return;
	if (pace->at < now - WEIR__PACE_CATCH_UP)
		pace->at = now - WEIR__PACE_CATCH_UP;
	pace->at += (weir_nsec)(1e9 / rate + 0.5);
}

/* ---- what the server states */

/* What is left of the window, spread over its rest. */
static void tell_rest(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_hint *hint = &pace->hint;
	double policy = hint->quota > 0 && hint->window > 0 ? hint->quota * 1e9 / (double)hint->window : 0;
	if (!hint->counts || now >= hint->reset_at) {
		hint->per_sec = policy;
		return;
	}
	hint->left -= 1;
	weir_nsec rest = hint->reset_at - now;
	if (rest > EVENLY && !hint->in_bursts_no && hint->left > hint->quota / 2)
		hint->per_sec = 0;
	else
		hint->per_sec = (hint->left > 1 ? hint->left : 1) * 1e9 / (double)(rest > WEIR_MSEC ? rest : WEIR_MSEC);
}

static void learn_counts(struct weir__pace *pace, const struct weir__sample *sample, const struct weir_hint *news)
{
	struct weir__pace_hint *hint = &pace->hint;
	weir_nsec reset_at = sample->ended + news->reset;
	double left = (double)news->left;
	if (sample->number < hint->newest)
		return; /* overtaken by another answer */
	/* What is left in a window only falls; what rises again is another one, or no window. */
	bool is_same = hint->counts && sample->ended < hint->reset_at && left < hint->least;
	/* Whole seconds, rounded up: the earliest end that was stated is the nearest to the truth. */
	if (!is_same || reset_at < hint->reset_at)
		hint->reset_at = reset_at;
	hint->newest = sample->number;
	hint->least = left;
	hint->left = left - (double)(pace->sent - sample->number);
	hint->counts = true;
	if (left + 1 > hint->quota && !hint->window)
		hint->quota = left + 1;
}

static void learn(struct weir__pace *pace, const struct weir__sample *sample, const struct weir_hint *news)
{
	struct weir__pace_hint *hint = &pace->hint;
	if (news->quota && news->window > 0) {
		hint->quota = (double)news->quota;
		hint->window = news->window;
	}
	if (news->counts && news->reset > 0)
		learn_counts(pace, sample, news);
	if (!hint->counts && !hint->window)
		return;
	if (!hint->is_hinted) {
		hint->is_hinted = true;
		tell_rest(pace, sample->ended);
	}
}

/* It lets less through than it says. */
static void refused_though_hinted(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_hint *hint = &pace->hint;
	if (sample->number <= pace->found.flight)
		return;
	pace->found.flight = pace->sent;
	if (hint->share > 0.2)
		hint->share *= 0.97;
	if (pace->shut <= sample->ended)
		pace->shut = sample->ended + 10 * WEIR_MSEC;
}

void weir__pace_ask(struct weir__pace *pace, weir_nsec until, weir_nsec now)
{
	if (until > now + pace->options.longest)
		until = now + pace->options.longest;
	if (until > pace->asked)
		pace->asked = until;
	if (pace->asked > pace->shut)
		pace->shut = pace->asked;
}

void weir__pace_add(struct weir__pace *pace, const struct weir__sample *sample, const struct weir_hint *hint)
{
	weir_nsec after = hint ? hint->retry_after : 0;
	bool is_refused = sample->outcome == WEIR_OUTCOME_THROTTLED;
	pace->ended++;
	if (after > 0 && sample->outcome != WEIR_OUTCOME_GOOD)
		weir__pace_ask(pace, sample->ended + after, sample->ended);
	if (pace->options.unpaced)
		return;
	if (hint)
		learn(pace, sample, hint);
	pace->hint.in_bursts_no |= is_refused;
	if (is_refused && pace->hint.per_sec > 0)
		refused_though_hinted(pace, sample);
	else if (is_refused)
		weir__pace_refused(pace, sample, hint ? hint->retry_after : 0);
	else if (sample->outcome != WEIR_OUTCOME_RELEASED)
		weir__pace_let_in(pace, sample);
}

/* ---- looking at it */

weir_nsec weir__pace_shut_until(const struct weir__pace *pace, weir_nsec now)
{
	weir_nsec hint = hint_until(pace, now);
	weir_nsec until = pace->shut > hint ? pace->shut : hint;
	return until > now ? until : 0;
}

bool weir__pace_is_asked(const struct weir__pace *pace, weir_nsec now)
{
	return pace->asked > now || hint_until(pace, now) > now;
}

double weir__pace_per_sec(const struct weir__pace *pace)
{
	return rate_now(pace);
}

double weir__pace_snapshot(const struct weir__pace *pace)
{
	const struct weir__pace_found *found = &pace->found;
	if (pace->hint.is_hinted || found->phase == WEIR__PACE_FREE)
		return 0;
	return found->estimate > 0 ? found->estimate * (1 - WEIR__PACE_MARGIN) : found->rate;
}

bool weir__pace_is_hinted(const struct weir__pace *pace)
{
	return pace->hint.is_hinted;
}

bool weir__pace_blames_concurrency(const struct weir__pace *pace)
{
	return pace->found.blames;
}

size_t weir__pace_concurrency(const struct weir__pace *pace)
{
	return pace->number.most;
}
