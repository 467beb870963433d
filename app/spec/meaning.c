/* SPDX-License-Identifier: MIT */
/*
 * Writing goes through the tables of keys beside the file's tree, so a text of an earlier release, which is a tree as
 * well, is written again by the same way and compared as any other.
 */
#include "spec/meaning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/table.h>

#include "data/crc.h"
#include "data/units.h"
#include "spec/spec.h"

/* Of a value so much is shown that two of them, and what can be done, fit into the text of an error. */
enum { VERSION = 1, SHOWN_BYTES = 110 };

/* ---- writing ---- */

struct writer {
	struct buf lines;
	char path[160]; /* of the key that is written */
};

/* Where the path ended before the name was added. */
static size_t enter(struct writer *writer, const char *name)
{
	size_t n = strlen(writer->path);
	snprintf(writer->path + n, sizeof writer->path - n, "%s%.100s", n ? "." : "", name);
	return n;
}

static void leave(struct writer *writer, size_t n)
{
	writer->path[n] = 0;
}

/* The same text for the same number, however it was written; other texts, and values of other types, as they are.  It
 * is kept in states, so it never changes. */
static const char *canonical(enum key_type type, const char *text, char room[64])
{
	int64_t pair[2];
	uint64_t size;
	size_t n = strlen(text);
	bool is_count = type == KEY_COUNT || type == KEY_COUNTS;
	if ((type == KEY_DURATION || type == KEY_WAIT) && units_duration(text, n, pair))
		snprintf(room, 64, "%lldns", (long long)pair[0]);
	else if (type == KEY_SIZE && units_size(text, n, &size))
		snprintf(room, 64, "%lluB", (unsigned long long)size);
	else if (is_count && units_count(text, n, INT64_MIN, INT64_MAX, pair))
		snprintf(room, 64, "%lld", (long long)pair[0]);
	else if (type == KEY_RANGE && units_range(text, n, pair))
		snprintf(room, 64, "%lld-%lld", (long long)pair[0], (long long)pair[1]);
	else
		return text;
	return room;
}

/* On one line, and in quotes only where a comma would make two of it. */
static void add_scalar(struct buf *out, const struct key *key, const struct spec_node *node, bool in_list)
{
	char room[64];
	const char *text = spec_is_hidden(key, node) ? "***" : canonical(key->type, node->text, room);
	if (in_list && strchr(text, ','))
		buf_add_json_str(out, text, strlen(text));
	else
		buf_add_json_text(out, text, strlen(text));
}

/* A plain value is a list of one to a key that takes lists. */
static void add_list(struct buf *out, const struct key *key, const struct spec_node *node)
{
	const char *before = "[";
	const struct spec_node *child = node->kind == SPEC_LIST ? node->children : node;
	for (; child; child = node->kind == SPEC_LIST ? child->next : NULL) {
		buf_add_str(out, before);
		add_scalar(out, key, child, true);
		before = ", ";
	}
	buf_add_str(out, *before == '[' ? "[]" : "]");
}

static bool is_list(const struct key *key, const struct spec_node *node)
{
	if (node->kind == SPEC_SCALAR && key->flags & KEY_WAS_STRING)
		return false;
	if (node->kind == SPEC_SCALAR && key->type == KEY_COLUMNS && key->choices)
		return strcmp(node->text, key->choices) != 0;
	return key->type == KEY_COUNTS || key->type == KEY_STRINGS || key->type == KEY_COLUMNS;
}

static void add_value(struct writer *writer, const struct key *key, const struct spec_node *node, char mark)
{
	struct buf *out = &writer->lines;
	bool is_map = node->kind == SPEC_MAP && key->type != KEY_JSON;
	for (const struct spec_node *child = is_map ? node->children : NULL; child; child = child->next) {
		size_t n = enter(writer, child->key);
		add_value(writer, key, child, mark);
		leave(writer, n);
	}
	if (is_map)
		return;
	buf_addf(out, "%s %c ", writer->path, mark);
	if (is_list(key, node))
		add_list(out, key, node);
	else if (key->type == KEY_JSON)
		spec_json_show(key, node, out);
	else
		add_scalar(out, key, node, false);
	buf_add_char(out, '\n');
}

