/* SPDX-License-Identifier: MIT */
#include "port/letter.h"

#include <stdio.h>
#include <string.h>

#include "data/json.h"
#include "data/json_writer.h"
#include "port/cause.h"

struct letter letter_of(const struct item *item, int64_t at_unix)
{
	return (struct letter){
		.id = item->id,
		.reason = item_why(item),
		.attempts = item->attempts,
		.position = item->position,
		.at_unix = at_unix,
		.cause = cause_of(item_why(item), item->evidence.data, item->evidence.len),
		.evidence = item->evidence,
		.item = item->source,
	};
}

int letter_number(const char *history, uint64_t id, uint64_t *ret_number)
{
	struct json *json;
	const struct json *death;
	uint64_t number = 0;
	size_t pos = 0;
	int code = json_parse(history, strlen(history), &json, NULL);
	if (code)
		return code;
	while ((death = json_next(json, &pos, NULL))) {
		const struct json *mended = json_member(death, "mended");
		number = number ? number : (uint64_t)json_member_int(death, "id");
		if (mended && json_bool(mended))
			number = 0;
	}
	json_free(json);
	*ret_number = number ? number : id;
	return 0;
}

void letter_write(const struct letter *letter, struct buf *out)
{
	char group[16];
	snprintf(group, sizeof group, "%08x", letter->cause);
	json_open(out, NULL, '{');
	if (letter->id)
		json_put_uint(out, "id", letter->id);
	json_put_text(out, "reason", letter->reason);
	json_put_uint(out, "attempts", letter->attempts);
	json_put_uint(out, "position", letter->position);
	json_put_time(out, "at", letter->at_unix);
	json_put_text(out, "group", group);
	if (letter->history)
		json_put_raw(out, "history", letter->history, strlen(letter->history));
	json_put_raw(out, "evidence", letter->evidence.data, letter->evidence.len);
	json_put_raw(out, "item", letter->item.data, letter->item.len);
	json_close(out, '}');
}

/* The same bytes for the same value, however it was written. */
static int write_plain(const struct value *value, struct buf *out)
{
	struct json *json;
	int code = json_parse(value->data, value->len, &json, NULL);
	if (code)
		return code;
	code = json_write(json, out);
	json_free(json);
	return code;
}

int letter_is_mended(const struct letter *letter, const struct value *instead, bool *ret_mended)
{
	struct buf was = {0}, is = {0};
	int code = write_plain(&letter->item, &was);
	if (!code)
		code = write_plain(instead, &is);
	*ret_mended = code || was.len != is.len || memcmp(was.data, is.data, is.len) != 0;
	buf_fini(&was);
	buf_fini(&is);
	return code == WEIR_ENOMEM ? code : 0;
}

void letter_add_death(const struct letter *letter, bool mended, struct buf *history)
{
	size_t length = letter->history ? strlen(letter->history) : 0;
	json_open(history, NULL, '[');
	if (length > 2) /* more than [] */
		json_put_raw(history, NULL, letter->history + 1, length - 2);
	json_open(history, NULL, '{');
	json_put_uint(history, "id", letter->id);
	json_put_text(history, "reason", letter->reason);
	json_put_uint(history, "attempts", letter->attempts);
	json_put_time(history, "at", letter->at_unix);
	if (mended)
		json_put_bool(history, "mended", true);
	json_close(history, '}');
	json_close(history, ']');
}
