/* SPDX-License-Identifier: MIT */
/*
 * From a map to a config struct, row by row of its table: unknown keys first (a typo explains a missing key, not the
 * other way round), then each row's value, its default, or the complaint that it is missing.
 */
#include <stdlib.h>
#include <string.h>

#include "data/names.h"
#include "data/template.h"
#include "spec/spec.h"

static int check_names(struct spec_load *load, const struct key *keys, const struct spec_node *map,
		       const struct spec_where *where)
{
	struct names names = {0};
	for (const struct key *key = keys; key->name; key++)
		names_add(&names, key->name);
	for (const struct spec_node *child = map->children; child; child = child->next) {
		if (names_have(&names, child->key))
			continue;
		struct buf text = {0};
		buf_addf(&text, "unknown key \"%.80s\" in %s", child->key, where->name);
		names_describe(&names, child->key, &text);
		return spec_fail_text(load, child->key_line, child->key_column, &text);
	}
	return 0;
}

static bool has_defaults(const struct key *keys)
{
	for (const struct key *key = keys; key->name; key++)
		if (key->fallback || (key->type == KEY_GROUP && has_defaults(key->group)))
			return true;
	return false;
}

static int fail_missing(struct spec_load *load, const struct key *key, const struct spec_where *where)
{
	struct buf text = {0};
	buf_addf(&text, "%s: \"%s\" is required (", where->name, key->name);
	spec_expected(key, &text);
	buf_add_char(&text, ')');
	return spec_fail_text(load, where->line, where->column, &text);
}

static int fill_group(struct spec_load *load, const struct key *key, const struct spec_node *node, void *config)
{
	struct spec_where where = {key->name, node ? node->key_line : 0, node ? node->key_column : 0};
	if (!node && !has_defaults(key->group)) {
		spec_explain_absent(load, key->name);
		return 0;
	}
	if (node && node->kind == SPEC_SCALAR && key->choices && strcmp(node->text, key->choices) == 0) {
		*(bool *)((char *)config + key->offset) = true;
		spec_explain_value(load, key, node, false);
		return 0;
	}
	if (node && node->kind != SPEC_MAP)
		return spec_value_fill(load, key, node, config); /* knows how to complain */
	spec_explain_key(load, key->name);
	buf_add_char(&load->explain, '\n');
	load->indent++;
	int code = spec_fill(load, key->group, node, &where, config);
	load->indent--;
	return code;
}

static int fill_element(struct spec_load *load, const struct key *key, const struct spec_node *node, void *element)
{
	struct spec_where where = {key->name, node->line, node->column};
	if (node->kind != SPEC_MAP)
		return spec_fail(load, node->line, node->column, "%s: expected a list of maps", key->name);
	spec_explain_element(load);
	load->indent++;
	int code = spec_fill(load, key->group, node, &where, element);
	load->indent--;
	return code;
}

static int fill_elements(struct spec_load *load, const struct key *key, const struct spec_node *node, void *config)
{
	struct key_list *list = (struct key_list *)((char *)config + key->offset);
	int code = 0;
	list->elements = calloc(node->count ? node->count : 1, key->element_bytes);
	if (!list->elements)
		return spec_fail_memory(load);
	spec_explain_key(load, key->name);
	buf_add_char(&load->explain, '\n');
	load->indent++;
	for (const struct spec_node *child = node->children; child && code == 0; child = child->next)
		code = fill_element(load, key, child, (char *)list->elements + list->n++ * key->element_bytes);
	load->indent--;
	return code;
}

