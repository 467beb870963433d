/* SPDX-License-Identifier: MIT */
/*
 * The engine: runs a plan from its source to its sink.  It knows the ports, not the adapters.
 *
 *     source -> intake -> broker -> workers (steps) -> output of the sink -> commit -> ack
 *                           ^  |                   \-> output of the dead letters -> commit -> dead
 *                           '--' retry, when due
 *
 * A broker that keeps dead letters takes them without an output, unless the plan names a sink for them.  One that is
 * durable also remembers the run, and the next one with the same state goes on (resume.h).
 *
 * Accounts count items of the source, over all runs that belong together: read = succeeded + dead + dropped +
 * unfinished, always.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "engine/why.h"
#include "spec/plan.h"

#include <weir/process.h>

struct engine;
struct weir_histogram;

enum engine_state {
	ENGINE_RUNNING,
	ENGINE_DRAINING,  /* asked to stop: finishes what is in the steps, takes nothing new */
	ENGINE_FAILED,    /* something the run needs is gone */
	ENGINE_DONE,      /* all was settled */
	ENGINE_STOPPED,   /* ended before all was settled */
	ENGINE_SUBMITTED, /* all was read, and others work on it (engine_options.detach) */
};

const char *engine_state_name(enum engine_state state); /* "running", … */

/* What to do about an earlier run that the broker remembers. */
enum engine_wish {
	WISH_RESUME,  /* resume where it stopped; refused when the pipeline or its source is another one */
	WISH_ADOPT,   /* resume although the pipeline has changed */
	WISH_FRESH,   /* start over; refused when that would lose unfinished items or dead letters */
	WISH_DISCARD, /* start over whatever there is */
};

/* What this process does of the run.  With a broker that is shared others may do the same, or the rest. */
enum engine_role {
	ENGINE_SUBMIT = 1u << 0, /* reads the source; alone it waits until all is settled */
	ENGINE_WORK = 1u << 1,   /* runs the steps and writes to the sinks */
};

struct engine_options {
	struct step_env env;     /* concurrency and most are set by the engine */
	size_t most_concurrency; /* what the system allows (descriptors); 0: no limit */
	const char *state;       /* the state folder; NULL: there is none */
	enum engine_wish wish;
	unsigned roles;                     /* enum engine_role; 0: both */
	bool detach;                        /* ENGINE_SUBMIT alone: ends when all is read */
	bool dead_to_sink;                  /* `weir get`: the record of a failure goes to the sink like any other */
	const struct adapter *dead_adapter; /* where dead letters go when neither the plan says nor the broker keeps
					       them: a sink … */
	const void *dead_config;            /* … and its config */

	struct tracer *tracer; /* records what happens to items (port/trace.h), borrowed; NULL: nobody wants to know */

	/* Waits for a moment while a server asks for time, that of the source, of a sink or of a broker that others
	 * share, before it is asked again; false: it shall not be waited for any more.  NULL: it is not. */
	bool (*await_server)(void *arg);

	/* A remark for people in the middle of a run; may be NULL. */
	void (*note)(void *arg, const char *text);
	void *arg;
};

/* A class of items that is to begin in time (flow.priority.sla). */
struct engine_class {
	int64_t number;
	weir_nsec sla;
	uint64_t late;                /* waited longer than that for their first attempt */
	uint64_t overtaken;           /* began it after an item that came later */
	struct weir_histogram *waits; /* all of the class, from being read to their first attempt */
};

/* Dead letters of this process that died of the same thing (port/cause.h). */
struct engine_cause {
	uint32_t id;
	uint64_t letters;
	char text[200]; /* of the first: "step 2 (http): status: 422: email is not valid" */
};

/* A look at the run.  The counts obey the accounts at any moment. */
struct engine_stats {
	enum engine_state state;
	uint64_t read, succeeded, dead, dropped, unfinished;
	uint64_t attempts, retries, refused; /* those that counted, repeats, those that a limit turned away */
	uint64_t retries_of[WEIR_OUTCOMES];  /* by the outcome of the attempt before; GOOD: the item failed elsewhere */
	uint64_t in_flight, in_line;         /* in the steps now; in line before an upstream */
	uint64_t waiting;                    /* for their next attempt now */
	int64_t total;                       /* items in all; -1: unknown */
	bool total_exact;
	size_t concurrency;                                /* now */
	size_t most;                                       /* that it may ever be */
	const char *run;                                   /* its name: 32 hexadecimal digits */
	const char *reason;                                /* why the run ended before all was settled; or NULL */
	bool durable;                                      /* the broker remembers the run */
	bool shared;                                       /* others may work on it, too */
	bool resumed, past_done;                           /* it resumes a run; one that was done */
	bool was_done;                                     /* and nothing was new: after the end */
	bool exact;                                        /* a kill leaves each row in the sink once */
	bool degraded;                                     /* a disk is full: waits for room */
	uint64_t settled_before;                           /* in earlier runs */
	uint64_t letters;                                  /* dead letters that the broker keeps */
	uint64_t stored_bytes;                             /* by the broker */
	weir_nsec source_stalled;                          /* how long reading waited for room in the broker */
	weir_nsec put_wait;                                /* how long it has been waiting for that now; 0: not */
	double filled;                                     /* the share of the broker's room in use, 0 to 1 */
	weir_nsec workers_stalled;                         /* how long workers waited for room before a sink, in all */
	weir_nsec workers_starved;                         /* how long the broker had no item for a free worker */
	uint64_t written;                                  /* items that were written to sinks */
	const struct weir_histogram *attempt_ns, *item_ns; /* one run through the steps; from read to commit */
	const struct weir_histogram *write_ns, *ack_ns;    /* one write to a sink; one commit of the broker */
	const struct weir_histogram *batch_items;          /* in one write to a sink */
	const struct weir_histogram *trip_ns;              /* one round trip to the broker, if it is none in memory */
	uint64_t position;                                 /* in the source: of the item read last; 0: none was */
	uint64_t reaped, fenced;                           /* leases of a broker that is shared (port/queue.h) */
	const struct engine_class *classes;                /* in the order of the plan */
	size_t class_count;
	const struct engine_cause
		*causes; /* the most frequent first; those of others than the first few are not kept */
	size_t cause_count;
};

