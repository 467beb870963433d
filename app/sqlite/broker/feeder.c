/* SPDX-License-Identifier: MIT */
/*
 * The backlog, and the fiber that brings it back: chunks that were stored while the window had no room, or by an
 * earlier run, or by a replay.
 *
 * A chunk is loaded when half the window is free, or as much as it has; earlier when the workers will soon have nothing
 * to do. What does not fit then is let go and read again later: `after` remembers how far the first chunk has come.
 */
#include "sqlite/broker/durable.h"

#include <stdlib.h>
#include <string.h>

int broker_feeder_open(struct sqlite_broker *broker)
{
	return weir_event_new(&broker->hungry);
}

void broker_feeder_free(struct sqlite_broker *broker)
{
	weir_event_free(broker->hungry);
	free(broker->backlog.chunks);
}

/* --- backlog --- */

int broker_backlog_reserve(struct sqlite_broker *broker, size_t n)
{
	struct broker_backlog *backlog = &broker->backlog;
	if (backlog->first && backlog->first >= backlog->n) {
		memmove(backlog->chunks, backlog->chunks + backlog->first, backlog->n * sizeof *backlog->chunks);
		backlog->first = 0;
	}
	size_t want = backlog->first + backlog->n + backlog->reserved + n;
	if (want <= backlog->room)
		return 0;
	size_t room = want < 64 ? 64 : want + want / 2;
	struct broker_chunk *chunks = reallocarray(backlog->chunks, room, sizeof *chunks);
	if (!chunks)
		return WEIR_ENOMEM;
	backlog->chunks = chunks;
	backlog->room = room;
	return 0;
}

/* Nearly always at the end: only a replay and a put that were written one after the other may come the other way
 * round.  `after` is about the first chunk, so none goes before one that it is in use for. */
void broker_backlog_add(struct sqlite_broker *broker, const struct broker_chunk *chunk)
{
	struct broker_backlog *backlog = &broker->backlog;
	size_t at = backlog->first + backlog->n, least = backlog->first + (backlog->after != 0);
	for (; at > least && backlog->chunks[at - 1].id > chunk->id; at--)
		backlog->chunks[at] = backlog->chunks[at - 1];
	backlog->chunks[at] = *chunk;
	backlog->n++;
	backlog->items += chunk->left;
	weir_event_set(broker->hungry);
}

static struct broker_chunk *first_chunk(struct sqlite_broker *broker)
{
	return &broker->backlog.chunks[broker->backlog.first];
}

static void pop_chunk(struct sqlite_broker *broker)
{
	broker->backlog.first++;
	broker->backlog.n--;
	broker->backlog.after = 0;
}

/* --- loading --- */

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Whether it is time to load the first chunk. */
static bool wants_chunk(struct sqlite_broker *broker)
{
	if (broker->stopped || broker->failed.code || !broker->backlog.n)
		return false;
	const struct broker_chunk *chunk = first_chunk(broker);
	bool plenty = broker->line.n > broker->capacity_items / 8;
	size_t share = plenty ? 2 : broker->line.n + broker->line.leased ? 8 : broker->capacity_items;
	size_t items = smaller(chunk->left, broker->capacity_items / share);
	size_t bytes = smaller(chunk->bytes, broker->capacity_bytes / share);
	return broker_window_fits(broker, items ? items : 1, bytes);
}

struct load {
	struct sqlite_broker *broker;
	uint64_t chunk;
	weir_nsec clock; /* the thread's: on a virtual clock it is not the loop's */
	struct weir_error err;
};

static int load_on_thread(void *arg)
{
	struct load *load = arg;
	int n = store_load(load->broker->store, load->chunk, load->broker->loaded, &load->err);
	load->clock = weir_clock();
	return n;
}

/* Takes those of the n loaded items that are not in memory yet, as far as there is room. */
static size_t admit_loaded(struct sqlite_broker *broker, size_t n, size_t *ret_seen)
{
	size_t admitted = 0, seen = 0;
	weir_nsec now = weir_clock();
	for (size_t i = 0; i < n; i++) {
		struct item *item = broker->loaded[i];
		bool is_new = item->id > broker->backlog.after;
		size_t bytes = broker_item_bytes(item) + item->record.len;
		seen += is_new;
		if (is_new && admitted + 1 == seen && broker_window_fits(broker, 1, bytes)) {
			broker->backlog.after = item->id;
			item->born = now;
			broker_window_admit(broker, item);
			admitted++;
		} else {
			item_free(item);
		}
	}
	*ret_seen = seen;
	return admitted;
}

/* What was loaded takes its place: whether any of it did. */
static bool take_loaded(struct sqlite_broker *broker, size_t n)
{
	struct broker_chunk *chunk = first_chunk(broker);
	size_t seen, admitted = admit_loaded(broker, n, &seen);
	if (seen != chunk->left) {
		struct weir_error err;
		int code = weir_error_set(&err, WEIR_EDATA, "the store has %zu unfinished items in chunk %llu, not %u",
					  seen, (unsigned long long)chunk->id, chunk->left);
		broker_fail(broker, code, &err);
	}
	broker->backlog.items -= admitted;
	chunk->bytes -= (uint32_t)((uint64_t)chunk->bytes * admitted / (chunk->left ? chunk->left : 1));
	chunk->left = (uint16_t)(chunk->left - admitted);
	if (!chunk->left)
		pop_chunk(broker);
	return admitted;
}

static void shift_times(struct item *item, weir_nsec by)
{
	item->due += item->due ? by : 0;
	item->attempt_state.taken += item->attempt_state.taken ? by : 0;
	item->attempt_state.first += item->attempted ? by : 0;
}

/* Whether it is worth looking again at once.  While the thread reads, the world may change. */
static bool load_chunk(struct sqlite_broker *broker)
{
	struct load load = {.broker = broker, .chunk = first_chunk(broker)->id};
	int n = broker_on_thread(broker, load_on_thread, &load);
	for (int i = 0; i < n; i++)
		shift_times(broker->loaded[i], weir_clock() - load.clock);
	if (n == WEIR_ENOMEM)
		return !weir_sleep(100 * WEIR_MSEC);
	if (n < 0)
		broker_fail(broker, n, &load.err);
	else if (!broker->stopped && !broker->failed.code && first_chunk(broker)->id == load.chunk)
		return take_loaded(broker, (size_t)n);
	for (int i = 0; i < n; i++)
		item_free(broker->loaded[i]);
	return true;
}

int broker_feeder_run(void *arg)
{
	struct sqlite_broker *broker = arg;
	for (;;) {
		weir_event_clear(broker->hungry);
		if (wants_chunk(broker) && load_chunk(broker))
			continue;
		if (weir_event_wait(broker->hungry, WEIR_FOREVER) == WEIR_ECANCELED)
			return 0;
	}
}
