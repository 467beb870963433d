/* SPDX-License-Identifier: MIT */
/* Opening, closing, and what is known of the run.  See schema.c for the file, commit.c for what is written. */
#include "sqlite/store/internal.h"

#include <stdlib.h>
#include <string.h>

#define SHRINK_LEAST ((uint64_t)1 << 20)

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
	store->unchecked = flags & STORE_VERIFY;
	store->unproven = flags & STORE_CHECK_LATER;
	store->path = make_path(folder);
	int code = store->path ? schema_open(store, flags, err) : weir_error_set(err, WEIR_ENOMEM, "out of memory");
	/* What recovery found in the WAL may be known to the kernel alone, after an fsync that failed: the file gets it
	 * once more. */
	if (!code && !store->readonly)
		code = commit_checkpoint(store, SQLITE_CHECKPOINT_TRUNCATE, err);
	if (code) {
		store_close(store);
		return code;
	}
	*ret_store = store;
	return 0;
}

/* The run that this weir began has closed its state. */
static void write_clean(struct store *store)
{
	struct store_progress progress = store->progress;
	progress.clean = true;
	commit_end(store, commit_begin(store), &progress, NULL, NULL);
}

/* Most of the file is free, a run that is done needs no room, and it takes a moment. */
static bool is_worth_shrinking(struct store *store)
{
	uint64_t unused, used;
	if (!store->progress.sealed || store->index.unfinished || sql_pages(store, &unused, &used))
		return false;
	return unused > used && unused > SHRINK_LEAST && used < PURGE_IN_MEMORY;
}

int store_check(struct store *store, struct weir_error *err)
{
	int code = sql_check(store, err);
	if (code || !store->unproven)
		return code;
	store->unproven = false;
	return schema_quick_check(store, err);
}

void store_leave_unclean(struct store *store)
{
	store->unclean = true;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->began && !store->failed.code && !store->unclean && !store->unproven)
		write_clean(store);
	if (store->began && !store->failed.code && is_worth_shrinking(store))
		purge_rewrite(store, NULL);
	sql_finalize(store);
	if (store->db && store->failed.code)
		sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close(store->db);
	index_fini(&store->index);
	buf_fini(&store->body);
	for (int i = 0; i < OUTLETS; i++)
		buf_fini(&store->positions[i]);
	free(store->path);
	free(store);
}

const char *store_version(void)
{
	return sqlite3_libversion();
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
		if (!rc)
			rc = copy_column(row, 3, &past->file);
	}
	sql_reset(store, SQL_GET_META);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int recall_positions(const struct store *store, struct broker_past *past)
{
	for (int i = 0; i < OUTLETS; i++)
		if (value_copy(&past->positions[i], store->positions[i].data, store->positions[i].len))
			return SQLITE_NOMEM;
	return SQLITE_OK;
}

int store_recall(struct store *store, struct broker_past *ret_past, struct weir_error *err)
{
	struct broker_past past = {0};
	int code = sql_check(store, err);
	if (code)
		return code;
	int rc = recall_meta(store, &past);
	if (!rc)
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
		past.letters = store->progress.letters;
		past.clean = store->was_clean;
		past.done = past.sealed && !past.unfinished;
	}
	*ret_past = past;
	return 0;
}

int store_do(struct store *store, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
	     struct weir_error *err)
{
	switch (request->verb) {
	case LETTERS_LIST:
		return store_letters(store, &request->query, out, ret_n, err);
	case LETTERS_REPLAY:
		return store_replay(store, &request->query, ret_n, err);
	case LETTERS_PURGE:
		return store_purge(store, &request->query, ret_n, err);
	case LETTERS_GROUPS:
		return store_groups(store, out, err);
	case LETTERS_MEND:
		break;
	}
	return store_mend(store, request->mends, request->mend_count, ret_n, err);
}

/* ---- a glance */

/* Format 1 knew neither its letters' number, nor how it was closed, nor the pipeline's file. */
static int read_glance(struct store *store, int format, struct broker_past *past)
{
	sqlite3_stmt *row = NULL;
	int rc = sqlite3_prepare_v2(
		store->db,
		format > 1 ? "SELECT sealed, read, succeeded, dropped, dead, letters, clean, run, file"
			     " FROM progress LEFT JOIN meta"
			   : "SELECT sealed, read, succeeded, dropped, dead, (SELECT count(*) FROM dead), 1, run, ''"
			     " FROM progress LEFT JOIN meta",
		-1, &row, NULL);
	if (!rc && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		uint64_t *const numbers[] = {&past->accounts.read, &past->accounts.succeeded, &past->accounts.dropped,
					     &past->accounts.dead, &past->letters};
		for (int i = 0; i < 5; i++)
			*numbers[i] = (uint64_t)sqlite3_column_int64(row, i + 1);
		past->sealed = sqlite3_column_int(row, 0);
		past->clean = sqlite3_column_int(row, 6);
		past->begun = sqlite3_column_type(row, 7) != SQLITE_NULL;
		past->unfinished = broker_unfinished_of(&past->accounts);
		past->done = past->sealed && !past->unfinished;
		rc = copy_column(row, 8, &past->file);
	} else if (rc == SQLITE_DONE)
		rc = SQLITE_CORRUPT;
	sqlite3_finalize(row);
	return rc;
}

int store_glance(const char *folder, struct broker_past *ret_past, struct weir_error *err)
{
	struct store *store = calloc(1, sizeof *store);
	struct broker_past past = {0};
	int format = 0, code = WEIR_ENOMEM;
	if (store && (store->path = make_path(folder))) {
		store->readonly = true;
		code = schema_look(store, STORE_READONLY, &format, err);
		int rc = code ? 0 : read_glance(store, format, &past);
		code = rc ? sql_fail(store, rc, err) : code;
	} else {
		weir_error_set(err, code, "out of memory");
	}
	store_close(store);
	if (code)
		broker_past_fini(&past);
	else
		*ret_past = past;
	return code;
}
