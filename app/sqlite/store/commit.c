/* SPDX-License-Identifier: MIT */
/*
 * One transaction: first in memory (index.h), where nothing can fail but memory, then on disk.
 *
 *     index     new chunks, settled bits, which items have a row in retry
 *     disk      chunks that have something left; retries; letters; then for each chunk that changed
 *                   something left: its bitmap, and the retry rows of what was settled go
 *                   nothing left:   all its rows go
 *               the progress row, always
 *
 * A chunk that is put and settled in one batch is never written.
 *
 * The WAL is copied into the file every few MiB, after the commit.  What fails there does not undo the commit; if it is
 * for good, the next call says so.  When the disk is full the WAL is copied immediately: it then starts again within
 * the bytes it has, so that what only takes away still works.
 */
#include "sqlite/store/internal.h"

#include <time.h>

int64_t store_wall_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * (int64_t)WEIR_SEC + now.tv_nsec;
}

/* ---- the frame of a transaction */

int commit_checkpoint(struct store *store, int mode, struct weir_error *err)
{
	int rc = sqlite3_wal_checkpoint_v2(store->db, NULL, mode, NULL, NULL);
	if (!rc || rc == SQLITE_BUSY || (rc & 0xFF) == SQLITE_FULL || rc == SQLITE_NOMEM)
		return 0;
	int code = sql_fail(store, rc, err);
	return store->failed.code ? code : 0;
}

int commit_begin(struct store *store)
{
	return sql_run(store, SQL_BEGIN);
}

/* Where the sinks stand: as they are given, else as they stood. */
static void join_positions(const struct store *store, const struct value *const *given, struct value now[OUTLETS])
{
	for (int i = 0; i < OUTLETS; i++)
		now[i] = given && given[i] ? *given[i]
					   : (struct value){store->positions[i].data, store->positions[i].len};
}

static int write_progress(struct store *store, const struct store_progress *progress, const struct value now[OUTLETS])
{
	sqlite3_stmt *row = store->statements[SQL_SET_PROGRESS];
	const struct broker_accounts *accounts = &progress->accounts;
	sqlite3_bind_int64(row, 1, (int64_t)progress->next_chunk);
	sqlite3_bind_text(row, 2, progress->cursor.text, -1, SQLITE_STATIC);
	sqlite3_bind_int(row, 3, progress->sealed);
	sqlite3_bind_int64(row, 4, (int64_t)accounts->read);
	sqlite3_bind_int64(row, 5, (int64_t)accounts->succeeded);
	sqlite3_bind_int64(row, 6, (int64_t)accounts->dropped);
	sqlite3_bind_int64(row, 7, (int64_t)accounts->dead);
	sqlite3_bind_int64(row, 8, (int64_t)progress->letters);
	sqlite3_bind_int(row, 9, progress->clean);
	for (int i = 0; i < OUTLETS; i++)
		sql_bind_bytes(row, 10 + i, now[i].data, now[i].len);
	sqlite3_bind_int64(row, 12, checksum_progress(progress, now));
	return sql_run(store, SQL_SET_PROGRESS);
}

/* Makes room, so that what is committed can be remembered. */
static int reserve_positions(struct store *store, const struct value now[OUTLETS])
{
	for (int i = 0; i < OUTLETS; i++)
		if (now[i].len > store->positions[i].len && !buf_reserve(&store->positions[i], now[i].len))
			return SQLITE_NOMEM;
	return SQLITE_OK;
}

static void keep_positions(struct store *store, const struct value *const *given)
{
	for (int i = 0; i < OUTLETS; i++) {
		if (!given || !given[i])
			continue;
		buf_clear(&store->positions[i]);
		buf_add(&store->positions[i], given[i]->data, given[i]->len);
	}
}

int commit_abandon(struct store *store, int code, struct weir_error *err)
{
	index_undo(&store->index);
	if (!sqlite3_get_autocommit(store->db)) {
		int rc = sql_run(store, SQL_ROLLBACK);
		if (!sqlite3_get_autocommit(store->db))
			code = sql_fail(store, rc ? rc : SQLITE_IOERR, err);
	}
	int failed = code == WEIR_ENOSPC ? commit_checkpoint(store, SQLITE_CHECKPOINT_PASSIVE, err) : 0;
	return failed ? failed : code;
}

