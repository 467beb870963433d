/* SPDX-License-Identifier: MIT */
/*
 * See db.h.  WAL and synchronous=FULL: a commit survives a power cut once it has returned.
 *
 * Columns have no type of their own: SQLite keeps what it is given.  Whole numbers beyond 64 bits are kept as text, all
 * their digits with them; so are arrays and objects, as JSON.
 */
#include "sqlite/sink/db.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/buf.h"
#include "data/json_writer.h"

#define OPEN_WAIT_MS  5000
#define WRITE_WAIT_MS 100 /* after that the engine shall know, and hold its sources back */

enum { INSERT = SQLITE_DB_VERBS, STATEMENTS };

static const char *const verbs[SQLITE_DB_VERBS] = {
	[SQLITE_DB_BEGIN] = "BEGIN IMMEDIATE",  [SQLITE_DB_COMMIT] = "COMMIT",
	[SQLITE_DB_ROLLBACK] = "ROLLBACK",      [SQLITE_DB_MARK] = "SAVEPOINT weir_item",
	[SQLITE_DB_KEEP] = "RELEASE weir_item", [SQLITE_DB_UNDO] = "ROLLBACK TO weir_item",
};

struct sqlite_db {
	struct sqlite_db_options opts;
	sqlite3 *handle;
	sqlite3_stmt *statements[STATEMENTS];
	struct ledger ledger;
};

/* ---- errors */

static int code_of(sqlite3 *handle, int rc)
{
	int system = sqlite3_system_errno(handle);
	switch (rc & 0xFF) {
	case SQLITE_OK:
		return 0;
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

const char *sqlite_db_why(const struct sqlite_db *db)
{
	return sqlite3_errmsg(db->handle);
}

static int refuse(const struct sqlite_db *db, struct weir_error *err, int rc)
{
	return weir_error_set(err, code_of(db->handle, rc), "%s: %s", db->opts.path, sqlite3_errmsg(db->handle));
}

/* ---- opening */

static int run_sql(struct sqlite_db *db, const char *sql, struct weir_error *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	return rc ? refuse(db, err, rc) : 0;
}

/* The first column of the first row; the setting as SQLite has really taken it. */
static int read_setting(struct sqlite_db *db, const char *sql, char value[24], struct weir_error *err)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
	if (!rc && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
		snprintf(value, 24, "%s", (const char *)sqlite3_column_text(statement, 0));
		rc = 0;
	}
	int code = rc ? refuse(db, err, rc) : 0;
	sqlite3_finalize(statement);
	return code;
}

static int read_number(struct sqlite_db *db, const char *sql, int64_t *ret_number, struct weir_error *err)
{
	char value[24];
	int code = read_setting(db, sql, value, err);
	*ret_number = code ? 0 : strtoll(value, NULL, 10);
	return code;
}

static int make_durable(struct sqlite_db *db, struct weir_error *err)
{
	char mode[24] = "", sync[24] = "";
	int code = read_setting(db, "PRAGMA journal_mode=WAL", mode, err);
	if (!code)
		code = run_sql(db, "PRAGMA synchronous=FULL", err);
	if (!code)
		code = read_setting(db, "PRAGMA synchronous", sync, err);
	if (!code && (strcmp(mode, "wal") != 0 || strcmp(sync, "2") != 0))
		return weir_error_set(err, WEIR_EIO,
				      "%s: the file system does not support a durable WAL (journal %s, sync %s)",
				      db->opts.path, mode, sync);
	return code;
}

/* "orders.db" may not be read as a URI, nor as a database in memory. */
static int open_file(struct sqlite_db *db, int create, struct weir_error *err)
{
	const int flags = SQLITE_OPEN_READWRITE | create | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	struct buf path = {0};
	const char *named = db->opts.path ? db->opts.path : "";
	if (*named && *named != '/')
		buf_add_str(&path, "./");
	buf_add_str(&path, *named ? named : ":memory:");
	int rc = path.failed ? SQLITE_NOMEM : sqlite3_open_v2(path.data, &db->handle, flags, NULL);
	buf_fini(&path);
	if (rc == SQLITE_CANTOPEN) {
		int system = db->handle ? sqlite3_system_errno(db->handle) : 0;
		return weir_error_set(err, system ? -system : WEIR_EIO, "%s: %s", db->opts.path,
				      sqlite3_errmsg(db->handle));
	}
	if (rc)
		return weir_error_set(err, code_of(db->handle, rc), "%s: %s", db->opts.path, sqlite3_errstr(rc));
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, OPEN_WAIT_MS);
	db->ledger = (struct ledger){.handle = db->handle, .run = db->opts.run, .table = db->opts.config->table};
	return 0;
}

