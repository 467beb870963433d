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
#include <sys/stat.h>
#include <unistd.h>

#include "port/template.h"
#include "spec/spec.h"
#include "spec/suggest.h"
#include "spec/units.h"

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
	if (hint)
		buf_add_str(&text, hint);
	int code = text.failed ? spec_fail_memory(load) : spec_fail(load, node->line, node->column, "%s", text.data);
	buf_fini(&text);
	return code;
}

static bool in_bounds(const struct key *key, int64_t value)
{
	return value >= key->min && (value <= key->max || key->max <= key->min);
}

static int read_enum(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		     int *ret_index)
{
	struct spec_names names = {0};
	char copy[256];
	int index = 0, found = -1;
	snprintf(copy, sizeof copy, "%s", key->choices);
	for (char *save, *name = strtok_r(copy, "|", &save); name; name = strtok_r(NULL, "|", &save), index++) {
		spec_names_add(&names, name);
		if (strcmp(name, text) == 0)
			found = index;
	}
	if (found >= 0) {
		*ret_index = found;
		return 0;
	}
	char hint[80] = "";
	const char *best = spec_suggest(&names, text);
	if (best)
		snprintf(hint, sizeof hint, "; did you mean \"%.40s\"?", best);
	return fail_value(load, key, node, hint);
}

