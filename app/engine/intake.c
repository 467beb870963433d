/* SPDX-License-Identifier: MIT */
/*
 * The intake: reads the source and hands the items to the broker in batches, each with the place that reading has
 * reached.  The broker makes it wait when it is full.
 *
 * A batch ends when it has enough items or bytes, or when nothing more is there and the one before was put BATCH_PERIOD
 * ago.  So what comes after a pause is put immediately, and a source that trickles causes only so many puts a second.
 * Each BATCH_TURN items the rest of the loop has its turn.  What the source finds unusable goes the same way, marked, and
 * a worker buries it: so it is stored and counted once like any other.
 *
 * A broker whose disk is full is asked again (store.h); nothing is lost meanwhile.  One that others share may forget
 * its last writes until all is done, the end of the source among them: then that is read again.
 */
#include "engine/internal.h"

#define BATCH_BYTES  ((size_t)1 << 20)
#define BATCH_PERIOD (5 * WEIR_MSEC)
#define SEAL_LOOK    (WEIR_SEC / 5)
#define BATCH_TURN   ((size_t)1024)

/* Of engine->input.batch. */
struct batch {
	size_t n, bytes;
	weir_nsec last;  /* when the last item came */
	weir_nsec ready; /* from when on it may be put: a source that has nothing by then is not waited for */
};

/* 1: an item was added, at batch->last; 0: the source has ended; negative: none came in time, stopped, or it cannot be
 * read. */
static int read_item(struct engine *engine, struct batch *batch, struct weir_error *err, weir_nsec deadline)
{
	struct item *item = item_new();
	if (!item)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int verdict = engine->input.ops->next(engine->input.source, item, err, deadline);
	if (verdict != SOURCE_ITEM && verdict != SOURCE_BAD) {
		item_free(item);
		return verdict;
	}
	engine->input.position = item->position;
	item->born = batch->last = weir_clock();
	item->bad = verdict == SOURCE_BAD;
	if (!engine->life.plan->settings.priority_field) /* nobody asks before it is leased */
		value_forget(&item->source);
	engine->input.batch[batch->n++] = item;
	batch->bytes += item->source.len;
	return 1;
}

/* As read_item() of the last one; WEIR_ETIMEDOUT when nothing more is there.  A source that does not suspend need not
 * notice a deadline. */
static int read_batch(struct engine *engine, struct batch *batch, struct weir_error *err)
{
	weir_nsec last = WEIR_FOREVER;
	int code;
	do {
		code = read_item(engine, batch, err, batch->n ? batch->ready : WEIR_FOREVER);
		if (batch->n == 1)
			last = batch->last + BATCH_PERIOD;
		if (code == 1 && batch->n % BATCH_TURN == 0 && weir_yield())
			code = WEIR_ECANCELED;
	} while (code == 1 && batch->n < engine->input.put_most && batch->bytes < BATCH_BYTES && batch->last < last);
	return code;
}

int engine_open_source(struct engine *engine, const struct broker_past *past, struct weir_error *err)
{
	struct engine_input *input = &engine->input;
	const struct plan *plan = engine->life.plan;
	int code = input->ops->open(plan->source.config, plan->settings.name, &input->source, err);
	input->cursor = past ? past->cursor : (struct source_cursor){0};
	if (code || !past || !past->source.len)
		return code;
	return input->ops->resume(input->source, past->source.data, &past->cursor, engine->life.opts.wish == WISH_ADOPT,
				  err);
}

int engine_accept(struct engine *engine, struct weir_error *err)
{
	const struct source_ops *ops = engine->input.ops;
	return engine->input.source && ops->accept ? ops->accept(engine->input.source, err, WEIR_FOREVER) : 0;
}

