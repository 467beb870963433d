/* SPDX-License-Identifier: MIT */
/*
 * See row.h.
 *
 * Values are exact or refused.  Numbers that SQLite cannot hold (whole ones beyond 64 bits, decimals with more digits
 * than a double keeps) are text with all their digits; so are arrays and objects, as JSON.  In a column for numbers
 * SQLite would make a double of such a text: there is no way to store it, and the row is refused.
 */
#include "sqlite/sink/row.h"

#include "sqlite/client/client.h"
#include "sqlite/sink/internal.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int blame(char why[200], const char *format, const char *detail)
{
	snprintf(why, 200, format, detail);
	for (char *c = why; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			*c = '?';
	return WEIR_EDATA;
}

/* SQLite's words, if it blames the row. */
static int code_of(const struct sqlite_db *db, char why[200], int rc)
{
	int code = sqlite_client_code(db->handle, rc);
	return code == WEIR_EDATA ? blame(why, "sqlite: %s", sqlite_db_why(db)) : code;
}

/* ---- values */

static int bind_text(sqlite3_stmt *write, int at, char *text, size_t n)
{
	return text ? sqlite3_bind_text64(write, at, text, n, free, SQLITE_UTF8) : SQLITE_NOMEM;
}

static int bind_dump(sqlite3_stmt *write, int at, const struct json *json)
{
	size_t n;
	char *text = json_dump(json, &n);
	return bind_text(write, at, text, n);
}

static int bind_number(sqlite3_stmt *write, int at, const struct json *json, enum sqlite_affinity affinity)
{
	bool fits_int = json_fits_int(json), fits_real = json_fits_real(json);
	if (affinity == AFFINITY_TEXT)
		return bind_dump(write, at, json);
	if (fits_int && (affinity != AFFINITY_REAL || fits_real))
		return sqlite3_bind_int64(write, at, json_int(json));
	if (fits_real && (json_type(json) == JSON_NUMBER_REAL || affinity != AFFINITY_NONE))
		return sqlite3_bind_double(write, at, json_real(json));
	return affinity == AFFINITY_NONE ? bind_dump(write, at, json) : SQLITE_MISMATCH;
}

/* Whether SQLite would make a number of a text, and not have all its digits. */
static bool is_cut(const char *text, size_t n, enum sqlite_affinity affinity)
{
	static const char bytes[] = " \t\n\v\f\r+-.0123456789eE";
	if (affinity == AFFINITY_NONE || affinity == AFFINITY_TEXT || n < 16 || strspn(text, bytes) != n)
		return false;
	char *end;
	errno = 0;
	strtoll(text, &end, 10);
	bool is_whole = !errno && !end[strspn(end, bytes + 1)] && !strpbrk(end, "+-.0123456789eE");
	return !(is_whole && affinity == AFFINITY_NUMERIC) && !json_number_fits_real(text, n);
}

/* SQLITE_MISMATCH: the column has no room for its digits. */
static int bind(sqlite3_stmt *write, int at, const struct json *json, enum sqlite_affinity affinity)
{
	size_t n;
	const char *text;
	switch (json ? json_type(json) : JSON_NULL) {
	case JSON_NULL:
		return sqlite3_bind_null(write, at);
	case JSON_BOOL:
		return affinity == AFFINITY_TEXT ? bind_dump(write, at, json)
						 : sqlite3_bind_int(write, at, json_bool(json));
	case JSON_NUMBER_INT:
	case JSON_NUMBER_REAL:
		return bind_number(write, at, json, affinity);
	case JSON_TEXT:
		text = json_text(json, &n);
		if (is_cut(text, n, affinity))
			return SQLITE_MISMATCH;
		return sqlite3_bind_text64(write, at, text, n, SQLITE_STATIC, SQLITE_UTF8);
	default:
		return bind_dump(write, at, json);
	}
}

static int bind_column(struct sqlite_db *db, int at, size_t column, char why[200])
{
	int rc = bind(db->rows.write, at, db->rows.fields[column], db->rows.affinity[column]);
	if (rc == SQLITE_MISMATCH)
		return blame(why, "field %.60s has more digits than a column for numbers keeps; declare it TEXT",
			     db->opts.table->columns[column].name);
	return code_of(db, why, rc);
}

/* ---- fields */

static int check_key(const struct json *json, const char *of, const char *name, char why[200])
{
	char format[100];
	enum json_type type = json ? json_type(json) : JSON_NULL;
	if (type == JSON_TEXT || type == JSON_NUMBER_INT || type == JSON_NUMBER_REAL)
		return 0;
	if (type == JSON_NULL)
		snprintf(format, sizeof format, "the %s has no field %%s, the key", of);
	else
		snprintf(format, sizeof format, "field %%s, the key, is neither text nor a number");
	return blame(why, format, name);
}

static int check_text(const struct json *json, const char *name, char why[200])
{
	size_t n = 0;
	const char *text = json && json_type(json) == JSON_TEXT ? json_text(json, &n) : NULL;
	return n && memchr(text, 0, n) ? blame(why, "field %.60s contains a NUL character", name) : 0;
}

/* Fills fields: the value for each column, NULL where the output has none. */
static int find_fields(struct sqlite_db *db, const struct json *json, char why[200])
{
	const struct sql_table *table = db->opts.table;
	const struct json *name, *value;
	size_t hint = 0, n;
	memset(db->rows.fields, 0, db->rows.n * sizeof(struct json *));
	for (size_t pos = 0; (value = json_next(json, &pos, &name)) != NULL;) {
		const char *text = json_text(name, &n);
		size_t at = strlen(text) == n ? sql_table_find(table, text, &hint) : table->all;
		if (at >= table->n)
			continue;
		if (db->rows.fields[at])
			return blame(why, "two fields are column %.60s, as SQL ignores case", table->columns[at].name);
		db->rows.fields[at] = value;
	}
	return 0;
}

static int check_fields(struct sqlite_db *db, char why[200])
{
	const struct sql_table *table = db->opts.table;
	int code = 0;
	for (size_t i = 0; i < table->n && !code; i++) {
		const char *name = table->columns[i].name;
		code = check_text(db->rows.fields[i], name, why);
		if (!code && !table->config->update && sql_table_is_key(table, name))
			code = check_key(db->rows.fields[i], "output", name, why);
	}
	return code;
}

/* ---- rows */

static int run(struct sqlite_db *db, char why[200])
{
	int rc = sqlite3_step(db->rows.write);
	sqlite3_reset(db->rows.write);
	return rc == SQLITE_DONE ? 0 : code_of(db, why, rc);
}

static int insert(struct sqlite_db *db, const struct value *output, char why[200])
{
	const struct sql_table *table = db->opts.table;
	int code = 0;
	for (size_t i = 0; i < table->n && !code; i++)
		code = table->columns[i].whole ? code_of(db, why,
							 sqlite3_bind_text64(db->rows.write, (int)i + 1, output->data,
									     output->len, SQLITE_STATIC, SQLITE_UTF8))
					       : bind_column(db, (int)i + 1, i, why);
	if (!code)
		code = run(db, why);
	sqlite3_clear_bindings(db->rows.write);
	return code;
}

static int bind_source_key(struct sqlite_db *db, int at, const struct json *source, char why[200])
{
	const struct key_strings *key = &db->opts.table->config->key;
	int code = 0;
	for (size_t i = 0; i < key->n && !code; i++, at++) {
		const struct json *field = json_member(source, key->values[i]);
		code = check_key(field, "item", key->values[i], why);
		if (!code)
			code = check_text(field, key->values[i], why);
		if (!code)
			code = code_of(db, why, bind(db->rows.write, at, field, AFFINITY_NONE));
	}
	return code;
}

static int update(struct sqlite_db *db, const struct json *source, char why[200])
{
	size_t n = 0;
	for (size_t i = 0; i < db->rows.n; i++)
		n += sqlite_statement_sets(db, i);
	if (!n)
		return 0;
	int code = code_of(db, why, sqlite_statement_update(db)), at = 1;
	for (size_t i = 0; i < db->rows.n && !code; i++)
		if (db->rows.present[i])
			code = bind_column(db, at++, i, why);
	if (!code)
		code = bind_source_key(db, at, source, why);
	if (!code)
		code = run(db, why);
	if (!code && !sqlite3_changes(db->handle))
		code = blame(why, "table %s has no row with the key of the item", db->opts.table->config->table);
	sqlite3_clear_bindings(db->rows.write);
	return code;
}

static int parse(const struct value *value, const char *what, const struct json **ret_json, char why[200])
{
	struct weir_error err = {0};
	char format[60];
	int code = value_json(value, ret_json, &err);
	if (code == WEIR_ENOMEM)
		return code;
	snprintf(format, sizeof format, "the %s is not %s", what,
		 code ? "JSON: %.120s" : "an object, so it has no fields");
	return code || json_type(*ret_json) != JSON_OBJECT ? blame(why, format, err.text) : 0;
}

/* A table that there is none of gets its first row only from outputs that have something to make columns of. */
static int check_table(const struct sqlite_db *db, const struct json *json, char why[200])
{
	const struct key_strings *key = &db->opts.table->config->key;
	int code = db->opts.table->exists ? 0 : WEIR_EDATA;
	for (size_t i = 0; i < key->n && code; i++)
		if (check_key(json_member(json, key->values[i]), "output", key->values[i], why))
			return WEIR_EDATA;
	return code ? blame(why, "%s", "the output has no fields to make columns of") : 0;
}

static bool is_whole_alone(const struct sql_table *table)
{
	return table->n == 1 && table->columns[0].whole;
}

int sqlite_row_write(struct sqlite_db *db, const struct value *output, const struct value *source, char why[200])
{
	const struct sql_table *table = db->opts.table;
	const struct json *json = NULL, *item = NULL;
	int code = is_whole_alone(table) ? 0 : parse(output, "output", &json, why);
	if (!code && json)
		code = check_table(db, json, why);
	if (!code && table->config->update)
		code = parse(source, "item", &item, why);
	if (!code && json)
		code = find_fields(db, json, why);
	if (!code && json)
		code = check_fields(db, why);
	if (!code)
		code = table->config->update ? update(db, item, why) : insert(db, output, why);
	value_forget(output);
	if (item)
		value_forget(source);
	return code;
}

int sqlite_row_look(struct sqlite_db *db, const struct value *output)
{
	const struct json *json;
	int code = value_json(output, &json, NULL);
	if (code)
		return code == WEIR_ENOMEM ? code : 0;
	return sql_table_look(db->opts.table, json);
}

int sqlite_row_fit(struct sqlite_db *db, struct weir_error *err)
{
	int code = sql_table_grow(db->opts.table, err);
	return code == 1 && db->opts.table->exists ? sqlite_statement_make(db, err) : code < 0 ? code : 0;
}
