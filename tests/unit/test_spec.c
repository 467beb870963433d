/* SPDX-License-Identifier: MIT */
#include "port/template.h"
#include "spec/plan.h"
#include "spec/spec.h"
#include "spec/suggest.h"
#include "spec/units.h"
#include "support/test.h"

#include <weir/process.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define ENDS "source: {range: 1-3}\nsink: {stdout: {}}\n"

static struct plan *loaded(const char *text)
{
	struct plan *plan = NULL;
	struct weir_error err = {0};
	int code = spec_parse(text, strlen(text), "t.yaml", test_folder(), &(struct spec_options){0}, &plan, &err);
	ck_assert_msg(code == 0, "%s\n%d:%d: %s", text, err.line, err.column, err.text);
	return plan;
}

static void expect_error_with(const char *text, const char *jq, int line, int column, const char *part)
{
	struct plan *plan = (struct plan *)&plan;
	struct weir_error err = {0};
	int code = spec_parse(text, strlen(text), "t.yaml", test_folder(), &(struct spec_options){jq}, &plan, &err);
	ck_assert_msg(code == WEIR_EINVAL, "%s\n%d", text, code);
	ck_assert_ptr_eq(plan, &plan);
	ck_assert_msg(strstr(err.text, part), "%s\n%d:%d: %s", text, err.line, err.column, err.text);
	ck_assert_msg(err.line == line && err.column == column, "%s\n%d:%d: %s", text, err.line, err.column, err.text);
	ck_assert_str_eq(err.source, "t.yaml");
	ck_assert_int_eq(err.code, WEIR_EINVAL);
}

static void expect_error(const char *text, int line, int column, const char *part)
{
	expect_error_with(text, NULL, line, column, part);
}

/* A plan. */

TEST(spec_reads_a_whole_pipeline)
{
	test_write_file("in.jsonl", "1\n");
	struct plan *plan = loaded("name: orders\n"
				   "source:\n"
				   "  jsonl: { path: in.jsonl }\n"
				   "broker:\n"
				   "  memory: {}\n"
				   "steps:\n"
				   "  - http:\n"
				   "      url: http://127.0.0.1:8080/orders/${.order_id}\n"
				   "      timeout: 10s\n"
				   "  - jq: '{id, total}'\n"
				   "flow:\n"
				   "  concurrency: 500\n"
				   "  retry: { attempts: 7, backoff: 100ms..1m, jitter: none, max_retry_after: 1h }\n"
				   "sink:\n"
				   "  jsonl: { path: out.jsonl }\n"
				   "  batch: { items: 10, bytes: 64KiB, period: 1s }\n"
				   "dead_letter: { jsonl: { path: dead.jsonl } }\n"
				   "stop_when: { dead: 0.25, of_first: 10 }\n"
				   "shutdown: { drain: 5s }\n");
	const struct plan_settings *s = &plan->settings;
	ck_assert_str_eq(s->name, "orders");
	ck_assert_str_eq(plan->source.adapter->name, "jsonl");
	ck_assert_int_eq(plan->source.adapter->kind, ADAPTER_SOURCE);
	ck_assert_int_eq(plan->source.line, 3);
	ck_assert_int_eq(plan->source.column, 3);
	ck_assert_str_eq(plan->broker.adapter->name, "memory");
	ck_assert_uint_eq(plan->step_count, 2);
	ck_assert_str_eq(plan->steps[1].adapter->name, "jq");
	ck_assert_str_eq(plan->sink.adapter->name, "jsonl");
	ck_assert_int_eq(plan->sink.adapter->kind, ADAPTER_SINK);
	ck_assert_str_eq(plan->dead_letter.adapter->name, "jsonl");
	ck_assert_int_eq(s->concurrency, 500);
	ck_assert_int_eq(s->retry_attempts, 7);
	ck_assert_int_eq(s->retry_backoff[0], 100 * WEIR_MSEC);
	ck_assert_int_eq(s->retry_backoff[1], 60 * WEIR_SEC);
	ck_assert_int_eq(s->retry_jitter, WEIR_JITTER_NONE);
	ck_assert_int_eq(s->max_retry_after, 3600 * WEIR_SEC);
	ck_assert_int_eq(s->batch_items, 10);
	ck_assert_uint_eq(s->batch_bytes, 65536);
	ck_assert_int_eq(s->batch_period, WEIR_SEC);
	ck_assert_double_eq(s->stop_dead, 0.25);
	ck_assert_int_eq(s->stop_of_first, 10);
	ck_assert_int_eq(s->drain, 5 * WEIR_SEC);
	plan_free(plan);
}

