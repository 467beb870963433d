/* SPDX-License-Identifier: MIT */
/* The lists of a table: its columns, and the fields that have none. */
#include "data/array.h"
#include "sql/table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void sql_table_forget(struct sql_table *table)
{
	for (size_t i = 0; i < table->all; i++) {
		free(table->columns[i].name);
		free(table->columns[i].type);
	}
	table->n = table->all = 0;
}

/* By its type; of several kinds that have the same one, the widest. */
static enum sql_kind kind_of_type(const struct sql_table *table, const char *type)
{
	for (int kind = SQL_KINDS - 1; kind >= 0; kind--)
		if (strcasecmp(type, table->ops->types[kind]) == 0)
			return (enum sql_kind)kind;
	return SQL_KINDS;
}

int sql_table_add(struct sql_table *table, const struct sql_column *column)
{
	struct sql_column new = *column;
	if (array_reserve(&table->columns, &table->room, table->all + 1, sizeof new))
		return WEIR_ENOMEM;
	new.name = strdup(column->name);
	new.type = strdup(column->type ? column->type : "");
	if (!new.name || !new.type) {
		free(new.name);
		free(new.type);
		return WEIR_ENOMEM;
	}
	new.kind = kind_of_type(table, new.type);
	table->columns[table->all++] = new;
	return 0;
}

size_t sql_table_find(const struct sql_table *table, const char *name, size_t *hint)
{
	size_t at = *hint;
	if (at >= table->all || table->ops->compare(table->columns[at].name, name) != 0)
		for (at = 0; at < table->all && table->ops->compare(table->columns[at].name, name) != 0;)
			at++;
	*hint = at + 1;
	return at;
}

const struct sql_column *sql_table_column(const struct sql_table *table, const char *name)
{
	size_t hint = 0, at = sql_table_find(table, name, &hint);
	return at < table->all ? &table->columns[at] : NULL;
}

bool sql_table_is_key(const struct sql_table *table, const char *column)
{
	for (size_t i = 0; i < table->config->key.n; i++)
		if (table->ops->compare(table->config->key.values[i], column) == 0)
			return true;
	return false;
}

struct sql_field *sql_table_field(const struct sql_table *table, const char *name)
{
	for (size_t i = 0; i < table->field_count; i++)
		if (table->ops->compare(table->fields[i].name, name) == 0)
			return &table->fields[i];
	return NULL;
}
