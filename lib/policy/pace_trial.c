/* SPDX-License-Identifier: MIT */
/*
 * Whether refusals are about the rate, or about the number at once.
 *
 * A limit on how many are under way at once also answers 429, and no rate helps: calls pile up by chance.  When HOLD is
 * refused again and again it is therefore tried, for a moment, to hold the number instead of the rate.  If nothing is
 * refused then and as much is let through, it is the number (TRIAL).
 */
#include "policy/pace.h"
#include "policy/reckon.h"

enum { STRIKES = 4, GRACE = 2000 };

static void blame(struct weir_pace *pace, bool blames, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	found->blames = blames;
	found->strikes = 0;
	found->blamed_calls = pace->sent + GRACE;
	if (blames)
		weir__pace_enter(pace, WEIR__PACE_FREE, 0, 0, now);
	else
		found->strikes_needed *= 2;
}

/* HOLD is refused again and again.  Whether fewer at once help is tried: no rate, but one less under way than there
 * were at the refused one that had the fewest. */
static void begin_trial(struct weir_pace *pace, const struct weir_sample *sample, const struct weir__pace_span *span)
{
	struct weir__pace_found *found = &pace->found;
	double latency = found->latency / 1e9;
	found->trial_rate = span->calls >= 5 ? least_of(found->rate, span->calls / span->open) : found->rate;
	found->at_once = found->fewest - 1;
	found->trial_from = sample->ended + nsec(latency);
	found->trial_until = found->trial_from + nsec(most_of(0.5, most_of(3 * latency, 200 / found->rate)));
	found->trial_calls = found->trial_refused = 0;
	weir__pace_enter(pace, WEIR__PACE_TRIAL, 0, 0, sample->ended);
}

static void end_trial(struct weir_pace *pace, bool helped, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	found->strikes = 0;
	if (helped) {
		blame(pace, true, now);
		return;
	}
	found->at_once = 0;
	found->strikes_needed *= 2;
	found->sure = 0;
	weir__pace_hold(pace, now);
}

bool weir__pace_strike(struct weir_pace *pace, const struct weir_sample *sample, const struct weir__pace_span *span)
{
	struct weir__pace_found *found = &pace->found;
	if (!found->strikes_needed)
		found->strikes_needed = STRIKES;
	if (!found->strikes || sample->in_flight < found->fewest)
		found->fewest = sample->in_flight;
	/* One that follows at once may be of a limit that has just changed. */
	if (found->strikes && sample->started < found->next_strike)
		return false;
	found->next_strike = sample->ended + nsec(most_of(0.1, 3 * found->latency / 1e9));
	if (++found->strikes < found->strikes_needed * (found->cost ? 2 : 1) || found->fewest < 4)
		return false;
	begin_trial(pace, sample, span);
	return true;
}

void weir__pace_refused_in_trial(struct weir_pace *pace, const struct weir_sample *sample)
{
	struct weir__pace_found *found = &pace->found;
	if (sample->in_flight <= found->at_once && sample->in_flight > 1)
		found->at_once = sample->in_flight - 1;
	if (++found->trial_refused >= 3)
		end_trial(pace, false, sample->ended);
}

void weir__pace_let_in_trial(struct weir_pace *pace, const struct weir_sample *sample)
{
	struct weir__pace_found *found = &pace->found;
	found->trial_calls += sample->ended >= found->trial_from;
	if (sample->ended < found->trial_until)
		return;
	double rate = (double)found->trial_calls / seconds(sample->ended - found->trial_from);
	end_trial(pace, rate >= 0.94 * found->trial_rate, sample->ended);
}

void weir__pace_doubt(struct weir_pace *pace, const struct weir_sample *sample)
{
	struct weir__pace_found *found = &pace->found;
	if (pace->sent <= found->blamed_calls) {
		found->blamed_refused = pace->refused;
		return;
	}
	double calls = (double)(pace->sent - found->blamed_calls);
	double refused = (double)(pace->refused - found->blamed_refused);
	if (calls < 1000)
		return;
	if (refused > 0.02 * calls) {
		blame(pace, false, sample->ended);
		weir__pace_search(pace, most_of(1, 0.9 * pace->recent), sample->ended);
		found->marked = false;
	}
	found->blamed_calls = pace->sent;
	found->blamed_refused = pace->refused;
}
