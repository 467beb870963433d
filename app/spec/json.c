/* SPDX-License-Identifier: MIT */
/*
 * A value of YAML as the text of a JSON document, whose texts are templates.  One that is a hole and nothing else
 * becomes the value itself:
 *
 *     { id: '${.id}', to: 'Dear ${.name}', n: 3 }   ->   {"id":${.id},"to":"Dear ${.name}","n":3}
 */
#include <stdlib.h>
#include <string.h>

#include "data/json.h"
#include "data/template.h"
#include "spec/spec.h"

struct json_writer {
	struct spec_load *load; /* NULL: it is only shown */
	const struct key *key;
	struct buf *out;
};

/* A number, true, false or null: as JSON writes them, for YAML has more of them. */
static bool is_literal(const struct spec_node *node)
{
	struct json *json;
	if (!node->plain || json_parse(node->text, strlen(node->text), &json, NULL))
		return false;
	bool literal = json_type(json) < JSON_TEXT;
	json_free(json);
	return literal;
}

/* The hole that begins at `text`: its length; 0 if none does. */
static size_t hole_length(const char *text)
{
	const char *end = strncmp(text, "${", 2) == 0 ? strchr(text, '}') : NULL;
	return end ? (size_t)(end - text) + 1 : 0;
}

/* Escapes what is no hole. */
static void add_template(struct buf *out, const char *text)
{
	size_t hole = hole_length(text);
	if (hole && !text[hole]) {
		buf_add_str(out, text);
		return;
	}
	buf_add_char(out, '"');
	while (*text) {
		const char *from = text;
		while (*text && !(hole = hole_length(text)))
			text += strncmp(text, "$${", 3) == 0 ? 3 : 1;
		buf_add_json_text(out, from, (size_t)(text - from));
		buf_add(out, text, *text ? hole : 0);
		text += *text ? hole : 0;
	}
	buf_add_char(out, '"');
}

static int write_scalar(const struct json_writer *writer, const struct spec_node *node)
{
	char *text;
	if (spec_node_is_null(node))
		return buf_add_str(writer->out, "null");
	if (is_literal(node))
		return buf_add_str(writer->out, node->text);
	if (!writer->load) {
		const char *shown = spec_is_hidden(writer->key, node) ? "***" : node->text;
		return buf_add_json_str(writer->out, shown, strlen(shown));
	}
	spec_doubt(writer->load, writer->key, node);
	int code = spec_expand(writer->load, writer->key, node, &text);
	if (code < 0)
		return code;
	add_template(writer->out, text);
	free(text);
	return 0;
}

/* Depth is bounded where the tree is built. */
static int write_node(const struct json_writer *writer, const struct spec_node *node)
{
	bool map = node->kind == SPEC_MAP;
	int code = 0;
	if (node->kind == SPEC_SCALAR)
		return write_scalar(writer, node);
	buf_add_char(writer->out, map ? '{' : '[');
	for (const struct spec_node *child = node->children; child && code >= 0; child = child->next) {
		if (map) {
			buf_add_json_str(writer->out, child->key, strlen(child->key));
			buf_add_char(writer->out, ':');
		}
		code = write_node(writer, child);
		if (child->next)
			buf_add_char(writer->out, ',');
	}
	buf_add_char(writer->out, map ? '}' : ']');
	return code;
}

int spec_json_show(const struct key *key, const struct spec_node *node, struct buf *out)
{
	return write_node(&(struct json_writer){.key = key, .out = out}, node);
}

int spec_json_fill(struct spec_load *load, const struct key *key, const struct spec_node *node, struct template **field)
{
	struct buf text = {0};
	struct weir_error err = {0};
	int code = write_node(&(struct json_writer){load, key, &text}, node);
	if (code >= 0 && text.failed)
		code = spec_fail_memory(load);
	if (code >= 0) {
		code = template_compile(text.data, 0, field, &err);
		if (code < 0)
			code = code == WEIR_ENOMEM ? spec_fail_memory(load)
						   : spec_fail(load, node->line, node->column, "%s", err.text);
	}
	buf_fini(&text);
	return code;
}
