/* SPDX-License-Identifier: MIT */
/* Names come from the config alone.  SQL does not tell the case of a column apart, so neither may the config. */
#include "sql/table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES_MAX ((size_t)63)

static bool is_name(const char *name)
{
	static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	size_t n = strlen(name);
	return n > 0 && n <= NAME_BYTES_MAX && strspn(name, allowed) == n && strspn(name, "0123456789") == 0;
}

static int refuse_name(struct weir_error *err, const char *what, const char *name)
{
	return weir_error_set(err, WEIR_EINVAL,
			      "'%.80s' cannot be the name of a %s; expected a letter or '_', then letters, digits and "
			      "'_', 63 at most",
			      name, what);
}

static int check_columns(const struct key_strings *columns, struct weir_error *err)
{
	if (columns->n > SINK_COLUMNS_MAX)
		return weir_error_set(err, WEIR_EINVAL, "%zu columns; expected %zu at most", columns->n,
				      SINK_COLUMNS_MAX);
	for (size_t i = 0; i < columns->n; i++) {
		if (!is_name(columns->values[i]))
			return refuse_name(err, "column", columns->values[i]);
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(columns->values[i], columns->values[k]) == 0)
				return weir_error_set(err, WEIR_EINVAL, "duplicate column '%s'; SQL ignores case",
						      columns->values[i]);
	}
	return 0;
}

int sink_table_check(const struct sink_table_config *config, const char **ret_key, struct weir_error *err)
{
	*ret_key = "table";
	if (!is_name(config->table))
		return refuse_name(err, "table", config->table);
	*ret_key = "key";
	if (config->key && !is_name(config->key))
		return refuse_name(err, "column", config->key);
	if (config->key && !config->columns.n && strcasecmp(config->key, SINK_ITEM_COLUMN) == 0)
		return weir_error_set(err, WEIR_EINVAL,
				      "without `columns` the column '" SINK_ITEM_COLUMN
				      "' contains the whole output; name the columns, or another key");
	*ret_key = "columns";
	return check_columns(&config->columns, err);
}

static size_t find_column(const struct sink_table *table, const char *name)
{
	size_t i = 0;
	while (i < table->n && strcasecmp(table->columns[i], name) != 0)
		i++;
	return i;
}

int sink_table_init(struct sink_table *table, const struct sink_table_config *config)
{
	struct sink_table new = {.columns = calloc(config->columns.n + 2, sizeof *new.columns)};
	if (!new.columns)
		return WEIR_ENOMEM;
	for (size_t i = 0; i < config->columns.n; i++)
		new.columns[new.n++] = config->columns.values[i];
	if (config->key && find_column(&new, config->key) == new.n) {
		memmove(new.columns + 1, new.columns, new.n * sizeof *new.columns);
		new.columns[0] = config->key;
		new.n++;
	}
	if (!config->columns.n)
		new.columns[new.n++] = SINK_ITEM_COLUMN;
	new.key = config->key ? find_column(&new, config->key) : new.n;
	new.whole = config->columns.n ? new.n : new.n - 1;
	*table = new;
	return 0;
}

void sink_table_fini(struct sink_table *table)
{
	free(table->columns);
	*table = (struct sink_table){0};
}
