/* SPDX-License-Identifier: MIT */
/*
 * One value of a config: from a node to the field of its type.  Each reader below takes the text of a scalar, with what
 * came from outside already in it; lists and maps take their children one by one.  Messages show the text as it stands
 * in the file, so that nothing from outside appears in them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/names.h"
#include "data/secret.h"
#include "data/template.h"
#include "data/units.h"
#include "spec/spec.h"

/* "KEY is FOUND, expected ...".  hint, if not NULL, follows. */
static int fail_value(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *hint)
{
	struct buf text = {0};
	static const char *const kinds[] = {"", "a list", "a map"};
	buf_addf(&text, "%s is ", key->name);
	if (node->kind != SPEC_SCALAR)
		buf_add_str(&text, kinds[node->kind]);
	else if (spec_node_is_null(node))
		buf_add_str(&text, "empty");
	else if (key->flags & KEY_SECRET)
		buf_add_str(&text, "something else");
	else
		buf_addf(&text, "\"%.80s%s\"", node->text, strlen(node->text) > 80 ? "..." : "");
	buf_add_str(&text, ", expected ");
	spec_expected(key, &text);
	if (key->type == KEY_GROUP)
		spec_key_names(key->group, &text);
	if (hint)
		buf_add_str(&text, hint);
	return spec_fail_text(load, node->line, node->column, &text);
}

static bool in_bounds(const struct key *key, int64_t value)
{
	return value >= key->min && (value <= key->max || key->max <= key->min);
}

static int read_enum(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		     int *ret_index)
{
	struct names names = {0};
	char copy[256];
	int index = 0, found = -1;
	snprintf(copy, sizeof copy, "%s", key->choices);
	for (char *save, *name = strtok_r(copy, "|", &save); name; name = strtok_r(NULL, "|", &save), index++) {
		names_add(&names, name);
		if (strcmp(name, text) == 0)
			found = index;
	}
	if (found >= 0) {
		*ret_index = found;
		return 0;
	}
	char hint[80];
	return fail_value(load, key, node, names_hint(&names, text, hint));
}

/* Texts of numbers and choices, into plain fields. */
static int read_plain(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		      void *field)
{
	size_t n = strlen(text);
	bool good = false;
	uint64_t size;
	struct key_rate *rate = field;
	switch (key->type) {
	case KEY_DURATION:
		good = units_duration(text, n, field) && in_bounds(key, *(weir_nsec *)field);
		break;
	case KEY_DURATIONS:
		good = units_durations(text, n, field) && in_bounds(key, ((weir_nsec *)field)[0]) &&
		       in_bounds(key, ((weir_nsec *)field)[1]);
		break;
	case KEY_SIZE:
		good = units_size(text, n, &size) && in_bounds(key, (int64_t)size);
		if (good)
			*(uint64_t *)field = size;
		break;
	case KEY_COUNT:
		good = key->choices && strcmp(text, key->choices) == 0;
		if (good)
			*(int64_t *)field = 0;
		else
			good = units_count(text, n, INT64_MIN, INT64_MAX, field) && in_bounds(key, *(int64_t *)field);
		break;
	case KEY_RATE:
		good = units_rate(text, n, &rate->count, &rate->period);
		break;
	case KEY_PERCENT:
		good = units_share(text, n, field);
		break;
	case KEY_BOOL:
		good = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
		*(bool *)field = good && text[0] == 't';
		break;
	case KEY_RANGE:
		good = units_range(text, n, field);
		break;
	default:
		return read_enum(load, key, node, text, field);
	}
	return good ? 0 : fail_value(load, key, node, NULL);
}

static int keep_text(struct spec_load *load, const char *text, char **field)
{
	*field = strdup(text);
	return *field ? 0 : spec_fail_memory(load);
}

static int compile(struct spec_load *load, const struct spec_node *node, const char *text, unsigned flags,
		   struct template **field)
{
	struct weir_error err = {0};
	int code = template_compile(text, flags, field, &err);
	if (code == WEIR_ENOMEM)
		return spec_fail_memory(load);
	if (code < 0)
		return spec_fail_in(load, node,
				    err.column && !spec_is_external(node->text) ? (size_t)err.column - 1 : 0, err.text);
	return 0;
}

