/* SPDX-License-Identifier: MIT */
/*
 * The table that a sink fills: which columns it has, and which it is to get.
 *
 * Columns come from the config where it names them, else from the table that is there, else from the first outputs:
 *
 *     columns: [id, total]                 as named; the database decides about types
 *     columns: { id: bigint, … }           as named; a missing table is made with these types
 *     columns: auto, the table is there    those that the database does not fill by itself (a default, generated)
 *     columns: auto, it is not             those of the outputs of the first batch, and of the next ones until the
 *                                          table has SQL_FIRST_ROWS rows
 *
 * A table is made, and altered, in the transaction that writes the rows which need it.  So a run that is killed finds
 * either both or neither.  What was made from outputs carries a mark in the database: therefore also another process
 * knows that it may still grow, and nothing need be kept elsewhere.
 *
 * The database stands behind a few operations (struct sql_ops).  A sink calls
 *
 *     sql_table_open()    what there is, and whether it will do; changes nothing
 *     sql_table_start()   makes and alters what the config alone decides
 *     sql_table_look()    for each output, before it is written
 *     sql_table_grow()    in the transaction, before it is written: 1 when the columns are others now
 *     sql_table_end()     after COMMIT or ROLLBACK
 *
 * All on one thread or fiber at a time.
 */
#ifndef SQL_TABLE_H
#define SQL_TABLE_H

#include "data/buf.h"
#include "data/json.h"
#include "sql/config.h"
#include "sql/name.h"

#define SQL_FIRST_ROWS ((size_t)1000)
#define SQL_MARK       "created by weir from the first rows"

/* What the values of a column are, from narrow to wide. */
enum sql_kind {
	SQL_NOTHING, /* nulls */
	SQL_BOOL,
	SQL_INT,    /* of 64 bits */
	SQL_REAL,   /* a double keeps its digits */
	SQL_DIGITS, /* it does not */
	SQL_TEXT,
	SQL_JSON, /* arrays and objects */
	SQL_KINDS,
};

struct sql_column {
	char *name, *type;  /* as the database has them; type may be "" */
	bool given;         /* the database fills it where nobody does: a default, an identity */
	bool generated;     /* nobody else may fill it */
	bool whole;         /* holds the output as a whole, not a field */
	enum sql_kind kind; /* sql_table_add()'s, by its type; SQL_KINDS: none of ours */
};

/* A field that has no column, or one of another kind; or that was left out. */
struct sql_field {
	char *name;
	enum sql_kind kind;
	bool told; /* that it is left out */
};

struct sql_table;

/* A database.  Codes of the functions are negative, with err filled.  They may block, or suspend. */
struct sql_ops {
	/* Whether two names are one to the database: strcmp() or strcasecmp(). */
	int (*compare)(const char *a, const char *b);

	/* What a column of each kind is declared as; "": nothing. */
	const char *types[SQL_KINDS];

	/* Sets exists, marked and rows (counted to SQL_FIRST_ROWS) of the table, and adds its columns in order with
	 * sql_table_add(). */
	int (*describe)(void *db, struct sql_table *table, struct weir_error *err);

	/* WEIR_EAGAIN: another process was faster, and the batch is to be written again. */
	int (*execute)(void *db, const char *sql, struct weir_error *err);

	/* A column's type can be changed (ALTER COLUMN ... TYPE), and tables have comments (COMMENT ON TABLE): the mark
	 * is one.  If not, the mark stands in the text of CREATE TABLE, and a column takes values of every type. */
	bool alters_types, has_comments;
};

struct sql_table {
	const struct sql_config *config; /* this and the next two: borrowed */
	const struct sql_ops *ops;
	void *db;   /* the sink sets it */
	char *name; /* in SQL: quoted, behind its schema */

	bool exists;
	bool marked; /* it was made from outputs */
	size_t rows; /* that it has, if marked and less than SQL_FIRST_ROWS */

	/* Those to be filled, n of them, then the others.  Of a table that does not exist: those of the config. */
	struct sql_column *columns;
	size_t n, all, room;

	struct sql_field *fields;
	size_t field_count, field_room;
	bool pending;                       /* some of them may become columns */
	bool changed;                       /* in the transaction under way */
	bool stale;                         /* the columns must be read again: a change was rolled back */
	struct buf left;                    /* fields that are left out and nobody was told of yet, */
	struct buf given;                   /* those because the database fills their columns, */
	struct buf created, added, widened; /* and columns, in the transaction under way */
	struct buf notes;                   /* lines for people; who shows them clears it */
};

/* ---- for sinks */

/* schema may be NULL.  WEIR_ENOMEM. */
int sql_table_init(struct sql_table *table, const struct sql_config *config, const char *schema,
		   const struct sql_ops *ops);
void sql_table_fini(struct sql_table *table);

/* WEIR_EINVAL with the statement that mends it: a column is missing, or for `update` the table. */
int sql_table_open(struct sql_table *table, struct weir_error *err);
int sql_table_start(struct sql_table *table, struct weir_error *err);
int sql_table_refuse_missing(const struct sql_table *table, struct weir_error *err); /* for `update` */

/* What there is, and what sql_table_start() would make of it: "table orders at PLACE, which a run creates". */
void sql_table_probe(const struct sql_table *table, const char *place, struct buf *out);

/* Whether the columns may depend on outputs, so that these must be looked at. */
bool sql_table_looks(const struct sql_table *table);

/* Takes note of the fields of an output, an object; others have none.  WEIR_ENOMEM. */
int sql_table_look(struct sql_table *table, const struct json *output);

/* 1 when the table is another one now, or has become one; 0; negative: the transaction cannot be. */
int sql_table_grow(struct sql_table *table, struct weir_error *err);

/* rows: that were added; 0 unless committed. */
void sql_table_end(struct sql_table *table, bool committed, size_t rows);

/* The place of a column, all if there is none; before n it is one to be filled.  It is looked for at *hint first, and
 * *hint is set for the next one. */
size_t sql_table_find(const struct sql_table *table, const char *name, size_t *hint);

bool sql_table_is_key(const struct sql_table *table, const char *column);

/* ---- for operations */

/* Appends a column, copied.  WEIR_ENOMEM. */
int sql_table_add(struct sql_table *table, const struct sql_column *column);
void sql_table_forget(struct sql_table *table); /* all columns */

/* NULL: there is none of that name. */
const struct sql_column *sql_table_column(const struct sql_table *table, const char *name);
struct sql_field *sql_table_field(const struct sql_table *table, const char *name);

#endif