/* Texts of numbers and choices, into plain fields. */
static int read_plain(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		      void *field)
{
	bool good = false;
	uint64_t size;
	switch (key->type) {
	case KEY_DURATION:
		good = spec_duration_read(text, field) && in_bounds(key, *(weir_nsec *)field);
		break;
	case KEY_DURATIONS:
		good = spec_durations_read(text, field) && in_bounds(key, ((weir_nsec *)field)[0]) &&
		       in_bounds(key, ((weir_nsec *)field)[1]);
		break;
	case KEY_SIZE:
		good = spec_size_read(text, &size) && in_bounds(key, (int64_t)size);
		if (good)
			*(uint64_t *)field = size;
		break;
	case KEY_COUNT:
		good = key->choices && strcmp(text, key->choices) == 0;
		if (good)
			*(int64_t *)field = 0;
		else
			good = spec_count_read(text, field) && in_bounds(key, *(int64_t *)field);
		break;
	case KEY_RATE:
		good = spec_rate_read(text, field);
		break;
	case KEY_PERCENT:
		good = spec_percent_read(text, field);
		break;
	case KEY_BOOL:
		good = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
		*(bool *)field = good && text[0] == 't';
		break;
	case KEY_RANGE:
		good = spec_range_read(text, field);
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

static int read_path_in(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
			char **field)
{
	struct stat st;
	const char *wrong = NULL;
	*field = spec_resolve(load, text);
	if (!*field)
		return spec_fail_memory(load);
	if (stat(*field, &st) < 0)
		wrong = errno == ENOENT   ? ": there is none"
			: errno == EACCES ? ": no permission"
					  : ": cannot be reached";
	else if (S_ISDIR(st.st_mode))
		wrong = ": this is a folder";
	else if (access(*field, R_OK) < 0)
		wrong = ": no permission to read it";
	return wrong ? fail_value(load, key, node, wrong) : 0;
}

static int read_path_out(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
			 char **field)
{
	struct stat st;
	*field = spec_resolve(load, text);
	if (!*field)
		return spec_fail_memory(load);
	if (!text[0])
		return fail_value(load, key, node, NULL);
	if (stat(*field, &st) == 0 && S_ISDIR(st.st_mode))
		return fail_value(load, key, node, ": this is a folder");
	char *slash = strrchr(*field, '/');
	if (!slash)
		return 0;
	char *folder = slash == *field ? strdup("/") : strndup(*field, (size_t)(slash - *field));
	if (!folder)
		return spec_fail_memory(load);
	bool good = stat(folder, &st) == 0 && S_ISDIR(st.st_mode);
	free(folder);
	return good ? 0 : fail_value(load, key, node, ": the folder does not exist");
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
	case KEY_PATH_IN:
		return read_path_in(load, key, node, text, field);
	case KEY_PATH_OUT:
		return read_path_out(load, key, node, text, field);
	case KEY_FIELD:
		if (!text[0] || json_path_length(text) != strlen(text))
			return fail_value(load, key, node, NULL);
		return keep_text(load, text, field);
	case KEY_JQ: {
		int code = keep_text(load, text, field);
		return code < 0 ? code : spec_programs_add(load, text, node->line, node->column);
	}
	default:
		return read_plain(load, key, node, text, field);
	}
}

/* The children of a list, or a scalar as the only one. */
static const struct spec_node *first_of(const struct spec_node *node, size_t *ret_n)
{
	*ret_n = node->kind == SPEC_LIST ? node->count : 1;
	return node->kind == SPEC_LIST ? node->children : node;
}

static int fill_counts(struct spec_load *load, const struct key *key, const struct spec_node *node,
		       struct key_counts *counts)
{
	size_t n;
	const struct spec_node *child = first_of(node, &n);
	struct key one = *key;
	one.type = KEY_COUNT;
	one.offset = 0;
	counts->values = calloc(n ? n : 1, sizeof *counts->values);
	if (!counts->values)
		return spec_fail_memory(load);
	for (; counts->n < n; counts->n++, child = child->next) {
		int code = spec_value_fill(load, &one, child, &counts->values[counts->n]);
		if (code < 0)
			return code;
	}
	return 0;
}

static int fill_strings(struct spec_load *load, const struct key *key, const struct spec_node *node,
			struct key_strings *strings)
{
	size_t n;
	const struct spec_node *child = first_of(node, &n);
	struct key one = *key;
	one.type = KEY_STRING;
	one.offset = 0;
	strings->values = calloc(n ? n : 1, sizeof *strings->values);
	if (!strings->values)
		return spec_fail_memory(load);
	for (; strings->n < n; strings->n++, child = child->next) {
		int code = spec_value_fill(load, &one, child, &strings->values[strings->n]);
		if (code < 0)
			return code;
	}
	return 0;
}

static bool is_token(const char *name)
{
	static const char bytes[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	return name[0] && strspn(name, bytes) == strlen(name);
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
					 "\"%.80s\" is no name of a header, expected letters, digits and -",
					 child->key);
		int code = keep_text(load, child->key, &header->name);
		if (code == 0 && child->kind != SPEC_SCALAR)
			code = fail_value(load, key, child, NULL);
		if (code == 0)
			code = spec_expand(load, key, child, &text);
		if (code < 0)
			return code;
		code = compile(load, child, text, TEMPLATE_HEADER, &header->value);
		free(text);
		if (code < 0)
			return code;
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
		if (!spec_count_read(child->key, &time->number) || !in_bounds(key, time->number))
			return spec_fail(load, child->key_line, child->key_column,
					 "%s has \"%.80s\", expected a whole number from %lld to %lld and its time",
					 key->name, child->key, (long long)key->min, (long long)key->max);
		int code = spec_value_fill(load, &one, child, &time->time);
		if (code < 0)
			return code;
	}
	return 0;
}

int spec_value_fill(struct spec_load *load, const struct key *key, const struct spec_node *node, void *config)
{
	void *field = (char *)config + key->offset;
	if (key->type == KEY_COUNTS && node->kind != SPEC_MAP)
		return fill_counts(load, key, node, field);
	if (key->type == KEY_STRINGS && node->kind != SPEC_MAP)
		return fill_strings(load, key, node, field);
	if (key->type == KEY_HEADERS && node->kind == SPEC_MAP)
		return fill_headers(load, key, node, field);
	if (key->type == KEY_TIMES && node->kind == SPEC_MAP)
		return fill_times(load, key, node, field);
	if (node->kind != SPEC_SCALAR || key->type == KEY_HEADERS || key->type == KEY_TIMES || key->type == KEY_GROUP ||
	    spec_node_is_null(node))
		return fail_value(load, key, node, NULL);
	char *text;
	int code = spec_expand(load, key, node, &text);
	if (code < 0)
		return code;
	code = read_text(load, key, node, text, field);
	free(text);
	return code;
}
