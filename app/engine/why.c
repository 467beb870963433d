/* SPDX-License-Identifier: MIT */
/* See why.h.  To add a cause: a row in ENGINE_WHYS and one here; and its words in cmd/bottleneck.c. */
#include "engine/why.h"

#include <math.h>

/* Half is forgotten in so many seconds.  What holds the run back changes from look to look; calls come in lumps. */
#define HELD_HALF 1.0
#define USED_HALF 5.0

/* A rate of which that share passes lets no more pass: calls do not come evenly. */
#define USED_UP 0.9

/* Of each cause: the resource that is in use all the time (USES: none is), and where its time counts. */
static const struct {
	enum why_use use;
	enum why_place place;
	bool is_hold;
} causes[WHYS] = {
	[WHY_END] = {USES, SPENT_IDLE, false},
	[WHY_UPSTREAM] = {USE_CALLS, SPENT_UPSTREAM, false},
	[WHY_STEPS] = {USES, SPENT_MACHINE, false},
	[WHY_CONCURRENCY] = {USE_CALLS, SPENT_UPSTREAM, false},
	[WHY_RATE_OWN] = {USE_RATE, SPENT_RATE, false},
	[WHY_RATE_HINT] = {USE_RATE, SPENT_RATE, false},
	[WHY_RATE_FOUND] = {USE_RATE, SPENT_RATE, false},
	[WHY_SHUT] = {USES, SPENT_RATE, true},
	[WHY_THROTTLED] = {USES, SPENT_RATE, true},
	[WHY_BREAKER] = {USES, SPENT_RETRIES, true},
	[WHY_DENIED] = {USES, SPENT_RETRIES, true},
	[WHY_RETRIES] = {USES, SPENT_RETRIES, true},
	[WHY_PAUSED] = {USES, SPENT_IDLE, true},
	[WHY_DISK] = {USES, SPENT_SINK, true},
	[WHY_MEMORY] = {USES, SPENT_MACHINE, false},
	[WHY_SOURCE] = {USE_SOURCE, SPENT_IDLE, false},
	[WHY_ORDER] = {USES, SPENT_SINK, false},
	[WHY_SINK] = {USE_SINK, SPENT_SINK, false},
	[WHY_BROKER] = {USE_BROKER, SPENT_SINK, false},
	[WHY_CPU] = {USE_CPU, SPENT_MACHINE, false},
};

const char *engine_why_name(enum engine_why why)
{
	static const char *const names[] = {
#define ENGINE_X(name, text) text,
		ENGINE_WHYS(ENGINE_X)
#undef ENGINE_X
	};
	return names[why];
}

const char *why_place_name(enum why_place place)
{
	static const char *const names[SPENT_PLACES] = {"upstream",     "rate limit", "retries",
							"this machine", "sink",       "idle"};
	return names[place];
}

bool why_is_hold(enum engine_why why)
{
	return causes[why].is_hold;
}

void why_add(struct why_spent *spent, double seconds, enum engine_why why, const double shares[USES])
{
	spent->seconds += seconds;
	spent->held[why] += seconds;
	spent->used_seconds += seconds;
	for (size_t i = 0; i < USES; i++)
		spent->used[i] += seconds * fmax(shares[i], 0);
}

void why_forget(struct why_spent *spent, double seconds)
{
	double kept = exp2(-seconds / HELD_HALF), kept_used = exp2(-seconds / USED_HALF);
	spent->seconds *= kept;
	spent->used_seconds *= kept_used;
	for (size_t i = 0; i < WHYS; i++)
		spent->held[i] *= kept;
	for (size_t i = 0; i < USES; i++)
		spent->used[i] *= kept_used;
}

static double share_of(double part, double all)
{
	return all > 0 ? fmin(part / all, 1) : 0;
}

enum kinds { ALL, NO_HOLDS, RATES };

static bool is_of(enum engine_why why, enum kinds kinds)
{
	return kinds == ALL || (kinds == NO_HOLDS ? !causes[why].is_hold : causes[why].use == USE_RATE);
}

/* The largest of that kind; WHY_END: there is none. */
static enum engine_why largest(const struct why_spent *spent, enum kinds kinds)
{
	enum engine_why most = WHY_END;
	for (enum engine_why why = WHY_END + 1; why < WHYS; why++)
		if (spent->held[why] > (most == WHY_END ? 0 : spent->held[most]) && is_of(why, kinds))
			most = why;
	return most;
}

/* Before a gate that lets few calls in at once, calls wait for one another, and then for the rate: both are seen.  It
 * is the rate if that is used up. */
static enum engine_why most_of(const struct why_spent *spent, enum kinds kinds)
{
	enum engine_why most = largest(spent, kinds), rate = largest(spent, RATES);
	bool is_used_up = share_of(spent->used[USE_RATE], spent->used_seconds) >= USED_UP;
	return causes[most].use == USE_CALLS && rate != WHY_END && is_used_up ? rate : most;
}

enum engine_why why_most(const struct why_spent *spent)
{
	return most_of(spent, ALL);
}

enum engine_why why_of_late(const struct why_spent *late, enum engine_why now)
{
	enum engine_why most = now == WHY_END || causes[now].is_hold ? now : most_of(late, NO_HOLDS);
	return most == WHY_END ? now : most;
}

static double faster_with_twice(const struct why_spent *spent, enum why_use binding, enum why_use twice)
{
	double most = 0;
	for (enum why_use use = 0; use < USES; use++) {
		double share = use == binding ? 1 : share_of(spent->used[use], spent->used_seconds);
		most = fmax(most, use == twice ? share / 2 : share);
	}
	return 1 / most < WHY_DIFFERENCE ? 1 : 1 / most;
}

static void add_if(const struct why_spent *spent, enum why_use binding, enum why_use twice, struct why *why)
{
	why->ifs[why->if_count++] = (struct why_if){twice, faster_with_twice(spent, binding, twice)};
}

void why_explain(const struct why_spent *spent, enum engine_why cause, struct why *ret_why)
{
	enum why_use binding = causes[cause].use;
	*ret_why = (struct why){.cause = cause, .share = share_of(spent->held[cause], spent->seconds)};
	if (binding == USES)
		return;
	if (binding != USE_CPU && binding != USE_BROKER)
		add_if(spent, binding, binding, ret_why);
	if (binding != USE_CALLS)
		add_if(spent, binding, USE_CALLS, ret_why);
	else if (cause == WHY_CONCURRENCY && spent->used[USE_RATE] > 0)
		add_if(spent, binding, USE_RATE, ret_why);
}

void why_places(const struct why_spent *spent, double ret_seconds[SPENT_PLACES])
{
	for (size_t i = 0; i < SPENT_PLACES; i++)
		ret_seconds[i] = 0;
	for (enum engine_why why = WHY_END; why < WHYS; why++)
		ret_seconds[causes[why].place] += spent->held[why];
}
