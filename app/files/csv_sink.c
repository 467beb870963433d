/* SPDX-License-Identifier: MIT */
/*
 * `csv: { path: out.csv, columns: [id, total] }`: each output a row of a file, as RFC 4180 has it but for the line
 * ends, which are '\n'.
 *
 *   text                as it is; in quotes where it must be, or where it would pass for something else:
 *                       an empty text is "", which readers that care tell from nothing
 *   numbers             as they were written; true and false, too
 *   arrays, objects     as compact JSON
 *   null, or no field   nothing
 *
 * A row of one column that is empty is "", too: most readers pass over an empty line.
 *
 * With `guard` a text that a spreadsheet would take for a formula begins with an apostrophe, as OWASP advises against
 * "CSV injection".  Numbers stay numbers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "data/json_writer.h"
#include "files/writer.h"
#include "port/adapters.h"

#define COLUMNS_MAX ((size_t)500)

struct csv_sink_config {
	char *path;
	struct key_strings columns;
	char *delimiter;
	bool header, guard;
	int on_start; /* enum sink_on_start */
};

static int check_columns(const struct key_strings *columns, struct weir_error *err)
{
	if (columns->n < 1 || columns->n > COLUMNS_MAX)
		return weir_error_set(err, WEIR_EINVAL, "%zu columns; expected 1 to %zu", columns->n, COLUMNS_MAX);
	for (size_t i = 0; i < columns->n; i++) {
		if (strpbrk(columns->values[i], "\r\n"))
			return weir_error_set(err, WEIR_EINVAL, "a column name must not contain a line break");
		for (size_t k = 0; k < i; k++)
			if (strcmp(columns->values[i], columns->values[k]) == 0)
				return weir_error_set(err, WEIR_EINVAL, "duplicate column '%.80s'", columns->values[i]);
	}
	return 0;
}

static int check_config(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct csv_sink_config *config = any;
	char c = config->delimiter[0];
	*ret_key = "delimiter";
	if (!c || config->delimiter[1] || c == '"' || (c < ' ' && c != '\t') || c == 0x7F)
		return weir_error_set(err, WEIR_EINVAL,
				      "expected one ASCII character that is neither a quote nor a line break, such as "
				      "',' or ';' or \"\\t\"");
	*ret_key = "columns";
	return check_columns(&config->columns, err);
}

static void add_quoted(struct buf *out, const char *text, size_t n)
{
	buf_add_char(out, '"');
	while (n) {
		const char *quote = memchr(text, '"', n);
		size_t plain = quote ? (size_t)(quote - text) + 1 : n;
		buf_add(out, text, plain);
		if (quote)
			buf_add_char(out, '"');
		text += plain;
		n -= plain;
	}
	buf_add_char(out, '"');
}

static bool needs_quotes(const struct csv_sink_config *config, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] == '"' || text[i] == '\n' || text[i] == '\r' || text[i] == config->delimiter[0])
			return true;
	return !n;
}

static void add_text(const struct csv_sink_config *config, struct buf *out, const char *text, size_t n)
{
	if (needs_quotes(config, text, n))
		add_quoted(out, text, n);
	else
		buf_add(out, text, n);
}

/* Whether it begins as a formula does, for some spreadsheet. */
static bool is_formula(const char *text, size_t n)
{
	static const char signs[] = "=+-@\t\r";
	return n && memchr(signs, text[0], sizeof signs - 1);
}

static void add_guarded(const struct csv_sink_config *config, struct buf *out, const char *text, size_t n)
{
	struct buf guarded = {0};
	buf_add_char(&guarded, '\'');
	buf_add(&guarded, text, n);
	if (guarded.failed)
		out->failed = true;
	else
		add_text(config, out, guarded.data, guarded.len);
	buf_fini(&guarded);
}

static void add_dump(const struct csv_sink_config *config, struct buf *out, const struct json *field)
{
	size_t n;
	char *text = json_dump(field, &n);
	if (text)
		add_text(config, out, text, n);
	else
		out->failed = true;
	free(text);
}

/* field may be NULL. */
static int add_field(const struct csv_sink_config *config, size_t column, const struct json *field, struct buf *out,
		     char why[200])
{
	size_t n = 0;
	if (!field || json_type(field) == JSON_NULL) {
		if (config->columns.n == 1)
			buf_add_str(out, "\"\"");
		return 0;
	}
	if (json_type(field) != JSON_TEXT) {
		add_dump(config, out, field);
		return 0;
	}
	const char *text = json_text(field, &n);
	if (n && memchr(text, 0, n)) {
		snprintf(why, 200, "field %.150s contains a NUL character", config->columns.values[column]);
		return WEIR_EDATA;
	}
	if (config->guard && is_formula(text, n))
		add_guarded(config, out, text, n);
	else
		add_text(config, out, text, n);
	return 0;
}

