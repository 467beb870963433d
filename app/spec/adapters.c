/* SPDX-License-Identifier: MIT */
/*
 * The parts of a plan that name an adapter: a map with one key, whose value fills that adapter's table.
 *
 *     source:              - jq: '.x'         a plain value stands for the adapter's shorthand key
 *       jsonl: { path: a } - memory:          nothing stands for {}, and so does the name alone: `broker: memory`
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/names.h"
#include "spec/spec.h"

static const struct key no_keys[] = {{0}};

static void list_adapters(enum adapter_kind kind, struct names *names)
{
	for (const struct adapter *const *at = adapter_registry; *at; at++)
		if ((*at)->kind == kind)
			names_add(names, (*at)->name);
}

/* "what, expected one of ..." at a place. */
static int fail_adapter(struct spec_load *load, enum adapter_kind kind, int line, int column, const char *what,
			const char *name)
{
	struct names names = {0};
	struct buf text = {0};
	list_adapters(kind, &names);
	buf_add_str(&text, what);
	if (name[0])
		buf_addf(&text, " \"%.80s\"", name);
	names_describe(&names, name, &text);
	if (strchr(name, '.') && (kind == ADAPTER_SOURCE || kind == ADAPTER_SINK))
		buf_addf(&text, "; a file stands behind its format: { jsonl: %.80s }", name);
	return spec_fail_text(load, line, column, &text);
}

const char *const spec_beside_step[] = {"concurrency", NULL};
const char *const spec_beside_sink[] = {"batch", "order", "exactly_once", NULL};

bool spec_is_beside(const char *const *beside, const char *name)
{
	while (beside && *beside && strcmp(*beside, name) != 0)
		beside++;
	return beside && *beside;
}

/* Two adapters where one should be, or a key beside the adapter that it is of. */
static int fail_second(struct spec_load *load, enum adapter_kind kind, const char *const *beside,
		       const struct spec_node *first, const struct spec_node *second)
{
	struct names names = {0};
	char meant[80];
	for (; beside && *beside; beside++)
		names_add(&names, *beside);
	if (adapter_find(kind, second->key))
		return spec_fail(load, second->key_line, second->key_column,
				 "both \"%.80s\" and \"%.80s\", expected one %s%s", second->key, first->key,
				 adapter_kind_name(kind), kind == ADAPTER_STEP ? "; each step begins with \"- \"" : "");
	return spec_fail(
		load, second->key_line, second->key_column,
		"\"%.80s\" stands beside \"%.80s\"; if it is a key of %.80s, indent it further or move it into "
		"the braces%s",
		second->key, first->key, first->key, names_hint(&names, second->key, meant));
}

/* The only child of a map (spec_node_named), but for those that may stand beside it. */
static int find_only(struct spec_load *load, enum adapter_kind kind, const struct spec_node *node,
		     const char *const *beside, const struct spec_node **ret_child)
{
	const struct spec_node *only = NULL;
	char what[96];
	const char *noun = adapter_kind_name(kind);
	snprintf(what, sizeof what, "the %s is a list", noun);
	if (node->kind == SPEC_LIST)
		return fail_adapter(load, kind, node->line, node->column, what, "");
	for (const struct spec_node *child = node->children; child; child = child->next) {
		if (spec_is_beside(beside, child->key))
			continue;
		if (only)
			return fail_second(load, kind, beside, only, child);
		only = child;
	}
	snprintf(what, sizeof what, "the %s is missing", noun);
	if (!only)
		return fail_adapter(load, kind, node->line, node->column, what, "");
	*ret_child = only;
	return 0;
}

