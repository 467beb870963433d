/* SPDX-License-Identifier: MIT */
/* Values of a config of every type, through a table of our own; and what comes into them from outside. */
#include "data/template.h"
#include "spec/plan.h"
#include "spec/spec.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct all_types {
	char *string, *in, *pattern, *out, *jq, *secret;
	struct template *template, *url;
	weir_nsec duration, durations[2];
	uint64_t size;
	int64_t count, range[2];
	double percent;
	bool flag;
	int choice;
	struct key_counts counts;
	struct key_strings strings;
	struct key_headers headers;
	struct key_json json;
	struct key_times times;
	struct key_columns columns;
	int64_t inner;
	weir_nsec first, all;
	struct key_wait wait;
	struct key_list list;
};

struct element {
	char *when;
	int64_t n;
};

#define FIELD(name) offsetof(struct all_types, name)

static const struct key inner_keys[] = {{"inner", KEY_COUNT, FIELD(inner), "3", .text = "i"}, {0}};

static const struct key limit_keys[] = {{"first", KEY_DURATION, FIELD(first), .min = WEIR_MSEC, .text = "f"},
					{"all", KEY_DURATION, FIELD(all), "30s", WEIR_MSEC, .text = "a"},
					{0}};

static const struct key element_keys[] = {
	{"when", KEY_JQ, offsetof(struct element, when), .flags = KEY_REQUIRED | KEY_INNER, .text = "w"},
	{"n", KEY_COUNT, offsetof(struct element, n), "7", .text = "n"},
	{0}};

static const struct key all_keys[] = {
	{"string", KEY_STRING, FIELD(string), .text = "t"},
	{"template", KEY_TEMPLATE, FIELD(template), .text = "t"},
	{"url", KEY_URL, FIELD(url), .text = "t"},
	{"in", KEY_PATH_IN, FIELD(in), .text = "t"},
	{"pattern", KEY_PATH_IN, FIELD(pattern), .flags = KEY_PATTERN, .text = "t"},
	{"out", KEY_PATH_OUT, FIELD(out), .text = "t"},
	{"jq", KEY_JQ, FIELD(jq), .text = "t"},
	{"duration", KEY_DURATION, FIELD(duration), "10s", WEIR_MSEC, 3600 * WEIR_SEC, .text = "t"},
	{"durations", KEY_DURATIONS, FIELD(durations), .text = "t"},
	{"size", KEY_SIZE, FIELD(size), .min = 1024, .max = 1 << 30, .text = "t"},
	{"count", KEY_COUNT, FIELD(count), .min = -5, .max = 100, .text = "t"},
	{"percent", KEY_PERCENT, FIELD(percent), .text = "t"},
	{"flag", KEY_BOOL, FIELD(flag), "true", .text = "t"},
	{"choice", KEY_ENUM, FIELD(choice), .choices = "json|text|bytes", .text = "t"},
	{"range", KEY_RANGE, FIELD(range), .text = "t"},
	{"counts", KEY_COUNTS, FIELD(counts), "[200, 404]", 100, 599, .text = "t"},
	{"strings", KEY_STRINGS, FIELD(strings), .text = "t"},
	{"json", KEY_JSON, FIELD(json), .text = "t"},
	{"headers", KEY_HEADERS, FIELD(headers), .text = "t"},
	{"columns", KEY_COLUMNS, FIELD(columns), "auto", .choices = "auto", .text = "t"},
	{"times", KEY_TIMES, FIELD(times), .min = 0, .max = 9, .text = "t"},
	{"secret", KEY_STRING, FIELD(secret), .flags = KEY_SECRET, .text = "t"},
	{"group", KEY_GROUP, 0, .group = inner_keys, .text = "t"},
	{"limits", KEY_GROUP, 0, .group = limit_keys, .shorthand = "all", .text = "t"},
	{"wait", KEY_WAIT, FIELD(wait), NULL, 0, 3600 * WEIR_SEC, .text = "t"},
	{"list", KEY_LIST, FIELD(list), .group = element_keys, .element_bytes = sizeof(struct element), .text = "t"},
	{0},
};

