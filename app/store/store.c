/* SPDX-License-Identifier: MIT */
/* Opening, closing, and what is known of the run.  See schema.c for the file, commit.c for what is written. */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- open, close */

/* A relative path gets "./" in front: SQLite takes one that begins with "file:" for something else. */
static char *make_path(const char *folder)
{
	struct buf path = {0};
	buf_addf(&path, "%s%s/" STORE_FILE, folder[0] == '/' ? "" : "./", folder);
	return buf_take(&path, NULL);
}

int store_open(const char *folder, unsigned flags, struct store **ret_store, struct weir_error *err)
{
	struct store *store = calloc(1, sizeof *store);
	if (!store)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	store->readonly = flags & STORE_READONLY;
	store->path = make_path(folder);
	int code = store->path ? schema_open(store, flags, err) : weir_error_set(err, WEIR_ENOMEM, "out of memory");
	/* What recovery found in the WAL may be known to the kernel alone, after an fsync that failed: the file gets it
	 * anew. */
	if (!code && !store->readonly)
		code = commit_checkpoint(store, SQLITE_CHECKPOINT_TRUNCATE, err);
	if (code) {
		store_close(store);
		return code;
	}
	*ret_store = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	sql_finalize(store);
	if (store->db && store->failed.code)
		sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close(store->db);
	index_fini(&store->index);
	buf_fini(&store->body);
	free(store->path);
	free(store);
}

/* ---- the run */

static int copy_column(sqlite3_stmt *row, int column, struct value *ret_value)
{
	const void *bytes = sqlite3_column_blob(row, column);
	return value_copy(ret_value, bytes, bytes ? (size_t)sqlite3_column_bytes(row, column) : 0) ? SQLITE_NOMEM
												   : SQLITE_OK;
}

static int recall_meta(struct store *store, struct broker_past *past)
{
	sqlite3_stmt *row = store->statements[SQL_GET_META];
	int rc = sql_step(store, SQL_GET_META);
	if (rc == SQLITE_ROW) {
		const char *run = (const char *)sqlite3_column_text(row, 0);
		past->begun = true;
		strncpy(past->run, run ? run : "", sizeof past->run - 1);
		rc = copy_column(row, 1, &past->plan);
		if (!rc)
			rc = copy_column(row, 2, &past->source);
	}
	sql_reset(store, SQL_GET_META);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int recall_positions(struct store *store, struct broker_past *past)
{
	int rc = sql_step(store, SQL_GET_POSITIONS);
	if (rc == SQLITE_ROW)
		rc = SQLITE_OK;
	for (int i = 0; i < LANES && !rc; i++)
		rc = copy_column(store->statements[SQL_GET_POSITIONS], i, &past->positions[i]);
	sql_reset(store, SQL_GET_POSITIONS);
	return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

int store_recall(struct store *store, struct broker_past *ret_past, struct weir_error *err)
{
	struct broker_past past = {0};
	int code = sql_check(store, err);
	if (code)
		return code;
	int rc = recall_meta(store, &past);
	if (!rc && past.begun)
		rc = recall_positions(store, &past);
	if (rc) {
		broker_past_fini(&past);
		return sql_fail(store, rc, err);
	}
	if (past.begun) {
		past.sealed = store->progress.sealed;
		past.cursor = store->progress.cursor;
		past.accounts = store->progress.accounts;
		past.unfinished = store->index.unfinished;
		past.letters = store->letters;
		past.done = past.sealed && !past.unfinished;
	}
	*ret_past = past;
	return 0;
}
