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
	int source_open, source_resume, sink_open, sink_start; /* answers of these calls */
	const char *state; /* the state folder: the broker is a durable one; NULL: that in memory */
	bool adopts;       /* an earlier run with other steps is continued */
	size_t most;       /* at once; 0: 40 */
	void (*meanwhile)(struct engine *engine); /* called once, stop_after into the run, instead of a stop; or NULL */
	struct engine *engine;                    /* while it runs */
	struct engine_flow *flow;                 /* where it stands at the end; NULL */
	/* saw */
	bool clean; /* that the sink's last open was told */
	int steps_in_flight, most_in_flight, calls, writes, writing, most_writing, open_things;
	int seen[8192];    /* rows per item in the sink */
	int letters[8192]; /* dead letters per item */
	char last_letter[400];
	int notes;           /* remarks for people */
	char last_note[300]; /* of them */
};
extern struct world world;

/* The source: the numbers 1 to items. */
struct source {
	int at;
	weir_nsec due; /* when the next one comes; 0: nobody has asked for it */
	bool closing;
};
extern const struct source_ops fake_source_ops;
extern const struct adapter fake_source;

/* For a plan that is to have one of these instead of the usual one: it takes any batch ahead, or the next; or it claims
 * items under the run that the shared broker has. */
extern const struct adapter fake_overlapping_sink, fake_growing_sink, fake_claiming_sink;

/* A plan of one step, 10 at once, with the broker in memory, or one like a server, by the seed; one with that in memory
 * alone; and one with a broker that remembers, in a folder of its own. */
struct plan plan_of(struct plan_adapter *step);
struct plan memory_plan_of(struct plan_adapter *step);
struct plan durable_plan_of(struct plan_adapter *step);

/* The settings that `weir run` makes of a file that says nothing of `flow`, or this.  Owned by the caller. */
struct plan *settings_of(const char *more);

/* What a test's engine is opened with. */
struct engine_options options_of_world(void);

/* Runs the plan and checks what always holds: the accounts, nothing left open, each item in one place at most. */
int run_plan(const struct plan *plan, weir_nsec stop_after, struct engine_stats *ret_stats);

/* The exit code of a run that cannot be opened. */
int refuse_plan(const struct plan *plan);

/* Steps: takes 10 ms and passes on what it is given; fails after 1 ms; fails the first ten at first; never ends. */
enum step_verdict pass(struct step_call *call, int number);
enum step_verdict fail_always(struct step_call *call, int number);
enum step_verdict fail_first_then_pass(struct step_call *call, int number);
enum step_verdict hang(struct step_call *call, int number);
void put_out(struct step_call *call, const char *text);

#endif
