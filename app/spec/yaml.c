/* SPDX-License-Identifier: MIT */
/*
 * From libyaml's events to a tree.  Events come one by one, so a bomb is refused at its first anchor or its 33rd level,
 * long before anything grows.
 *
 * libyaml counts places in characters, people's editors and weir in bytes: `place` walks along the text once, since
 * events come in its order.  libyaml's complaints are those of a grammar; translate() says what a person has to change.
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "data/json.h"
#include "data/utf8.h"
#include "spec/node.h"

struct yaml_place {
	size_t index, byte, line_start; /* index: in characters */
	int line;
};

struct yaml_reader {
	yaml_parser_t parser;
	const char *text;
	size_t n, nodes;
	struct yaml_place place;
	struct weir_error *err;
};

static void move_to(struct yaml_reader *r, size_t index)
{
	struct yaml_place *at = &r->place;
	if (index < at->index || at->line == 0)
		*at = (struct yaml_place){.line = 1};
	for (; at->index < index && at->byte < r->n; at->index++) {
		size_t step = utf8_length(r->text + at->byte, r->n - at->byte);
		if (r->text[at->byte] == '\n') {
			at->line++;
			at->line_start = at->byte + 1;
		}
		at->byte += step ? step : 1;
	}
}

static int fail_byte(struct yaml_reader *r, size_t byte, const char *text)
{
	weir_error_set(r->err, WEIR_EINVAL, "%s", text);
	if (!r->err)
		return WEIR_EINVAL;
	size_t start = 0;
	r->err->line = 1;
	for (size_t i = 0; i < byte && i < r->n; i++) {
		if (r->text[i] != '\n')
			continue;
		r->err->line++;
		start = i + 1;
	}
	r->err->column = (int)(byte - start) + 1;
	return WEIR_EINVAL;
}

static int fail_mark(struct yaml_reader *r, const yaml_mark_t *mark, const char *text)
{
	move_to(r, mark->index);
	return fail_byte(r, r->place.byte, text);
}

static bool has(const char *text, const char *part)
{
	return text && strstr(text, part);
}

/* libyaml's words -> what to do about it. */
static const char *translate(const char *problem)
{
	static const char *const table[][2] = {
		{"tab", "a tab in the indentation, expected spaces"},
		{"mapping values are not allowed",
		 "unexpected ':'; check the indentation, or quote text that contains \": \""},
		{"could not find expected ':'", "expected \"key: value\""},
		{"did not find expected key", "expected a key, indented like those before it"},
		{"did not find expected '-'", "expected \"- \", indented like those before it"},
		{"',' or '}'", "expected ',' or '}'; quote text that contains such characters"},
		{"',' or ']'", "expected ',' or ']'; quote text that contains such characters"},
		{"unexpected end of stream", "this quote is not closed"},
		{"unknown escape", "unknown escape in double quotes, expected \\n, \\\", \\\\ ..., or single quotes"},
		{"cannot start any token", "a value cannot begin with this character; quote it"},
		{"alphabetic or numeric character", "a value that begins with * or & is an alias; quote it"},
		{"did not find expected node", "expected a value"},
		{"did not find expected <document start>", "expected the end of the document"},
		{"control characters", "a control character"},
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (has(problem, table[i][0]))
			return table[i][1];
	return NULL;
}

/* `{ url: http://x/${.id} }`: inside braces a plain text ends at '{'.  Blames the beginning of that text. */
static int fail_hole(struct yaml_reader *r, size_t byte)
{
	size_t start = byte;
	while (start > 0 && !strchr(" \t\n,[{", r->text[start - 1]))
		start--;
	return fail_byte(
		r, start,
		"inside braces and brackets a value with ${...} ends at its '{'; quote this value: \"...${.path}...\"");
}

static int fail_parser(struct yaml_reader *r)
{
	const yaml_parser_t *p = &r->parser;
	char plain[256];
	if (p->error == YAML_MEMORY_ERROR)
		return weir_error_set(r->err, WEIR_ENOMEM, "out of memory");
	const char *text = translate(p->problem);
	if (!text) {
		snprintf(plain, sizeof plain, "invalid YAML: %.100s%s%.100s", p->problem ? p->problem : "?",
			 p->context ? " " : "", p->context ? p->context : "");
		text = plain;
	}
	if (p->error == YAML_READER_ERROR)
		return fail_byte(r, p->problem_offset, text);
	move_to(r, p->problem_mark.index);
	size_t byte = r->place.byte;
	if (byte > 0 && byte < r->n && r->text[byte] == '{' && r->text[byte - 1] == '$')
		return fail_hole(r, byte);
	if (byte < r->n && r->text[byte] == '\t')
		text = translate("tab");
	if (has(p->problem, "unexpected end of stream"))
		return fail_mark(r, &p->context_mark, text);
	return fail_byte(r, byte, text);
}

static int next_event(struct yaml_reader *r, yaml_event_t *event)
{
	return yaml_parser_parse(&r->parser, event) ? 0 : fail_parser(r);
}

static int check_plainness(struct yaml_reader *r, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;
	if (event->type == YAML_ALIAS_EVENT)
		return fail_mark(r, &event->start_mark, "aliases (*name) are not supported; write the value itself");
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor)
		return fail_mark(r, &event->start_mark, "anchors (&name) are not supported; write a plain value");
	if (tag)
		return fail_mark(r, &event->start_mark, "tags (!name) are not supported; write a plain value");
	return 0;
}

