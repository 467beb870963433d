/* SPDX-License-Identifier: MIT */
/*
 * The scripts of Redis as a model: processes that share a queue on a real server, one step of one of them at a time, in
 * random order, with calls that are lost, repeated and late, kills, stalls, failovers that forget, and strangers.  A
 * trial is one run of a small pipeline, from its beginning to its end, and follows from its seed alone: the scripts see
 * a clock of the trial's own.  Many trials go on at the same time over one connection, each with a queue of its own.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "fleet/shares.h"
#include "fleet/watch.h"
#include "redis/client.h"
#include "redis/scripts.h"

#include <sys/queue.h>
#include <weir/event.h>
#include <weir/group.h>

enum {
	ITEMS_MOST = 64,
	SLOTS_MOST = 12,
	PROCESSES_MOST = 8,
	KEYS_MOST = 14,
	FIRST_STREAM = 10, /* of the keys; before it are the letters */
	NAME_BYTES = 64,
	CLASSES = 2,
	TICK_MS = 20,      /* of the clocks of the processes */
	CALM_FROM = 10000, /* from this tick on no more trouble, so that it can come to its end */
	TICKS_MOST = 25000,
};

/* What a trial is about. */
struct setup {
	const char *name;
	bool ledger;   /* the sink: no key, but a ledger; else a key */
	bool prune;    /* rows of the ledger go with the ack */
	bool rollback; /* failovers that forget the last writes */
	bool stranger; /* who removes consumers and groups */
	bool poison;   /* items that kill their worker; nothing else does */
	bool clock;    /* the server's clock jumps by an hour */
	bool classes;  /* of urgency */
};

/* A rule that is taken out. */
struct mutant {
	const char *name, *setup;      /* in which setup it shows */
	enum redis_script_name script; /* REDIS_SCRIPTS: all */
	const char *from, *to;         /* of the script's text; NULL: the setup is it */
};

struct scripts {
	char *texts[REDIS_SCRIPTS];
	struct redis_script scripts[REDIS_SCRIPTS];
};

struct held {
	int stream;
	char id[48];
	unsigned item, attempts, work; /* work: steps that are left */
	unsigned calls;                /* that succeeded, and are not to be made again */
	bool ready;                    /* for the sink */
};

struct world;

struct process {
	struct world *world;
	unsigned id, generation;
	bool submits, killed, is_done, ended; /* ended: its fiber has */
	unsigned stalled;                     /* steps */
	char name[NAME_BYTES];
	weir_nsec epoch; /* what its clock shows at tick 0 */
	struct weir_event *go;
	struct held held[SLOTS_MOST + 1];
	unsigned held_count;
	uint64_t number, keeps;
	struct fleet_watch *watch;
	struct fleet_share share;
};

struct late_call {
	STAILQ_ENTRY(late_call) next;
	unsigned at;
	enum redis_script_name script; /* REDIS_SCRIPTS: a plain command */
	struct redis_command rest;
};

struct stats {
	uint64_t calls, items, kills, taken_out, fenced, rollbacks, strange, late, reaped;
};

struct world {
	const struct setup *setup;
	const struct scripts *scripts;
	struct redis *redis;
	uint64_t seed, random, salt;
	char keys[KEYS_MOST][40];
	size_t key_count;
	struct redis_command key_words; /* their number and they, as each call begins */
	unsigned tick, items, slots, most, deaths;
	weir_nsec lease;
	double lost_requests, lost_answers, late, kills, stalls;
	bool poison[ITEMS_MOST + 1], ledger[ITEMS_MOST + 1];
	unsigned rows[ITEMS_MOST + 1];
	unsigned kept[ITEMS_MOST + 1]; /* calls of an item of which a worker heard that they are kept */
	struct weir_group *fibers;
	struct weir_event *back; /* a process has made its step */
	struct process *processes[PROCESSES_MOST];
	size_t process_count;
	unsigned process_ids;
	STAILQ_HEAD(, late_call) late_calls;
	bool end_seen;
	char *dumps[KEYS_MOST]; /* a snapshot; NULL: there was no such key */
	size_t dump_bytes[KEYS_MOST];
	bool has_snapshot;
	bool forgets; /* the server has forgotten something: then what was kept may be lost */
	char finding[240]; /* empty: none so far */
	struct stats stats;
};

/* What becomes of an item, always the same. */
enum outcome { SUCCEEDS, DROPS, DIES, KILLS };
enum outcome outcome_of(const struct world *world, unsigned item);
unsigned failures_of(const struct world *world, unsigned item); /* before that */

/* ---- calls.c */

void model_scripts_init(struct scripts *scripts,
			const struct mutant *mutant); /* exits if the mutant's text is not there */
void model_scripts_fini(struct scripts *scripts);

void find(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t below(struct world *world, uint64_t n);
bool chance(struct world *world, double share);

/* A call of a script: model_begin() with what all begin with, then its own arguments, then call() or attempt(). */
void model_begin(struct world *world, struct redis_command *rest);

/* Now, without trouble: the answer, or NULL with a finding. */
redisReply *model_eval(struct world *world, enum redis_script_name script, const struct redis_command *rest);
redisReply *model_say(struct world *world, const struct redis_command *command); /* NULL, too, if the server refuses */
redisReply *model_words(struct world *world, const char *const *words);
#define MODEL_SAY(world, ...) model_words(world, (const char *const[]){__VA_ARGS__, NULL})

bool model_is(const redisReply *reply, const char *word);

/* Of a process: once, NULL if it was lost; or until it is answered.  NULL, too, when the process is killed meanwhile.
 */
redisReply *model_attempt(struct process *process, enum redis_script_name script, const struct redis_command *rest);
redisReply *model_call(struct process *process, enum redis_script_name script, const struct redis_command *rest);

/* Ends the step.  Whether the process goes on. */
bool model_pause(struct process *process);
weir_nsec model_clock(const struct process *process);

/* ---- the processes: bodies of fibers */
int model_worker(void *process);
int model_submit(void *process);

/* ---- trial.c */
struct trial {
	const struct setup *setup;
	const struct scripts *scripts;
	struct redis *redis;
	uint64_t seed;
	char finding[240];
	struct stats stats;
};

void model_trial(struct trial *trial);

#endif
