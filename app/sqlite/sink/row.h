/* SPDX-License-Identifier: MIT */
/* An output as a row of the sink's table. */
#ifndef SINK_SQLITE_ROW_H
#define SINK_SQLITE_ROW_H

#include "data/value.h"
#include "sqlite/sink/db.h"

/* 0; WEIR_EDATA with why: it cannot be a row of that; or another code, and the transaction cannot be. */
int sqlite_row_write(struct sqlite_db *db, const struct sink_table *table, const struct value *output, char why[200]);

/* As sink_ops.row: the row as a new table has it, in a database in memory. */
int sqlite_row_show(const struct sink_table_config *config, const struct value *output, struct buf *out, char why[200]);

#endif
