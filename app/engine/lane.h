/* SPDX-License-Identifier: MIT */
/*
 * A lane to a sink: items queue up, one fiber writes them in batches.
 *
 * A batch ends with its count or its bytes, when the first of it has waited for the period, or when nothing is in the
 * steps that could still join it.
 * The queue is bounded in items and in bytes, so a slow sink slows the workers, and those the source.
 */
#ifndef ENGINE_LANE_H
#define ENGINE_LANE_H

#include "port/sink.h"
#include "spec/plan.h"

struct engine;
struct lane;

enum fate { FATE_SUCCEEDED, FATE_DROPPED, FATE_DEAD };

struct lane_entry {
	struct item *item;
	enum fate fate;
	size_t bytes;
};

/* Opens the sink and starts the lane's fiber.  config is borrowed. */
int lane_open(struct engine *engine, const struct adapter *sink, const void *config, struct lane **ret_lane,
	      struct weir_error *err);

/* Queues an item; suspends while the lane is full.  WEIR_ECLOSED, WEIR_ECANCELED: it was not taken. */
int lane_put(struct lane *lane, struct item *item, enum fate fate, weir_nsec deadline);

/* Nothing more will come: waits until what is there was written, shielded. */
void lane_finish(struct lane *lane);

/* Ends a write that does not end: what was not written goes back to the broker, also what is still put. */
void lane_cancel(struct lane *lane);

/* Closes the sink: 0 or a negative code.  After lane_finish(). */
int lane_close(struct lane *lane, struct weir_error *err);

#endif