TEST(spec_fills_in_defaults)
{
	struct plan *plan = loaded(ENDS);
	const struct plan_settings *s = &plan->settings;
	ck_assert_str_eq(s->name, "t");
	ck_assert_str_eq(plan->file, "t.yaml");
	ck_assert_str_eq(plan->broker.adapter->name, "sqlite");
	ck_assert_uint_eq(plan->step_count, 0);
	ck_assert_ptr_null(plan->dead_letter.adapter);
	ck_assert_int_eq(s->concurrency, 0);
	ck_assert_int_eq(s->retry_attempts, 5);
	ck_assert_int_eq(s->retry_backoff[0], 200 * WEIR_MSEC);
	ck_assert_int_eq(s->retry_backoff[1], 30 * WEIR_SEC);
	ck_assert_int_eq(s->retry_jitter, WEIR_JITTER_FULL);
	ck_assert_int_eq(s->max_retry_after, 300 * WEIR_SEC);
	ck_assert_double_eq(s->stop_dead, 0.5);
	ck_assert_int_eq(s->stop_of_first, 200);
	ck_assert_int_eq(s->batch_items, 500);
	ck_assert_uint_eq(s->batch_bytes, 1 << 20);
	ck_assert_int_eq(s->batch_period, 20 * WEIR_MSEC);
	ck_assert_int_eq(s->drain, 30 * WEIR_SEC);
	plan_free(plan);
}

TEST(spec_takes_nothing_for_an_empty_map_or_list)
{
	plan_free(loaded("source: {range: 1..3}\nsink:\n  stdout:\nsteps:\nbroker:\ndead_letter: ~\nflow:\n"));
	plan_free(loaded("\xEF\xBB\xBF" ENDS "steps: []\n"));
	plan_free(loaded("---\n" ENDS "# end\n...\n"));
}

TEST(spec_makes_a_name_of_the_file_s)
{
	struct plan *plan;
	ck_assert_int_eq(spec_parse(ENDS, strlen(ENDS), "/x/-my orders.v2.yaml", ".", NULL, &plan, NULL), 0);
	ck_assert_str_eq(plan->settings.name, "_my_orders_v2");
	plan_free(plan);
}

/* Explaining. */

static char *without_marks(const char *text)
{
	char *copy = strdup(text);
	for (char *mark; (mark = strstr(copy, " # default")) != NULL;)
		memmove(mark, mark + 10, strlen(mark + 10) + 1);
	return copy;
}

static void expect_round_trip(const char *text)
{
	struct plan *plan = loaded(text), *again = loaded(plan->explained), *third = loaded(again->explained);
	char *once = without_marks(plan->explained), *twice = without_marks(again->explained);
	ck_assert_str_eq(once, twice);
	ck_assert_str_eq(again->explained, third->explained);
	ck_assert_int_eq(plan->settings.retry_backoff[1], again->settings.retry_backoff[1]);
	ck_assert_int_eq(plan->settings.concurrency, again->settings.concurrency);
	ck_assert_uint_eq(plan->step_count, again->step_count);
	free(once);
	free(twice);
	plan_free(plan);
	plan_free(again);
	plan_free(third);
}

TEST(spec_explained_can_be_loaded_again)
{
	setenv("WEIR_TEST_TOKEN", "s3cret", 1);
	expect_round_trip(ENDS);
	expect_round_trip(ENDS "steps: []\nflow: {concurrency: 7}\nname: 'null'\n");
	expect_round_trip(ENDS "steps:\n"
			       "  - http: {url: 'http://h/${.a}?x=1#y', headers: {X-A: '\"q\" \\ ${.b}: #', X-B: ''}}\n"
			       "  - jq: |\n"
			       "      .a # one\n"
			       "      | .b\n"
			       "  - http:\n"
			       "      url: 'http://${env:WEIR_TEST_TOKEN}/'\n"
			       "      headers: {Authorization: 'Bearer ${env:WEIR_TEST_TOKEN}'}\n");
}

