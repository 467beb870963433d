/* SPDX-License-Identifier: MIT */
/*
 * The durable store: `state.db` in the state folder, an SQLite file that holds what a run must not lose.
 *
 *     meta      one row, once a run was begun: its name, the plan's meaning, the source's identity, the pipeline's file
 *     progress  one row, written with each commit: cursor, sealed, accounts, number of letters, positions of the sinks,
 *               the next chunk, whether a run has it (clean), crc
 *     chunk     up to 256 items as one row: id, n, body, crc (chunk.h has the layout)
 *     ack       which items of a chunk are settled, a bitmap; both rows go when the last one is
 *     retry     of items that failed and will be tried again: attempts, due (wall clock), why, history, ages, record
 *     dead      dead letters (port/letter.h), each with its cause and a crc
 *
 * An item's id is its chunk's id * 256 + its place.  Leases are not stored: after a restart each item that is not
 * settled is free.  WAL and synchronous=FULL, one connection in exclusive mode: what store_commit() was given survives
 * a power cut once it has returned, all of it or nothing.
 *
 * Threads: any one at a time; it blocks, so not on a loop.  After WEIR_EIO or WEIR_EDATA the store is spoilt: every
 * further call answers the same, and the file has to be opened again, which goes through SQLite's recovery.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "port/broker.h"

#define STORE_CHUNK_ITEMS ((size_t)256)
#define STORE_FILE        "state.db"

struct store;

static inline uint64_t store_chunk_of(uint64_t id)
{
	return id / STORE_CHUNK_ITEMS;
}

enum store_flags {
	STORE_CREATE = 1u << 0,      /* make it if it is not there; else -ENOENT */
	STORE_READONLY = 1u << 1,    /* for looking: nothing is written, not even recovery's results */
	STORE_VERIFY = 1u << 2,      /* for store_verify(): what it finds does not keep the store from being opened */
	STORE_CHECK_LATER = 1u << 3, /* the pages are not checked before store_check() */
};

/* Opens folder/state.db, the folder held by the caller.  A state of an earlier format is brought up to date; one that
 * its last run has not closed gets a check of its pages.  -ENOENT; WEIR_EDATA when it is no store, of a later version,
 * no regular file, or damaged; WEIR_EIO, WEIR_ENOSPC and others; err->text says where and what to do. */
int store_open(const char *folder, unsigned flags, struct store **ret_store, struct weir_error *err);

/* With STORE_CHECK_LATER, after an unclean end: checks the pages, which takes as long as reading the whole file; else,
 * and from the second call on, nothing.  A store that was never checked is not noted as closed.  As store_open(). */
int store_check(struct store *store, struct weir_error *err);

/* The run has not ended in order: a sink may hold what was not acked.  store_close() leaves that noted. */
void store_leave_unclean(struct store *store);

/* Notes that the run which was started has closed it; when that is done and most of the file is free, the file is made
 * smaller.  Checkpoints.  NULL is fine. */
void store_close(struct store *store);

/* What is known of the run.  Nothing begun: `begun` is false, all else empty. */
int store_recall(struct store *store, struct broker_past *ret_past, struct weir_error *err);

/* The same of a folder, for a look in a moment: begun, sealed, done, clean, file, accounts, unfinished and letters, as
 * they stand in the file and without a check.  It is not written and may be of an earlier format, which stays.  The
 * codes are store_open()'s. */
int store_glance(const char *folder, struct broker_past *ret_past, struct weir_error *err);

/* As forget() of the port (port/journal.h), in one transaction. */
int store_forget(struct store *store, struct weir_error *err);

/* As begin() of the port (port/journal.h), in one transaction. */
int store_start(struct store *store, const struct broker_start *start, struct weir_error *err);

/* --- what is unfinished --- */

/* One chunk: how much of it is left. */
struct store_chunk {
	uint64_t id;
	unsigned left;       /* items that are not settled */
	uint64_t left_bytes; /* of their sources, roughly: the body's bytes by share */
};

/* All chunks, by id; malloc'ed, the caller's. */
int store_chunks(struct store *store, struct store_chunk **ret_chunks, size_t *ret_n, struct weir_error *err);

/* Reads the items of a chunk that are not settled, oldest first, with their attempts, why, record, times and due (on
 * weir_now()'s clock; 0: ready): how many, or a negative code.  WEIR_EDATA when its checksum does not match. */
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
	char why[ITEM_WHY_BYTES];
	struct item_ages ages;
	struct value record; /* borrowed; data is NULL: none */
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
	const struct value *positions[OUTLETS]; /* NULL: as it was */
};

uint64_t store_next_chunk(const struct store *store);

/* 0: all of it is durable.  WEIR_ENOSPC, WEIR_EBUSY: nothing of it happened, it may be tried again.  Contract: the ids
 * exist and are not settled. */
int store_commit(struct store *store, const struct store_batch *batch, struct weir_error *err);

/* Bytes that the file takes without its free pages, for `max_size`. */
uint64_t store_bytes(const struct store *store);

/* --- dead letters: see port/letter.h for what one looks like --- */

/* As letters() of the port, by one of those that follow. */
int store_do(struct store *store, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
	     struct weir_error *err);

/* Appends JSON lines, oldest first; *ret_last_id is the id of the last one written, for query.after.  WEIR_EDATA when
 * one is damaged, or they come in no order. */
int store_letters(struct store *store, const struct letter_query *query, struct buf *out, uint64_t *ret_last_id,
		  struct weir_error *err);

/* Makes new chunks of them (their ids are later ones), with attempts 0 and the history kept. */
int store_replay(struct store *store, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err);

/* Of letters with other items. */
int store_mend(struct store *store, struct letter_mend *mends, size_t n, uint64_t *ret_n, struct weir_error *err);

/* Forgets them: once this has returned 0, nothing of theirs is left in the file or its log, nor of items that were
 * there before.  *ret_n is set, too, when they are purged and only that last part has failed. */
int store_purge(struct store *store, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err);

/* Appends a line for each group, the largest 200 first, then one for all:
 *
 *     {"group":"3fa2b1c0","letters":812,"first":"…","last":"…","example":3073,"reason":"status: 422","step":1,…}
 *     {"letters":1000,"groups":3,"others":0,"last":4095}
 *
 * `others` are letters of groups beyond the first 4,096, which are not counted apart; `last` is the largest id. */
int store_groups(struct store *store, struct buf *out, struct weir_error *err);

/* --- for people --- */

/* The version of SQLite. */
const char *store_version(void);

/* Checks everything that can be: SQLite's own integrity, checksums of chunks, letters and progress, bitmaps, accounts
 * against what is there.  Appends a line for each finding; 0 when there is none, WEIR_EDATA else. */
int store_verify(struct store *store, struct buf *findings, struct weir_error *err);

/* Appends the unfinished items of a chunk as JSON lines: id, position, attempts, due, why, item. */
int store_export(struct store *store, uint64_t chunk, struct buf *out, struct weir_error *err);

#endif