static int make_table(struct sqlite_db *db, struct weir_error *err)
{
	const struct sink_table *table = db->opts.table;
	struct buf sql = {0};
	buf_addf(&sql, "CREATE TABLE IF NOT EXISTS \"%s\" (", db->opts.config->table);
	for (size_t i = 0; i < table->n; i++)
		buf_addf(&sql, "%s\"%s\"%s", i ? ", " : "", table->columns[i],
			 i == table->key ? " PRIMARY KEY NOT NULL" : "");
	buf_add_str(&sql, ")");
	int code = sql.failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : run_sql(db, sql.data, err);
	buf_fini(&sql);
	return code;
}

static bool has_column(struct sqlite_db *db, const char *table, const char *column)
{
	return sqlite3_table_column_metadata(db->handle, "main", table, column, NULL, NULL, NULL, NULL, NULL) ==
	       SQLITE_OK;
}

/* A table that was there before may be another one. */
static int check_column(struct sqlite_db *db, const char *column, struct weir_error *err)
{
	const char *table = db->opts.config->table;
	if (has_column(db, table, column))
		return 0;
	return weir_error_set(err, WEIR_EINVAL,
			      "table %s in %s has no column %s; add it (ALTER TABLE %s ADD COLUMN %s), or name another "
			      "table or other columns",
			      table, db->opts.path, column, table, column);
}

/* One that is there may be somebody else's. */
static int check_ledger(const struct sqlite_db *db, struct weir_error *err)
{
	if (ledger_is_ours(&db->ledger))
		return 0;
	return weir_error_set(
		err, WEIR_EINVAL,
		"table " LEDGER_TABLE
		" in %s was not created by weir, which needs a table of that name; rename it, or use another database",
		db->opts.path);
}

static void add_conflict(const struct sqlite_db *db, struct buf *sql)
{
	const struct sink_table *table = db->opts.table;
	size_t set = 0;
	if (table->key == table->n)
		return;
	buf_addf(sql, " ON CONFLICT(\"%s\") DO", db->opts.config->key);
	for (size_t i = 0; i < table->n; i++)
		if (i != table->key)
			buf_addf(sql, "%s\"%s\"=excluded.\"%s\"", set++ ? "," : " UPDATE SET ", table->columns[i],
				 table->columns[i]);
	if (!set)
		buf_add_str(sql, " NOTHING");
}

static int prepare(struct sqlite_db *db, int which, const char *sql)
{
	return sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &db->statements[which], NULL);
}

static int prepare_insert(struct sqlite_db *db, struct weir_error *err)
{
	const struct sink_table_config *config = db->opts.config;
	const struct sink_table *table = db->opts.table;
	struct buf sql = {0};
	buf_addf(&sql, "INSERT INTO \"%s\"(", config->table);
	for (size_t i = 0; i < table->n; i++)
		buf_addf(&sql, "%s\"%s\"", i ? "," : "", table->columns[i]);
	buf_add_str(&sql, ") VALUES(");
	for (size_t i = 0; i < table->n; i++)
		buf_add_str(&sql, i ? ",?" : "?");
	buf_add_str(&sql, ")");
	add_conflict(db, &sql);
	int rc = sql.failed ? SQLITE_NOMEM : prepare(db, INSERT, sql.data);
	buf_fini(&sql);
	if (!rc)
		return 0;
	if (strstr(sqlite3_errmsg(db->handle), "ON CONFLICT"))
		return weir_error_set(err, WEIR_EINVAL,
				      "column %s of table %s in %s is not unique, so it cannot be the key; make it so "
				      "(CREATE UNIQUE INDEX %s_%s ON %s(%s)), or name another table",
				      config->key, config->table, db->opts.path, config->table, config->key,
				      config->table, config->key);
	return refuse(db, err, rc);
}

