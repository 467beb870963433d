/* SPDX-License-Identifier: MIT */
/*
 * A connection to an SQLite database, as far as its sink needs one: transactions, a table and its ledger.  row.h writes
 * into the table.
 *
 * All calls block, and belong to one thread.  Codes: WEIR_EDATA, the row is to blame; WEIR_EBUSY, WEIR_ENOSPC, later
 * perhaps; WEIR_ENOMEM; else WEIR_EIO.  sqlite_db_why() has SQLite's words for the last one.
 */
#ifndef SINK_SQLITE_DB_H
#define SINK_SQLITE_DB_H

#include "data/buf.h"
#include "sql/table.h"
#include "sqlite/sink/ledger.h"

struct sqlite_db;

extern const struct sql_ops sqlite_columns_ops; /* of a table whose db is a struct sqlite_db */

struct sqlite_db_options {
	const char *path;        /* NULL: in memory, for sqlite_db_start() alone */
	struct sql_table *table; /* this and what follows: borrowed for the life of the connection */
	const char *run;         /* whose ledger to keep; NULL: none */
	bool claims;             /* it is one of claims: several processes write (claims.h) */
	bool empties; /* the start deletes all rows of the table; if it claims, only where nobody has noted the run */
};

/* Opens a database that is there and changes nothing in it; waits 5 s while others have it locked.  WEIR_EINVAL when a
 * table that is there is another one.  *ret_db is NULL when there is no database. */
int sqlite_db_open(const struct sqlite_db_options *opts, struct sqlite_db **ret_db, struct weir_error *err);

/* Makes what is missing, *db itself if NULL, and prepares it for rows. */
int sqlite_db_start(const struct sqlite_db_options *opts, struct sqlite_db **db, struct weir_error *err);
void sqlite_db_close(struct sqlite_db *db); /* NULL is fine */

/* Before start: whether the sink's table is there and has a row. */
bool sqlite_db_has_rows(struct sqlite_db *db);

enum sqlite_db_verb {
	SQLITE_DB_BEGIN, /* and locks against other writers; waits 100 ms for that.  Finds or notes the run that claims
			  */
	SQLITE_DB_COMMIT,
	SQLITE_DB_ROLLBACK,
	SQLITE_DB_MARK, /* a place in the transaction, to undo to or to keep */
	SQLITE_DB_KEEP,
	SQLITE_DB_UNDO,
	SQLITE_DB_VERBS,
};

int sqlite_db_do(struct sqlite_db *db, enum sqlite_db_verb verb);
bool sqlite_db_in_transaction(const struct sqlite_db *db); /* a row may have ended it */

/* As ledger_note() and ledger_read(). */
int sqlite_db_note(struct sqlite_db *db, const struct ledger_batch *batch, const uint64_t *ids, size_t n);
int sqlite_db_noted(struct sqlite_db *db, struct ledger_entry *ret_entry);

/* As claims_look() and those of claims.h that follow it. */
int sqlite_db_look_at_claims(struct sqlite_db *db, bool *ret_is_noted, bool *ret_has_items);
int sqlite_db_claim(struct sqlite_db *db, uint64_t item, bool *ret_is_new);
int sqlite_db_unclaim(struct sqlite_db *db, uint64_t item);
int sqlite_db_note_run(struct sqlite_db *db);
int sqlite_db_clear(struct sqlite_db *db, int64_t keep, bool *ret_more);

const char *sqlite_db_why(const struct sqlite_db *db);

#endif