static void add_fallback(struct writer *writer, const struct key *key, char mark)
{
	struct spec_node *node;
	if (spec_fallback_read(key, &node, NULL)) {
		writer->lines.failed = true;
		return;
	}
	add_value(writer, key, node, mark);
	spec_node_free(node);
}

static void add_rows(struct writer *writer, const struct key *keys, const struct spec_node *map, bool pace);

static void add_elements(struct writer *writer, const struct key *key, const struct spec_node *list, bool pace)
{
	unsigned i = 1;
	for (const struct spec_node *child = list->children; child; child = child->next, i++) {
		char number[16];
		snprintf(number, sizeof number, "%u", i);
		size_t n = enter(writer, number);
		add_rows(writer, key->group, child, pace);
		leave(writer, n);
	}
}

static void add_row(struct writer *writer, const struct key *key, const struct spec_node *node, bool pace)
{
	struct spec_single single;
	size_t n = enter(writer, key->name);
	pace = pace || (key->flags & KEY_PACE);
	if (node && node->kind == SPEC_SCALAR && key->shorthand)
		node = spec_node_single(&single, key->shorthand, node);
	if (key->type == KEY_GROUP && (!node || node->kind == SPEC_MAP))
		add_rows(writer, key->group, node, pace);
	else if (key->type == KEY_LIST && node && node->kind == SPEC_LIST)
		add_elements(writer, key, node, pace);
	else if (node)
		add_value(writer, key, node, pace ? '!' : '=');
	else if (key->fallback)
		add_fallback(writer, key, pace ? '!' : '~');
	leave(writer, n);
}

static void add_rows(struct writer *writer, const struct key *keys, const struct spec_node *map, bool pace)
{
	for (const struct key *key = keys; key && key->name; key++) {
		const struct spec_node *node = spec_node_member(map, key->name);
		add_row(writer, key, node && spec_node_is_null(node) ? NULL : node, pace);
	}
}

/* The member of a section that names its adapter, and the keys beside it. */
static void add_adapter(struct writer *writer, enum adapter_kind kind, const char *name,
			const struct spec_node *section, const char *const *beside, const struct key *keys)
{
	struct spec_single single, named;
	section = spec_node_named(&named, section);
	const struct spec_node *node = section && section->kind == SPEC_MAP ? section->children : NULL;
	while (node && spec_is_beside(beside, node->key))
		node = node->next;
	if (!node)
		return;
	const struct adapter *adapter = adapter_find(kind, node->key);
	size_t n = enter(writer, name);
	buf_addf(&writer->lines, "%s = %s\n", writer->path, node->key);
	if (node->kind == SPEC_SCALAR)
		node = spec_node_single(&single, adapter ? adapter->shorthand : NULL, node);
	if (adapter)
		add_rows(writer, adapter->keys, node, false);
	add_rows(writer, keys, section, false);
	leave(writer, n);
}

static void add_processing(struct writer *writer, const struct spec_node *root)
{
	const struct spec_node *steps = spec_node_member(root, "steps");
	const struct spec_node *step = steps && steps->kind == SPEC_LIST ? steps->children : NULL;
	add_rows(writer, spec_key_keys, root, false);
	size_t n = enter(writer, "steps");
	for (unsigned i = 1; step; step = step->next, i++) {
		char number[16];
		snprintf(number, sizeof number, "%u", i);
		add_adapter(writer, ADAPTER_STEP, number, step, spec_beside_step, spec_step_keys);
	}
	leave(writer, n);
	add_adapter(writer, ADAPTER_SINK, "sink", spec_node_member(root, "sink"), spec_beside_sink, spec_sink_keys);
	add_adapter(writer, ADAPTER_SINK, "dead_letter", spec_node_member(root, "dead_letter"), NULL, NULL);
}

