/* SPDX-License-Identifier: MIT */
/*
 * The rate that a server lets through: the law by which calls go out, and what the server tells of it.  What it does
 * not tell is found (pace_find.c).
 *
 * Calls are spaced evenly (GCRA).  Whoever came late may catch up by two milliseconds' worth: timers are late, servers
 * allow for more.
 */
#include "policy/pace.h"

#include <stdlib.h>

/* Windows up to here are spread evenly.  Of longer ones the first half may go as fast as it can: nobody wants to wait
 * an hour because 5,000 an hour are allowed. */
#define EVENLY (30 * WEIR_SEC)

int weir_pace_new(const struct weir_pace_options *opts, struct weir_pace **ret_pace)
{
	struct weir_pace *pace = calloc(1, sizeof *pace);
	if (!pace)
		return WEIR_ENOMEM;
	pace->options = *opts;
	if (!pace->options.longest)
		pace->options.longest = 300 * WEIR_SEC;
	pace->random = opts->seed;
	pace->told.share = 1;
	if (opts->per_sec > 0 && !opts->unpaced)
		weir__pace_go_on_from(pace, opts->per_sec);
	*ret_pace = pace;
	return 0;
}

void weir__pace_go_on_from(struct weir_pace *pace, double per_sec)
{
	pace->found = (struct weir__pace_found){
		.phase = WEIR__PACE_HOLD, .rate = per_sec, .estimate = per_sec / (1 - WEIR__PACE_MARGIN)};
}

void weir_pace_free(struct weir_pace *pace)
{
	free(pace);
}

/* ---- the law */

static double rate_now(const struct weir_pace *pace)
{
	return pace->told.per_sec > 0 ? pace->told.per_sec * pace->told.share : pace->found.rate;
}

static weir_nsec told_until(const struct weir_pace *pace, weir_nsec now)
{
	const struct weir__pace_told *told = &pace->told;
	return told->counts && told->left < 1 && told->reset_at > now ? told->reset_at : now;
}

weir_nsec weir_pace_next(const struct weir_pace *pace, weir_nsec now)
{
	weir_nsec at = now;
	if (rate_now(pace) > 0 && pace->at - WEIR__PACE_CATCH_UP > at)
		at = pace->at;
	if (pace->shut > at)
		at = pace->shut;
	weir_nsec told = told_until(pace, now);
	return told > at ? told : at;
}

static void measure_sending(struct weir_pace *pace, weir_nsec now)
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

static void tell_rest(struct weir_pace *pace, weir_nsec now);

void weir_pace_sent(struct weir_pace *pace, weir_nsec now)
{
	if (!pace->sent)
		pace->recent_from = now;
	pace->sent++;
	measure_sending(pace, now);
	if (pace->told.is_told)
		tell_rest(pace, now);
	if (pace->told.per_sec <= 0 && !pace->options.unpaced)
		weir__pace_advance(pace, now);
	double rate = rate_now(pace);
	if (rate <= 0)
		return;
	if (pace->at < now - WEIR__PACE_CATCH_UP)
		pace->at = now - WEIR__PACE_CATCH_UP;
	pace->at += (weir_nsec)(1e9 / rate + 0.5);
}

/* ---- what the server tells */

/* What is left of the window, spread over its rest. */
static void tell_rest(struct weir_pace *pace, weir_nsec now)
{
	struct weir__pace_told *told = &pace->told;
	double policy = told->quota > 0 && told->window > 0 ? told->quota * 1e9 / (double)told->window : 0;
	if (!told->counts || now >= told->reset_at) {
		told->per_sec = policy;
		return;
	}
	told->left -= 1;
	weir_nsec rest = told->reset_at - now;
	if (rest > EVENLY && !told->in_bursts_no && told->left > told->quota / 2)
		told->per_sec = 0;
	else
		told->per_sec = (told->left > 1 ? told->left : 1) * 1e9 / (double)(rest > WEIR_MSEC ? rest : WEIR_MSEC);
}