static int check_text(struct yaml_reader *r, const yaml_event_t *event)
{
	if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
		return fail_mark(r, &event->start_mark, "a NUL character");
	return 0;
}

static int read_children(struct yaml_reader *r, struct spec_node *node, unsigned depth);

/* Makes a node of an event that begins one. */
static int read_node(struct yaml_reader *r, const yaml_event_t *event, unsigned depth, struct spec_node **ret_node)
{
	int code = check_plainness(r, event);
	if (code < 0)
		return code;
	if (depth > SPEC_DEPTH_MAX)
		return fail_mark(r, &event->start_mark, "nested deeper than 32 levels");
	if (++r->nodes > SPEC_NODES_MAX)
		return fail_mark(r, &event->start_mark, "more than 20000 values in one file");
	struct spec_node *node = calloc(1, sizeof *node);
	if (!node)
		return weir_error_set(r->err, WEIR_ENOMEM, "out of memory");
	move_to(r, event->start_mark.index);
	node->line = r->place.line;
	node->column = (int)(r->place.byte - r->place.line_start) + 1;
	node->offset = r->place.byte;
	if (event->type == YAML_SCALAR_EVENT) {
		code = check_text(r, event);
		node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		node->text = strdup((const char *)event->data.scalar.value);
		if (code == 0 && !node->text)
			code = weir_error_set(r->err, WEIR_ENOMEM, "out of memory");
	} else {
		bool map = event->type == YAML_MAPPING_START_EVENT;
		node->kind = map ? SPEC_MAP : SPEC_LIST;
		node->flow = map ? event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
				 : event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
		code = read_children(r, node, depth);
	}
	if (code < 0) {
		spec_node_free(node);
		return code;
	}
	*ret_node = node;
	return 0;
}

