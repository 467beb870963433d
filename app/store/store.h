/* SPDX-License-Identifier: MIT */
/*
 * The durable store: `state.db` in the state folder, an SQLite file that holds what a run must not lose.
 *
 *     meta      one row, once a run was begun: its name, the plan's meaning, the source's identity
 *     progress  one row, written with each commit: cursor, sealed, accounts, positions of the sinks, the next chunk
 *     chunk     up to 256 items as one row: id, n, body, crc (chunk.h has the layout)
 *     ack       which items of a chunk are settled, a bitmap; both rows go when the last one is
 *     retry     of items that failed and will be tried again: attempts, due (wall clock), why, history
 *     dead      dead letters (port/letter.h)
 *
 * An item's id is its chunk's id * 256 + its place.  Leases are not stored: after a restart each item that is not
 * settled is free.  WAL and synchronous=FULL, one connection in exclusive mode: what store_commit() was given survives
 * a power cut once it has returned, all of it or nothing.
 *
 * Threads: any one at a time; it blocks, so not on a loop.  After WEIR_EIO or WEIR_EDATA the store is spoilt: every
 * further call answers the same, and the file has to be opened anew, which goes through SQLite's recovery.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "port/broker.h"

#define STORE_CHUNK_ITEMS BROKER_PUT_MAX
#define STORE_FILE        "state.db"

struct store;

static inline uint64_t store_chunk_of(uint64_t id)
{
	return id / STORE_CHUNK_ITEMS;
}

enum store_flags {
	STORE_CREATE = 1u << 0,   /* make it if it is not there; else -ENOENT */
	STORE_READONLY = 1u << 1, /* for looking: nothing is written, not even recovery's results */
};

/* Opens folder/state.db, the folder held by the caller.  -ENOENT; WEIR_EDATA when it is no store, of a later version,
 * or damaged; WEIR_EIO, WEIR_ENOSPC and others; err->text says where and what to do. */
int store_open(const char *folder, unsigned flags, struct store **ret_store, struct weir_error *err);
void store_close(struct store *store); /* checkpoints; NULL is fine */

/* What is known of the run.  Nothing begun: `begun` is false, all else empty. */
int store_recall(struct store *store, struct broker_past *ret_past, struct weir_error *err);

/* As forget() of the port, in one transaction. */
int store_forget(struct store *store, struct weir_error *err);

/* As start() of the port (port/broker.h), in one transaction. */
int store_start(struct store *store, const struct broker_start *start, struct weir_error *err);

/* --- what is unfinished --- */

/* One chunk: how much of it is left. */
struct store_chunk {
	uint64_t id;
	unsigned left;        /* items that are not settled */
	uint64_t left_bytes;  /* of their sources, roughly: the body's bytes by share */
	uint64_t store_bytes; /* that its row takes */
};

/* All chunks, by id; malloc'ed, the caller's. */
int store_chunks(struct store *store, struct store_chunk **ret_chunks, size_t *ret_n, struct weir_error *err);

/* Reads the items of a chunk that are not settled, oldest first, with their attempts, why and due (on weir_now()'s
 * clock; 0: ready): how many, or a negative code.  WEIR_EDATA when its checksum does not match. */
int store_load(struct store *store, uint64_t chunk, struct item *ret_items[STORE_CHUNK_ITEMS], struct weir_error *err);

/* --- one transaction --- */

struct store_put {
	uint64_t chunk; /* above all that there have been: store_next_chunk() */
	struct item *const *items;
	size_t n;
};

struct store_ack {
	uint64_t id;
	enum fate fate; /* FATE_DEAD: the letter is kept elsewhere */
};

struct store_retry {
	uint64_t id;
	unsigned attempts;
	int64_t due_unix_ns;
	char why[256];
};

/* Applied in this order. */
struct store_batch {
	const struct store_put *puts;
	size_t put_count;
	const struct source_cursor *cursor; /* after the last put; NULL: as it was */
	bool seal;
	const struct store_retry *retries; /* several of one item: the last counts */
	size_t retry_count;
	const struct store_ack *acks;
	size_t ack_count;
	struct item *const *dead; /* become letters */
	size_t dead_count;
	const struct value *positions[LANES]; /* NULL: as it was */
};

uint64_t store_next_chunk(const struct store *store);

/* 0: all of it is durable.  WEIR_ENOSPC, WEIR_EBUSY: nothing of it happened, it may be tried again.  Contract: the ids
 * exist and are not settled. */
int store_commit(struct store *store, const struct store_batch *batch, struct weir_error *err);

/* Bytes that the file takes without its free pages, for `max_size`. */
uint64_t store_bytes(const struct store *store);

/* --- dead letters: see port/letter.h for what one looks like --- */

/* Appends JSON lines, oldest first; *ret_last_id is the id of the last one written, for query.after. */
int store_letters(struct store *store, const struct letter_query *query, struct buf *out, uint64_t *ret_last_id,
		  struct weir_error *err);

/* Makes new chunks of them (their ids are later ones), with attempts 0 and the history kept. */
int store_replay(struct store *store, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err);
int store_purge(struct store *store, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err);

/* --- for people --- */

/* Checks everything that can be: SQLite's own integrity, checksums of all chunks, bitmaps, accounts against what is
 * there.  Appends a line for each finding; 0 when there is none, WEIR_EDATA else. */
int store_verify(struct store *store, struct buf *findings, struct weir_error *err);

/* Appends the unfinished items of a chunk as JSON lines: id, position, attempts, due, why, item. */
int store_export(struct store *store, uint64_t chunk, struct buf *out, struct weir_error *err);

#endif
