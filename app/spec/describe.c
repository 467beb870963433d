/* SPDX-License-Identifier: MIT */
/* What a key may be, in words: one source for the messages of the parser and for `weir list`. */
#include <stdio.h>
#include <string.h>

#include "spec/spec.h"
#include "spec/units.h"

enum { COLUMNS = 80 };

static const char *type_words(enum key_type type)
{
	switch (type) {
	case KEY_STRING:
		return "a text";
	case KEY_TEMPLATE:
		return "a text, perhaps with ${.path}";
	case KEY_URL:
		return "a URL that begins with http:// or https://, perhaps with ${.path}";
	case KEY_PATH_IN:
		return "the path of a readable file";
	case KEY_PATH_OUT:
		return "a path in a folder that exists";
	case KEY_JQ:
		return "a jq program, in quotes if it begins with a bracket";
	case KEY_DURATION:
		return "a duration with a unit, such as 10s or 200ms";
	case KEY_DURATIONS:
		return "a duration, or two, the shorter first, such as 200ms..30s";
	case KEY_SIZE:
		return "a size, such as 64KiB or 10MiB";
	case KEY_COUNT:
		return "a whole number";
	case KEY_RATE:
		return "so many in a time, such as 1000/s, 60/m or 3/10s";
	case KEY_FIELD:
		return "a path into the item, such as .customer.id";
	case KEY_PERCENT:
		return "a share from 0% to 100%, such as 50% or 0.5";
	case KEY_BOOL:
		return "true or false";
	case KEY_ENUM:
		return "one of ";
	case KEY_RANGE:
		return "a range of whole numbers, such as 1-1000";
	case KEY_COUNTS:
		return "a list of whole numbers";
	case KEY_STRINGS:
		return "a text or a list of texts";
	case KEY_HEADERS:
		return "a map of header names to texts";
	case KEY_TIMES:
		return "a map of whole numbers to durations, such as {0: 2s}";
	case KEY_GROUP:
		return "a map with keys of its own";
	}
	return "";
}

static void write_bound(const struct key *key, int64_t value, char text[32])
{
	if (key->type == KEY_DURATION || key->type == KEY_DURATIONS)
		spec_duration_write(value, text);
	else if (key->type == KEY_SIZE)
		spec_size_write((uint64_t)value, text);
	else
		snprintf(text, 32, "%lld", (long long)value);
}

static void add_bounds(const struct key *key, struct buf *out)
{
	char min[32], max[32];
	write_bound(key, key->min, min);
	write_bound(key, key->max, max);
	if (key->max > key->min)
		buf_addf(out, ", from %s to %s", min, max);
	else if (key->min > 0)
		buf_addf(out, ", at least %s", min);
}

void spec_expected(const struct key *key, struct buf *out)
{
	if (key->choices && (key->type == KEY_COUNT || key->type == KEY_GROUP))
		buf_addf(out, "%s, or ", key->choices);
	buf_add_str(out, type_words(key->type));
	switch (key->type) {
	case KEY_DURATION:
	case KEY_DURATIONS:
	case KEY_SIZE:
	case KEY_COUNT:
	case KEY_COUNTS:
		add_bounds(key, out);
		break;
	case KEY_ENUM:
		for (const char *c = key->choices; c && *c; c++)
			*c == '|' ? buf_add_str(out, ", ") : buf_add_char(out, *c);
		break;
	default:
		break;
	}
}

/* Words of text in lines of at most COLUMNS; spaces between words stay, but for those where a line breaks. */
static void add_wrapped(struct buf *out, const char *text, unsigned first, unsigned indent)
{
	size_t column = first;
	buf_addf(out, "%*s", (int)first, "");
	while (*text) {
		size_t spaces = strspn(text, " "), n = strcspn(text + spaces, " ");
		if (column + spaces + n > COLUMNS && column > indent) {
			buf_addf(out, "\n%*s", (int)indent, "");
			column = indent;
			text += spaces;
			spaces = 0;
		}
		buf_add(out, text, spaces + n);
		column += spaces + n;
		text += spaces + n;
	}
	buf_add_char(out, '\n');
}

static void describe_keys(const struct key *keys, unsigned indent, struct buf *out)
{
	for (const struct key *key = keys; key->name; key++) {
		struct buf line = {0};
		buf_addf(&line, "%s: ", key->name);
		spec_expected(key, &line);
		if (key->fallback)
			buf_addf(&line, "; default %s", key->fallback[0] ? key->fallback : "\"\"");
		else if (key->flags & KEY_REQUIRED)
			buf_add_str(&line, "; required");
		if (line.failed)
			out->failed = true;
		else
			add_wrapped(out, line.data, indent, indent + 2);
		buf_fini(&line);
		add_wrapped(out, key->text, indent + 4, indent + 4);
		if (key->type == KEY_GROUP)
			describe_keys(key->group, indent + 4, out);
	}
}

int spec_describe_all(struct buf *out)
{
	for (int kind = ADAPTER_SOURCE; kind <= ADAPTER_SINK; kind++) {
		buf_addf(out, "%s%ss\n", out->len ? "\n" : "", adapter_kind_name((enum adapter_kind)kind));
		for (const struct adapter *const *at = adapter_registry; *at; at++) {
			struct buf line = {0};
			if ((int)(*at)->kind != kind)
				continue;
			buf_addf(&line, "%-9s %s", (*at)->name, (*at)->text);
			if (line.data)
				add_wrapped(out, line.data, 2, 12);
			buf_fini(&line);
		}
	}
	return out->failed ? WEIR_ENOMEM : 0;
}

int spec_describe_flow(struct buf *out)
{
	buf_add_str(out, "flow: how many at once, how many a second, how often again\n");
	describe_keys(spec_flow_keys, 2, out);
	return out->failed ? WEIR_ENOMEM : 0;
}

int spec_describe(const struct adapter *adapter, struct buf *out)
{
	struct buf line = {0};
	buf_addf(&line, "%s (%s): %s", adapter->name, adapter_kind_name(adapter->kind), adapter->text);
	if (line.data)
		add_wrapped(out, line.data, 0, 0);
	buf_fini(&line);
	if (adapter->shorthand)
		buf_addf(out, "  A plain value stands for `%s`.\n", adapter->shorthand);
	if (adapter->keys)
		describe_keys(adapter->keys, 2, out);
	return out->failed ? WEIR_ENOMEM : 0;
}