/* Whether a URL's text could be one: no space outside its holes, and a host or a hole after the scheme. */
static bool is_url(const struct template *template)
{
	const char *text = template_text(template);
	size_t scheme = strncasecmp(text, "http://", 7) == 0 ? 7 : strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
	bool in_hole = false;
	if (template_starts_with_hole(template))
		return strchr(text, '}')[1] == 0;
	if (!scheme || !text[scheme] || strchr("/?#:", text[scheme]))
		return false;
	for (const char *c = text; *c; c++) {
		if (strncmp(c, "${", 2) == 0)
			in_hole = true;
		else if (*c == '}')
			in_hole = false;
		else if (!in_hole && ((unsigned char)*c <= ' ' || *c == 0x7F))
			return false;
	}
	return true;
}

static int read_url(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		    struct template **field)
{
	int code = compile(load, node, text, TEMPLATE_URL, field);
	if (code < 0)
		return code;
	return is_url(*field) ? 0 : fail_value(load, key, node, NULL);
}

/* From the config's folder, in which "${" is no hole. */
static int read_path(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		     struct key_path *path)
{
	size_t n = strlen(text);
	struct buf full = {0};
	if (!n || text[n - 1] == '/')
		return fail_value(load, key, node, NULL);
	if (text[0] != '/' && load->folder[0] && strcmp(load->folder, ".") != 0) {
		for (const char *c = load->folder; *c; c++)
			buf_addf(&full, strncmp(c, "${", 2) == 0 ? "$%c" : "%c", *c);
		buf_add_char(&full, '/');
		path->added = strlen(load->folder) + 1;
	}
	buf_add_str(&full, text);
	int code =
		full.failed ? spec_fail_memory(load) : compile(load, node, full.data, TEMPLATE_PATH, &path->template);
	buf_fini(&full);
	return code;
}

static int read_program(struct spec_load *load, const char *text, bool inner, const struct spec_node *node,
			char **field)
{
	int code = keep_text(load, text, field);
	return code < 0 ? code : spec_programs_add(load, text, inner, node->line, node->column);
}

static int read_wait(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		     struct key_wait *wait)
{
	if (!units_duration(text, strlen(text), &wait->time))
		return read_program(load, text, true, node, &wait->program);
	return in_bounds(key, wait->time) ? 0 : fail_value(load, key, node, NULL);
}

static int read_text(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		     void *field)
{
	if ((key->flags & KEY_REQUIRED) && !text[0])
		return fail_value(load, key, node, NULL);
	switch (key->type) {
	case KEY_STRING:
		return keep_text(load, text, field);
	case KEY_TEMPLATE:
		return compile(load, node, text, 0, field);
	case KEY_URL:
		return read_url(load, key, node, text, field);
	case KEY_PATH:
		return read_path(load, key, node, text, field);
	case KEY_PATH_IN:
		return spec_path_in(load, key, node, text, field);
	case KEY_PATH_OUT:
		return text[0] ? spec_path_out(load, key, node, text, field) : fail_value(load, key, node, NULL);
	case KEY_FIELD:
		if (!text[0] || json_path_length(text) != strlen(text))
			return fail_value(load, key, node, NULL);
		return keep_text(load, text, field);
	case KEY_JQ:
		return read_program(load, text, key->flags & KEY_INNER, node, field);
	case KEY_WAIT:
		return read_wait(load, key, node, text, field);
	default:
		return read_plain(load, key, node, text, field);
	}
}

/* Room for a list of values, or for a scalar as the only one. */
static void *make_list(const struct spec_node *node, size_t bytes)
{
	return calloc(node->kind == SPEC_LIST && node->count ? node->count : 1, bytes);
}

