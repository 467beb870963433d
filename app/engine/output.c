/* SPDX-License-Identifier: MIT */
/*
 * See output.h.  `room` counts bytes: an entry takes as many permits as its outputs have bytes, at most all of them,
 * and gives them back when it was settled.
 *
 * A lane is a fiber with its batch.  Only one of them collects at a time, so that batches are full; what has to be
 * written in its order is also written by that one, before another collects, and acked in the same order:
 *
 *     lane 1     collect, write | ack        | collect, write | ack
 *     lane 2                    | collect, write | ack        | collect ...
 *
 * A sink that is busy is asked again (store.h); one that fails ends the run.  What it had not taken goes back to the
 * broker.
 */
#include "engine/output.h"

#include <stdlib.h>
#include <sysexits.h>
#include <weir/weir.h>

enum {
	LANES = 2,
	BYTES_QUEUED = 32 * 1024 * 1024,
	BATCHES_QUEUED = 4,
	BYTES_PARSED = 64 * 1024, /* of text: what it says takes several times that */
};

#define SLOW_WRITE WEIR_SEC

struct output_entry {
	struct item *item;
	size_t bytes;
};

struct lane {
	struct output *output;
	struct output_entry *batch;
	struct sink_item *items; /* of the entries that have something to write */
	struct item **settled;   /* of the entries that were written */
	struct buf position;     /* of the sink, after the last write */
	bool ahead;              /* of the broker: the sink may hold what was not acked */
	bool collects, acks;     /* it has the turn, see struct output */
	enum output_doing doing;
	weir_nsec since;
};

struct output {
	struct output_options opts;
	const struct sink_ops *ops;
	struct sink *sink;
	struct weir_queue *queue; /* of struct output_entry */
	struct weir_sem *room;
	struct weir_sem *collecting; /* one permit: the turn of the lane that does, … */
	struct weir_sem *acking;     /* … and, of what is in order, of the one that acks */
	bool in_order;               /* batches are written and acked one after the other */
	struct weir_group *group;    /* of the lanes' fibers */
	struct lane lanes[LANES];
	size_t lane_count;
	struct engine_columns columns;
	size_t most_items, most_bytes;
	size_t queued_bytes; /* most */
	weir_nsec period;
	int failed; /* the code; 0 as long as it writes */
	weir_nsec since, spent[OUTPUT_DOINGS];
};

static void free_output(struct output *output)
{
	weir_group_free(output->group);
	weir_queue_free(output->queue);
	weir_sem_free(output->room);
	weir_sem_free(output->collecting);
	weir_sem_free(output->acking);
	for (size_t i = 0; i < output->lane_count; i++) {
		free(output->lanes[i].batch);
		free(output->lanes[i].items);
		free(output->lanes[i].settled);
		buf_fini(&output->lanes[i].position);
	}
	engine_columns_free(&output->columns);
	free(output);
}

static bool is_in_order(const struct output *output)
{
	const struct plan_settings *settings = &output->opts.store->life->plan->settings;
	return output->ops->ahead != SINK_ANY_BATCH || settings->order_by || settings->order != ORDER_COMPLETION;
}

static bool make_lanes(struct output *output)
{
	bool made = true;
	output->lane_count = output->ops->ahead == SINK_ONE_BATCH ? 1 : LANES;
	output->in_order = is_in_order(output);
	for (size_t i = 0; i < output->lane_count; i++) {
		struct lane *lane = &output->lanes[i];
		lane->output = output;
		lane->batch = calloc(output->most_items, sizeof *lane->batch);
		lane->items = calloc(output->most_items, sizeof *lane->items);
		lane->settled = calloc(output->most_items, sizeof *lane->settled);
		made = made && lane->batch && lane->items && lane->settled;
	}
	return made;
}

static struct output *new_output(const struct output_options *opts)
{
	const struct plan *plan = opts->store->life->plan;
	const struct plan_settings *settings = &plan->settings;
	struct output *output = calloc(1, sizeof *output);
	if (!output)
		return NULL;
	output->opts = *opts;
	output->ops = opts->adapter->sink;
	output->most_items = (size_t)settings->batch_items;
	output->most_bytes = (size_t)settings->batch_bytes;
	output->queued_bytes = engine_queue_bytes(plan, BYTES_QUEUED);
	output->period = settings->batch_period;
	output->since = weir_now();
	const struct key_strings *names = output->ops->columns ? output->ops->columns(opts->config) : NULL;
	if (make_lanes(output) && !engine_columns_open(&output->columns, names) &&
	    !weir_queue_new(sizeof(struct output_entry), output->most_items * BATCHES_QUEUED, &output->queue) &&
	    !weir_sem_new(output->queued_bytes, &output->room) && !weir_sem_new(1, &output->collecting) &&
	    !weir_sem_new(1, &output->acking) && !weir_group_new(NULL, &output->group))
		return output;
	free_output(output);
	return NULL;
}

