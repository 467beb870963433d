/* SPDX-License-Identifier: MIT */
#include "port/letter.h"

#include <stdio.h>
#include <string.h>

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
