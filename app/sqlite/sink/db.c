/* SPDX-License-Identifier: MIT */
#include "sqlite/client/client.h"
#include "sqlite/sink/internal.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors */

const char *sqlite_db_why(const struct sqlite_db *db)
{
	return sqlite3_errmsg(db->handle);
}

int sqlite_db_refuse(const struct sqlite_db *db, struct weir_error *err, int rc)
{
	return weir_error_set(err, sqlite_client_code(db->handle, rc), "%s: %s", db->opts.path,
			      sqlite3_errmsg(db->handle));
}

/* ---- settings and numbers */

int sqlite_db_setting(struct sqlite_db *db, const char *sql, char value[24], struct weir_error *err)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
	if (!rc && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
		snprintf(value, 24, "%s", (const char *)sqlite3_column_text(statement, 0));
		rc = 0;
	}
	int code = rc ? sqlite_db_refuse(db, err, rc) : 0;
	sqlite3_finalize(statement);
	return code;
}

int sqlite_db_number(struct sqlite_db *db, const char *sql, int64_t *ret_number, struct weir_error *err)
{
	char value[24];
	int code = sqlite_db_setting(db, sql, value, err);
	*ret_number = code ? 0 : strtoll(value, NULL, 10);
	return code;
}

bool sqlite_db_has_rows(struct sqlite_db *db)
{
	int64_t rows = 0;
	char *sql = sqlite3_mprintf("SELECT EXISTS (SELECT 1 FROM \"%w\")", db->opts.table->config->table);
	bool has = sql && db->opts.table->exists && !sqlite_db_number(db, sql, &rows, NULL) && rows;
	sqlite3_free(sql);
	return has;
}

static int delete_rows(struct sqlite_db *db)
{
	char *sql = sqlite3_mprintf("DELETE FROM \"%w\"", db->opts.table->config->table);
	int code = sql ? sqlite_client_code(db->handle, sqlite3_exec(db->handle, sql, NULL, NULL, NULL)) : WEIR_ENOMEM;
	sqlite3_free(sql);
	db->opts.table->rows = code ? db->opts.table->rows : 0;
	return code;
}

/* ---- transactions */

static int step(struct sqlite_db *db, enum sqlite_db_verb verb)
{
	int rc = sqlite3_step(db->verbs[verb]);
	sqlite3_reset(db->verbs[verb]);
	return rc == SQLITE_DONE ? 0 : sqlite_client_code(db->handle, rc);
}

static void end_transaction(struct sqlite_db *db, bool committed)
{
	ledger_end_transaction(&db->ledger, committed);
	claims_end_transaction(&db->claims, committed);
}

static int begin(struct sqlite_db *db)
{
	end_transaction(db, false); /* a row may have ended the last one */
	int code = step(db, SQLITE_DB_BEGIN);
	return !code && db->opts.claims ? sqlite_client_code(db->handle, claims_begin(&db->claims, &db->is_new_run))
					: code;
}

int sqlite_db_do(struct sqlite_db *db, enum sqlite_db_verb verb)
{
	int code = verb == SQLITE_DB_BEGIN ? begin(db) : step(db, verb);
	if (verb == SQLITE_DB_ROLLBACK || (verb == SQLITE_DB_COMMIT && !code))
		end_transaction(db, verb == SQLITE_DB_COMMIT);
	return code;
}

bool sqlite_db_in_transaction(const struct sqlite_db *db)
{
	return !sqlite3_get_autocommit(db->handle);
}

/* Of several processes that begin at the same time one notes the run; the others find its note. */
int sqlite_db_empty(struct sqlite_db *db)
{
	if (!db->opts.claims)
		return delete_rows(db);
	int code = sqlite_db_do(db, SQLITE_DB_BEGIN);
	if (!code && db->is_new_run)
		code = delete_rows(db);
	return code ? code : sqlite_db_do(db, SQLITE_DB_COMMIT);
}

/* ---- the ledgers */

int sqlite_db_note(struct sqlite_db *db, const struct ledger_batch *batch, const uint64_t *ids, size_t n)
{
	return sqlite_client_code(db->handle, ledger_note(&db->ledger, batch, ids, n));
}

int sqlite_db_noted(struct sqlite_db *db, struct ledger_entry *ret_entry)
{
	return sqlite_client_code(db->handle, ledger_read(&db->ledger, ret_entry));
}

int sqlite_db_look_at_claims(struct sqlite_db *db, bool *ret_is_noted, bool *ret_has_items)
{
	return sqlite_client_code(db->handle, claims_look(&db->claims, ret_is_noted, ret_has_items));
}

int sqlite_db_claim(struct sqlite_db *db, uint64_t item, bool *ret_is_new)
{
	return sqlite_client_code(db->handle, claims_claim(&db->claims, item, ret_is_new));
}

int sqlite_db_unclaim(struct sqlite_db *db, uint64_t item)
{
	return sqlite_client_code(db->handle, claims_unclaim(&db->claims, item));
}

int sqlite_db_note_run(struct sqlite_db *db)
{
	return sqlite_client_code(db->handle, claims_note(&db->claims));
}

int sqlite_db_clear(struct sqlite_db *db, int64_t keep, bool *ret_more)
{
	return sqlite_client_code(db->handle, claims_clear(&db->claims, keep, ret_more));
}