static const struct key *find_key(const struct adapter *adapter, const char *name)
{
	for (const struct key *key = adapter->keys; key && key->name; key++)
		if (strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

/* `jq: {id, total}` without quotes is a map to YAML. */
static bool is_unquoted_program(const struct adapter *adapter, const struct spec_node *node)
{
	const struct key *key = adapter->shorthand ? find_key(adapter, adapter->shorthand) : NULL;
	if (!key || key->type != KEY_JQ || !node->flow)
		return false;
	for (const struct spec_node *child = node->children; child && node->kind == SPEC_MAP; child = child->next)
		if (find_key(adapter, child->key))
			return false;
	return true;
}

static int call_check(struct spec_load *load, const struct plan_adapter *at, const struct spec_node *map)
{
	struct weir_error err = {0};
	const char *key = NULL;
	int code = at->adapter->check ? at->adapter->check(at->config, &key, &err) : 0;
	const struct spec_node *node = key ? spec_node_member(map, key) : NULL;
	int line = node ? node->line : at->line, column = node ? node->column : at->column;
	if (code < 0)
		return spec_fail(load, line, column, "%s", err.text[0] ? err.text : weir_strerror(code));
	if (code > 0)
		spec_warn(load, line, column, "%s", err.text);
	return 0;
}

static int fail_text(struct spec_load *load, const struct adapter *adapter, const struct spec_node *node)
{
	struct buf text = {0};
	buf_addf(&text, "%s is %s, expected a map of its keys", adapter->name,
		 node->kind == SPEC_LIST ? "a list" : "text");
	if (adapter->keys)
		spec_key_names(adapter->keys, &text);
	return spec_fail_text(load, node->line, node->column, &text);
}

static int fill_config(struct spec_load *load, const struct spec_node *node, const char *what, struct plan_adapter *at)
{
	const struct adapter *adapter = at->adapter;
	const struct key *keys = adapter->keys ? adapter->keys : no_keys;
	struct spec_where where = {adapter->name, at->line, at->column};
	struct spec_single single;
	if (is_unquoted_program(adapter, node))
		return spec_fail(load, node->line, node->column, "%s is %s; put the jq program in single quotes",
				 adapter->name, node->kind == SPEC_MAP ? "a map" : "a list");
	if (node->kind != SPEC_MAP && !spec_node_is_null(node) && !adapter->shorthand)
		return fail_text(load, adapter, node);
	if (node->kind != SPEC_MAP)
		node = spec_node_single(&single, adapter->shorthand, node);
	int code = spec_fill(load, keys, node, &where, at->config);
	if (code == 0)
		code = call_check(load, at, node);
	return code < 0 ? code : spec_files_add(load, at, node, what);
}

/* Explains `  name:` and what is in it, two levels in.  what: the part of the plan, for messages. */
static int fill_adapter(struct spec_load *load, enum adapter_kind kind, const struct spec_node *child, const char *note,
			const char *what, struct plan_adapter *at)
{
	at->adapter = adapter_find(kind, child->key);
	at->line = child->key_line;
	at->column = child->key_column;
	if (!at->adapter) {
		char text[32];
		snprintf(text, sizeof text, "unknown %s", adapter_kind_name(kind));
		return fail_adapter(load, kind, at->line, at->column, text, child->key);
	}
	at->config = calloc(1, at->adapter->config_bytes + 1);
	if (!at->config)
		return spec_fail_memory(load);
	bool empty = !at->adapter->keys || !at->adapter->keys[0].name;
	buf_addf(&load->explain, "%s:%s%s\n", at->adapter->name, empty ? " {}" : "", note);
	load->indent = kind == ADAPTER_STEP ? 3 : 2;
	int code = fill_config(load, child, what, at);
	load->indent = 0;
	return code;
}

static int fill_part(struct spec_load *load, enum adapter_kind kind, const char *key, const char *const *beside,
		     const struct spec_node *root, const char *what, struct plan_adapter *at)
{
	struct spec_single named;
	const struct spec_node *node = spec_node_named(&named, spec_node_member(root, key)), *child = NULL;
	if (!node)
		return spec_fail(load, 1, 1, "%s is missing, expected one %s", key, adapter_kind_name(kind));
	int code = find_only(load, kind, node, beside, &child);
	if (code < 0 || !child)
		return code;
	buf_addf(&load->explain, "%s:\n  ", key);
	return fill_adapter(load, kind, child, "", what, at);
}

int spec_source_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	load->absent = load->opts && load->opts->no_source;
	int code = fill_part(load, ADAPTER_SOURCE, "source", NULL, root, "the source", &plan->source);
	load->absent = false;
	return code;
}

/* What the source has given away must not go with the process. */
static int check_forgets(struct spec_load *load, const struct plan *plan)
{
	const struct plan_adapter *source = &plan->source, *broker = &plan->broker;
	if (!source->adapter->source->accept || broker->adapter->broker->exactness != BROKER_FORGETS)
		return 0;
	return spec_fail(load, broker->line, broker->column,
			 "%s forgets its items when the process ends, and %s acknowledges them as soon as the broker "
			 "has them; use broker: sqlite",
			 broker->adapter->name, source->adapter->name);
}

int spec_broker_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	const struct spec_node *node = spec_node_member(root, "broker");
	if (node && !spec_node_is_null(node)) {
		int code = fill_part(load, ADAPTER_BROKER, "broker", NULL, root, "the broker", &plan->broker);
		return code ? code : check_forgets(load, plan);
	}
	struct spec_node fallback = {
		.kind = SPEC_MAP, .line = 1, .column = 1, .key = "sqlite", .key_line = 1, .key_column = 1};
	buf_add_str(&load->explain, "broker:\n  ");
	return fill_adapter(load, ADAPTER_BROKER, &fallback, " # default", "the broker", &plan->broker);
}