/* Opens everything the plan names.  On a fiber.  On failure *ret_exit is the exit code to use. */
int engine_open(const struct plan *plan, const struct engine_options *opts, struct engine **ret_engine, int *ret_exit,
		struct weir_error *err);

/* Runs to the end, and closes the source, the steps and the sinks: the exit code, with err filled when something
 * failed. */
int engine_run(struct engine *engine, struct weir_error *err);

/* Ends the run early: nothing new is taken, what is in the steps gets the plan's `drain` time.  reason: a literal. Only
 * the first call counts.  Does not suspend; from a fiber of the same loop. */
void engine_stop(struct engine *engine, const char *reason);

void engine_stats(const struct engine *engine, struct engine_stats *ret_stats);

enum engine_rate_from { RATE_NONE, RATE_YOURS, RATE_HINT, RATE_FOUND };

enum { ENGINE_DISK_BYTES = 160, ENGINE_PAUSE_BYTES = 200 };

/* How fast it goes, and why.  Of several upstreams the figures are those of the one before which most wait. */
struct engine_flow {
	int pattern;        /* enum weir_pattern */
	size_t concurrency; /* at once, over all upstreams */
	bool adaptive;      /* it is found */
	bool paused;
	char pause[ENGINE_PAUSE_BYTES]; /* why a step wanted that; empty: somebody did */
	size_t gates;                   /* upstreams */
	char upstream[128];             /* the one that is spoken of */
	struct key_rate own_rate;
	double per_sec; /* the rate that it is held to; 0: none */
	enum engine_rate_from rate_from;
	enum weir_breaker_state breaker;
	weir_nsec breaker_until;    /* of open: the next probe; else 0 */
	unsigned denied, denied_of; /* it is open for so many denied calls of the last so many; 0: not for that */
	weir_nsec denied_since;     /* of all upstreams: the longest; 0: none */
	weir_nsec shut_until, min_latency;
	bool shut_hinted;  /* the server said when to come back */
	bool is_throttled; /* the last call that ended was */
	enum weir_held_by held_by;
	enum engine_why now, why;     /* at this moment; and of late, which is steadier */
	const struct why_spent *late; /* what was measured: of late, */
	const struct why_spent *all;  /* and in all the time of this process; the engine's */
	char disk[ENGINE_DISK_BYTES]; /* the file that waits for room; empty: none */
	size_t breakers_open;         /* of how many upstreams */
	uint64_t breaker_opened, throttled, calls;
	uint64_t budget_waits;  /* times a retry waited for flow.retry.budget */
	uint64_t good;          /* calls of the upstream that is spoken of that were answered as they should be, */
	uint64_t entered;       /* and all of them */
	char last_failure[128]; /* of the upstream that is spoken of: what it said; empty */
	char trouble[300];      /* what is wrong with it, in a sentence; empty */
	bool chosen;            /* `auto` has made its choice: */
	int choice_pattern;
	char choice[160];
	uint64_t memory_bytes; /* in use; 0: not looked at */
	uint64_t weight;       /* the engine's */
};
void engine_flow(const struct engine *engine, struct engine_flow *ret_flow);

/* Calls fn for each upstream, as weir_policy_gates(). */
int engine_gates(const struct engine *engine,
		 int (*fn)(void *arg, const char *key, const struct weir_gate_stats *stats), void *arg);

/* What shall be another way from now on. */
struct engine_changes {
	bool has_concurrency, has_rate, has_pause;
	size_t concurrency;   /* 0: found */
	struct key_rate rate; /* count 0: none */
	bool paused;
};

/* All of them or none; does not suspend.  WEIR_EINVAL with err->text: it cannot be that. */
int engine_change(struct engine *engine, const struct engine_changes *changes, struct weir_error *err);

/* The same as text, for those who work on the run elsewhere (settings.c).  WEIR_EDATA, WEIR_ENOMEM. */
void engine_changes_write(const struct engine_changes *changes, struct buf *out);
int engine_changes_read(const char *text, struct engine_changes *ret_changes, struct weir_error *err);

/* The broker of a running pipeline, for its dead letters (port/journal.h): it is not closed before engine_leave().
 * WEIR_EINVAL when it keeps none, WEIR_ECLOSED when the run is ending: then there is nothing to leave. */
int engine_visit(struct engine *engine, const struct journal_ops **ret_journal, struct broker **ret_broker,
		 struct weir_error *err);
void engine_leave(struct engine *engine);

/* Appends the figures of the steps, as members of a JSON object. */
void engine_figures(const struct engine *engine, struct buf *json);

void engine_free(struct engine *engine);

#endif
