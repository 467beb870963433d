/* SPDX-License-Identifier: MIT */
/*
 * `sqlite: { path: orders.db, table: orders, key: id }`: outputs as rows, an upsert where there is a key.
 *
 * One thread owns the connection; batches, the parsing of their JSON included, run there.  A batch is a transaction,
 * WAL and synchronous=FULL, so once write() has returned its rows survive a power cut.
 *
 * A row that cannot be (a constraint, a type, no key) spoils only its item:
 *   - a statement that fails undoes itself, which is all there is to undo of an item with one output;
 *   - an item with several has a savepoint, and goes back to it;
 *   - a constraint or trigger that rolls the whole transaction back: the batch starts again without that item.
 *
 * Columns have no type of their own: SQLite keeps what it is given.  Whole numbers beyond 64 bits are kept as text, all
 * their digits with them; so are arrays and objects, as JSON.
 */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <weir/weir.h>

#include "port/adapters.h"
#include "port/buf.h"
#include "port/json.h"
#include "sink/table.h"

#define OPEN_WAIT_MS  5000
#define WRITE_WAIT_MS 100 /* after that the engine shall know, and hold its sources back */

struct sqlite_config {
	char *path;
	struct sink_table_config rows;
};

enum statement { BEGIN, COMMIT, ROLLBACK, MARK, KEEP, UNDO, INSERT, STATEMENTS };

static const char *const fixed_sql[INSERT] = {
	[BEGIN] = "BEGIN IMMEDIATE",    [COMMIT] = "COMMIT",          [ROLLBACK] = "ROLLBACK",
	[MARK] = "SAVEPOINT weir_item", [KEEP] = "RELEASE weir_item", [UNDO] = "ROLLBACK TO weir_item",
};

struct sink {
	const struct sqlite_config *config;
	struct weir_pool *pool; /* one thread; all below is touched there alone once the sink is open */
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	struct sink_table table;
	struct weir_error failed; /* for good: what every further write answers */
};

struct job {
	struct sink *sink;
	struct sink_item *items;
	size_t n;
	struct weir_error *err;
	int result;
	bool done;
};

static int check_config(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct sqlite_config *config = any;
	if (strncasecmp(config->rows.table, "sqlite_", 7) != 0)
		return sink_table_check(&config->rows, ret_key, err);
	*ret_key = "table";
	return weir_error_set(err, WEIR_EINVAL, "names that begin with 'sqlite_' belong to SQLite; choose another");
}

/* ---- errors */

/* WEIR_EDATA: the row is to blame. */
static int code_of(sqlite3 *db, int rc)
{
	int system = sqlite3_system_errno(db);
	switch (rc & 0xFF) {
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return WEIR_EDATA;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return WEIR_EBUSY;
	case SQLITE_FULL:
		return WEIR_ENOSPC;
	case SQLITE_NOMEM:
		return WEIR_ENOMEM;
	case SQLITE_IOERR:
		return rc == SQLITE_IOERR_NOMEM ? WEIR_ENOMEM : system == EDQUOT ? WEIR_ENOSPC : WEIR_EIO;
	default:
		return WEIR_EIO;
	}
}

static int refuse(const struct sink *sink, struct weir_error *err, int rc)
{
	return weir_error_set(err, code_of(sink->db, rc), "%s: %s", sink->config->path, sqlite3_errmsg(sink->db));
}

static int blame(struct sink_item *item, const char *format, const char *detail)
{
	snprintf(item->why, sizeof item->why, format, detail);
	for (char *c = item->why; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			*c = '?';
	return WEIR_EDATA;
}

/* ---- opening, on the thread */

static int run_sql(struct sink *sink, const char *sql, struct weir_error *err)
{
	int rc = sqlite3_exec(sink->db, sql, NULL, NULL, NULL);
	return rc ? refuse(sink, err, rc) : 0;
}

/* The first column of the first row; the setting as SQLite has really taken it. */
static int read_setting(struct sink *sink, const char *sql, char value[16], struct weir_error *err)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(sink->db, sql, -1, &statement, NULL);
	if (!rc && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
		snprintf(value, 16, "%s", (const char *)sqlite3_column_text(statement, 0));
		rc = 0;
	}
	int code = rc ? refuse(sink, err, rc) : 0;
	sqlite3_finalize(statement);
	return code;
}

