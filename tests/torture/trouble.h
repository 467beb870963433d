/* SPDX-License-Identifier: MIT */
/*
 * What may befall a run and its upstream, as a list of operations (order.h): `wait` is when it begins and `n` how long
 * it lasts, in ms from the start of the run, `rank` is by kind.
 *
 * However bad it gets, it ends: from trouble_end() on the upstream is well, and a run that has still not ended has to
 * make progress.
 */
#ifndef TORTURE_TROUBLE_H
#define TORTURE_TROUBLE_H

#include "torture/order.h"

enum trouble_kind {
	/* of the upstream */
	TROUBLE_OUTAGE,
	TROUBLE_FLAKY,     /* one call of `rank` fails */
	TROUBLE_BUSY,      /* 429, and no word of when to come back */
	TROUBLE_BUSY_HINT, /* with one: in `rank` ms */
	TROUBLE_LIMITED,   /* 429 when more than `rank` are under way */
	TROUBLE_QUOTA,     /* answers tell of a quota: `rank` a second */
	TROUBLE_HANG,      /* calls stay until it is over */
	TROUBLE_SLOW,      /* `rank` times as long */
	TROUBLE_DENIED,    /* calls are denied */
	TROUBLE_BAD,       /* every `rank`-th job is answered with an error */
	TROUBLE_BUSY_JOB,  /* every `rank`-th job is throttled */
	/* of the run */
	TROUBLE_SLOW_SINK, /* results take `rank` ms to be taken */
	TROUBLE_CONCURRENCY,
	TROUBLE_RATE,
	TROUBLE_PAUSE,
	TROUBLE_CANCEL,
	TROUBLE_KINDS,
};

/* A few, and seldom the last; `longest` ms each. */
void trouble_draw(struct order *order, uint64_t *random, unsigned longest);
void trouble_print_op(const struct order *order, const struct order_op *op);

/* From now on.  The last moment of any of it. */
void trouble_begin(const struct order *order);
weir_nsec trouble_end(void);
bool trouble_has(enum trouble_kind kind);

/* Whether there is some of this kind now; then what it is. */
const struct order_op *trouble_now(enum trouble_kind kind);

/* A call: begins, takes its time (WEIR_ECANCELED, WEIR_ETIMEDOUT), ends with an outcome and what is told. */
struct trouble_call {
	enum weir_outcome outcome;
	struct weir_hint hint;
};
int trouble_call(weir_nsec latency, unsigned job, struct trouble_call *ret_call);

/* Does what is to be done to the run itself, each at its time, by `change`: `on` at the beginning, and again at the end
 * without.  A fiber of the group for each. */
void trouble_changes(struct weir_group *group, void (*change)(const struct order_op *op, bool on));

/* ---- progress */

/* Aborts when nothing has happened for `patience` after the end of all trouble.  A fiber, to be cancelled. */
struct trouble_watch {
	weir_nsec patience;
	uint64_t progress;  /* counted up by whoever makes some */
	void (*tell)(void); /* what is to be said of it; may be NULL */
};
int trouble_watch(void *watch);

#endif
