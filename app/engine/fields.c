/* SPDX-License-Identifier: MIT */
/* What fields of an item say about its turn: flow.priority.field and flow.order_by. */
#include "engine/internal.h"

#include "port/json.h"

#include <stdlib.h>

static struct json *parse(const struct item *item)
{
	struct json *json = NULL;
	return json_parse(item->source.data, item->source.len, &json, NULL) ? NULL : json;
}

int64_t engine_class_of(void *arg, const struct item *item)
{
	const struct engine *engine = arg;
	int64_t class = PLAN_CLASS_MOST;
	struct json *json = item->bad ? NULL : parse(item);
	const struct json *value = json ? json_at(json, engine->plan->settings.priority_field) : NULL;
	double number = -1;
	if (value && (json_type(value) == JSON_NUMBER_INT || json_type(value) == JSON_NUMBER_REAL))
		number = json_real(value);
	else if (value)
		number = PLAN_CLASS_MOST;
	if (value && number < PLAN_CLASS_MOST)
		class = number > 0 ? (int64_t)number : 0;
	json_free(json);
	return class;
}

/* FNV-1a (Fowler, Noll, Vo).  Two values of one hash go one after the other for no reason, and that is all. */
static uint64_t hash_of(const char *text, size_t n)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
	return hash ? hash : 1;
}

uint64_t engine_lane_of(const struct engine *engine, const struct item *item)
{
	struct json *json = item->bad ? NULL : parse(item);
	const struct json *value = json ? json_at(json, engine->plan->settings.order_by) : NULL;
	uint64_t lane = 0;
	size_t n = 0;
	char *text = value && json_type(value) != JSON_NULL ? json_dump(value, &n) : NULL;
	if (text)
		lane = hash_of(text, n);
	free(text);
	json_free(json);
	return lane;
}
