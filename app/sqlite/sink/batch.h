/* SPDX-License-Identifier: MIT */
/* A batch becomes a transaction, on the thread of the sink (sink.c). */
#ifndef SINK_SQLITE_BATCH_H
#define SINK_SQLITE_BATCH_H

#include "port/sink.h"
#include "sqlite/sink/db.h"

struct sqlite_config {
	char *path;
	struct sql_config rows;
	int on_start; /* enum sink_on_start */
};

struct sqlite_sink {
	const struct sqlite_config *config;
	struct weir_pool *pool; /* one thread; all below is touched there alone once the sink is open */
	char *run;              /* whose ledger is kept, one of claims if opts.claims; NULL: no need */
	struct sqlite_db *db;   /* NULL: there is no database yet */
	struct sql_table table;
	void (*note)(void *arg, const char *text); /* of sink_env */
	void *arg;
	struct sqlite_db_options opts;
	struct ledger_batch last; /* that was written */
	struct ledger_entry past; /* the ledger's, of an earlier process of this run; its ids are for written() */
	uint64_t process;         /* a random number: of the batches of this process */
	struct sql_ledger upkeep; /* of claims; the fiber's */
	struct weir_error failed; /* for good: what every further write answers */
};

/* As sink_ops.write, but that it blocks. */
int sqlite_batch_write(struct sqlite_sink *sink, struct sink_item *items, size_t n, struct weir_error *err);

/* The code, with the words for it. */
int sqlite_sink_refuse(const struct sqlite_sink *sink, struct weir_error *err, int code);

#endif
