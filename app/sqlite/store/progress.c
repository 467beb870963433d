/* SPDX-License-Identifier: MIT */
/* The row of `progress`, into memory. */
#include "sqlite/store/internal.h"

#include <stdio.h>

static int copy_position(struct store *store, sqlite3_stmt *row, int column, enum broker_outlet outlet)
{
	const void *bytes = sqlite3_column_blob(row, column);
	struct buf *position = &store->positions[outlet];
	buf_clear(position);
	buf_add(position, bytes ? bytes : "", bytes ? (size_t)sqlite3_column_bytes(row, column) : 0);
	return position->failed ? SQLITE_NOMEM : SQLITE_OK;
}

static int take_progress(struct store *store, sqlite3_stmt *row)
{
	const char *cursor = (const char *)sqlite3_column_text(row, 1);
	struct store_progress *progress = &store->progress;
	progress->next_chunk = (uint64_t)sqlite3_column_int64(row, 0);
	snprintf(progress->cursor.text, sizeof progress->cursor.text, "%s", cursor ? cursor : "");
	progress->sealed = sqlite3_column_int(row, 2);
	progress->accounts.read = (uint64_t)sqlite3_column_int64(row, 3);
	progress->accounts.succeeded = (uint64_t)sqlite3_column_int64(row, 4);
	progress->accounts.dropped = (uint64_t)sqlite3_column_int64(row, 5);
	progress->accounts.dead = (uint64_t)sqlite3_column_int64(row, 6);
	progress->letters = (uint64_t)sqlite3_column_int64(row, 7);
	progress->clean = sqlite3_column_int(row, 8);
	int rc = copy_position(store, row, 9, OUTLET_SINK);
	return rc ? rc : copy_position(store, row, 10, OUTLET_DEAD);
}

int progress_read(struct store *store, bool *ret_matches)
{
	static const char query[] = "SELECT next_chunk, cursor, sealed, read, succeeded, dropped, dead, letters, clean,"
				    " sink_position, dead_position, crc FROM progress";
	sqlite3_stmt *row = NULL;
	int rc = sqlite3_prepare_v2(store->db, query, -1, &row, NULL);
	if (!rc)
		rc = sqlite3_step(row);
	if (rc == SQLITE_ROW) {
		rc = take_progress(store, row);
		const struct value positions[OUTLETS] = {{store->positions[0].data, store->positions[0].len},
							 {store->positions[1].data, store->positions[1].len}};
		*ret_matches = checksum_progress(&store->progress, positions) == sqlite3_column_int64(row, 11);
	} else if (rc == SQLITE_DONE)
		rc = SQLITE_CORRUPT;
	sqlite3_finalize(row);
	return rc;
}
