/* SPDX-License-Identifier: MIT */
/*
 * Lines become items.  Empty lines are passed over.  A line that cannot be an item is handed out as bad, with its
 * number, the reason and an excerpt: as a JSON string, so that a dead letter is valid JSON whatever was in the line.
 *
 * Why a line is no JSON is found out only after the parser refused it; good lines pay for one pass.
 *
 * The cursor moves only when an item was handed out: a line that was read and then found no memory is read again by the
 * run that goes on.
 */
#include "source/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/buf.h"
#include "port/json.h"
#include "port/utf8.h"

struct source {
	struct source_reader *reader;
	const struct source_format *format;
	void *arg;
	struct source_place place; /* behind the last item */
	uint64_t items;            /* handed out, good and bad, those before resume() included */
};

static void close_format(const struct source_format *format, void *arg)
{
	if (format->close)
		format->close(arg);
}

int source_text_open(const char *path, const struct source_format *format, void *arg, struct source **ret_source,
		     struct weir_error *err)
{
	struct source *source = calloc(1, sizeof *source);
	if (!source) {
		close_format(format, arg);
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	source->format = format;
	source->arg = arg;
	int code = source_reader_open(path, format->find_end, arg, &source->reader, err);
	if (code) {
		source_text_close(source);
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
	close_format(source->format, source->arg);
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

bool source_find_bad_byte(const struct source_line *line, struct item *item)
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

static int refuse_long(struct item *item)
{
	item_set_why(item, "line over 1 MiB");
	return SOURCE_BAD;
}

static int take_jsonl(void *arg, const struct source_line *line, struct item *item, struct weir_error *err)
{
	struct weir_error reason = {0};
	struct json *json;
	(void)arg;
	if (line->too_long)
		return refuse_long(item);
	int code = json_parse(line->text, line->len, &json, &reason);
	if (code < 0 && code != WEIR_ENOMEM) {
		if (!source_find_bad_byte(line, item))
			item_set_why(item, "not JSON: %.200s at column %d", reason.text, reason.column);
		return SOURCE_BAD;
	}
	if (!code) {
		json_free(json);
		code = value_copy(&item->source, line->text, line->len);
	}
	return code ? weir_error_set(err, code, "out of memory") : SOURCE_ITEM;
}

static int take_lines(void *arg, const struct source_line *line, struct item *item, struct weir_error *err)
{
	(void)arg;
	if (line->too_long)
		return refuse_long(item);
	bool plain = json_utf8_valid(line->text, line->len) && !memchr(line->text, 0, line->len);
	if (!plain && source_find_bad_byte(line, item))
		return SOURCE_BAD;
	if (set_string(item, line->text, line->len))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (item->source.len <= SOURCE_LINE_MAX)
		return SOURCE_ITEM;
	value_fini(&item->source);
	item_set_why(item, "over 1 MiB as a JSON string");
	return SOURCE_BAD;
}

const struct source_format source_jsonl_format = {.take = take_jsonl}, source_lines_format = {.take = take_lines};

/* The next line that is not empty: as source_reader_next(). */
static int next_line(struct source *source, struct source_line *ret_line, struct weir_error *err, weir_nsec deadline)
{
	int code;
	do
		code = source_reader_next(source->reader, ret_line, err, deadline);
	while (code == 1 && !ret_line->len);
	return code;
}

int source_text_begin(struct source *source, struct weir_error *err)
{
	struct item none = {0};
	struct source_line line;
	if (!source_reader_file(source->reader)->regular)
		return 0;
	int code = next_line(source, &line, err, WEIR_FOREVER);
	return code == 1 ? source->format->take(source->arg, &line, &none, err) : code;
}

int source_text_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	struct source_line line;
	int code;
	if (weir_canceled())
		return weir_error_set(err, WEIR_ECANCELED, "cancelled");
	do {
		code = next_line(source, &line, err, deadline);
		if (code <= 0)
			return code;
		code = source->format->take(source->arg, &line, item, err);
	} while (code == SOURCE_END);
	if (code == SOURCE_BAD && set_string(item, line.text, excerpt_length(line.text, line.len)))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (code < 0)
		return code;
	item->position = line.number;
	source_reader_place(source->reader, &source->place);
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
	return source_file_identify(source_reader_file(source->reader), identity);
}

static const char cursor_form[] = "offset=%" SCNu64 " line=%" SCNu64 " items=%" SCNu64;

int source_text_resume(struct source *source, const char *identity, const struct source_cursor *cursor, bool adopt,
		       struct weir_error *err)
{
	struct source_place place = {0};
	uint64_t items = 0;
	if (*cursor->text && sscanf(cursor->text, cursor_form, &place.offset, &place.lines, &items) != 3)
		return weir_error_set(err, WEIR_EINVAL, "no place in a file: %s", cursor->text);
	int code = source_file_check(source_reader_file(source->reader), identity, place.offset, adopt, err);
	if (!code && *cursor->text)
		code = source_reader_goto(source->reader, &place, err);
	if (code)
		return code;
	source->place = place;
	source->items = items;
	return 0;
}

void source_text_cursor(const struct source *source, struct source_cursor *ret_cursor)
{
	*ret_cursor = (struct source_cursor){0};
	if (source->items)
		snprintf(ret_cursor->text, sizeof ret_cursor->text,
			 "offset=%" PRIu64 " line=%" PRIu64 " items=%" PRIu64, source->place.offset,
			 source->place.lines, source->items);
}
