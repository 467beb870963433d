/* SPDX-License-Identifier: MIT */
/*
 * A connection to an SQLite database, as far as its sink needs one: a table, an INSERT into it, transactions.
 *
 * The ledger is a table beside it, a row for each run that adds rows without a key: the ids of the items that its last
 * transaction wrote.  It is written in that transaction, so it says which items are there although nobody heard of it.
 *
 * All calls block, and belong to one thread.  Codes: WEIR_EDATA, the row is to blame; WEIR_EBUSY, WEIR_ENOSPC, later
 * perhaps; WEIR_ENOMEM; else WEIR_EIO.  sqlite_db_why() has SQLite's words for the last one.
 */
#ifndef SINK_SQLITE_DB_H
#define SINK_SQLITE_DB_H

#include "port/json.h"
#include "sink/table.h"

#define SQLITE_DB_LEDGER "weir_ledger"

struct sqlite_db;

struct sqlite_db_options {
	const char *path;
	const struct sink_table_config *config; /* this and what follows: borrowed for the life of the connection */
	const struct sink_table *table;
	const char *run; /* whose ledger to keep; NULL: none */
};

/* Makes the database and the tables where there are none; waits 5 s while others have it locked.  WEIR_EINVAL when a
 * table that is there is another one. */
int sqlite_db_open(const struct sqlite_db_options *opts, struct sqlite_db **ret_db, struct weir_error *err);
void sqlite_db_close(struct sqlite_db *db); /* NULL is fine */

enum sqlite_db_verb {
	SQLITE_DB_BEGIN, /* and locks against other writers; waits 100 ms for that */
	SQLITE_DB_COMMIT,
	SQLITE_DB_ROLLBACK,
	SQLITE_DB_MARK, /* a place in the transaction, to undo to or to keep */
	SQLITE_DB_KEEP,
	SQLITE_DB_UNDO,
	SQLITE_DB_VERBS,
};

int sqlite_db_do(struct sqlite_db *db, enum sqlite_db_verb verb);
bool sqlite_db_in_transaction(const struct sqlite_db *db); /* a row may have ended it */

/* The value of a column for the next insert: json may be NULL, for none; text is borrowed until then, as json is. */
int sqlite_db_bind(struct sqlite_db *db, size_t column, const struct json *json);
int sqlite_db_bind_text(struct sqlite_db *db, size_t column, const char *text, size_t n);
int sqlite_db_insert(struct sqlite_db *db); /* a row of what was bound; NULL where nothing was */
void sqlite_db_unbind(struct sqlite_db *db);

/* In the transaction: these are the ids that it writes. */
int sqlite_db_note(struct sqlite_db *db, const uint64_t *ids, size_t n);

/* The ids that the run noted last; malloc'ed, NULL if there are none. */
int sqlite_db_noted(struct sqlite_db *db, uint64_t **ret_ids, size_t *ret_n);

const char *sqlite_db_why(const struct sqlite_db *db);

#endif
