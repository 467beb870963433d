/* SPDX-License-Identifier: MIT */
/*
 * Whether refusals are about the rate, or about the number at once.
 *
 * A limit on how many are under way at once also answers 429, and no rate helps: calls pile up by chance.  What tells
 * it is how many were under way when a call was sent.  Of a limit on the number each that was refused had more than any
 * that was let in, but for those on their way through the network.  Of a limit on the rate, as soon as it goes slower,
 * calls are refused with fewer under way than others were let in with.
 *
 *     under way       10 . . . . 20 . . . . 30 . . . . 40 . . . . 50 . . . . 60
 *     the number      +++++++++++++++++++++++++++++++++++++++++++++-----           + let in
 *     the rate        ++++++++++++++++++++--+-+--+-++--+-+++++++++---              - refused
 *
 * So if they do not overlap it is tried, for a moment, to hold the number instead of the rate: one less than there were
 * at the refused one that had the fewest (TRIAL).  If nothing is refused then and as much is let through, it is the
 * number (pace_number.c).  As numbers can overlap by chance, it is also tried when HOLD is refused again and again.
 */
#include "policy/pace.h"
#include "policy/reckon.h"

enum { STRIKES = 4, TRIALS = 2, REFUSED_MOST = 3, FALLS = 2, TURNS = 10, NEWS_MOST = 12, NEWS_MANY = 5 };

/* Those that were refused had more under way than those that were let in.  Some of them were still, or again, in the
 * network: by chance more or less, up to so many times what is usual. */
static bool is_apart(const struct weir__pace_found *found, double chance)
{
	double least = (double)found->least_out;
	return least + 1 + chance * root(weir__pace_in_network(found, least)) > (double)found->most_in;
}

bool weir__pace_is_apart(const struct weir__pace *pace)
{
	return pace->found.least_out >= 2 && is_apart(&pace->found, 2);
}

/* Only what is sent from now on tells whether they are. */
static void forget(struct weir__pace *pace)
{
	pace->found.evidence_from = pace->sent;
	pace->found.most_in = pace->found.least_out = 0;
	pace->found.news = 0;
	pace->found.back = 0;
}

/* So many at once, and no rate; this much is to be let through. */
static void begin_trial(struct weir__pace *pace, size_t concurrency, double per_sec, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	double latency = found->latency / 1e9;
	found->trial_before = found->rate;
	found->trial_rate = per_sec;
	found->trial_length = nsec(most_of(0.5, most_of(3 * latency, 200 / found->rate)));
	found->trial_from = (pace->shut > now ? pace->shut : now) + nsec(latency);
	found->trial_calls = found->trial_refused = 0;
	weir__pace_number_begin(pace, concurrency);
	weir__pace_enter(pace, WEIR__PACE_TRIAL, 0, 0, now);
}

static void end_trial(struct weir__pace *pace, bool helped, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	found->strikes = 0;
	found->blames = helped;
	if (helped) {
		weir__pace_number_begin(pace, pace->number.most);
		weir__pace_enter(pace, WEIR__PACE_FREE, 0, 0, now);
		return;
	}
	pace->number = (struct weir__pace_number){0};
	found->trials++;
	found->strikes_needed *= 2;
	found->sure = 0;
	if (found->estimate > 0)
		weir__pace_hold(pace, now);
	else
		weir__pace_search(pace, found->trial_before, now);
}

/* The number is not what they are refused for, or no longer. */
static void acquit(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	found->blames = found->marked = false;
	pace->number = (struct weir__pace_number){0};
	forget(pace);
	weir__pace_search(pace, most_of(1, 0.9 * pace->recent), now);
}

void weir__pace_doubt(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_number *number = &pace->number;
	/* A limit that falls does so once, and lets in as many as before for a while. */
	if (!is_apart(&pace->found, 4)) {
		number->falls = number->turns < TURNS ? number->falls + 1 : 1;
		number->turns = 0;
		forget(pace);
	}
	if (number->falls >= FALLS || pace->flight.calls < 2)
		acquit(pace, sample->ended);
}

