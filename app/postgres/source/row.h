/* SPDX-License-Identifier: MIT */
/*
 * A row as a JSON object, the one that row_to_json() makes of it.
 *
 * That function takes the server longer than to read and send the row, so it is asked only for values whose text is
 * neither JSON nor a plain string: for those the server's to_json is asked, the others come as they are, and all are
 * put together here.  What a column holds is told by each result, not remembered.
 */
#ifndef POSTGRES_SOURCE_ROW_H
#define POSTGRES_SOURCE_ROW_H

#include "data/buf.h"
#include "postgres/client/client.h"

struct row_shape {
	int columns; /* of the row: the first ones of the result */
	int key;     /* the column of the result that has the key as text */
};

/* Appends a select list for rows that are called r, with the columns c1, c2, …: `like` is a result that has the row's
 * columns, from `first` on.  Returns how the results look.  key: a column that is there. */
struct row_shape row_put_list(const struct pg_result *like, int first, const char *key, struct buf *sql);

/* Appends the names that a row has in that list: "r(c1, c2)". */
void row_put_alias(const struct row_shape *shape, struct buf *sql);

/* Appends the row as JSON.  NULL, or why it is none, a literal. */
const char *row_add(const struct row_shape *shape, const struct pg_result *result, int row, struct buf *text);

#endif
