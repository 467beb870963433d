/* SPDX-License-Identifier: MIT */
/*
 * Changes as a JSON object, as the workers of a run are told them:
 *
 *     {"concurrency":50,"rate":{"count":200,"period_ns":1000000000},"paused":false}       all may be left out
 */
#include "data/json.h"
#include "data/json_writer.h"
#include "engine/engine.h"

#include <string.h>

void engine_changes_write(const struct engine_changes *changes, struct buf *out)
{
	json_open(out, NULL, '{');
	if (changes->has_concurrency)
		json_put_uint(out, "concurrency", changes->concurrency);
	if (changes->has_rate) {
		json_open(out, "rate", '{');
		json_put_uint(out, "count", changes->rate.count);
		json_put_int(out, "period_ns", changes->rate.period);
		json_close(out, '}');
	}
	if (changes->has_pause)
		json_put_bool(out, "paused", changes->paused);
	json_close(out, '}');
}

int engine_changes_read(const char *text, struct engine_changes *ret_changes, struct weir_error *err)
{
	struct json *json;
	int code = json_parse(text, strlen(text), &json, err);
	if (code)
		return code;
	const struct json *rate = json_member(json, "rate"), *paused = json_member(json, "paused");
	*ret_changes = (struct engine_changes){
		.has_concurrency = json_member(json, "concurrency"),
		.concurrency = (size_t)json_member_int(json, "concurrency"),
		.has_rate = rate,
		.has_pause = paused,
		.paused = paused && json_type(paused) == JSON_BOOL && json_bool(paused),
	};
	if (rate)
		ret_changes->rate = (struct key_rate){.count = (uint64_t)json_member_int(rate, "count"),
						      .period = json_member_int(rate, "period_ns")};
	json_free(json);
	return 0;
}
