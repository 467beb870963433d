/* SPDX-License-Identifier: MIT */
/*
 * put() waits for room in the store; then its items are a few chunks of one commit, and go straight to the window when
 * nothing older is still to be loaded and there is room.  A store in which nothing is unfinished takes a put of any
 * size: nothing could ever make more room, so waiting would be for ever.
 *
 * A source that can be read again is not read further ahead than the window: what lies in the store instead of in the
 * source is only written and read once more.  One that cannot is taken as far as the store reaches.
 */
#include "sqlite/broker/durable.h"

/* What an item takes in a chunk beside its source, roughly. */
enum { STORED_ITEM_BYTES = 24 };

static uint64_t stored_size(struct item *const *items, size_t n)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < n; i++)
		bytes += items[i]->source.len + STORED_ITEM_BYTES;
	return bytes;
}

static bool has_room(const struct sqlite_broker *broker, size_t n, uint64_t bytes)
{
	uint64_t inside = broker_unfinished(broker) + broker->claimed_items;
	if (!inside)
		return true;
	return inside + n <= broker->most_items &&
	       broker->counts.stored_bytes + broker->claimed_bytes + bytes <= broker->config->max_size;
}

static int wait_for_room(struct sqlite_broker *broker, size_t n, uint64_t bytes, struct weir_error *err,
			 weir_nsec deadline)
{
	for (;;) {
		int code = broker->stopped ? WEIR_ECLOSED : broker_answer_failed(broker, err);
		if (code || has_room(broker, n, bytes))
			return code;
		code = weir_event_wait(broker->room, deadline);
		if (code)
			return code;
	}
}

/* Takes room for a put, in the order of their coming. */
static int claim(struct sqlite_broker *broker, size_t n, uint64_t bytes, struct weir_error *err, weir_nsec deadline)
{
	int code = weir_sem_acquire(broker->put_turn, 1, deadline);
	if (code)
		return code;
	code = wait_for_room(broker, n, bytes, err, deadline);
	if (!code) {
		broker->claimed_items += n;
		broker->claimed_bytes += bytes;
	}
	weir_sem_release(broker->put_turn, 1);
	return code;
}

/* A chunk that is stored now goes to the window, or stays where it is. */
static void place_chunk(struct sqlite_broker *broker, uint64_t id, struct item *const *items, size_t n)
{
	size_t bytes = 0;
	broker->backlog.reserved--;
	for (size_t i = 0; i < n; i++)
		bytes += broker_item_bytes(items[i]);
	bool stays = broker->stopped || broker->backlog.n || !broker_window_fits(broker, n, bytes);
	struct broker_chunk chunk = {
		.id = id, .bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX, .left = (uint16_t)n};
	for (size_t i = 0; i < n; i++) {
		if (stays)
			item_free(items[i]);
		else
			broker_window_admit(broker, items[i]);
	}
	if (stays)
		broker_backlog_add(broker, &chunk);
}

static void place(struct sqlite_broker *broker, const struct broker_request *put)
{
	broker->counts.accounts.read += put->n;
	for (size_t at = 0; at < put->n; at += STORE_CHUNK_ITEMS)
		place_chunk(broker, put->chunk + at / STORE_CHUNK_ITEMS, put->items + at, broker_chunk_items(put, at));
}

int broker_put(struct broker *handle, struct item *const *items, size_t n, const struct source_cursor *was,
	       const struct source_cursor *cursor, struct weir_error *err, weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	(void)was; /* nobody else has the store */
	struct broker_request put = {.kind = REQUEST_PUT, .items = items, .n = n, .cursor = cursor};
	uint64_t bytes = stored_size(items, n);
	int code = claim(broker, n, bytes, err, deadline);
	if (code)
		return code;
	code = broker_commit(broker, &put, err);
	broker->claimed_items -= n;
	broker->claimed_bytes -= bytes;
	if (!code)
		place(broker, &put);
	return code;
}
