/* SPDX-License-Identifier: MIT */
#include "sqlite/sink/row.h"

#include <stdio.h>
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
static int blame_row(const struct sqlite_db *db, char why[200], int code)
{
	return code == WEIR_EDATA ? blame(why, "sqlite: %s", sqlite_db_why(db)) : code;
}

static int check_field(const struct json *json, const char *name, bool is_key, char why[200])
{
	enum json_type type = json ? json_type(json) : JSON_NULL;
	size_t n = 0;
	if (type == JSON_TEXT) {
		const char *text = json_text(json, &n);
		return n && memchr(text, 0, n) ? blame(why, "field %s contains a NUL character", name) : 0;
	}
	if (!is_key || type == JSON_NUMBER_INT || type == JSON_NUMBER_REAL)
		return 0;
	return blame(why,
		     type == JSON_NULL ? "the output has no field %s, the key"
				       : "field %s, the key, is neither text nor a number",
		     name);
}

static int bind_row(struct sqlite_db *db, const struct sink_table *table, const struct json *json,
		    const struct value *output, char why[200])
{
	int code = 0;
	for (size_t i = 0; i < table->n && !code; i++) {
		const char *name = table->columns[i];
		if (i == table->whole) {
			code = blame_row(db, why, sqlite_db_bind_text(db, i, output->data, output->len));
			continue;
		}
		const struct json *field = json_member(json, name);
		code = check_field(field, name, i == table->key, why);
		if (!code)
			code = blame_row(db, why, sqlite_db_bind(db, i, field));
	}
	return code;
}

/* Where the output's fields matter it must be an object; else it goes in as it is. */
static int parse_output(const struct sink_table *table, const struct value *output, const struct json **ret_json,
			char why[200])
{
	struct weir_error err = {0};
	*ret_json = NULL;
	if (table->n == 1 && table->whole == 0)
		return 0;
	int code = value_json(output, ret_json, &err);
	if (code)
		return code == WEIR_ENOMEM ? code : blame(why, "the output is not JSON: %.120s", err.text);
	if (json_type(*ret_json) == JSON_OBJECT)
		return 0;
	return blame(why, "the output is not an object, so it has no field %s", table->columns[0]);
}

int sqlite_row_write(struct sqlite_db *db, const struct sink_table *table, const struct value *output, char why[200])
{
	const struct json *json;
	int code = parse_output(table, output, &json, why);
	if (code)
		return code;
	code = bind_row(db, table, json, output, why);
	if (!code)
		code = blame_row(db, why, sqlite_db_insert(db));
	sqlite_db_unbind(db);
	value_forget(output);
	return code;
}

int sqlite_row_show(const struct sink_table_config *config, const struct value *output, struct buf *out, char why[200])
{
	struct weir_error err = {0};
	struct sink_table table = {0};
	struct sqlite_db *db = NULL;
	int code = sink_table_init(&table, config);
	const struct sqlite_db_options opts = {.config = config, .table = &table};
	if (!code)
		code = sqlite_db_start(&opts, &db, &err);
	if (!code)
		code = sqlite_row_write(db, &table, output, why);
	if (!code)
		code = sqlite_db_read_row(db, out);
	sqlite_db_close(db);
	sink_table_fini(&table);
	return code;
}
