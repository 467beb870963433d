/* SPDX-License-Identifier: MIT */
/* The tree itself.  Depth is bounded where it is built, so freeing may recurse. */
#include "spec/node.h"

#include <stdlib.h>
#include <string.h>

void spec_node_free(struct spec_node *node)
{
	while (node) {
		struct spec_node *next = node->next;
		spec_node_free(node->children);
		free(node->text);
		free(node->key);
		free(node);
		node = next;
	}
}

struct spec_node *spec_node_member(const struct spec_node *map, const char *key)
{
	if (!map || map->kind != SPEC_MAP)
		return NULL;
	for (struct spec_node *child = map->children; child; child = child->next)
		if (strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

bool spec_node_is_null(const struct spec_node *node)
{
	return node->kind == SPEC_SCALAR && node->plain &&
	       (!node->text[0] || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

const struct spec_node *spec_node_single(struct spec_single *single, const char *key, const struct spec_node *value)
{
	*single = (struct spec_single){.map = {.kind = SPEC_MAP}};
	if (!value)
		return &single->map;
	single->map.line = value->line;
	single->map.column = value->column;
	if (key && !spec_node_is_null(value)) {
		single->member = *value;
		single->member.key = (char *)(uintptr_t)key;
		single->member.next = NULL;
		single->map.children = &single->member;
	}
	return &single->map;
}

const struct spec_node *spec_node_named(struct spec_single *single, const struct spec_node *node)
{
	static char nothing[1];
	if (!node || node->kind != SPEC_SCALAR || spec_node_is_null(node))
		return node;
	const struct spec_node member = {.plain = true,
					 .line = node->line,
					 .column = node->column,
					 .text = nothing,
					 .key = node->text,
					 .key_line = node->line,
					 .key_column = node->column};
	*single =
		(struct spec_single){.map = {.kind = SPEC_MAP, .line = node->line, .column = node->column, .count = 1}};
	single->member = member;
	single->map.children = &single->member;
	return &single->map;
}
