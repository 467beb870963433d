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

/* flow.max_memory */
struct engine_memory {
	uint64_t most, base, used; /* bytes: allowed, at the beginning, now */
	size_t room;               /* items that may be under way; SIZE_MAX: any number */
	bool full;                 /* it was too much once */
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
	struct weir_policy *policy;
	bool gated;                                   /* a step passes the policy's gates itself */
	size_t concurrency;                           /* wanted at once; 0: found */
	size_t most;                                  /* that it may ever be */
	struct weir_sem *step_places[SPEC_STEPS_MAX]; /* of steps that are limited by themselves */
	struct key_rate rate;                         /* of one's own, now */
	bool paused, told_of_breaker;
	char last_failure[256]; /* of a try that is repeated: what it said */
	uint64_t whys[WHYS];    /* how often each was seen */
	struct learnt *learnt;
	size_t under_way; /* leased and in the hands of weir_process() */
	struct engine_memory memory;
	struct weir_event *has_room; /* there may be room again */
	size_t in_hand;              /* through the steps, and not in a lane yet */
	size_t put_most;             /* items of a put */

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
	struct engine_class *classes; /* that are to begin in time */
	size_t class_count;
	int failed_exit; /* of the first failure; 0: none */
	struct weir_error failure;
	uint64_t random;
};

/* engine.c: closes what is open, in the order in which things still flow, and checks the accounts of a run that was
 * started; the first failure is the answer.  Shielded. */
int engine_close(struct engine *engine, struct weir_error *err);
uint64_t engine_unfinished(const struct engine *engine);

/* intake.c, worker.c, flow.c, memory.c, learnt.c: bodies of fibers; arg is the engine. */
int engine_intake(void *arg);
int engine_work(void *arg);
int engine_watch_memory(void *arg);
int engine_sample(void *arg);
int engine_keep_learnt(void *arg);

/* A remark for people. */
void engine_note(struct engine *engine, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* open.c: the broker has places for so many items in the steps, and those before and behind them. */
void engine_make_places(struct engine *engine, size_t concurrency);

/* flow.c */
int engine_flow_open(struct engine *engine, struct weir_error *err);

/* fields.c: how urgent an item is (arg is the engine), and which lane it belongs to; 0: none. */
int64_t engine_class_of(void *arg, const struct item *item);
uint64_t engine_lane_of(const struct engine *engine, const struct item *item);

/* memory.c: bytes that the process and its children hold; and how many items may be under way with so many in use. */
uint64_t engine_memory_bytes(void);
void engine_memory_begin(struct engine_memory *memory, uint64_t most);
void engine_memory_look(struct engine_memory *memory, size_t under_way, uint64_t used);

/* classes.c: those of flow.priority.sla (WEIR_ENOMEM); an item begins its first try, after so long. */
int engine_classes_open(struct engine *engine);
void engine_classes_free(struct engine *engine);
void engine_class_begins(struct engine *engine, const struct item *item, weir_nsec waited);

/* learnt.c: reads the file, if there is a state folder (WEIR_ENOMEM); writes it; forgets all. */
int engine_learnt_open(struct engine *engine);
void engine_learnt_write(struct engine *engine);
void engine_learnt_free(struct engine *engine);

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

/* Room for bytes in a queue: less where memory is short. */
static inline size_t engine_queue_bytes(const struct plan *plan, size_t bytes)
{
	uint64_t most = plan->settings.max_memory / 8;
	return most && most < bytes ? (size_t)most : bytes;
}

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

#endif