static size_t output_bytes(const struct output *output, const struct item *item)
{
	size_t bytes = 1 + item->record.len;
	for (size_t i = 0; i < item->outputs.n; i++)
		bytes += item->outputs.values[i].len;
	return bytes < output->queued_bytes ? bytes : output->queued_bytes;
}

/* Outputs wait here as text, but for a few: a sink that keeps up with the steps need not parse them again, and those
 * that wait for one that does not take no more memory than they must. */
static void forget_parsed(const struct output *output, const struct output_entry *entry)
{
	size_t queued = output->queued_bytes - weir_sem_available(output->room);
	if (output->ops->columns && queued + entry->bytes <= BYTES_PARSED)
		return;
	for (size_t i = 0; i < entry->item->outputs.n; i++)
		value_forget(&entry->item->outputs.values[i]);
}

int output_put(struct output *output, struct item *item, weir_nsec deadline)
{
	struct output_entry entry = {.item = item, .bytes = output_bytes(output, item)};
	forget_parsed(output, &entry);
	int code = weir_sem_acquire(output->room, entry.bytes, deadline);
	if (code)
		return code;
	code = weir_queue_put(output->queue, &entry, deadline);
	if (code)
		weir_sem_release(output->room, entry.bytes);
	return code;
}

bool output_is_full(const struct output *output)
{
	return weir_queue_full(output->queue);
}

static void begin(struct lane *lane, enum output_doing doing)
{
	struct output *output = lane->output;
	weir_nsec now = weir_now();
	output->spent[output_does(output)] += now - output->since;
	output->since = now;
	lane->doing = doing;
	lane->since = now;
}

/* Of two lanes it is the one that writes that counts, then the one that acks. */
enum output_doing output_does(const struct output *output)
{
	enum output_doing all = OUTPUT_WAITS;
	for (size_t i = 0; i < output->lane_count && all != OUTPUT_WRITES; i++)
		if (output->lanes[i].doing != OUTPUT_WAITS)
			all = output->lanes[i].doing;
	return all;
}

weir_nsec output_spent(const struct output *output, enum output_doing doing)
{
	return output->spent[doing] + (output_does(output) == doing ? weir_now() - output->since : 0);
}

bool output_is_slow(const struct output *output)
{
	bool slow = false;
	for (size_t i = 0; i < output->lane_count; i++)
		slow = slow ||
		       (output->lanes[i].doing == OUTPUT_WRITES && weir_now() - output->lanes[i].since >= SLOW_WRITE);
	return slow;
}

/* Nothing is on its way here, so a batch gains nothing by waiting. */
static bool is_last(const struct output *output)
{
	return output->opts.load->starving && !output->opts.load->in_flight && weir_queue_empty(output->queue);
}

/* ---- turns */

static bool take_turn(struct weir_sem *turn, bool *mine)
{
	*mine = !weir_sem_acquire(turn, 1, WEIR_FOREVER);
	return *mine;
}

static void leave_turn(struct weir_sem *turn, bool *mine)
{
	if (*mine)
		weir_sem_release(turn, 1);
	*mine = false;
}

/* What was written is acked before what comes after it is, so others may collect now. */
static void pass_turn(struct lane *lane)
{
	struct output *output = lane->output;
	weir_shield_enter();
	if (output->in_order)
		take_turn(output->acking, &lane->acks);
	weir_shield_leave();
	leave_turn(output->collecting, &lane->collects);
}

/* ---- a batch */

/* The next one: its number of entries, 0 at the end. */
static size_t collect(struct lane *lane)
{
	struct output *output = lane->output;
	size_t n = 0, bytes = 0;
	weir_nsec until = WEIR_FOREVER;
	if (!take_turn(output->collecting, &lane->collects))
		return 0;
	while (n < output->most_items && bytes < output->most_bytes && !(n && is_last(output))) {
		if (weir_queue_get(output->queue, &lane->batch[n], until))
			break;
		bytes += lane->batch[n++].bytes;
		if (n == 1)
			until = weir_now() + output->period;
	}
	if (!output->in_order || !n)
		leave_turn(output->collecting, &lane->collects);
	return n;
}