/* Fills it with values of another type, each `bytes` large. */
static int fill_list(struct spec_load *load, const struct key *key, const struct spec_node *node, enum key_type type,
		     void *values, size_t bytes, size_t *n)
{
	struct key one = *key;
	one.type = type;
	one.offset = 0;
	if (!values)
		return spec_fail_memory(load);
	const struct spec_node *child = node->kind == SPEC_LIST ? node->children : node;
	for (; child; ++*n, child = node->kind == SPEC_LIST ? child->next : NULL) {
		int code = spec_value_fill(load, &one, child, (char *)values + *n * bytes);
		if (code < 0)
			return code;
	}
	return 0;
}

static int fill_counts(struct spec_load *load, const struct key *key, const struct spec_node *node,
		       struct key_counts *counts)
{
	counts->values = make_list(node, sizeof *counts->values);
	return fill_list(load, key, node, KEY_COUNT, counts->values, sizeof *counts->values, &counts->n);
}

static int fill_strings(struct spec_load *load, const struct key *key, const struct spec_node *node,
			struct key_strings *strings)
{
	strings->values = make_list(node, sizeof *strings->values);
	return fill_list(load, key, node, KEY_STRING, strings->values, sizeof *strings->values, &strings->n);
}

static int fill_types(struct spec_load *load, const struct spec_node *node, struct key_columns *columns)
{
	struct key_strings *names = &columns->names;
	names->values = calloc(node->count + 1, sizeof *names->values);
	columns->types = calloc(node->count + 1, sizeof *columns->types);
	if (!names->values || !columns->types)
		return spec_fail_memory(load);
	for (const struct spec_node *child = node->children; child; child = child->next) {
		const struct key one = {.name = child->key, .type = KEY_STRING, .flags = KEY_REQUIRED};
		int code = spec_value_fill(load, &one, child, &columns->types[names->n]);
		if (code == 0)
			code = keep_text(load, child->key, &names->values[names->n]);
		names->n += code == 0;
		if (code < 0)
			return code;
	}
	return 0;
}

static int fill_columns(struct spec_load *load, const struct key *key, const struct spec_node *node,
			struct key_columns *columns)
{
	if (node->kind == SPEC_SCALAR && key->choices && strcmp(node->text, key->choices) == 0)
		return 0;
	return node->kind == SPEC_MAP ? fill_types(load, node, columns)
				      : fill_strings(load, key, node, &columns->names);
}