int commit_end(struct store *store, int rc, const struct store_progress *progress, const struct value *const *positions,
	       struct weir_error *err)
{
	uint64_t bytes = 0;
	struct value now[OUTLETS];
	join_positions(store, positions, now);
	if (!rc)
		rc = reserve_positions(store, now);
	if (!rc)
		rc = write_progress(store, progress, now);
	if (!rc)
		rc = sql_pages(store, NULL, &bytes);
	if (!rc)
		rc = sql_run(store, SQL_COMMIT);
	if (rc)
		return commit_abandon(store, sql_fail(store, rc, err), err);
	index_keep(&store->index);
	keep_positions(store, positions);
	store->progress = *progress;
	store->bytes = bytes;
	if (store->wal_pages >= store->checkpoint_at)
		commit_checkpoint(store, SQLITE_CHECKPOINT_PASSIVE, NULL);
	return 0;
}

/* ---- in memory: 0 or WEIR_ENOMEM */

static int append_chunk(struct store *store, uint64_t id, size_t n)
{
	struct index_chunk chunk = {.id = id, .n = (unsigned)n, .left = (unsigned)n};
	store_require(n > 0 && n <= STORE_CHUNK_ITEMS, "a chunk of none or too many");
	return index_append(&store->index, &chunk);
}

/* The chunk of an item that is not settled; NULL: there is no such item. */
static struct index_chunk *find_chunk_of(struct store *store, uint64_t id)
{
	struct index_chunk *chunk = index_find(&store->index, store_chunk_of(id));
	bool found = chunk && id % CHUNK_ITEMS < chunk->n && !chunk_bit(&chunk->settled, id % CHUNK_ITEMS);
	return found ? chunk : NULL;
}

bool commit_has(struct store *store, uint64_t id)
{
	return find_chunk_of(store, id);
}

/* NULL: no memory. */
static struct index_chunk *touch(struct store *store, uint64_t id)
{
	struct index_chunk *chunk = find_chunk_of(store, id);
	store_require(chunk, "no unfinished item with that id");
	return index_touch(&store->index, chunk) ? NULL : chunk;
}

int commit_settle(struct store *store, uint64_t id)
{
	struct index_chunk *chunk = touch(store, id);
	if (!chunk)
		return WEIR_ENOMEM;
	index_settle(&store->index, chunk, id % CHUNK_ITEMS);
	return 0;
}

static uint64_t *account_of(struct broker_accounts *accounts, enum fate fate)
{
	switch (fate) {
	case FATE_SUCCEEDED:
		return &accounts->succeeded;
	case FATE_DROPPED:
		return &accounts->dropped;
	default:
		return &accounts->dead;
	}
}

static int stage(struct store *store, const struct store_batch *batch, struct store_progress *progress)
{
	int code = 0;
	for (size_t i = 0; i < batch->put_count && !code; i++) {
		const struct store_put *put = &batch->puts[i];
		store_require(put->chunk >= progress->next_chunk, "duplicate id of a chunk");
		code = append_chunk(store, put->chunk, put->n);
		progress->next_chunk = put->chunk + 1;
		progress->accounts.read += put->n;
		progress->sealed = false;
	}
	for (size_t i = 0; i < batch->retry_count && !code; i++)
		code = touch(store, batch->retries[i].id) ? 0 : WEIR_ENOMEM;
	for (size_t i = 0; i < batch->ack_count && !code; i++) {
		code = commit_settle(store, batch->acks[i].id);
		++*account_of(&progress->accounts, batch->acks[i].fate);
	}
	for (size_t i = 0; i < batch->dead_count && !code; i++)
		code = commit_settle(store, batch->dead[i]->id);
	progress->accounts.dead += batch->dead_count;
	progress->letters += batch->dead_count;
	if (batch->cursor)
		progress->cursor = *batch->cursor;
	progress->sealed |= batch->seal;
	return code;
}

