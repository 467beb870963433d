/* SPDX-License-Identifier: MIT */
/*
 * One child of a pool and the fiber that carries lines to it and answers back.  Private to child.c and worker.c: the
 * pool decides who gets a line, the worker does the rest.
 */
#ifndef SYNC_WORKER_H
#define SYNC_WORKER_H

#include "rt/fiber.h"
#include "sync/subprocess.h"

#include <weir/group.h>

struct calls {
	struct call *head, *tail;
};

struct call {
	struct call *next, *prev;
	struct calls *list; /* the queue, or the lines under way to a child */
	struct weir__waitlist waiter;
	const char *line; /* borrowed from the caller */
	size_t n;
	uint64_t begins; /* where in the stream to its child */
	bool finished, abandoned;
	int code; /* of a finished call */
	char *answer;
	size_t answer_bytes;
};

struct bytes {
	char *data;
	size_t from, len, room; /* content: data[from..len) */
};

struct worker {
	struct weir_child *pool;
	struct weir__subprocess process;
	struct weir__waitlist paused; /* its fiber, between two children */
	struct calls under_way;
	unsigned lines;     /* under way */
	size_t bytes;       /* of those lines */
	uint64_t put, sent; /* bytes put into `out`, and sent of them, in this child's life */
	struct bytes out, in;
	size_t scanned;     /* of `in`: no newline before it */
	weir_nsec started;  /* when this child was */
	weir_nsec limit_at; /* when the first line under way is overdue */
	unsigned barren;    /* ends without culprit since the last answer */
	bool fresh;         /* this child has answered nothing yet */
	bool begun;         /* its fiber has */
	bool up;            /* takes lines */
	bool awake;         /* its fiber will look at `out` before it waits */
	bool given_up;
};

struct weir_child {
	struct weir_child_options options; /* argv and envp are copies */
	struct weir_group *group;
	struct calls queue;
	struct weir_child_stats stats;
	size_t live; /* calls that were not abandoned */
	bool closing;
	unsigned count;
	struct worker workers[];
};

/* child.c: gives queued calls to the children that can take them. */
void weir__child_dispatch(struct weir_child *pool);
/* child.c: whether no child is left that could answer. */
bool weir__child_is_given_up(const struct weir_child *pool);

/* Ends a call that is in no list: takes the answer over, wakes the caller; frees an abandoned one. */
void weir__call_finish(struct weir_child *pool, struct call *call, int code, char *answer, size_t answer_bytes);

void weir__calls_push(struct calls *calls, struct call *call);
void weir__calls_remove(struct call *call);
struct call *weir__calls_pop(struct calls *calls);

/* Starts the child.  As weir__subprocess_start(). */
int weir__worker_start(struct worker *worker);

/* The body of the worker's fiber, its child being started: ends when the pool closes. */
int weir__worker_run(void *arg);

/* Puts a call that is in no list under way; its line is copied, so that the caller may leave. */
void weir__worker_assign(struct worker *worker, struct call *call);

/* Whether a line of n bytes fits into the batch. */
bool weir__worker_has_room(const struct worker *worker, size_t n);

#endif
