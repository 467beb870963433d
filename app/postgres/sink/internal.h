/* SPDX-License-Identifier: MIT */
/*
 * What the files of the sink share.
 *
 *     sink.c       the port: keys, opening, starting, closing
 *     batch.c      a batch becomes rows, whatever comes in between
 *     statement.c  the SQL that writes one
 *     columns.c    the table: what it has, and what it lacks
 *     ledger.c     weir_ledger: what was written is never written again
 *     fail.c       what to do about an error of the server
 *     row.c        whether an output can be a row at all
 */
#ifndef SINK_POSTGRES_INTERNAL_H
#define SINK_POSTGRES_INTERNAL_H

#include "port/sink.h"
#include "postgres/client/client.h"
#include "sql/ledger.h"
#include "sql/table.h"

#define ROW_BYTES_MAX ((size_t)64 << 20)

struct postgres_config {
	char *url, *schema;
	struct sql_config rows;
	bool prepared;
	int on_start; /* enum sink_on_start */
};

/* The statement that writes a batch: in a place of its own as the columns change. */
struct postgres_writer {
	struct buf sql;
	struct pg_statement statement;
	struct buf parameters[2];
};

/* Of rows without a key (sql/ledger.h): SQL_LEDGER has the items. */
struct postgres_ledger {
	char *table, *runs; /* their names in SQL */
	bool exists;        /* both tables do */
	bool known;         /* the run was there before */
	struct sql_ledger upkeep;
	struct pg_statement clear, note;
	struct pg_statement begin; /* notes it, and has a row if nobody had */
};

struct postgres_sink {
	const struct postgres_config *config;
	struct pg *pg;
	char *schema; /* that of the table */
	struct sql_table table;
	int64_t oid; /* of the table; 0: there is none */
	int64_t was; /* that it had in an earlier process; 0: not known */
	struct postgres_writer writer;
	struct postgres_ledger ledger;
	struct weir_sem *turn; /* one permit: of the batch that is written; another may be sent ahead (batch.c) */
	bool plain;            /* that batch is one statement, which is on its way */
	uint64_t troubles;     /* batches that were not written by one statement at the first attempt */
	char run[33];          /* 32 hexadecimal digits: of the run, or of this process if it cannot be resumed */
	bool resumable;
	bool replaces; /* rows that are there, when it starts */
	bool ready;    /* ledger and table are there; not so as long as the disk is full */
	uint64_t random;
	struct pg_error *err;                      /* where operations on the table put theirs */
	void (*note)(void *arg, const char *text); /* of sink_env */
	void *arg;
};

static inline bool postgres_sink_has_ledger(const struct postgres_sink *sink)
{
	return sql_ledger_is_needed(&sink->config->rows);
}

/* ---- fail.c */

/* What went wrong as a sentence about the table, with what to do; returns code. */
int postgres_sink_fail(const struct postgres_sink *sink, const struct pg_error *why, int code, struct weir_error *err);

/* ---- columns.c */

extern const struct sql_ops postgres_columns_ops;

/* Which schema: the config's, that in which the table is, else the one where it would be made; sets sink->schema.
 * WEIR_EINVAL: there is no such schema, or it may not be used. */
int postgres_columns_find_schema(struct postgres_sink *sink, struct weir_error *err);

/* ---- statement.c */

/* Makes the statement for the columns that the table has now.  WEIR_ENOMEM. */
int postgres_writer_prepare(struct postgres_sink *sink);

/* ---- ledger.c */

/* The parameters of its statements: the run and the table.  They may be followed by others. */
void postgres_ledger_name(const struct postgres_sink *sink, struct pg_value values[2]);

/* What is known of the run, and whether the ledger can be written; changes nothing. */
int postgres_ledger_open(struct postgres_sink *sink, struct weir_error *err);

/* Looks again: another process may have noted the run meanwhile. */
int postgres_ledger_look(struct postgres_sink *sink, struct pg_error *why);

int postgres_ledger_make(struct postgres_sink *sink, struct weir_error *err);

/* That the run is there: what it claims is kept. */
int postgres_ledger_note(struct postgres_sink *sink, struct weir_error *err);

/* As sql_ledger_tend(). */
void postgres_ledger_tend(struct postgres_sink *sink, weir_nsec deadline);
void postgres_ledger_close(struct postgres_sink *sink);

/* ---- row.c */

/* Whether the output may be a row, as far as can be told here: WEIR_EDATA with why, WEIR_ENOMEM.  *ret_json is what it
 * says, until value_forget(). */
int postgres_row_check(const struct sql_config *config, const struct value *output, const struct value *source,
		       const struct json **ret_json, char why[200]);

/* As sink_ops.row. */
int postgres_row_show(const struct sql_config *config, const struct value *output, struct buf *out, char why[200]);

/* What the server says of a row: which field it means is found by its value, where the server has not said it. */
void postgres_row_blame(const struct pg_error *err, const struct value_list *outputs, char why[200]);

/* ---- batch.c */

/* As sink_ops.write. */
int postgres_batch_write(struct postgres_sink *sink, struct sink_item *items, size_t n, struct weir_error *err,
			 weir_nsec deadline);

/* Writes no row and rolls back: whether names, privileges and the key will do. */
int postgres_batch_rehearse(struct postgres_sink *sink, struct weir_error *err);

struct postgres_question {
	struct pg_statement *statement;
	const struct pg_value *values;
	bool keep;        /* else it is rolled back */
	const char *next; /* behind it, if its answer has a row; NULL: nothing */
};

/* Runs a statement in a separate transaction that waits at most 5 s for locks. */
int postgres_batch_ask(struct postgres_sink *sink, const struct postgres_question *question,
		       struct pg_result **ret_result, struct pg_error *err);

#endif