/* HOLD is refused again and again. */
static bool is_struck_out(struct weir__pace *pace, const struct weir__sample *sample)
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
	return ++found->strikes >= found->strikes_needed * (found->cost ? 2 : 1) && found->fewest >= 4;
}

/* Whether it is worth a trial.  One is dear where the server shuts for long. */
static bool is_likely(const struct weir__pace *pace, weir_nsec now)
{
	const struct weir__pace_found *found = &pace->found;
	double calls = (double)pace->flight.calls, least = (double)found->least_out;
	double by_chance = 2 * root(weir__pace_in_network(found, least));
	/* What was under way at the first of them has come back. */
	if (found->latency <= 0 || (double)(now - found->first_out) < 2 * found->latency)
		return false;
	if (found->back < 10 || (double)found->back < calls)
		return false;
	/* A bunch of calls says little: a bucket lets in so many at once. */
	if (found->news < NEWS_MANY && found->rate * found->latency / 1e9 > 1.5 * calls + 2)
		return false;
	if (found->cost && (found->news < 3 || by_chance > 0.25 * least))
		return false;
	return found->news >= 2 && least >= 2 && is_apart(found, 2);
}

/* It goes faster and faster, and what is under way follows a latency later: what is let through is the less of both. */
static double expected(const struct weir__pace *pace)
{
	return 0.7 * least_of(pace->found.rate, (double)pace->flight.calls * 1e9 / pace->found.latency);
}

bool weir__pace_suspect(struct weir__pace *pace, const struct weir__sample *sample, const struct weir__pace_span *span)
{
	struct weir__pace_found *found = &pace->found;
	if (found->phase == WEIR__PACE_FREE || found->phase == WEIR__PACE_TRIAL || found->phase == WEIR__PACE_WINDOW)
		return false;
	if (found->trials < TRIALS && is_likely(pace, sample->ended)) {
		size_t least = found->least_out - 1;
		/* Another refusal would be dearer than a few less. */
		if (found->cost)
			least -= (size_t)least_of(weir__pace_in_network(found, (double)least), (double)least / 50);
		begin_trial(pace, least, expected(pace), sample->ended);
		return true;
	}
	/* It finds no rate: it may be that only at first, in a crowd, they were not apart. */
	if (found->estimate <= 0 && found->news >= NEWS_MOST)
		forget(pace);
	if (found->phase != WEIR__PACE_HOLD || !is_struck_out(pace, sample))
		return false;
	double passed = span->calls >= 5 ? least_of(found->rate, span->calls / span->open) : found->rate;
	begin_trial(pace, found->fewest - 1, 0.94 * passed, sample->ended);
	forget(pace);
	return true;
}

/* A limit on the number lets in what it let in before, but for some in the network; on the rate it is less. */
static bool is_less(const struct weir__pace *pace)
{
	double begun = (double)pace->number.fine;
	return (double)pace->number.most < begun - 1 - 3 * root(weir__pace_in_network(&pace->found, begun));
}

bool weir__pace_refused_in_trial(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_found *found = &pace->found;
	if (++found->trial_refused >= REFUSED_MOST || is_less(pace)) {
		end_trial(pace, false, sample->ended);
		return found->phase == WEIR__PACE_SEARCH;
	}
	if (pace->shut > sample->ended) {
		found->trial_from = pace->shut + nsec(found->latency / 1e9);
		found->trial_calls = 0;
	}
	return false;
}

void weir__pace_let_in_trial(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_found *found = &pace->found;
	found->trial_calls += sample->ended >= found->trial_from;
	if (sample->ended < found->trial_from + found->trial_length)
		return;
	double rate = (double)found->trial_calls / seconds(sample->ended - found->trial_from);
	end_trial(pace, rate >= found->trial_rate && is_apart(found, 4), sample->ended);
}
