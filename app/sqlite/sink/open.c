/* SPDX-License-Identifier: MIT */
/* Opening and closing (db.h).  WAL and synchronous=FULL: a commit survives a power cut once it has returned. */
#include "sqlite/client/client.h"
#include "sqlite/sink/internal.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_WAIT_MS  5000
#define WRITE_WAIT_MS 100 /* after that the engine shall know, and hold its sources back */

static const char *const verbs[SQLITE_DB_VERBS] = {
	[SQLITE_DB_BEGIN] = "BEGIN IMMEDIATE",  [SQLITE_DB_COMMIT] = "COMMIT",
	[SQLITE_DB_ROLLBACK] = "ROLLBACK",      [SQLITE_DB_MARK] = "SAVEPOINT weir_item",
	[SQLITE_DB_KEEP] = "RELEASE weir_item", [SQLITE_DB_UNDO] = "ROLLBACK TO weir_item",
};

static int run_sql(struct sqlite_db *db, const char *sql, struct weir_error *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	return rc ? sqlite_db_refuse(db, err, rc) : 0;
}

static int make_durable(struct sqlite_db *db, struct weir_error *err)
{
	char mode[24] = "", sync[24] = "";
	int code = sqlite_db_setting(db, "PRAGMA journal_mode=WAL", mode, err);
	if (!code)
		code = run_sql(db, "PRAGMA synchronous=FULL", err);
	if (!code)
		code = sqlite_db_setting(db, "PRAGMA synchronous", sync, err);
	if (!code && (strcmp(mode, "wal") != 0 || strcmp(sync, "2") != 0))
		return weir_error_set(err, WEIR_EIO,
				      "%s: the file system does not support a durable WAL (journal %s, sync %s)",
				      db->opts.path, mode, sync);
	return code;
}

static int open_file(struct sqlite_db *db, int create, struct weir_error *err)
{
	int code = sqlite_client_open(db->opts.path, SQLITE_OPEN_READWRITE | create, OPEN_WAIT_MS, &db->handle, err);
	if (code)
		return code;
	if (sqlite3_db_readonly(db->handle, "main") == 1)
		return weir_error_set(err, -EACCES, "%s: cannot be written: %s", db->opts.path, weir_strerror(-EACCES));
	db->ledger = (struct ledger){.handle = db->handle, .run = db->opts.run, .table = db->opts.table->config->table};
	db->claims = (struct claims){.handle = db->handle, .run = db->opts.run, .table = db->opts.table->config->table};
	db->opts.table->db = db;
	return 0;
}

/* One that is there may be somebody else's. */
static int check_ledger(const struct sqlite_db *db, struct weir_error *err)
{
	const char *tables = db->opts.claims ? SQL_LEDGER_RUNS " or " SQL_LEDGER_ITEMS : SQL_LEDGER;
	if (db->opts.claims ? claims_are_ours(&db->claims) : ledger_is_ours(&db->ledger))
		return 0;
	return weir_error_set(
		err, WEIR_EINVAL,
		"table %s in %s was not created by weir, which needs a table of that name; rename it, or use another "
		"database",
		tables, db->opts.path);
}

static int prepare_verbs(struct sqlite_db *db, struct weir_error *err)
{
	int rc = 0;
	for (int i = 0; i < SQLITE_DB_VERBS && !rc; i++)
		rc = sqlite3_prepare_v3(db->handle, verbs[i], -1, SQLITE_PREPARE_PERSISTENT, &db->verbs[i], NULL);
	return rc ? sqlite_db_refuse(db, err, rc) : 0;
}

static int check_database(struct sqlite_db *db, struct weir_error *err)
{
	int64_t tables;
	int code =
		sqlite_db_number(db, "SELECT count(*) FROM sqlite_schema", &tables, err); /* is it a database at all? */
	if (!code)
		code = sql_table_open(db->opts.table, err);
	if (!code && db->opts.table->exists)
		code = sqlite_statement_make(db, err); /* whether its key is one */
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

/* Of a database that is not there the folder must be, and take it. */
static int check_missing(const char *path, struct weir_error *err)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int code = !folder ? WEIR_ENOMEM : access(folder, W_OK | X_OK) ? -errno : 0;
	free(folder);
	return code ? weir_error_set(err, code, "%s: %s", path, weir_strerror(code)) : 0;
}

int sqlite_db_open(const struct sqlite_db_options *opts, struct sqlite_db **ret_db, struct weir_error *err)
{
	*ret_db = NULL;
	if (access(opts->path, F_OK) && errno == ENOENT)
		return opts->table->config->update ? sql_table_refuse_missing(opts->table, err)
						   : check_missing(opts->path, err);
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
	if (!code && !is_open)
		code = sql_table_open(opts->table, err);
	if (!code)
		code = sql_table_start(opts->table, err);
	if (!code && opts->table->exists)
		code = sqlite_statement_make(*db, err);
	if (!code)
		code = prepare_verbs(*db, err);
	if (!code && opts->empties && (code = sqlite_db_empty(*db)) != 0)
		weir_error_set(err, code, "%s: %s", opts->path, sqlite_db_why(*db));
	if (!code)
		sqlite3_busy_timeout((*db)->handle, WRITE_WAIT_MS);
	return code;
}

void sqlite_db_close(struct sqlite_db *db)
{
	if (!db)
		return;
	for (int i = 0; i < SQLITE_DB_VERBS; i++)
		sqlite3_finalize(db->verbs[i]);
	sqlite_statement_close(db);
	ledger_close(&db->ledger);
	claims_close(&db->claims);
	sqlite3_close(db->handle);
	free(db);
}
