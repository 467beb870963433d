/* SPDX-License-Identifier: MIT */
/* What fields of an item say about its turn: flow.priority.field and flow.order_by. */
#include "engine/parts.h"

#include "data/json.h"

#include <stdlib.h>
#include <weir/table.h>

/* NULL: there is none. */
static const struct json *field_of(const struct item *item, const char *path)
{
	const struct json *json;
	return item->bad || value_json(&item->source, &json, NULL) ? NULL : json_at(json, path);
}

int64_t engine_class_of(const struct plan *plan, const struct item *item)
{
	int64_t class = PLAN_CLASS_MOST;
	const struct json *value = field_of(item, plan->settings.priority_field);
	double number = -1;
	if (value && (json_type(value) == JSON_NUMBER_INT || json_type(value) == JSON_NUMBER_REAL))
		number = json_real(value);
	else if (value)
		number = PLAN_CLASS_MOST;
	if (value && number < PLAN_CLASS_MOST)
		class = number > 0 ? (int64_t)number : 0;
	value_forget(&item->source); /* the item goes to wait in line */
	return class;
}

/* Two values of one hash go one after the other for no reason, and that is all. */
uint64_t engine_ordering_key(const struct plan *plan, uint64_t seed, const struct item *item)
{
	const struct json *value = field_of(item, plan->settings.order_by);
	uint64_t key = 0;
	size_t n = 0;
	char *text = value && json_type(value) != JSON_NULL ? json_dump(value, &n) : NULL;
	if (text && !(key = weir_hash(WEIR_HASH ^ seed, text, n)))
		key = 1;
	free(text);
	return key;
}
