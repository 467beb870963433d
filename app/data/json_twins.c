/* SPDX-License-Identifier: MIT */
/*
 * Members of an object with the same name: the last one counts, as it does for most who read JSON (RFC 8259 leaves it
 * open).  The others leave the tape, and blanks take their place in the copy of the text, so nothing that reads or
 * writes the value meets them:
 *
 *     {"a": 1, "b": 2, "a": 3}   ->   {        "b": 2, "a": 3}
 */
#include <stdlib.h>
#include <string.h>

#include "data/json_tape.h"

enum { FEW_KEYS = 16 };

static bool same_key(const struct json *a, const struct json *b)
{
	return a->size == b->size && memcmp(a->at, b->at, a->size) == 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct json *x = *(const struct json *const *)a, *y = *(const struct json *const *)b;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	int order = memcmp(x->at, y->at, x->size);
	return order ? order : (x > y) - (x < y);
}

/* Counts the keys.  Few are compared each with each, which is the usual case; of many there may be twins. */
static bool may_have_twins(const struct json *object, size_t *ret_count)
{
	const struct json *few[FEW_KEYS], *key;
	bool found = false;
	size_t count = 0;
	for (size_t pos = 0; json_next(object, &pos, &key); count++) {
		if (count >= FEW_KEYS)
			continue;
		few[count] = key;
		for (size_t i = 0; i < count; i++)
			found = found || same_key(few[i], key);
	}
	*ret_count = count;
	return found || count > FEW_KEYS;
}

/* Marks the keys that do not count.  Sorted, so that no choice of keys makes it slow, as it could make a hash table. */
static int mark_twins(const struct json *object, size_t count, size_t *ret_marked)
{
	const struct json **keys = malloc(count * sizeof *keys), *key;
	size_t n = 0;
	*ret_marked = 0;
	if (!keys)
		return WEIR_ENOMEM;
	for (size_t pos = 0; json_next(object, &pos, &key);)
		keys[n++] = key;
	qsort(keys, n, sizeof *keys, compare_keys);
	for (size_t i = 1; i < n; i++) {
		if (!same_key(keys[i - 1], keys[i]))
			continue;
		((struct json *)(uintptr_t)keys[i - 1])->type = JSON_NULL;
		++*ret_marked;
	}
	free(keys);
	return 0;
}

/* The comma or bracket behind the member at p, in a text whose strings end with a NUL. */
static char *skip_member(char *p)
{
	for (size_t depth = 0;; p++) {
		p += strcspn(p, "\"[]{},");
		if (*p == '"')
			p += strlen(p);
		else if (*p == '[' || *p == '{')
			depth++;
		else if (depth == 0)
			return p;
		else if (*p != ',')
			depth--;
	}
}

static void drop_marked(struct json *object)
{
	struct json *to = object + 1;
	char *text = (char *)(uintptr_t)object->at + 1;
	const struct json *key;
	for (size_t pos = 0; json_next(object, &pos, &key);) {
		char *end = skip_member(text);
		size_t nodes = (size_t)(object + pos - key);
		if (key->type == JSON_NULL)
			memset(text, ' ', (size_t)(end - text) + 1);
		else
			to = (struct json *)memmove(to, key, nodes * sizeof *to) + nodes;
		text = end + 1;
	}
	object->size = (uint32_t)(to - object);
}

int json_drop_twins(struct json *object)
{
	size_t count, marked;
	if (!may_have_twins(object, &count))
		return 0;
	int code = mark_twins(object, count, &marked);
	if (code || !marked)
		return code;
	drop_marked(object);
	return 1;
}
