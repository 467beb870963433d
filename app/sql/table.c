/* SPDX-License-Identifier: MIT */
/*
 * See table.h.  What is known of the table is always read anew from the database after a change, so a type or a default
 * is what the database has made of it.
 */
#include "sql/table.h"

#include "data/array.h"
#include "sql/change.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int fail_memory(struct weir_error *err)
{
	return weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

/* ---- columns */

/* Moves a column to the end of those that are filled. */
static void fill(struct sql_table *table, size_t at)
{
	struct sql_column column = table->columns[at];
	memmove(table->columns + table->n + 1, table->columns + table->n, (at - table->n) * sizeof column);
	table->columns[table->n++] = column;
}

static bool is_auto(const struct sql_table *table)
{
	return !table->config->columns.names.n;
}

static bool is_named(const struct sql_table *table, const char *name)
{
	const struct key_strings *names = &table->config->columns.names;
	for (size_t i = 0; i < names->n; i++)
		if (table->ops->compare(names->values[i], name) == 0)
			return true;
	return false;
}

/* One that the config names: it has that name from now on, as the field has. */
static int fill_named(struct sql_table *table, const char *name, const char *type, struct weir_error *err)
{
	size_t place = table->n, at = sql_table_find(table, name, &place);
	if (at == table->all && !table->exists) {
		const struct sql_column column = {.name = (char *)(uintptr_t)name, .type = (char *)(uintptr_t)type};
		if (sql_table_add(table, &column))
			return fail_memory(err);
	}
	if (at == table->all)
		return sql_change_missing(table, name, type, err);
	char *copy = strdup(name);
	if (!copy)
		return fail_memory(err);
	free(table->columns[at].name);
	table->columns[at].name = copy;
	fill(table, at);
	return 0;
}

static int arrange_named(struct sql_table *table, struct weir_error *err)
{
	const struct key_columns *columns = &table->config->columns;
	const struct key_strings *key = &table->config->key;
	int code = 0;
	for (size_t i = 0; i < key->n && !code; i++)
		if (!is_named(table, key->values[i]))
			code = fill_named(table, key->values[i], NULL, err);
	for (size_t i = 0; i < columns->names.n && !code; i++)
		code = fill_named(table, columns->names.values[i], columns->types ? columns->types[i] : NULL, err);
	return code;
}

static int arrange_own(struct sql_table *table, struct weir_error *err)
{
	for (size_t i = 0; i < table->all; i++) {
		const struct sql_column *column = &table->columns[i];
		if (!column->generated && (!column->given || sql_table_is_key(table, column->name)))
			fill(table, i);
	}
	for (size_t i = 0; i < table->config->key.n && table->exists; i++)
		if (!sql_table_column(table, table->config->key.values[i]))
			return sql_change_missing(table, table->config->key.values[i], NULL, err);
	return 0;
}

static int describe(struct sql_table *table, struct weir_error *err)
{
	sql_table_forget(table);
	table->exists = table->marked = false;
	table->rows = 0;
	table->stale = true;
	int code = table->ops->describe(table->db, table, err);
	if (!code)
		code = is_auto(table) ? arrange_own(table, err) : arrange_named(table, err);
	table->stale = code;
	return code;
}

/* ---- from the config alone */

int sql_table_init(struct sql_table *table, const struct sql_config *config, const char *schema,
		   const struct sql_ops *ops)
{
	struct buf name = {0};
	if (schema) {
		sql_put_name(&name, schema);
		buf_add_char(&name, '.');
	}
	sql_put_name(&name, config->table);
	*table = (struct sql_table){.config = config, .ops = ops, .name = buf_take(&name, NULL)};
	return table->name ? 0 : WEIR_ENOMEM;
}

void sql_table_fini(struct sql_table *table)
{
	sql_table_forget(table);
	free(table->columns);
	for (size_t i = 0; i < table->field_count; i++)
		free(table->fields[i].name);
	free(table->fields);
	free(table->name);
	buf_fini(&table->left);
	buf_fini(&table->given);
	buf_fini(&table->created);
	buf_fini(&table->added);
	buf_fini(&table->widened);
	buf_fini(&table->notes);
	*table = (struct sql_table){0};
}

int sql_table_refuse_missing(const struct sql_table *table, struct weir_error *err)
{
	return weir_error_set(
		err, WEIR_EINVAL,
		"table %s does not exist, and `update` writes into rows that are there; name another table",
		table->config->table);
}

int sql_table_open(struct sql_table *table, struct weir_error *err)
{
	int code = describe(table, err);
	return !code && !table->exists && table->config->update ? sql_table_refuse_missing(table, err) : code;
}

/* Whether the config says what there is to say about a missing table. */
static bool is_decided(const struct sql_table *table)
{
	return !is_auto(table) && (table->config->columns.types || !*table->ops->types[SQL_NOTHING]);
}

static int make_ready(struct sql_table *table, struct weir_error *err)
{
	if (!table->exists)
		return sql_change_create(table, err);
	return !is_auto(table) && table->config->alter ? sql_change_add_named(table, err) : 0;
}

enum { START_AGAIN = 3 };

/* Of several processes that begin at a time one makes the table, and the others find it. */
int sql_table_start(struct sql_table *table, struct weir_error *err)
{
	int code = WEIR_EAGAIN;
	if (!table->exists && !is_decided(table))
		return 0;
	for (int again = 0; again < START_AGAIN && code == WEIR_EAGAIN; again++) {
		code = make_ready(table, err);
		int described = !code || code == WEIR_EAGAIN ? describe(table, err) : 0;
		code = described ? described : code;
		sql_table_end(table, !code, 0);
	}
	return code;
}

void sql_table_probe(const struct sql_table *table, const char *place, struct buf *out)
{
	const struct key_strings *names = &table->config->columns.names;
	struct buf added = {0};
	for (size_t i = 0; i < names->n; i++)
		if (!sql_table_column(table, names->values[i]))
			sql_change_list(&added, names->values[i], "");
	buf_addf(out, "table %s at %s, ", table->config->table, place);
	if (!table->exists)
		buf_add_str(out, "which a run creates");
	else
		buf_addf(out, "%zu of its %zu columns %s filled", table->n, table->all, table->n == 1 ? "is" : "are");
	if (table->exists && added.len)
		buf_addf(out, "; a run adds %s", added.data);
	buf_fini(&added);
}

/* ---- from outputs */

static enum sql_kind kind_of(const struct json *json)
{
	switch (json_type(json)) {
	case JSON_NULL:
		return SQL_NOTHING;
	case JSON_BOOL:
		return SQL_BOOL;
	case JSON_NUMBER_INT:
		return json_fits_int(json) ? SQL_INT : SQL_DIGITS;
	case JSON_NUMBER_REAL:
		return json_fits_real(json) ? SQL_REAL : SQL_DIGITS;
	case JSON_TEXT:
		return SQL_TEXT;
	default:
		return SQL_JSON;
	}
}

static bool is_number(enum sql_kind kind)
{
	return kind >= SQL_INT && kind <= SQL_DIGITS;
}

/* What holds the values of both. */
static enum sql_kind widen(enum sql_kind a, enum sql_kind b)
{
	if (a == b || b == SQL_NOTHING)
		return a;
	if (a == SQL_NOTHING)
		return b;
	if (a == SQL_JSON || b == SQL_JSON)
		return SQL_JSON;
	return is_number(a) && is_number(b) ? (a > b ? a : b) : SQL_TEXT;
}

bool sql_table_looks(const struct sql_table *table)
{
	bool has_whole = table->n && table->columns[table->n - 1].whole;
	return is_auto(table) ? !has_whole : !table->exists;
}

/* Whether a field may still become a column, or a column one of another type. */
static bool may_grow(const struct sql_table *table)
{
	bool is_young = !table->exists || (table->marked && table->rows < SQL_FIRST_ROWS);
	return is_auto(table) && table->all < SQL_COLUMNS_MAX && (is_young || table->config->alter);
}

/* *ret_field is NULL where there are more of them than a table can have columns. */
static int note_field(struct sql_table *table, const char *name, struct sql_field **ret_field)
{
	*ret_field = sql_table_field(table, name);
	if (*ret_field || table->field_count == SQL_COLUMNS_MAX)
		return 0;
	if (array_reserve(&table->fields, &table->field_room, table->field_count + 1, sizeof **ret_field))
		return WEIR_ENOMEM;
	struct sql_field *field = &table->fields[table->field_count];
	*field = (struct sql_field){.name = strdup(name)};
	if (!field->name)
		return WEIR_ENOMEM;
	table->field_count++;
	*ret_field = field;
	return 0;
}

static void leave_out(struct sql_field *field, struct buf *names)
{
	if (!field->told)
		sql_change_list(names, field->name, "");
	field->told = true;
}

/* Field of a column that is filled: does it need a wider type? */
static bool is_wider(const struct sql_table *table, const struct sql_column *column, enum sql_kind kind)
{
	if (!table->exists)
		return true;
	return table->ops->alters_types && column->kind != SQL_KINDS && may_grow(table) && table->marked &&
	       widen(column->kind, kind) != column->kind;
}

static int look_at(struct sql_table *table, const char *name, enum sql_kind kind, size_t *hint)
{
	size_t at = sql_table_find(table, name, hint);
	bool has_column = at < table->all, is_filled = at < table->n;
	if ((is_filled && !is_wider(table, &table->columns[at], kind)) || (!has_column && !is_auto(table)))
		return 0;
	struct sql_field *field;
	int code = note_field(table, name, &field);
	if (code || !field)
		return code;
	field->kind = widen(field->kind, is_filled ? widen(table->columns[at].kind, kind) : kind);
	if (has_column && !is_filled)
		leave_out(field, &table->given);
	else if (is_filled || (may_grow(table) && sql_change_can_name(name)))
		table->pending = true;
	else
		leave_out(field, &table->left);
	return 0;
}

int sql_table_look(struct sql_table *table, const struct json *output)
{
	const struct json *name, *value;
	size_t n, hint = 0;
	int code = 0;
	if (json_type(output) != JSON_OBJECT)
		return 0;
	for (size_t pos = 0; !code && (value = json_next(output, &pos, &name)) != NULL;) {
		const char *text = json_text(name, &n);
		code = look_at(table, strlen(text) == n ? text : "", kind_of(value), &hint);
	}
	return code;
}

static void leave_others_out(struct sql_table *table)
{
	for (size_t i = 0; i < table->field_count; i++)
		if (!sql_table_column(table, table->fields[i].name))
			leave_out(&table->fields[i], &table->left);
}

int sql_table_grow(struct sql_table *table, struct weir_error *err)
{
	if (!table->pending && !table->stale)
		return 0;
	int code = describe(table, err);
	if (code || !table->pending)
		return code ? code : 1;
	table->changed = true;
	if (table->exists && !may_grow(table))
		leave_others_out(table); /* they were first, or the table has its rows */
	else if (table->exists)
		code = sql_change_add_fields(table, err);
	else if (sql_change_has_key(table))
		code = sql_change_create(table, err);
	else
		return 0;
	if (!code)
		code = describe(table, err);
	table->pending = table->stale = code;
	return code ? code : 1;
}

/* ---- the end of a transaction */

/* A line about these names, which are forgotten. */
static void tell(struct sql_table *table, struct buf *names, const char *format, bool worth)
{
	if (worth && names->len && !names->failed) {
		buf_addf(&table->notes, "table %s: ", table->config->table);
		buf_addf(&table->notes, format, strstr(names->data, ", ") ? "s" : "", names->data);
	}
	buf_clear(names);
}

void sql_table_end(struct sql_table *table, bool committed, size_t rows)
{
	if (!committed && table->changed)
		table->stale = table->pending = true;
	tell(table, &table->created, "created with the column%s %s\n", committed);
	tell(table, &table->added, "added the column%s %s\n", committed);
	tell(table, &table->widened, "changed the type of the column%s %s\n", committed);
	tell(table, &table->left, "field%s left out, without a column (`alter: true` adds one): %s\n", true);
	tell(table, &table->given, "field%s left out, as the database fills the column (name it in `columns`): %s\n",
	     true);
	table->changed = false;
	table->rows += rows;
}
