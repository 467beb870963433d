/* SPDX-License-Identifier: MIT */
/*
 * `csv: { path: orders.csv }`: each record of a file as an object of strings, its names from the header (RFC 4180).
 *
 * Two passes.  The first finds where a record ends, over as many chunks as it takes, with four states:
 *
 *     START --"--> QUOTED <--"--> CLOSED           LF ends the record in every state but QUOTED;
 *       '--other--> PLAIN <--other--'              the delimiter leads to START likewise
 *
 * The second takes the record apart and is strict: what RFC 4180 does not allow makes it a bad item, never a guess.
 * Both agree on where a record ends, so that one that is wrong does not spoil the next.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "files/text.h"
#include "port/adapters.h"
#include "port/key.h"

enum { COLUMNS_MOST = 4096 };

struct csv_source_config {
	char *path;
	bool header;
	struct key_strings columns;
	char *delimiter;
	int encoding; /* enum charset */
};

struct csv {
	const struct csv_source_config *config;
	char delimiter;
	bool header_due;
	const char *path;       /* of the file that is read, for messages */
	const char *names_from; /* of the file whose header named the fields; NULL: none did */
	struct name {
		char *text; /* as a JSON string with a colon behind it: what it looks like in every item */
		size_t len;
	} * names;
	size_t n;
	struct buf field, object; /* room, kept from record to record */
};

/* ---- where a record ends */

enum state { START, PLAIN, CLOSED, QUOTED = SOURCE_OPEN };

static const char *find_end(const void *arg, unsigned *state, const char *text, size_t n, uint64_t *breaks)
{
	const char delimiter = ((const struct csv *)arg)->delimiter;
	unsigned now = *state;
	for (const char *at = text; at < text + n; at++) {
		if (now == QUOTED && *at != '"')
			*breaks += *at == '\n';
		else if (now == QUOTED)
			now = CLOSED;
		else if (*at == '\n')
			return at;
		else if (*at == delimiter)
			now = START;
		else
			now = *at == '"' && now != PLAIN ? QUOTED : PLAIN;
	}
	*state = now;
	return NULL;
}

/* ---- taking one apart */

struct fields {
	const char *at, *end; /* what is left of the record; at NULL: nothing, not even an empty field */
	const char *begin;    /* of the field that was taken last */
	char delimiter;
	const char *wrong; /* with that field */
};

static const char not_closed[] = "the quote is not closed";

static bool fail(struct fields *fields, const char *wrong)
{
	fields->wrong = wrong;
	return false;
}

/* Steps over the delimiter. */
static void pass_on(struct fields *fields)
{
	fields->at = fields->at < fields->end ? fields->at + 1 : NULL;
}

static bool take_quoted(struct fields *fields, struct buf *field)
{
	for (const char *at = fields->at + 1, *quote;; at = quote + 2) {
		quote = memchr(at, '"', (size_t)(fields->end - at));
		if (!quote)
			return fail(fields, not_closed);
		buf_add(field, at, (size_t)(quote - at));
		fields->at = quote + 1;
		if (fields->at == fields->end || *fields->at != '"')
			break;
		buf_add_char(field, '"');
	}
	if (fields->at < fields->end && *fields->at != fields->delimiter)
		return fail(fields, "text after the closing quote");
	pass_on(fields);
	return true;
}

static bool take_plain(struct fields *fields, struct buf *field)
{
	const char *stop = memchr(fields->at, fields->delimiter, (size_t)(fields->end - fields->at));
	size_t n = (size_t)((stop ? stop : fields->end) - fields->at);
	if (memchr(fields->at, '"', n))
		return fail(fields, "a quote inside a field that does not start with one");
	if (memchr(fields->at, '\r', n))
		return fail(fields, "a carriage return outside quotes");
	buf_add(field, fields->at, n);
	fields->at += n;
	pass_on(fields);
	return true;
}

/* Puts the content of the next field into `field`.  False: there is none, or it is wrong. */
static bool next_field(struct fields *fields, struct buf *field)
{
	buf_clear(field);
	fields->begin = fields->at;
	if (!fields->at)
		return false;
	bool quoted = fields->at < fields->end && *fields->at == '"';
	return quoted ? take_quoted(fields, field) : take_plain(fields, field);
}

static struct fields begin_fields(const struct csv *csv, const struct source_line *line)
{
	return (struct fields){.at = line->text, .end = line->text + line->len, .delimiter = csv->delimiter};
}

