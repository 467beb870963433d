/* SPDX-License-Identifier: MIT */
#include "postgres/source/row.h"

#include <string.h>

#include "data/json.h"
#include "data/json_writer.h"
#include "sql/name.h"

#define NOT_UTF8 "a column holds text that is not valid UTF-8"

/* How the text of a type becomes JSON. */
enum form {
	FORM_ASKED, /* the server is asked */
	FORM_TEXT,  /* a string */
	FORM_NUMBER,
	FORM_BOOL,
	FORM_JSON, /* as it is */
};

static enum form form_of(enum pg_type type)
{
	switch (type) {
	case PG_BOOL:
		return FORM_BOOL;
	case PG_INT2:
	case PG_INT4:
	case PG_INT8:
	case PG_FLOAT4:
	case PG_FLOAT8:
	case PG_NUMERIC:
		return FORM_NUMBER;
	case PG_JSON:
	case PG_JSONB:
		return FORM_JSON;
	case PG_BYTEA:
	case PG_NAME:
	case PG_TEXT:
	case PG_BPCHAR:
	case PG_VARCHAR:
	case PG_UUID:
		return FORM_TEXT;
	default:
		return FORM_ASKED;
	}
}

/* Whether what is sent of it is what a cast to text makes of it. */
static bool is_own_text(enum pg_type type)
{
	enum form form = form_of(type);
	return form == FORM_NUMBER || (form == FORM_TEXT && type != PG_BPCHAR);
}

struct row_shape row_put_list(const struct pg_result *like, int first, const char *key, struct buf *sql)
{
	struct row_shape shape = {.columns = pg_columns(like) - first, .key = -1};
	int key_at = 0;
	for (int i = 0; i < shape.columns; i++) {
		const char *name = pg_column(like, first + i);
		enum pg_type type = pg_column_type(like, first + i);
		buf_addf(sql, form_of(type) == FORM_ASKED ? "%sto_json(r.c%d) AS " : "%sr.c%d AS ", i ? ", " : "",
			 i + 1);
		sql_put_name(sql, name);
		if (strcmp(name, key) == 0) {
			key_at = i;
			shape.key = is_own_text(type) ? i : shape.columns;
		}
	}
	if (shape.key == shape.columns)
		buf_addf(sql, ", r.c%d::text", key_at + 1);
	return shape;
}

void row_put_alias(const struct row_shape *shape, struct buf *sql)
{
	buf_add_str(sql, "r");
	for (int i = 0; i < shape->columns; i++)
		buf_addf(sql, "%sc%d", i ? ", " : "(", i + 1);
	buf_add_str(sql, ")");
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

const char *row_add(const struct row_shape *shape, const struct pg_result *result, int row, struct buf *text)
{
	const char *why = NULL;
	json_open(text, NULL, '{');
	for (int i = 0; i < shape->columns; i++) {
		const char *name = pg_column(result, i), *value = pg_text(result, row, i);
		size_t n = pg_length(result, row, i);
		enum form form = form_of(pg_column_type(result, i));
		if (!value)
			json_put_text(text, name, NULL);
		else if (form == FORM_BOOL)
			json_put_bool(text, name, *value == 't');
		else if (form == FORM_JSON || (form == FORM_NUMBER && is_digit(value[n - 1])))
			json_put_raw(text, name, value, n);
		else /* a string, or NaN and Infinity */
			json_put_bytes(text, name, value, n);
		if (value && form != FORM_NUMBER && form != FORM_BOOL && !json_utf8_valid(value, n))
			why = NOT_UTF8;
	}
	json_close(text, '}');
	return why;
}
