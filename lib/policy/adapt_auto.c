/* SPDX-License-Identifier: MIT */
/*
 * `auto`: a limit on concurrency by experiments.
 *
 * Time is cut into windows.  In each the limit stands still, first for a round trip, so that what was sent under the
 * old limit is gone, then for as long as it takes to tell a gain from chance.  A window gives the throughput X, the
 * latency R and the calls under way N (X * R = N, Little's law), and with the minimum latency F, the latency without
 * queueing, the calls that queue in the server: N * (1 - F / R).  A queue of about three times the root of N keeps a
 * server busy that is not quite regular; more only adds latency.
 *
 *     START ---- no gain ----> CRUISE <---- UP    a bit more at once: kept if the queue stays short or X gains
 *       ^                        | ^------- DOWN  the queue is too long: kept unless X falls as N does; if it does,
 *       |                        | |              the calls are slower by themselves, and the minimum latency was wrong
 *       '-- after an outage -----' '------- CURE  calls fail: kept if fewer fail now; if as many do, it was not us
 *                                '--------- DRAIN the queue is emptied for a moment, to see the minimum latency
 *
 * A window in which the limit was not reached proves nothing about it.  When calls begin to fail in a window that was
 * an experiment it ends at once, with the third, and what was tried becomes the ceiling, which is tried again later and
 * later.  Throttled calls say nothing here, they are the pace's.
 *
 * adapt_measure.c says what a window shows; this file is what follows from it.
 */
#include "policy/adapt_measure.h"
#include "policy/reckon.h"

enum { BAD_LEAST = 3 };

#define PATIENCE_MOST (2 * WEIR_SEC)
#define DRAIN_EVERY   (10 * WEIR_SEC)
#define LOSS          0.3  /* of what N fell by, X may */
#define QUEUE         3.0  /* wanted, in roots of N */
#define QUEUE_LONG    4.5  /* from here on it is too much */
#define NATURAL_MOST  0.3  /* a larger share of failures is never natural, unless they are answered */
#define NATURAL_FIRST 0.02 /* in the slow start, share of failures that there may be */
#define SHALLOW       0.75 /* a cure of more than this share of the limit */
#define DEEPER        0.7
#define TOLERATED     0.001 /* share of failures that is not worth a step */
#define STEP          1.1

/* ---- experiments */

/* Another limit, and a window to see what it does. */
static void try(struct weir__adapt *adapt, enum weir__auto_phase phase, double limit, weir_nsec now)
{
	struct weir__auto *state = &adapt->automatic;
	limit = most_of(adapt->least, least_of(adapt->most, limit));
	weir_nsec settle = state->last.latency > 0 && limit != adapt->limit ? weir__auto_round_trip(state) : 0;
	state->goal = limit;
	/* The server must get rid of what was too much before a failure is one of the lower limit. */
	weir_nsec changed = limit < adapt->limit ? now + settle : now;
	if (limit < adapt->limit)
		adapt->limit = limit;
	state->phase = phase;
	state->window = (struct weir__auto_window){.changed = changed, .from = now + settle};
}

static void cruise(struct weir__adapt *adapt, weir_nsec now)
{
	try(adapt, WEIR__AUTO_CRUISE, adapt->automatic.base, now);
}

/* ---- what a window says */

/* With the queue that is wanted. */
static double target(const struct weir__auto *state, const struct weir__auto_measure *seen)
{
	double needed = seen->in_flight - weir__auto_queue_of(state, seen);
	return needed + QUEUE * root(needed) + 1;
}

static void set_base(struct weir__auto *state, double base)
{
	if (base < state->base)
		state->held = state->held_bad = 0;
	state->base = base;
}

static void accept(struct weir__adapt *adapt, const struct weir__auto_measure *seen)
{
	struct weir__auto *state = &adapt->automatic;
	set_base(state, adapt->limit);
	state->last = *seen;
	if (state->ceiling > 0 && state->ceiling <= adapt->limit) {
		state->ceiling = 0;
		state->step = STEP;
	}
}

static void judge_start(struct weir__adapt *adapt, const struct weir__auto_measure *seen, weir_nsec now)
{
	struct weir__auto *state = &adapt->automatic;
	if (!weir__auto_is_reached(adapt, seen) &&
	    (!state->last.in_flight || seen->in_flight < 1.3 * state->last.in_flight)) {
		try(adapt, WEIR__AUTO_START, state->goal, now);
	} else if (weir__auto_is_gain(state, seen) && adapt->limit < adapt->most) {
		accept(adapt, seen);
		set_base(state, least_of(adapt->limit, seen->in_flight + 1));
		if (state->ceiling > 0 && state->ceiling <= 2 * state->goal)
			cruise(adapt, now);
		else
			try(adapt, WEIR__AUTO_START, 2 * state->goal, now);
	} else {
		set_base(state, most_of(state->base, least_of(adapt->limit, target(state, seen))));
		state->last = (struct weir__auto_measure){.latency = seen->latency};
		cruise(adapt, now);
	}
}

