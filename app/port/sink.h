/* SPDX-License-Identifier: MIT */
/*
 * The port of sinks: where outputs go.  The engine collects items into batches and calls write() from one fiber; when
 * it returns, the outputs of each accepted item are as durable as the sink can make them, all of an item's or none.
 *
 * Exactly once: between write() and the broker's ack a run may be killed, and then the items come again.  An exact sink
 * knows them by one of three means:
 *   a key        writing a row again changes nothing
 *   a position   what was written behind the last acked position is undone at open() (files)
 *   a ledger     ids written with the rows, in one transaction; written() tells them (tables without a key)
 */
#ifndef PORT_SINK_H
#define PORT_SINK_H

#include "port/buf.h"
#include "port/item.h"

struct sink; /* an adapter's own */

struct sink_item {
	const struct item *item; /* its outputs are the rows; borrowed for the call */
	int verdict;             /* set by write(): 0 written, or WEIR_EDATA: can never be written, why says why */
	char why[200];
};

/* What a sink is told when opened. */
struct sink_env {
	const char *run;              /* the name of the run, the same after each resume; NULL: it cannot be resumed, so
					 nothing need be remembered */
	const struct value *position; /* of the last ack (or the start), as position() gave it; NULL: the run begins */
};

struct sink_ops {
	/* Opens; of a run that goes on, undoes what was written behind the position.  WEIR_EINVAL with err->text when
	 * what is there is not what was written before (shorter, replaced). */
	int (*open)(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err);

	/* Writes a batch.  Suspends.  0 with a verdict per item; or a negative code with err, and nothing was written:
	 * WEIR_EAGAIN, WEIR_EBUSY or WEIR_ENOSPC when trying again later may help, WEIR_EPIPE when the reader has gone,
	 * WEIR_EIO and others when not. */
	int (*write)(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err, weir_nsec deadline);

	/* Flushes and closes: 0 or a negative code with err.  The sink is gone in both cases. */
	int (*close)(struct sink *sink, struct weir_error *err);

	/* Whether a run that is killed and goes on leaves each row there once.  NULL: never. */
	bool (*exact)(const struct sink *sink);

	/* Appends where the sink stands, to be kept with the ack of what was written last.  NULL: it has no position.
	 */
	void (*position)(const struct sink *sink, struct buf *out);

	/* The ids of items that are in the sink and may not have been acked: malloc'ed, the caller's.  After open(),
	 * once.  NULL: it keeps no ledger. */
	int (*written)(struct sink *sink, uint64_t **ret_ids, size_t *ret_n, struct weir_error *err,
		       weir_nsec deadline);
};

#endif
