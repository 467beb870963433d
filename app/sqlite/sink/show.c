/* SPDX-License-Identifier: MIT */
/* A row for people: written into a database in memory, and read from there. */
#include "data/json_writer.h"
#include "sqlite/client/client.h"
#include "sqlite/sink/internal.h"
#include "sqlite/sink/row.h"

#include <sqlite3.h>
#include <stdio.h>

static void add_column(struct buf *out, sqlite3_stmt *row, int at)
{
	const char *name = sqlite3_column_name(row, at);
	const char *text = (const char *)sqlite3_column_text(row, at);
	size_t n = (size_t)sqlite3_column_bytes(row, at);
	switch (sqlite3_column_type(row, at)) {
	case SQLITE_TEXT:
		json_put_bytes(out, name, text, n);
		break;
	case SQLITE_NULL:
		json_put_text(out, name, NULL);
		break;
	default: /* a number, as SQLite writes it */
		json_put_raw(out, name, text, n);
		break;
	}
}

static int read_row(struct sqlite_db *db, struct buf *out)
{
	sqlite3_stmt *row = NULL;
	char sql[100];
	snprintf(sql, sizeof sql, "SELECT * FROM %s LIMIT 1", db->opts.table->name);
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &row, NULL);
	if (!rc && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		json_open(out, NULL, '{');
		for (int i = 0; i < sqlite3_column_count(row); i++)
			add_column(out, row, i);
		json_close(out, '}');
		rc = out->failed ? SQLITE_NOMEM : 0;
	}
	sqlite3_finalize(row);
	return sqlite_client_code(db->handle, rc);
}

/* An update is shown as what it sets. */
int sqlite_row_show(const struct sql_config *config, const struct value *output, struct buf *out, char why[200])
{
	struct weir_error err = {0};
	struct sql_config shown = *config;
	struct sql_table table = {0};
	struct sqlite_db *db = NULL;
	if (shown.update)
		shown.key = (struct key_strings){0};
	shown.update = false;
	int code = sql_table_init(&table, &shown, NULL, &sqlite_columns_ops);
	const struct sqlite_db_options opts = {.table = &table};
	if (!code)
		code = sqlite_db_start(&opts, &db, &err);
	if (!code)
		code = sqlite_row_look(db, output);
	if (!code)
		code = sqlite_row_fit(db, &err);
	if (!code)
		code = sqlite_row_write(db, output, NULL, why);
	if (!code)
		code = read_row(db, out);
	sqlite_db_close(db);
	sql_table_fini(&table);
	return code;
}
