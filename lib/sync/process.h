/* SPDX-License-Identifier: MIT */
/*
 * Inside weir_process().
 *
 *     produce() -> [reader] -> ordering key -> queue -> [dispatcher] -> go -> [a fiber for the job] -> done()
 *                                                ^                                     |
 *                                                '------ due <- heap of retries <------'
 *
 * A job is in one place at a time, which `where` tells; only `go` and what comes behind it has a fiber.
 *
 * The run has parts, and each file is given those that it needs:
 *
 *     process.c         the reader and the dispatcher
 *     job_fiber.c       an attempt, and what comes of it
 *     places.c          where a job goes: into the queue of its upstream, among the retries, to its end
 *     turns.c           whose turn it is in a queue
 *     upstream_queue.c  the jobs of one upstream
 *     run.c             fibers are woken, started, stopped
 *     readahead.c       how many jobs there may be
 *     jobs.c            their records, lists, ordering keys, their order
 *     postponed.c       when those come again that wait elsewhere
 */
#ifndef SYNC_PROCESS_H
#define SYNC_PROCESS_H

#include "sync/policy.h"

#include <weir/group.h>

enum job_where {
	JOB_FREE,
	JOB_TAKEN,  /* by the reader or the dispatcher: on the way to a place */
	JOB_BEHIND, /* behind another one of its ordering key */
	JOB_FRESH,  /* in its upstream's queue: in the list … */
	JOB_RANKED, /* … by priority … */
	JOB_AGAIN,  /* … a retry that is due */
	JOB_RETRY,  /* in the heap of retries */
	JOB_DOOMED, /* no attempt will be made: for a fiber */
	JOB_GO,     /* for a fiber that is about to begin */
	JOB_RUNS,
	JOB_ENDED, /* waits for those before it (WEIR_PROCESS_ORDERED) */
};

/* What its next fiber is for. */
enum job_fate {
	JOB_TRY,
	JOB_TELL,  /* the job is to say that no call is made (WEIR_PROCESS_TELL) */
	JOB_DEFER, /* it goes back to wait until it is due */
	JOB_END,   /* its result is known */
};

struct run;

struct job {
	union {
		TAILQ_ENTRY(job) others; /* in the list of its place */
		SLIST_ENTRY(job) spare;  /* JOB_FREE */
	};
	struct upstream_queue *queue;
	struct ordering_key *ordering_key; /* NULL: none */
	struct weir_heap_node rank;        /* by due time, or by priority */
	struct weir_heap_node expires;
	struct weir_attempts *attempts, own; /* the first is where its keeper has it, or the second */
	union {
		struct weir__pass pass;
		weir_nsec due; /* of JOB_DEFER */
	};
	int result;
	unsigned char where;   /* enum job_where */
	unsigned char fate;    /* enum job_fate */
	unsigned char outcome; /* of the last attempt */
	unsigned char cut;     /* enum weir_cut */
	bool has_pass, permanent;
	bool is_local; /* under way without an upstream */
	_Alignas(16) char data[];
};

/* What a job that waits costs, besides itself and its places in the heaps. */
_Static_assert(sizeof(struct job) <= 224, "a waiting retry is small");

TAILQ_HEAD(jobs, job);

/* ---- jobs.c: all room that a job could need is made before it is produced, so that none is lost for want of memory */

struct job_records {
	SLIST_HEAD(job_chunks, job_chunk) chunks;
	SLIST_HEAD(spare_jobs, job) spare;
	size_t bytes, made; /* of one with its job; how many there are */
};
int weir__records_more(struct job_records *records); /* WEIR_ENOMEM */
struct job *weir__records_take(struct job_records *records);
void weir__records_give(struct job_records *records, struct job *job);
void weir__records_fini(struct job_records *records);
/* Calls fn for each that is in use. */
void weir__records_each(const struct job_records *records, void (*fn)(struct run *run, struct job *job),
			struct run *run);

struct ordering_key {
	struct weir_table_node node;
	uint64_t id;
	struct jobs behind; /* the job that is under way */
};
struct ordering_keys {
	struct weir_table table;
	struct ordering_key *spare;
};
int weir__ordering_keys_more(struct ordering_keys *keys); /* WEIR_ENOMEM */
/* Whether the job has its ordering key for itself; else it waits behind others now. */
bool weir__ordering_keys_enter(struct ordering_keys *keys, struct job *job, uint64_t id);
/* It has ended: who is next, NULL: nobody. */
struct job *weir__ordering_keys_leave(struct ordering_keys *keys, struct job *job);
void weir__ordering_keys_fini(struct ordering_keys *keys);

/* The jobs in their order, from the first that has not ended. */
struct ring {
	struct job **jobs;
	size_t size;
	uint64_t next_seq, done_seq;
	bool draining;
};
int weir__ring_more(struct ring *ring); /* WEIR_ENOMEM */
void weir__ring_add(struct ring *ring, struct job *job);
struct job *weir__ring_first(const struct ring *ring); /* NULL: there is none */

/* ---- postponed.c */

struct postponed {
	struct weir_heap due;
	size_t most;
};
void weir__postponed_add(struct postponed *postponed, weir_nsec due);
void weir__postponed_due(struct postponed *postponed); /* those that are due are none any more */
bool weir__postponed_too_many(const struct postponed *postponed);
weir_nsec weir__postponed_next(const struct postponed *postponed); /* when there may be fewer, if they are too many */
void weir__postponed_fini(struct postponed *postponed);

/* ---- the run */