/* ---- on disk: SQLite's codes */

static int write_chunk(struct store *store, struct index_chunk *chunk, struct item *const *items)
{
	sqlite3_stmt *row = store->statements[SQL_ADD_CHUNK];
	struct buf *body = &store->body;
	buf_clear(body);
	if (chunk_encode(items, chunk->n, body))
		return SQLITE_NOMEM;
	chunk->bytes = body->len;
	chunk->stored = true;
	sqlite3_bind_int64(row, 1, (int64_t)chunk->id);
	sqlite3_bind_int64(row, 2, chunk->n);
	sqlite3_bind_int64(row, 3, chunk_crc(chunk->id, chunk->n, body->data, body->len));
	int rc = sql_bind_bytes(row, 4, body->data, body->len);
	int done = sql_run(store, SQL_ADD_CHUNK);
	return rc ? rc : done;
}

int commit_add_chunk(struct store *store, uint64_t id, struct item *const *items, size_t n)
{
	if (append_chunk(store, id, n))
		return SQLITE_NOMEM;
	return write_chunk(store, &store->index.chunks[store->index.n - 1], items);
}

static int write_puts(struct store *store, const struct store_batch *batch)
{
	int rc = 0;
	for (size_t i = 0; i < batch->put_count && !rc; i++) {
		struct index_chunk *chunk = index_find(&store->index, batch->puts[i].chunk);
		if (chunk)
			rc = write_chunk(store, chunk, batch->puts[i].items);
	}
	return rc;
}

static int write_retry(struct store *store, const struct store_retry *retry, int64_t now)
{
	sqlite3_stmt *row = store->statements[SQL_SET_RETRY];
	struct index_chunk *chunk = find_chunk_of(store, retry->id);
	if (!chunk)
		return SQLITE_OK; /* settled in this very batch */
	chunk_set(&chunk->retried, retry->id % CHUNK_ITEMS);
	sqlite3_bind_int64(row, 1, (int64_t)retry->id);
	sqlite3_bind_int64(row, 2, retry->attempts);
	sqlite3_bind_int64(row, 3, now);
	sqlite3_bind_int64(row, 4, retry->due_unix_ns);
	sqlite3_bind_text(row, 5, retry->why, -1, SQLITE_STATIC);
	sqlite3_bind_int64(row, 7, retry->ages.taken);
	sqlite3_bind_int64(row, 8, retry->ages.attempted);
	if (retry->record.data)
		sql_bind_bytes(row, 9, retry->record.data, retry->record.len);
	return sql_run(store, SQL_SET_RETRY);
}

