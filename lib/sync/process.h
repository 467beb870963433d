/* SPDX-License-Identifier: MIT */
/*
 * Inside weir_process().  Private to process.c (the reader and the dispatcher), readahead.c (how many), jobs.c (their
 * records, lanes, the heap of retries), postponed.c (when they come again), station.c (the jobs of one gate) and
 * job_fiber.c (an attempt and what comes of it).
 *
 *     produce() -> [reader] -> lane -> station -> [dispatcher] -> go -> [a fiber for the job] -> done()
 *                                        ^                                     |
 *                                        '------ due <- heap of retries <------'
 *
 * A job is in one place at a time, which `where` tells; only `go` and what comes behind it has a fiber.
 */
#ifndef SYNC_PROCESS_H
#define SYNC_PROCESS_H

#include "sync/policy.h"

#include <weir/group.h>

enum job_where {
	JOB_FREE,
	JOB_TAKEN,   /* by the reader or the dispatcher: on the way to a place */
	JOB_IN_LANE, /* behind another one of its lane */
	JOB_FRESH,   /* in its station: in the list … */
	JOB_RANKED,  /* … by priority … */
	JOB_AGAIN,   /* … a retry that is due */
	JOB_RETRY,   /* in the heap of retries */
	JOB_DOOMED,  /* its result is known without an attempt: for a fiber */
	JOB_GO,      /* for a fiber that is about to begin */
	JOB_RUNS,
	JOB_ENDED, /* waits for those before it (WEIR_PROCESS_ORDERED) */
};

struct job {
	struct job *next, *prev; /* in the list of its place */
	struct station *station;
	struct lane *lane;          /* NULL: none */
	struct weir_heap_node rank; /* by due time, or by priority */
	struct weir_heap_node expires;
	struct weir__tries tries;
	struct weir_pass pass;
	uint64_t seq;
	int result;
	unsigned char where;   /* enum job_where */
	unsigned char outcome; /* of the last attempt */
	bool has_pass, permanent;
	bool doomed; /* its result is known */
	_Alignas(16) char data[];
};

/* What a job that waits costs, besides itself and its places in the heaps. */
_Static_assert(sizeof(struct job) <= 192, "a waiting retry is small");

struct jobs {
	struct job *head, *tail;
};

struct lane {
	struct weir__table_node node;
	uint64_t id;
	struct jobs behind; /* the job that is under way */
};

/* The jobs of one gate. */
struct station {
	struct weir__table_node node;
	struct station *next_runnable;
	struct run *run;
	struct weir_gate *gate; /* NULL: WEIR_PROCESS_OWN_GATES */
	struct weir__gate_waiter line;
	bool in_line, runnable, shut;
	size_t jobs; /* of it, wherever they are */
	struct jobs again, fresh;
	struct weir_heap ranked;
	size_t fresh_count;          /* in the list and by rank */
	struct weir_heap_node opens; /* while it keeps the time of its gate */
	char key[];
};

/* Of the last so many jobs that were read. */
struct readahead {
	size_t jobs, starved, least;
	bool full, was_full; /* in these; in these or those before */
};

struct postponed {
	weir_nsec *due; /* a heap */
	size_t n, room;
};

struct run {
	const struct weir_process *process;
	struct weir_policy *policy;
	weir_nsec deadline;
	bool own, ordered, in_task, batches;
	struct weir_group *group;
	struct weir__waiter dispatcher, reader;
	struct weir__budget_waiter budget;
	int code; /* why it ends early; 0 */
	int produce_code;
	bool ending, produced_all;
	uint64_t spawned, begun; /* fibers */

	/* Records. */
	struct job_chunk *chunks;
	struct job *free;
	size_t made, live;

	struct jobs go, doomed;
	struct weir_heap retries, expiries, openings;
	struct postponed postponed;
	struct weir__table stations, lanes;
	struct station *keyless, *first_runnable, *last_runnable;
	struct lane *spare_lane;

	/* How much there is of what. */
	size_t ready;     /* in stations that are not shut, before their first attempt */
	size_t waiting;   /* for another attempt, for their lane or for a gate that is shut */
	size_t under_way; /* with a fiber, or about to get one */
	size_t finishing; /* of them, those that gave back their permit */
	size_t batch_left;

	/* How much there may be. */
	size_t at_once, cap, capacity;
	size_t ahead; /* the capacity, in quarters of at_once */
	struct readahead seen;
	weir_nsec measured_at; /* WEIR_FOREVER: measure again */

	/* In order. */
	struct job **ring;
	size_t ring_size;
	uint64_t next_seq, done_seq;
	bool draining;

	struct weir_process_stats stats;
};

/* ---- jobs.c */

struct job *weir__job_new(struct run *run); /* NULL: no memory */
void weir__job_free(struct run *run, struct job *job);
void weir__jobs_fini(struct run *run);

/* Calls fn for each job that is somewhere, the oldest first if they are in order. */
void weir__jobs_each(struct run *run, void (*fn)(struct run *run, struct job *job));

void weir__jobs_push(struct jobs *jobs, struct job *job);
void weir__jobs_push_front(struct jobs *jobs, struct job *job);
void weir__jobs_remove(struct jobs *jobs, struct job *job);

/* Takes a job out of the place it waits in. */
void weir__job_take_out(struct run *run, struct job *job);

/* A job that was produced goes its way; one whose retry is to wait; one that ends without another attempt. */
void weir__job_enter(struct run *run, struct job *job);
void weir__job_retry(struct run *run, struct job *job, weir_nsec at);
void weir__job_doom(struct run *run, struct job *job, int result);

/* It has ended: the next of its lane goes on. */
void weir__job_leave_lane(struct run *run, struct job *job);

/* Moves what is due by time. */
void weir__jobs_due(struct run *run);
weir_nsec weir__jobs_next_due(const struct run *run);

/* ---- postponed.c */

void weir__postponed_add(struct run *run, weir_nsec due);
void weir__postponed_due(struct run *run); /* those that are due are none any more */
bool weir__postponed_too_many(const struct run *run);
weir_nsec weir__postponed_next(const struct run *run); /* when there may be fewer, if they are too many */

/* ---- station.c */

int weir__station_of(struct run *run, const char *key, struct station **ret_station);
void weir__station_put(struct run *run, struct station *station);
void weir__stations_fini(struct run *run);
/* A job whose turn it is to wait there: new, or for another attempt. */
void weir__station_add(struct station *station, struct job *job);
void weir__station_remove(struct station *station, struct job *job);

/* Starts what may start. */
void weir__stations_serve(struct run *run);
size_t weir__stations_limit(const struct run *run);

/* The budget allows a retry again. */
void weir__stations_retry(struct run *run);

/* ---- job_fiber.c */

int weir__job_fiber(void *arg);
void weir__job_finish(struct run *run, struct job *job, const struct weir_attempt *last);
void weir__job_hand_on(struct run *run, struct job *job, const struct weir_attempt *last);
void weir__job_give_back(struct run *run, struct job *job);

/* ---- process.c */

void weir__run_stop(struct run *run, int code);
void weir__run_wake(struct run *run);         /* the dispatcher */
void weir__run_room_changed(struct run *run); /* the reader, if it may go on */
void weir__run_launch(struct run *run, struct job *job);

/* ---- readahead.c */

void weir__run_measure(struct run *run);
void weir__run_tune(struct run *run);
bool weir__run_may_start(const struct run *run);
bool weir__run_has_room(struct run *run);

#endif