static int fill_all(const char *text, struct all_types *config, char **ret_explained, struct weir_error *err)
{
	struct spec_load load = {.label = "t", .folder = test_folder(), .text = text, .n = strlen(text), .err = err};
	struct spec_node *root;
	*config = (struct all_types){0};
	int code = spec_yaml_read(text, load.n, &root, err);
	ck_assert_int_eq(code, 0);
	code = spec_fill(&load, all_keys, root, &(struct spec_where){"all", 1, 1}, config);
	if (ret_explained)
		*ret_explained = strdup(load.explain.data ? load.explain.data : "");
	spec_node_free(root);
	spec_programs_free(&load);
	buf_fini(&load.explain);
	buf_fini(&load.warnings);
	return code;
}

static void expect_value_error(const char *text, int column, const char *part)
{
	struct all_types config;
	struct weir_error err = {0};
	int code = fill_all(text, &config, NULL, &err);
	ck_assert_msg(code == WEIR_EINVAL, "%s: %d", text, code);
	ck_assert_msg(strstr(err.text, part), "%s: %s", text, err.text);
	ck_assert_msg(err.line == 1 && err.column == column, "%s: %d:%d %s", text, err.line, err.column, err.text);
	spec_release(all_keys, &config);
}

TEST(spec_reads_values_of_every_type)
{
	struct all_types c;
	struct weir_error err = {0};
	test_write_file("there", "x");
	int code = fill_all(
		"string: text\ntemplate: 'a${.b}'\nurl: HTTPS://h/${.c}\nin: there\npattern: ther*\nout: new\njq: .a\n"
		"duration: 1.5s\ndurations: 1ms..2m\nsize: 10MB\ncount: -5\npercent: 12.5%\nflag: false\n"
		"choice: bytes\nrange: -3..7\ncounts: [100, 599]\nstrings: [a, 'b c']\n"
		"headers: {Accept: '*/*', X-Id: '${.id}'}\ntimes: {0: 2s, 9: 5ms}\nsecret: pss\ngroup: {inner: 9}\n",
		&c, NULL, &err);
	ck_assert_msg(code == 0, "%d:%d %s", err.line, err.column, err.text);
	ck_assert_str_eq(c.string, "text");
	ck_assert_str_eq(template_text(c.template), "a${.b}");
	ck_assert_str_eq(template_text(c.url), "HTTPS://h/${.c}");
	ck_assert_str_eq(c.in, test_format("%s/there", test_folder()));
	ck_assert_str_eq(c.pattern, test_format("%s/ther*", test_folder()));
	ck_assert_str_eq(c.out, test_format("%s/new", test_folder()));
	ck_assert_str_eq(c.jq, ".a");
	ck_assert_int_eq(c.duration, 1500 * WEIR_MSEC);
	ck_assert_int_eq(c.durations[0], WEIR_MSEC);
	ck_assert_int_eq(c.durations[1], 120 * WEIR_SEC);
	ck_assert_uint_eq(c.size, 10000000);
	ck_assert_int_eq(c.count, -5);
	ck_assert_double_eq(c.percent, 0.125);
	ck_assert(!c.flag);
	ck_assert_int_eq(c.choice, 2);
	ck_assert_int_eq(c.range[0], -3);
	ck_assert_int_eq(c.range[1], 7);
	ck_assert_uint_eq(c.counts.n, 2);
	ck_assert_int_eq(c.counts.values[1], 599);
	ck_assert_uint_eq(c.strings.n, 2);
	ck_assert_str_eq(c.strings.values[1], "b c");
	ck_assert_uint_eq(c.headers.n, 2);
	ck_assert_str_eq(c.headers.headers[1].name, "X-Id");
	ck_assert_str_eq(template_text(c.headers.headers[1].value), "${.id}");
	ck_assert_uint_eq(c.times.n, 2);
	ck_assert_int_eq(c.times.times[0].time, 2 * WEIR_SEC);
	ck_assert_int_eq(c.times.times[1].number, 9);
	ck_assert_str_eq(c.secret, "pss");
	ck_assert_int_eq(c.inner, 9);
	spec_release(all_keys, &c);
}