static int make_durable(struct sink *sink, struct weir_error *err)
{
	char mode[16] = "", sync[16] = "";
	int code = read_setting(sink, "PRAGMA journal_mode=WAL", mode, err);
	if (!code)
		code = run_sql(sink, "PRAGMA synchronous=FULL", err);
	if (!code)
		code = read_setting(sink, "PRAGMA synchronous", sync, err);
	if (!code && (strcmp(mode, "wal") != 0 || strcmp(sync, "2") != 0))
		return weir_error_set(err, WEIR_EIO,
				      "%s: the file system cannot do a durable WAL (journal %s, sync %s)",
				      sink->config->path, mode, sync);
	return code;
}

/* "orders.db" may not be read as a URI, nor as a database in memory. */
static int open_file(struct sink *sink, struct weir_error *err)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	struct buf path = {0};
	if (sink->config->path[0] != '/')
		buf_add_str(&path, "./");
	buf_add_str(&path, sink->config->path);
	int rc = path.failed ? SQLITE_NOMEM : sqlite3_open_v2(path.data, &sink->db, flags, NULL);
	buf_fini(&path);
	if (rc == SQLITE_CANTOPEN)
		return weir_error_set(
			err, sink->db && sqlite3_system_errno(sink->db) ? -sqlite3_system_errno(sink->db) : WEIR_EIO,
			"%s: %s", sink->config->path, sqlite3_errmsg(sink->db));
	if (rc)
		return weir_error_set(err, code_of(sink->db, rc), "%s: %s", sink->config->path, sqlite3_errstr(rc));
	sqlite3_extended_result_codes(sink->db, 1);
	sqlite3_busy_timeout(sink->db, OPEN_WAIT_MS);
	return 0;
}

static int make_table(struct sink *sink, struct weir_error *err)
{
	struct buf sql = {0};
	buf_addf(&sql, "CREATE TABLE IF NOT EXISTS \"%s\" (", sink->config->rows.table);
	for (size_t i = 0; i < sink->table.n; i++)
		buf_addf(&sql, "%s\"%s\"%s", i ? ", " : "", sink->table.columns[i],
			 i == sink->table.key ? " PRIMARY KEY NOT NULL" : "");
	buf_add_str(&sql, ")");
	int code = sql.failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : run_sql(sink, sql.data, err);
	buf_fini(&sql);
	return code;
}

