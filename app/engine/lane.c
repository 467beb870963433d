/* SPDX-License-Identifier: MIT */
/*
 * See lane.h.  `room` counts bytes: an entry takes as many permits as its outputs have bytes, at most all of them, and
 * gives them back when it was settled.
 *
 * A sink that is busy is asked again after a pause that grows to a second; one that fails ends the run.  What it had
 * not taken goes back to the broker.
 */
#include "engine/lane.h"

#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_QUEUED = 32 * 1024 * 1024, BATCHES_QUEUED = 4 };

struct lane_entry {
	struct item *item;
	size_t bytes;
};

struct lane {
	struct engine *engine;
	enum broker_lane which;
	const struct sink_ops *ops;
	struct sink *sink;
	struct weir_queue *queue; /* of struct lane_entry */
	struct weir_sem *room;
	struct weir_group *group; /* of the lane's fiber */
	struct lane_entry *batch;
	struct sink_item *items; /* of the entries that have something to write */
	struct item **settled;   /* of the entries that were written */
	struct buf position;     /* of the sink, after the last write */
	size_t most_items, most_bytes;
	size_t queued_bytes; /* most */
	weir_nsec period;
	int failed; /* the code; 0 as long as it writes */
	bool shielded;
};

static void free_lane(struct lane *lane)
{
	weir_group_free(lane->group);
	weir_queue_free(lane->queue);
	weir_sem_free(lane->room);
	free(lane->batch);
	free(lane->items);
	free(lane->settled);
	buf_fini(&lane->position);
	free(lane);
}

static struct lane *new_lane(struct engine *engine, const struct lane_options *opts)
{
	const struct plan_settings *settings = &engine->plan->settings;
	struct lane *lane = calloc(1, sizeof *lane);
	if (!lane)
		return NULL;
	lane->engine = engine;
	lane->which = opts->which;
	lane->ops = opts->adapter->sink;
	lane->most_items = (size_t)settings->batch_items;
	lane->most_bytes = (size_t)settings->batch_bytes;
	lane->queued_bytes = engine_queue_bytes(engine->plan, BYTES_QUEUED);
	lane->period = settings->batch_period;
	lane->batch = calloc(lane->most_items, sizeof *lane->batch);
	lane->items = calloc(lane->most_items, sizeof *lane->items);
	lane->settled = calloc(lane->most_items, sizeof *lane->settled);
	if (lane->batch && lane->items && lane->settled &&
	    !weir_queue_new(sizeof(struct lane_entry), lane->most_items * BATCHES_QUEUED, &lane->queue) &&
	    !weir_sem_new(lane->queued_bytes, &lane->room) && !weir_group_new(NULL, &lane->group))
		return lane;
	free_lane(lane);
	return NULL;
}

static size_t output_bytes(const struct lane *lane, const struct item *item)
{
	size_t bytes = 1;
	for (size_t i = 0; i < item->outputs.n; i++)
		bytes += item->outputs.values[i].len;
	return bytes < lane->queued_bytes ? bytes : lane->queued_bytes;
}

int lane_put(struct lane *lane, struct item *item, weir_nsec deadline)
{
	struct lane_entry entry = {.item = item, .bytes = output_bytes(lane, item)};
	int code = weir_sem_acquire(lane->room, entry.bytes, deadline);
	if (code)
		return code;
	code = weir_queue_put(lane->queue, &entry, deadline);
	if (code)
		weir_sem_release(lane->room, entry.bytes);
	return code;
}

bool lane_is_full(const struct lane *lane)
{
	return weir_queue_full(lane->queue);
}

/* Nothing is on its way here, so a batch gains nothing by waiting. */
static bool is_last(const struct lane *lane)
{
	struct broker_counts counts;
	if (lane->engine->in_flight || !weir_queue_empty(lane->queue))
		return false;
	lane->engine->broker_ops->counts(lane->engine->broker, &counts);
	return !counts.ready;
}

/* The next batch: its number of entries, 0 at the end. */
static size_t collect(struct lane *lane)
{
	size_t n = 0, bytes = 0;
	weir_nsec until = WEIR_FOREVER;
	while (n < lane->most_items && bytes < lane->most_bytes && !(n && is_last(lane))) {
		if (weir_queue_get(lane->queue, &lane->batch[n], until))
			break;
		bytes += lane->batch[n++].bytes;
		if (n == 1)
			until = weir_now() + lane->period;
	}
	return n;
}

static weir_nsec longer(weir_nsec pause)
{
	return pause < WEIR_SEC / 2 ? pause * 2 : WEIR_SEC;
}

/* Whether it may work later; a full disk is told to whoever looks. */
static bool may_work_later(struct lane *lane, int code)
{
	lane->engine->degraded[lane->which] = code == WEIR_ENOSPC;
	return code == WEIR_EBUSY || code == WEIR_EAGAIN || code == WEIR_ENOSPC;
}

/* Writes the outputs of n items, patiently. */
static int write_items(struct lane *lane, size_t n, struct weir_error *err)
{
	weir_nsec pause = 10 * WEIR_MSEC;
	for (;;) {
		int code = lane->ops->write(lane->sink, lane->items, n, err, WEIR_FOREVER);
		if (!may_work_later(lane, code) || lane->engine->state == ENGINE_FAILED || weir_sleep(pause))
			return code;
		pause = longer(pause);
	}
}

static void read_position(struct lane *lane)
{
	buf_clear(&lane->position);
	if (lane->ops->position)
		lane->ops->position(lane->sink, &lane->position);
}