TEST(spec_fills_defaults_of_every_shape)
{
	struct all_types c;
	char *explained;
	ck_assert_int_eq(fill_all("counts: 404\nstrings: one\n", &c, &explained, NULL), 0);
	ck_assert_int_eq(c.duration, 10 * WEIR_SEC);
	ck_assert(c.flag);
	ck_assert_uint_eq(c.counts.n, 1);
	ck_assert_uint_eq(c.strings.n, 1);
	ck_assert_int_eq(c.inner, 3);
	ck_assert_ptr_null(c.string);
	ck_assert_ptr_null(c.url);
	ck_assert_ptr_nonnull(strstr(explained, "# string: not set\n"));
	ck_assert_ptr_nonnull(strstr(explained, "group:\n  inner: 3 # default\n"));
	free(explained);
	spec_release(all_keys, &c);
	ck_assert_int_eq(fill_all("{}", &c, &explained, NULL), 0);
	ck_assert_uint_eq(c.counts.n, 2);
	ck_assert_ptr_nonnull(strstr(explained, "counts: [200, 404] # default\n"));
	free(explained);
	spec_release(all_keys, &c);
}

TEST(spec_columns_are_a_list_or_a_map_or_a_word)
{
	static const char *const none[] = {"{}", "columns: auto", "columns:"};
	struct all_types c;
	char *explained;
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(fill_all(none[i], &c, &explained, NULL), 0);
		ck_assert_uint_eq(c.columns.names.n, 0);
		ck_assert_ptr_nonnull(strstr(explained, "columns: auto"));
		free(explained);
		spec_release(all_keys, &c);
	}
	ck_assert_int_eq(fill_all("columns: [auto, id]", &c, NULL, NULL), 0);
	ck_assert_uint_eq(c.columns.names.n, 2);
	ck_assert_str_eq(c.columns.names.values[0], "auto");
	ck_assert_ptr_null(c.columns.types);
	spec_release(all_keys, &c);
	ck_assert_int_eq(fill_all("columns: id", &c, NULL, NULL), 0);
	ck_assert_uint_eq(c.columns.names.n, 1);
	spec_release(all_keys, &c);
	ck_assert_int_eq(fill_all("columns: {id: bigint, total: 'numeric(12, 2)'}", &c, &explained, NULL), 0);
	ck_assert_uint_eq(c.columns.names.n, 2);
	ck_assert_str_eq(c.columns.names.values[1], "total");
	ck_assert_str_eq(c.columns.types[1], "numeric(12, 2)");
	ck_assert_ptr_nonnull(strstr(explained, "columns:\n  id: bigint\n  total: \"numeric(12, 2)\"\n"));
	free(explained);
	spec_release(all_keys, &c);
}

static void expect_limits(const char *text, weir_nsec first, weir_nsec all, const char *part)
{
	struct all_types c;
	char *explained;
	struct weir_error err = {0};
	int code = fill_all(text, &c, &explained, &err);
	ck_assert_msg(code == 0, "%s: %s", text, err.text);
	ck_assert_int_eq(c.first, first);
	ck_assert_int_eq(c.all, all);
	ck_assert_msg(strstr(explained, part) != NULL, "%s", explained);
	free(explained);
	spec_release(all_keys, &c);
}

TEST(spec_plain_value_stands_for_one_key_of_a_group)
{
	expect_limits("{}", 0, 30 * WEIR_SEC, "\nlimits: 30s # default\n");
	expect_limits("limits: 2m", 0, 120 * WEIR_SEC, "\nlimits: 2m\n");
	expect_limits("limits: {first: 1s}", WEIR_SEC, 30 * WEIR_SEC, "\nlimits:\n  first: 1s\n  all: 30s # default\n");
	expect_limits("limits: {all: 1s}", 0, WEIR_SEC, "\nlimits:\n  # first: not set\n  all: 1s\n");
	expect_limits("limits:", 0, 30 * WEIR_SEC, "\nlimits: 30s # default\n");
	expect_value_error("limits: 3", 9, "limits is \"3\", expected a duration with a unit");
	expect_value_error("limits: [3s]", 9, "at least 1ms; or a map of keys");
	expect_value_error("limits: {al: 3s}", 10, "did you mean \"all\"?");
}