/* Another process has put items meanwhile, or the broker has lost what it had: reads on from where that stands. */
static int follow(struct engine *engine, struct weir_error *err)
{
	struct engine_store *store = &engine->store;
	struct source *source = engine->input.source;
	struct broker_past past = {0};
	unsigned attempts = 0;
	int code;
	do
		code = store->ops->journal.recall(store->broker, &past, err, WEIR_FOREVER);
	while (engine_again(store, PLACE_INTAKE, code, err, &attempts));
	if (!code && !past.source.len)
		code = weir_error_set(err, WEIR_EINVAL,
				      "the broker's position is not that of this source, which cannot be read again");
	if (!code) {
		engine->input.source = NULL;
		engine->input.ops->close(source);
		code = engine_open_source(engine, &past, err);
	}
	broker_past_fini(&past);
	return code ? code : engine_accept(engine, err);
}

static int put_batch(struct engine *engine, struct batch *batch, struct weir_error *err)
{
	struct source_cursor cursor;
	unsigned attempts = 0;
	int code;
	engine->input.ops->cursor(engine->input.source, &cursor);
	engine->input.put_since = weir_now();
	do
		code = engine->store.ops->queue.put(engine->store.broker, engine->input.batch, batch->n,
						    &engine->input.cursor, &cursor, err, WEIR_FOREVER);
	while (engine_again(&engine->store, PLACE_INTAKE, code, err, &attempts));
	engine->input.stalled += weir_now() - engine->input.put_since;
	engine->input.put_since = 0;
	if (!code) {
		engine->store.mine.read += batch->n;
		engine->input.cursor = cursor;
	}
	for (size_t i = 0; code && i < batch->n; i++)
		item_free(engine->input.batch[i]);
	*batch = (struct batch){0};
	return code == BROKER_MOVED ? follow(engine, err) : code ? code : engine_accept(engine, err);
}

static int seal(struct engine *engine, struct weir_error *err)
{
	unsigned attempts = 0;
	int code;
	do
		code = engine->store.ops->queue.seal(engine->store.broker, err, WEIR_FOREVER);
	while (engine_again(&engine->store, PLACE_INTAKE, code, err, &attempts));
	return code;
}

static int read_all(struct engine *engine, struct weir_error *err)
{
	struct batch batch = {.ready = weir_now()};
	int code, put = 0;
	do {
		code = read_batch(engine, &batch, err);
		if (batch.n) {
			put = put_batch(engine, &batch, err);
			batch.ready = weir_now() + BATCH_PERIOD;
		}
	} while (!put && (code == 1 || code == WEIR_ETIMEDOUT));
	return put ? put : code;
}

/* A broker that has lost what was put is read to again. */
static int read_and_seal(struct engine *engine, struct weir_error *err)
{
	int code = BROKER_MOVED;
	while (code == BROKER_MOVED) {
		code = engine->input.ended ? 0 : read_all(engine, err);
		if (!code)
			code = seal(engine, err);
		if (code == BROKER_MOVED) {
			int failed = follow(engine, err);
			engine->input.ended = false;
			code = failed ? failed : code;
		}
	}
	return code;
}

/* Waits until the broker has forgotten that the source has ended; false: all is done, or this is to end. */
static bool has_forgotten(struct engine *engine)
{
	struct broker_counts counts;
	do {
		engine_counts(&engine->store, &counts);
		if (counts.ended || !engine->fleet || weir_sleep(SEAL_LOOK))
			return false;
	} while (counts.sealed);
	return true;
}

int engine_intake(void *arg)
{
	struct engine *engine = arg;
	struct weir_error err = {0};
	bool again;
	int code;
	do {
		code = read_and_seal(engine, &err);
		engine->input.ended = engine->input.ended || !code;
		again = !code && has_forgotten(engine);
		if (again) {
			engine->input.ended = false;
			code = follow(engine, &err);
		}
	} while (again && !code);
	if (code && code != WEIR_ECANCELED && code != WEIR_ECLOSED && !weir_canceled())
		engine_fail(&engine->life, code == WEIR_ENOMEM ? EX_UNAVAILABLE : EX_IOERR, &err);
	return 0;
}
