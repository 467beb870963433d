/* SPDX-License-Identifier: MIT */
/*
 * One child of a pool and the fiber that carries lines to it and answers back.  Private to child.c, which is the pool,
 * assign.c, which decides what child gets a line, and worker.c, which does the rest.
 */
#ifndef SYNC_WORKER_H
#define SYNC_WORKER_H

#include "rt/fiber.h"
#include "sync/subprocess.h"

#include <weir/group.h>

TAILQ_HEAD(child_calls, child_call);

struct child_call {
	TAILQ_ENTRY(child_call) others;
	struct child_calls *list; /* the queue, or the lines under way to a child */
	struct weir__waitlist waiter;
	const char *line; /* borrowed from the caller */
	size_t n;
	uint64_t begins; /* where in the stream to its child */
	uint64_t number; /* among the lines to its child, from 1 */
	bool finished, abandoned;
	bool suspected;       /* a child died with it */
	int code;             /* of a finished call */
	struct weir__end end; /* of the child, with WEIR_EDIED */
	char *answer;
	size_t answer_bytes;
};

struct child_bytes {
	char *data;
	size_t from, len, room; /* content: data[from..len) */
};

struct child_worker {
	struct weir_child *pool;
	struct weir__subprocess process;
	struct weir__waitlist paused; /* its fiber, between two children */
	struct child_calls under_way;
	struct child_call *suspect; /* the next child gets it first, alone; NULL: none */
	unsigned lines;             /* under way */
	size_t bytes;               /* of those lines */
	uint64_t numbered;          /* lines that this child was given */
	uint64_t put, sent;         /* bytes put into `out`, and sent of them, in this child's life */
	struct child_bytes out, in;
	size_t scanned;     /* of `in`: no newline before it */
	weir_nsec started;  /* when this child was */
	weir_nsec limit_at; /* when the first line under way is overdue */
	unsigned barren;    /* ends without culprit since the last answer */
	bool fresh;         /* this child has not answered yet */
	bool begun;         /* its fiber has */
	bool up;            /* takes lines */
	bool alone;         /* what is under way is a suspect */
	bool awake;         /* its fiber will look at `out` before it waits */
	bool given_up;
};

struct weir_child {
	struct weir_child_options options; /* argv, envp and preamble are copies */
	struct weir_group *group;
	struct child_calls queue;
	struct weir_child_stats stats;
	size_t live; /* calls that were not abandoned */
	bool closing;
	unsigned count;
	struct child_worker workers[];
};

/* ---- assign.c */

/* Gives queued calls to the children that can take them. */
void weir__child_dispatch(struct weir_child *pool);
/* Whether no child is left that could answer. */
bool weir__child_is_given_up(const struct weir_child *pool);

/* Ends a call that is in no list: takes the answer over, wakes the caller; frees an abandoned one. */
void weir__call_finish(struct weir_child *pool, struct child_call *call, int code, char *answer, size_t answer_bytes);

void weir__calls_push(struct child_calls *calls, struct child_call *call);
void weir__calls_remove(struct child_call *call);
struct child_call *weir__calls_pop(struct child_calls *calls);

/* Puts a call that is in no list under way; its line is copied, so that the caller may leave. */
void weir__worker_assign(struct child_worker *worker, struct child_call *call);

/* Into `out`, where there is room. */
void weir__worker_put(struct child_worker *worker, const char *data, size_t n);

/* From now on the first line under way is the one the child works on. */
void weir__worker_set_limit(struct child_worker *worker);

enum { WEIR__NUMBER_MOST = 24 }; /* a number and a blank */

/* "17 ", at the end of text: where it begins. */
char *weir__write_number(char text[WEIR__NUMBER_MOST], uint64_t number);

void weir__bytes_empty(struct child_bytes *bytes);
/* Room for n more bytes behind the content: WEIR_ENOMEM. */
int weir__bytes_reserve(struct child_bytes *bytes, size_t n);

/* ---- worker.c */

/* Starts the child.  As weir__subprocess_start(). */
int weir__worker_start(struct child_worker *worker);

/* The body of the worker's fiber, its child being started: ends when the pool closes. */
int weir__worker_run(void *arg);

#endif