TEST(spec_value_errors_say_what_is_expected)
{
	expect_value_error("string: [a]", 9, "string is a list, expected text");
	expect_value_error("string: {a: 1}", 9, "string is a map, expected text");
	expect_value_error("string: 'a${.b}'", 11, "a ${.path} of the item cannot be used here");
	expect_value_error("template: 'a${b}'", 13, "did you mean ${.b}?");
	expect_value_error("template: 'a${.b'", 17, "no } after ${");
	expect_value_error("url: 127.0.0.1/x", 6, "expected a URL that begins with http:// or https://");
	expect_value_error("url: ftp://h/x", 6, "url is \"ftp://h/x\"");
	expect_value_error("url: http://", 6, "expected a URL");
	expect_value_error("url: 'http://h/a b'", 6, "expected a URL");
	expect_value_error("url: '${.scheme}://h/'", 6, "expected a URL");
	expect_value_error("in: nothing-there", 5, "in: cannot read");
	expect_value_error("in: nothing-*", 5, "in: cannot read");
	expect_value_error("pattern: nothing-there", 10, "pattern: cannot read \"nothing-there\": no such file");
	expect_value_error("pattern: nothing-*", 10, test_format("no file matches %s/nothing-*", test_folder()));
	expect_value_error("pattern: .", 10, "it is a folder");
	ck_assert_int_eq(symlink("gone", test_format("%s/link-1", test_folder())), 0);
	test_write_file("link-0", "");
	expect_value_error("pattern: link-*", 10, test_format("%s/link-1: no such file", test_folder()));
	expect_value_error("in: .", 5, "it is a folder");
	expect_value_error("out: no/such/folder", 6, "its folder does not exist");
	expect_value_error("out: .", 6, "it is a folder");
	expect_value_error("duration: 10", 11,
			   "duration is \"10\", expected a duration with a unit, such as 10s or 200ms");
	expect_value_error("duration: 10 s", 11, "expected a duration");
	expect_value_error("duration: 10sec", 11, "expected a duration");
	expect_value_error("duration: -1s", 11, "expected a duration");
	expect_value_error("duration: 2h", 11, "from 1ms to 1h");
	expect_value_error("duration: 0", 11, "from 1ms to 1h");
	expect_value_error("duration: 99999999999d", 11, "expected a duration");
	expect_value_error("durations: 2s..1s", 12, "expected a duration or a range of two, such as 200ms..30s");
	expect_value_error("durations: 2s..", 12, "expected a duration");
	expect_value_error("size: 10MiBs", 7, "expected a size, such as 64KiB or 10MiB, from 1KiB to 1GiB");
	expect_value_error("size: 1TiB", 7, "from 1KiB to 1GiB");
	expect_value_error("count: many", 8, "count is \"many\", expected a whole number, from -5 to 100");
	expect_value_error("count: 101", 8, "from -5 to 100");
	expect_value_error("count: 1.5", 8, "expected a whole number");
	expect_value_error("count: 99999999999999999999", 8, "expected a whole number");
	expect_value_error("count: ''", 8, "count is \"\"");
	expect_value_error("percent: 50", 10, "expected a percentage, such as 50% or 0.5");
	expect_value_error("percent: 101%", 10, "expected a percentage");
	expect_value_error("percent: nan", 10, "expected a percentage");
	expect_value_error("flag: yes", 7, "expected true or false");
	expect_value_error("choice: jsn", 9, "expected one of json, text, bytes; did you mean \"json\"?");
	expect_value_error("range: 7-3", 8, "expected a range of whole numbers, such as 1-1000");
	expect_value_error("range: 7", 8, "expected a range");
	expect_value_error("counts: [200, 99]", 15, "expected a whole number, from 100 to 599");
	expect_value_error("counts: [200, [300]]", 15, "expected a whole number");
	expect_value_error("counts: {a: 1}", 9, "expected a list of whole numbers, from 100 to 599");
	expect_value_error("strings: [a, {b: 1}]", 14, "strings is a map, expected text");
	expect_value_error("columns: [a, {b: 1}]", 14, "columns is a map, expected text");
	expect_value_error("columns: {a: [int]}", 14, "a is a list, expected text");
	expect_value_error("columns: {a: int, b: ''}", 22, "b is \"\", expected text");
	expect_value_error("headers: text", 10, "expected a map of header names to texts");
	expect_value_error("headers: {a b: c}", 11, "\"a b\" is not a header name");
	expect_value_error("headers: {a: [b]}", 14, "a list");
	expect_value_error("headers: {a: \"b\\r\\nX: y\"}", 14, "a header must not contain a line break");
	expect_value_error("times: 2s", 8, "expected a map of whole numbers to durations");
	expect_value_error("times: {10: 2s}", 9, "times: unexpected key \"10\", expected a whole number from 0 to 9");
	expect_value_error("times: {x: 2s}", 9, "times: unexpected key \"x\"");
	expect_value_error("times: {3: 2}", 12, "3 is \"2\", expected a duration with a unit");
	expect_value_error("secret: {hunter2: x}", 9, "secret is a map");
	expect_value_error("group: 3", 8, "group is \"3\", expected a map");
	expect_value_error("group: {iner: 3}", 9, "did you mean \"inner\"?");
	expect_value_error("nope: 3", 1, "unknown key \"nope\" in all");
}

