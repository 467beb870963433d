/* SPDX-License-Identifier: MIT */
/*
 * The statement that writes a row: for the columns that the table has; that of an update for those of the fields that
 * the output has, since what it lacks stays as it is in the row.
 */
#include "sqlite/sink/internal.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

bool sqlite_statement_sets(const struct sqlite_db *db, size_t i)
{
	return db->rows.fields[i] && !sql_table_is_key(db->opts.table, db->opts.table->columns[i].name);
}

static void put_names(struct buf *sql, const struct key_strings *names)
{
	for (size_t i = 0; i < names->n; i++) {
		buf_add_str(sql, i ? ", " : "");
		sql_put_name(sql, names->values[i]);
	}
}

static void put_conflict(const struct sql_table *table, struct buf *sql)
{
	size_t set = 0;
	if (!table->config->key.n)
		return;
	buf_add_str(sql, " ON CONFLICT(");
	put_names(sql, &table->config->key);
	buf_add_str(sql, ") DO");
	for (size_t i = 0; i < table->n; i++) {
		if (sql_table_is_key(table, table->columns[i].name))
			continue;
		buf_add_str(sql, set++ ? ", " : " UPDATE SET ");
		sql_put_name(sql, table->columns[i].name);
		buf_add_str(sql, " = excluded.");
		sql_put_name(sql, table->columns[i].name);
	}
	if (!set)
		buf_add_str(sql, " NOTHING");
}

static void put_insert(const struct sql_table *table, struct buf *sql)
{
	buf_addf(sql, "INSERT INTO %s (", table->name);
	for (size_t i = 0; i < table->n; i++) {
		buf_add_str(sql, i ? ", " : "");
		sql_put_name(sql, table->columns[i].name);
	}
	buf_add_str(sql, ") VALUES (");
	for (size_t i = 0; i < table->n; i++)
		buf_add_str(sql, i ? ", ?" : "?");
	buf_add_char(sql, ')');
	put_conflict(table, sql);
}

/* Of the fields at hand. */
static void put_update(const struct sqlite_db *db, struct buf *sql)
{
	const struct sql_table *table = db->opts.table;
	size_t set = 0;
	buf_addf(sql, "UPDATE %s SET ", table->name);
	for (size_t i = 0; i < table->n; i++)
		if (sqlite_statement_sets(db, i)) {
			buf_add_str(sql, set++ ? ", " : "");
			sql_put_name(sql, table->columns[i].name);
			buf_add_str(sql, " = ?");
		}
	for (size_t i = 0; i < table->config->key.n; i++) {
		buf_add_str(sql, i ? " AND " : " WHERE ");
		sql_put_name(sql, table->config->key.values[i]);
		buf_add_str(sql, " = ?");
	}
}

static int prepare(struct sqlite_db *db, struct buf *sql)
{
	sqlite3_finalize(db->rows.write);
	db->rows.write = NULL;
	int rc = sql->failed ? SQLITE_NOMEM
			     : sqlite3_prepare_v3(db->handle, sql->data, -1, SQLITE_PREPARE_PERSISTENT, &db->rows.write,
						  NULL);
	buf_fini(sql);
	return rc;
}

static void join(struct buf *out, const struct key_strings *names, const char *between)
{
	for (size_t i = 0; i < names->n; i++)
		buf_addf(out, "%s%s", i ? between : "", names->values[i]);
}

/* Names are short and plain (sql/config.h). */
static int refuse_key(const struct sqlite_db *db, struct weir_error *err)
{
	const struct sql_config *config = db->opts.table->config;
	struct buf list = {0}, index = {0};
	join(&list, &config->key, ", ");
	join(&index, &config->key, "_");
	int code = WEIR_ENOMEM;
	if (!list.failed && !index.failed)
		code = weir_error_set(
			err, WEIR_EINVAL,
			"column%s %.100s of table %s in %s %s not unique, so %s cannot be the key; make %s so "
			"(CREATE UNIQUE INDEX %s_%.100s ON %s(%.100s)), or name another table",
			config->key.n > 1 ? "s" : "", list.data, config->table, db->opts.path,
			config->key.n > 1 ? "are" : "is", config->key.n > 1 ? "they" : "it",
			config->key.n > 1 ? "them" : "it", config->table, index.data, config->table, list.data);
	buf_fini(&list);
	buf_fini(&index);
	return code;
}

/* An update is prepared with the first row, but whether its key is one is asked now. */
int sqlite_statement_make(struct sqlite_db *db, struct weir_error *err)
{
	const struct sql_table *table = db->opts.table;
	struct sqlite_rows *rows = &db->rows;
	struct buf sql = {0};
	sqlite_statement_close(db);
	rows->n = table->n;
	rows->affinity = calloc(table->n + 1, sizeof *rows->affinity);
	rows->fields = calloc(table->n + 1, sizeof(struct json *));
	rows->present = calloc(table->n + 1, sizeof *rows->present);
	if (!rows->affinity || !rows->fields || !rows->present)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	for (size_t i = 0; i < table->n; i++)
		rows->affinity[i] = sqlite_affinity_of(table->columns[i].type);
	put_insert(table, &sql);
	int rc = prepare(db, &sql);
	if (rc && strstr(sqlite3_errmsg(db->handle), "ON CONFLICT"))
		return refuse_key(db, err);
	if (!rc && table->config->update) {
		sqlite3_finalize(rows->write);
		rows->write = NULL;
	}
	return rc ? sqlite_db_refuse(db, err, rc) : 0;
}

void sqlite_statement_close(struct sqlite_db *db)
{
	sqlite3_finalize(db->rows.write);
	free(db->rows.affinity);
	free(db->rows.fields);
	free(db->rows.present);
	db->rows = (struct sqlite_rows){0};
}

int sqlite_statement_update(struct sqlite_db *db)
{
	struct sqlite_rows *rows = &db->rows;
	struct buf sql = {0};
	bool same = rows->write;
	for (size_t i = 0; i < rows->n; i++) {
		same = same && rows->present[i] == sqlite_statement_sets(db, i);
		rows->present[i] = sqlite_statement_sets(db, i);
	}
	if (same)
		return 0;
	put_update(db, &sql);
	return prepare(db, &sql);
}
