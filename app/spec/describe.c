/* SPDX-License-Identifier: MIT */
/* The reference text of adapters and sections, for `weir list`: made from the rows of their keys. */
#include <string.h>

#include "spec/spec.h"

enum { COLUMNS = 80 };

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
		struct key plain = *key;
		spec_shorthand(key, &plain);
		if (plain.fallback)
			buf_addf(&line, "; default %s", plain.fallback[0] ? plain.fallback : "\"\"");
		else if (key->flags & KEY_REQUIRED)
			buf_add_str(&line, "; required");
		if (line.failed)
			out->failed = true;
		else
			add_wrapped(out, line.data, indent, indent + 2);
		buf_fini(&line);
		add_wrapped(out, key->text, indent + 4, indent + 4);
		if (key->group)
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
	buf_add_str(out, "\nsections\n");
	for (const struct key *section = spec_section_keys; section->name; section++)
		buf_addf(out, "  %-9s %s\n", section->name, section->text);
	return out->failed ? WEIR_ENOMEM : 0;
}

int spec_describe_section(const struct key *section, struct buf *out)
{
	struct buf line = {0};
	buf_addf(&line, "%s: %s", section->name, section->text);
	if (line.data)
		add_wrapped(out, line.data, 0, 0);
	buf_fini(&line);
	describe_keys(section->group, 2, out);
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