/* Writes the outputs of n items, patiently. */
static int write_items(struct lane *lane, size_t n, struct weir_error *err)
{
	struct output *output = lane->output;
	unsigned attempts = 0;
	struct output_stats *stats = output->opts.stats;
	int code;
	lane->ahead = true;
	do {
		weir_nsec begun = weir_clock();
		code = output->ops->write(output->sink, lane->items, n, err, WEIR_FOREVER);
		weir_histogram_record(stats->write_ns, weir_clock() - begun);
	} while (engine_again(output->opts.store, (int)output->opts.which, code, err, &attempts));
	if (!code)
		weir_histogram_record(stats->batch_items, (int64_t)n);
	stats->written += code ? 0 : n;
	return code;
}

static void read_position(struct lane *lane)
{
	const struct output *output = lane->output;
	buf_clear(&lane->position);
	if (output->ops->position)
		output->ops->position(output->sink, &lane->position);
}

/* Tells the broker what became of n items, patiently. */
static int ack_items(struct lane *lane, size_t n, struct weir_error *err)
{
	const struct output *output = lane->output;
	const struct value position = {lane->position.data, lane->position.len};
	unsigned attempts = 0;
	int code;
	do
		code = engine_settle(output->opts.store, lane->settled, n, output->opts.which,
				     position.len ? &position : NULL, err);
	while (engine_again(output->opts.store, PLACE_ACKS, code, err, &attempts));
	return code;
}

/* Hands over the entries whose outputs the sink can never take; returns how many others there are, moved together. */
static size_t hand_over_refused(struct lane *lane, size_t n)
{
	struct output *output = lane->output;
	size_t kept = 0, written = 0;
	for (size_t i = 0; i < n; i++) {
		struct output_entry entry = lane->batch[i];
		struct sink_item *item = entry.item->outputs.n ? &lane->items[written++] : NULL;
		if (item && item->verdict) {
			item_set_why(entry.item, "sink: %s", item->why);
			weir_sem_release(output->room, entry.bytes);
			output->opts.refused(output->opts.arg, entry.item);
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

static void end_run(struct output *output, int code, const struct weir_error *err)
{
	if (code == WEIR_EPIPE)
		engine_end(output->opts.store->life, "the reader of the output has closed it");
	else if (code != WEIR_ECANCELED)
		engine_fail(output->opts.store->life, code == WEIR_EINVAL ? EX_CONFIG : engine_exit_of(code), err);
}

/* Those that are still ours, moved together. */
static size_t drop_lost(struct lane *lane, size_t n)
{
	struct output *output = lane->output;
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		struct output_entry entry = lane->batch[i];
		if (engine_holds(output->opts.store, entry.item))
			lane->batch[kept++] = entry;
		else
			weir_sem_release(output->room, entry.bytes);
	}
	return kept;
}

/* Those with outputs, which are the sink's. */
static void trace_batch(const struct lane *lane, size_t n, size_t written, weir_nsec begun, const char *error)
{
	struct tracer *tracer = lane->output->opts.store->life->opts.tracer;
	struct trace_write write = {
		.sink = lane->output->opts.adapter->name, .items = written, .begun = begun, .ended = weir_clock()};
	const struct sink_item *item = lane->items;
	for (size_t i = 0; i < n; i++) {
		if (!lane->batch[i].item->outputs.n)
			continue;
		write.error = error || !item->verdict ? error : item->why;
		tracer_write(tracer, lane->batch[i].item, &write);
		item++;
	}
}

static int write_batch(struct lane *lane, size_t n, struct weir_error *err)
{
	struct output *output = lane->output;
	size_t to_write = 0;
	for (size_t i = 0; i < n; i++)
		if (lane->batch[i].item->outputs.n)
			lane->items[to_write++] = (struct sink_item){.item = lane->batch[i].item};
	for (size_t i = 0; i < to_write; i++)
		engine_columns_look(&output->columns, lane->items[i].item);
	weir_nsec begun = weir_clock();
	int code = to_write ? write_items(lane, to_write, err) : 0;
	if (output->opts.store->life->opts.tracer)
		trace_batch(lane, n, to_write, begun, code ? err->text : NULL);
	if (!code && !output->opts.refused)
		code = refused_letter(lane, to_write, err);
	if (!code)
		read_position(lane);
	return lane->position.failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : code;
}

/* Accounts for what was written, also when the output is cancelled now: engine_settle() is shielded. */
static int settle_batch(struct lane *lane, size_t n, struct weir_error *err)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++) {
		lane->settled[i] = lane->batch[i].item;
		bytes += lane->batch[i].bytes;
	}
	int code = n ? ack_items(lane, n, err) : 0;
	if (!code)
		weir_sem_release(lane->output->room, bytes);
	lane->ahead = code;
	return code;
}