/* ---- names */

static int add_name(struct csv *csv, const char *text, size_t n)
{
	struct buf name = {0};
	struct name *names = reallocarray(csv->names, csv->n + 1, sizeof *names);
	if (!names)
		return WEIR_ENOMEM;
	csv->names = names;
	buf_add_json_str(&name, text, n);
	buf_add_char(&name, ':');
	names[csv->n].text = buf_take(&name, &names[csv->n].len);
	return names[csv->n].text ? (csv->n++, 0) : WEIR_ENOMEM;
}

/* Whether the name that was added last is there twice. */
static bool is_duplicate(const struct csv *csv)
{
	const struct name *last = &csv->names[csv->n - 1];
	for (const struct name *name = csv->names; name < last; name++)
		if (name->len == last->len && memcmp(name->text, last->text, last->len) == 0)
			return true;
	return false;
}

static int name_columns(struct csv *csv, struct weir_error *err)
{
	int code = 0;
	for (size_t i = 0; i < csv->config->columns.n && !code; i++)
		code = add_name(csv, csv->config->columns.values[i], strlen(csv->config->columns.values[i]));
	return code ? weir_error_set(err, code, "out of memory") : 0;
}

/* The header, up to one byte of it, is wrong. */
static int refuse_header(const struct csv *csv, const struct source_line *line, const char *at, struct weir_error *err,
			 const char *text)
{
	int row = (int)line->number, column = 1;
	for (const char *c = line->text; at && c < at; c++) {
		column = *c == '\n' ? 1 : column + 1;
		row += *c == '\n';
	}
	if (err) {
		snprintf(err->source, sizeof err->source, "%s", csv->path);
		err->line = row;
		err->column = column;
	}
	return weir_error_set(err, WEIR_EINVAL, "%s:%d:%d: %s", csv->path, row, column, text);
}

static int read_names(struct csv *csv, const struct source_line *line, struct fields *fields, struct weir_error *err)
{
	char text[200];
	while (next_field(fields, &csv->field)) {
		const char *name = csv->field.len ? csv->field.data : "";
		if (csv->field.failed || add_name(csv, name, csv->field.len))
			return weir_error_set(err, WEIR_ENOMEM, "out of memory");
		if (csv->n > COLUMNS_MOST)
			return refuse_header(csv, line, fields->begin, err, "the header has more than 4096 names");
		if (csv->field.len && !is_duplicate(csv))
			continue;
		if (csv->field.len)
			snprintf(text, sizeof text,
				 "duplicate name \"%.80s\" in the header; rename it, or name the fields with `columns`",
				 name);
		else
			snprintf(text, sizeof text,
				 "empty name in the header; fill it in, or name the fields with `columns`");
		return refuse_header(csv, line, fields->begin, err, text);
	}
	return 0;
}

/* Names that were given only have to be as many as the header's. */
static int count_names(struct csv *csv, const struct source_line *line, struct fields *fields, struct weir_error *err)
{
	char text[200];
	size_t n = 0;
	while (next_field(fields, &csv->field))
		n++;
	if (fields->wrong || n == csv->n)
		return 0;
	snprintf(text, sizeof text, "the header has %zu fields, but `columns` names %zu", n, csv->n);
	return refuse_header(csv, line, NULL, err, text);
}

/* Each of several files has to have the same header: the place of a later run is behind it. */
static int compare_names(struct csv *csv, const struct source_line *line, struct fields *fields, struct weir_error *err)
{
	struct buf name = {0};
	char text[400];
	size_t n = 0;
	bool same = true;
	for (; same && next_field(fields, &csv->field); n += same) {
		buf_clear(&name);
		buf_add_json_str(&name, csv->field.len ? csv->field.data : "", csv->field.len);
		buf_add_char(&name, ':');
		same = n < csv->n && name.len == csv->names[n].len &&
		       memcmp(name.data, csv->names[n].text, name.len) == 0;
	}
	int code = name.failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : 0;
	if (!code && !fields->wrong && (!same || n < csv->n)) {
		const struct name *expected = n < csv->n ? &csv->names[n] : NULL;
		snprintf(text, sizeof text,
			 "field %zu of the header is %.*s, but %.*s in %.150s; the files must have the same header",
			 n + 1, same ? 7 : (int)(name.len < 60 ? name.len - 1 : 60), same ? "missing" : name.data,
			 expected ? (int)(expected->len < 60 ? expected->len - 1 : 60) : 7,
			 expected ? expected->text : "missing", csv->names_from);
		code = refuse_header(csv, line, same ? NULL : fields->begin, err, text);
	}
	buf_fini(&name);
	return code;
}