TEST(spec_explained_marks_defaults_and_hides_secrets)
{
	setenv("WEIR_TEST_TOKEN", "s3cret", 1);
	setenv("WEIR_TEST_N", "77", 1);
	struct plan *plan = loaded(ENDS "flow: {concurrency: '${env:WEIR_TEST_N}'}\n"
					"steps:\n"
					"  - http:\n"
					"      url: http://h/\n"
					"      headers: {X-Key: 'k ${env:WEIR_TEST_TOKEN}', X-Open: seen}\n"
					"      auth: {bearer: literal-token}\n");
	ck_assert_int_eq(plan->settings.concurrency, 77);
	ck_assert_ptr_nonnull(strstr(plan->explained, "attempts: 5 # default\n"));
	ck_assert_ptr_nonnull(strstr(plan->explained, "concurrency: \"${env:WEIR_TEST_N}\"\n"));
	ck_assert_ptr_nonnull(strstr(plan->explained, "X-Key: \"***\"\n"));
	ck_assert_ptr_nonnull(strstr(plan->explained, "X-Open: seen\n"));
	ck_assert_ptr_nonnull(strstr(plan->explained, "bearer: \"***\"\n"));
	ck_assert_ptr_nonnull(strstr(plan->explained, "# dead_letter: not set\n"));
	ck_assert_ptr_null(strstr(plan->explained, "s3cret"));
	ck_assert_ptr_null(strstr(plan->explained, "literal-token"));
	plan_free(plan);
}

/* YAML that is refused. */

TEST(spec_errors_of_yaml_have_a_place)
{
	expect_error("a:\n\tb: 1\n", 2, 1, "a tab in the indentation, expected spaces");
	expect_error("flow:\n  retry:\n\t  attempts: 1\n", 3, 1, "a tab in the indentation");
	expect_error("a: b: c\n", 1, 5, "this ':' cannot stand here");
	expect_error("a: [1, 2\nb: 3\n", 2, 2, "expected ',' or ']'");
	expect_error("a: {b: 1\n", 2, 1, "expected ',' or '}'");
	expect_error("a: 'x\n", 1, 4, "a quote is opened here and not closed");
	expect_error("a: \"\\q\"\n", 1, 5, "no such escape");
	expect_error("a: %x\n", 1, 4, "cannot begin with this character");
	expect_error("a: @x\n", 1, 4, "cannot begin with this character");
	expect_error("flow:\n    retry: {}\n  concurrency: 1\n", 3, 3, "expected a key, indented like those before it");
	expect_error("a: 1\nb: 2\na: 3\n", 3, 1, "the key \"a\" comes twice");
	expect_error("flow: {a: 1, a: 2}\n", 1, 14, "the key \"a\" comes twice");
	expect_error("a: &x 1\n", 1, 4, "anchors");
	expect_error("a: *x\n", 1, 4, "aliases");
	expect_error("a: !!str 1\n", 1, 4, "tags");
	expect_error("? [a]\n: b\n", 1, 3, "a key cannot be a list or a map");
	expect_error(ENDS "---\n" ENDS, 3, 1, "a second document");
	expect_error("a: \"x\\0y\"\n", 1, 4, "a NUL character");
	expect_error("name: \xC3\xA9t\xC3\xA9\nb: \xFF\n", 2, 4, "no valid UTF-8");
	expect_error("\xFF\xFE"
		     "a",
		     1, 1, "no valid UTF-8");
	expect_error("a: x\x01y\n", 1, 5, "a control character");
}

TEST(spec_columns_count_bytes)
{
	expect_error("flow: {\"\xC3\xA9\": 1}\n", 1, 1, "source is missing");
	expect_error(ENDS "flow: {\"\xC3\xA9\": 1}\n", 3, 8, "flow has no key");
	expect_error(ENDS "name: \"\xC3\xA9\"\n", 3, 7, "expected up to 64 letters");
	expect_error(ENDS "flow: {concurrency: 1, retry: {attempts: 1, \"\xC3\xA9\": 1, x: 1}}\n", 3, 45,
		     "retry has no key");
}

TEST(spec_asks_for_quotes_around_holes_in_braces)
{
	expect_error(ENDS "steps:\n  - http: {url: http://x/${.id}}\n", 4, 17, "quote this value");
	expect_error(ENDS "steps:\n  - http: {timeout: 1s, url: ${.id}}\n", 4, 30, "quote this value");
	expect_error(ENDS "steps:\n  - http: {url: \"http://x/${.id\"}\n", 4, 32, "no } after ${");
	expect_error(ENDS "steps:\n  - jq: {id, total}\n", 4, 9, "put it in single quotes");
	expect_error(ENDS "steps:\n  - jq: [.a, .b]\n", 4, 9, "put it in single quotes");
}

/* Structure. */