static int parse_output(const struct csv_sink_config *config, const struct value *output, const struct json **ret_json,
			char why[200])
{
	struct weir_error err = {0};
	int code = value_json(output, ret_json, &err);
	if (code) {
		snprintf(why, 200, "the output is not JSON: %.150s", err.text);
		return code;
	}
	if (json_type(*ret_json) == JSON_OBJECT)
		return 0;
	snprintf(why, 200, "the output is not an object, so it has no field %.150s", config->columns.values[0]);
	return WEIR_EDATA;
}

static int add_row(const void *any, const struct value *output, struct buf *out, char why[200])
{
	const struct csv_sink_config *config = any;
	const struct json *json;
	int code = parse_output(config, output, &json, why);
	for (size_t i = 0; i < config->columns.n && !code; i++) {
		if (i)
			buf_add_char(out, config->delimiter[0]);
		code = add_field(config, i, json_member(json, config->columns.values[i]), out, why);
	}
	value_forget(output);
	buf_add_char(out, '\n');
	return out->failed ? WEIR_ENOMEM : code;
}

/* Each field as it stands in the file. */
static int show_row(const void *any, const struct value *output, struct buf *out, char why[200])
{
	const struct csv_sink_config *config = any;
	const struct json *json;
	struct buf field = {0};
	int code = parse_output(config, output, &json, why);
	json_open(out, NULL, '{');
	for (size_t i = 0; i < config->columns.n && !code; i++) {
		const char *name = config->columns.values[i];
		buf_clear(&field);
		buf_add_str(&field, "");
		code = add_field(config, i, json_member(json, name), &field, why);
		json_put_bytes(out, name, field.data, field.len);
	}
	json_close(out, '}');
	code = code || !field.failed ? code : WEIR_ENOMEM;
	buf_fini(&field);
	return out->failed ? WEIR_ENOMEM : code;
}

static char *make_header(const struct csv_sink_config *config)
{
	struct buf line = {0};
	for (size_t i = 0; i < config->columns.n; i++) {
		if (i)
			buf_add_char(&line, config->delimiter[0]);
		add_text(config, &line, config->columns.values[i], strlen(config->columns.values[i]));
	}
	buf_add_char(&line, '\n');
	char *text = line.failed ? NULL : buf_take(&line, NULL);
	buf_fini(&line);
	return text;
}

static int open_csv(const void *any, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	const struct csv_sink_config *config = any;
	const struct sink_writer_options opts = {
		.path = config->path,
		.on_start = (enum sink_on_start)config->on_start,
		.env = env,
		.head = config->header ? make_header(config) : NULL,
		.add = add_row,
		.arg = config,
	};
	if (config->header && !opts.head)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return sink_writer_open(&opts, ret_sink, err);
}

static const struct key keys[] = {
	{"path", KEY_PATH_OUT, offsetof(struct csv_sink_config, path), .flags = KEY_REQUIRED,
	 .text = "The file to write; compressed if its name ends in .gz or .zst. To /dev/stdout, a FIFO or a device a "
		 "row may be written twice after a crash"},
	{"columns", KEY_STRINGS, offsetof(struct csv_sink_config, columns), .flags = KEY_REQUIRED,
	 .text = "The fields to write, in this order. A field that is missing or null is empty; arrays and objects are "
		 "written as JSON"},
	{"header", KEY_BOOL, offsetof(struct csv_sink_config, header), .fallback = "true",
	 .text = "Whether the first line has the names of the columns; weir refuses to append to a file with other "
		 "names"},
	{"guard", KEY_BOOL, offsetof(struct csv_sink_config, guard),
	 .text = "Put ' before a text that begins with = + - @, a tab or a carriage return, which a spreadsheet may "
		 "run as a formula; default false"},
	{"delimiter", KEY_STRING, offsetof(struct csv_sink_config, delimiter), .fallback = ",",
	 .text = "The character between two fields"},
	{"on_start", KEY_ENUM, offsetof(struct csv_sink_config, on_start), .fallback = "refuse", .flags = KEY_PACE,
	 .choices = SINK_ON_START_CHOICES, .text = SINK_ON_START_TEXT},
	{0},
};

static const struct key_strings *columns_of(const void *config)
{
	return &((const struct csv_sink_config *)config)->columns;
}

static const struct sink_ops ops = SINK_WRITER_OPS(open_csv, columns_of, show_row);

const struct adapter sink_csv_adapter = {
	.kind = ADAPTER_SINK,
	.name = "csv",
	.text = "Writes a CSV file with the columns you name, synced after each batch; exactly one row per output, "
		"even after a crash",
	.keys = keys,
	.config_bytes = sizeof(struct csv_sink_config),
	.check = check_config,
	.sink = &ops,
};
