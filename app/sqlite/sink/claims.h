/* SPDX-License-Identifier: MIT */
/*
 * The ledger where several processes write (sql/ledger.h), without a key: an item of a run is claimed once.
 *
 *     weir_ledger_runs (number, run, table, seen)   a run has a number for each of its tables, so that items are short
 *     weir_ledger_items (run, item)                 run is that number
 *
 * The tables are made, and the run is noted, in the first transaction: that in which the start empties the table, else
 * that of the first rows, so a run can begin while another program has the database locked.  The number is looked up in
 * each transaction: one that is gone may be given again.
 *
 * Answers are SQLite's result codes; 0 is success.
 */
#ifndef SINK_SQLITE_CLAIMS_H
#define SINK_SQLITE_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

struct claims {
	struct sqlite3 *handle;
	const char *run, *table;
	struct sqlite3_stmt *find, *claim, *unclaim;
	int64_t number;        /* of the run, in the transaction under way */
	bool is_ready, is_new; /* the tables can be written; and were made in the transaction under way */
};

/* Whether the tables that are there are such. */
bool claims_are_ours(const struct claims *claims);

/* Whether the run is noted, and has claimed something; also where there is no table yet. */
int claims_look(const struct claims *claims, bool *ret_is_noted, bool *ret_has_items);

/* What a transaction that claims begins with.  *ret_is_new: nobody had noted the run before. */
int claims_begin(struct claims *claims, bool *ret_is_new);
void claims_end_transaction(struct claims *claims, bool committed);

/* *ret_is_new: nobody had claimed the item before. */
int claims_claim(struct claims *claims, uint64_t item, bool *ret_is_new);
int claims_unclaim(struct claims *claims, uint64_t item);

/* Each in a transaction of its own, as sql_ledger_ops; keep is in seconds. */
int claims_note(const struct claims *claims);
int claims_clear(const struct claims *claims, int64_t keep, bool *ret_more);

void claims_close(struct claims *claims);

#endif
