/* SPDX-License-Identifier: MIT */
/*
 * A simulator of upstreams, on model time: discrete events, no fibers, no sockets.  It drives weir__admit_* as the gate
 * does, and counts what came of it beside what would have been possible.
 *
 * A model (sim_models) is data: the stages that a request goes through, in this order
 *
 *     network, there -> outage? -> too many at once? -> rate? -> servers and their queue -> network, back
 *
 * To add one: a row in models.c.  The same seed gives the same run.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/gate.h>

enum sim_spread { SIM_FIXED, SIM_UNIFORM, SIM_EXPONENTIAL, SIM_LOGNORMAL }; /* of service times: CV 0, .29, 1, .8 */

enum sim_headers { SIM_SILENT, SIM_POLICY, SIM_COUNTS, SIM_POLICY_AND_COUNTS };

enum sim_change {
	SIM_STEADY,
	SIM_DRIFT,     /* the capacity falls to half and rises again, over the run */
	SIM_SLOWER,    /* the network's round trip grows to three times what it was */
	SIM_OUTAGE,    /* 503 for 60 s in the middle */
	SIM_NEIGHBOUR, /* somebody else takes up to half of the capacity, another share every few seconds */
	SIM_STEPS,     /* 1 -> 0.3 -> 1 of the limit, in thirds of the run */
};

enum sim_flags {
	SIM_HEADROOM = 1u << 0, /* the right limit is above 200 */
	SIM_MOVING = 1u << 1,   /* not stationary: what is promised of those does not hold */
};

/* Times in s, rates in 1/s. */
struct sim_model {
	const char *name, *what;
	unsigned flags;
	double seconds; /* 0: 60 */
	/* the network */
	double rtt, noise; /* round trip, and the share of it that is random (exponential) on top */
	/* the servers */
	unsigned servers; /* 0: any number */
	double service;
	enum sim_spread spread;
	double contention; /* service grows by 1 + contention * n^2 with n in service */
	unsigned queue;    /* most that wait; then 503.  0: any number */
	double errors;     /* share that fails whatever one does */
	/* limits */
	unsigned cap; /* at once */
	bool cap_is_503;
	double rate, burst; /* token bucket; burst 0: 1 */
	double window;      /* a fixed window of rate * window requests instead */
	double retry_after; /* 0: none; below 0: what is left of the window */
	bool rate_is_503;
	enum sim_headers headers;
	enum sim_change change;
	/* demand; 0: more than can be done */
	double demand, on, off; /* so many a second for `on` seconds, then none for `off` */
};

extern const struct sim_model sim_models[];
extern const size_t sim_model_count;

enum sim_controller { SIM_AUTO, SIM_AIMD, SIM_VEGAS, SIM_GRADIENT2, SIM_ARC, SIM_FIXED_50, SIM_CONTROLLERS };
const char *sim_controller_name(enum sim_controller controller);

struct sim_tally {
	double possible;
	uint64_t good, rejected, broken; /* rejected: throttled, or 503 for too much; broken: other failures */
};

enum { SIM_TICKS = 4000 };

struct sim_result {
	struct sim_tally all, settled; /* settled: after the longer of 10 s and 20 round trips */
	double to_90;                  /* s until 90 % of the possible are reached; below 0: never */
	double tick;                   /* s */
	struct sim_tally ticks[SIM_TICKS];
	size_t tick_count;
	struct weir_snapshot snapshot;
	struct weir_gate_stats stats;
};

struct sim_options {
	const struct sim_model *model;
	enum sim_controller controller;
	uint64_t seed;
	const struct weir_snapshot *snapshot; /* NULL: nothing is known */
	double trace;                         /* prints a line every so many seconds; 0: none */
};

/* WEIR_ENOMEM. */
int sim_run(const struct sim_options *opts, struct sim_result *ret_result);

/* The worst of several seeds. */
struct sim_survey {
	double share, rejected; /* once settled */
	double score;           /* over all */
	double to_90;           /* s; below 0: never */
	uint64_t refused;
};

int sim_run_seeds(const struct sim_model *model, enum sim_controller controller, unsigned seeds,
		  struct sim_survey *ret_survey);

/* The others are for orientation: one seed is enough, unless when something changes is chance, too. */
unsigned sim_seeds_of_others(const struct sim_model *model, unsigned seeds);

/* Whether what docs/flow.md promises of auto holds here, with so many seeds; says what does not.  Returns the number of
 * promises that were broken, and adds those that were kept to *kept; negative: WEIR_ENOMEM. */
int sim_check(const struct sim_model *model, unsigned seeds, bool beside_others, unsigned *kept);

double sim_share(const struct sim_tally *tally);    /* of the possible */
double sim_rejected(const struct sim_tally *tally); /* of all requests */
double sim_score(const struct sim_tally *tally);    /* share x (1 - rejected) */

/* What would be possible at a time with demand to spare. */
double sim_possible(const struct sim_model *model, double at, double neighbour);
double sim_round_trip(const struct sim_model *model);
double sim_settled_at(const struct sim_model *model);

#endif
