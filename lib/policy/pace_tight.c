/* SPDX-License-Identifier: MIT */
/*
 * A bucket of one token: each call that comes a little early is refused, and what is not used is lost.
 *
 * What was let through between two refusals says little of its rate then, since nothing is ever saved.  But every
 * single call says on which side of it the interval before was.  So the rate is found by halving what is left between
 * the highest one that was let in for a few calls and the lowest one that was refused.
 *
 * Calls do not arrive as evenly as they are sent, and which margin that takes nobody knows: it is the one with which
 * one call in some hundred is refused.  A refusal lowers the rate, more if it comes soon; a hundred calls without one
 * raise it a little, and if that goes on for long, more and more.
 */
#include "policy/pace.h"
#include "policy/reckon.h"

enum { BLOCK = 100, BLOCK_FIRST = 20, CALM = 4, SOON = 5, SOON_MOST = 3 };

#define NEAR       1.012 /* the halving ends */
#define COARSE     1.3
#define MARGIN     0.025 /* to begin with */
#define STEP_FIRST 0.008
#define STEP       0.003
#define STEP_MOST  0.2
#define CUT        0.01
#define CUT_MOST   0.2
#define FASTEST    100 /* per s; of faster ones timers are not exact enough to tell */

static void try_rate(struct weir__pace *pace, double rate, weir_nsec now)
{
	struct weir__pace_tight *tight = &pace->tight;
	tight->from = pace->sent;
	tight->calls = 0;
	pace->found.estimate = rate / (1 - WEIR__PACE_MARGIN);
	weir__pace_enter(pace, WEIR__PACE_TIGHT, rate, 0, now);
}

static bool is_found(const struct weir__pace_tight *tight)
{
	return tight->lo > 0 && tight->hi < NEAR * tight->lo;
}

/* The next one in between. */
static void halve(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_tight *tight = &pace->tight;
	if (is_found(tight))
		try_rate(pace, tight->lo * (1 - MARGIN), now);
	else
		try_rate(pace, tight->lo > 0 ? __builtin_sqrt(tight->lo * tight->hi) : tight->hi / 2, now);
	tight->step = STEP_FIRST;
	tight->cut = CUT;
	tight->block = BLOCK_FIRST;
	tight->calm = 0;
}

bool weir__pace_is_tight(const struct weir__pace *pace)
{
	const struct weir__pace_found *found = &pace->found;
	return found->phase == WEIR__PACE_SEARCH && !found->first_flight && found->run_calls >= 1 &&
	       found->run_calls <= 2 && found->rate < FASTEST;
}

void weir__pace_tighten(struct weir__pace *pace, weir_nsec now)
{
	pace->tight = (struct weir__pace_tight){.hi = pace->found.rate};
	halve(pace, now);
}

static void lower(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_tight *tight = &pace->tight;
	tight->soon = tight->since < SOON ? tight->soon + 1 : 0;
	tight->cut = tight->since < BLOCK_FIRST ? least_of(CUT_MOST, 2 * tight->cut) : CUT;
	if (tight->soon >= SOON_MOST) {
		weir__pace_tighten(pace, now);
		return;
	}
	try_rate(pace, pace->found.rate * (1 - tight->cut), now);
	tight->step = STEP;
	tight->block = BLOCK;
	tight->calm = 0;
}

void weir__pace_tight_refused(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_tight *tight = &pace->tight;
	pace->refused++;
	if (sample->number <= tight->from)
		return;
	if (is_found(tight)) {
		lower(pace, sample->ended);
	} else {
		tight->hi = pace->found.rate;
		halve(pace, sample->ended);
	}
	tight->since = 0;
	pace->at = sample->ended + WEIR__PACE_CATCH_UP + nsec(1 / pace->found.rate);
}

void weir__pace_tight_let_in(struct weir__pace *pace, const struct weir__sample *sample)
{
	struct weir__pace_tight *tight = &pace->tight;
	if (sample->number <= tight->from)
		return;
	tight->calls++;
	tight->since++;
	weir_nsec at = pace->at;
	if (!is_found(tight) && tight->calls >= (tight->lo <= 0 || tight->hi > COARSE * tight->lo ? 3 : 6)) {
		tight->lo = pace->found.rate;
		halve(pace, sample->ended);
	} else if (tight->calls >= tight->block) {
		if (++tight->calm > CALM && tight->block == BLOCK)
			tight->step = least_of(STEP_MOST, 2 * tight->step);
		try_rate(pace, pace->found.rate * (1 + tight->step), sample->ended);
	}
	pace->at = at;
}
