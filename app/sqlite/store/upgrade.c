/* SPDX-License-Identifier: MIT */
/*
 * Format 1 had no checksums of the progress row and of letters, no number of letters, no evidence, and did not know its
 * pipeline's file; format 2 knew of a retry neither its ages nor a record.  Columns stay where they are, new ones come
 * behind them, and each row gets its checksum.  One transaction: a state is of one format or of the other.
 */
#include "sqlite/store/internal.h"

#include "port/cause.h"

static const char to_format_2[] = "ALTER TABLE progress ADD COLUMN letters INTEGER NOT NULL DEFAULT 0;"
				  "ALTER TABLE progress ADD COLUMN clean INTEGER NOT NULL DEFAULT 0;"
				  "ALTER TABLE progress ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;"
				  "ALTER TABLE meta ADD COLUMN file TEXT NOT NULL DEFAULT '';"
				  "ALTER TABLE dead ADD COLUMN evidence TEXT;"
				  "ALTER TABLE dead ADD COLUMN cause INTEGER NOT NULL DEFAULT 0;"
				  "ALTER TABLE dead ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;"
				  "UPDATE progress SET letters = (SELECT count(*) FROM dead)";

static const char to_format_3[] = "ALTER TABLE retry ADD COLUMN taken INTEGER;"
				  "ALTER TABLE retry ADD COLUMN tried INTEGER;"
				  "ALTER TABLE retry ADD COLUMN record BLOB;"
				  "PRAGMA user_version=3";

static int seal_letter(sqlite3_stmt *row, sqlite3_stmt *update)
{
	struct letter letter = letters_read(row);
	letter.cause = cause_of(letter.reason, NULL, 0);
	sqlite3_bind_int64(update, 1, letter.cause);
	sqlite3_bind_int64(update, 2, checksum_letter(&letter, sqlite3_column_int(row, 2)));
	sqlite3_bind_int64(update, 3, (int64_t)letter.id);
	int rc = sqlite3_step(update);
	sqlite3_reset(update);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int seal_letters(struct store *store)
{
	sqlite3_stmt *row = NULL, *update = NULL;
	int rc = sqlite3_prepare_v2(store->db,
				    "SELECT id, position, bad, attempts, at, reason, history, NULL, 0, item FROM dead"
				    " WHERE id > ?1 ORDER BY id LIMIT 1",
				    -1, &row, NULL);
	if (!rc)
		rc = sqlite3_prepare_v2(store->db, "UPDATE dead SET cause = ?1, crc = ?2 WHERE id = ?3", -1, &update,
					NULL);
	/* One at a time: what a statement sees of rows that change under it is not defined. */
	int64_t last = 0;
	while (!rc && !sqlite3_bind_int64(row, 1, last) && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		rc = sqlite3_column_int64(row, 0) > last ? seal_letter(row, update) : SQLITE_CORRUPT;
		last = sqlite3_column_int64(row, 0);
		sqlite3_reset(row);
	}
	sqlite3_finalize(row);
	sqlite3_finalize(update);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int seal_progress(struct store *store)
{
	char text[64];
	bool matches;
	int rc = progress_read(store, &matches);
	struct value positions[OUTLETS];
	for (int i = 0; i < OUTLETS; i++)
		positions[i] = (struct value){store->positions[i].data, store->positions[i].len};
	sqlite3_snprintf(sizeof text, text, "UPDATE progress SET crc = %lld",
			 (sqlite3_int64)checksum_progress(&store->progress, positions));
	return rc ? rc : sql_exec(store, text);
}

static int seal(struct store *store)
{
	int rc = sql_exec(store, to_format_2);
	if (!rc)
		rc = seal_letters(store);
	return rc ? rc : seal_progress(store);
}

int upgrade(struct store *store, int format, struct weir_error *err)
{
	int rc = sql_exec(store, "BEGIN IMMEDIATE");
	if (!rc && format < 2)
		rc = seal(store);
	if (!rc)
		rc = sql_exec(store, to_format_3);
	if (!rc)
		rc = sql_exec(store, "COMMIT");
	return rc ? sql_fail(store, rc, err) : 0;
}
