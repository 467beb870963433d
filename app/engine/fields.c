/* SPDX-License-Identifier: MIT */
/* What fields of an item say: of its turn (flow.priority.field, flow.order_by), and who it is (key). */
#include "engine/parts.h"

#include "data/json.h"
#include "data/template.h"

#include <stdlib.h>
#include <weir/table.h>

enum { KEY_BYTES_MOST = 255 }; /* what APIs take */

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

/* NULL, or what is wrong with it: it goes into a header, and no two items may have the same for want of a value. */
static const char *find_wrong(const struct buf *key)
{
	for (size_t i = 0; i < key->len; i++)
		if ((unsigned char)key->data[i] < ' ' || key->data[i] == 0x7F)
			return "contains a control character";
	return !key->len ? "is empty" : key->len > KEY_BYTES_MOST ? "is longer than 255 bytes" : NULL;
}

static int fill_key(const struct template *template, const struct item *item, struct buf *key, struct weir_error *err)
{
	struct template_input input = {0};
	int code = value_json(&item->source, &input.item, err);
	if (!code)
		code = template_render(template, &input, key, err);
	const char *wrong = code ? NULL : find_wrong(key);
	if (key->failed)
		return WEIR_ENOMEM;
	return wrong ? weir_error_set(err, WEIR_EDATA, "it %s", wrong) : code;
}

int engine_make_key(const struct plan *plan, struct item *item)
{
	struct weir_error err = {0};
	struct buf key = {0};
	if (!plan->settings.key || item->key)
		return 0;
	int code = fill_key(plan->settings.key, item, &key, &err);
	if (!code && !(item->key = buf_take(&key, NULL)))
		code = WEIR_ENOMEM;
	buf_fini(&key);
	if (code && code != WEIR_ENOMEM)
		item_set_why(item, "key: %.200s", err.text);
	return code;
}
