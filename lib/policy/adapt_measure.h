/* SPDX-License-Identifier: MIT */
/* What a window of `auto` shows. */
#ifndef POLICY_ADAPT_MEASURE_H
#define POLICY_ADAPT_MEASURE_H

#include "policy/adapt_law.h"

enum { WEIR__AUTO_SAMPLES_LEAST = 10 };

#define WEIR__AUTO_WINDOW_LEAST (20 * WEIR_MSEC)

/* A call has ended. */
void weir__auto_count(struct weir__auto_window *window, const struct weir__sample *sample);

struct weir__auto_measure weir__auto_measure_of(const struct weir__auto_window *window, weir_nsec now);

/* Whether the window has seen enough. */
bool weir__auto_is_over(const struct weir__adapt *adapt, const struct weir__auto_window *window,
			const struct weir__auto_measure *seen, weir_nsec now);

/* Calls that queue in the server, by Little's law. */
double weir__auto_queue_of(const struct weir__auto *state, const struct weir__auto_measure *seen);

/* Whether there were as many calls in flight as the limit allows. */
bool weir__auto_is_reached(const struct weir__adapt *adapt, const struct weir__auto_measure *seen);

/* Whether more calls in flight gave more throughput than the last measure at the base. */
bool weir__auto_is_gain(const struct weir__auto *state, const struct weir__auto_measure *seen);

/* Takes a lower latency for the minimum latency, if it is not lower by chance. */
void weir__auto_see_min_latency(struct weir__adapt *adapt, const struct weir__auto_measure *seen);

weir_nsec weir__auto_round_trip(const struct weir__auto *state);

#endif