TEST(spec_errors_of_structure_have_a_place)
{
	expect_error("", 1, 1, "source is missing");
	expect_error("- a\n", 1, 1, "the file is a list");
	expect_error("just text\n", 1, 1, "the file is a text");
	expect_error("source: {range: 1-3}\n", 1, 1, "sink is missing");
	expect_error("source: x\n", 1, 9, "a source is a text");
	expect_error("source: {}\n", 1, 9, "the source is missing, expected one of");
	expect_error("source: {range: 1-3, stdin: {}}\n", 1, 22, "\"stdin\" beside \"range\", expected one source");
	expect_error("source: {rnge: 1-3}\n", 1, 10, "there is no source \"rnge\"");
	expect_error("source: {rnge: 1-3}\n", 1, 10, "did you mean \"range\"?");
	expect_error("source: {range: 1-3}\nsink: {sdtout: {}}\n", 2, 8, "did you mean \"stdout\"?");
	expect_error("source: {range: 1-3}\nsink: {stdout: {}, bath: {items: 1}}\n", 2, 20, "beside");
	expect_error("source: {range: 1-3}\nsink: {stdout: x}\n", 2, 16, "stdout is a text, expected a map");
	expect_error("source: {range: 1-3}\nsink: {batch: {items: 1}}\n", 2, 7, "the sink is missing");
	expect_error(ENDS "broker: {kafka: {}}\n", 3, 10,
		     "there is no broker \"kafka\", expected one of sqlite, memory");
	expect_error(ENDS "steps: {jq: .}\n", 3, 8, "steps is a map, expected a list");
	expect_error(ENDS "steps:\n  - jq: .\n    http: {}\n", 5, 5, "each step begins with \"- \"");
	expect_error(ENDS "steps:\n  - htpp: {}\n", 4, 5, "did you mean \"http\"?");
	expect_error(ENDS "dead_letter: {jsonl: {}}\n", 3, 15, "jsonl has no path, expected");
	expect_error("source: {jsonl: {}}\n", 1, 10, "jsonl has no path, expected the path of a readable file");
}

TEST(spec_knows_typing_errors_of_keys)
{
	expect_error(ENDS "concurency: 1\n", 3, 1, "there is no key \"concurency\"");
	expect_error(ENDS "sorce: 1\n", 3, 1, "did you mean \"source\"?");
	expect_error(ENDS "stop-when: {}\n", 3, 1, "did you mean \"stop_when\"?");
	expect_error(ENDS "attempts: 3\n", 3, 1, "it belongs under flow.retry");
	expect_error(ENDS "concurrency: 3\n", 3, 1, "it belongs under flow");
	expect_error(ENDS "flow: {concurency: 1}\n", 3, 8, "did you mean \"concurrency\"?");
	expect_error(ENDS "flow:\n  retry: {atempts: 1}\n", 4, 11, "did you mean \"attempts\"?");
	expect_error(ENDS "steps:\n  - http: {ulr: 'http://h/'}\n", 4, 12, "did you mean \"url\"?");
	expect_error(ENDS "flow: {x: 1}\n", 3, 8, "expected one of pattern, concurrency");
}

TEST(spec_suggests_the_closest_name_only)
{
	struct spec_names names = {0};
	spec_names_add(&names, "timeout");
	spec_names_add(&names, "method");
	spec_names_add(&names, "url");
	ck_assert_str_eq(spec_suggest(&names, "timeuot"), "timeout");
	ck_assert_str_eq(spec_suggest(&names, "TIMEOUT"), "timeout");
	ck_assert_str_eq(spec_suggest(&names, "time_out"), "timeout");
	ck_assert_str_eq(spec_suggest(&names, "metod"), "method");
	ck_assert_str_eq(spec_suggest(&names, "ulr"), "url");
	ck_assert_ptr_null(spec_suggest(&names, "xyz"));
	ck_assert_ptr_null(spec_suggest(&names, "u"));
	ck_assert_ptr_null(spec_suggest(&names, ""));
}

/* Values of every type, through a table of our own. */

struct all_types {
	char *string, *in, *out, *jq, *secret;
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
	struct key_times times;
	int64_t inner;
};

#define FIELD(name) offsetof(struct all_types, name)

static const struct key inner_keys[] = {{"inner", KEY_COUNT, FIELD(inner), "3", .text = "i"}, {0}};

