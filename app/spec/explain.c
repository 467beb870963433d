/* SPDX-License-Identifier: MIT */
/*
 * The effective config, written while it is filled in: values stand as they were written, so what comes out can be
 * loaded again.  Secrets are those of keys that are marked so, headers such as Authorization, and what came from
 * ${env:X} or ${file:X}: they show as *** where any text may stand, and elsewhere (a number, a URL, a path) as the
 * reference itself.
 */
#include <string.h>

#include "spec/spec.h"

static bool is_plain_text(const char *text)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+%-";
	size_t n = strlen(text);
	return n > 0 && text[0] != '-' && text[0] != '%' && strspn(text, safe) == n && strcmp(text, "null") != 0;
}

static void add_text(struct buf *out, const char *text)
{
	if (is_plain_text(text))
		buf_add_str(out, text);
	else
		buf_add_json_str(out, text, strlen(text));
}

static void add_scalar(struct spec_load *load, const struct key *key, const struct spec_node *node)
{
	add_text(&load->explain, spec_is_hidden(key, node) ? "***" : node->text);
}

static void start_line(struct spec_load *load)
{
	for (unsigned i = 0; i < load->indent; i++)
		buf_add_str(&load->explain, "  ");
}

void spec_explain_key(struct spec_load *load, const char *name)
{
	start_line(load);
	add_text(&load->explain, name);
	buf_add_str(&load->explain, ":");
}

void spec_explain_element(struct spec_load *load)
{
	start_line(load);
	buf_add_str(&load->explain, "-\n");
}

void spec_explain_absent(struct spec_load *load, const char *name)
{
	start_line(load);
	buf_addf(&load->explain, "# %s: not set\n", name);
}

void spec_explain_value(struct spec_load *load, const struct key *key, const struct spec_node *node, bool fallback)
{
	struct buf *out = &load->explain;
	spec_explain_key(load, key->name);
	if (key->type == KEY_JSON) {
		buf_add_char(out, ' ');
		spec_json_show(key, node, out);
		buf_add_char(out, '\n');
		return;
	}
	if (node->kind == SPEC_MAP && node->count) {
		buf_add_str(out, fallback ? " # default\n" : "\n");
		load->indent++;
		for (const struct spec_node *child = node->children; child; child = child->next) {
			spec_explain_key(load, child->key);
			buf_add_char(out, ' ');
			add_scalar(load, key, child);
			buf_add_char(out, '\n');
		}
		load->indent--;
		return;
	}
	buf_add_char(out, ' ');
	if (node->kind == SPEC_SCALAR) {
		add_scalar(load, key, node);
	} else {
		buf_add_char(out, node->kind == SPEC_MAP ? '{' : '[');
		for (const struct spec_node *child = node->children; child; child = child->next) {
			add_scalar(load, key, child);
			buf_add_str(out, child->next ? ", " : "");
		}
		buf_add_char(out, node->kind == SPEC_MAP ? '}' : ']');
	}
	buf_add_str(out, fallback ? " # default\n" : "\n");
}
