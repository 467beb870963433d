/* SPDX-License-Identifier: MIT */
/*
 * The port of steps: what happens to an item on its way.  A step is opened once and run by many fibers at once, each
 * with an item of its own.
 */
#ifndef PORT_STEP_H
#define PORT_STEP_H

#include "data/buf.h"
#include "port/evidence.h"
#include "port/item.h"
#include "port/trace.h"

#include <weir/metrics.h>
#include <weir/process.h>

struct step; /* a handle: each adapter casts it to its own struct */

/* What became of one value. */
enum step_verdict {
	STEP_OK,      /* outputs were added (none: the value is dropped) */
	STEP_RETRY,   /* failed, may work next time: why */
	STEP_REFUSED, /* not attempted, or asked to come back: as STEP_RETRY, but uses up no attempt */
	STEP_DEAD,    /* failed for good: why */
	STEP_WAIT, /* what it began is not done yet: *note says what, and it is asked again after `after`; no failure */
	STEP_CANCELED,
};

struct step_call {
	const char *run;           /* its name; NULL: it has none */
	const struct item *item;   /* read only */
	const struct value *input; /* read only */
	size_t value;              /* the place of the input among those that the step before has made of the item */
	unsigned attempt;          /* from 1 */
	bool last_attempt;         /* a STEP_RETRY now makes a dead letter */
	bool may_die;              /* it may make one: no attempt is left, or the next may be too late */
	/* A step with an upstream has the permit for its call, which it gives back (weir_attempt_leave) when that has
	 * ended.  Without one (`cut`) it makes none, and says why. */
	struct weir_attempt *permit;
	/* A run that has to make another call, and has given its permit back, may name the upstream of that one in
	 * permit->next, leave what it has to remember here, malloc'ed, and return STEP_OK without outputs: it is run
	 * again with the permit for it, or without (`cut`), or from the start with NULL here.  NULL: it cannot. */
	void **leg;
	struct buf *evidence; /* to append pairs to (evidence.h) if step_wants_evidence(); NULL: nobody wants it */
	bool explain;         /* it is wanted whatever the verdict is, with all that was sent (`weir try`) */
	struct value_list *outputs; /* to append to */
	struct tracing tracing;     /* where the step records its requests (trace.h) */
	weir_nsec took;             /* set by the step: how long the attempt lasted; 0 if it made none */
	unsigned sent;              /* set by the step: requests it really sent (0 or 1) */
	char **note;     /* what the step keeps of this value from one STEP_WAIT to the next, a text, malloc'ed; NULL at
			    first, and the first STEP_WAIT sets it.  Whatever happens until it is done, it is there */
	weir_nsec after; /* set by the step with STEP_RETRY: it is not tried again sooner; 0: when the backoff says */
	bool rejects;    /* set by the step with STEP_RETRY: it takes its input for wrong, which is to be made again */
	bool pause;      /* set by the step with STEP_REFUSED: nothing is to be attempted until somebody resumes the
			    run; why says what is to be done */
	bool stop;       /* set by the step with STEP_REFUSED: it can process no item, and needs another config; why
			    says what is wrong.  Then the run ends */
	bool given_up;   /* set by the step: STEP_DEAD without an attempt, it has waited for too long */
	char why[256];   /* set by the step unless STEP_OK: one line, "class: detail", such as "status: 503",
			    "timeout: no first byte in 10 s", "connect: refused", "not json: an HTML page" */
};

/* Writes call->why, cut to its room and without secrets, and returns the verdict. */
enum step_verdict step_say(struct step_call *call, enum step_verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Appends the idempotency key of the input, the same in every attempt and process: that of its item, and ".2" for the
 * second of several values, so that the first one keeps its key whatever comes behind it. */
void step_put_key(const struct step_call *call, struct buf *out);

/* Appends what is known of the item as a JSON object: $meta of jq, ${meta.position} of templates. */
void step_put_meta(const struct step_call *call, struct buf *out);

/* Whether this failure may make a dead letter, which is then to be explained.  A success or a retry costs nothing,
 * unless somebody looks on (explain). */
static inline bool step_wants_evidence(const struct step_call *call, enum step_verdict verdict)
{
	bool again = verdict == STEP_RETRY || verdict == STEP_REFUSED;
	return call->evidence && (call->explain || verdict == STEP_DEAD || (again && call->may_die));
}

/* What all steps of a pipeline are given when opened. */
struct step_env {
	size_t concurrency;   /* fibers that will run at once, as far as is known at the start … */
	size_t most;          /* … and at most, ever */
	const char *exe_path; /* of the running weir: helper programs lie beside it */
	bool allow_private;   /* hosts that come from item data may resolve to loopback and private addresses */
	const char *ca_file;  /* certificates to trust where the config names none; NULL: the system's */
	const char *http_proxy, *https_proxy, *no_proxy; /* where the config leaves it to the environment; NULL: none */
	/* A histogram of requests, by upstream, method and status ("error": there was no answer); NULL: nobody looks.
	 */
	struct weir_metric *requests;
	bool url_list;     /* `weir get`: a URL is a line as people write lists of them; settings are its options */
	size_t key_number; /* the number of the step in the pipeline, from 1, if one before it calls an upstream, too:
			      what tells the keys of their requests apart; 0: none does */
	bool meta;         /* some step reads what the others say of their outputs (value->meta) */
};

#define STEP_UPSTREAM_BYTES 272

struct step_ops {
	/* On a fiber; may start fibers in a group of its own. */
	int (*open)(const void *config, const struct step_env *env, struct step **ret_step, struct weir_error *err);
	/* Of one that was just opened, and is then closed: tries what its runs need and open() has not tried, as far as
	 * that changes nothing anywhere; appends what it has found, for people, without a final stop.  May suspend.
	 * WEIR_EINVAL with err when the config must be changed, other codes when trying again later may help.  NULL:
	 * nothing can be tried. */
	int (*probe)(struct step *step, struct buf *out, struct weir_error *err);
	enum step_verdict (*run)(struct step *step, struct step_call *call);
	/* Short figures for the progress line and status, such as connections; may be NULL.  Appends members to a JSON
	 * object that is being written (data/json_writer.h). */
	void (*figures)(const struct step *step, struct buf *json);
	/* The file for which a run waits until its disk has room; NULL: none does.  NULL: it writes no files. */
	const char *(*full)(const struct step *step);
	void (*close)(struct step *step); /* no run is under way; may suspend, shielded */

	/* NULL: its runs call no upstream.  Else the name of the one that this call will call, once, by what it is made
	 * of (run, item, input, attempt, leg); its own, or written to room.  NULL: none, since nothing can be made of
	 * the input, as the run will say. */
	const char *(*upstream)(const struct step *step, const struct step_call *call, char room[STEP_UPSTREAM_BYTES]);
	/* Whether what it makes may not be kept for the item's next attempt, in which it is to run again; NULL: it may.
	 * Only of steps that call an upstream: what others make costs nothing, and is kept or not. */
	bool (*forgets)(const void *config);
	bool (*reads_meta)(const void *config); /* whether it reads value->meta of its input; NULL: no */
	unsigned (*held)(const void *config);   /* descriptors that it needs whatever is under way; NULL: none */
	/* Those that are open at once, at most, for each run under way: where they are few, concurrency is less.  NULL:
	 * none. */
	unsigned (*descriptors)(const void *config);
};

#endif