/* A list or map in brackets is read as YAML. */
int spec_fallback_read(const struct key *key, struct spec_node **ret_node, struct weir_error *err)
{
	if (key->fallback[0] == '[' || key->fallback[0] == '{')
		return spec_yaml_read(key->fallback, strlen(key->fallback), ret_node, err);
	struct spec_node *node = calloc(1, sizeof *node);
	char *text = strdup(key->fallback);
	if (!node || !text) {
		free(node);
		free(text);
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	node->text = text;
	*ret_node = node;
	return 0;
}

static int fill_fallback(struct spec_load *load, const struct key *key, const struct spec_where *where, void *config)
{
	struct spec_node *node = NULL;
	int code = spec_fallback_read(key, &node, load->err);
	if (code || !node)
		return code;
	/* A default can be wrong here, such as a file that is not there: the place is that of the map. */
	node->line = where->line;
	node->column = where->column;
	code = spec_value_fill(load, key, node, config);
	if (code == 0)
		spec_explain_value(load, key, node, true);
	spec_node_free(node);
	return code;
}

static int fill_row(struct spec_load *load, const struct key *key, const struct spec_node *map,
		    const struct spec_where *where, void *config)
{
	struct key plain;
	const struct spec_node *node = spec_node_member(map, key->name);
	bool required = map && (key->flags & KEY_REQUIRED);
	if (node && spec_node_is_null(node))
		node = NULL;
	if (!node && required && !key->fallback)
		return fail_missing(load, key, where);
	if ((!node || node->kind == SPEC_SCALAR) && spec_shorthand(key, &plain))
		key = &plain;
	if (key->type == KEY_GROUP)
		return fill_group(load, key, node, config);
	if (node && node->kind == SPEC_LIST && key->type == KEY_LIST)
		return fill_elements(load, key, node, config);
	if (!node && key->fallback)
		return fill_fallback(load, key, where, config);
	if (!node) {
		spec_explain_absent(load, key->name);
		return 0;
	}
	int code = spec_value_fill(load, key, node, config);
	if (code == 0)
		spec_explain_value(load, key, node, false);
	return code;
}

int spec_fill(struct spec_load *load, const struct key *keys, const struct spec_node *map,
	      const struct spec_where *where, void *config)
{
	int code = map ? check_names(load, keys, map, where) : 0;
	for (const struct key *key = keys; key->name && code == 0; key++)
		code = fill_row(load, key, map, where, config);
	return code;
}

static void release_elements(const struct key *key, struct key_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		spec_release(key->group, (char *)list->elements + i * key->element_bytes);
	free(list->elements);
}

/* A value that could not be read lies behind the counted ones and is NULL; of a map's, its type may be there. */
static void release_strings(struct key_strings *strings, char **types)
{
	for (size_t i = 0; i < strings->n; i++)
		free(strings->values[i]);
	for (size_t i = 0; types && i <= strings->n; i++)
		free(types[i]);
	free(strings->values);
	free(types);
}

static void release_lists(const struct key *key, void *field)
{
	if (key->type == KEY_COUNTS) {
		free(((struct key_counts *)field)->values);
	} else if (key->type == KEY_STRINGS || key->type == KEY_COLUMNS) {
		release_strings(field, key->type == KEY_COLUMNS ? ((struct key_columns *)field)->types : NULL);
	} else if (key->type == KEY_TIMES) {
		free(((struct key_times *)field)->times);
	} else {
		struct key_headers *headers = field;
		for (size_t i = 0; i < headers->n; i++) {
			free(headers->headers[i].name);
			template_free(headers->headers[i].value);
		}
		free(headers->headers);
	}
}

void spec_release(const struct key *keys, void *config)
{
	for (const struct key *key = keys; key && key->name; key++) {
		void *field = (char *)config + key->offset;
		switch (key->type) {
		case KEY_STRING:
			if (key->flags & KEY_KEEP_FILE)
				free(((char **)field)[1]);
			free(*(char **)field);
			break;
		case KEY_FIELD:
		case KEY_PATH_IN:
		case KEY_PATH_OUT:
		case KEY_JQ:
			free(*(char **)field);
			break;
		case KEY_JSON:
			template_free(((struct key_json *)field)->template);
			free(((struct key_json *)field)->program);
			break;
		case KEY_TEMPLATE:
		case KEY_URL:
			template_free(*(struct template **)field);
			break;
		case KEY_PATH:
			template_free(((struct key_path *)field)->template);
			break;
		case KEY_WAIT:
			free(((struct key_wait *)field)->program);
			break;
		case KEY_LIST:
			release_elements(key, field);
			break;
		case KEY_COUNTS:
		case KEY_STRINGS:
		case KEY_COLUMNS:
		case KEY_HEADERS:
		case KEY_TIMES:
			release_lists(key, field);
			break;
		case KEY_GROUP:
			spec_release(key->group, config);
			break;
		default:
			break;
		}
	}
}