static void wait_longer(struct weir__auto *state, weir_nsec most, weir_nsec now)
{
	state->patience *= 2;
	if (state->patience > most)
		state->patience = most;
	state->step = STEP;
	state->next_up = now + state->patience;
}

/* How long until the ceiling is tried again: those three calls are to be one in thousands. */
static weir_nsec ceiling_patience(const struct weir__auto *state)
{
	double calls = state->last.per_nsec > 0 ? 4000 / state->last.per_nsec : 0;
	return PATIENCE_MOST + (weir_nsec)least_of(calls, 60e9);
}

static void judge_up(struct weir__adapt *adapt, const struct weir__auto_measure *seen, weir_nsec now)
{
	struct weir__auto *state = &adapt->automatic;
	if (weir__auto_is_reached(adapt, seen) && weir__auto_is_gain(state, seen)) {
		state->step = least_of(2, state->step * state->step);
		accept(adapt, seen);
		if (state->soft && state->base > 0.85 * state->ceiling) {
			wait_longer(state, ceiling_patience(state), now);
		} else {
			state->patience = weir__auto_round_trip(state);
			state->next_up = now;
		}
	} else {
		wait_longer(state, PATIENCE_MOST + 4 * weir__auto_round_trip(state), now);
	}
	cruise(adapt, now);
}

static void judge_down(struct weir__adapt *adapt, const struct weir__auto_measure *seen, weir_nsec now)
{
	struct weir__auto *state = &adapt->automatic;
	const struct weir__auto_measure *last = &state->last;
	if (1 - seen->per_nsec / last->per_nsec > LOSS * (1 - seen->in_flight / last->in_flight)) {
		/* That did cost: what looked like a queue was none. */
		state->min_latency = most_of(state->min_latency, seen->latency);
		adapt->min_latency = (weir_nsec)state->min_latency;
	} else {
		accept(adapt, seen);
	}
	cruise(adapt, now);
}

/* Nothing queues now: that is the minimum latency, whatever it was taken for. */
static void judge_drain(struct weir__adapt *adapt, const struct weir__auto_measure *seen, weir_nsec now)
{
	adapt->automatic.min_latency = seen->latency;
	adapt->min_latency = (weir_nsec)seen->latency;
	adapt->automatic.next_drain = now + DRAIN_EVERY + 50 * weir__auto_round_trip(&adapt->automatic);
	cruise(adapt, now);
}

static void go_up(struct weir__adapt *adapt, weir_nsec now)
{
	struct weir__auto *state = &adapt->automatic;
	double limit = most_of(state->base + 1, state->base * state->step);
	if (state->ceiling > state->base)
		limit = most_of(state->base + 1, least_of(limit, (state->base + state->ceiling) / 2));
	try(adapt, WEIR__AUTO_UP, (double)(size_t)limit, now);
}

/* The same limit again and again: what is known of it gets better. */
static void blend(struct weir__auto_measure *last, const struct weir__auto_measure *seen)
{
	const double part = 0.3;
	if (last->per_nsec <= 0) {
		*last = *seen;
		return;
	}
	last->per_nsec += part * (seen->per_nsec - last->per_nsec);
	last->latency += part * (seen->latency - last->latency);
	last->in_flight += part * (seen->in_flight - last->in_flight);
	last->variation += part * (seen->variation - last->variation);
	last->error += part * (seen->error - last->error);
}

static void judge_cruise(struct weir__adapt *adapt, const struct weir__auto_measure *seen, weir_nsec now)
{
	struct weir__auto *state = &adapt->automatic;
	if (!weir__auto_is_reached(adapt, seen)) {
		cruise(adapt, now);
		return;
	}
	blend(&state->last, seen);
	double queue = weir__auto_queue_of(state, &state->last), unit = root(state->last.in_flight);
	if (queue > QUEUE_LONG * unit + 2 + state->last.error * state->last.in_flight)
		try(adapt, WEIR__AUTO_DOWN, most_of(state->base / 2, target(state, &state->last)), now);
	else if (now >= state->next_up && state->base < adapt->most)
		go_up(adapt, now);
	else if (now >= state->next_drain && queue > unit / 2)
		try(adapt, WEIR__AUTO_DRAIN, most_of(state->base / 2, state->base - 1.2 * queue - unit), now);
	else
		cruise(adapt, now);
}

