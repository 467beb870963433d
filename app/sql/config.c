/* SPDX-License-Identifier: MIT */
/* Names come from the config.  Not every database tells the case of a column apart, so neither may the config. */
#include "sql/config.h"

#include "sql/ledger.h"
#include "sql/name.h"

#include <string.h>
#include <strings.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
#define DIGITS  "0123456789"

static int check_names(const struct key_strings *names, struct weir_error *err)
{
	if (names->n > SQL_COLUMNS_MAX)
		return weir_error_set(err, WEIR_EINVAL, "%zu columns; expected %zu at most", names->n, SQL_COLUMNS_MAX);
	for (size_t i = 0; i < names->n; i++) {
		if (sql_name_check("column", names->values[i], err))
			return WEIR_EINVAL;
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(names->values[i], names->values[k]) == 0)
				return weir_error_set(err, WEIR_EINVAL, "duplicate column '%s'; SQL ignores case",
						      names->values[i]);
	}
	return 0;
}

/* Words, and a comma only in parentheses: whatever else it may say, it stays the type of this column. */
static bool is_type(const char *type)
{
	int depth = 0;
	if (strlen(type) > 100 || !strspn(type, LETTERS) || strspn(type, LETTERS DIGITS " (),[].") != strlen(type))
		return false;
	for (const char *c = type; *c && depth >= 0; c++) {
		if (*c == ',' && !depth)
			return false;
		depth += (*c == '(') - (*c == ')');
	}
	return depth == 0;
}

static int check_types(const struct sql_config *config, struct weir_error *err)
{
	const struct key_columns *columns = &config->columns;
	for (size_t i = 0; columns->types && i < columns->names.n; i++)
		if (!is_type(columns->types[i]))
			return weir_error_set(err, WEIR_EINVAL,
					      "'%.80s' cannot be the type of column %s; expected one such as bigint or "
					      "numeric(12, 2)",
					      columns->types[i], columns->names.values[i]);
	for (size_t k = 0, i = 0; columns->types && k < config->key.n; k++) {
		for (i = 0; i < columns->names.n && strcasecmp(columns->names.values[i], config->key.values[k]) != 0;)
			i++;
		if (i == columns->names.n)
			return weir_error_set(err, WEIR_EINVAL, "the key %s has no type; add it to `columns`",
					      config->key.values[k]);
	}
	return 0;
}

int sql_config_check(const struct sql_config *config, const char **ret_key, struct weir_error *err)
{
	*ret_key = "table";
	int code = sql_name_check("table", config->table, err);
	if (!code && sql_ledger_has_name(config->table))
		code = weir_error_set(err, WEIR_EINVAL, "'%s' is reserved for weir's own ledger; choose another",
				      config->table);
	if (code)
		return code;
	*ret_key = "key";
	code = check_names(&config->key, err);
	if (code)
		return code;
	*ret_key = "columns";
	code = check_names(&config->columns.names, err);
	if (!code)
		code = check_types(config, err);
	if (code)
		return code;
	*ret_key = "update";
	if (config->update && !config->key.n)
		return weir_error_set(err, WEIR_EINVAL,
				      "`update` finds rows by their key; name the key of the source in `key`");
	return 0;
}