static int take_header(struct csv *csv, const struct source_line *line, struct weir_error *err)
{
	struct fields fields = begin_fields(csv, line);
	struct item item = {0};
	if (line->too_long)
		return refuse_header(csv, line, NULL, err,
				     "the header is over 1 MiB; the first line should name the fields");
	if (source_find_bad_byte(line, &item)) {
		refuse_header(csv, line, NULL, err, item_why(&item));
		item_forget_why(&item);
		return WEIR_EINVAL;
	}
	int code = csv->config->columns.n ? count_names(csv, line, &fields, err)
		   : csv->names_from      ? compare_names(csv, line, &fields, err)
					  : read_names(csv, line, &fields, err);
	if (!code && fields.wrong)
		code = refuse_header(csv, line, fields.begin, err, fields.wrong);
	if (code)
		return code;
	csv->header_due = false;
	csv->names_from = csv->names_from ? csv->names_from : csv->path;
	return SOURCE_END;
}

/* ---- records */

/* The number of the field whose quote is open at the end of the text; 0: none, or it cannot be seen. */
static size_t find_open_field(struct csv *csv, const struct source_line *line)
{
	struct fields fields = begin_fields(csv, line);
	size_t n = 1;
	while (next_field(&fields, &csv->field))
		n++;
	return fields.wrong == not_closed ? n : 0;
}

static int refuse_long(struct csv *csv, const struct source_line *line, struct item *item)
{
	size_t field = line->open || line->lines > 1 ? find_open_field(csv, line) : 0;
	if (field && line->open)
		item_set_why(item, "record over 1 MiB; field %zu: %s", field, not_closed);
	else if (field)
		item_set_why(item, "record over 1 MiB; the quote of field %zu may not be closed", field);
	else
		item_set_why(item, "record over 1 MiB%s", line->open ? "; a quote is not closed" : "");
	return SOURCE_BAD;
}

/* The fields as members of csv->object; how many there were, those too many included. */
static size_t add_fields(struct csv *csv, struct fields *fields)
{
	size_t n = 0;
	buf_clear(&csv->object);
	buf_add_char(&csv->object, '{');
	for (; next_field(fields, &csv->field); n++) {
		if (n >= csv->n)
			continue;
		if (n)
			buf_add_char(&csv->object, ',');
		buf_add(&csv->object, csv->names[n].text, csv->names[n].len);
		buf_add_json_str(&csv->object, csv->field.len ? csv->field.data : "", csv->field.len);
		csv->object.failed = csv->object.failed || csv->field.failed;
	}
	buf_add_char(&csv->object, '}');
	return n;
}

static int take_record(struct csv *csv, const struct source_line *line, struct item *item, struct weir_error *err)
{
	struct fields fields = begin_fields(csv, line);
	bool plain = json_utf8_valid(line->text, line->len) && !memchr(line->text, 0, line->len);
	if (line->too_long)
		return refuse_long(csv, line, item);
	if (!plain && source_find_bad_byte(line, item))
		return SOURCE_BAD;
	size_t n = add_fields(csv, &fields);
	if (csv->object.failed)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (fields.wrong)
		item_set_why(item, "field %zu: %s", n + 1, fields.wrong);
	else if (n != csv->n)
		item_set_why(item, "%zu field%s, expected %zu", n, n == 1 ? "" : "s", csv->n);
	else if (csv->object.len > SOURCE_LINE_MAX)
		item_set_why(item, "over 1 MiB as a JSON object");
	if (item->why)
		return SOURCE_BAD;
	if (value_copy(&item->source, csv->object.data, csv->object.len))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return SOURCE_ITEM;
}

/* A lost quote takes the lines behind it into its record: so many, or the accounts could not be understood. */
static void add_lines(struct item *item, const struct source_line *line)
{
	if (line->lines > 1)
		item_set_why(item, "%s; %" PRIu64 " lines were read as one record", item_why(item), line->lines);
}

