/* SPDX-License-Identifier: MIT */
/*
 * The ledger of rows without a key, where several processes may write them: two tables beside that of the sink.
 *
 *     items (run, table, item)   an item of a run has been written there; in the transaction of its rows
 *     runs (run, table, seen)    when a run was last alive, by the clock of the database
 *
 * So an item is written once whoever tries, whenever: this process again after an answer was lost, the next one after a
 * crash, another one that was taken for dead.  What a run has claimed stays until `ledger_keep` after its end, and is
 * then removed in pages, one after each batch of whoever writes.
 *
 * Each table has claims of its own: an item may have a row in that of the sink and, if its ack was lost and it fails
 * elsewhere, a dead letter in another one, as where the two are in two databases.
 *
 * A run is noted before its first rows are there, or with them.  So rows are its own if it is noted by the time they
 * are seen, and must be looked at in this order.  Who notes it removes the rows that `on_start: replace` means, in one
 * transaction: a second process finds the note, and removes nothing.
 *
 * How the tables are made, and an item is claimed, is each database's own matter.
 */
#ifndef SQL_LEDGER_H
#define SQL_LEDGER_H

#include <stdbool.h>
#include <weir/base.h>

#define SQL_LEDGER       "weir_ledger"
#define SQL_LEDGER_ITEMS SQL_LEDGER "_items"
#define SQL_LEDGER_RUNS  SQL_LEDGER "_runs"
#define SQL_LEDGER_PAGE  "5000"

struct sql_config;

/* They may suspend. */
struct sql_ledger_ops {
	int (*note)(void *db, weir_nsec deadline); /* that the run is alive */

	/* Removes a page of another run that ended long ago.  *ret_more: there was one. */
	int (*clear)(void *db, bool *ret_more, weir_nsec deadline);
};

struct sql_ledger {
	bool clears;       /* there may be more of old runs to be removed */
	weir_nsec seen_at; /* when the run was last noted as alive; 0: not by this process */
};

/* Whether rows need one: those with a key replace themselves. */
bool sql_ledger_is_needed(const struct sql_config *config);

/* Whether a table of a ledger has this name, of whatever database. */
bool sql_ledger_has_name(const char *table);

void sql_ledger_noted(struct sql_ledger *ledger);

/* After a batch: removes a page of an old run, and notes now and then that this one is alive.  What fails is tried
 * again after another batch. */
void sql_ledger_tend(struct sql_ledger *ledger, const struct sql_ledger_ops *ops, void *db, weir_nsec deadline);

#endif
