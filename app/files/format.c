/* SPDX-License-Identifier: MIT */
/*
 * Lines become items.  A line that cannot be an item is bad, with the reason and an excerpt: as a JSON string, so that
 * a dead letter is valid JSON whatever was in the line.
 *
 * Why a line is no JSON is found out only after the parser refused it; good lines pay for one pass.
 */
#include <string.h>

#include "data/buf.h"
#include "data/json.h"
#include "data/utf8.h"
#include "files/text.h"

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

int source_set_excerpt(struct item *item, const struct source_line *line)
{
	return set_string(item, line->text, excerpt_length(line->text, line->len));
}

bool source_find_bad_byte(const struct source_line *line, struct item *item)
{
	size_t byte;
	char hex[5];
	if (charset_find_bad(line->charset, line->text, line->len, &byte, hex)) {
		item_set_why(item, "0x%s at byte %zu is not %s", hex, byte, charset_name(line->charset));
		return true;
	}
	for (size_t at = 0, step; at < line->len; at += step) {
		step = utf8_length(line->text + at, line->len - at);
		if (step && line->text[at])
			continue;
		item_set_why(item,
			     step ? "NUL at byte %zu"
				  : "invalid UTF-8 at byte %zu; if the file is Latin-1, set encoding: latin1",
			     at + 1);
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
	if (!code && (code = value_copy(&item->source, line->text, line->len)))
		json_free(json);
	else if (!code)
		code = value_keep_json(&item->source, json);
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
