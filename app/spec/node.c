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
