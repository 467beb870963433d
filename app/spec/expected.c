/* SPDX-License-Identifier: MIT */
/* What a key may be, in words: one source for the messages of the parser and for `weir list`. */
#include <stdio.h>
#include <string.h>

#include "data/units.h"
#include "spec/spec.h"

bool spec_shorthand(const struct key *group, struct key *ret_key)
{
	for (const struct key *key = group->shorthand ? group->group : NULL; key && key->name; key++) {
		if (strcmp(key->name, group->shorthand) != 0)
			continue;
		*ret_key = *key;
		ret_key->name = group->name;
		return true;
	}
	return false;
}

static const char *const type_words[] = {
	[KEY_STRING] = "text",
	[KEY_TEMPLATE] = "text, which may contain ${.path}",
	[KEY_JSON] = "a map or a list, whose texts may contain ${.path}, or a jq program",
	[KEY_URL] = "a URL that begins with http:// or https:// and may contain ${.path}",
	[KEY_PATH] = "the path of a file, which may contain ${.path}",
	[KEY_PATH_IN] = "the path of a readable file",
	[KEY_PATH_OUT] = "a path in a folder that exists",
	[KEY_JQ] = "a jq program, in quotes if it begins with a bracket",
	[KEY_WAIT] = "a duration, or a jq program that gives seconds",
	[KEY_DURATION] = "a duration with a unit, such as 10s or 200ms",
	[KEY_DURATIONS] = "a duration or a range of two, such as 200ms..30s",
	[KEY_SIZE] = "a size, such as 64KiB or 10MiB",
	[KEY_COUNT] = "a whole number",
	[KEY_RATE] = "a rate, such as 1000/s, 60/m or 3/10s",
	[KEY_FIELD] = "a path into the item, such as .customer.id",
	[KEY_PERCENT] = "a percentage, such as 50% or 0.5",
	[KEY_BOOL] = "true or false",
	[KEY_ENUM] = "one of ",
	[KEY_RANGE] = "a range of whole numbers, such as 1-1000",
	[KEY_COUNTS] = "a list of whole numbers",
	[KEY_STRINGS] = "text or a list of texts",
	[KEY_HEADERS] = "a map of header names to texts",
	[KEY_COLUMNS] = "a list of names, or a map of names to types",
	[KEY_TIMES] = "a map of whole numbers to durations, such as {0: 2s}",
	[KEY_LIST] = "a list of maps",
	[KEY_GROUP] = "a map of keys",
};

static void write_bound(const struct key *key, int64_t value, char text[32])
{
	if (key->type == KEY_DURATION || key->type == KEY_DURATIONS)
		units_duration_text(value, text);
	else if (key->type == KEY_SIZE)
		units_size_text((uint64_t)value, text);
	else
		snprintf(text, 32, "%lld", (long long)value);
}

void spec_bounds(const struct key *key, struct buf *out)
{
	char min[32], max[32];
	if (key->type != KEY_DURATION && key->type != KEY_DURATIONS && key->type != KEY_SIZE &&
	    key->type != KEY_COUNT && key->type != KEY_COUNTS)
		return;
	write_bound(key, key->min, min);
	write_bound(key, key->max, max);
	if (key->max > key->min)
		buf_addf(out, ", from %s to %s", min, max);
	else if (key->min > 0)
		buf_addf(out, ", at least %s", min);
}

void spec_key_names(const struct key *keys, struct buf *out)
{
	for (const struct key *key = keys; key->name; key++)
		buf_addf(out, "%s%s", key == keys ? " (" : ", ", key->name);
	buf_add_char(out, ')');
}

void spec_expected(const struct key *key, struct buf *out)
{
	struct key plain;
	if (key->choices && (key->type == KEY_COUNT || key->type == KEY_COLUMNS || key->type == KEY_GROUP))
		buf_addf(out, "%s, or ", key->choices);
	if (key->type == KEY_GROUP && spec_shorthand(key, &plain)) {
		spec_expected(&plain, out);
		buf_add_str(out, "; or ");
	}
	buf_add_str(out, type_words[key->type]);
	spec_bounds(key, out);
	switch (key->type) {
	case KEY_PATH_IN:
		if (key->flags & KEY_PATTERN)
			buf_add_str(out, ", or a pattern such as dump/*.jsonl");
		break;
	case KEY_ENUM:
		for (const char *c = key->choices; c && *c; c++)
			*c == '|' ? buf_add_str(out, ", ") : buf_add_char(out, *c);
		break;
	default:
		break;
	}
}
