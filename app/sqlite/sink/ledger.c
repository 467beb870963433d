/* SPDX-License-Identifier: MIT */
#include "sqlite/sink/ledger.h"

#include <endian.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT "1000"

static bool has_column(const struct ledger *ledger, const char *column)
{
	return sqlite3_table_column_metadata(ledger->handle, "main", LEDGER_TABLE, column, NULL, NULL, NULL, NULL,
					     NULL) == SQLITE_OK;
}

bool ledger_is_ours(const struct ledger *ledger)
{
	return !has_column(ledger, NULL) ||
	       (has_column(ledger, "run") && has_column(ledger, "table") && has_column(ledger, "ids"));
}

/* ---- writing */

/* Rows of other runs are left alone: another pipeline may share the database, and be killed and resumed as well.  But a
 * run that is over never comes back for its row, so of all others those that were written last are kept, and the table
 * does not grow for ever.  (By order, not by age: no clock can be wrong then.) */
static int clean(const struct ledger *ledger)
{
	static const char text[] = "DELETE FROM " LEDGER_TABLE " WHERE run <> %Q AND rowid NOT IN"
				   " (SELECT rowid FROM " LEDGER_TABLE " ORDER BY rowid DESC LIMIT " KEPT ")";
	char *sql = sqlite3_mprintf(text, ledger->run);
	int rc = sql ? sqlite3_exec(ledger->handle, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
	sqlite3_free(sql);
	return rc;
}

static int make(const struct ledger *ledger)
{
	static const char text[] = "CREATE TABLE IF NOT EXISTS " LEDGER_TABLE
				   " (run TEXT NOT NULL, \"table\" TEXT NOT NULL, ids BLOB NOT NULL,"
				   " batch INTEGER, process INTEGER, before INTEGER, PRIMARY KEY (run, \"table\"))";
	static const char *const added[] = {"batch", "process", "before"};
	int rc = sqlite3_exec(ledger->handle, text, NULL, NULL, NULL);
	for (size_t i = 0; i < sizeof added / sizeof *added && !rc; i++) {
		char sql[80];
		snprintf(sql, sizeof sql, "ALTER TABLE " LEDGER_TABLE " ADD COLUMN %s INTEGER", added[i]);
		if (!has_column(ledger, added[i]))
			rc = sqlite3_exec(ledger->handle, sql, NULL, NULL, NULL);
	}
	return rc ? rc : clean(ledger);
}

static int make_ready(struct ledger *ledger)
{
	static const char note[] =
		"REPLACE INTO " LEDGER_TABLE "(run, \"table\", ids, batch, process, before) VALUES(?, ?, ?, ?, ?, ?)";
	if (ledger->is_ready)
		return 0;
	ledger->is_ready = ledger->is_new = true;
	int rc = make(ledger);
	return rc ? rc : sqlite3_prepare_v3(ledger->handle, note, -1, SQLITE_PREPARE_PERSISTENT, &ledger->note, NULL);
}

static int bind_owner(const struct ledger *ledger, sqlite3_stmt *statement)
{
	int rc = sqlite3_bind_text(statement, 1, ledger->run, -1, SQLITE_STATIC);
	return rc ? rc : sqlite3_bind_text(statement, 2, ledger->table, -1, SQLITE_STATIC);
}

static int bind_batch(sqlite3_stmt *note, const struct ledger_batch *batch)
{
	int rc = sqlite3_bind_int64(note, 4, (int64_t)batch->number);
	if (!rc)
		rc = sqlite3_bind_int64(note, 5, (int64_t)batch->process);
	return rc ? rc : sqlite3_bind_int64(note, 6, (int64_t)batch->before);
}

int ledger_note(struct ledger *ledger, const struct ledger_batch *batch, const uint64_t *ids, size_t n)
{
	int rc = make_ready(ledger);
	if (rc)
		return rc;
	uint64_t *blob = malloc(n * sizeof *blob + 1);
	for (size_t i = 0; blob && i < n; i++)
		blob[i] = htole64(ids[i]);
	rc = blob ? bind_owner(ledger, ledger->note) : SQLITE_NOMEM;
	if (!rc)
		rc = sqlite3_bind_blob64(ledger->note, 3, blob, n * sizeof *blob, SQLITE_STATIC);
	if (!rc)
		rc = bind_batch(ledger->note, batch);
	if (!rc) {
		rc = sqlite3_step(ledger->note);
		sqlite3_reset(ledger->note);
	}
	sqlite3_clear_bindings(ledger->note);
	free(blob);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void ledger_close(struct ledger *ledger)
{
	sqlite3_finalize(ledger->note);
	ledger->note = NULL;
}

void ledger_end_transaction(struct ledger *ledger, bool committed)
{
	if (!committed && ledger->is_new) {
		ledger_close(ledger);
		ledger->is_ready = false;
	}
	ledger->is_new = false;
}

/* ---- reading */

static int read_ids(sqlite3_stmt *row, struct ledger_entry *entry)
{
	const void *blob = sqlite3_column_blob(row, 0);
	entry->n = (size_t)sqlite3_column_bytes(row, 0) / sizeof *entry->ids;
	entry->ids = entry->n ? malloc(entry->n * sizeof *entry->ids) : NULL;
	if (entry->n && !entry->ids)
		return SQLITE_NOMEM;
	for (size_t i = 0; i < entry->n; i++) {
		memcpy(&entry->ids[i], (const char *)blob + i * sizeof *entry->ids, sizeof *entry->ids);
		entry->ids[i] = le64toh(entry->ids[i]);
	}
	return 0;
}

static int read_row(sqlite3_stmt *select, struct ledger_entry *entry)
{
	int rc = sqlite3_step(select);
	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? 0 : rc;
	entry->known = true;
	if (sqlite3_column_count(select) > 1)
		entry->batch = (struct ledger_batch){
			.number = (uint64_t)sqlite3_column_int64(select, 1),
			.process = (uint64_t)sqlite3_column_int64(select, 2),
			.before = (uint64_t)sqlite3_column_int64(select, 3),
		};
	return read_ids(select, entry);
}

/* Whoever has not written yet may find a ledger without batches, or none. */
int ledger_read(const struct ledger *ledger, struct ledger_entry *ret_entry)
{
	static const char with[] =
		"SELECT ids, batch, process, before FROM " LEDGER_TABLE " WHERE run = ? AND \"table\" = ?";
	static const char without[] = "SELECT ids FROM " LEDGER_TABLE " WHERE run = ? AND \"table\" = ?";
	sqlite3_stmt *select = NULL;
	*ret_entry = (struct ledger_entry){0};
	if (!has_column(ledger, NULL))
		return 0;
	int rc = sqlite3_prepare_v2(ledger->handle, has_column(ledger, "before") ? with : without, -1, &select, NULL);
	if (!rc)
		rc = bind_owner(ledger, select);
	if (!rc)
		rc = read_row(select, ret_entry);
	sqlite3_finalize(select);
	return rc;
}
