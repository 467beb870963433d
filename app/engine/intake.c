/* SPDX-License-Identifier: MIT */
/*
 * The intake: reads the source and hands the items to the broker in batches, each with the place that reading has
 * reached.  The broker makes it wait when it is full.
 *
 * A batch ends with its count or its bytes, or when its first item has waited for BATCH_PERIOD: a source that trickles
 * must not hold back what it has.  What the source finds unusable goes the same way, marked, to be buried by a worker:
 * so it is stored and counted once like any other.
 *
 * A broker whose disk is full is asked again (patience.c); nothing is lost meanwhile.
 */
#include "engine/internal.h"

#define BATCH_BYTES  ((size_t)1 << 20)
#define BATCH_PERIOD (5 * WEIR_MSEC)

struct batch {
	struct item *items[BROKER_PUT_MAX];
	size_t n, bytes;
	weir_nsec last; /* when the last item came */
};

/* 1: an item was added, at batch->last; 0: the source has ended; negative: none came in time, stopped, or it cannot be
 * read. */
static int read_item(struct engine *engine, struct batch *batch, struct weir_error *err, weir_nsec deadline)
{
	struct item *item = item_new();
	if (!item)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int verdict = engine->source_ops->next(engine->source, item, err, deadline);
	if (verdict != SOURCE_ITEM && verdict != SOURCE_BAD) {
		item_free(item);
		return verdict;
	}
	item->born = batch->last = weir_clock();
	item->bad = verdict == SOURCE_BAD;
	batch->items[batch->n++] = item;
	batch->bytes += item->source.len;
	return 1;
}

/* As read_item() of the last one; WEIR_ETIMEDOUT when the period has passed, which a source that does not suspend need
 * not notice. */
static int read_batch(struct engine *engine, struct batch *batch, struct weir_error *err)
{
	weir_nsec until = WEIR_FOREVER;
	int code;
	do {
		code = read_item(engine, batch, err, until);
		if (batch->n == 1)
			until = batch->last + BATCH_PERIOD;
	} while (code == 1 && batch->n < engine->put_most && batch->bytes < BATCH_BYTES && batch->last < until);
	return code;
}

static int put_batch(struct engine *engine, struct batch *batch, struct weir_error *err)
{
	struct source_cursor cursor;
	weir_nsec pause = 0, begun = weir_now();
	int code;
	engine->source_ops->cursor(engine->source, &cursor);
	do
		code = engine->broker_ops->put(engine->broker, batch->items, batch->n, &cursor, err, WEIR_FOREVER);
	while (engine_again(engine, LANES, code, &pause));
	engine->source_stalled += weir_now() - begun;
	if (!code)
		engine->accounts.read += batch->n;
	for (size_t i = 0; code && i < batch->n; i++)
		item_free(batch->items[i]);
	*batch = (struct batch){0};
	return code;
}

static int seal(struct engine *engine, struct weir_error *err)
{
	weir_nsec pause = 0;
	int code;
	do
		code = engine->broker_ops->seal(engine->broker, err, WEIR_FOREVER);
	while (engine_again(engine, LANES, code, &pause));
	return code;
}

static int read_all(struct engine *engine, struct weir_error *err)
{
	struct batch batch = {0};
	int code, put = 0;
	do {
		code = read_batch(engine, &batch, err);
		if (batch.n)
			put = put_batch(engine, &batch, err);
	} while (!put && (code == 1 || code == WEIR_ETIMEDOUT));
	return put ? put : code;
}

int engine_intake(void *arg)
{
	struct engine *engine = arg;
	struct weir_error err = {0};
	int code = engine->source_ended ? 0 : read_all(engine, &err);
	if (!code)
		code = seal(engine, &err);
	engine->source_ended = engine->source_ended || !code;
	if (code && code != WEIR_ECANCELED && code != WEIR_ECLOSED)
		engine_fail(engine, code == WEIR_ENOMEM ? EX_UNAVAILABLE : EX_IOERR, &err);
	return 0;
}