const struct key spec_step_keys[] = {
	{"concurrency", KEY_COUNT, offsetof(struct plan_adapter, concurrency), NULL, 1, 100000, .flags = KEY_PACE,
	 .text = "Maximum items in this step; default: as many as are in flight"},
	{0},
};

const struct key spec_sink_keys[] = {
	{"order", KEY_ENUM, offsetof(struct plan_settings, order), "completion", .choices = "completion|source",
	 .text = "Order of the rows. Completion: as their items are done; source: as their items stand in the "
		 "source, so rows that are done wait in memory for those before them"},
	{"exactly_once", KEY_ENUM, offsetof(struct plan_settings, exactly_once), "wanted", .choices = "wanted|required",
	 .flags = KEY_PACE,
	 .text = "Wanted: where a crash could leave an output in the sink twice, weir says so when it starts. "
		 "Required: "
		 "it refuses to run there"},
	{0},
};

static int fill_beside(struct spec_load *load, const struct spec_node *step, struct plan_adapter *at)
{
	const struct spec_node *node = spec_node_member(step, spec_step_keys[0].name);
	if (!node || spec_node_is_null(node))
		return 0;
	int code = spec_value_fill(load, &spec_step_keys[0], node, at);
	load->indent = 2;
	if (code == 0)
		spec_explain_value(load, &spec_step_keys[0], node, false);
	load->indent = 0;
	return code;
}

int spec_steps_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	const struct spec_node *node = spec_node_member(root, "steps"), *child;
	if (node && node->kind != SPEC_LIST && !spec_node_is_null(node))
		return spec_fail(load, node->line, node->column,
				 "steps is %s, expected a list: each step begins with \"- \"",
				 node->kind == SPEC_MAP ? "a map" : "text");
	if (!node || !node->count) {
		buf_addf(&load->explain, "steps: []%s\n", node ? "" : " # default");
		return 0;
	}
	if (node->count > SPEC_STEPS_MAX)
		return spec_fail(load, node->line, node->column, "%zu steps, expected at most %d", node->count,
				 SPEC_STEPS_MAX);
	plan->steps = calloc(node->count, sizeof *plan->steps);
	if (!plan->steps)
		return spec_fail_memory(load);
	buf_add_str(&load->explain, "steps:\n");
	for (const struct spec_node *step = node->children; step; step = step->next) {
		struct plan_adapter *at = &plan->steps[plan->step_count];
		struct spec_single named;
		int code = find_only(load, ADAPTER_STEP, spec_node_named(&named, step), spec_beside_step, &child);
		if (code < 0)
			return code;
		plan->step_count++;
		buf_add_str(&load->explain, "  - ");
		code = fill_adapter(load, ADAPTER_STEP, child, "", "a file that a step reads", at);
		if (code == 0)
			code = fill_beside(load, step, at);
		if (code < 0)
			return code;
	}
	return 0;
}

static int fill_beside_sink(struct spec_load *load, const struct spec_node *sink, struct plan *plan)
{
	const struct spec_node *node = spec_node_member(sink, "order");
	int code = 0;
	load->indent = 1;
	for (const struct key *key = spec_sink_keys; key->name && !code; key++) {
		const struct key row[] = {*key, {0}};
		struct spec_single single;
		code = spec_fill(load, row, spec_node_single(&single, key->name, spec_node_member(sink, key->name)),
				 &(struct spec_where){"the sink", 1, 1}, &plan->settings);
	}
	load->indent = 0;
	if (code == 0 && plan->settings.order == ORDER_SOURCE && plan->settings.priority_field)
		spec_warn(load, node->key_line, node->key_column,
			  "order: source with flow.priority: the rows of urgent items wait in memory for those of all "
			  "items before them, and when memory is full items go in their order");
	return code;
}

int spec_sink_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	int code = fill_part(load, ADAPTER_SINK, "sink", spec_beside_sink, root, "the sink", &plan->sink);
	return code < 0 ? code : fill_beside_sink(load, spec_node_member(root, "sink"), plan);
}

int spec_dead_letter_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan)
{
	const struct spec_node *node = spec_node_member(root, "dead_letter");
	if (node && !spec_node_is_null(node))
		return fill_part(load, ADAPTER_SINK, "dead_letter", NULL, root, "the dead letters", &plan->dead_letter);
	spec_explain_absent(load, "dead_letter");
	return 0;
}
