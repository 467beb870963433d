/* SPDX-License-Identifier: MIT */
/*
 * The port of steps: what happens to an item on its way.  A step is opened once and run by many fibers at once, each
 * with an item of its own.
 */
#ifndef PORT_STEP_H
#define PORT_STEP_H

#include "port/buf.h"
#include "port/item.h"

#include <weir/outcome.h>

struct step; /* an adapter's own */
struct weir_policy;

/* What became of one value. */
enum step_verdict {
	STEP_OK,      /* outputs were added (none: the value is dropped) */
	STEP_RETRY,   /* failed, may work next time: why; not before `not_before`, if set */
	STEP_REFUSED, /* not tried, or told to come back: as STEP_RETRY, but uses up no attempt */
	STEP_DEAD,    /* failed for good: why */
	STEP_CANCELED,
};

struct step_call {
	const struct item *item;    /* read only */
	const struct value *input;  /* read only */
	unsigned attempt;           /* from 1 */
	bool last_attempt;          /* a STEP_RETRY now makes a dead letter */
	struct value_list *outputs; /* to append to */
	weir_nsec queue_until;      /* a step that makes it wait for its turn longer than this answers STEP_DEAD; 0 */
	weir_nsec not_before;       /* set by the step, on weir_now()'s clock; 0: as the retry policy says */
	weir_nsec took;             /* set by the step: how long the attempt lasted; 0 if it made none */
	weir_nsec waited;           /* added to by the step: how long it stood in line before an upstream */
	unsigned tries;             /* set by the step: requests it really sent (0 or 1) */
	bool throttled;             /* set by the step: STEP_REFUSED because the upstream said so */
	struct weir_told told;      /* set by the step: what the upstream told of its limits */
	char why[256];              /* set by the step unless STEP_OK: one line, "class: detail", such as "status: 503",
				       "timeout: no first byte in 10 s", "connect: refused", "not json: <html>…" */
};

/* What all steps of a pipeline are given when opened. */
struct step_env {
	size_t concurrency;         /* fibers that will run at once, as far as is known at the start … */
	size_t most;                /* … and at most, ever */
	struct weir_policy *policy; /* of its gates: those who call an upstream pass the one of its name */
	const char *exe_path;       /* of the running weir: helper programs lie beside it */
	bool allow_private;         /* hosts that come from item data may resolve to loopback and private addresses */
	bool record;                /* `weir get`: the output is a record about the request, see step/http.c */
};

struct step_ops {
	/* On a fiber; may start fibers in a group of its own. */
	int (*open)(const void *config, const struct step_env *env, struct step **ret_step, struct weir_error *err);
	enum step_verdict (*run)(struct step *step, struct step_call *call);
	/* Short figures for the progress line and status, such as connections; may be NULL.  Appends `"name":value`
	 * pairs, separated by commas, to a JSON object being written; struct buf from port/buf.h. */
	void (*figures)(const struct step *step, struct buf *json);
	void (*close)(struct step *step); /* no run is under way; may suspend, shielded */

	bool gated;           /* its runs pass the gates of the policy themselves; the engine passes one for those of
			       * pipelines in which no step does */
	unsigned descriptors; /* open at once, at most, for each run under way: where they are few, concurrency is less
			       */
};

#endif
