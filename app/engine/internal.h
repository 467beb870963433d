/* SPDX-License-Identifier: MIT */
/* What the files of the engine share. */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include "engine/engine.h"
#include "engine/lane.h"

#include <sysexits.h>
#include <weir/weir.h>

/* Exit codes of weir's own; the others are from <sysexits.h>. */
enum engine_exit {
	EXIT_DONE = 0,
	EXIT_DEAD_LETTERS = 3,
	EXIT_ACCOUNTS = 4,
	EXIT_STOPPED = 5,
};

struct engine {
	const struct plan *plan;
	struct engine_options opts;
	const struct source_ops *source_ops;
	struct source *source;
	const struct broker_ops *broker_ops;
	struct broker *broker;
	struct step **steps;
	struct lane *sink_lane;
	struct lane *dead_lane; /* the same one with dead_to_sink; NULL: the broker keeps dead letters */
	size_t concurrency;
	size_t put_most; /* items of a put */

	struct weir_group *intake, *workers, *helpers;
	struct weir_event *stopping;
	struct weir_event *left_alone; /* no visitor is left */
	unsigned visitors;             /* calls from outside that use the broker (look.c) */
	bool closing;

	enum engine_state state;
	const char *reason;
	bool source_ended;
	bool running; /* the fibers were started */
	bool resumed, was_done, exact;
	char run[33];                     /* its name, for the sinks' ledgers */
	struct broker_counts last_counts; /* before the broker was closed */
	bool degraded[LANES + 1]; /* a disk is full: that of a lane's sink, or the broker's as the intake sees it */
	struct broker_accounts accounts;
	uint64_t settled_before;
	uint64_t attempts, retries, refused, in_flight;
	weir_nsec source_stalled, workers_stalled;
	uint64_t left, left_dead; /* of the first items (stop_when): through the steps, and of them the dead */
	struct weir_histogram *attempt_ns, *item_ns;
	int failed_exit; /* of the first failure; 0: none */
	struct weir_error failure;
	uint64_t random;
};

/* engine.c: closes what is open, in the order in which things still flow, and checks the accounts of a run that was
 * started; the first failure is the answer.  Shielded. */
int engine_close(struct engine *engine, struct weir_error *err);
uint64_t engine_unfinished(const struct engine *engine);

/* intake.c, worker.c: bodies of fibers; arg is the engine. */
int engine_intake(void *arg);
int engine_worker(void *arg);

/* settle.c: the only places where an item leaves its worker. */

/* Through the steps: to the sink (its outputs), or only to be acked when it has none. */
void engine_pass(struct engine *engine, struct item *item);
/* Failed for good: to the dead letters, with item->why. */
void engine_bury(struct engine *engine, struct item *item);
/* Will be tried again at `due`. */
void engine_postpone(struct engine *engine, struct item *item, weir_nsec due);
/* Not finished in this run: back to the broker. */
void engine_give_back(struct engine *engine, struct item *item);
/* A lane has made these durable, and its sink stands there now (NULL: as before): counts and acks them, and frees
 * them.  A negative code with err when the broker could not take it: then they are still the lane's. */
int engine_settle(struct engine *engine, struct item *const *items, size_t n, enum broker_lane which,
		  const struct value *position, struct weir_error *err);

/* The exit code for a failure of a sink or the broker. */
static inline int engine_exit_of(int code)
{
	return code == WEIR_EIO || code == WEIR_ENOSPC || code == WEIR_EDATA ? EX_IOERR : EX_UNAVAILABLE;
}

/* Whether to try again what was answered with `code`: it says that a disk is full or something busy, and a pause has
 * passed, which grows from 10 ms to a second (*pause is 0 at first).  place: a lane, or LANES for the intake; whoever
 * looks at the run sees that it is degraded.  Suspends. */
bool engine_again(struct engine *engine, int place, int code, weir_nsec *pause);

/* The run cannot go on; the first failure counts. */
void engine_fail(struct engine *engine, int exit_code, const struct weir_error *err);

/* How long to wait after `attempts` failures (1 or more): U(0, min(cap, base × 2^(attempts - 1))). */
weir_nsec engine_backoff(const struct plan_settings *settings, unsigned attempts, uint64_t *random);

#endif