static const struct key all_keys[] = {
	{"string", KEY_STRING, FIELD(string), .text = "t"},
	{"template", KEY_TEMPLATE, FIELD(template), .text = "t"},
	{"url", KEY_URL, FIELD(url), .text = "t"},
	{"in", KEY_PATH_IN, FIELD(in), .text = "t"},
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
	{"headers", KEY_HEADERS, FIELD(headers), .text = "t"},
	{"times", KEY_TIMES, FIELD(times), .min = 0, .max = 9, .text = "t"},
	{"secret", KEY_STRING, FIELD(secret), .flags = KEY_SECRET, .text = "t"},
	{"group", KEY_GROUP, 0, .group = inner_keys, .text = "t"},
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
		"string: text\ntemplate: 'a${.b}'\nurl: HTTPS://h/${.c}\nin: there\nout: new\njq: .a\n"
		"duration: 1.5s\ndurations: 1ms..2m\nsize: 10MB\ncount: -5\npercent: 12.5%\nflag: false\n"
		"choice: bytes\nrange: -3..7\ncounts: [100, 599]\nstrings: [a, 'b c']\n"
		"headers: {Accept: '*/*', X-Id: '${.id}'}\ntimes: {0: 2s, 9: 5ms}\nsecret: pss\ngroup: {inner: 9}\n",
		&c, NULL, &err);
	ck_assert_msg(code == 0, "%d:%d %s", err.line, err.column, err.text);
	ck_assert_str_eq(c.string, "text");
	ck_assert_str_eq(template_text(c.template), "a${.b}");
	ck_assert_str_eq(template_text(c.url), "HTTPS://h/${.c}");
	ck_assert_str_eq(c.in, test_format("%s/there", test_folder()));
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

TEST(spec_value_errors_say_what_is_expected)
{
	expect_value_error("string: [a]", 9, "string is a list, expected a text");
	expect_value_error("string: {a: 1}", 9, "string is a map, expected a text");
	expect_value_error("string: 'a${.b}'", 11, "a ${.path} of the item cannot stand here");
	expect_value_error("template: 'a${b}'", 13, "no path after ${");
	expect_value_error("template: 'a${.b'", 17, "no } after ${");
	expect_value_error("url: 127.0.0.1/x", 6, "expected a URL that begins with http:// or https://");
	expect_value_error("url: ftp://h/x", 6, "url is \"ftp://h/x\"");
	expect_value_error("url: http://", 6, "expected a URL");
	expect_value_error("url: 'http://h/a b'", 6, "expected a URL");
	expect_value_error("url: '${.scheme}://h/'", 6, "expected a URL");
	expect_value_error("in: nothing-there", 5, "expected the path of a readable file: there is none");
	expect_value_error("in: .", 5, "this is a folder");
	expect_value_error("out: no/such/folder", 6, "the folder does not exist");
	expect_value_error("out: .", 6, "this is a folder");
	expect_value_error("duration: 10", 11,
			   "duration is \"10\", expected a duration with a unit, such as 10s or 200ms");
	expect_value_error("duration: 10 s", 11, "expected a duration");
	expect_value_error("duration: 10sec", 11, "expected a duration");
	expect_value_error("duration: -1s", 11, "expected a duration");
	expect_value_error("duration: 2h", 11, "from 1ms to 1h");
	expect_value_error("duration: 0", 11, "from 1ms to 1h");
	expect_value_error("duration: 99999999999d", 11, "expected a duration");
	expect_value_error("durations: 2s..1s", 12,
			   "expected a duration, or two, the shorter first, such as 200ms..30s");
	expect_value_error("durations: 2s..", 12, "expected a duration");
	expect_value_error("size: 10MiBs", 7, "expected a size, such as 64KiB or 10MiB, from 1KiB to 1GiB");
	expect_value_error("size: 1TiB", 7, "from 1KiB to 1GiB");
	expect_value_error("count: many", 8, "count is \"many\", expected a whole number, from -5 to 100");
	expect_value_error("count: 101", 8, "from -5 to 100");
	expect_value_error("count: 1.5", 8, "expected a whole number");
	expect_value_error("count: 99999999999999999999", 8, "expected a whole number");
	expect_value_error("count: ''", 8, "count is \"\"");
	expect_value_error("percent: 50", 10, "expected a share from 0% to 100%, such as 50% or 0.5");
	expect_value_error("percent: 101%", 10, "expected a share");
	expect_value_error("percent: nan", 10, "expected a share");
	expect_value_error("flag: yes", 7, "expected true or false");
	expect_value_error("choice: jsn", 9, "expected one of json, text, bytes; did you mean \"json\"?");
	expect_value_error("range: 7-3", 8, "expected a range of whole numbers, such as 1-1000");
	expect_value_error("range: 7", 8, "expected a range");
	expect_value_error("counts: [200, 99]", 15, "expected a whole number, from 100 to 599");
	expect_value_error("counts: [200, [300]]", 15, "expected a whole number");
	expect_value_error("counts: {a: 1}", 9, "expected a list of whole numbers, from 100 to 599");
	expect_value_error("strings: [a, {b: 1}]", 14, "strings is a map, expected a text");
	expect_value_error("headers: text", 10, "expected a map of header names to texts");
	expect_value_error("headers: {a b: c}", 11, "\"a b\" is no name of a header");
	expect_value_error("headers: {a: [b]}", 14, "a list");
	expect_value_error("headers: {a: \"b\\r\\nX: y\"}", 14, "a header may not hold a line break");
	expect_value_error("times: 2s", 8, "expected a map of whole numbers to durations");
	expect_value_error("times: {10: 2s}", 9, "times has \"10\", expected a whole number from 0 to 9 and its time");
	expect_value_error("times: {x: 2s}", 9, "times has \"x\"");
	expect_value_error("times: {3: 2}", 12, "3 is \"2\", expected a duration with a unit");
	expect_value_error("secret: {hunter2: x}", 9, "secret is a map");
	expect_value_error("group: 3", 8, "group is \"3\", expected a map with keys of its own");
	expect_value_error("group: {iner: 3}", 9, "did you mean \"inner\"?");
	expect_value_error("nope: 3", 1, "all has no key \"nope\"");
}

