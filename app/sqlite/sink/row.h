/* SPDX-License-Identifier: MIT */
/* An output as a row of the sink's table. */
#ifndef SINK_SQLITE_ROW_H
#define SINK_SQLITE_ROW_H

#include "data/value.h"
#include "sqlite/sink/db.h"

/* Takes note of the outputs' fields, and gives the table the columns that it may get for them; in a transaction.  The
 * outputs may be those of many items.  Negative: the transaction cannot be. */
int sqlite_row_look(struct sqlite_db *db, const struct value *output);
int sqlite_row_fit(struct sqlite_db *db, struct weir_error *err);

/* source: the item that the output was made of.  0; WEIR_EDATA with why: it cannot be a row of that table; or another
 * code, and the transaction cannot be. */
int sqlite_row_write(struct sqlite_db *db, const struct value *output, const struct value *source, char why[200]);

/* As sink_ops.row: the row as a new table has it, in a database in memory. */
int sqlite_row_show(const struct sql_config *config, const struct value *output, struct buf *out, char why[200]);

#endif
