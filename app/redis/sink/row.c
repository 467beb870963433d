/* SPDX-License-Identifier: MIT */
/*
 * A text is as it is; a number as it was written; true, false, arrays and objects are JSON.  A field that is null is
 * left out, as one that the output does not have.
 */
#include "redis/sink/row.h"

#include "data/json.h"

#include <stdio.h>
#include <string.h>

#define FIELDS_MAX ((size_t)1000) /* Lua takes no call of more than 8,000 values */

/* Where a row goes: one of both. */
struct row {
	struct redis_command *words;
	struct buf *json;
	size_t fields;
};

static void put(struct row *row, const char *name, size_t name_n, const char *text, size_t n)
{
	if (row->words) {
		redis_add(row->words, name, name_n);
		redis_add(row->words, text, n);
	} else {
		if (row->fields)
			buf_add_char(row->json, ',');
		buf_add_json_str(row->json, name, name_n);
		buf_add_char(row->json, ':');
		buf_add_json_str(row->json, text, n);
	}
	row->fields++;
}

static int put_value(struct row *row, const char *name, size_t name_n, const struct json *value)
{
	struct buf text = {0};
	size_t n;
	int code = 0;
	if (value && json_type(value) == JSON_TEXT) {
		const char *bytes = json_text(value, &n);
		put(row, name, name_n, bytes, n);
	} else if (value && json_type(value) != JSON_NULL) {
		code = json_write(value, &text);
		if (!code)
			put(row, name, name_n, text.data, text.len);
	}
	buf_fini(&text);
	return code;
}

static int put_named(const struct redis_row_config *config, const struct json *json, struct row *row)
{
	int code = 0;
	for (size_t i = 0; i < config->fields.n && !code; i++) {
		const char *name = config->fields.values[i];
		code = put_value(row, name, strlen(name), json_member(json, name));
	}
	return code;
}

static int put_all(const struct json *json, struct row *row)
{
	const struct json *value, *name;
	size_t at = 0, n;
	int code = 0;
	while (!code && row->fields <= FIELDS_MAX && (value = json_next(json, &at, &name))) {
		const char *text = json_text(name, &n);
		code = put_value(row, text, n, value);
	}
	return code;
}

static int put_fields(const struct redis_row_config *config, const struct value *output, struct row *row, char why[200])
{
	const struct json *json;
	struct weir_error err = {0};
	int code = value_json(output, &json, &err);
	if (code) {
		snprintf(why, 200, "the output is not JSON: %.150s", err.text);
		return code;
	}
	if (json_type(json) != JSON_OBJECT) {
		snprintf(why, 200,
			 "the output is not an object, so it has no fields; with `field` it is written as a whole");
		return WEIR_EDATA;
	}
	code = config->fields.n ? put_named(config, json, row) : put_all(json, row);
	if (!code && (!row->fields || row->fields > FIELDS_MAX)) {
		snprintf(why, 200,
			 row->fields ? "the output has more than %zu fields"
				     : "the output has no field that is not null, and an entry needs one",
			 FIELDS_MAX);
		code = WEIR_EDATA;
	}
	return code;
}

static int put_row(const struct redis_row_config *config, const struct value *output, struct row *row, char why[200])
{
	if (!config->field)
		return put_fields(config, output, row, why);
	put(row, config->field, strlen(config->field), output->data, output->len);
	return 0;
}

int redis_row_put(const struct redis_row_config *config, const struct value *output, struct redis_command *words,
		  char why[200])
{
	struct row row = {.words = words};
	int code = put_row(config, output, &row, why);
	return words->words.failed ? WEIR_ENOMEM : code;
}

int redis_row_show(const struct redis_row_config *config, const struct value *output, struct buf *out, char why[200])
{
	struct row row = {.json = out};
	buf_add_char(out, '{');
	int code = put_row(config, output, &row, why);
	buf_add_char(out, '}');
	return out->failed ? WEIR_ENOMEM : code;
}
