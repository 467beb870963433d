/* SPDX-License-Identifier: MIT */
#include "sqlite/sink/claims.h"

#include "sql/ledger.h"

#include <sqlite3.h>

#define NOW "CAST(strftime('%s', 'now') AS INTEGER)"

/* The parameters that the statement has of these: :run, :table, :number. */
static int bind(const struct claims *claims, sqlite3_stmt *statement, int64_t number)
{
	int run = sqlite3_bind_parameter_index(statement, ":run");
	int table = sqlite3_bind_parameter_index(statement, ":table");
	int at = sqlite3_bind_parameter_index(statement, ":number");
	int rc = run ? sqlite3_bind_text(statement, run, claims->run, -1, SQLITE_STATIC) : 0;
	if (!rc && table)
		rc = sqlite3_bind_text(statement, table, claims->table, -1, SQLITE_STATIC);
	return !rc && at ? sqlite3_bind_int64(statement, at, number) : rc;
}

/* The first row: SQLITE_ROW, SQLITE_DONE or an error. */
static int begin(const struct claims *claims, const char *sql, int64_t number, sqlite3_stmt **ret)
{
	int rc = sqlite3_prepare_v2(claims->handle, sql, -1, ret, NULL);
	if (!rc)
		rc = bind(claims, *ret, number);
	return rc ? rc : sqlite3_step(*ret);
}

static int execute(const struct claims *claims, const char *sql, int64_t number)
{
	sqlite3_stmt *statement = NULL;
	int rc = begin(claims, sql, number, &statement);
	sqlite3_finalize(statement);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : rc;
}

/* ---- what is there */

static bool has_column(const struct claims *claims, const char *table, const char *column)
{
	return sqlite3_table_column_metadata(claims->handle, "main", table, column, NULL, NULL, NULL, NULL, NULL) ==
	       SQLITE_OK;
}

bool claims_are_ours(const struct claims *claims)
{
	static const char *const columns[][2] = {{SQL_LEDGER_RUNS, "number"}, {SQL_LEDGER_RUNS, "run"},
						 {SQL_LEDGER_RUNS, "table"},  {SQL_LEDGER_RUNS, "seen"},
						 {SQL_LEDGER_ITEMS, "run"},   {SQL_LEDGER_ITEMS, "item"}};
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
		if (has_column(claims, columns[i][0], NULL) && !has_column(claims, columns[i][0], columns[i][1]))
			return false;
	return true;
}

int claims_look(const struct claims *claims, bool *ret_is_noted, bool *ret_has_items)
{
	static const char sql[] = "SELECT EXISTS (SELECT 1 FROM " SQL_LEDGER_ITEMS " WHERE run = number) FROM"
				  " " SQL_LEDGER_RUNS " WHERE run = :run AND \"table\" = :table";
	sqlite3_stmt *row = NULL;
	*ret_is_noted = *ret_has_items = false;
	if (!has_column(claims, SQL_LEDGER_RUNS, NULL) || !has_column(claims, SQL_LEDGER_ITEMS, NULL))
		return 0;
	int rc = begin(claims, sql, 0, &row);
	*ret_is_noted = rc == SQLITE_ROW;
	*ret_has_items = *ret_is_noted && sqlite3_column_int(row, 0);
	sqlite3_finalize(row);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : rc;
}

/* ---- claiming */

static int make_ready(struct claims *claims)
{
	static const char tables[] =
		"CREATE TABLE IF NOT EXISTS " SQL_LEDGER_RUNS
		" (number INTEGER PRIMARY KEY, run TEXT NOT NULL, \"table\" TEXT NOT NULL, seen INTEGER NOT NULL,"
		" UNIQUE (run, \"table\"));"
		"CREATE TABLE IF NOT EXISTS " SQL_LEDGER_ITEMS
		" (run INTEGER NOT NULL, item INTEGER NOT NULL, PRIMARY KEY (run, item)) WITHOUT ROWID";
	const struct {
		sqlite3_stmt **statement;
		const char *sql;
	} texts[] = {
		{&claims->find, "SELECT number FROM " SQL_LEDGER_RUNS " WHERE run = :run AND \"table\" = :table"},
		{&claims->claim, "INSERT OR IGNORE INTO " SQL_LEDGER_ITEMS "(run, item) VALUES (?, ?)"},
		{&claims->unclaim, "DELETE FROM " SQL_LEDGER_ITEMS " WHERE run = ? AND item = ?"},
	};
	if (claims->is_ready)
		return 0;
	claims->is_ready = claims->is_new = true;
	int rc = sqlite3_exec(claims->handle, tables, NULL, NULL, NULL);
	for (size_t i = 0; i < sizeof texts / sizeof *texts && !rc; i++)
		rc = sqlite3_prepare_v3(claims->handle, texts[i].sql, -1, SQLITE_PREPARE_PERSISTENT, texts[i].statement,
					NULL);
	return rc;
}

