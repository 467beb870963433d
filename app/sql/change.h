/* SPDX-License-Identifier: MIT */
/* What table.c does to a table: the statements. */
#ifndef SQL_CHANGE_H
#define SQL_CHANGE_H

#include "sql/table.h"

/* Refuses a column that is missing, with the statement that adds it; 0 if that will be done at the start. */
int sql_change_missing(const struct sql_table *table, const char *column, const char *type, struct weir_error *err);

/* Makes the table: of its columns, and of the fields that have none. */
int sql_change_create(struct sql_table *table, struct weir_error *err);

/* Adds the columns that the config names and the table lacks. */
int sql_change_add_named(struct sql_table *table, struct weir_error *err);

/* Adds a column for each field that has none, and widens those whose field is of a wider kind now. */
int sql_change_add_fields(struct sql_table *table, struct weir_error *err);

/* Whether each column of the key was seen in an output. */
bool sql_change_has_key(const struct sql_table *table);

/* Whether a field can have a column of its name. */
bool sql_change_can_name(const char *name);

/* Appends to a list for people, which stays short: "a, b and 12 more" is "a, b, ..." here. */
void sql_change_list(struct buf *out, const char *name, const char *type);

#endif
