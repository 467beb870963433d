/* SPDX-License-Identifier: MIT */
/*
 * A YAML document as a tree in which everything knows its place.  yaml.c alone knows libyaml.
 *
 * What a config never needs and an attacker likes is refused on sight: more than 1 MiB, anchors, aliases, tags, several
 * documents, keys that are no text, a key twice, nesting beyond 32 levels, more than 256 keys in a map or 20,000 nodes.
 */
#ifndef SPEC_NODE_H
#define SPEC_NODE_H

#include <weir/base.h>

enum { SPEC_BYTES_MAX = 1024 * 1024, SPEC_DEPTH_MAX = 32, SPEC_KEYS_MAX = 256, SPEC_NODES_MAX = 20000 };

enum spec_kind { SPEC_SCALAR, SPEC_LIST, SPEC_MAP };

struct spec_node {
	enum spec_kind kind;
	bool plain;       /* a scalar without quotes */
	bool flow;        /* a list or map in brackets */
	int line, column; /* from 1, in bytes */
	size_t offset;    /* in the text it was read from */
	char *text;       /* of a scalar; without NUL bytes */
	struct spec_node *children, *next;
	size_t count; /* of children */
	char *key;    /* of a member of a map */
	int key_line, key_column;
};

/* Fails with WEIR_EINVAL and err's text, line and column, or WEIR_ENOMEM.  An empty document is an empty map. */
int spec_yaml_read(const char *text, size_t n, struct spec_node **ret_root, struct weir_error *err);
void spec_node_free(struct spec_node *node);

struct spec_node *spec_node_member(const struct spec_node *map, const char *key);

/* A map whose only member has the value, as if it stood there with its key; an empty one where key or value is NULL, or
 * nothing was written. */
struct spec_single {
	struct spec_node map, member;
};
const struct spec_node *spec_node_single(struct spec_single *single, const char *key, const struct spec_node *value);

/* A word as the map `WORD:`, in which nothing is written; any other node is the answer itself. */
const struct spec_node *spec_node_named(struct spec_single *single, const struct spec_node *node);

/* Nothing was written: an empty plain scalar, ~ or null. */
bool spec_node_is_null(const struct spec_node *node);

#endif
