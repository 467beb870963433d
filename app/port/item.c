/* SPDX-License-Identifier: MIT */
/*
 * Items and their values are plain malloc'ed memory: glibc's per-thread cache serves blocks of these sizes in some
 * 20 ns, and a million items pass through few of them.  Most items have one output, so a list starts with one place.
 */
#include "port/item.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void value_fini(struct value *value)
{
	free(value->data);
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
	*ret_value = (struct value){data, n};
	return 0;
}

int value_list_take(struct value_list *list, struct value *value)
{
	if (list->n == list->room) {
		size_t room = list->room ? list->room * 2 : 1;
		struct value *values = reallocarray(list->values, room, sizeof *values);
		if (!values) {
			value_fini(value);
			return WEIR_ENOMEM;
		}
		list->values = values;
		list->room = room;
	}
	list->values[list->n++] = *value;
	*value = (struct value){0};
	return 0;
}

void value_list_fini(struct value_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->values[i].data);
	free(list->values);
	*list = (struct value_list){0};
}

struct item *item_new(void)
{
	return calloc(1, sizeof(struct item));
}

void item_free(struct item *item)
{
	if (!item)
		return;
	value_fini(&item->source);
	value_list_fini(&item->outputs);
	free(item);
}

void item_set_why(struct item *item, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(item->why, sizeof item->why, format, args);
	va_end(args);
	for (char *c = item->why; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			*c = '?';
}
