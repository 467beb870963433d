/* SPDX-License-Identifier: MIT */
/*
 * The table of the sink, for app/sql: what it has, and how columns are declared.
 *
 * A declared type is a preference only: SQLite stores what it is given, but turns texts that look like numbers into
 * numbers in a column for numbers, and numbers into text in one for text.  So no type need ever be changed, and a
 * column of which only nulls are known has none.
 */
#include "sqlite/client/client.h"
#include "sqlite/sink/internal.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The first row of a statement with the table's name as its parameter: SQLITE_ROW, SQLITE_DONE or an error. */
static int begin(struct sqlite_db *db, const char *sql, sqlite3_stmt **ret_statement)
{
	*ret_statement = NULL;
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, ret_statement, NULL);
	if (!rc)
		rc = sqlite3_bind_text(*ret_statement, 1, db->opts.table->config->table, -1, SQLITE_STATIC);
	return rc ? rc : sqlite3_step(*ret_statement);
}

static const char *text_at(sqlite3_stmt *row, int at)
{
	const char *text = (const char *)sqlite3_column_text(row, at);
	return text ? text : "";
}

/* ---- a table of release 0.1: its column `item` holds the output as a whole */

static bool is_of_release_0_1(const struct sql_table *table, const char *sql)
{
	const struct sql_config *config = table->config;
	struct buf old = {0};
	buf_addf(&old, "CREATE TABLE \"%s\" (", config->table);
	if (config->key.n)
		buf_addf(&old, "\"%s\" PRIMARY KEY NOT NULL, ", config->key.values[0]);
	buf_add_str(&old, "\"item\")");
	bool is_old = !old.failed && config->key.n <= 1 && !config->columns.names.n && strcmp(old.data, sql) == 0;
	buf_fini(&old);
	return is_old;
}

/* ---- what there is */

static int count_rows(struct sqlite_db *db, struct sql_table *table)
{
	char sql[200];
	sqlite3_stmt *row = NULL;
	snprintf(sql, sizeof sql, "SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %zu)", table->name, SQL_FIRST_ROWS);
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &row, NULL);
	if (!rc && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		table->rows = (size_t)sqlite3_column_int64(row, 0);
		rc = 0;
	}
	sqlite3_finalize(row);
	return rc;
}

static int add_columns(struct sqlite_db *db, struct sql_table *table, bool is_old)
{
	static const char sql[] =
		"SELECT name, type, dflt_value IS NOT NULL, hidden FROM pragma_table_xinfo(?, 'main') ORDER BY cid";
	sqlite3_stmt *row;
	int rc = begin(db, sql, &row), code = 0;
	for (; rc == SQLITE_ROW && !code; rc = code ? rc : sqlite3_step(row)) {
		const char *name = text_at(row, 0);
		code = sql_table_add(table, &(struct sql_column){
						    .name = (char *)(uintptr_t)name,
						    .type = (char *)(uintptr_t)text_at(row, 1),
						    .given = sqlite3_column_int(row, 2),
						    .generated = sqlite3_column_int(row, 3) != 0,
						    .whole = is_old && strcmp(name, "item") == 0,
					    });
	}
	sqlite3_finalize(row);
	return code ? SQLITE_NOMEM : rc == SQLITE_DONE ? 0 : rc;
}

static int describe(void *handle, struct sql_table *table, struct weir_error *err)
{
	static const char sql[] =
		"SELECT sql FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE";
	struct sqlite_db *db = handle;
	sqlite3_stmt *row;
	int rc = begin(db, sql, &row);
	table->exists = rc == SQLITE_ROW;
	table->marked = table->exists && strstr(text_at(row, 0), SQL_MARK);
	bool is_old = table->exists && is_of_release_0_1(table, text_at(row, 0));
	sqlite3_finalize(row);
	if (rc == SQLITE_ROW)
		rc = add_columns(db, table, is_old);
	if (!rc && table->marked)
		rc = count_rows(db, table);
	return rc && rc != SQLITE_DONE ? sqlite_db_refuse(db, err, rc) : 0;
}

/* SQLite adds a column under no condition. */
static int execute(void *handle, const char *sql, struct weir_error *err)
{
	struct sqlite_db *db = handle;
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	int code = rc ? sqlite_db_refuse(db, err, rc) : 0;
	bool is_there = rc && strncmp(sqlite3_errmsg(db->handle), "duplicate column name", 21) == 0;
	return is_there ? WEIR_EAGAIN : code;
}

const struct sql_ops sqlite_columns_ops = {
	.compare = strcasecmp,
	.types = {[SQL_NOTHING] = "",
		  [SQL_BOOL] = "boolean",
		  [SQL_INT] = "bigint",
		  [SQL_REAL] = "numeric",
		  [SQL_DIGITS] = "text",
		  [SQL_TEXT] = "text",
		  [SQL_JSON] = "text"},
	.describe = describe,
	.execute = execute,
};

/* The rules of SQLite, in their order. */
enum sqlite_affinity sqlite_affinity_of(const char *type)
{
	if (strcasestr(type, "INT"))
		return AFFINITY_NUMERIC;
	if (strcasestr(type, "CHAR") || strcasestr(type, "CLOB") || strcasestr(type, "TEXT"))
		return AFFINITY_TEXT;
	if (!*type || strcasestr(type, "BLOB"))
		return AFFINITY_NONE;
	if (strcasestr(type, "REAL") || strcasestr(type, "FLOA") || strcasestr(type, "DOUB"))
		return AFFINITY_REAL;
	return AFFINITY_NUMERIC;
}