TEST(spec_units_are_read_exactly)
{
	weir_nsec ns;
	uint64_t size;
	double share;
	char text[32];
	ck_assert(spec_duration_read("100us", &ns) && ns == 100 * WEIR_USEC);
	ck_assert(spec_duration_read("2d", &ns) && ns == 172800 * WEIR_SEC);
	ck_assert(spec_duration_read("0.1s", &ns) && ns == 100 * WEIR_MSEC);
	ck_assert(spec_duration_read("0", &ns) && ns == 0);
	ck_assert(!spec_duration_read("", &ns));
	ck_assert(!spec_duration_read("s", &ns));
	ck_assert(!spec_duration_read("1.s", &ns));
	ck_assert(!spec_duration_read("1e3s", &ns));
	ck_assert(!spec_duration_read("0.00000000000000000000000000000000000000000000000000000000000000000001s", &ns));
	ck_assert(spec_size_read("512", &size) && size == 512);
	ck_assert(spec_size_read("64KB", &size) && size == 64000);
	ck_assert(spec_size_read("1.5MiB", &size) && size == 1572864);
	ck_assert(!spec_size_read("10mb", &size));
	ck_assert(spec_percent_read("0%", &share) && share == 0);
	ck_assert(spec_percent_read("100%", &share) && share == 1);
	ck_assert(!spec_percent_read("0x1", &share));
	ck_assert(!spec_percent_read("5%%", &share));
	spec_duration_write(90 * WEIR_SEC, text);
	ck_assert_str_eq(text, "90s");
	spec_duration_write(2 * 86400 * WEIR_SEC, text);
	ck_assert_str_eq(text, "2d");
	spec_size_write(1 << 20, text);
	ck_assert_str_eq(text, "1MiB");
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
	ck_assert_int_eq(template_render(c.template, item, &out, NULL), 0);
	ck_assert_str_eq(out.data, "1 x${.id}y ${.z}");
	json_free(item);
	buf_fini(&out);
	spec_release(all_keys, &c);
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
	expect_value_error("string: 'a ${env:WEIR_TEST_NONE}'", 12, "the environment has no WEIR_TEST_NONE");
	expect_value_error("string: a ${file:nope}", 11, "nope: not found, expected a readable file");
	expect_value_error("string: ${file:big}", 9, "of at most 64 KiB");
	expect_value_error("string: ${env:WEIR_TEST_BYTES}", 9, "expected UTF-8");
	expect_value_error("string: '${env:'", 10, "expected ${env:NAME} or ${file:PATH}");
	expect_value_error("string: x${env:}", 10, "expected ${env:NAME} or ${file:PATH}");
}

/* jq programs. */

static const char *fake_jq(const char *body)
{
	const char *path = test_write_file("weir-jq", test_format("#!/bin/sh\n%s\n", body));
	ck_assert_int_eq(chmod(path, 0700), 0);
	return path;
}

