/* SPDX-License-Identifier: MIT */
/*
 * The published laws, as their sources have them (read in 2026; the names are those of files there):
 *
 *     AIMD       Netflix concurrency-limits, AIMDLimit.java
 *     Vegas      the same, VegasLimit.java
 *     Gradient2  the same, Gradient2Limit.java
 *     ARC        Vector, adaptive_concurrency/controller.rs
 *
 * They know one word for bad news: a call that was dropped.  Here that is one that failed, timed out or was throttled.
 * (int) is where theirs are whole numbers.
 */
#include "policy/adapt_law.h"
#include "policy/reckon.h"

#include <weir/random.h>

static double latency_of(const struct weir__sample *sample)
{
	weir_nsec latency = sample->ended - sample->started;
	return latency > 0 ? (double)latency : 1;
}

static double whole(double value)
{
	return (double)(int64_t)value;
}

/* ---- AIMD: one more for each good call, a tenth less for each that was dropped or took over 5 s */

static void aimd_add(struct weir__adapt *adapt, const struct weir__sample *sample)
{
	if (weir__adapt_is_drop(sample) || sample->ended - sample->started > 5 * WEIR_SEC)
		adapt->limit = whole(adapt->limit * 0.9);
	else if (2 * (double)sample->in_flight >= adapt->limit)
		adapt->limit += 1;
}

const struct weir__adapt_law weir__adapt_aimd = {20, 200, 20, NULL, aimd_add};

/* ---- Vegas: how long is the queue in the server, by the latency without one? */

/* The whole part of the decimal logarithm, at least 1. */
static double log_of(double limit)
{
	int log = 0;
	while (limit >= 10) {
		limit /= 10;
		log++;
	}
	return log < 1 ? 1 : log;
}

static void vegas_new_jitter(struct weir__adapt *adapt)
{
	adapt->vegas.jitter = 0.5 + 0.5 * weir_random_unit(&adapt->random);
}

static double vegas_step(double limit, double queue)
{
	double log = log_of(limit);
	if (queue <= log)
		return limit + 6 * log;
	if (queue < 3 * log)
		return limit + log;
	return queue > 6 * log ? limit - log : limit;
}

static double ceiling(double value)
{
	double low = whole(value);
	return low < value ? low + 1 : low;
}

static void vegas_add(struct weir__adapt *adapt, const struct weir__sample *sample)
{
	struct weir__vegas *vegas = &adapt->vegas;
	double latency = latency_of(sample);
	if ((double)++vegas->samples >= 30 * vegas->jitter * adapt->limit) {
		vegas_new_jitter(adapt);
		vegas->samples = 0;
		adapt->min_latency = (weir_nsec)latency;
		return;
	}
	if (!adapt->min_latency || latency < (double)adapt->min_latency) {
		adapt->min_latency = (weir_nsec)latency;
		return;
	}
	if (weir__adapt_is_drop(sample))
		adapt->limit -= log_of(adapt->limit);
	else if (2 * (double)sample->in_flight >= adapt->limit)
		adapt->limit =
			vegas_step(adapt->limit, ceiling(adapt->limit * (1 - (double)adapt->min_latency / latency)));
}

const struct weir__adapt_law weir__adapt_vegas = {1, 1000, 20, vegas_new_jitter, vegas_add};

/* ---- Gradient2: the latency now against that of the long run */

enum { GRADIENT2_WARM = 10, GRADIENT2_WINDOW = 600, GRADIENT2_QUEUE = 4 };

static double gradient2_long(struct weir__gradient2 *gradient2, double latency)
{
	if (gradient2->warm < GRADIENT2_WARM) {
		gradient2->sum += latency;
		gradient2->latency = gradient2->sum / ++gradient2->warm;
	} else {
		double factor = 2.0 / (GRADIENT2_WINDOW + 1);
		gradient2->latency = gradient2->latency * (1 - factor) + latency * factor;
	}
	return gradient2->latency;
}

static void gradient2_add(struct weir__adapt *adapt, const struct weir__sample *sample)
{
	double latency = latency_of(sample), lasting = gradient2_long(&adapt->gradient2, latency);
	if (lasting / latency > 2)
		adapt->gradient2.latency *= 0.95;
	adapt->min_latency = (weir_nsec)lasting;
	if ((double)sample->in_flight < adapt->limit / 2)
		return;
	double gradient = 1.5 * lasting / latency;
	gradient = gradient < 0.5 ? 0.5 : gradient > 1 ? 1 : gradient;
	adapt->limit = adapt->limit * 0.8 + (adapt->limit * gradient + GRADIENT2_QUEUE) * 0.2;
}

const struct weir__adapt_law weir__adapt_gradient2 = {20, 200, 20, NULL, gradient2_add};

/* ---- ARC: the mean latency of a window against those before it */

#define ARC_ALPHA 0.4
#define ARC_SCALE 2.5

static void arc_decide(struct weir__adapt *adapt, struct weir__arc *arc, double current)
{
	if (arc->reached && !arc->pressed && arc->good && current <= arc->mean)
		adapt->limit += 1;
	else if (arc->pressed || current >= arc->mean + ARC_SCALE * root(arc->variance))
		adapt->limit = whole(adapt->limit * 0.9);
	if (!arc->good)
		return;
	double off = current - arc->mean;
	arc->mean += ARC_ALPHA * off;
	arc->variance = (1 - ARC_ALPHA) * (arc->variance + ARC_ALPHA * off * off);
}

static void arc_add(struct weir__adapt *adapt, const struct weir__sample *sample)
{
	struct weir__arc *arc = &adapt->arc;
	arc->reached |= (double)sample->in_flight >= adapt->limit;
	if (sample->outcome == WEIR_OUTCOME_GOOD) {
		arc->sum += latency_of(sample) / 1e9;
		arc->good++;
	} else {
		arc->pressed = true;
	}
	if (arc->has_past ? sample->ended < arc->until : !arc->good)
		return;
	double current = arc->good ? arc->sum / (double)arc->good : 0;
	if (arc->has_past)
		arc_decide(adapt, arc, current);
	else
		arc->mean = current;
	*arc = (struct weir__arc){.mean = arc->mean, .variance = arc->variance, .has_past = true};
	arc->until = sample->ended + (weir_nsec)(arc->mean * 1e9);
	adapt->min_latency = (weir_nsec)(arc->mean * 1e9);
}

const struct weir__adapt_law weir__adapt_arc = {1, 200, 1, NULL, arc_add};