int claims_begin(struct claims *claims, bool *ret_is_new)
{
	static const char note[] =
		"INSERT INTO " SQL_LEDGER_RUNS "(run, \"table\", seen) VALUES (:run, :table, " NOW ")";
	int rc = make_ready(claims);
	*ret_is_new = false;
	if (!rc)
		rc = bind(claims, claims->find, 0);
	if (rc)
		return rc;
	rc = sqlite3_step(claims->find);
	if (rc == SQLITE_ROW)
		claims->number = sqlite3_column_int64(claims->find, 0);
	sqlite3_reset(claims->find);
	if (rc != SQLITE_DONE)
		return rc == SQLITE_ROW ? 0 : rc;
	rc = execute(claims, note, 0);
	claims->number = sqlite3_last_insert_rowid(claims->handle);
	*ret_is_new = !rc;
	return rc;
}

void claims_end_transaction(struct claims *claims, bool committed)
{
	if (!committed && claims->is_new)
		claims_close(claims);
	claims->is_new = false;
}

static int change_item(const struct claims *claims, sqlite3_stmt *statement, uint64_t item)
{
	int rc = sqlite3_bind_int64(statement, 1, claims->number);
	if (!rc)
		rc = sqlite3_bind_int64(statement, 2, (int64_t)item);
	if (rc)
		return rc;
	rc = sqlite3_step(statement);
	sqlite3_reset(statement);
	return rc == SQLITE_DONE ? 0 : rc;
}

int claims_claim(struct claims *claims, uint64_t item, bool *ret_is_new)
{
	int rc = change_item(claims, claims->claim, item);
	*ret_is_new = !rc && sqlite3_changes(claims->handle);
	return rc;
}

int claims_unclaim(struct claims *claims, uint64_t item)
{
	return change_item(claims, claims->unclaim, item);
}

/* ---- upkeep */

int claims_note(const struct claims *claims)
{
	return execute(claims, "UPDATE " SQL_LEDGER_RUNS " SET seen = " NOW " WHERE run = :run", 0);
}

/* In the transaction: that nothing was left shows that the run is gone altogether. */
static int clear_page(const struct claims *claims, int64_t number)
{
	static const char page[] =
		"DELETE FROM " SQL_LEDGER_ITEMS " WHERE run = :number AND item IN"
		" (SELECT item FROM " SQL_LEDGER_ITEMS " WHERE run = :number ORDER BY item LIMIT " SQL_LEDGER_PAGE ")";
	int rc = execute(claims, page, number);
	if (rc || sqlite3_changes(claims->handle))
		return rc;
	return execute(claims, "DELETE FROM " SQL_LEDGER_RUNS " WHERE number = :number", number);
}

/* The oldest: SQLITE_ROW, SQLITE_DONE or an error. */
static int find_old(const struct claims *claims, int64_t keep, int64_t *ret_number)
{
	static const char sql[] = "SELECT number FROM " SQL_LEDGER_RUNS " WHERE run <> :run AND seen < " NOW
				  " - :number ORDER BY seen LIMIT 1";
	sqlite3_stmt *row = NULL;
	int rc = begin(claims, sql, keep, &row);
	*ret_number = rc == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
	sqlite3_finalize(row);
	return rc;
}

/* Looked at again in the transaction: a run that is there after all keeps what is left. */
int claims_clear(const struct claims *claims, int64_t keep, bool *ret_more)
{
	int64_t number;
	int rc = find_old(claims, keep, &number);
	*ret_more = rc == SQLITE_ROW;
	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? 0 : rc;
	rc = sqlite3_exec(claims->handle, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc)
		return rc;
	rc = find_old(claims, keep, &number);
	rc = rc == SQLITE_ROW ? clear_page(claims, number) : rc == SQLITE_DONE ? 0 : rc;
	if (!rc)
		rc = sqlite3_exec(claims->handle, "COMMIT", NULL, NULL, NULL);
	if (rc && !sqlite3_get_autocommit(claims->handle))
		sqlite3_exec(claims->handle, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

void claims_close(struct claims *claims)
{
	sqlite3_finalize(claims->find);
	sqlite3_finalize(claims->claim);
	sqlite3_finalize(claims->unclaim);
	claims->find = claims->claim = claims->unclaim = NULL;
	claims->is_ready = false;
}
