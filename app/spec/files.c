/* SPDX-License-Identifier: MIT */
/* Which files a plan reads and writes: the paths among the keys of its adapters, and standard input and output. */
#include "data/pattern.h"
#include "spec/spec.h"

static int note(struct spec_load *load, const struct file_use *use)
{
	return files_add(load->files, use) ? spec_fail_memory(load) : 0;
}

/* Of a pattern each file that it names now. */
static int note_pattern(struct spec_load *load, const struct file_use *use)
{
	struct pattern_paths paths = {0};
	if (pattern_expand(use->path, &paths, NULL))
		return note(load, use); /* the source says what is wrong with it */
	int code = 0;
	for (size_t i = 0; i < paths.n && !code; i++) {
		struct file_use one = *use;
		one.path = paths.paths[i];
		code = note(load, &one);
	}
	pattern_paths_fini(&paths);
	return code;
}

static const char *find_table(const struct key *keys, const void *config)
{
	const char *table = NULL;
	for (const struct key *key = keys; key && key->name && !table; key++)
		if (key->flags & KEY_TABLE)
			table = *(char *const *)((const char *)config + key->offset);
	return table;
}

static bool find_updates(const struct key *keys, const void *config)
{
	for (const struct key *key = keys; key && key->name; key++)
		if (key->flags & KEY_UPDATES)
			return *(const bool *)((const char *)config + key->offset);
	return false;
}

static int note_paths(struct spec_load *load, const struct key *keys, const void *config, const struct spec_node *map,
		      struct file_use *use)
{
	int code = 0;
	for (const struct key *key = keys; key && key->name && !code; key++) {
		const struct spec_node *node = map ? spec_node_member(map, key->name) : NULL;
		bool written = key->type == KEY_PATH_OUT;
		if (key->type == KEY_GROUP && node) {
			code = note_paths(load, key->group, config, node, use);
			continue;
		}
		if (!written && key->type != KEY_PATH_IN)
			continue;
		struct file_use path = *use;
		path.path = *(char *const *)((const char *)config + key->offset);
		path.written = written;
		path.database = key->flags & KEY_DATABASE;
		path.table = path.database ? use->table : NULL;
		if (node) {
			path.line = node->line;
			path.column = node->column;
		}
		if (path.path)
			code = key->flags & KEY_PATTERN ? note_pattern(load, &path) : note(load, &path);
	}
	return code;
}

int spec_files_add(struct spec_load *load, const struct plan_adapter *at, const struct spec_node *map, const char *what)
{
	const struct adapter *adapter = at->adapter;
	struct file_use use = {.what = what,
			       .table = find_table(adapter->keys, at->config),
			       .updates = find_updates(adapter->keys, at->config),
			       .line = at->line,
			       .column = at->column};
	if (!load->files)
		return 0;
	int code = note_paths(load, adapter->keys, at->config, map, &use);
	if (code || !adapter->standard)
		return code;
	use.path = adapter->standard;
	use.written = adapter->kind == ADAPTER_SINK;
	use.standard = use.written;
	use.table = NULL;
	return note(load, &use);
}
