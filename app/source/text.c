/* SPDX-License-Identifier: MIT */
/*
 * Lines become items.  Empty lines are passed over.  A line that cannot be an item is handed out as bad, with its
 * number, the reason and an excerpt: as a JSON string, so that a dead letter is valid JSON whatever was in the line.
 *
 * Why a line is no JSON is found out only after the parser refused it; good lines pay for one pass.
 */
#include "source/text.h"

#include <stdlib.h>
#include <string.h>

#include "port/buf.h"
#include "port/json.h"
#include "port/utf8.h"
#include "source/reader.h"

struct source {
	struct source_reader *reader;
	enum source_format format;
	uint64_t items; /* handed out, good and bad */
};

int source_text_open(const char *path, enum source_format format, struct source **ret_source, struct weir_error *err)
{
	struct source *source = calloc(1, sizeof *source);
	if (!source)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	source->format = format;
	int code = source_reader_open(path, &source->reader, err);
	if (code) {
		free(source);
		return code;
	}
	*ret_source = source;
	return 0;
}

void source_text_close(struct source *source)
{
	if (!source)
		return;
	source_reader_close(source->reader);
	free(source);
}

static int set_string(struct item *item, const char *text, size_t n)
{
	struct buf buf = {0};
	buf_add_json_str(&buf, text, n);
	item->source.data = buf_take(&buf, &item->source.len);
	return item->source.data ? 0 : WEIR_ENOMEM;
}

/* At most SOURCE_EXCERPT_MAX bytes, and no character cut in two. */
static size_t excerpt_length(const char *text, size_t n)
{
	if (n <= SOURCE_EXCERPT_MAX)
		return n;
	size_t cut = SOURCE_EXCERPT_MAX;
	for (size_t back = 1; back <= 3; back++)
		if (!utf8_is_tail((unsigned char)text[cut - back])) {
			size_t length = utf8_length(text + cut - back, n - (cut - back));
			return length > back ? cut - back : cut;
		}
	return cut;
}

static int refuse_line(struct item *item, const struct source_line *line)
{
	return set_string(item, line->text, excerpt_length(line->text, line->len)) ? WEIR_ENOMEM : SOURCE_BAD;
}

/* Says where the first byte is that no text may hold, if there is one. */
static bool find_bad_byte(const struct source_line *line, struct item *item)
{
	for (size_t at = 0, step; at < line->len; at += step) {
		step = utf8_length(line->text + at, line->len - at);
		if (step && line->text[at])
			continue;
		item_set_why(item, step ? "NUL at byte %zu" : "invalid UTF-8 at byte %zu", at + 1);
		return true;
	}
	return false;
}

static int take_jsonl(struct item *item, const struct source_line *line)
{
	struct weir_error err = {0};
	struct json *json;
	int code = json_parse(line->text, line->len, &json, &err);
	if (code == WEIR_ENOMEM)
		return code;
	if (code < 0) {
		if (!find_bad_byte(line, item))
			item_set_why(item, "not JSON: %.200s at column %d", err.text, err.column);
		return refuse_line(item, line);
	}
	json_free(json);
	return value_copy(&item->source, line->text, line->len) ? WEIR_ENOMEM : SOURCE_ITEM;
}

static int take_lines(struct item *item, const struct source_line *line)
{
	bool plain = json_utf8_valid(line->text, line->len) && !memchr(line->text, 0, line->len);
	if (!plain && find_bad_byte(line, item))
		return refuse_line(item, line);
	if (set_string(item, line->text, line->len))
		return WEIR_ENOMEM;
	if (item->source.len <= SOURCE_LINE_MAX)
		return SOURCE_ITEM;
	value_fini(&item->source);
	item_set_why(item, "over 1 MiB as a JSON string");
	return refuse_line(item, line);
}

int source_text_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	struct source_line line;
	int code;
	if (weir_canceled())
		return weir_error_set(err, WEIR_ECANCELED, "cancelled");
	do {
		code = source_reader_next(source->reader, &line, err, deadline);
		if (code <= 0)
			return code;
	} while (!line.len);
	item->position = line.number;
	if (line.too_long) {
		item_set_why(item, "line over 1 MiB");
		code = refuse_line(item, &line);
	} else {
		code = source->format == SOURCE_JSONL ? take_jsonl(item, &line) : take_lines(item, &line);
	}
	if (code < 0)
		return weir_error_set(err, code, "out of memory");
	source->items++;
	return code;
}

/* What is left is taken to be like what was read. */
int64_t source_text_total(const struct source *source, bool *ret_exact)
{
	struct source_progress progress;
	source_reader_progress(source->reader, &progress);
	*ret_exact = progress.ended;
	if (progress.ended)
		return (int64_t)source->items;
	if (progress.total_bytes < 0 || !source->items)
		return -1;
	double left = (double)progress.total_bytes - (double)progress.bytes;
	double each = (double)progress.bytes / (double)source->items;
	return (int64_t)source->items + (left > 0 ? (int64_t)(left / each) : 0);
}

bool source_text_identify(const struct source *source, struct buf *identity)
{
	(void)source, (void)identity;
	return false;
}

int source_text_resume(struct source *source, const char *identity, const struct source_cursor *cursor, bool adopt,
		       struct weir_error *err)
{
	(void)source, (void)identity, (void)cursor, (void)adopt;
	return weir_error_set(err, WEIR_EINVAL, "cannot be read again");
}

void source_text_cursor(const struct source *source, struct source_cursor *ret_cursor)
{
	(void)source;
	*ret_cursor = (struct source_cursor){0};
}
