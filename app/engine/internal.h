/* SPDX-License-Identifier: MIT */
/* The whole engine, of its parts. */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include "engine/fleet.h"
#include "engine/order.h"
#include "engine/output.h"
#include "engine/parts.h"
#include "engine/shares.h"

#include <sysexits.h>
#include <weir/weir.h>

/* Where items come from; the source is NULL without ENGINE_SUBMIT. */
struct engine_input {
	const struct source_ops *ops;
	struct source *source;
	bool ended;
	struct source_cursor cursor; /* of the last put */
	uint64_t position;           /* of the item read last; 0: none was */
	size_t put_most;             /* items of a put */
	struct item *batch[BROKER_PUT_MAX];
	int64_t total; /* of a source that was closed before its end; 0: of none */
	bool total_exact;
	weir_nsec put_since; /* it waits for the broker, which may have no room; 0: it does not */
	weir_nsec stalled;   /* by that, in all but this time */
};

struct engine_steps {
	struct step **all;
	struct weir_sem *places[SPEC_STEPS_MAX]; /* of those that are limited by themselves */
	bool gated;                              /* one calls an upstream */
	uint64_t numbers[SPEC_STEPS_MAX + 1];    /* spec_meaning_steps() */
	char upstream[STEP_UPSTREAM_BYTES];      /* the name of one, while the policy is told */
};

/* Where items go; there are none without ENGINE_WORK. */
struct engine_sinks {
	struct output *outputs[OUTLETS];
	struct output *dead; /* of them, where dead letters go; NULL: the broker keeps them */
	bool exact;
	weir_nsec stalled; /* workers before them, in all */
	struct output_stats stats;
};

/* Concurrency and rate. */
struct engine_pace {
	struct weir_policy *policy;
	uint64_t seed;
	size_t concurrency;   /* of this process, now; 0: it is found */
	size_t wanted;        /* that somebody has asked for, of all processes together; 0: nobody has */
	size_t most;          /* that it may ever be */
	struct key_rate rate; /* of one's own, of all processes together, now */
	double own_per_sec;   /* of this process */
	bool paused;
	char pause[ENGINE_PAUSE_BYTES]; /* why a step wanted that; empty: somebody did */
	struct upstreams *upstreams;
	char last_failure[256]; /* of an attempt that is repeated: what it said */
};

/* meter.c: what the looks of the watch measure. */
struct engine_meter {
	struct why_spent late, all;
	/* where the last look found things */
	weir_nsec at, cpu, stalled, writing, acking;
	uint64_t calls;
	char upstream[128];
};

struct engine_tally {
	uint64_t attempts, refused;
	uint64_t retries[WEIR_OUTCOMES];  /* by the outcome of the attempt before */
	uint64_t dropped[SPEC_STEPS_MAX]; /* by each step */
	struct weir_histogram *attempt_ns;
};

/* What earlier processes have done of this run. */
struct engine_past {
	bool resumed, done;
};

/* Others than the run's own fibers that use its broker: it is not closed under them. */
struct engine_visits {
	unsigned n;
	bool closing;
	struct weir_event *over; /* none is left */
};

struct engine {
	struct engine_life life;
	struct engine_store store;
	struct engine_input input;
	struct engine_steps steps;
	struct engine_sinks sinks;
	struct engine_fleet *fleet; /* NULL: there are no other workers; so is the next */
	struct engine_shares *shares;
	struct engine_order *order; /* NULL: rows are written as their items are done */
	struct engine_load load;
	struct engine_pace pace;
	struct engine_tally tally;
	struct engine_meter meter;
	struct engine_classes classes;
	struct engine_causes causes;
	struct engine_left left;
	struct engine_announced announced;
	struct engine_past past;
	struct engine_visits visits;
	struct weir_group *intake, *workers, *helpers;
	bool running; /* the fibers were started */
};

/* engine.c: closes what is open, in the order in which things still flow, and audits a run that was started; the first
 * failure is the answer.  Shielded.  And all but the broker, of a run that was not started. */
int engine_close(struct engine *engine, struct weir_error *err);
int engine_close_ends(struct engine *engine, struct weir_error *err);

/* open.c: what cannot be opened before a run begins is the file's fault, or what the system says of its paths; but a
 * disk that fails, a lock, memory and what gives no answer are not. */
int engine_exit_of_opening(int code);

/* look.c: it was done before, and its source has nothing new. */
bool engine_was_done(const struct engine *engine);

/* intake.c: opens the source, where an earlier run stood (NULL: at its beginning). */
int engine_open_source(struct engine *engine, const struct broker_past *past, struct weir_error *err);

/* The source may forget what it has given. */
int engine_accept(struct engine *engine, struct weir_error *err);

/* intake.c, worker.c, watch.c: bodies of fibers; arg is the engine. */
int engine_intake(void *arg);
int engine_work(void *arg);
int engine_watch(void *arg);

/* meter.c: a look. */
void engine_measure(struct engine *engine, const struct engine_flow *flow);

/* flow.c: makes the policy; the broker has places for so many items in the steps, and those before and behind them. */
int engine_flow_open(struct engine *engine, struct weir_error *err);
size_t engine_places(const struct engine *engine, size_t concurrency);
void engine_make_places(const struct engine *engine, size_t concurrency);

/* flow.c: as somebody would, and says why. */
void engine_pause(struct engine *engine, const char *why);

/* disk.c: whether a disk is full, and the file that waits for room; says so when that has changed. */
bool engine_is_full(const struct engine *engine, char name[ENGINE_DISK_BYTES]);
void engine_tell_of_disk(struct engine *engine);

/* outcome.c: where an item leaves its worker.  Through the steps: to the sink (its outputs), or only to be acked when
 * it has none.  Failed for good, with item->why: to the dead letters. */
void engine_pass(struct engine *engine, struct item *item);
void engine_bury(struct engine *engine, struct item *item);
/* At the end: which step has dropped items, if none has come through. */
void engine_tell_dropped(const struct engine *engine);
/* The sink can never take its outputs (output_options.refused; arg is the engine). */
void engine_refused(void *arg, struct item *item);

#endif
