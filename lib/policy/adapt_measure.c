/* SPDX-License-Identifier: MIT */
/*
 * What a window of `auto` shows (adapt_auto.c): throughput, latency and calls in flight, when that is enough to tell a
 * gain from chance, and what it says about the queue in the server.
 */
#include "policy/adapt_measure.h"

#include "policy/reckon.h"

enum { SAMPLES_MOST = 3000 };

#define GAIN        0.25 /* of what N grew by, X must */
#define QUEUE_SHORT 2.0  /* in roots of N: up to here it costs nothing */
#define IN_STEP     1e-6 /* variation of latencies that are all alike */

weir_nsec weir__auto_round_trip(const struct weir__auto *state)
{
	double latency = most_of(state->last.latency, state->min_latency);
	return latency > 0 ? (weir_nsec)latency : WEIR__AUTO_WINDOW_LEAST;
}

void weir__auto_count(struct weir__auto_window *window, const struct weir__sample *sample)
{
	bool is_good = sample->outcome == WEIR_OUTCOME_GOOD;
	double latency = (double)(sample->ended - sample->started);
	if (sample->started >= window->changed)
		window->fair++;
	else if (!is_good)
		return; /* of before */
	window->errors += sample->outcome == WEIR_OUTCOME_ERROR;
	if (sample->ended < window->from) {
		window->early++;
		window->early_bad += !is_good;
		return;
	}
	window->in_flight += (double)sample->in_flight;
	window->most = most_of(window->most, (double)sample->in_flight);
	window->calls++;
	if (!is_good) {
		window->bad++;
		return;
	}
	window->good++;
	window->sum += latency;
	window->square += latency * latency;
}

struct weir__auto_measure weir__auto_measure_of(const struct weir__auto_window *window, weir_nsec now)
{
	struct weir__auto_measure seen = {.in_flight = window->in_flight / most_of(window->calls, 1),
					  .most = window->most};
	double elapsed = (double)(now - window->from);
	seen.latency = window->good > 0 ? window->sum / window->good : 0;
	seen.per_nsec = elapsed > 0 ? window->good / elapsed : 0;
	if (window->good > 1) {
		seen.variation = most_of(0, window->square / window->good / (seen.latency * seen.latency) - 1);
		seen.error = root(seen.variation / window->good);
	}
	return seen;
}

double weir__auto_queue_of(const struct weir__auto *state, const struct weir__auto_measure *seen)
{
	return seen->latency > 0 ? seen->in_flight * (1 - least_of(1, state->min_latency / seen->latency)) : 0;
}

/* So many calls tell a gain of a quarter of the step from chance. */
static double calls_for_gain(const struct weir__auto *state, const struct weir__auto_measure *seen)
{
	double part = GAIN * most_of(0.05, state->last.in_flight > 0 ? seen->in_flight / state->last.in_flight - 1 : 1);
	if (part < 0)
		part = -part;
	return least_of(SAMPLES_MOST, 2 * seen->variation / (part * part));
}

static bool is_short(const struct weir__auto *state, const struct weir__auto_measure *seen)
{
	return seen->latency > 0 && weir__auto_queue_of(state, seen) <= QUEUE_SHORT * root(seen->in_flight) + 0.5;
}

bool weir__auto_is_over(const struct weir__adapt *adapt, const struct weir__auto_window *window,
			const struct weir__auto_measure *seen, weir_nsec now)
{
	const struct weir__auto *state = &adapt->automatic;
	weir_nsec least = (weir_nsec)most_of(seen->latency, (double)WEIR__AUTO_WINDOW_LEAST);
	if (window->calls < WEIR__AUTO_SAMPLES_LEAST)
		return false;
	/* While nothing queues there is nothing to weigh. */
	if (state->phase == WEIR__AUTO_START && is_short(state, seen))
		return window->calls >= seen->in_flight * most_of(0.25, least_of(1, seen->variation));
	if (now - window->from < least)
		return false;
	if (now - window->from > 12 * least + WEIR_SEC)
		return true;
	if (state->phase == WEIR__AUTO_CURE)
		return window->fair >= least_of(200, 10 / state->share);
	if (window->calls < least_of(seen->in_flight * seen->variation, SAMPLES_MOST))
		return false;
	return is_short(state, seen) || window->calls >= calls_for_gain(state, seen);
}

/* Nothing is learnt of a limit that was not reached.  Where all calls take the same time they go in step: all end, and
 * as many begin, of which the first finds none under way and the last one all. */
bool weir__auto_is_reached(const struct weir__adapt *adapt, const struct weir__auto_measure *seen)
{
	if (seen->variation < IN_STEP)
		return seen->most >= (double)(size_t)adapt->limit;
	return seen->in_flight >= 0.85 * (double)(size_t)adapt->limit - 0.5;
}

bool weir__auto_is_gain(const struct weir__auto *state, const struct weir__auto_measure *seen)
{
	const struct weir__auto_measure *last = &state->last;
	if (last->per_nsec <= 0 || is_short(state, seen))
		return true;
	return seen->per_nsec / last->per_nsec - 1 > GAIN * (seen->in_flight / last->in_flight - 1);
}

void weir__auto_see_min_latency(struct weir__adapt *adapt, const struct weir__auto_measure *seen)
{
	struct weir__auto *state = &adapt->automatic;
	if (seen->latency <= 0)
		return;
	if (state->min_latency <= 0)
		state->min_latency = seen->latency;
	else if (seen->latency < state->min_latency * (1 - seen->error)) /* not by chance */
		state->min_latency += 0.5 * (seen->latency - state->min_latency);
	adapt->min_latency = (weir_nsec)state->min_latency;
}
