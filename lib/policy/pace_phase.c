/* SPDX-License-Identifier: MIT */
/* How a phase of the search for the rate begins: pace_find.c shows how one follows the other. */
#include "policy/pace.h"
#include "policy/reckon.h"

#define SHARE      0.002 /* of calls that may be refused by climbs */
#define SHUT_SHARE 0.01  /* of time that may be spent shut because of them */

void weir__pace_enter(struct weir__pace *pace, enum weir__pace_phase phase, double rate, double wait, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	found->phase = phase;
	found->rate = rate;
	found->step_at = now + nsec(wait);
	found->trail[found->points++ % WEIR__PACE_TRAIL] = (struct weir__pace_mark){now, pace->sent, pace->refused};
	if (rate < found->slowest)
		found->slowest = rate;
	if (pace->at < now)
		pace->at = now;
}

void weir__pace_cushion(struct weir__pace *pace, weir_nsec now)
{
	const struct weir__pace_found *found = &pace->found;
	pace->at = now + WEIR__PACE_CATCH_UP + nsec(3 / found->rate + 0.2 * seconds(found->delay));
}

/* How long to hold before a climb, for its refusals to be few.  What is not sure yet is worth some. */
static double hold_time(const struct weir__pace_found *found)
{
	if (!found->sure)
		return most_of(0.3 + 6 * seconds(found->cost),
			       most_of(4 * seconds(found->delay), 20 / found->estimate));
	double refused = 1 + WEIR__PACE_CLIMB_BY * found->estimate * seconds(found->delay);
	double time = 1 + refused / (SHARE * found->estimate) + seconds(found->cost) / SHUT_SHARE;
	unsigned halvings = found->sure < 4 ? 4 - found->sure : 0;
	halvings = found->cost && halvings > 1 ? 1 : halvings;
	return most_of(time / (double)(1u << halvings), 1 + 4 * seconds(found->delay));
}

void weir__pace_hold(struct weir__pace *pace, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	double margin = found->sure < 2 && !found->cost ? 2 * WEIR__PACE_MARGIN : WEIR__PACE_MARGIN;
	found->overflowed = false;
	weir__pace_enter(pace, WEIR__PACE_HOLD, found->estimate * (1 - margin), hold_time(found), now);
	found->soon = 0;
	weir__pace_cushion(pace, now);
}

double weir__pace_step_time(const struct weir__pace_found *found, double least)
{
	return most_of(2 * seconds(found->delay), most_of(least, 5 / found->rate));
}

/* Far below what was known before, or next to nothing: there was trouble, and small steps would take for ever to leave
 * it behind. */
static bool is_far_below(const struct weir__pace_found *found)
{
	return found->rate < most_of(1, found->estimate / 8);
}

static void search_at(struct weir__pace *pace, double rate, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	found->rate = rate;
	weir__pace_enter(pace, WEIR__PACE_SEARCH, rate,
			 is_far_below(found) ? 2 / rate : weir__pace_step_time(found, 0.05), now);
}

void weir__pace_search(struct weir__pace *pace, double rate, weir_nsec now)
{
	struct weir__pace_found *found = &pace->found;
	found->sure = 0;
	search_at(pace, most_of(rate, most_of(0.1, found->estimate / 64)), now);
	pace->at = now + WEIR__PACE_CATCH_UP + nsec(1 / found->rate);
}

void weir__pace_search_on(struct weir__pace *pace, weir_nsec now)
{
	search_at(pace, (is_far_below(&pace->found) ? 2 : 1.15) * pace->found.rate, now);
}