/* Tells the broker what became of n items, patiently. */
static int ack_items(struct lane *lane, size_t n, struct weir_error *err)
{
	const struct value position = {lane->position.data, lane->position.len};
	weir_nsec pause = 10 * WEIR_MSEC;
	for (;;) {
		int code = engine_settle(lane->engine, lane->settled, n, lane->which, position.len ? &position : NULL,
					 err);
		if (!may_work_later(lane, code) || lane->engine->state == ENGINE_FAILED || weir_sleep(pause))
			return code;
		pause = longer(pause);
	}
}

/* Sends entries whose outputs the sink can never take to the dead letters; returns how many others there are, moved
 * together.  (The lane of the dead letters never gets here with such: it has failed.) */
static size_t bury_refused(struct lane *lane, size_t n)
{
	size_t kept = 0, written = 0;
	for (size_t i = 0; i < n; i++) {
		struct lane_entry entry = lane->batch[i];
		struct sink_item *item = entry.item->outputs.n ? &lane->items[written++] : NULL;
		if (item && item->verdict) {
			item_set_why(entry.item, "sink: %s", item->why);
			weir_sem_release(lane->room, entry.bytes);
			engine_bury(lane->engine, entry.item);
		} else {
			lane->batch[kept++] = entry;
		}
	}
	return kept;
}

/* There is no place left for a dead letter that its sink will not take. */
static int refused_letter(const struct lane *lane, size_t n, struct weir_error *err)
{
	for (size_t i = 0; i < n; i++)
		if (lane->items[i].verdict)
			return weir_error_set(err, WEIR_EIO, "dead letters: %s", lane->items[i].why);
	return 0;
}

static void end_run(struct lane *lane, int code, const struct weir_error *err)
{
	if (code == WEIR_EPIPE)
		engine_stop(lane->engine, "the reader of the output has gone");
	else if (code != WEIR_ECANCELED)
		engine_fail(lane->engine, engine_exit_of(code), err);
}

static int write_batch(struct lane *lane, size_t n, struct weir_error *err)
{
	size_t to_write = 0;
	for (size_t i = 0; i < n; i++)
		if (lane->batch[i].item->outputs.n)
			lane->items[to_write++] = (struct sink_item){.item = lane->batch[i].item};
	int code = to_write ? write_items(lane, to_write, err) : 0;
	if (!code && lane == lane->engine->dead_lane)
		code = refused_letter(lane, to_write, err);
	if (!code)
		read_position(lane);
	return lane->position.failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : code;
}

/* What was written: shielded, since it is to be accounted for even when the lane is cancelled now. */
static int settle_batch(struct lane *lane, size_t n, struct weir_error *err)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++) {
		lane->settled[i] = lane->batch[i].item;
		bytes += lane->batch[i].bytes;
	}
	int code = n ? ack_items(lane, n, err) : 0;
	if (!code)
		weir_sem_release(lane->room, bytes);
	return code;
}

static void give_back(struct lane *lane, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		weir_sem_release(lane->room, lane->batch[i].bytes);
		engine_give_back(lane->engine, lane->batch[i].item);
	}
}

/* A lane that failed goes on taking, so that no worker waits for it for ever; one that was cancelled does so, too. */
static int run_lane(void *arg)
{
	struct lane *lane = arg;
	size_t n;
	while ((n = collect(lane)) || weir_canceled()) {
		struct weir_error err = {0};
		int code = lane->failed;
		if (weir_canceled()) {
			weir_shield_enter();
			code = WEIR_ECANCELED;
			lane->shielded = true;
		}
		if (!code)
			code = write_batch(lane, n, &err);
		if (!code)
			code = settle_batch(lane, n = bury_refused(lane, n), &err);
		if (code)
			give_back(lane, n);
		if (code && !lane->failed)
			end_run(lane, code, &err);
		lane->failed = code;
	}
	if (lane->shielded)
		weir_shield_leave();
	return 0;
}

void lane_cancel(struct lane *lane)
{
	weir_group_cancel(lane->group);
}

int lane_open(struct engine *engine, const struct lane_options *opts, struct lane **ret_lane, struct weir_error *err)
{
	struct lane *lane = new_lane(engine, opts);
	if (!lane)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = lane->ops->open(opts->config, &opts->env, &lane->sink, err);
	if (code) {
		free_lane(lane);
		return code;
	}
	*ret_lane = lane;
	return 0;
}

int lane_recall(struct lane *lane, struct value *ret_position, uint64_t **ret_written, size_t *ret_n,
		struct weir_error *err)
{
	struct value position = {0};
	read_position(lane);
	if (lane->position.failed || value_copy(&position, lane->position.data, lane->position.len))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	*ret_written = NULL;
	*ret_n = 0;
	int code = lane->ops->written ? lane->ops->written(lane->sink, ret_written, ret_n, err, WEIR_FOREVER) : 0;
	if (code)
		value_fini(&position);
	else
		*ret_position = position;
	return code;
}

bool lane_exact(const struct lane *lane)
{
	return lane->ops->exact && lane->ops->exact(lane->sink);
}

int lane_start(struct lane *lane, struct weir_error *err)
{
	int code = weir_group_spawn_with(lane->group, &(struct weir_spawn_options){.name = "lane"}, run_lane, lane,
					 WEIR_FOREVER);
	return code ? weir_error_set(err, code, "%s", weir_strerror(code)) : 0;
}

void lane_finish(struct lane *lane)
{
	weir_queue_close(lane->queue, 0);
	weir_shield_enter();
	weir_group_wait(lane->group, WEIR_FOREVER);
	weir_shield_leave();
}

int lane_close(struct lane *lane, struct weir_error *err)
{
	int code = lane->ops->close(lane->sink, err);
	free_lane(lane);
	return code;
}
