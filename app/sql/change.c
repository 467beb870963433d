/* SPDX-License-Identifier: MIT */
#include "sql/change.h"

#include <string.h>

#define LIST_BYTES ((size_t)180)

bool sql_change_can_name(const char *name)
{
	size_t n = strlen(name);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			return false;
	return n > 0 && n <= SQL_NAME_BYTES_MAX;
}

void sql_change_list(struct buf *out, const char *name, const char *type)
{
	if (out->len > LIST_BYTES) {
		if (out->data[out->len - 1] != '.')
			buf_add_str(out, ", ...");
		return;
	}
	if (out->len)
		buf_add_str(out, ", ");
	buf_add_visible(out, name, strnlen(name, SQL_NAME_BYTES_MAX), false);
	buf_addf(out, "%s%.40s", *type ? " " : "", type);
}

static void put_column(const struct sql_table *table, struct buf *sql, const char *name, const char *type)
{
	sql_put_name(sql, name);
	buf_addf(sql, "%s%s", *type ? " " : "", type);
	if (sql_table_is_key(table, name))
		buf_add_str(sql, table->config->key.n == 1 ? " PRIMARY KEY NOT NULL" : " NOT NULL");
}

/* Executes it and forgets it. */
static int execute(struct sql_table *table, struct buf *sql, struct weir_error *err)
{
	int code = sql->failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory")
			       : table->ops->execute(table->db, sql->data, err);
	buf_clear(sql);
	return code;
}

/* ---- a new table */

/* By the config, else by what has come. */
static const char *type_of(const struct sql_table *table, const struct sql_column *column)
{
	const struct sql_field *field = sql_table_field(table, column->name);
	return *column->type ? column->type : table->ops->types[field ? field->kind : SQL_NOTHING];
}

bool sql_change_has_key(const struct sql_table *table)
{
	const struct key_strings *key = &table->config->key;
	for (size_t i = 0; i < key->n; i++) {
		const struct sql_field *field = sql_table_field(table, key->values[i]);
		if (!field || field->kind == SQL_NOTHING)
			return false;
	}
	return true;
}

static void put_key(const struct sql_table *table, struct buf *sql)
{
	const struct key_strings *key = &table->config->key;
	for (size_t i = 0; i < key->n && key->n > 1; i++) {
		buf_add_str(sql, i ? ", " : ", PRIMARY KEY (");
		sql_put_name(sql, key->values[i]);
	}
	buf_add_str(sql, key->n > 1 ? "))" : ")");
}

static int put_mark(struct sql_table *table, struct weir_error *err)
{
	struct buf sql = {0};
	buf_addf(&sql, "COMMENT ON TABLE %s IS '" SQL_MARK "'", table->name);
	int code = execute(table, &sql, err);
	buf_fini(&sql);
	return code;
}

int sql_change_create(struct sql_table *table, struct weir_error *err)
{
	bool marks = !table->config->columns.names.n;
	struct buf sql = {0};
	const char *before = "";
	buf_addf(&sql, "CREATE TABLE IF NOT EXISTS %s (%s", table->name, marks ? "/* " SQL_MARK " */ " : "");
	for (size_t i = 0; i < table->n; i++, before = ", ") {
		const char *type = type_of(table, &table->columns[i]);
		buf_add_str(&sql, before);
		put_column(table, &sql, table->columns[i].name, type);
		if (!*table->columns[i].type && *type)
			sql_change_list(&table->created, table->columns[i].name, type);
	}
	for (size_t i = 0; i < table->field_count && marks; i++) {
		const struct sql_field *field = &table->fields[i];
		if (field->told)
			continue;
		buf_add_str(&sql, before);
		before = ", ";
		put_column(table, &sql, field->name, table->ops->types[field->kind]);
		sql_change_list(&table->created, field->name, table->ops->types[field->kind]);
	}
	put_key(table, &sql);
	int code = execute(table, &sql, err);
	if (!code && marks && table->ops->has_comments)
		code = put_mark(table, err);
	buf_fini(&sql);
	return code;
}

/* ---- one that is there */

int sql_change_missing(const struct sql_table *table, const char *column, const char *type, struct weir_error *err)
{
	const char *name = table->config->table;
	const char *declared = type ? type : table->ops->types[SQL_TEXT];
	if (table->config->alter && !sql_table_is_key(table, column))
		return 0;
	if (!type && !*table->ops->types[SQL_NOTHING])
		declared = "";
	return weir_error_set(
		err, WEIR_EINVAL,
		"table %s has no column %s; add it (ALTER TABLE %s ADD COLUMN %s%s%s), or name another table "
		"or other columns",
		name, column, name, column, *declared ? " " : "", declared);
}

static int add_column(struct sql_table *table, const char *name, const char *type, struct weir_error *err)
{
	struct buf sql = {0};
	buf_addf(&sql, "ALTER TABLE %s ADD COLUMN ", table->name);
	sql_put_name(&sql, name);
	buf_addf(&sql, "%s%s", *type ? " " : "", type);
	sql_change_list(&table->added, name, type);
	int code = execute(table, &sql, err);
	buf_fini(&sql);
	return code;
}

int sql_change_add_named(struct sql_table *table, struct weir_error *err)
{
	const struct key_columns *columns = &table->config->columns;
	int code = 0;
	for (size_t i = 0; i < columns->names.n && !code; i++) {
		const char *type = columns->types ? columns->types[i] : table->ops->types[SQL_NOTHING];
		if (!sql_table_column(table, columns->names.values[i]))
			code = add_column(table, columns->names.values[i], type, err);
	}
	return code;
}

static int widen_column(struct sql_table *table, const struct sql_column *column, const char *type,
			struct weir_error *err)
{
	struct buf sql = {0};
	buf_addf(&sql, "ALTER TABLE %s ALTER COLUMN ", table->name);
	sql_put_name(&sql, column->name);
	buf_addf(&sql, " TYPE %s USING %s", type, strcmp(type, table->ops->types[SQL_JSON]) ? "" : "to_jsonb(");
	sql_put_name(&sql, column->name);
	if (strcmp(type, table->ops->types[SQL_JSON]) == 0)
		buf_add_char(&sql, ')');
	else
		buf_addf(&sql, "::%s", type);
	sql_change_list(&table->widened, column->name, type);
	int code = execute(table, &sql, err);
	buf_fini(&sql);
	return code;
}

int sql_change_add_fields(struct sql_table *table, struct weir_error *err)
{
	int code = 0;
	for (size_t i = 0; i < table->field_count && !code; i++) {
		const struct sql_field *field = &table->fields[i];
		const struct sql_column *column = sql_table_column(table, field->name);
		const char *type = table->ops->types[field->kind];
		if (!column && !field->told)
			code = add_column(table, field->name, type, err);
		else if (column && table->marked && table->ops->alters_types && column->kind < field->kind)
			code = widen_column(table, column, type, err);
	}
	return code;
}