static int take_line(void *arg, const struct source_line *line, struct item *item, struct weir_error *err)
{
	struct csv *csv = arg;
	if (csv->header_due)
		return take_header(csv, line, err);
	int code = take_record(csv, line, item, err);
	if (code == SOURCE_BAD)
		add_lines(item, line);
	return code;
}

/* ---- the source */

static void free_csv(void *arg)
{
	struct csv *csv = arg;
	for (size_t i = 0; i < csv->n; i++)
		free(csv->names[i].text);
	free(csv->names);
	buf_fini(&csv->field);
	buf_fini(&csv->object);
	free(csv);
}

static void begin_file(void *arg, const char *path)
{
	struct csv *csv = arg;
	csv->path = path;
	csv->header_due = csv->config->header;
}

static const struct source_format format = {
	.find_end = find_end, .take = take_line, .begin = begin_file, .close = free_csv};

static int check_columns(const struct csv_source_config *config, const char **ret_key, struct weir_error *err)
{
	*ret_key = "columns";
	if (!config->header && !config->columns.n)
		return weir_error_set(err, WEIR_EINVAL,
				      "columns is required when header is false: it names the fields");
	if (config->columns.n > COLUMNS_MOST)
		return weir_error_set(err, WEIR_EINVAL, "more than %d columns", COLUMNS_MOST);
	for (size_t i = 0; i < config->columns.n; i++) {
		if (!config->columns.values[i][0])
			return weir_error_set(err, WEIR_EINVAL, "columns has an empty name");
		for (size_t k = 0; k < i; k++)
			if (strcmp(config->columns.values[k], config->columns.values[i]) == 0)
				return weir_error_set(err, WEIR_EINVAL, "duplicate name \"%.80s\" in columns",
						      config->columns.values[i]);
	}
	return 0;
}

static int check_csv(const void *config, const char **ret_key, struct weir_error *err)
{
	const struct csv_source_config *csv = config;
	const char *delimiter = csv->delimiter;
	if (strlen(delimiter) == 1 && !strpbrk(delimiter, "\"\r\n") && (unsigned char)*delimiter < 0x80)
		return check_columns(csv, ret_key, err);
	*ret_key = "delimiter";
	return weir_error_set(
		err, WEIR_EINVAL,
		"the delimiter is \"%.20s\", expected one ASCII character that is neither a quote nor a line break",
		delimiter);
}

static int open_csv(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err)
{
	struct csv *csv = calloc(1, sizeof *csv);
	struct source *source;
	if (!csv)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	(void)pipeline;
	csv->config = config;
	csv->delimiter = csv->config->delimiter[0];
	int code = name_columns(csv, err);
	if (code) {
		free_csv(csv);
		return code;
	}
	const struct source_input input = {.path = csv->config->path, .charset = (enum charset)csv->config->encoding};
	code = source_text_open(&input, &format, csv, &source, err);
	if (code)
		return code;
	if (csv->header_due)
		code = source_text_begin(source, err);
	if (code)
		source_text_close(source);
	else
		*ret_source = source;
	return code;
}

static const struct key keys[] = {
	{"path", KEY_PATH_IN, offsetof(struct csv_source_config, path), .flags = KEY_REQUIRED | KEY_PATTERN,
	 .text = "The file to read. Each record is an item, an object of strings (`tonumber` in jq makes numbers of "
		 "them); empty lines are skipped. Several files are read in the order of their names and must have the "
		 "same header; gzip and zstd files are decompressed"},
	{"header", KEY_BOOL, offsetof(struct csv_source_config, header), .fallback = "true",
	 .text = "Whether the first record names the fields"},
	{"columns", KEY_STRINGS, offsetof(struct csv_source_config, columns),
	 .text = "Names of the fields: required without a header, and instead of its names with one"},
	{"delimiter", KEY_STRING, offsetof(struct csv_source_config, delimiter), .fallback = ",",
	 .text = "The character between two fields, such as ; or \"\\t\""},
	{"encoding", KEY_ENUM, offsetof(struct csv_source_config, encoding), .choices = CHARSET_CHOICES,
	 .text = SOURCE_ENCODING_TEXT},
	{0},
};

static const struct source_ops ops = SOURCE_TEXT_OPS(open_csv);

const struct adapter source_csv_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "csv",
	.text = "Reads a file of comma-separated values",
	.keys = keys,
	.config_bytes = sizeof(struct csv_source_config),
	.shorthand = "path",
	.check = check_csv,
	.source = &ops,
};