static bool is_token(const char *name)
{
	static const char bytes[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	return name[0] && strspn(name, bytes) == strlen(name);
}

/* The last word of a text is a secret, as in "Bearer abc". */
static int hide(struct spec_load *load, const char *text)
{
	const char *space = text ? strrchr(text, ' ') : NULL;
	const char *word = space ? space + 1 : text;
	return word && secret_add(word, strlen(word)) ? spec_fail_memory(load) : 0;
}

static int fill_headers(struct spec_load *load, const struct key *key, const struct spec_node *node,
			struct key_headers *headers)
{
	headers->headers = calloc(node->count ? node->count : 1, sizeof *headers->headers);
	if (!headers->headers)
		return spec_fail_memory(load);
	for (const struct spec_node *child = node->children; child; child = child->next) {
		struct key_header *header = &headers->headers[headers->n++];
		char *text = NULL;
		if (!is_token(child->key))
			return spec_fail(load, child->key_line, child->key_column,
					 "\"%.80s\" is not a header name, expected letters, digits and -", child->key);
		int code = keep_text(load, child->key, &header->name);
		if (code == 0 && child->kind != SPEC_SCALAR)
			code = fail_value(load, key, child, NULL);
		if (code == 0)
			code = spec_expand(load, key, child, &text);
		if (code < 0)
			return code;
		if (spec_is_literal_secret(key, child))
			code = hide(load, text);
		if (code == 0)
			code = compile(load, child, text, TEMPLATE_HEADER, &header->value);
		free(text);
		if (code < 0)
			return code;
		spec_doubt(load, key, child);
	}
	return 0;
}

static int fill_times(struct spec_load *load, const struct key *key, const struct spec_node *node,
		      struct key_times *times)
{
	times->times = calloc(node->count ? node->count : 1, sizeof *times->times);
	if (!times->times)
		return spec_fail_memory(load);
	for (const struct spec_node *child = node->children; child; child = child->next) {
		struct key_time *time = &times->times[times->n++];
		struct key one = {.name = child->key, .type = KEY_DURATION, .min = 1, .max = INT64_MAX};
		if (!units_count(child->key, strlen(child->key), INT64_MIN, INT64_MAX, &time->number) ||
		    !in_bounds(key, time->number))
			return spec_fail(load, child->key_line, child->key_column,
					 "%s: unexpected key \"%.80s\", expected a whole number from %lld to %lld",
					 key->name, child->key, (long long)key->min, (long long)key->max);
		int code = spec_value_fill(load, &one, child, &time->time);
		if (code < 0)
			return code;
	}
	return 0;
}

/* What is written there hides nothing: variables, with ":" between them. */
static bool is_made_of_variables(const char *text)
{
	while (strncmp(text, "${env:", 6) == 0 && strchr(text, '}')) {
		text = strchr(text, '}') + 1;
		text += *text == ':';
	}
	return !*text;
}

static int keep_secret(const struct spec_node *node, const char *value)
{
	return is_made_of_variables(node->text) ? secret_add_reference(value, strlen(value), node->text)
						: secret_add(value, strlen(value));
}

/* The text that stands for a map or a list. */
static int fill_json_program(struct spec_load *load, const struct key *key, const struct spec_node *node, void *config)
{
	struct key program = *key;
	const char *hole = strstr(node->text, "${.");
	if (hole)
		return spec_fail(load, node->line, node->column,
				 "%s is a jq program if it is a text, and a ${.path} cannot be used in it; write .path",
				 key->name);
	program.type = KEY_JQ;
	program.offset += offsetof(struct key_json, program);
	return spec_value_fill(load, &program, node, config);
}

/* Of a text that is one ${file:PATH}. */
static int keep_file(struct spec_load *load, const char *text, char **ret_path)
{
	const char *path = text + strlen("${file:"), *end = strchr(text, '}');
	if (strncmp(text, "${file:", strlen("${file:")) != 0 || !end || end[1])
		return 0;
	char *name = strndup(path, (size_t)(end - path));
	*ret_path = name ? spec_resolve(load, name) : NULL;
	free(name);
	return *ret_path ? 0 : spec_fail_memory(load);
}

int spec_value_fill(struct spec_load *load, const struct key *key, const struct spec_node *node, void *config)
{
	void *field = (char *)config + key->offset;
	if (key->type == KEY_COUNTS && node->kind != SPEC_MAP)
		return fill_counts(load, key, node, field);
	if (key->type == KEY_STRINGS && node->kind != SPEC_MAP)
		return fill_strings(load, key, node, field);
	if (key->type == KEY_COLUMNS && !spec_node_is_null(node))
		return fill_columns(load, key, node, field);
	if (key->type == KEY_HEADERS && node->kind == SPEC_MAP)
		return fill_headers(load, key, node, field);
	if (key->type == KEY_JSON && node->kind != SPEC_SCALAR)
		return spec_json_fill(load, key, node, &((struct key_json *)field)->template);
	if (key->type == KEY_JSON)
		return fill_json_program(load, key, node, config);
	if (key->type == KEY_TIMES && node->kind == SPEC_MAP)
		return fill_times(load, key, node, field);
	if (node->kind != SPEC_SCALAR || key->type == KEY_HEADERS || key->type == KEY_TIMES || key->type == KEY_LIST ||
	    key->type == KEY_GROUP || spec_node_is_null(node))
		return fail_value(load, key, node, NULL);
	char *text;
	int code = spec_expand(load, key, node, &text);
	if (code < 0)
		return code;
	if ((key->flags & KEY_SECRET) && keep_secret(node, text))
		code = spec_fail_memory(load);
	if (code == 0)
		code = read_text(load, key, node, text, field);
	free(text);
	if (code == 0 && (key->flags & KEY_KEEP_FILE))
		code = keep_file(load, node->text, (char **)field + 1);
	if (code == 0)
		spec_doubt(load, key, node);
	return code;
}