TEST(spec_compiles_jq_programs)
{
	const char *jq = fake_jq("[ \"$1\" = --check ] || exit 9\n"
				 "case $2 in *bad*) echo 'syntax error near bad' >&2; echo more >&2; exit 1;; esac");
	struct plan *plan;
	const char *good = ENDS "steps:\n  - jq: .good\n  - jq: {program: .fine}\n";
	ck_assert_int_eq(spec_parse(good, strlen(good), "t", test_folder(), &(struct spec_options){jq}, &plan, NULL),
			 0);
	plan_free(plan);
	expect_error_with(ENDS "steps:\n  - jq: .good\n  - jq: .bad\n", jq, 5, 9,
			  "the jq program does not compile: syntax error near bad");
	expect_error_with(ENDS "steps:\n  - jq:\n      program: |\n        .a\n        .bad\n", jq, 5, 16, "near bad");
}

/* Each of the two waits for the other to begin. */
TEST(spec_compiles_jq_programs_at_once)
{
	const char *jq =
		fake_jq(test_format("cd %s; : >here$2; until [ -e here.a -a -e here.b ]; do :; done", test_folder()));
	const char *good = ENDS "steps:\n  - jq: .a\n  - jq: .b\n";
	struct plan *plan;
	ck_assert_int_eq(spec_parse(good, strlen(good), "t", test_folder(), &(struct spec_options){jq}, &plan, NULL),
			 0);
	plan_free(plan);
}

TEST(spec_blames_the_first_jq_program_and_leaves_none_behind)
{
	const char *jq = fake_jq("case $2 in *bad*) echo wrong >&2; exit 1;; *slow*) exec sleep 60;; esac");
	expect_error_with(ENDS "steps:\n  - jq: .a\n  - jq: .bad\n  - jq: .slow\n  - jq: .bad\n  - jq: .b\n", jq, 5, 9,
			  "wrong");
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	expect_error_with(ENDS "steps:\n  - jq: .a\n  - jq: .a\n  - jq: .a\n  - jq: .a\n  - jq: .a\n  - jq: .a\n"
			       "  - jq: .bad\n",
			  jq, 10, 9, "wrong");
}

TEST(spec_says_when_jq_cannot_be_asked)
{
	expect_error_with(ENDS "steps:\n  - jq: .a\n", "/nonexistent/weir-jq", 4, 9, "cannot check the jq program");
	expect_error_with(ENDS "steps:\n  - jq: .a\n", fake_jq("exit 7"), 4, 9, "it failed");
	expect_error_with(ENDS "steps:\n  - jq: .a\n", fake_jq("kill -9 $$"), 4, 9, "it failed");
}

/* Bombs. */