/* A table that was there before may be another one. */
static int check_column(struct sink *sink, const char *column, struct weir_error *err)
{
	const char *table = sink->config->rows.table;
	if (sqlite3_table_column_metadata(sink->db, "main", table, column, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return weir_error_set(err, WEIR_EINVAL,
			      "table %s in %s has no column %s; add it (ALTER TABLE %s ADD COLUMN %s), or name another "
			      "table or other columns",
			      table, sink->config->path, column, table, column);
}

static void add_conflict(struct sink *sink, struct buf *sql)
{
	size_t set = 0;
	if (sink->table.key == sink->table.n)
		return;
	buf_addf(sql, " ON CONFLICT(\"%s\") DO", sink->config->rows.key);
	for (size_t i = 0; i < sink->table.n; i++)
		if (i != sink->table.key)
			buf_addf(sql, "%s\"%s\"=excluded.\"%s\"", set++ ? "," : " UPDATE SET ", sink->table.columns[i],
				 sink->table.columns[i]);
	if (!set)
		buf_add_str(sql, " NOTHING");
}

static int prepare_insert(struct sink *sink, struct weir_error *err)
{
	struct buf sql = {0};
	buf_addf(&sql, "INSERT INTO \"%s\"(", sink->config->rows.table);
	for (size_t i = 0; i < sink->table.n; i++)
		buf_addf(&sql, "%s\"%s\"", i ? "," : "", sink->table.columns[i]);
	buf_add_str(&sql, ") VALUES(");
	for (size_t i = 0; i < sink->table.n; i++)
		buf_add_str(&sql, i ? ",?" : "?");
	buf_add_str(&sql, ")");
	add_conflict(sink, &sql);
	int rc = sql.failed ? SQLITE_NOMEM
			    : sqlite3_prepare_v3(sink->db, sql.data, -1, SQLITE_PREPARE_PERSISTENT,
						 &sink->statements[INSERT], NULL);
	buf_fini(&sql);
	if (!rc)
		return 0;
	if (strstr(sqlite3_errmsg(sink->db), "ON CONFLICT"))
		return weir_error_set(err, WEIR_EINVAL,
				      "column %s of table %s in %s is not unique, so it cannot be the key; make it so "
				      "(CREATE UNIQUE INDEX %s_%s ON %s(%s)), or name another table",
				      sink->config->rows.key, sink->config->rows.table, sink->config->path,
				      sink->config->rows.table, sink->config->rows.key, sink->config->rows.table,
				      sink->config->rows.key);
	return refuse(sink, err, rc);
}

static int open_database(struct sink *sink, struct weir_error *err)
{
	int code = open_file(sink, err);
	if (!code)
		code = make_durable(sink, err);
	if (!code)
		code = make_table(sink, err);
	for (size_t i = 0; i < sink->table.n && !code; i++)
		code = check_column(sink, sink->table.columns[i], err);
	if (!code)
		code = prepare_insert(sink, err);
	for (int i = 0; i < INSERT && !code; i++) {
		int rc = sqlite3_prepare_v3(sink->db, fixed_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &sink->statements[i],
					    NULL);
		code = rc ? refuse(sink, err, rc) : 0;
	}
	if (!code)
		sqlite3_busy_timeout(sink->db, WRITE_WAIT_MS);
	return code;
}

static int open_on_thread(void *arg)
{
	struct job *job = arg;
	job->result = open_database(job->sink, job->err);
	job->done = true;
	return 0;
}

static int close_on_thread(void *arg)
{
	struct job *job = arg;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(job->sink->statements[i]);
	sqlite3_close(job->sink->db);
	job->done = true;
	return 0;
}

/* ---- writing, on the thread */

static int run(struct sink *sink, enum statement which)
{
	int rc = sqlite3_step(sink->statements[which]);
	sqlite3_reset(sink->statements[which]);
	return rc == SQLITE_DONE ? 0 : rc;
}

static int bind_dump(sqlite3_stmt *insert, int at, const struct json *json)
{
	size_t n;
	char *text = json_dump(json, &n);
	return text ? sqlite3_bind_text64(insert, at, text, n, free, SQLITE_UTF8) : SQLITE_NOMEM;
}

/* json may be NULL: the output has no such field. */
static int bind_field(sqlite3_stmt *insert, int at, const struct json *json)
{
	size_t n;
	const char *text;
	if (!json)
		return sqlite3_bind_null(insert, at);
	switch (json_type(json)) {
	case JSON_NULL:
		return sqlite3_bind_null(insert, at);
	case JSON_BOOL:
		return sqlite3_bind_int(insert, at, json_bool(json));
	case JSON_NUMBER_INT:
		return json_fits_int(json) ? sqlite3_bind_int64(insert, at, json_int(json))
					   : bind_dump(insert, at, json);
	case JSON_NUMBER_REAL:
		return isfinite(json_real(json)) ? sqlite3_bind_double(insert, at, json_real(json))
						 : bind_dump(insert, at, json);
	case JSON_TEXT:
		text = json_text(json, &n);
		return sqlite3_bind_text64(insert, at, text, n, SQLITE_STATIC, SQLITE_UTF8);
	default:
		return bind_dump(insert, at, json);
	}
}

static int check_field(struct sink_item *item, const struct json *json, const char *name, bool is_key)
{
	enum json_type type = json ? json_type(json) : JSON_NULL;
	size_t n = 0;
	if (type == JSON_TEXT) {
		const char *text = json_text(json, &n);
		return n && memchr(text, 0, n) ? blame(item, "field %s holds a NUL character", name) : 0;
	}
	if (!is_key || type == JSON_NUMBER_INT || type == JSON_NUMBER_REAL)
		return 0;
	return blame(item,
		     type == JSON_NULL ? "the output has no field %s, the key"
				       : "field %s, the key, is neither text nor a number",
		     name);
}

/* 0, WEIR_EDATA with item->why, or an SQLite code above 0. */
static int bind_row(struct sink *sink, struct sink_item *item, const struct json *json, const struct value *output)
{
	sqlite3_stmt *insert = sink->statements[INSERT];
	int rc = 0;
	for (size_t i = 0; i < sink->table.n && !rc; i++) {
		const char *name = sink->table.columns[i];
		if (i == sink->table.whole) {
			rc = sqlite3_bind_text64(insert, (int)i + 1, output->data, output->len, SQLITE_STATIC,
						 SQLITE_UTF8);
			continue;
		}
		const struct json *field = json_member(json, name);
		rc = check_field(item, field, name, i == sink->table.key);
		if (!rc)
			rc = bind_field(insert, (int)i + 1, field);
	}
	if (rc > 0 && code_of(sink->db, rc) == WEIR_EDATA)
		return blame(item, "sqlite: %s", sqlite3_errmsg(sink->db));
	return rc;
}

/* Where the output's fields matter it must be an object; else it goes in as it is. */
static int parse_output(struct sink *sink, struct sink_item *item, const struct value *output, struct json **ret_json)
{
	struct weir_error err = {0};
	*ret_json = NULL;
	if (sink->table.n == 1 && sink->table.whole == 0)
		return 0;
	int code = json_parse(output->data, output->len, ret_json, &err);
	if (code == WEIR_ENOMEM)
		return SQLITE_NOMEM;
	if (code)
		return blame(item, "the output is no JSON: %.120s", err.text);
	if (json_type(*ret_json) == JSON_OBJECT)
		return 0;
	json_free(*ret_json);
	*ret_json = NULL;
	return blame(item, "the output is no object, so it has no field %s", sink->table.columns[0]);
}

/* As bind_row(). */
static int write_output(struct sink *sink, struct sink_item *item, const struct value *output)
{
	struct json *json;
	int rc = parse_output(sink, item, output, &json);
	if (rc)
		return rc;
	rc = bind_row(sink, item, json, output);
	if (!rc) {
		rc = run(sink, INSERT);
		if (rc && code_of(sink->db, rc) == WEIR_EDATA)
			rc = blame(item, "sqlite: %s", sqlite3_errmsg(sink->db));
	}
	sqlite3_clear_bindings(sink->statements[INSERT]);
	json_free(json);
	return rc;
}

static int write_item(struct sink *sink, struct sink_item *item)
{
	const struct value_list *outputs = &item->item->outputs;
	bool marked = outputs->n > 1;
	int rc = marked ? run(sink, MARK) : 0;
	for (size_t i = 0; i < outputs->n && !rc; i++)
		rc = write_output(sink, item, &outputs->values[i]);
	if (!marked || rc > 0 || sqlite3_get_autocommit(sink->db))
		return rc;
	int end = rc ? run(sink, UNDO) : 0;
	if (!end)
		end = run(sink, KEEP);
	return end ? end : rc;
}

/* 0; or WEIR_EDATA when an item has rolled back the whole transaction: it has its verdict, all others are to be written
 * again; or an SQLite code above 0. */
static int write_items(struct sink *sink, struct sink_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (items[i].verdict)
			continue;
		int rc = write_item(sink, &items[i]);
		if (rc > 0)
			return rc;
		items[i].verdict = rc;
		if (rc && sqlite3_get_autocommit(sink->db))
			return WEIR_EDATA;
	}
	return 0;
}

static int write_batch(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err)
{
	int rc;
	for (size_t i = 0; i < n; i++)
		items[i].verdict = 0;
	do {
		rc = run(sink, BEGIN);
		if (!rc)
			rc = write_items(sink, items, n);
	} while (rc == WEIR_EDATA);
	if (!rc)
		rc = run(sink, COMMIT);
	if (!rc)
		return 0;
	struct weir_error why = {0};
	int code = refuse(sink, &why, rc);
	if (!sqlite3_get_autocommit(sink->db))
		run(sink, ROLLBACK);
	/* Only a deferred constraint fails at the commit, and nobody can tell whose row it was. */
	if (code == WEIR_EDATA)
		code = WEIR_EIO;
	if (code == WEIR_EIO)
		sink->failed = why;
	return weir_error_set(err, code, "%s", why.text);
}

static int write_on_thread(void *arg)
{
	struct job *job = arg;
	job->result = write_batch(job->sink, job->items, job->n, job->err);
	job->done = true;
	return 0;
}

/* ---- the port, on the fiber */

/* ---- the port, on the fiber */

/* What the thread has done is done, even if the fiber was cancelled meanwhile. */
static int call_thread(struct job *job, weir_offload_fn fn, weir_nsec deadline)
{
	int code = weir_pool_call(job->sink->pool, fn, job, deadline);
	if (job->done)
		return job->result;
	return weir_error_set(job->err, code, "%s: %s", job->sink->config->path, weir_strerror(code));
}

static int close_sqlite(struct sink *sink, struct weir_error *err)
{
	struct job job = {.sink = sink, .err = err};
	int code = 0;
	if (sink->pool) {
		weir_shield_enter();
		code = call_thread(&job, close_on_thread, WEIR_FOREVER);
		weir_shield_leave();
	}
	weir_pool_free(sink->pool);
	sink_table_fini(&sink->table);
	free(sink);
	return code;
}

static int open_sqlite(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	(void)env;
	struct sink *sink = calloc(1, sizeof *sink);
	struct job job = {.sink = sink, .err = err};
	if (!sink)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	sink->config = config;
	int code = sink_table_init(&sink->table, &sink->config->rows);
	if (!code)
		code = weir_pool_new(1, &sink->pool);
	code = code ? weir_error_set(err, code, "%s", weir_strerror(code))
		    : call_thread(&job, open_on_thread, WEIR_FOREVER);
	if (code) {
		close_sqlite(sink, NULL);
		return code;
	}
	*ret_sink = sink;
	return 0;
}

static int write_sqlite(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err,
			weir_nsec deadline)
{
	struct job job = {.sink = sink, .items = items, .n = n, .err = err};
	if (sink->failed.code)
		return weir_error_set(err, sink->failed.code, "%s", sink->failed.text);
	return call_thread(&job, write_on_thread, deadline);
}

static const struct key keys[] = {
	{"path", KEY_PATH_OUT, offsetof(struct sqlite_config, path), .flags = KEY_REQUIRED,
	 .text = "the database file, made if there is none"},
	{"table", KEY_STRING, offsetof(struct sqlite_config, rows.table), .flags = KEY_REQUIRED,
	 .text = "the table, made if there is none"},
	{"key", KEY_STRING, offsetof(struct sqlite_config, rows.key),
	 .text = "the field and column that names a row: one that is there is replaced; without it rows are added"},
	{"columns", KEY_STRINGS, offsetof(struct sqlite_config, rows.columns),
	 .text = "the fields to keep, a column each; without it the whole output is kept as JSON in the column 'item'"},
	{0},
};

static const struct sink_ops ops = {.open = open_sqlite, .write = write_sqlite, .close = close_sqlite};

const struct adapter sink_sqlite_adapter = {
	.kind = ADAPTER_SINK,
	.name = "sqlite",
	.text = "writes rows into an SQLite database, each batch a durable transaction",
	.keys = keys,
	.config_bytes = sizeof(struct sqlite_config),
	.check = check_config,
	.sink = &ops,
};
