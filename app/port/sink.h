/* SPDX-License-Identifier: MIT */
/*
 * The port of sinks: where outputs go.  The engine collects items into batches and calls write() from one fiber; when
 * it returns, the outputs of each accepted item are as durable as the sink can make them, all of an item's or none.
 */
#ifndef PORT_SINK_H
#define PORT_SINK_H

#include "port/item.h"

struct sink; /* an adapter's own */

struct sink_item {
	const struct item *item; /* its outputs are the rows; borrowed for the call */
	int verdict;             /* set by write(): 0 written, or WEIR_EDATA: can never be written, why says why */
	char why[200];
};

struct sink_ops {
	int (*open)(const void *config, struct sink **ret_sink, struct weir_error *err);

	/* Writes a batch.  Suspends.  0 with a verdict per item; or a negative code with err, and nothing was written:
	 * WEIR_EAGAIN or WEIR_EBUSY when trying again later may help, WEIR_EPIPE when the reader has gone,
	 * WEIR_ENOSPC, WEIR_EIO and others when not. */
	int (*write)(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err, weir_nsec deadline);

	/* Flushes and closes: 0 or a negative code with err.  The sink is gone in both cases. */
	int (*close)(struct sink *sink, struct weir_error *err);
};

#endif