/* ---- failures */

/* More of them than there always are? */
static bool is_too_many(double share, double bad, double calls)
{
	double expected = share * calls;
	return bad > 1.3 * expected + 3 * root(expected) + TOLERATED * calls + BAD_LEAST;
}

static bool is_overwhelmed(const struct weir__auto *state, const struct weir__auto_window *window)
{
	double bad = window->bad + window->early_bad, calls = window->fair;
	double before = state->held >= 50 ? state->held_bad / state->held : 0;
	if (state->phase == WEIR__AUTO_CRUISE)
		return is_too_many(state->natural, bad, calls) ||
		       is_too_many(state->natural, bad + state->held_bad, calls + state->held);
	/* At first nothing is known: what few calls say may be chance. */
	double at_first = state->phase == WEIR__AUTO_START ? NATURAL_FIRST : 0;
	return is_too_many(most_of(at_first, most_of(state->natural, before)), bad, calls);
}

/* What happens up to the base is remembered for some thousand calls: a few failures in each window are many in the end.
 */
static void hold(struct weir__auto *state)
{
	state->held += state->window.fair;
	state->held_bad += state->window.bad + state->window.early_bad;
	if (state->held > 5000) {
		state->held /= 2;
		state->held_bad /= 2;
	}
}

/* So many were served: the calls under way that did not fail. */
static double served(const struct weir__auto_window *window, weir_nsec now)
{
	double elapsed = (double)(now - window->from);
	return elapsed > 0 ? window->sum / elapsed : 0;
}

static double share_of(const struct weir__auto_window *window)
{
	return (window->bad + window->early_bad) / most_of(window->fair, 1);
}

static void cut(struct weir__adapt *adapt, weir_nsec now)
{
	struct weir__auto *state = &adapt->automatic;
	const struct weir__auto_window *window = &state->window;
	double limit = adapt->limit, to = limit / 2;
	if (window->good >= WEIR__AUTO_SAMPLES_LEAST && (double)(now - window->from) > state->min_latency)
		to = most_of(to, least_of(0.9 * limit, served(window, now)));
	if (state->phase != WEIR__AUTO_CURE && state->phase != WEIR__AUTO_START)
		state->before_cut = limit;
	if (state->phase != WEIR__AUTO_CURE) /* and if it was for nothing, the slow start goes on */
		state->was_start = state->phase == WEIR__AUTO_START;
	if (state->phase != WEIR__AUTO_CURE)
		state->share = most_of(share_of(window), state->held > 0 ? state->held_bad / state->held : 0);
	state->ceiling = limit;
	state->soft = state->phase == WEIR__AUTO_CRUISE;
	set_base(state, most_of(adapt->least, (double)(size_t)to));
	wait_longer(state, ceiling_patience(state), now);
	try(adapt, WEIR__AUTO_CURE, state->base, now);
}

/* An upstream that answers is there: what it says of half of all jobs may be true of these. */
static bool is_no_outage(const struct weir__auto_window *window)
{
	return window->errors > 0.9 * (window->bad + window->early_bad);
}

static void judge_cure(struct weir__adapt *adapt, const struct weir__auto_measure *seen, weir_nsec now)
{
	struct weir__auto *state = &adapt->automatic;
	const struct weir__auto_window *window = &state->window;
	double share = share_of(window);
	if (share > NATURAL_MOST && !is_no_outage(window)) {
		cut(adapt, now);
		return;
	}
	state->last = *seen;
	bool is_cured = share <= 0.25 * state->share || share <= TOLERATED;
	if (!is_cured && state->base > SHALLOW * state->before_cut) {
		/* A little less does not tell: where a queue is short a few are dropped long before all are. */
		state->ceiling = state->base;
		set_base(state, most_of(adapt->least, (double)(size_t)(DEEPER * state->base)));
		try(adapt, WEIR__AUTO_CURE, state->base, now);
		return;
	}
	if (!is_cured) {
		/* No better, or not much: it is not the load. */
		state->natural = state->natural_most = most_of(state->natural, share);
		set_base(state, most_of(state->base, state->before_cut));
		state->ceiling = 0;
		if (state->was_start)
			try(adapt, WEIR__AUTO_START, state->base, now);
		else
			cruise(adapt, now);
		return;
	}
	if (state->base < state->before_cut / 3) {
		/* That was no limit, that was an outage. */
		state->ceiling = 0;
		try(adapt, WEIR__AUTO_START, most_of(state->base, state->before_cut / 8), now);
	} else {
		cruise(adapt, now);
	}
}

