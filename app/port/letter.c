/* SPDX-License-Identifier: MIT */
#include "port/letter.h"

#include <string.h>
#include <time.h>

void letter_write(const struct letter *letter, struct buf *out)
{
	char at[32];
	time_t seconds = (time_t)letter->at_unix;
	struct tm utc;
	strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
	buf_add_char(out, '{');
	if (letter->id)
		buf_addf(out, "\"id\":%llu,", (unsigned long long)letter->id);
	buf_add_str(out, "\"reason\":");
	buf_add_json_str(out, letter->reason, strlen(letter->reason));
	buf_addf(out, ",\"attempts\":%u,\"position\":%llu,\"at\":\"%s\"", letter->attempts,
		 (unsigned long long)letter->position, at);
	if (letter->history)
		buf_addf(out, ",\"history\":%s", letter->history);
	buf_add_str(out, ",\"item\":");
	buf_add(out, letter->item.data, letter->item.len);
	buf_add_char(out, '}');
}
