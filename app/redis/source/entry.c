/* SPDX-License-Identifier: MIT */
#include "redis/source/entry.h"

#include "data/buf.h"
#include "data/json.h"
#include "data/json_writer.h"
#include "port/source.h"

#include <string.h>

#define EXCERPT_BYTES ((size_t)72) /* six times that in JSON, at most */

static bool holds_json(const struct redis_entry_config *config, const redisReply *name)
{
	for (size_t i = 0; i < config->json.n; i++)
		if (strlen(config->json.values[i]) == name->len &&
		    !memcmp(config->json.values[i], name->str, name->len))
			return true;
	return false;
}

/* For messages. */
static const char *show(const redisReply *name, struct buf *text)
{
	buf_clear(text);
	buf_add_visible(text, name->str, name->len < 80 ? name->len : 80, false);
	return text->len ? text->data : "";
}

/* Appends the value as compact JSON.  WEIR_EDATA: it is none, and the item says so. */
static int put_json(const redisReply *name, const redisReply *value, struct buf *out, struct item *item)
{
	struct weir_error err = {0};
	struct buf text = {0};
	struct json *json = NULL;
	int code = json_parse(value->str, value->len, &json, &err);
	if (!code)
		code = json_write(json, out);
	else if (code == WEIR_EDATA)
		item_set_why(item, "field %s is not JSON: %s", show(name, &text), err.text);
	json_free(json);
	buf_fini(&text);
	return code;
}

static int put_field(const struct redis_entry_config *config, const redisReply *name, const redisReply *value,
		     struct buf *out, struct item *item)
{
	struct buf text = {0};
	int code = 0;
	if (!json_utf8_valid(name->str, name->len) || !json_utf8_valid(value->str, value->len)) {
		item_set_why(item, "field %s is not valid UTF-8", show(name, &text));
		buf_fini(&text);
		return WEIR_EDATA;
	}
	if (out->data[out->len - 1] != '{')
		buf_add_char(out, ',');
	buf_add_json_str(out, name->str, name->len);
	buf_add_char(out, ':');
	if (holds_json(config, name))
		code = put_json(name, value, out, item);
	else
		buf_add_json_str(out, value->str, value->len);
	return code;
}

static int put_object(const struct redis_entry_config *config, const redisReply *fields, struct buf *out,
		      struct item *item)
{
	int code = 0;
	buf_add_char(out, '{');
	for (size_t i = 0; i + 1 < fields->elements && !code && !out->failed; i += 2)
		code = put_field(config, fields->element[i], fields->element[i + 1], out, item);
	buf_add_char(out, '}');
	return code;
}

static int put_whole(const struct redis_entry_config *config, const redisReply *fields, struct buf *out,
		     struct item *item)
{
	size_t n = strlen(config->field);
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (fields->element[i]->len == n && !memcmp(fields->element[i]->str, config->field, n))
			return put_json(fields->element[i], fields->element[i + 1], out, item);
	item_set_why(item, "the entry has no field %s", config->field);
	return WEIR_EDATA;
}

/* The last one of two members with a name counts: so the id is that of the entry in any case. */
static int put_id(const char *name, const char *id, struct buf *out, struct item *item)
{
	if (out->data[0] != '{') {
		item_set_why(item, "the value is not an object, so it cannot have the entry's id as its field %s",
			     name);
		return WEIR_EDATA;
	}
	out->len--;
	json_put_text(out, name, id);
	return buf_add_char(out, '}');
}

static int put_item(const struct redis_entry_config *config, const char *id, const redisReply *fields, struct buf *out,
		    struct item *item)
{
	if (!fields || fields->type == REDIS_REPLY_INTEGER) {
		if (fields)
			item_set_why(item, "the entry has %lld bytes, more than 1 MiB", fields->integer);
		else
			item_set_why(item, "the entry was deleted from the stream before anybody had acknowledged it");
		return WEIR_EDATA;
	}
	int code = (config->field ? put_whole : put_object)(config, fields, out, item);
	if (!code && !out->failed && config->id)
		code = put_id(config->id, id, out, item);
	if (!code && out->len > REDIS_ENTRY_BYTES_MAX) {
		item_set_why(item, "the entry has more than 1 MiB as JSON");
		code = WEIR_EDATA;
	}
	return out->failed ? WEIR_ENOMEM : code;
}

/* A JSON text: the id, and how the entry begins. */
static void put_excerpt(const char *id, const redisReply *fields, struct buf *out)
{
	struct buf begin = {0};
	buf_clear(out);
	buf_addf(&begin, "%s", id);
	for (size_t i = 0; fields && fields->type == REDIS_REPLY_ARRAY && i < fields->elements; i++) {
		if (begin.len >= EXCERPT_BYTES)
			break;
		const redisReply *text = fields->element[i];
		buf_add_char(&begin, i % 2 ? '=' : ' ');
		buf_add(&begin, text->str, text->len < EXCERPT_BYTES ? text->len : EXCERPT_BYTES);
	}
	buf_add_json_str(out, begin.data, begin.len < EXCERPT_BYTES ? begin.len : EXCERPT_BYTES);
	out->failed = out->failed || begin.failed;
	buf_fini(&begin);
}

int redis_entry_read(const struct redis_entry_config *config, const char *id, const redisReply *fields,
		     struct item *item)
{
	struct buf out = {0};
	int code = put_item(config, id, fields, &out, item);
	if (code == WEIR_EDATA)
		put_excerpt(id, fields, &out);
	if (out.failed || (code && code != WEIR_EDATA)) {
		buf_fini(&out);
		return WEIR_ENOMEM;
	}
	item->source.data = buf_take(&out, &item->source.len);
	return !item->source.data ? WEIR_ENOMEM : code ? SOURCE_BAD : SOURCE_ITEM;
}
