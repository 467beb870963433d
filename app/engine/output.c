/* SPDX-License-Identifier: MIT */
/*
 * See output.h.  `room` counts bytes: an entry takes as many permits as its outputs have bytes, at most all of them,
 * and gives them back when it was settled.
 *
 * A sink that is busy is asked again (store.h); one that fails ends the run.  What it had not taken goes back to the
 * broker.
 */
#include "engine/output.h"

#include <stdlib.h>
#include <sysexits.h>
#include <weir/weir.h>

enum {
	BYTES_QUEUED = 32 * 1024 * 1024,
	BATCHES_QUEUED = 4,
	BYTES_PARSED = 64 * 1024, /* of text: what it says takes several times that */
	TELL_AFTER = 5,           /* attempts to write a batch, about 300 ms */
};

#define SLOW_WRITE WEIR_SEC

struct output_entry {
	struct item *item;
	size_t bytes;
};

struct output {
	struct output_options opts;
	const struct sink_ops *ops;
	struct sink *sink;
	struct weir_queue *queue; /* of struct lane_entry */
	struct weir_sem *room;
	struct weir_group *group; /* of the output's fiber */
	struct output_entry *batch;
	struct sink_item *items; /* of the entries that have something to write */
	struct item **settled;   /* of the entries that were written */
	struct buf position;     /* of the sink, after the last write */
	struct engine_columns columns;
	size_t most_items, most_bytes;
	size_t queued_bytes; /* most */
	weir_nsec period;
	int failed; /* the code; 0 as long as it writes */
	bool ahead; /* of the broker: the sink may hold what was not acked */
	bool shielded;
	enum output_doing doing;
	weir_nsec since, spent[OUTPUT_DOINGS];
};

