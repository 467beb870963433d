/* SPDX-License-Identifier: MIT */
/*
 * The port of sinks: where outputs go.  The engine collects items into batches and calls write(), for one batch at a
 * time unless the sink takes any (enum sink_ahead); when it returns, the outputs of each accepted item are as durable
 * as the sink can make them, all of an item's or none.
 *
 * Exactly once: between write() and the broker's ack a run may be killed, and then the items come again.  An exact sink
 * knows them by one of four means:
 *   a key        writing a row again changes nothing
 *   a position   what was written behind the last acked position is undone at start() (files)
 *   a ledger     ids written with the rows, in one transaction; written() lists them (tables)
 *   claims       a ledger that keeps all ids of a run, and gives each to the first who writes it (tables that many
 * write)
 *
 * A sink never touches what this run has not written, unless its config says so: open() compares what is there with the
 * position and refuses what does not fit, start() alone changes it.
 */
#ifndef PORT_SINK_H
#define PORT_SINK_H

#include "data/buf.h"
#include "port/item.h"
#include "port/key.h"

struct sink; /* a handle: each adapter casts it to its own struct */

/* What a sink of files does with one that is there and that this run has not written. */
enum sink_on_start { SINK_REFUSE, SINK_APPEND, SINK_REPLACE };

#define SINK_ON_START_CHOICES "refuse|append|replace"
#define SINK_ON_START_TEXT                                                                                             \
	"What to do if the file exists and is not empty when a run begins: refuse to run, append, or replace it; a "   \
	"run that resumes continues its own file in any case"

struct sink_item {
	const struct item *item; /* its outputs are the rows; borrowed for the call */
	int verdict;             /* set by write(): 0 written, or WEIR_EDATA: can never be written, why says why */
	char why[200];
};

/* What a sink must know when it is opened. */
struct sink_env {
	const char *run;              /* the name of the run, the same after each resume; NULL: it cannot be resumed, so
					 nothing need be remembered */
	const struct value *position; /* of the last ack (or the start), as position() gave it; NULL: the run begins */
	const struct value *replaced; /* of a run that begins in place of another (--fresh): where that one's sink
					 stood; what fits it may be replaced.  NULL: there was none */
	bool shared;                  /* other processes may write there, too, so position() is nobody's */
	bool joins;                   /* of those: the run has begun already, and what is there may be its own */
	const char *pipeline;         /* its name, for whoever looks at the sink's connections; may be NULL */
	bool clean;                   /* the last process of this run ended in order: all that it wrote was acked */
	bool adopt;                   /* --adopt: another sink, or more in it than the run has written, is fine */

	/* A remark for people, such as "replacing out.csv (31,088 bytes)"; during open(), start()
	 * and write(), on their fiber.  May be NULL. */
	void (*note)(void *arg, const char *text);
	void *arg;
};

/* By what means a run that is killed and goes on leaves each row there once. */
enum sink_exactness {
	SINK_REPEATS, /* by none */
	SINK_BY_KEY,
	SINK_BY_POSITION, /* this and the next: of a run that no other process works on */
	SINK_BY_LEDGER,
	SINK_BY_CLAIM, /* by a ledger in which an item is claimed once, whoever works on the run */
};

/* How far the next batch may be while one is not acked. */
enum sink_ahead {
	SINK_ONE_BATCH,  /* it waits: the sink can tell of one batch only whether the ack was lost */
	SINK_NEXT_BATCH, /* it is written, and acked after that one: positions grow */
	SINK_ANY_BATCH,  /* both are written at a time, and acked in any order; as NEXT where items have an order */
};

struct sink_ops {
	/* The fields of the outputs that the rows are made of; none: the output as a whole.  What was parsed of them
	 * comes along, as far as memory allows.  NULL: rows are text. */
	const struct key_strings *(*columns)(const void *config);

	/* Opens and checks; nothing that is there is changed.  WEIR_EINVAL with err->text when it is not what was
	 * written before (gone, shorter, replaced, newer than the state), or when it was not written by this run and
	 * the config does not say what to do with it.  WEIR_EAGAIN: the server is there, and has no time yet. */
	int (*open)(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err);

	/* Of one that was just opened, and is then closed: appends what there is and what start() would make of it, for
	 * people, without a final stop.  May suspend.  NULL: there is nothing to say but its config. */
	int (*probe)(struct sink *sink, struct buf *out, struct weir_error *err);

	/* Once, after open() of all sinks and before the first write: makes it ready.  A file or table is made, or
	 * emptied if the config says so; what was written behind the position is undone.  On failure the sink is still
	 * to be closed.  A shared one that claims is started once the broker has the run, so that env.run holds; if it
	 * fails then, the next process that joins the run starts it.  NULL: nothing to do.  May suspend. */
	int (*start)(struct sink *sink, struct weir_error *err);

	/* What write() would make of an output, for people: appends the row as a JSON object, its columns in order.
	 * WEIR_EDATA with why: it would be refused; WEIR_ENOMEM.  Opens nothing, knows nothing of other rows; blocks.
	 * NULL: rows are lines, each an output as it is. */
	int (*row)(const void *config, const struct value *output, struct buf *out, char why[200]);

	/* Writes a batch.  Suspends.  0 with a verdict per item; or a negative code with err, and nothing was written:
	 * WEIR_EAGAIN, WEIR_EBUSY or WEIR_ENOSPC when trying again later may help, WEIR_EPIPE when the reader has gone,
	 * WEIR_EINVAL when the config must be changed, WEIR_EIO and others when nothing helps. */
	int (*write)(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err, weir_nsec deadline);

	enum sink_ahead ahead;

	/* The default of sink.batch.items, where a write takes about as long however large it is.  NULL: the usual one.
	 */
	const char *batch_items;

	/* Flushes and closes: 0 or a negative code with err.  The sink is gone in both cases. */
	int (*close)(struct sink *sink, struct weir_error *err);

	enum sink_exactness (*exactness)(const struct sink *sink); /* NULL: SINK_REPEATS */

	/* Whether each row is there once, too, where several processes work on the run.  NULL: it is not. */
	bool (*is_exact_shared)(const void *config);

	/* Appends where the sink stands, to be kept with the ack of what was written last.  NULL: it has no position.
	 */
	void (*position)(const struct sink *sink, struct buf *out);

	/* The ids of items that are in the sink and may not have been acked: malloc'ed, the caller's.  Once; after
	 * start(), unless it claims.  NULL: it keeps no ledger. */
	int (*written)(struct sink *sink, uint64_t **ret_ids, size_t *ret_n, struct weir_error *err,
		       weir_nsec deadline);
};

#endif
