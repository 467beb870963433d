/* SPDX-License-Identifier: MIT */
/*
 * spec-reference: fills the tables of docs/pipeline.md from the rows of keys.  A filter, for scripts/reference:
 *
 *     <!-- keys: source jsonl -->      what stands between such a line and the next "<!-- end -->" becomes the table of
 *     ...                              that adapter, or of a section of the file (<!-- keys: flow -->)
 *     <!-- end -->
 *
 * All other lines are copied.  A table without a place, or a place without a table, is an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/spec.h"

/* In a word or two; docs/pipeline.md explains each under "Values". */
static const char *const type_words[] = {
	[KEY_STRING] = "text",
	[KEY_TEMPLATE] = "text, `${.path}`",
	[KEY_JSON] = "map or list, texts with `${.path}`; or jq program",
	[KEY_URL] = "URL, `${.path}`",
	[KEY_PATH] = "path of a file, `${.path}`",
	[KEY_PATH_IN] = "path of a readable file",
	[KEY_PATH_OUT] = "path in an existing folder",
	[KEY_JQ] = "jq program",
	[KEY_WAIT] = "duration, or jq program",
	[KEY_DURATION] = "duration",
	[KEY_DURATIONS] = "duration, or two",
	[KEY_SIZE] = "size",
	[KEY_COUNT] = "whole number",
	[KEY_RATE] = "rate",
	[KEY_FIELD] = "path into the item",
	[KEY_PERCENT] = "share, 0% to 100%",
	[KEY_BOOL] = "`true` or `false`",
	[KEY_ENUM] = "",
	[KEY_RANGE] = "range",
	[KEY_COUNTS] = "list of whole numbers",
	[KEY_STRINGS] = "text, or a list of texts",
	[KEY_HEADERS] = "map of header names to texts, `${.path}`",
	[KEY_COLUMNS] = "list of names, or map of names to types",
	[KEY_TIMES] = "map of whole numbers to durations",
	[KEY_LIST] = "list of maps",
	[KEY_GROUP] = "map",
};

enum { TABLES_MAX = 64 };

struct table {
	char name[64]; /* "source jsonl", "flow" */
	const struct key *keys;
	const char *text;      /* NULL: there is none */
	const char *shorthand; /* NULL: there is none */
	bool placed;
};

static struct table tables[TABLES_MAX];
static size_t table_count;

static void add_table(const char *kind, const char *name, const struct key *keys, const char *text,
		      const char *shorthand)
{
	struct table *table = &tables[table_count++];
	if (table_count > TABLES_MAX)
		abort();
	snprintf(table->name, sizeof table->name, "%s%s%s", kind, kind[0] ? " " : "", name);
	table->keys = keys;
	table->text = text;
	table->shorthand = shorthand;
}

static void find_tables(void)
{
	for (const struct adapter *const *at = adapter_registry; *at; at++)
		add_table(adapter_kind_name((*at)->kind), (*at)->name, (*at)->keys, (*at)->text, (*at)->shorthand);
	for (const struct key *group = spec_section_keys; group->name; group++)
		add_table("", group->name, group->group, NULL, NULL);
	add_table("", "step", spec_step_keys, NULL, NULL);
	add_table("", "sink", spec_sink_keys, NULL, NULL);
}

/* A | would end a cell. */
static void print_cell(const char *text)
{
	for (; *text; text++)
		printf(*text == '|' ? "\\%c" : "%c", *text);
}

static void print_choices(const char *choices)
{
	putchar('`');
	for (; *choices; choices++)
		*choices == '|' ? (void)fputs("`, `", stdout) : (void)putchar(*choices);
	putchar('`');
}

static void print_value(const struct key *key)
{
	struct key plain;
	struct buf bounds = {0};
	if (key->choices) {
		print_choices(key->choices);
		if (key->type != KEY_ENUM)
			fputs(" or ", stdout);
	}
	if (spec_shorthand(key, &plain)) {
		print_value(&plain);
		fputs("; or ", stdout);
	}
	fputs(type_words[key->type], stdout);
	if (key->flags & KEY_PATTERN)
		fputs(", or a pattern of names", stdout);
	spec_bounds(key, &bounds);
	fwrite(bounds.data, 1, bounds.len, stdout);
	buf_fini(&bounds);
}

static void print_default(const struct key *key)
{
	struct key plain = *key;
	spec_shorthand(key, &plain);
	if (plain.fallback)
		printf("`%s`", plain.fallback[0] ? plain.fallback : "\"\"");
	else if (key->flags & KEY_REQUIRED)
		fputs("required", stdout);
}

static void print_rows(const struct key *keys, const char *group)
{
	for (const struct key *key = keys; key->name; key++) {
		char name[128];
		snprintf(name, sizeof name, "%s%s%s", group, group[0] ? "." : "", key->name);
		printf("| `%s` | ", name);
		print_value(key);
		fputs(" | ", stdout);
		print_default(key);
		fputs(" | ", stdout);
		print_cell(key->text);
		fputs(" |\n", stdout);
		if (key->group)
			print_rows(key->group, name);
	}
}

static void print_table(const struct table *table)
{
	if (table->text)
		printf("\n%s.%s%s%s\n", table->text, table->shorthand ? " A plain value stands for `" : "",
		       table->shorthand ? table->shorthand : "", table->shorthand ? "`." : "");
	if (!table->keys || !table->keys->name) {
		fputs("\nIt has no keys.\n\n", stdout);
		return;
	}
	fputs("\n| key | value | default | what it does |\n|---|---|---|---|\n", stdout);
	print_rows(table->keys, "");
	putchar('\n');
}

static struct table *table_at(const char *line)
{
	static const char mark[] = "<!-- keys: ", end[] = " -->\n";
	for (size_t i = 0; strncmp(line, mark, strlen(mark)) == 0 && i < table_count; i++) {
		const char *name = line + strlen(mark);
		size_t n = strlen(tables[i].name);
		if (strncmp(name, tables[i].name, n) == 0 && strcmp(name + n, end) == 0)
			return &tables[i];
	}
	return NULL;
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	bool inside = false;
	int code = EXIT_SUCCESS;
	find_tables();
	for (int number = 1; getline(&line, &room, stdin) >= 0; number++) {
		struct table *table = table_at(line);
		if (strncmp(line, "<!-- keys: ", 11) == 0 && (!table || inside)) {
			fprintf(stderr, "docs/pipeline.md:%d: there is no such table: %s", number, line);
			code = EXIT_FAILURE;
		}
		inside = inside && strcmp(line, "<!-- end -->\n") != 0;
		if (!inside)
			fputs(line, stdout);
		if (!table)
			continue;
		print_table(table);
		table->placed = inside = true;
	}
	for (size_t i = 0; i < table_count; i++) {
		if (tables[i].placed)
			continue;
		fprintf(stderr, "docs/pipeline.md:1: there is no place for <!-- keys: %s -->\n", tables[i].name);
		code = EXIT_FAILURE;
	}
	free(line);
	return fflush(stdout) ? EXIT_FAILURE : code;
}