static int prepare_all(struct sqlite_db *db, struct weir_error *err)
{
	int rc = 0, code = db->statements[INSERT] ? 0 : prepare_insert(db, err);
	for (int i = 0; i < SQLITE_DB_VERBS && !code && !rc; i++)
		rc = prepare(db, i, verbs[i]);
	return rc ? refuse(db, err, rc) : code;
}

static int check_columns(struct sqlite_db *db, struct weir_error *err)
{
	int code = 0;
	for (size_t i = 0; i < db->opts.table->n && !code; i++)
		code = check_column(db, db->opts.table->columns[i], err);
	return code;
}

static int check_database(struct sqlite_db *db, struct weir_error *err)
{
	int64_t tables;
	int code = read_number(db, "SELECT count(*) FROM sqlite_schema", &tables, err); /* is it a database at all? */
	if (!code && sqlite_db_has_table(db))
		code = check_columns(db, err);
	if (!code && sqlite_db_has_table(db))
		code = prepare_insert(db, err); /* whether its key is one */
	if (!code && db->opts.run)
		code = check_ledger(db, err);
	return code;
}

static struct sqlite_db *new_db(const struct sqlite_db_options *opts)
{
	struct sqlite_db *db = calloc(1, sizeof *db);
	if (db)
		db->opts = *opts;
	return db;
}

/* Of a database that is not there the folder must be. */
static int check_missing(const char *path, struct weir_error *err)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int code = !folder ? WEIR_ENOMEM : access(folder, F_OK) ? -errno : 0;
	free(folder);
	return code ? weir_error_set(err, code, "%s: %s", path, weir_strerror(code)) : 0;
}

int sqlite_db_open(const struct sqlite_db_options *opts, struct sqlite_db **ret_db, struct weir_error *err)
{
	*ret_db = NULL;
	if (access(opts->path, F_OK) && errno == ENOENT)
		return check_missing(opts->path, err);
	struct sqlite_db *db = new_db(opts);
	if (!db)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = open_file(db, 0, err);
	if (!code)
		code = check_database(db, err);
	if (code)
		sqlite_db_close(db);
	else
		*ret_db = db;
	return code;
}

int sqlite_db_start(const struct sqlite_db_options *opts, struct sqlite_db **db, struct weir_error *err)
{
	bool is_open = *db;
	if (!is_open && !(*db = new_db(opts)))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = is_open ? 0 : open_file(*db, SQLITE_OPEN_CREATE, err);
	if (!code && opts->path)
		code = make_durable(*db, err);
	if (!code)
		code = make_table(*db, err);
	if (!code)
		code = check_columns(*db, err);
	if (!code)
		code = prepare_all(*db, err);
	if (!code)
		sqlite3_busy_timeout((*db)->handle, WRITE_WAIT_MS);
	return code;
}

bool sqlite_db_has_table(struct sqlite_db *db)
{
	return has_column(db, db->opts.config->table, NULL);
}

bool sqlite_db_has_rows(struct sqlite_db *db)
{
	int64_t rows = 0;
	char *sql = sqlite3_mprintf("SELECT EXISTS (SELECT 1 FROM \"%w\")", db->opts.config->table);
	bool has = sql && sqlite_db_has_table(db) && !read_number(db, sql, &rows, NULL) && rows;
	sqlite3_free(sql);
	return has;
}

int sqlite_db_empty(struct sqlite_db *db)
{
	char *sql = sqlite3_mprintf("DELETE FROM \"%w\"", db->opts.config->table);
	int code = sql ? code_of(db->handle, sqlite3_exec(db->handle, sql, NULL, NULL, NULL)) : WEIR_ENOMEM;
	sqlite3_free(sql);
	return code;
}