static void free_output(struct output *output)
{
	weir_group_free(output->group);
	weir_queue_free(output->queue);
	weir_sem_free(output->room);
	free(output->batch);
	free(output->items);
	free(output->settled);
	buf_fini(&output->position);
	engine_columns_free(&output->columns);
	free(output);
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
	output->batch = calloc(output->most_items, sizeof *output->batch);
	output->items = calloc(output->most_items, sizeof *output->items);
	output->settled = calloc(output->most_items, sizeof *output->settled);
	const struct key_strings *names = output->ops->columns ? output->ops->columns(opts->config) : NULL;
	if (output->batch && output->items && output->settled && !engine_columns_open(&output->columns, names) &&
	    !weir_queue_new(sizeof(struct output_entry), output->most_items * BATCHES_QUEUED, &output->queue) &&
	    !weir_sem_new(output->queued_bytes, &output->room) && !weir_group_new(NULL, &output->group))
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

static void begin(struct output *output, enum output_doing doing)
{
	weir_nsec now = weir_now();
	output->spent[output->doing] += now - output->since;
	output->doing = doing;
	output->since = now;
}

enum output_doing output_does(const struct output *output)
{
	return output->doing;
}

weir_nsec output_spent(const struct output *output, enum output_doing doing)
{
	return output->spent[doing] + (output->doing == doing ? weir_now() - output->since : 0);
}

bool output_is_slow(const struct output *output)
{
	return output->doing == OUTPUT_WRITES && weir_now() - output->since >= SLOW_WRITE;
}

/* Nothing is on its way here, so a batch gains nothing by waiting. */
static bool is_last(const struct output *output)
{
	return output->opts.load->starving && !output->opts.load->in_flight && weir_queue_empty(output->queue);
}

/* The next batch: its number of entries, 0 at the end. */
static size_t collect(struct output *output)
{
	size_t n = 0, bytes = 0;
	weir_nsec until = WEIR_FOREVER;
	while (n < output->most_items && bytes < output->most_bytes && !(n && is_last(output))) {
		if (weir_queue_get(output->queue, &output->batch[n], until))
			break;
		bytes += output->batch[n++].bytes;
		if (n == 1)
			until = weir_now() + output->period;
	}
	return n;
}

/* A full disk has its own words (disk.c). */
static void tell_of_waiting(const struct output *output, int code, unsigned attempts, const struct weir_error *err,
			    bool *told)
{
	const char *name = output->opts.which == OUTLET_SINK ? "sink" : "dead letters";
	if (*told && !code)
		engine_note(output->opts.store->life, "%s: writes again", name);
	if (code && code != WEIR_ENOSPC && attempts == TELL_AFTER) {
		engine_note(output->opts.store->life, "%s: %s; trying again until it works", name, err->text);
		*told = true;
	}
}

/* Writes the outputs of n items, patiently. */
static int write_items(struct output *output, size_t n, struct weir_error *err)
{
	unsigned attempts = 0;
	struct output_stats *stats = output->opts.stats;
	bool told = false;
	int code;
	output->ahead = true;
	do {
		weir_nsec begun = weir_clock();
		code = output->ops->write(output->sink, output->items, n, err, WEIR_FOREVER);
		weir_histogram_record(stats->write_ns, weir_clock() - begun);
		tell_of_waiting(output, code, attempts, err, &told);
	} while (engine_again(output->opts.store, (int)output->opts.which, code, &attempts));
	stats->written += code ? 0 : n;
	return code;
}

static void read_position(struct output *output)
{
	buf_clear(&output->position);
	if (output->ops->position)
		output->ops->position(output->sink, &output->position);
}

/* Tells the broker what became of n items, patiently. */
static int ack_items(struct output *output, size_t n, struct weir_error *err)
{
	const struct value position = {output->position.data, output->position.len};
	unsigned attempts = 0;
	int code;
	do
		code = engine_settle(output->opts.store, output->settled, n, output->opts.which,
				     position.len ? &position : NULL, err);
	while (engine_again(output->opts.store, PLACE_ACKS, code, &attempts));
	return code;
}

/* Hands over the entries whose outputs the sink can never take; returns how many others there are, moved together. */
static size_t hand_over_refused(struct output *output, size_t n)
{
	size_t kept = 0, written = 0;
	for (size_t i = 0; i < n; i++) {
		struct output_entry entry = output->batch[i];
		struct sink_item *item = entry.item->outputs.n ? &output->items[written++] : NULL;
		if (item && item->verdict) {
			item_set_why(entry.item, "sink: %s", item->why);
			weir_sem_release(output->room, entry.bytes);
			output->opts.refused(output->opts.arg, entry.item);
		} else {
			output->batch[kept++] = entry;
		}
	}
	return kept;
}

/* There is no place left for a dead letter that its sink will not take. */
static int refused_letter(const struct output *output, size_t n, struct weir_error *err)
{
	for (size_t i = 0; i < n; i++)
		if (output->items[i].verdict)
			return weir_error_set(err, WEIR_EIO, "dead letters: %s", output->items[i].why);
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
static size_t drop_lost(struct output *output, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		struct output_entry entry = output->batch[i];
		if (engine_holds(output->opts.store, entry.item))
			output->batch[kept++] = entry;
		else
			weir_sem_release(output->room, entry.bytes);
	}
	return kept;
}

static void trace_batch(const struct output *output, size_t n, weir_nsec begun, const char *error)
{
	weir_nsec now = weir_clock();
	for (size_t i = 0; i < n; i++) {
		const struct sink_item *item = &output->items[i];
		trace_write(item->item->trace, output->opts.adapter->name, n, begun, now,
			    error || !item->verdict ? error : item->why);
	}
}

static int write_batch(struct output *output, size_t n, struct weir_error *err)
{
	size_t to_write = 0;
	for (size_t i = 0; i < n; i++)
		if (output->batch[i].item->outputs.n)
			output->items[to_write++] = (struct sink_item){.item = output->batch[i].item};
	for (size_t i = 0; i < to_write; i++)
		engine_columns_look(&output->columns, output->items[i].item);
	weir_nsec begun = weir_clock();
	int code = to_write ? write_items(output, to_write, err) : 0;
	if (output->opts.store->life->opts.tracer)
		trace_batch(output, to_write, begun, code ? err->text : NULL);
	if (!code && !output->opts.refused)
		code = refused_letter(output, to_write, err);
	if (!code)
		read_position(output);
	return output->position.failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : code;
}

/* Accounts for what was written, also when the output is cancelled now: engine_settle() is shielded. */
static int settle_batch(struct output *output, size_t n, struct weir_error *err)
{
	size_t bytes = 0;
	for (size_t i = 0; i < n; i++) {
		output->settled[i] = output->batch[i].item;
		bytes += output->batch[i].bytes;
	}
	int code = n ? ack_items(output, n, err) : 0;
	if (!code)
		weir_sem_release(output->room, bytes);
	output->ahead = code;
	return code;
}

static void give_back(struct output *output, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		weir_sem_release(output->room, output->batch[i].bytes);
		engine_give_back(output->opts.store, output->batch[i].item);
	}
}

/* An output that failed continues to take, so that no worker waits for it for ever; one that was cancelled does so,
 * too.
 */
static int run_output(void *arg)
{
	struct output *output = arg;
	size_t n;
	while ((n = collect(output)) || weir_canceled()) {
		struct weir_error err = {0};
		int code = output->failed;
		if (weir_canceled()) {
			weir_shield_enter();
			code = WEIR_ECANCELED;
			output->shielded = true;
		}
		n = drop_lost(output, n);
		begin(output, OUTPUT_WRITES);
		if (!code)
			code = write_batch(output, n, &err);
		begin(output, OUTPUT_ACKS);
		if (!code)
			code = settle_batch(output, n = hand_over_refused(output, n), &err);
		if (code)
			give_back(output, n);
		if (code && !output->failed)
			end_run(output, code, &err);
		begin(output, OUTPUT_WAITS);
		output->failed = code;
	}
	if (output->shielded)
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
	struct value position = {0};
	read_position(output);
	if (output->position.failed || value_copy(&position, output->position.data, output->position.len))
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
	int code = weir_group_spawn_with(output->group, &(struct weir_spawn_options){.name = "output"}, run_output,
					 output, WEIR_FOREVER);
	return code ? weir_error_set(err, code, "%s", weir_strerror(code)) : 0;
}

bool output_is_ahead(const struct output *output)
{
	return output->ahead;
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
