/* SPDX-License-Identifier: MIT */
/*
 * A lane to a sink: items queue up, one fiber writes them in batches.
 *
 * A batch ends with its count or its bytes, when the first of it has waited for the period, or when nothing is in the
 * steps that could still join it.
 * The queue is bounded in items and in bytes, so a slow sink slows the workers, and those the source.
 * A batch is acked, with the sink's position, before the next is written: a sink is never more than one ahead.
 */
#ifndef ENGINE_LANE_H
#define ENGINE_LANE_H

#include "port/sink.h"
#include "spec/plan.h"

struct engine;
struct lane;

/* Which sink, and what it is told. */
struct lane_options {
	enum broker_lane which;
	const struct adapter *adapter; /* of a sink */
	const void *config;            /* borrowed */
	struct sink_env env;           /* borrowed for the call, but for env.run */
};

/* Opens the sink.  Items may be put at once; they are written from lane_start() on. */
int lane_open(struct engine *engine, const struct lane_options *opts, struct lane **ret_lane, struct weir_error *err);

int lane_start(struct lane *lane, struct weir_error *err);

/* Where the sink stands (empty: it has no position) and what it has though no ack came (port/sink.h).  Before
 * lane_start(). */
int lane_recall(struct lane *lane, struct value *ret_position, uint64_t **ret_written, size_t *ret_n,
		struct weir_error *err);

/* Whether a run that is killed and goes on leaves each row in the sink once. */
bool lane_exact(const struct lane *lane);

/* Queues an item, its fate set; suspends while the lane is full.  WEIR_ECLOSED, WEIR_ECANCELED: it was not taken. */
int lane_put(struct lane *lane, struct item *item, weir_nsec deadline);

/* Whether who puts would have to wait. */
bool lane_is_full(const struct lane *lane);

/* Nothing more will come: waits until what is there was written, shielded. */
void lane_finish(struct lane *lane);

/* Ends a write that does not end: what was not written goes back to the broker, also what is still put. */
void lane_cancel(struct lane *lane);

/* Closes the sink: 0 or a negative code.  After lane_finish(). */
int lane_close(struct lane *lane, struct weir_error *err);

#endif