static void add_source(struct writer *writer, const struct spec_node *root)
{
	add_adapter(writer, ADAPTER_SOURCE, "source", spec_node_member(root, "source"), NULL, NULL);
}

static void add_section(struct buf *out, const char *name, const struct spec_node *root,
			void (*add)(struct writer *writer, const struct spec_node *root))
{
	struct writer writer = {0};
	add(&writer, root);
	struct buf *lines = &writer.lines;
	buf_addf(out, "weir %s %d %08x\n", name, VERSION, crc_add(0, lines->data, lines->len));
	buf_add(out, lines->data, lines->len);
	out->failed = out->failed || lines->failed;
	buf_fini(lines);
}

char *spec_meaning_write(const struct spec_node *root)
{
	struct buf out = {0};
	add_section(&out, "processing", root, add_processing);
	add_section(&out, "source", root, add_source);
	return buf_take(&out, NULL);
}

/* ---- reading ---- */

struct line {
	const char *path, *value;
	size_t path_n, value_n;
	char mark; /* 0: there is no such line */
};

static const char heading[] = "weir ";

static bool is_heading(const char *text)
{
	return strncmp(text, heading, sizeof heading - 1) == 0;
}

/* Goes past a line that begins no section; false at the end. */
static bool take_line(const char **text, struct line *ret_line)
{
	while (is_heading(*text))
		*text += strcspn(*text, "\n") + 1;
	const char *path = *text, *end = strchr(path, '\n');
	size_t n = strcspn(path, " ");
	if (!end || end - path < (ptrdiff_t)n + 3)
		return false;
	*ret_line = (struct line){.path = path,
				  .path_n = n,
				  .mark = path[n + 1],
				  .value = path + n + 3,
				  .value_n = (size_t)(end - path) - n - 3};
	*text = end + 1;
	return true;
}

static struct line find_line(const char *text, const char *path, size_t n)
{
	struct line line;
	while (take_line(&text, &line))
		if (line.path_n == n && memcmp(line.path, path, n) == 0)
			return line;
	return (struct line){.path = path, .path_n = n};
}

static int fail_text(struct weir_error *err, const char *what)
{
	return weir_error_set(err, WEIR_EDATA, "the pipeline in the state %s", what);
}

/* Whether its sections are of this version, and their checksums match. */
static bool is_whole(const char *text)
{
	while (is_heading(text)) {
		char expected[64];
		const char *name = text + sizeof heading - 1, *body = strchrnul(name, '\n');
		if (!*body++)
			return false;
		const char *next = strstr(body - 1, "\nweir ");
		size_t n = next ? (size_t)(next + 1 - body) : strlen(body);
		snprintf(expected, sizeof expected, "%.*s %d %08x\n", (int)strcspn(name, " "), name, VERSION,
			 crc_add(0, body, n));
		if (strncmp(name, expected, strlen(expected)) != 0)
			return false;
		text = body + n;
	}
	return !*text;
}

