/* SPDX-License-Identifier: MIT */
/* The key `key` at the top: an item's idempotency key, made of its values. */
#include "data/template.h"
#include "spec/spec.h"

const struct key spec_key_keys[] = {
	{"key", KEY_TEMPLATE, offsetof(struct plan_settings, key), .text = ""},
	{0},
};

/* A server would take all items that have one key for the same. */
int spec_key_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	const struct spec_node *node = spec_node_member(root, "key");
	struct spec_single single;
	const struct spec_node *map = spec_node_single(&single, "key", node);
	int code = spec_fill(load, spec_key_keys, map, &(struct spec_where){"the file", 1, 1}, &plan->settings);
	const struct template *key = plan->settings.key;
	if (code || !key)
		return code;
	if (template_has_meta(key))
		return spec_fail(load, node->line, node->column,
				 "key has ${meta...}; expected values of the item, such as ${.id}");
	if (template_is_constant(key))
		return spec_fail(load, node->line, node->column,
				 "key has no ${...}: every item would have the same key; did you mean ${.id}?");
	return 0;
}