/* In the middle of a window, and too many have failed: whether that ends it. */
static bool give_in(struct weir__adapt *adapt, weir_nsec now)
{
	struct weir__auto *state = &adapt->automatic;
	struct weir__auto_window *window = &state->window;
	struct weir__auto_measure seen = weir__auto_measure_of(window, now);
	switch (state->phase) {
	case WEIR__AUTO_UP:
	case WEIR__AUTO_START:
		if (adapt->limit <= state->base) {
			cut(adapt, now);
			return true;
		}
		state->soft = state->soft && adapt->limit >= state->ceiling;
		state->ceiling = adapt->limit;
		if (state->ceiling - state->base <= most_of(1, 0.02 * state->base))
			wait_longer(state, ceiling_patience(state), now);
		else
			state->next_up = now;
		state->step = STEP;
		/* Or would they have failed at the base as well? */
		state->was_start = state->phase == WEIR__AUTO_START;
		state->share = share_of(window);
		state->before_cut = adapt->limit;
		try(adapt, WEIR__AUTO_CURE, state->base, now);
		return true;
	case WEIR__AUTO_CURE:
		/* Enough to compare? */
		if (window->early_bad >= 10 && window->early_bad > window->early / 2 && !is_no_outage(window))
			cut(adapt, now);
		else if (window->bad >= 10)
			judge_cure(adapt, &seen, now);
		else
			return false;
		return true;
	default:
		cut(adapt, now);
		return true;
	}
}

/* ---- the law */

static void judge(struct weir__adapt *adapt, const struct weir__auto_measure *seen, weir_nsec now)
{
	struct weir__auto *state = &adapt->automatic;
	double share = share_of(&state->window);
	double part = least_of(0.2, state->window.fair / 3000);
	state->natural = least_of(1.2 * state->natural_most, state->natural + part * (share - state->natural));
	if (!state->window.good) {
		cut(adapt, now);
		return;
	}
	weir__auto_see_min_latency(adapt, seen);
	if (state->phase != WEIR__AUTO_CURE)
		hold(state);
	switch (state->phase) {
	case WEIR__AUTO_START:
		judge_start(adapt, seen, now);
		return;
	case WEIR__AUTO_CRUISE:
		judge_cruise(adapt, seen, now);
		return;
	case WEIR__AUTO_UP:
		judge_up(adapt, seen, now);
		return;
	case WEIR__AUTO_DOWN:
		judge_down(adapt, seen, now);
		return;
	case WEIR__AUTO_DRAIN:
		judge_drain(adapt, seen, now);
		return;
	case WEIR__AUTO_CURE:
		judge_cure(adapt, seen, now);
		return;
	}
}

static void auto_init(struct weir__adapt *adapt)
{
	struct weir__auto *state = &adapt->automatic;
	state->min_latency = (double)adapt->min_latency;
	state->base = state->goal = adapt->limit;
	state->step = STEP;
	state->patience = WEIR__AUTO_WINDOW_LEAST;
	state->phase = adapt->from_snapshot ? WEIR__AUTO_CRUISE : WEIR__AUTO_START;
}

static void auto_add(struct weir__adapt *adapt, const struct weir__sample *sample)
{
	struct weir__auto *state = &adapt->automatic;
	struct weir__auto_window *window = &state->window;
	if (sample->outcome == WEIR_OUTCOME_THROTTLED)
		return;
	if (!state->begun) {
		state->begun = true;
		state->next_drain = sample->ended + DRAIN_EVERY;
		state->next_up = adapt->from_snapshot ? sample->ended + PATIENCE_MOST : 0;
		window->changed = sample->started;
		window->from = INT64_MAX;
	}
	/* Of the first calls those end first that are short. */
	if (window->from == INT64_MAX && window->early >= adapt->limit)
		window->from = sample->ended;
	/* Not all at once: a burst may be too much where the rate is not. */
	if (adapt->limit < state->goal)
		adapt->limit = least_of(state->goal, adapt->limit + 1);
	weir__auto_count(window, sample);
	if (is_overwhelmed(state, window) && give_in(adapt, sample->ended))
		return;
	struct weir__auto_measure seen = weir__auto_measure_of(window, sample->ended);
	if (weir__auto_is_over(adapt, window, &seen, sample->ended))
		judge(adapt, &seen, sample->ended);
}

double weir__adapt_snapshot(const struct weir__adapt *adapt)
{
	return adapt->law == &weir__adapt_auto ? adapt->automatic.base : adapt->limit;
}

const struct weir__adapt_law weir__adapt_auto = {1, 10000, 20, auto_init, auto_add};