/* *ret_now: what a text of an earlier release would be in this one, malloc'ed; NULL: it is of this release. */
static int read_text(const char *text, char **ret_now, struct weir_error *err)
{
	struct spec_node *root;
	*ret_now = NULL;
	if (is_heading(text))
		return is_whole(text) ? 0 : fail_text(err, "is damaged, or from a newer version of weir");
	int code = spec_yaml_read(text, strlen(text), &root, err);
	if (code)
		return code == WEIR_ENOMEM ? code : fail_text(err, "cannot be read");
	*ret_now = spec_meaning_write(root);
	spec_node_free(root);
	return *ret_now ? 0 : weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

char *spec_meaning_value(const char *meaning, const char *path)
{
	char *now, *value = NULL;
	if (read_text(meaning, &now, NULL))
		return NULL;
	struct line line = find_line(now ? now : meaning, path, strlen(path));
	if (line.mark)
		value = strndup(line.value, line.value_n);
	free(now);
	return value;
}

static char *value_below(const char *meaning, const char *section, const char *key)
{
	char path[64];
	snprintf(path, sizeof path, "%s.%s", section, key);
	return spec_meaning_value(meaning, path);
}

char *spec_meaning_place(const char *meaning, const char *section)
{
	char *name = spec_meaning_value(meaning, section), *place = NULL;
	char *path = value_below(meaning, section, "path"), *table = value_below(meaning, section, "table");
	int n = 0;
	if (path && table)
		n = asprintf(&place, "%s, table %s", path, table);
	else if (name)
		n = asprintf(&place, "%s", path ? path : name);
	free(name);
	free(path);
	free(table);
	return n < 0 ? NULL : place;
}

/* The number of the step that a line is about, from 1; 0: of none. */
static size_t step_of(const struct line *line)
{
	static const char steps[] = "steps.";
	size_t n = sizeof steps - 1;
	return line->path_n > n && memcmp(line->path, steps, n) == 0 ? strtoull(line->path + n, NULL, 10) : 0;
}

/* A sum, since a later release may write the lines in another order. */
void spec_meaning_steps(const char *meaning, uint64_t *ret_numbers, size_t n)
{
	struct line line;
	memset(ret_numbers, 0, (n + 1) * sizeof *ret_numbers);
	while (take_line(&meaning, &line)) {
		size_t bytes = (size_t)(line.value + line.value_n - line.path);
		for (size_t i = step_of(&line); i && i <= n && line.mark == '='; i++)
			ret_numbers[i] += weir_hash(WEIR_HASH, line.path, bytes);
	}
}

/* ---- comparing ---- */

/* A secret may change; and an earlier release may have shown what this one hides. */
static bool is_hidden(const struct line *line)
{
	return line->mark && line->value_n == 3 && memcmp(line->value, "***", 3) == 0;
}

static bool matters(const struct line *was, const struct line *is)
{
	char mark = is->mark ? is->mark : was->mark;
	if (mark == '!' || (mark == '~' && was->mark != '='))
		return false;
	if (is_hidden(was) || is_hidden(is))
		return false;
	return was->value_n != is->value_n || !was->mark || !is->mark ||
	       memcmp(was->value, is->value, is->value_n) != 0;
}

static void show(struct buf *out, const struct line *line, size_t from)
{
	size_t n = line->value_n - from;
	if (!line->mark)
		buf_add_str(out, "absent");
	else
		buf_addf(out, "\"%.*s: %s%.*s%s\"", (int)line->path_n, line->path, from ? "..." : "",
			 (int)(n > SHOWN_BYTES ? SHOWN_BYTES : n), line->value + from, n > SHOWN_BYTES ? "..." : "");
}

/* Of long values the part in which they differ. */
static size_t find_shown(const struct line *was, const struct line *is)
{
	size_t n = 0;
	while (n < was->value_n && n < is->value_n && was->value[n] == is->value[n])
		n++;
	return n > SHOWN_BYTES / 2 && (was->value_n > SHOWN_BYTES || is->value_n > SHOWN_BYTES) ? n - SHOWN_BYTES / 4
												: 0;
}

static bool add_change(struct buf *out, const struct line *was, const struct line *is)
{
	if (!matters(was, is))
		return false;
	size_t from = find_shown(was, is);
	buf_add_str(out, "it was ");
	show(out, was, from);
	buf_add_str(out, ", now it is ");
	show(out, is, from);
	return true;
}

static void find_change(const char *was, const char *is, struct buf *change)
{
	struct line old, new;
	for (const char *text = is; take_line(&text, &new);) {
		old = find_line(was, new.path, new.path_n);
		if (add_change(change, &old, &new))
			return;
	}
	for (const char *text = was; take_line(&text, &old);) {
		new = find_line(is, old.path, old.path_n);
		if (!new.mark && add_change(change, &old, &new))
			return;
	}
}

int spec_meaning_compare(const char *was, const char *is, struct buf *change, struct weir_error *err)
{
	char *now;
	if (strcmp(was, is) == 0)
		return 0;
	int code = read_text(was, &now, err);
	if (code)
		return code;
	find_change(now ? now : was, is, change);
	free(now);
	return change->failed ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : 0;
}