/* A letter's earlier deaths wait in the item's row of `retry`.  *ret_history is valid until that statement is reset. */
static int read_history(struct store *store, uint64_t id, const char **ret_history)
{
	sqlite3_bind_int64(store->statements[SQL_GET_HISTORY], 1, (int64_t)id);
	int rc = sql_step(store, SQL_GET_HISTORY);
	*ret_history =
		rc == SQLITE_ROW ? (const char *)sqlite3_column_text(store->statements[SQL_GET_HISTORY], 0) : NULL;
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert_letter(struct store *store, const struct letter *letter, bool bad)
{
	sqlite3_stmt *row = store->statements[SQL_ADD_DEAD];
	sqlite3_bind_int64(row, 1, (int64_t)letter->id);
	sqlite3_bind_int64(row, 2, (int64_t)letter->position);
	sqlite3_bind_int(row, 3, bad);
	sqlite3_bind_int64(row, 4, letter->attempts);
	sqlite3_bind_int64(row, 5, letter->at_unix);
	sqlite3_bind_text(row, 6, letter->reason, -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 7, letter->history, -1, SQLITE_STATIC);
	sqlite3_bind_text64(row, 8, letter->evidence.data, letter->evidence.len, SQLITE_STATIC, SQLITE_UTF8);
	sqlite3_bind_int64(row, 9, letter->cause);
	sql_bind_bytes(row, 10, letter->item.data, letter->item.len);
	sqlite3_bind_int64(row, 11, checksum_letter(letter, bad));
	return sql_run(store, SQL_ADD_DEAD);
}

static int write_letter(struct store *store, const struct item *item, int64_t now)
{
	struct letter letter = letter_of(item, now / WEIR_SEC);
	int rc = read_history(store, item->id, &letter.history);
	if (!rc)
		rc = insert_letter(store, &letter, item->bad);
	sql_reset(store, SQL_GET_HISTORY);
	return rc;
}

static int drop_retries(struct store *store, uint64_t first, uint64_t last)
{
	sqlite3_bind_int64(store->statements[SQL_DROP_RETRIES], 2, (int64_t)last);
	return sql_run_u64(store, SQL_DROP_RETRIES, first);
}

static int drop_chunk(struct store *store, const struct index_chunk *chunk)
{
	int rc = chunk->stored ? sql_run_u64(store, SQL_DROP_CHUNK, chunk->id) : SQLITE_OK;
	if (!rc && chunk->acked)
		rc = sql_run_u64(store, SQL_DROP_ACK, chunk->id);
	if (!rc && chunk_count(&chunk->retried))
		rc = drop_retries(store, chunk->id * CHUNK_ITEMS, chunk->id * CHUNK_ITEMS + chunk->n - 1);
	return rc;
}

static int write_settled(struct store *store, struct index_chunk *chunk)
{
	unsigned char bytes[CHUNK_BITS_BYTES];
	int rc = SQLITE_OK;
	for (unsigned i = 0; i < chunk->n && !rc; i++)
		if (chunk_bit(&chunk->settled, i) && chunk_bit(&chunk->retried, i))
			rc = drop_retries(store, chunk->id * CHUNK_ITEMS + i, chunk->id * CHUNK_ITEMS + i);
	if (rc)
		return rc;
	for (size_t i = 0; i < CHUNK_WORDS; i++)
		chunk->retried.words[i] &= ~chunk->settled.words[i];
	chunk->acked = true;
	chunk_bits_write(&chunk->settled, bytes);
	sql_bind_bytes(store->statements[SQL_SET_ACK], 2, bytes, sizeof bytes);
	return sql_run_u64(store, SQL_SET_ACK, chunk->id);
}

int commit_write_changes(struct store *store)
{
	struct index *index = &store->index;
	int rc = SQLITE_OK;
	for (size_t i = 0; i < index->change_n && !rc; i++) {
		struct index_chunk *chunk = &index->chunks[index->changes[i].at];
		if (!chunk->left)
			rc = drop_chunk(store, chunk);
		else if (chunk->left != index->changes[i].was.left)
			rc = write_settled(store, chunk);
	}
	return rc;
}

static int write_batch(struct store *store, const struct store_batch *batch)
{
	int64_t now = batch->retry_count || batch->dead_count ? store_wall_ns() : 0;
	int rc = write_puts(store, batch);
	for (size_t i = 0; i < batch->retry_count && !rc; i++)
		rc = write_retry(store, &batch->retries[i], now);
	for (size_t i = 0; i < batch->dead_count && !rc; i++)
		rc = write_letter(store, batch->dead[i], now);
	return rc ? rc : commit_write_changes(store);
}

/* ---- the interface */

uint64_t store_next_chunk(const struct store *store)
{
	return store->progress.next_chunk;
}

uint64_t store_bytes(const struct store *store)
{
	return store->bytes;
}

static bool is_empty(const struct store_batch *batch)
{
	bool positions = false;
	for (int i = 0; i < OUTLETS; i++)
		positions |= batch->positions[i] != NULL;
	return !batch->put_count && !batch->cursor && !batch->seal && !batch->retry_count && !batch->ack_count &&
	       !batch->dead_count && !positions;
}

int store_commit(struct store *store, const struct store_batch *batch, struct weir_error *err)
{
	struct store_progress progress = store->progress;
	int code = sql_check(store, err);
	if (code || is_empty(batch))
		return code;
	int rc = stage(store, batch, &progress) ? SQLITE_NOMEM : commit_begin(store);
	if (!rc)
		rc = write_batch(store, batch);
	return commit_end(store, rc, &progress, batch->positions, err);
}
