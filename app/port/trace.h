/* SPDX-License-Identifier: MIT */
/*
 * What is recorded of an item on its way, for those who collect traces:
 *
 *     item                       from being read to being settled; by the process that settles it
 *       |-- send                 from being read until the broker has it
 *       |-- wait                 until an attempt begins
 *       |-- attempt 1            link to the attempt before, in whatever process that was
 *       |     |-- request        an HTTP request
 *       |     '-- step           a pass through a step that calls no upstream, such as jq
 *       '-- write                of the batch with its outputs to the sink
 *
 * All ids that other processes must know follow from the name of the run and the item's id: the trace's, that of its
 * item's span and those of its attempts.  So a run that resumes, and other workers of its queue, continue a trace
 * without storing anything.  A replayed dead letter begins a trace of its own, with a link to the first.
 *
 * An attempt of which the broker did not take the outcome may be made again, under its number.  So its span gets an id
 * that nobody else can know, and a link to it leads nowhere.
 *
 * Whether an item is sampled follows from its trace's id, so all processes decide alike.  Of those that are not nothing
 * is recorded until something fails; then the spans so far are made of the times that the item has (item->stay): of
 * send, wait and the attempt, and not of requests and steps that went well.  When the item leaves the process, its
 * trace is handed on if it is sampled, or the item is dead or needed retries; else it is forgotten.
 *
 * All of it belongs to the thread of the loop, but for traces that were handed on.  Nothing suspends.
 */
#ifndef PORT_TRACE_H
#define PORT_TRACE_H

#include "data/buf.h"
#include "port/item.h"

enum { TRACE_SPANS_MOST = 64, TRACE_SPAN_ID_BYTES = 16, TRACE_PARENT_BYTES = sizeof "00--00" + 32 + 1 + 16 };

enum trace_kind { TRACE_SEND, TRACE_WAIT, TRACE_ATTEMPT, TRACE_STEP, TRACE_REQUEST, TRACE_WRITE };

struct trace_span {
	enum trace_kind kind;
	unsigned number;  /* of the attempt or the step, from 1; items of a write */
	int status;       /* of an answer; 0: none came */
	bool is_used_up;  /* of an attempt: it counts */
	unsigned attempt; /* that it is a part of: its place among the spans, from 1; 0: of none */
	uint64_t id;      /* 0: it gets one when it is handed on, as well as … */
	uint64_t parent;
	uint64_t link;          /* … the id of another span of the trace; 0: none */
	weir_nsec begun, ended; /* by weir_clock() */
	const char *name;       /* of the step or the sink, or the method of a request; static */
	size_t url;             /* of a request, as it was sent: the place in `texts` */
	size_t error;           /* what it failed of, "class: detail": the place in `texts`; 0: it did not */
};

struct trace_id {
	uint64_t high, low;
};

struct tracer;

struct trace {
	struct trace *next; /* of a list; the owner's */
	struct trace_id id;
	struct trace_id linked; /* of a dead letter that was replayed: what it was first; zero: it is none */
	uint64_t root;          /* the id of the item's span */
	bool is_sampled;
	uint64_t item, position;  /* its id, its place in the source */
	unsigned attempts, known; /* that were used up; as the broker has it, so as others know it */
	enum fate fate;
	weir_nsec born, settled; /* settled 0: it is not, and there is no span of the item */
	size_t error;            /* why it is dead: the place in `texts`; 0: it is not */
	struct trace_span *spans;
	size_t n, room, lost; /* lost: for want of room */
	size_t open;          /* the attempt under way: its place in spans, from 1; 0: none */
	struct buf texts;
};

void trace_free(struct trace *trace); /* from any thread; NULL is fine */

/* The text at a place. */
static inline const char *trace_text(const struct trace *trace, size_t place)
{
	return place ? trace->texts.data + place : "";
}

/* Writes 16 hexadecimal digits, half of a trace's id or that of a span; returns their end. */
char *trace_put_hex(char *to, uint64_t number);

/* That of a trace's item. */
uint64_t trace_root_of(const struct trace_id *id);

/* ---- the run */

struct tracer_options {
	double ratio; /* of the traces that are sampled, 0 to 1 */
	size_t most;  /* items that are traced at once; 0: 16,384 */
	uint64_t seed;

	/* Takes a trace over; any thread may own it. */
	void (*take)(void *arg, struct trace *trace);
	void *arg;
};

int tracer_new(const struct tracer_options *opts, struct tracer **ret_tracer); /* WEIR_ENOMEM */
void tracer_free(struct tracer *tracer);                                       /* NULL is fine */

/* The run has this name, 32 hexadecimal digits; before the first item. */
void tracer_set_run(struct tracer *tracer, const char *run);

/* What was not recorded for want of room: items, and spans of others. */
struct tracer_losses {
	uint64_t items, spans;
};
struct tracer_losses tracer_losses(const struct tracer *tracer);

/* ---- an item, as the engine has it.  Without a tracer nothing happens */

/* Appends the id of its trace, whether anything is recorded or not. */
void tracer_add_id(const struct tracer *tracer, const struct item *item, struct buf *out);

/* An attempt begins, or goes on.  It has ended: whether it used one up, and what it failed of; NULL: it did not. */
void tracer_attempt(struct tracer *tracer, struct item *item, weir_nsec now);
void tracer_attempt_ended(struct tracer *tracer, struct item *item, bool is_used_up, const char *error, weir_nsec now);

/* A write of so many items to a sink, with this one among them.  error: NULL if it has it. */
struct trace_write {
	const char *sink;
	size_t items;
	weir_nsec begun, ended;
	const char *error;
};
void tracer_write(struct tracer *tracer, struct item *item, const struct trace_write *write);

/* Items that are being settled, with their fates; not begun by themselves.  Then, when they are, and their structs are
 * gone: tracer_settled() of the answer.  If they are not, they are still traced. */
struct trace *tracer_settle(struct tracer *tracer, struct item *const *items, size_t n, weir_nsec now);
void tracer_settled(struct tracer *tracer, struct trace *traces);

/* The item leaves the process, and is not settled; nor is one that was being settled and could not be.  Then, when its
 * struct is gone: tracer_left() of the answer; is_taken: the broker has taken what became of its attempts. */
struct trace *tracer_leave(struct tracer *tracer, struct item *item);
void tracer_left(struct tracer *tracer, struct trace *trace, bool is_taken);

/* ---- what happens in an attempt, as steps see it */

/* Where that is recorded; without a tracer nowhere. */
struct tracing {
	struct tracer *tracer;
	struct item *item;
};

/* A pass through a step has ended now. */
void trace_step(const struct tracing *tracing, const char *name, size_t number, weir_nsec begun, const char *error);

/* The value of a request's header traceparent, and the id of its span.  There is a tracer. */
uint64_t trace_put_parent(const struct tracing *tracing, char ret_text[TRACE_PARENT_BYTES]);

/* The request has ended now.  error: NULL or "" if there is an answer. */
struct trace_request {
	uint64_t id; /* 0: none was sent along */
	weir_nsec begun;
	const char *method, *url; /* method: static */
	int status;
	const char *error;
};
void trace_request(const struct tracing *tracing, const struct trace_request *request);

#endif