void sqlite_db_close(struct sqlite_db *db)
{
	if (!db)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(db->statements[i]);
	ledger_close(&db->ledger);
	sqlite3_close(db->handle);
	free(db);
}

/* ---- transactions and rows */

static int run(struct sqlite_db *db, int which)
{
	int rc = sqlite3_step(db->statements[which]);
	sqlite3_reset(db->statements[which]);
	return rc == SQLITE_DONE ? 0 : code_of(db->handle, rc);
}

int sqlite_db_do(struct sqlite_db *db, enum sqlite_db_verb verb)
{
	int code = run(db, (int)verb);
	if (verb == SQLITE_DB_ROLLBACK || (verb == SQLITE_DB_COMMIT && !code))
		ledger_end_transaction(&db->ledger, verb == SQLITE_DB_COMMIT);
	return code;
}

bool sqlite_db_in_transaction(const struct sqlite_db *db)
{
	return !sqlite3_get_autocommit(db->handle);
}

int sqlite_db_bind_text(struct sqlite_db *db, size_t column, const char *text, size_t n)
{
	return code_of(db->handle, sqlite3_bind_text64(db->statements[INSERT], (int)column + 1, text, n, SQLITE_STATIC,
						       SQLITE_UTF8));
}

static int bind_dump(sqlite3_stmt *insert, int at, const struct json *json)
{
	size_t n;
	char *text = json_dump(json, &n);
	return text ? sqlite3_bind_text64(insert, at, text, n, free, SQLITE_UTF8) : SQLITE_NOMEM;
}

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

int sqlite_db_bind(struct sqlite_db *db, size_t column, const struct json *json)
{
	return code_of(db->handle, bind_field(db->statements[INSERT], (int)column + 1, json));
}

int sqlite_db_insert(struct sqlite_db *db)
{
	return run(db, INSERT);
}

void sqlite_db_unbind(struct sqlite_db *db)
{
	sqlite3_clear_bindings(db->statements[INSERT]);
}

static void add_column(struct buf *out, sqlite3_stmt *row, int at)
{
	const char *name = sqlite3_column_name(row, at);
	switch (sqlite3_column_type(row, at)) {
	case SQLITE_INTEGER:
		json_put_int(out, name, sqlite3_column_int64(row, at));
		break;
	case SQLITE_FLOAT: /* as SQLite writes it */
		json_put_raw(out, name, (const char *)sqlite3_column_text(row, at),
			     (size_t)sqlite3_column_bytes(row, at));
		break;
	case SQLITE_TEXT:
		json_put_bytes(out, name, (const char *)sqlite3_column_text(row, at),
			       (size_t)sqlite3_column_bytes(row, at));
		break;
	default:
		json_put_text(out, name, NULL);
		break;
	}
}

int sqlite_db_read_row(struct sqlite_db *db, struct buf *out)
{
	sqlite3_stmt *row = NULL;
	char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" LIMIT 1", db->opts.config->table);
	int rc = sql ? sqlite3_prepare_v2(db->handle, sql, -1, &row, NULL) : SQLITE_NOMEM;
	sqlite3_free(sql);
	if (!rc && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		json_open(out, NULL, '{');
		for (int i = 0; i < sqlite3_column_count(row); i++)
			add_column(out, row, i);
		json_close(out, '}');
		rc = out->failed ? SQLITE_NOMEM : 0;
	}
	int code = rc ? code_of(db->handle, rc) : 0;
	sqlite3_finalize(row);
	return code;
}

/* ---- the ledger */

int sqlite_db_note(struct sqlite_db *db, const struct ledger_batch *batch, const uint64_t *ids, size_t n)
{
	return code_of(db->handle, ledger_note(&db->ledger, batch, ids, n));
}

int sqlite_db_noted(struct sqlite_db *db, struct ledger_entry *ret_entry)
{
	return code_of(db->handle, ledger_read(&db->ledger, ret_entry));
}