static void expect_quick_refusal(const char *what, const char *text, size_t n, const char *part)
{
	struct timespec begin, end;
	struct plan *plan;
	struct weir_error err = {0};
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	ck_assert_int_eq(spec_parse(text, n, "t", ".", NULL, &plan, &err), WEIR_EINVAL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	double ms = (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
	ck_assert_msg(strstr(err.text, part), "%s: %d:%d %s", what, err.line, err.column, err.text);
	ck_assert_msg(ms < 100 || getenv("WEIR_TEST_SLOW"), "%s: %f ms", what, ms);
}

static void repeat(struct buf *buf, const char *text, size_t bytes)
{
	buf_clear(buf);
	while (buf->len + strlen(text) <= bytes)
		buf_add_str(buf, text);
}

TEST(spec_refuses_bombs_quickly)
{
	struct buf text = {0};
	repeat(&text, "[", 1000000);
	expect_quick_refusal("lists", text.data, text.len, "deeper than 32");
	repeat(&text, "{a: ", 1000000);
	expect_quick_refusal("maps", text.data, text.len, "deeper than 32");
	repeat(&text, "- ", 1000000);
	expect_quick_refusal("blocks", text.data, text.len, "deeper than 32");
	repeat(&text, "? ", 1000000);
	expect_quick_refusal("keys", text.data, text.len, "a key cannot be");
	repeat(&text, "- a\n", 1000000);
	expect_quick_refusal("items", text.data, text.len, "more than 20000");
	repeat(&text, "x", 1 << 24);
	expect_quick_refusal("16 MiB", text.data, text.len, "larger than 1 MiB");
	repeat(&text, "xxxxxxx ", 1000000);
	expect_quick_refusal("a word", text.data, text.len, "the file is a text");
	repeat(&text, "#xxxxxx\n", 1000000);
	expect_quick_refusal("comments", text.data, text.len, "source is missing");
	repeat(&text, "\n", 1000000);
	expect_quick_refusal("lines", text.data, text.len, "source is missing");
	buf_clear(&text);
	for (int i = 0; i < 50000; i++)
		buf_addf(&text, "k%d: 1\n", i);
	expect_quick_refusal("many keys", text.data, text.len, "more than 256 keys");
	buf_clear(&text);
	buf_add_str(&text, "a: &a [x]\nb: &b [*a, *a]\n");
	expect_quick_refusal("aliases", text.data, text.len, "anchors");
	buf_fini(&text);
}

/* Whatever is in the file: a plan or one error with a text. */
TEST(spec_survives_mutated_configs)
{
	static const char valid[] = "name: orders\nsource: {range: 1-3}\nbroker: {memory: {}}\nsteps:\n  - http:\n"
				    "      url: http://h/${.id}\n      timeout: 10s\n      headers: {A: 'b ${.c}'}\n"
				    "  - jq: '{id, x: .y}'\nflow: {concurrency: 5, retry: {backoff: 1s..2s}}\n"
				    "sink: {stdout: {}, batch: {items: 3}}\nstop_when: {dead: 50%, of_first: 3}\n";
	static const char bits[] = "{}[]:,'\"\n\t -#&*!|>%@`$?~\\0a\xC3\xA9\xFF";
	srandom(5);
	int good = 0;
	for (int round = 0; round < 20000; round++) {
		char text[sizeof valid + 8];
		struct plan *plan = NULL;
		struct weir_error err = {0};
		size_t n = sizeof valid - 1;
		memcpy(text, valid, sizeof valid);
		for (long edits = random() % 4; edits >= 0; edits--) {
			size_t at = (size_t)random() % n;
			if (random() % 3 == 0)
				memmove(text + at, text + at + 1, n-- - at);
			else
				text[at] = bits[(size_t)random() % sizeof bits];
		}
		int code = spec_parse(text, n, "t", ".", NULL, &plan, &err);
		if (code == 0)
			good++;
		else
			ck_assert_msg(err.text[0] && err.line > 0 && err.column > 0 && code == err.code, "%.*s", (int)n,
				      text);
		plan_free(plan);
	}
	ck_assert_int_gt(good, 100);
}

/* Files. */

TEST(spec_loads_files_and_starts_paths_at_theirs)
{
	struct plan *plan;
	test_write_file("in.jsonl", "1\n");
	const char *path = test_write_file("p.yaml", "source: {jsonl: in.jsonl}\nsink: {stdout: {}}\n");
	ck_assert_int_eq(spec_load(path, NULL, &plan, NULL), 0);
	ck_assert_str_eq(plan->folder, test_folder());
	ck_assert_str_eq(plan->file, path);
	ck_assert_str_eq(plan->settings.name, "p");
	plan_free(plan);
}

TEST(spec_says_why_a_file_cannot_be_read)
{
	struct plan *plan;
	struct weir_error err = {0};
	const char *path = test_format("%s/none.yaml", test_folder());
	ck_assert_int_eq(spec_load(path, NULL, &plan, &err), WEIR_ENOENT);
	ck_assert_str_eq(err.text, "not found, expected a readable config file");
	ck_assert_str_eq(err.source, path);
	ck_assert_int_eq(spec_load(test_folder(), NULL, &plan, &err), -EISDIR);
	ck_assert_int_eq(spec_load("/dev/zero", NULL, &plan, &err), WEIR_EINVAL);
	ck_assert_str_eq(err.text, "larger than 1 MiB, expected a smaller file");
}

TEST(spec_describes_every_adapter_in_80_columns)
{
	struct buf out = {0};
	ck_assert_int_eq(spec_describe_all(&out), 0);
	for (const struct adapter *const *at = adapter_registry; *at; at++) {
		ck_assert_ptr_nonnull(strstr(out.data, test_format("\n  %s ", (*at)->name)));
		ck_assert_int_eq(spec_describe(*at, &out), 0);
		for (const struct key *key = (*at)->keys; key && key->name; key++)
			ck_assert_ptr_nonnull(strstr(out.data, test_format("  %s: ", key->name)));
	}
	for (const char *line = out.data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
		ck_assert_msg(end - line <= 80, "%.*s", (int)(end - line), line);
	buf_fini(&out);
}
