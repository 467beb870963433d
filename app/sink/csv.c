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
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/adapters.h"
#include "port/json.h"
#include "sink/writer.h"

#define COLUMNS_MAX ((size_t)500)

enum csv_start { CSV_REPLACE, CSV_APPEND };

struct csv_config {
	char *path;
	struct key_strings columns;
	char *delimiter;
	bool header;
	int on_start; /* enum csv_start */
};

static int check_columns(const struct key_strings *columns, struct weir_error *err)
{
	if (columns->n < 1 || columns->n > COLUMNS_MAX)
		return weir_error_set(err, WEIR_EINVAL, "%zu columns; expected 1 to %zu", columns->n, COLUMNS_MAX);
	for (size_t i = 0; i < columns->n; i++) {
		if (strpbrk(columns->values[i], "\r\n"))
			return weir_error_set(err, WEIR_EINVAL, "a column's name may not hold a line end");
		for (size_t k = 0; k < i; k++)
			if (strcmp(columns->values[i], columns->values[k]) == 0)
				return weir_error_set(err, WEIR_EINVAL, "column '%.80s' is there twice",
						      columns->values[i]);
	}
	return 0;
}

static int check_config(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct csv_config *config = any;
	char c = config->delimiter[0];
	*ret_key = "delimiter";
	if (!c || config->delimiter[1] || c == '"' || (c < ' ' && c != '\t') || c == 0x7F)
		return weir_error_set(err, WEIR_EINVAL,
				      "expected one character of ASCII, neither a quote nor a line end; such as ',' or "
				      "';' or \"\\t\"");
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

static bool needs_quotes(const struct csv_config *config, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] == '"' || text[i] == '\n' || text[i] == '\r' || text[i] == config->delimiter[0])
			return true;
	return !n;
}

static void add_text(const struct csv_config *config, struct buf *out, const char *text, size_t n)
{
	if (needs_quotes(config, text, n))
		add_quoted(out, text, n);
	else
		buf_add(out, text, n);
}

static void add_dump(const struct csv_config *config, struct buf *out, const struct json *field)
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
static int add_field(const struct csv_config *config, size_t column, const struct json *field, struct buf *out,
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
		snprintf(why, 200, "field %.150s holds a NUL character", config->columns.values[column]);
		return WEIR_EDATA;
	}
	add_text(config, out, text, n);
	return 0;
}

static int add_row(const void *any, const struct value *output, struct buf *out, char why[200])
{
	const struct csv_config *config = any;
	struct weir_error err = {0};
	struct json *json;
	int code = json_parse(output->data, output->len, &json, &err);
	if (code) {
		snprintf(why, 200, "the output is no JSON: %.150s", err.text);
		return code;
	}
	if (json_type(json) != JSON_OBJECT) {
		snprintf(why, 200, "the output is no object, so it has no field %.150s", config->columns.values[0]);
		code = WEIR_EDATA;
	}
	for (size_t i = 0; i < config->columns.n && !code; i++) {
		if (i)
			buf_add_char(out, config->delimiter[0]);
		code = add_field(config, i, json_member(json, config->columns.values[i]), out, why);
	}
	json_free(json);
	buf_add_char(out, '\n');
	return out->failed ? WEIR_ENOMEM : code;
}

static char *make_header(const struct csv_config *config)
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
	const struct csv_config *config = any;
	const struct sink_writer_options opts = {
		.path = config->path,
		.append = config->on_start == CSV_APPEND,
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
	{"path", KEY_PATH_OUT, offsetof(struct csv_config, path), .flags = KEY_REQUIRED,
	 .text = "the file to write; /dev/stdout, a FIFO or a device will do, too, at least once"},
	{"columns", KEY_STRINGS, offsetof(struct csv_config, columns), .flags = KEY_REQUIRED,
	 .text = "the fields to write, in this order; one that an output lacks, or that is null, is empty; arrays and "
		 "objects are written as JSON; text goes out as it is, so who opens the file in a spreadsheet should "
		 "know that one which begins with = may be taken for a formula"},
	{"header", KEY_BOOL, offsetof(struct csv_config, header), .fallback = "true",
	 .text = "whether the first line has the names of the columns; a file that has other ones is refused"},
	{"delimiter", KEY_STRING, offsetof(struct csv_config, delimiter), .fallback = ",",
	 .text = "what stands between two fields, one character"},
	{"on_start", KEY_ENUM, offsetof(struct csv_config, on_start), .fallback = "replace",
	 .choices = "replace|append",
	 .text = "what happens to a file that is there when a run begins: begin anew, or write behind its end; a run "
		 "that goes on finds its place in either case"},
	{0},
};

static const struct sink_ops ops = {
	.open = open_csv,
	.write = sink_writer_write,
	.close = sink_writer_close,
	.exact = sink_writer_exact,
	.position = sink_writer_position,
};

const struct adapter sink_csv_adapter = {
	.kind = ADAPTER_SINK,
	.name = "csv",
	.text = "writes a CSV file with the columns you name, synced after each batch; each row once, also when a run "
		"is "
		"killed and goes on",
	.keys = keys,
	.config_bytes = sizeof(struct csv_config),
	.check = check_config,
	.sink = &ops,
};
