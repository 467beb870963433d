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
 * for good, the next call says so.  When the disk is full the WAL is copied at once: it then starts anew within the
 * bytes it has, so that what only takes away can go on.
 */
#include "store/internal.h"

#include <string.h>
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

static int count_pages(struct store *store, uint64_t *ret_bytes)
{
	int64_t pages = 0, unused = 0;
	int rc = sql_step(store, SQL_PAGES);
	if (rc == SQLITE_ROW)
		pages = sqlite3_column_int64(store->statements[SQL_PAGES], 0);
	sql_reset(store, SQL_PAGES);
	if (rc != SQLITE_ROW)
		return rc;
	rc = sql_step(store, SQL_FREE_PAGES);
	if (rc == SQLITE_ROW)
		unused = sqlite3_column_int64(store->statements[SQL_FREE_PAGES], 0);
	sql_reset(store, SQL_FREE_PAGES);
	*ret_bytes = (uint64_t)(pages - unused) * store->page_bytes;
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int write_progress(struct store *store, const struct progress *progress, const struct value *const *positions)
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
	for (int i = 0; i < LANES; i++)
		if (positions && positions[i])
			sql_bind_bytes(row, 8 + i, positions[i]->data, positions[i]->len);
	return sql_run(store, SQL_SET_PROGRESS);
}

static int take_back(struct store *store, int rc, struct weir_error *err)
{
	int code = sql_fail(store, rc, err);
	index_undo(&store->index);
	if (!sqlite3_get_autocommit(store->db)) {
		rc = sql_run(store, SQL_ROLLBACK);
		if (!sqlite3_get_autocommit(store->db))
			code = sql_fail(store, rc ? rc : SQLITE_IOERR, err);
	}
	int failed = code == WEIR_ENOSPC ? commit_checkpoint(store, SQLITE_CHECKPOINT_PASSIVE, err) : 0;
	return failed ? failed : code;
}

int commit_end(struct store *store, int rc, const struct progress *progress, const struct value *const *positions,
	       struct weir_error *err)
{
	uint64_t bytes = 0;
	if (!rc)
		rc = write_progress(store, progress, positions);
	if (!rc)
		rc = count_pages(store, &bytes);
	if (!rc)
		rc = sql_run(store, SQL_COMMIT);
	if (rc)
		return take_back(store, rc, err);
	index_keep(&store->index);
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
	store_require(chunk, "no item of that id, or it is settled");
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

static int stage(struct store *store, const struct store_batch *batch, struct progress *progress)
{
	int code = 0;
	for (size_t i = 0; i < batch->put_count && !code; i++) {
		const struct store_put *put = &batch->puts[i];
		store_require(put->chunk >= progress->next_chunk, "the id of a chunk was there before");
		code = append_chunk(store, put->chunk, put->n);
		progress->next_chunk = put->chunk + 1;
		progress->accounts.read += put->n;
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
	return sql_run(store, SQL_SET_RETRY);
}

static int write_letter(struct store *store, const struct item *item, int64_t now)
{
	sqlite3_stmt *row = store->statements[SQL_ADD_DEAD];
	sqlite3_bind_int64(row, 1, (int64_t)item->id);
	sqlite3_bind_int64(row, 2, (int64_t)item->position);
	sqlite3_bind_int(row, 3, item->bad);
	sqlite3_bind_int64(row, 4, item->attempts);
	sqlite3_bind_int64(row, 5, now / WEIR_SEC);
	sqlite3_bind_text(row, 6, item->why, -1, SQLITE_STATIC);
	sql_bind_bytes(row, 7, item->source.data, item->source.len);
	return sql_run(store, SQL_ADD_DEAD);
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
	for (int i = 0; i < LANES; i++)
		positions |= batch->positions[i] != NULL;
	return !batch->put_count && !batch->cursor && !batch->seal && !batch->retry_count && !batch->ack_count &&
	       !batch->dead_count && !positions;
}

int store_commit(struct store *store, const struct store_batch *batch, struct weir_error *err)
{
	struct progress progress = store->progress;
	int code = sql_check(store, err);
	if (code || is_empty(batch))
		return code;
	int rc = stage(store, batch, &progress) ? SQLITE_NOMEM : commit_begin(store);
	if (!rc)
		rc = write_batch(store, batch);
	code = commit_end(store, rc, &progress, batch->positions, err);
	if (!code)
		store->letters += batch->dead_count;
	return code;
}