static void give_back(struct lane *lane, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		weir_sem_release(lane->output->room, lane->batch[i].bytes);
		engine_give_back(lane->output->opts.store, lane->batch[i].item);
	}
}

/* Keeps the first one. */
static void note_failure(struct output *output, int code, const struct weir_error *err)
{
	if (code && !output->failed)
		end_run(output, code, err);
	output->failed = output->failed ? output->failed : code;
}

/* Of what is in order nothing is acked behind a batch that was not. */
static void run_batch(struct lane *lane, size_t n, int failed)
{
	struct output *output = lane->output;
	struct weir_error err = {0};
	int code = failed;
	n = drop_lost(lane, n);
	begin(lane, OUTPUT_WRITES);
	if (!code)
		code = write_batch(lane, n, &err);
	note_failure(output, code, &err);
	begin(lane, OUTPUT_ACKS);
	pass_turn(lane);
	if (!code && output->in_order)
		code = output->failed;
	if (!code) {
		code = settle_batch(lane, n = hand_over_refused(lane, n), &err);
		note_failure(output, code, &err);
	}
	if (code)
		give_back(lane, n);
	leave_turn(output->acking, &lane->acks);
	begin(lane, OUTPUT_WAITS);
}

/* An output that failed continues to take, so that no worker waits for it for ever; one that was cancelled does so,
 * too.
 */
static int run_lane(void *arg)
{
	struct lane *lane = arg;
	struct output *output = lane->output;
	bool shielded = false;
	size_t n;
	while ((n = collect(lane)) || weir_canceled()) {
		int failed = output->failed;
		if (weir_canceled()) {
			weir_shield_enter();
			failed = WEIR_ECANCELED;
			shielded = true;
		}
		run_batch(lane, n, failed);
	}
	if (shielded)
		weir_shield_leave();
	return 0;
}

void output_cancel(struct output *output)
{
	weir_group_cancel(output->group);
}

int output_open(const struct output_options *opts, struct output **ret_output, struct weir_error *err)
{
	struct output *output = new_output(opts);
	if (!output)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = output->ops->open(opts->config, &opts->env, &output->sink, err);
	if (code) {
		free_output(output);
		return code;
	}
	*ret_output = output;
	return 0;
}

int output_prepare(struct output *output, struct weir_error *err)
{
	return output->ops->start ? output->ops->start(output->sink, err) : 0;
}

int output_recall(struct output *output, struct value *ret_position, uint64_t **ret_written, size_t *ret_n,
		  struct weir_error *err)
{
	struct lane *lane = &output->lanes[0];
	struct value position = {0};
	read_position(lane);
	if (lane->position.failed || value_copy(&position, lane->position.data, lane->position.len))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	*ret_written = NULL;
	*ret_n = 0;
	int code = output->ops->written ? output->ops->written(output->sink, ret_written, ret_n, err, WEIR_FOREVER) : 0;
	if (code)
		value_fini(&position);
	else
		*ret_position = position;
	return code;
}

enum sink_exactness output_exactness(const struct output *output)
{
	return output->ops->exactness ? output->ops->exactness(output->sink) : SINK_REPEATS;
}

int output_start(struct output *output, struct weir_error *err)
{
	static const struct weir_spawn_options opts = {.name = "output"};
	int code = 0;
	for (size_t i = 0; i < output->lane_count && !code; i++)
		code = weir_group_spawn_with(output->group, &opts, run_lane, &output->lanes[i], WEIR_FOREVER);
	return code ? weir_error_set(err, code, "%s", weir_strerror(code)) : 0;
}

bool output_is_ahead(const struct output *output)
{
	bool ahead = false;
	for (size_t i = 0; i < output->lane_count; i++)
		ahead = ahead || output->lanes[i].ahead;
	return ahead;
}

void output_finish(struct output *output)
{
	weir_queue_close(output->queue, 0);
	weir_shield_enter();
	weir_group_wait(output->group, WEIR_FOREVER);
	weir_shield_leave();
}

int output_close(struct output *output, struct weir_error *err)
{
	engine_columns_tell(&output->columns, output->opts.store->life);
	int code = output->ops->close(output->sink, err);
	free_output(output);
	return code;
}