/* Checks a key and keeps it in `pending` until its value is there. */
static int read_key(struct yaml_reader *r, const yaml_event_t *event, const struct spec_node *map,
		    struct spec_node *pending)
{
	int code = check_plainness(r, event);
	if (code < 0)
		return code;
	if (event->type != YAML_SCALAR_EVENT)
		return fail_mark(r, &event->start_mark, "a key cannot be a list or a map");
	code = check_text(r, event);
	if (code < 0)
		return code;
	const char *key = (const char *)event->data.scalar.value;
	char text[160];
	snprintf(text, sizeof text, "duplicate key \"%.80s\"", key);
	if (spec_node_member(map, key))
		return fail_mark(r, &event->start_mark, text);
	if (map->count == SPEC_KEYS_MAX)
		return fail_mark(r, &event->start_mark, "more than 256 keys in one map");
	move_to(r, event->start_mark.index);
	pending->key_line = r->place.line;
	pending->key_column = (int)(r->place.byte - r->place.line_start) + 1;
	pending->key = strdup(key);
	return pending->key ? 0 : weir_error_set(r->err, WEIR_ENOMEM, "out of memory");
}

/* One event inside a list or map.  1: it was its end. */
static int read_child(struct yaml_reader *r, struct spec_node *node, struct spec_node ***tail,
		      struct spec_node *pending, const yaml_event_t *event, unsigned depth)
{
	struct spec_node *child;
	if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT)
		return 1;
	if (node->kind == SPEC_MAP && !pending->key)
		return read_key(r, event, node, pending);
	int code = read_node(r, event, depth + 1, &child);
	if (code < 0)
		return code;
	child->key = pending->key;
	child->key_line = pending->key_line;
	child->key_column = pending->key_column;
	pending->key = NULL;
	**tail = child;
	*tail = &child->next;
	node->count++;
	return 0;
}

static int read_children(struct yaml_reader *r, struct spec_node *node, unsigned depth)
{
	struct spec_node **tail = &node->children, pending = {0};
	int code = 0;
	while (code == 0) {
		yaml_event_t event;
		code = next_event(r, &event);
		if (code < 0)
			break;
		code = read_child(r, node, &tail, &pending, &event, depth);
		yaml_event_delete(&event);
	}
	free(pending.key);
	return code < 0 ? code : 0;
}

static int read_stream(struct yaml_reader *r, struct spec_node **root)
{
	for (;;) {
		yaml_event_t event;
		int code = next_event(r, &event);
		if (code < 0)
			return code;
		yaml_event_type_t type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT && *root)
			code = fail_mark(r, &event.start_mark, "a second document; a file has only one");
		else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
			 type == YAML_MAPPING_START_EVENT || type == YAML_ALIAS_EVENT)
			code = read_node(r, &event, 1, root);
		yaml_event_delete(&event);
		if (code < 0 || type == YAML_STREAM_END_EVENT)
			return code;
	}
}

/* Where libyaml would only give a byte's offset, or take the text for UTF-16. */
static int check_bytes(struct yaml_reader *r)
{
	if (r->n > SPEC_BYTES_MAX)
		return fail_byte(r, SPEC_BYTES_MAX, "the file is larger than 1 MiB");
	if (json_utf8_valid(r->text, r->n))
		return 0;
	size_t i = 0;
	for (size_t step; (step = utf8_length(r->text + i, r->n - i)) != 0;)
		i += step;
	return fail_byte(r, i, "invalid UTF-8; expected a text file");
}

int spec_yaml_read(const char *text, size_t n, struct spec_node **ret_root, struct weir_error *err)
{
	bool bom = n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
	struct yaml_reader r = {.text = text + (bom ? 3 : 0), .n = n - (bom ? 3 : 0), .err = err};
	struct spec_node *root = NULL;
	int code = check_bytes(&r);
	if (code < 0)
		return code;
	if (!yaml_parser_initialize(&r.parser))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text, r.n);
	code = read_stream(&r, &root);
	yaml_parser_delete(&r.parser);
	if (code == 0 && !root) {
		root = calloc(1, sizeof *root);
		if (!root)
			return weir_error_set(err, WEIR_ENOMEM, "out of memory");
		*root = (struct spec_node){.kind = SPEC_MAP, .line = 1, .column = 1};
	}
	if (code < 0) {
		spec_node_free(root);
		return code;
	}
	*ret_root = root;
	return 0;
}
