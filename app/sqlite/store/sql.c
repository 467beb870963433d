/* SPDX-License-Identifier: MIT */
/*
 * Statements of SQLite, and what its failures mean:
 *
 *     the disk is full           WEIR_ENOSPC: rolled back, may be tried again
 *     no memory                  WEIR_ENOMEM: likewise
 *     locked by somebody else    WEIR_EBUSY
 *     damaged, or no database    WEIR_EDATA, for good
 *     all else                   WEIR_EIO, for good: above all an fsync that failed, whatever its errno says; the
 * kernel has forgotten what it did not write, and a second fsync would not notice
 */
#include "sqlite/store/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[SQL_STATEMENTS] = {
#define STORE_X(name, text) text,
	STORE_STATEMENTS(STORE_X)
#undef STORE_X
};

void store_broken(const char *file, int line, const char *text)
{
	fprintf(stderr, "%s:%d: store: %s\n", file, line, text);
	abort();
}

/* ---- failures */

static int code_of_io(sqlite3 *db, int rc)
{
	int system = sqlite3_system_errno(db);
	switch (rc) {
	case SQLITE_IOERR_NOMEM:
		return WEIR_ENOMEM;
	case SQLITE_IOERR_WRITE:
	case SQLITE_IOERR_TRUNCATE:
		return system == ENOSPC || system == EDQUOT ? WEIR_ENOSPC : WEIR_EIO;
	case SQLITE_IOERR_CORRUPTFS:
		return WEIR_EDATA;
	default:
		return WEIR_EIO;
	}
}

static int code_of(sqlite3 *db, int rc)
{
	int system = sqlite3_system_errno(db);
	switch (rc & 0xFF) {
	case SQLITE_FULL:
		return WEIR_ENOSPC;
	case SQLITE_NOMEM:
		return WEIR_ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return WEIR_EBUSY;
	case SQLITE_IOERR:
		return code_of_io(db, rc);
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return system ? -system : rc == SQLITE_CANTOPEN ? WEIR_EIO : -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: /* a table or column is missing */
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_FORMAT:
		return WEIR_EDATA;
	default:
		return WEIR_EIO;
	}
}

static void spoil(struct store *store, const struct weir_error *why)
{
	if ((why->code == WEIR_EIO || why->code == WEIR_EDATA) && !store->failed.code)
		store->failed = *why;
}

int sql_fail(struct store *store, int rc, struct weir_error *err)
{
	struct weir_error why = {0};
	int code = store->db ? code_of(store->db, rc) : WEIR_ENOMEM;
	int system = store->db ? sqlite3_system_errno(store->db) : 0;
	if (code == WEIR_EDATA)
		return sql_damaged(store, err, "%s", store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc));
	if (code == WEIR_EBUSY)
		weir_error_set(&why, code, "%s is in use by another program: %s", store->path, sqlite3_errstr(rc));
	else if (code == WEIR_EIO && system)
		weir_error_set(&why, code, "%s: %s: %s", store->path, sqlite3_errstr(rc), strerror(system));
	else
		weir_error_set(&why, code, "%s: %s", store->path,
			       code == WEIR_EIO ? sqlite3_errstr(rc) : weir_strerror(code));
	spoil(store, &why);
	return weir_error_set(err, code, "%s", why.text);
}

int sql_damaged(struct store *store, struct weir_error *err, const char *format, ...)
{
	struct weir_error why = {0};
	char what[256];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	weir_error_set(&why, WEIR_EDATA,
		       "%s is damaged: %s; `weir state verify` lists the damage; restore a copy, or move it away and "
		       "start over",
		       store->path, what);
	spoil(store, &why);
	return weir_error_set(err, WEIR_EDATA, "%s", why.text);
}

int sql_check(const struct store *store, struct weir_error *err)
{
	return store->failed.code ? weir_error_set(err, store->failed.code, "%s", store->failed.text) : 0;
}

/* ---- statements */

int sql_prepare(struct store *store, struct weir_error *err)
{
	for (int i = 0; i < SQL_STATEMENTS; i++) {
		int rc = sqlite3_prepare_v3(store->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i],
					    NULL);
		if (rc)
			return sql_fail(store, rc, err);
	}
	return 0;
}

void sql_finalize(struct store *store)
{
	for (int i = 0; i < SQL_STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
}

int sql_step(struct store *store, enum sql which)
{
	return sqlite3_step(store->statements[which]);
}

void sql_reset(struct store *store, enum sql which)
{
	sqlite3_reset(store->statements[which]);
	sqlite3_clear_bindings(store->statements[which]);
}

int sql_run(struct store *store, enum sql which)
{
	int rc = sql_step(store, which);
	sql_reset(store, which);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int sql_run_u64(struct store *store, enum sql which, uint64_t value)
{
	sqlite3_bind_int64(store->statements[which], 1, (int64_t)value);
	return sql_run(store, which);
}

int sql_exec(struct store *store, const char *text)
{
	return sqlite3_exec(store->db, text, NULL, NULL, NULL);
}

int sql_text(struct store *store, const char *query, char text[SQL_TEXT_BYTES])
{
	sqlite3_stmt *row = NULL;
	int rc = sqlite3_prepare_v2(store->db, query, -1, &row, NULL);
	if (!rc && (rc = sqlite3_step(row)) == SQLITE_ROW) {
		const char *found = (const char *)sqlite3_column_text(row, 0);
		snprintf(text, SQL_TEXT_BYTES, "%s", found ? found : "out of memory");
		rc = SQLITE_OK;
	}
	sqlite3_finalize(row);
	return rc;
}

int sql_number(struct store *store, const char *query, int64_t *ret_number)
{
	char text[SQL_TEXT_BYTES];
	int rc = sql_text(store, query, text);
	*ret_number = rc ? 0 : strtoll(text, NULL, 10);
	return rc;
}

int sql_pages(struct store *store, uint64_t *ret_free_bytes, uint64_t *ret_bytes)
{
	const enum sql queries[] = {SQL_PAGES, SQL_FREE_PAGES};
	uint64_t pages[2] = {0};
	for (int i = 0; i < 2; i++) {
		int rc = sql_step(store, queries[i]);
		pages[i] = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(store->statements[queries[i]], 0) : 0;
		sql_reset(store, queries[i]);
		if (rc != SQLITE_ROW)
			return rc;
	}
	if (ret_free_bytes)
		*ret_free_bytes = pages[1] * store->page_bytes;
	*ret_bytes = (pages[0] - pages[1]) * store->page_bytes;
	return SQLITE_OK;
}

int sql_bind_bytes(sqlite3_stmt *statement, int at, const void *bytes, size_t n)
{
	return sqlite3_bind_blob64(statement, at, n ? bytes : "", n, SQLITE_STATIC);
}
