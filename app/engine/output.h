/* SPDX-License-Identifier: MIT */
/*
 * An output: the queue in front of a sink, and the fibers that write it in batches: one, or two of a sink that can be
 * a batch ahead (enum sink_ahead).
 *
 * A batch ends with its count or its bytes, when the first of it has waited for the period, or when nothing is in the
 * steps that could still join it.
 * The queue is bounded in items and in bytes, so a slow sink slows the workers, and those the source.
 * A fiber acks its batch, with the sink's position, before it writes the next: a sink is never more than one batch a
 * fiber ahead.
 */
#ifndef ENGINE_OUTPUT_H
#define ENGINE_OUTPUT_H

#include "engine/parts.h"
#include "port/sink.h"

struct output;

/* What outputs have written, all of them together. */
struct output_stats {
	uint64_t written;                   /* items */
	struct weir_histogram *write_ns;    /* one write of a batch */
	struct weir_histogram *batch_items; /* in it */
};

/* Which sink, and what it is given. */
struct output_options {
	enum broker_outlet which;
	const struct adapter *adapter; /* of a sink */
	const void *config;            /* borrowed */
	struct sink_env env;           /* borrowed for output_open(), but for env.run */
	struct engine_store *store;
	const struct engine_load *load;
	struct output_stats *stats;

	/* Takes over an item whose outputs the sink can never take, its why set.  NULL: there is no place left for such
	 * an item, and the run fails.  May suspend. */
	void (*refused)(void *arg, struct item *item);
	void *arg;
};

/* Opens the sink, which changes nothing yet.  Items may be put; they are written from output_start() on. */
int output_open(const struct output_options *opts, struct output **ret_output, struct weir_error *err);

/* Makes the sink ready (port/sink.h, start), once all outputs are open. */
int output_prepare(struct output *output, struct weir_error *err);

int output_start(struct output *output, struct weir_error *err);

/* Where the sink stands (empty: it has no position) and what it has though no ack came (port/sink.h).  Once, before
 * output_start(), and behind output_prepare() unless the sink claims. */
int output_recall(struct output *output, struct value *ret_position, uint64_t **ret_written, size_t *ret_n,
		  struct weir_error *err);

/* Of its sink (port/sink.h). */
enum sink_exactness output_exactness(const struct output *output);

/* Queues an item, its fate set; suspends while the output is full.  WEIR_ECLOSED, WEIR_ECANCELED: it was not taken. */
int output_put(struct output *output, struct item *item, weir_nsec deadline);

/* Whether who puts would have to wait. */
bool output_is_full(const struct output *output);

/* What it does now, and how long it has done that in all.  Batches are timed, not items. */
enum output_doing { OUTPUT_WAITS, OUTPUT_WRITES, OUTPUT_ACKS, OUTPUT_DOINGS };
enum output_doing output_does(const struct output *output);
weir_nsec output_spent(const struct output *output, enum output_doing doing);

/* Whether a batch is being written for longer than a second. */
bool output_is_slow(const struct output *output);

/* Whether its sink may hold what was not acked: a write or an ack has failed. */
bool output_is_ahead(const struct output *output);

/* Nothing more will come: waits until what is there was written, shielded. */
void output_finish(struct output *output);

/* Ends a write that does not end: what was not written goes back to the broker, also what is still put. */
void output_cancel(struct output *output);

/* Closes the sink: 0 or a negative code.  After output_finish(). */
int output_close(struct output *output, struct weir_error *err);

#endif
