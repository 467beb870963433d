/* SPDX-License-Identifier: MIT */
/*
 * Values and the items they belong to are plain malloc'ed memory: glibc's per-thread cache serves blocks of these sizes
 * in some 20 ns, and a million items pass through few of them.  Most items have one output, so a list starts with one
 * place.
 */
#include "data/value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <weir/base.h>

#include "data/array.h"
#include "data/json.h"

void value_fini(struct value *value)
{
	free(value->data);
	free(value->meta);
	value_forget(value);
	*value = (struct value){0};
}

int value_copy(struct value *ret_value, const void *bytes, size_t n)
{
	char *data = n < SIZE_MAX ? malloc(n + 1) : NULL;
	if (!data)
		return WEIR_ENOMEM;
	if (n)
		memcpy(data, bytes, n);
	data[n] = 0;
	*ret_value = (struct value){data, n, NULL};
	return 0;
}

int value_copy_meta(struct value *value, const struct value *from)
{
	char *meta = from->meta ? strdup(from->meta) : NULL;
	if (from->meta && !meta)
		return WEIR_ENOMEM;
	free(value->meta);
	value->meta = meta;
	return 0;
}

/* It is a cache: a value that has it is the same value. */
static void set_json(const struct value *value, struct json *json)
{
	((struct value *)(uintptr_t)value)->json = json;
}

int value_hand_on(struct value *ret_value, const struct value *from)
{
	int code = value_copy(ret_value, from->data, from->len);
	if (code)
		return code;
	ret_value->json = from->json;
	set_json(from, NULL);
	return 0;
}

int value_json(const struct value *value, const struct json **ret_json, struct weir_error *err)
{
	struct json *json = value->json;
	int code = json ? 0 : json_parse(value->data, value->len, &json, err);
	if (code)
		return code;
	set_json(value, json);
	*ret_json = json;
	return 0;
}

int value_keep_json(struct value *value, struct json *json)
{
	value->json = json;
	if (!json_changed(json))
		return 0;
	size_t n;
	char *text = json_dump(json, &n);
	if (!text) {
		value_forget(value);
		return WEIR_ENOMEM;
	}
	free(value->data);
	value->data = text;
	value->len = n;
	return 0;
}

void value_forget(const struct value *value)
{
	if (!value->json)
		return;
	json_free(value->json);
	set_json(value, NULL);
}

int value_list_take(struct value_list *list, struct value *value)
{
	if (array_reserve(&list->values, &list->room, list->n + 1, sizeof *list->values)) {
		value_fini(value);
		return WEIR_ENOMEM;
	}
	list->values[list->n++] = *value;
	*value = (struct value){0};
	return 0;
}

void value_list_fini(struct value_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		value_fini(&list->values[i]);
	free(list->values);
	*list = (struct value_list){0};
}