/* The jobs that wait for one upstream; or those that have named none, without a gate. */
struct upstream_queue {
	struct weir_table_node node;
	TAILQ_ENTRY(upstream_queue) others; /* that are runnable */
	struct run *run;
	struct weir_gate *gate;
	struct weir__gate_waiter line;
	bool in_line, runnable, shut;
	size_t jobs; /* of it, wherever they are */
	struct jobs again, fresh;
	struct weir_heap ranked;
	size_t fresh_count, waiting; /* in the list and by rank; and those to be tried again, too */
	struct weir_heap_node opens; /* while it keeps the time of its gate */
	char key[];
};

struct upstream_queues {
	struct weir_table table;
	struct upstream_queue *keyless, *local; /* of the key ""; without a gate */
	TAILQ_HEAD(runnable_queues, upstream_queue) runnable;
	struct weir_heap openings;
};

/* How many jobs are where. */
struct counts {
	size_t live;
	size_t ready;     /* in queues that are not shut, before their first attempt */
	size_t waiting;   /* for another attempt, for their ordering key or for a gate that is shut */
	size_t under_way; /* with a fiber, or about to get one */
	size_t local;     /* of them, those that have named no upstream */
	size_t finishing; /* of them, those that gave back their permit */
};

/* How many there may be: readahead.c. */
struct limits {
	size_t concurrency, cap, capacity;
	size_t ahead; /* the capacity, in quarters of concurrency */
	bool batches;
	size_t batch_left;
	weir_nsec measured_at; /* WEIR_FOREVER: measure again */
	/* Of the last so many jobs that were read. */
	size_t read, starved, least;
	bool full, was_full; /* in these; in these or those before */
};

struct run {
	const struct weir_process *process;
	struct weir_policy *policy;
	weir_nsec deadline;
	bool ordered, in_task;
	int code; /* why it ends early; 0 */
	int produce_code;
	bool ending, produced_all;

	struct weir_group *group;
	weir_fiber_fn body; /* of a job's fiber */
	uint64_t spawned, begun;
	struct weir__waiter dispatcher, reader;
	struct weir__budget_waiter budget;

	struct job_records records;
	struct jobs go, doomed;
	struct weir_heap retries, expiries;
	struct ordering_keys ordering_keys;
	struct ring ring;
	struct upstream_queues queues;
	struct postponed postponed;
	struct counts counts;
	struct limits limits;
	struct weir_process_stats stats;
};

/* ---- run.c */

void weir__run_wake(struct run *run); /* the dispatcher */
void weir__run_stop(struct run *run, int code);
int weir__run_spawn(struct run *run, weir_fiber_fn fn);
/* A fiber for the job; the same for one that begins an attempt. */
void weir__run_start(struct run *run, struct job *job);
void weir__run_launch(struct run *run, struct job *job);
/* The job is in no place: it ends, or waits elsewhere until then, without an attempt. */
void weir__run_end(struct run *run, struct job *job, int result, enum weir_cut cut);
void weir__run_defer(struct run *run, struct job *job, weir_nsec until);
/* Whether it may wait elsewhere. */
bool weir__run_may_defer(const struct run *run, const struct job *job);

/* ---- readahead.c */

/* concurrency, line: the sums of what the queues let in, and of how many may wait in them. */
void weir__run_measure(struct run *run, size_t concurrency, size_t line);
bool weir__run_measures(const struct run *run); /* now */
void weir__run_tune(struct run *run);           /* another job was read */
bool weir__run_may_start(const struct run *run);
bool weir__run_has_room(struct run *run);

/* ---- upstream_queue.c */

/* NULL: of those that name none. */
int weir__upstream_queue_of(struct run *run, const char *key, struct upstream_queue **ret_queue);
void weir__upstream_queue_unref(struct run *run, struct upstream_queue *queue);
void weir__upstream_queues_fini(struct run *run);
/* A job whose turn it is to wait there: new, or for another attempt. */
void weir__upstream_queue_add(struct upstream_queue *queue, struct job *job);
void weir__upstream_queue_remove(struct upstream_queue *queue, struct job *job);

void weir__upstream_queues_measure(const struct run *run, size_t *ret_concurrency, size_t *ret_line);
void weir__upstream_queues_retry(struct run *run); /* the budget allows a retry again */
void weir__upstream_queues_local(struct run *run); /* one of those without an upstream has ended */

/* It may start something; gives back a pass that it has, or its place in line; is to be served when its gate opens by
 * time alone. */
void weir__upstream_queue_wake(struct upstream_queue *queue);
void weir__upstream_queue_give_back(struct upstream_queue *queue);
void weir__upstream_queue_keep_time(struct upstream_queue *queue);

/* ---- turns.c */

/* A shorter time is not worth the way back to who keeps the jobs. */
#define WEIR__MOMENT (100 * WEIR_MSEC)

void weir__upstream_queues_serve(struct run *run); /* starts what may start */

/* ---- places.c */

struct job *weir__job_new(struct run *run); /* NULL: no memory */
void weir__job_free(struct run *run, struct job *job);

/* A job that was produced goes its way; one whose retry is to wait; one that has to call another upstream. */
void weir__job_enter(struct run *run, struct job *job);
void weir__job_retry(struct run *run, struct job *job, weir_nsec at);
void weir__job_move(struct run *run, struct job *job, const char *key);

/* It has ended: the next of its ordering key goes on. */
void weir__job_leave_ordering_key(struct run *run, struct job *job);

/* Takes a job out of the place it waits in. */
void weir__job_take_out(struct run *run, struct job *job);

/* Moves what is due by time. */
void weir__jobs_due(struct run *run);
weir_nsec weir__jobs_next_due(const struct run *run);

/* ---- job_fiber.c */

int weir__job_fiber(void *arg);
void weir__job_end(struct run *run, struct job *job); /* one that has no fiber, when the run ends */
void weir__run_room_changed(struct run *run);         /* the reader goes on, if it may */

#endif
