/* SPDX-License-Identifier: MIT */
/*
 * The ledger of a run that one process writes: a table beside that of a sink, a row for each run and table: which batch
 * was written last, by which process, and the ids of its items.  It is written in the batch's own transaction, so it
 * says what is there although nobody heard of it; and the state keeps the same number with the ack, so that both can be
 * compared when a run resumes:
 *
 *     the same batch           nothing is in doubt
 *     one more in the ledger   written, and the ack was lost: its ids are settled
 *     anything else            one of the two is an older copy, or has lost commits
 *
 * Answers are SQLite's result codes; 0 is success.
 */
#ifndef SINK_SQLITE_LEDGER_H
#define SINK_SQLITE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sql/ledger.h"

#define LEDGER_TABLE SQL_LEDGER

struct ledger {
	struct sqlite3 *handle;
	const char *run, *table; /* whose row */
	struct sqlite3_stmt *note;
	bool is_ready, is_new; /* it can be written; and was made in the transaction under way */
};

/* A batch: all zero is none. */
struct ledger_batch {
	uint64_t number;          /* from 1 */
	uint64_t process, before; /* random numbers of the process that wrote it, and the batch before it */
};

struct ledger_entry {
	bool known;                /* there is one */
	struct ledger_batch batch; /* all zero in a ledger of release 0.1 */
	uint64_t *ids;             /* malloc'ed, the caller's; NULL if there are none */
	size_t n;
};

/* Whether the table that is there is a ledger; true if there is none. */
bool ledger_is_ours(const struct ledger *ledger);

/* What the run noted last, also of a ledger that this process has not written to. */
int ledger_read(const struct ledger *ledger, struct ledger_entry *ret_entry);

/* In the transaction: this is the batch, and these are its ids.  Makes the table in the first one, so that a run can
 * begin while another program has the database locked. */
int ledger_note(struct ledger *ledger, const struct ledger_batch *batch, const uint64_t *ids, size_t n);

void ledger_end_transaction(struct ledger *ledger, bool committed);

void ledger_close(struct ledger *ledger);

#endif
