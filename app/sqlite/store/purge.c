/* SPDX-License-Identifier: MIT */
/*
 * Forgetting for good.  A letter's item lies in two places, its own row and the chunk in which it came, which stays
 * until all of its items are settled: there it is blanked.  And SQLite leaves what was deleted where it lay: in the
 * rests of pages, in pages that are free now, in the log.  So after a purge the whole file is written again without
 * what is free (VACUUM), and the log is copied into it and cut to nothing.
 *
 * That takes as long as what is left is large: half a second for 150 MB.
 */
#include "sqlite/store/internal.h"

static int drop_letters(struct store *store, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err)
{
	uint64_t last = query->after;
	int code = 0, rc = SQLITE_DONE;
	letters_bind(store, query, query->after, query->limit);
	while (!code && (rc = sql_step(store, SQL_GET_DEAD)) == SQLITE_ROW) {
		/* One that is damaged may be purged, too: it is what its reader can do about it. */
		uint64_t id = (uint64_t)sqlite3_column_int64(store->statements[SQL_GET_DEAD], 0);
		rc = id > last ? sql_run_u64(store, SQL_DROP_DEAD, id) : SQLITE_CORRUPT;
		code = rc ? sql_fail(store, rc, err) : 0;
		last = id;
		++*ret_n;
	}
	sql_reset(store, SQL_GET_DEAD);
	return !code && rc != SQLITE_DONE ? sql_fail(store, rc, err) : code;
}

/* ---- the chunks in which they came */

/* The row of SQL_GET_CHUNK is at hand. */
static int blank_row(struct store *store, const struct index_chunk *entry, struct weir_error *err)
{
	sqlite3_stmt *row = store->statements[SQL_GET_CHUNK];
	const struct chunk chunk = {
		.id = entry->id,
		.n = (size_t)sqlite3_column_int64(row, 0),
		.crc = (uint32_t)sqlite3_column_int64(row, 1),
		.body = sqlite3_column_blob(row, 2),
		.bytes = (size_t)sqlite3_column_bytes(row, 2),
	};
	buf_clear(&store->body);
	int code = chunk_blank(&chunk, &entry->settled, &store->body);
	if (code == WEIR_EDATA)
		return sql_damaged(store, err, "chunk %llu cannot be read", (unsigned long long)entry->id);
	return code ? weir_error_set(err, code, "out of memory") : 0;
}

static int blank_chunk(struct store *store, const struct index_chunk *entry, struct weir_error *err)
{
	sqlite3_stmt *update = store->statements[SQL_SET_CHUNK];
	sqlite3_bind_int64(store->statements[SQL_GET_CHUNK], 1, (int64_t)entry->id);
	int rc = sql_step(store, SQL_GET_CHUNK);
	int code = rc == SQLITE_ROW ? blank_row(store, entry, err)
				    : sql_fail(store, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, err);
	sql_reset(store, SQL_GET_CHUNK);
	if (code)
		return code;
	sqlite3_bind_int64(update, 1, (int64_t)entry->id);
	sqlite3_bind_int64(update, 2, chunk_crc(entry->id, entry->n, store->body.data, store->body.len));
	sql_bind_bytes(update, 3, store->body.data, store->body.len);
	rc = sql_run(store, SQL_SET_CHUNK);
	return rc ? sql_fail(store, rc, err) : 0;
}

static int blank_chunks(struct store *store, struct weir_error *err)
{
	int code = 0;
	for (size_t i = 0; i < store->index.n && !code; i++) {
		const struct index_chunk *entry = &store->index.chunks[i];
		if (entry->left && entry->left < entry->n)
			code = blank_chunk(store, entry, err);
	}
	return code;
}

/* ---- the file */

/* What is left is put together in memory, or where it is large in a file that has no name (SQLite chooses the folder).
 */
int purge_rewrite(struct store *store, struct weir_error *err)
{
	bool large = store->bytes > PURGE_IN_MEMORY;
	if (large)
		sql_exec(store, "PRAGMA temp_store=FILE");
	int rc = sql_exec(store, "VACUUM");
	if (large)
		sql_exec(store, "PRAGMA temp_store=MEMORY");
	if (!rc) /* commit_checkpoint() would put off what has no room */
		rc = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return rc ? sql_fail(store, rc, err) : 0;
}

int store_purge(struct store *store, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err)
{
	struct store_progress progress = store->progress;
	struct weir_error why = {0};
	uint64_t n = 0;
	int code = sql_check(store, err);
	if (code)
		return code;
	int rc = commit_begin(store);
	code = rc ? sql_fail(store, rc, err) : drop_letters(store, query, &n, err);
	if (!code)
		code = blank_chunks(store, err);
	progress.letters -= n;
	code = code ? commit_abandon(store, code, err) : commit_end(store, SQLITE_OK, &progress, NULL, err);
	if (code)
		return code;
	*ret_n = n;
	code = purge_rewrite(store, &why);
	if (!code)
		return 0;
	return weir_error_set(err, code,
			      "the dead letters are deleted, but free pages of the file may still contain them: %s",
			      why.text);
}
