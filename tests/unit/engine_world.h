/* SPDX-License-Identifier: MIT */
/* The engine on the virtual clock, between a source, steps and a sink that do as they are told. */
#ifndef UNIT_ENGINE_WORLD_H
#define UNIT_ENGINE_WORLD_H

#include "engine/internal.h"
#include "support/test.h"

#include <sysexits.h>
#include <weir/weir.h>

/* What the adapters of a test are told, and what they saw. */
struct world {
	/* told */
	int items;              /* in the source */
	int bad_every;          /* every so many-th line is unusable; 0: none */
	weir_nsec source_pause; /* before each item */
	int source_fails_at;    /* 0: never */
	enum step_verdict (*step)(struct step_call *call, int number);
	int (*write)(const struct sink_item *items, size_t n); /* answers for write(); NULL: takes all */
	int (*refuse)(int number);                             /* rows the sink can never take; NULL: none */
	weir_nsec write_time;
	const char *state; /* the state folder: the broker is a durable one; NULL: that in memory */
	void (*meanwhile)(struct engine *engine); /* called once, stop_after into the run, instead of a stop; or NULL */
	struct engine *engine;                    /* while it runs */
	/* saw */
	int steps_at_once, most_at_once, calls, writes, open_things;
	int seen[4096];    /* rows per item in the sink */
	int letters[4096]; /* dead letters per item */
	char last_letter[400];
};
extern struct world world;

/* The source: the numbers 1 to items. */
struct source {
	int at;
	bool closing;
};
extern const struct source_ops fake_source_ops;
extern const struct adapter fake_source;

/* A plan of one step, 10 at once; and one with a broker that remembers, in a folder of its own. */
struct plan plan_of(struct plan_adapter *step);
struct plan durable_plan_of(struct plan_adapter *step);

/* Runs the plan and checks what always holds: the accounts, nothing left open, each item in one place at most. */
int run_plan(const struct plan *plan, weir_nsec stop_after, struct engine_stats *ret_stats);

/* Steps: takes 10 ms and passes on what it is given; fails after 1 ms; fails the first ten at first; never ends. */
enum step_verdict pass(struct step_call *call, int number);
enum step_verdict fail_always(struct step_call *call, int number);
enum step_verdict fail_first_then_pass(struct step_call *call, int number);
enum step_verdict hang(struct step_call *call, int number);
void put_out(struct step_call *call, const char *text);

#endif
