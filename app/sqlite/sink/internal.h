/* SPDX-License-Identifier: MIT */
/* What the files of the sink that know SQLite share. */
#ifndef SINK_SQLITE_INTERNAL_H
#define SINK_SQLITE_INTERNAL_H

#include "sqlite/sink/claims.h"
#include "sqlite/sink/db.h"

struct json;

/* What SQLite makes of a value that goes into a column of some type. */
enum sqlite_affinity {
	AFFINITY_NONE,    /* nothing */
	AFFINITY_TEXT,    /* text */
	AFFINITY_NUMERIC, /* a number, if it looks like one */
	AFFINITY_REAL,    /* likewise, always a double */
};

/* The statement that writes a row. */
struct sqlite_rows {
	struct sqlite3_stmt *write;
	size_t n;                       /* columns of the table */
	enum sqlite_affinity *affinity; /* of each column; these three are arrays of n */
	const struct json **fields;     /* of the row at hand */
	bool *present;                  /* of an UPDATE: what it sets */
};

struct sqlite_db {
	struct sqlite_db_options opts;
	struct sqlite3 *handle;
	struct sqlite3_stmt *verbs[SQLITE_DB_VERBS];
	struct sqlite_rows rows;
	struct ledger ledger;
	struct claims claims; /* this or that */
	bool is_new_run;      /* the transaction that claims has noted the run */
};

/* columns.c */
enum sqlite_affinity sqlite_affinity_of(const char *type);

/* statement.c: makes the statement for the columns that the table has now.  WEIR_EINVAL: its key is none. */
int sqlite_statement_make(struct sqlite_db *db, struct weir_error *err);
void sqlite_statement_close(struct sqlite_db *db);

/* Of an update: makes it for the fields at hand.  A result of SQLite. */
int sqlite_statement_update(struct sqlite_db *db);
bool sqlite_statement_sets(const struct sqlite_db *db, size_t column);

/* db.c: deletes all rows of the sink's table, unless another process has noted the run.  After a failure the
 * database is to be closed. */
int sqlite_db_empty(struct sqlite_db *db);

/* The code for a result of SQLite, with its words in err. */
int sqlite_db_refuse(const struct sqlite_db *db, struct weir_error *err, int rc);

/* The first column of the first row; the setting as SQLite has really taken it. */
int sqlite_db_setting(struct sqlite_db *db, const char *sql, char value[24], struct weir_error *err);
int sqlite_db_number(struct sqlite_db *db, const char *sql, int64_t *ret_number, struct weir_error *err);

#endif