/* From outside. */

TEST(spec_expands_what_comes_from_outside)
{
	struct all_types c;
	struct weir_error err = {0};
	setenv("WEIR_TEST_A", "alpha", 1);
	setenv("WEIR_TEST_HOLE", "x${.id}y", 1);
	setenv("WEIR_TEST_N", "42", 1);
	test_write_file("token", "tok\n");
	int code = fill_all("string: '<${env:WEIR_TEST_A}|${file:token}|$${env:X}|$x>'\n"
			    "template: '${.id} ${env:WEIR_TEST_HOLE} $${.z}'\n"
			    "count: ${env:WEIR_TEST_N}\n"
			    "jq: '\"${x}\" + $x'\n",
			    &c, NULL, &err);
	ck_assert_msg(code == 0, "%d:%d %s", err.line, err.column, err.text);
	ck_assert_str_eq(c.string, "<alpha|tok|${env:X}|$x>");
	ck_assert_str_eq(c.jq, "\"${x}\" + $x");
	ck_assert_int_eq(c.count, 42);
	struct json *item;
	struct buf out = {0};
	ck_assert_int_eq(json_parse("{\"id\":1}", 8, &item, NULL), 0);
	ck_assert_int_eq(template_render(c.template, &(struct template_input){.item = item}, &out, NULL), 0);
	ck_assert_str_eq(out.data, "1 x${.id}y ${.z}");
	json_free(item);
	buf_fini(&out);
	spec_release(all_keys, &c);
}

static void expect_json_template(const char *yaml, const char *expected)
{
	struct all_types c;
	struct weir_error err = {0};
	int code = fill_all(test_format("json: %s\n", yaml), &c, NULL, &err);
	ck_assert_msg(code == 0, "%s: %d:%d %s", yaml, err.line, err.column, err.text);
	ck_assert_str_eq(template_text(c.json.template), expected);
	spec_release(all_keys, &c);
}

TEST(spec_json_is_the_text_of_a_document)
{
	setenv("WEIR_TEST_HOLE", "x${.id}\"", 1);
	expect_json_template("{id: '${.id}', 'q\"${.k}': 'a \"${.[\"x y\"]}\" $${.z}', t: '${env:WEIR_TEST_HOLE}'}",
			     "{\"id\":${.id},\"q\\\"${.k}\":\"a \\\"${.[\"x y\"]}\\\" $${.z}\","
			     "\"t\":\"x$${.id}\\\"\"}");
	expect_json_template("[1, -2.50, '3', true, 'true', null, ~, yes, 0x10, [], {}, \"a\\nb\"]",
			     "[1,-2.50,\"3\",true,\"true\",null,null,\"yes\",\"0x10\",[],{},\"a\\nb\"]");
	expect_json_template("\n  - a: ${.a.b[0]}\n    b:\n  - ${meta.key}",
			     "[{\"a\":${.a.b[0]},\"b\":null},${meta.key}]");
	expect_value_error("json: '{id: ${.id}}'", 7, "a ${.path} cannot be used in it; write .path");
	expect_value_error("json: {a: '${id}'}", 7, "did you mean ${.id}?");
}

TEST(spec_json_that_is_a_text_is_a_program)
{
	struct all_types c;
	char *explained;
	ck_assert_int_eq(fill_all("json: '{id, $x} # \"'", &c, &explained, NULL), 0);
	ck_assert_ptr_null(c.json.template);
	ck_assert_str_eq(c.json.program, "{id, $x} # \"");
	ck_assert_msg(strstr(explained, "json: \"{id, $x} # \\\"\"\n"), "%s", explained);
	spec_release(all_keys, &c);
	free(explained);
}

