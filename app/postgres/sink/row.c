/* SPDX-License-Identifier: MIT */
/* What a row must be before the server sees it, and what is said of one that it refused. */
#include "postgres/sink/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "data/json_writer.h"

static int blame(char why[200], const char *format, ...) __attribute__((format(printf, 2, 3)));

static int blame(char why[200], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, 200, format, args);
	va_end(args);
	for (char *c = why; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			*c = '?';
	return WEIR_EDATA;
}

static int parse(const struct value *value, const char *what, const struct json **ret_json, char why[200])
{
	struct weir_error err = {0};
	int code = value_json(value, ret_json, &err);
	if (code == WEIR_ENOMEM)
		return code;
	if (code)
		return blame(why, "the %s is not JSON: %.120s", what, err.text);
	if (json_type(*ret_json) != JSON_OBJECT)
		return blame(why, "the %s is not an object, so it has no fields", what);
	return 0;
}

/* A row is found by its key, and nulls are never the same. */
static int check_key(const struct sql_config *config, const struct json *json, const char *what, char why[200])
{
	for (size_t i = 0; i < config->key.n; i++) {
		const struct json *field = json_member(json, config->key.values[i]);
		if (!field || json_type(field) == JSON_NULL)
			return blame(why, "the %s has no field %.60s, the key", what, config->key.values[i]);
	}
	return 0;
}

int postgres_row_check(const struct sql_config *config, const struct value *output, const struct value *source,
		       const struct json **ret_json, char why[200])
{
	const struct json *item = NULL;
	if (output->len > ROW_BYTES_MAX)
		return blame(why, "the row has %zu bytes; a row may have 64 MiB", output->len);
	int code = parse(output, "output", ret_json, why);
	if (!code && config->update)
		code = parse(source, "item", &item, why);
	if (!code)
		code = check_key(config, config->update ? item : *ret_json, config->update ? "item" : "output", why);
	return code;
}

static bool is_named(const struct sql_config *config, const char *name)
{
	for (size_t i = 0; i < config->columns.names.n; i++)
		if (strcmp(config->columns.names.values[i], name) == 0)
			return true;
	return false;
}

int postgres_row_show(const struct sql_config *config, const struct value *output, struct buf *out, char why[200])
{
	const struct json *json = NULL;
	struct sql_config rows = {.key = config->key};
	if (config->update)
		rows.key.n = 0;
	int code = postgres_row_check(&rows, output, NULL, &json, why);
	if (code)
		return code;
	if (!config->columns.names.n)
		return json_write(json, out);
	json_open(out, NULL, '{');
	for (size_t i = 0; i < rows.key.n; i++)
		if (!is_named(config, rows.key.values[i]))
			json_put_value(out, rows.key.values[i], json_member(json, rows.key.values[i]));
	for (size_t i = 0; i < config->columns.names.n; i++) {
		const struct json *field = json_member(json, config->columns.names.values[i]);
		if (field)
			json_put_value(out, config->columns.names.values[i], field);
		else
			json_put_text(out, config->columns.names.values[i], NULL);
	}
	json_close(out, '}');
	return out->failed ? WEIR_ENOMEM : 0;
}

/* ---- whose fault */

/* What stands in the last quotation marks of a message: PostgreSQL shows the value that it cannot use. */
static bool find_quoted(const char *text, const char **ret_quoted, size_t *ret_n)
{
	const char *end = strrchr(text, '"'), *begin = end;
	while (begin && begin > text && begin[-1] != '"')
		begin--;
	if (!end || begin <= text)
		return false;
	*ret_quoted = begin;
	*ret_n = (size_t)(end - begin);
	return true;
}

static bool says(const struct json *field, const char *text, size_t n)
{
	size_t len;
	const char *own;
	struct buf number = {0};
	if (json_type(field) == JSON_TEXT) {
		own = json_text(field, &len);
		return len == n && memcmp(own, text, n) == 0;
	}
	bool same = !json_write(field, &number) && number.len == n && memcmp(number.data, text, n) == 0;
	buf_fini(&number);
	return same;
}

/* The only field of the outputs with that value; NULL: there is none, or several. */
static const char *find_field(const struct value_list *outputs, const char *text, size_t n)
{
	const struct json *json, *name, *field;
	const char *found = NULL;
	for (size_t i = 0; i < outputs->n; i++) {
		if (value_json(&outputs->values[i], &json, NULL))
			return NULL;
		for (size_t pos = 0; (field = json_next(json, &pos, &name)) != NULL;) {
			size_t len;
			if (!says(field, text, n))
				continue;
			if (found && strcmp(found, json_text(name, &len)) != 0)
				return NULL;
			found = json_text(name, &len);
		}
	}
	return found;
}

void postgres_row_blame(const struct pg_error *err, const struct value_list *outputs, char why[200])
{
	const char *quoted, *column = *err->column ? err->column : NULL;
	size_t n;
	if (!column && strncmp(err->state, "22", 2) == 0 && find_quoted(err->text, &quoted, &n))
		column = find_field(outputs, quoted, n);
	blame(why, "postgres: %s%.60s%s%.130s", column ? "column " : "", column ? column : "", column ? ": " : "",
	      err->text);
	for (size_t i = 0; i < outputs->n; i++)
		value_forget(&outputs->values[i]);
}
