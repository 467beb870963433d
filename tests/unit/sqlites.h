/* SPDX-License-Identifier: MIT */
/* What the tests of SQLite share: a config of the sink, and a second connection that looks at what is really there. */
#ifndef UNIT_SQLITES_H
#define UNIT_SQLITES_H

#include "unit/sinks.h"

#include <sqlite3.h>

/* columns is a list with blanks between, or NULL.  The config lives as long as the test. */
static inline void *sqlite_config(const char *path, const char *table, const char *key, const char *columns)
{
	void *config = keep(calloc(1, sink_sqlite_adapter.config_bytes));
	struct key_strings list = split_words(columns ? columns : "");
	set_key(&sink_sqlite_adapter, config, "path", &path, sizeof path);
	set_key(&sink_sqlite_adapter, config, "table", &table, sizeof table);
	struct key_strings keys = split_words(key ? key : "");
	set_key(&sink_sqlite_adapter, config, "key", &keys, sizeof keys);
	set_key(&sink_sqlite_adapter, config, "columns", &list, sizeof list);
	return config;
}

static inline const char *db_path(void)
{
	return test_format("%s/out.db", test_folder());
}

static inline struct sink *open_sqlite(const char *key, const char *columns)
{
	return open_sink(&sink_sqlite_adapter, sqlite_config(db_path(), "t", key, columns));
}

/* ---- looking at the database */

static inline int print_row(void *arg, int n, char **values, char **names)
{
	(void)names;
	for (int i = 0; i < n; i++)
		buf_addf(arg, "%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
	return buf_add_char(arg, '\n');
}

struct query {
	const char *path, *sql;
	struct buf rows;
	char *why;
};

static inline int run_query(void *arg)
{
	struct query *query = arg;
	sqlite3 *db;
	/* a source may be about to end what it reads */
	if (sqlite3_open(query->path, &db) == SQLITE_OK && sqlite3_busy_timeout(db, 10000) == SQLITE_OK)
		sqlite3_exec(db, query->sql, print_row, &query->rows, &query->why);
	sqlite3_close(db);
	return 0;
}

/* SQLite wants more stack than a fiber has. */
static inline const char *query_in(const char *path, const char *sql)
{
	struct query query = {.path = path, .sql = sql};
	ck_assert_int_eq(weir_offload(run_query, &query, WEIR_FOREVER), 0);
	ck_assert_msg(!query.why, "%s: %s", sql, query.why);
	return keep(buf_take(&query.rows, NULL));
}

static inline const char *query(const char *sql)
{
	return query_in(db_path(), sql);
}

#endif