static void learn_counts(struct weir_pace *pace, const struct weir_sample *sample, const struct weir_told *news)
{
	struct weir__pace_told *told = &pace->told;
	weir_nsec reset_at = sample->ended + news->reset;
	double left = (double)news->left;
	if (sample->number < told->newest)
		return; /* overtaken by another answer */
	/* What is left in a window only falls; what rises again is another one, or no window. */
	bool is_same = told->counts && sample->ended < told->reset_at && left < told->least;
	/* Whole seconds, rounded up: the earliest end that was told is the nearest to the truth. */
	if (!is_same || reset_at < told->reset_at)
		told->reset_at = reset_at;
	told->newest = sample->number;
	told->least = left;
	told->left = left - (double)(pace->sent - sample->number);
	told->counts = true;
	if (left + 1 > told->quota && !told->window)
		told->quota = left + 1;
}

static void learn(struct weir_pace *pace, const struct weir_sample *sample, const struct weir_told *news)
{
	struct weir__pace_told *told = &pace->told;
	if (news->quota && news->window > 0) {
		told->quota = (double)news->quota;
		told->window = news->window;
	}
	if (news->counts && news->reset > 0)
		learn_counts(pace, sample, news);
	if (!told->counts && !told->window)
		return;
	if (!told->is_told) {
		told->is_told = true;
		tell_rest(pace, sample->ended);
	}
}

/* It lets less through than it says. */
static void refused_though_told(struct weir_pace *pace, const struct weir_sample *sample)
{
	struct weir__pace_told *told = &pace->told;
	if (sample->number <= pace->found.flight)
		return;
	pace->found.flight = pace->sent;
	if (told->share > 0.2)
		told->share *= 0.97;
	if (pace->shut <= sample->ended)
		pace->shut = sample->ended + 10 * WEIR_MSEC;
}

void weir_pace_add(struct weir_pace *pace, const struct weir_sample *sample, const struct weir_told *told)
{
	weir_nsec after = told ? told->retry_after : 0;
	bool is_refused = sample->outcome == WEIR_OUTCOME_THROTTLED;
	pace->ended++;
	if (after > pace->options.longest)
		after = pace->options.longest;
	if (after > 0 && sample->outcome != WEIR_OUTCOME_GOOD && sample->ended + after > pace->shut)
		pace->shut = sample->ended + after;
	if (pace->options.unpaced)
		return;
	if (told)
		learn(pace, sample, told);
	pace->told.in_bursts_no |= is_refused;
	if (is_refused && pace->told.per_sec > 0)
		refused_though_told(pace, sample);
	else if (is_refused)
		weir__pace_refused(pace, sample, told ? told->retry_after : 0);
	else if (sample->outcome != WEIR_OUTCOME_RELEASED)
		weir__pace_let_in(pace, sample);
}

/* ---- looking at it */

weir_nsec weir_pace_shut_until(const struct weir_pace *pace, weir_nsec now)
{
	weir_nsec told = told_until(pace, now);
	weir_nsec until = pace->shut > told ? pace->shut : told;
	return until > now ? until : 0;
}

double weir_pace_per_sec(const struct weir_pace *pace)
{
	return rate_now(pace);
}

double weir__pace_learnt(const struct weir_pace *pace)
{
	const struct weir__pace_found *found = &pace->found;
	if (pace->told.is_told || found->phase == WEIR__PACE_FREE)
		return 0;
	return found->estimate > 0 ? found->estimate * (1 - WEIR__PACE_MARGIN) : found->rate;
}

bool weir_pace_is_told(const struct weir_pace *pace)
{
	return pace->told.is_told;
}

bool weir_pace_blames_concurrency(const struct weir_pace *pace)
{
	return pace->found.blames;
}

size_t weir_pace_at_once(const struct weir_pace *pace)
{
	return pace->number.most;
}