TEST(spec_json_is_explained_as_it_can_be_read)
{
	struct all_types c;
	struct weir_error err = {0};
	char *explained, *again;
	setenv("WEIR_TEST_A", "alpha", 1);
	ck_assert_int_eq(fill_all("json: {a: ['${.x}', 1], b c: '${env:WEIR_TEST_A}'}", &c, &explained, &err), 0);
	ck_assert_msg(strstr(explained, "json: {\"a\":[\"${.x}\",1],\"b c\":\"***\"}\n"), "%s", explained);
	spec_release(all_keys, &c);
	ck_assert_int_eq(fill_all(explained, &c, &again, &err), 0);
	ck_assert_str_eq(template_text(c.json.template), "{\"a\":[${.x},1],\"b c\":\"***\"}");
	spec_release(all_keys, &c);
	free(explained);
	free(again);
}

TEST(spec_list_fills_a_struct_for_each_map)
{
	struct all_types c;
	struct weir_error err = {0};
	char *explained;
	const char *text = "list: [{when: .a, n: 2}, {when: '.b # b'}]\nwait: .after\n";
	for (int i = 0; i < 2; i++) { /* as it was written, and as it is explained */
		ck_assert_msg(fill_all(text, &c, &explained, &err) == 0, "%d:%d %s\n%s", err.line, err.column, err.text,
			      text);
		const struct element *elements = c.list.elements;
		ck_assert_uint_eq(c.list.n, 2);
		ck_assert_str_eq(elements[0].when, ".a");
		ck_assert_int_eq(elements[0].n, 2);
		ck_assert_str_eq(elements[1].when, ".b # b");
		ck_assert_int_eq(elements[1].n, 7);
		ck_assert_str_eq(c.wait.program, ".after");
		spec_release(all_keys, &c);
		text = test_format("%s", explained);
		free(explained);
	}
	ck_assert_int_eq(fill_all("wait: 5m\nlist: []", &c, NULL, &err), 0);
	ck_assert(c.wait.time == 300 * WEIR_SEC && !c.wait.program && !c.list.n);
	spec_release(all_keys, &c);
	expect_value_error("wait: 2h", 7, "wait is \"2h\", expected a duration, or a jq program that gives seconds");
	expect_value_error("list: {when: .a}", 7, "list is a map, expected a list of maps");
	expect_value_error("list: [.a]", 8, "list: expected a list of maps");
	expect_value_error("list: [{when: .a}, {n: 1}]", 20, "list: \"when\" is required");
	expect_value_error("list: [{when: .a, m: 1}]", 19, "unknown key \"m\" in list");
	expect_value_error("list: [{when: .a, n: x}]", 22, "n is \"x\", expected a whole number");
}

TEST(spec_errors_never_show_what_came_from_outside)
{
	struct all_types c;
	struct weir_error err = {0};
	setenv("WEIR_TEST_A", "alpha", 1);
	ck_assert_int_eq(fill_all("count: ${env:WEIR_TEST_A}", &c, NULL, &err), WEIR_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "count is \"${env:WEIR_TEST_A}\""));
	ck_assert_ptr_null(strstr(err.text, "alpha"));
	spec_release(all_keys, &c);
}

TEST(spec_errors_of_references_have_a_place)
{
	unsetenv("WEIR_TEST_NONE");
	setenv("WEIR_TEST_BYTES", "a\xFF", 1);
	test_write_file("big", test_format("%070000d", 1));
	expect_value_error("string: 'a ${env:WEIR_TEST_NONE}'", 12,
			   "the environment variable WEIR_TEST_NONE is not set");
	expect_value_error("string: a ${file:nope}", 11, "cannot read nope: not found");
	expect_value_error("string: ${file:big}", 9, "at most 64 KiB");
	expect_value_error("string: ${env:WEIR_TEST_BYTES}", 9, "not UTF-8 text");
	expect_value_error("string: '${env:'", 10, "expected ${env:NAME} or ${file:PATH}");
	expect_value_error("string: x${env:}", 10, "expected ${env:NAME} or ${file:PATH}");
}
