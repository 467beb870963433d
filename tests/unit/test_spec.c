/* SPDX-License-Identifier: MIT */
#include "data/names.h"
#include "data/template.h"
#include "spec/plan.h"
#include "spec/spec.h"
#include "support/test.h"

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

static void expect_failure(const char *text, const char *jq, int failure, int line, int column, const char *part)
{
	struct plan *plan = (struct plan *)&plan;
	struct weir_error err = {0};
	int code = spec_parse(text, strlen(text), "t.yaml", test_folder(), &(struct spec_options){jq}, &plan, &err);
	ck_assert_msg(code == failure, "%s\n%d", text, code);
	ck_assert_ptr_eq(plan, &plan);
	ck_assert_msg(strstr(err.text, part), "%s\n%d:%d: %s", text, err.line, err.column, err.text);
	ck_assert_msg(err.line == line && err.column == column, "%s\n%d:%d: %s", text, err.line, err.column, err.text);
	ck_assert_str_eq(err.source, "t.yaml");
	ck_assert_int_eq(err.code, failure);
}

static void expect_error_with(const char *text, const char *jq, int line, int column, const char *part)
{
	expect_failure(text, jq, WEIR_EINVAL, line, column, part);
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
	ck_assert_int_eq(s->stop_of_last, 1000);
	ck_assert_int_eq(s->stop_in_a_row, 0);
	ck_assert_int_eq(s->stop_denied, 600 * WEIR_SEC);
	ck_assert_int_eq(s->retry_throttled, 600 * WEIR_SEC);
	ck_assert_double_eq(s->breaker_denied, 0.5);
	ck_assert_int_eq(s->breaker_give_up, 0);
	ck_assert_int_eq(s->batch_items, 2000); /* of stdout */
	ck_assert_uint_eq(s->batch_bytes, 1 << 20);
	ck_assert_int_eq(s->batch_period, 20 * WEIR_MSEC);
	ck_assert_int_eq(s->drain, 30 * WEIR_SEC);
	plan_free(plan);
}

TEST(spec_batch_is_by_default_what_suits_the_sink)
{
	static const struct {
		const char *sink;
		int64_t items;
	} rows[] = {{"jsonl: a", 2000},
		    {"jsonl: a, batch: {period: 1s}", 2000},
		    {"jsonl: a, batch: {items: 7}", 7},
		    {"sqlite: {path: a.db, table: t}", 500}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct plan *plan = loaded(test_format("source: {range: 1-3}\nsink: {%s}\n", rows[i].sink));
		ck_assert_int_eq(plan->settings.batch_items, rows[i].items);
		const char *shown = test_format("items: %d", (int)rows[i].items);
		ck_assert_msg(strstr(plan->explained, shown) != NULL, "no %s in %s", shown, plan->explained);
		plan_free(plan);
	}
}

TEST(spec_takes_a_key_of_values_of_the_item)
{
	struct plan *plan = loaded(ENDS);
	ck_assert_ptr_null(plan->settings.key);
	plan_free(plan);
	plan = loaded("key:\n" ENDS);
	ck_assert_ptr_null(plan->settings.key);
	plan_free(plan);
	plan = loaded("key: 'o-${.order_id}'\n" ENDS);
	ck_assert_str_eq(template_text(plan->settings.key), "o-${.order_id}");
	ck_assert_ptr_nonnull(strstr(plan->explained, "key: \"o-${.order_id}\"\n"));
	plan_free(plan);
	expect_error("key: order\n" ENDS, 1, 6, "key has no ${...}: every item would have the same key");
	expect_error("key: '${.id}-${meta.attempt}'\n" ENDS, 1, 6, "expected values of the item, such as ${.id}");
	expect_error("key: '${id}'\n" ENDS, 1, 7, "did you mean ${.id}?");
	expect_error("key: [a]\n" ENDS, 1, 6, "key is a list");
}

TEST(spec_takes_nothing_for_an_empty_map_or_list)
{
	plan_free(loaded("source: {range: 1..3}\nsink:\n  stdout:\nsteps:\nbroker:\ndead_letter: ~\nflow:\n"));
	plan_free(loaded("\xEF\xBB\xBF" ENDS "steps: []\n"));
	plan_free(loaded("---\n" ENDS "# end\n...\n"));
}

TEST(spec_takes_a_name_alone_where_no_key_is_needed)
{
	struct plan *plan = loaded("source: stdin\nsink: stdout\nbroker: memory\n");
	ck_assert_str_eq(plan->source.adapter->name, "stdin");
	ck_assert_str_eq(plan->sink.adapter->name, "stdout");
	ck_assert_str_eq(plan->broker.adapter->name, "memory");
	struct plan *map = loaded("source: {stdin: {}}\nsink: {stdout: {}}\nbroker: {memory: {}}\n");
	ck_assert_str_eq(plan->meaning, map->meaning);
	plan_free(map);
	plan_free(plan);
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
	struct plan *plan =
		loaded(ENDS "flow: {concurrency: '${env:WEIR_TEST_N}'}\n"
			    "steps:\n"
			    "  - http:\n"
			    "      url: http://h/\n"
			    "      headers: {X-Key: 'k ${env:WEIR_TEST_TOKEN}', X-Open: seen, X-Api-Key: k3y}\n"
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
	ck_assert_ptr_nonnull(strstr(plan->explained, "X-Api-Key: \"***\"\n"));
	plan_free(plan);
}

TEST(spec_reads_the_order_of_the_sink)
{
	struct plan *plan = loaded(ENDS);
	ck_assert_int_eq(plan->settings.order, ORDER_COMPLETION);
	ck_assert_ptr_nonnull(strstr(plan->explained, "\n  order: completion # default\n"));
	plan_free(plan);
	plan = loaded("source: {range: 1-3}\nsink: {order: source, stdout: {}, batch: {items: 1}}\n");
	ck_assert_int_eq(plan->settings.order, ORDER_SOURCE);
	ck_assert_ptr_nonnull(strstr(plan->explained, "\n  order: source\n"));
	ck_assert_str_eq(plan->warnings, "");
	plan_free(plan);
	plan = loaded("source: {range: 1-3}\nsink: {stdout: {}, order: source}\nflow: {priority: {field: .x}}\n");
	ck_assert_ptr_nonnull(strstr(plan->warnings, "t.yaml:2:20: warning: order: source with flow.priority"));
	plan_free(plan);
	expect_error("source: {range: 1-3}\nsink: {stdout: {}, order: random}\n", 2, 27,
		     "expected one of completion, source");
	expect_error(ENDS "dead_letter: {stdout: {}, order: source}\n", 3, 27,
		     "\"order\" stands beside \"stdout\"; if it is");
}

#define SHARED                                                                                                         \
	"source: {range: 1-3}\nbroker: {redis: {url: 'redis://127.0.0.1'}}\n"                                          \
	"sink: {exactly_once: required, "

TEST(spec_knows_which_sinks_are_exact_for_several_processes)
{
	static const char *const exact[] = {"sqlite: {path: o.db, table: t, key: id}",
					    "sqlite: {path: o.db, table: t}",
					    "sqlite: {path: o.db, table: t, on_start: replace}",
					    "postgres: {url: 'postgres://u@h/d', table: t, key: id}",
					    "postgres: {url: 'postgres://u@h/d', table: t}",
					    "redis_stream: {url: 'redis://127.0.0.1', stream: s}"};
	static const char *const repeat[] = {"jsonl: o.jsonl", "csv: {path: o.csv, columns: [id]}", "stdout: {}"};
	for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
		plan_free(loaded(test_format(SHARED "%s}\n", exact[i])));
	for (size_t i = 0; i < sizeof repeat / sizeof *repeat; i++)
		expect_error(test_format(SHARED "%s}\n", repeat[i]), 3, 8,
			     "choose the sink postgres, sqlite or redis_stream");
}

/* What is allowed, but most often a mistake. */

static void expect_warning(const char *http, const char *warning)
{
	const char *text = test_format(ENDS "steps:\n  - http: {%s}\n", http);
	struct plan *plan = loaded(text);
	ck_assert_msg(strcmp(plan->warnings, warning) == 0, "%s\n%s", text, plan->warnings);
	plan_free(plan);
}

TEST(spec_warns_of_urls_that_no_item_changes)
{
	static const char same[] =
		"t.yaml:4:17: warning: url has no ${...}: every item calls the same URL; did you mean "
		"${.id}?\n";
	expect_warning("url: 'http://h/a'", same);
	expect_warning("url: 'http://h/a', method: POST", same);
	expect_warning("url: 'http://h/${.id}'", "");
	expect_warning("url: 'http://h/a', method: POST, body: '{}'", "");
	expect_warning("url: 'http://h/a', headers: {X-Id: '${.id}'}", "");
	expect_warning("url: 'http://h/a', method: POST, json: {id: '${.id}'}", "");
	expect_warning("url: 'http://h/a', method: POST, json: '{id}'", "");
}

TEST(spec_warns_of_templates_of_other_languages)
{
	static const char meant[] =
		"t.yaml:4:17: warning: url has \"%s\", which is sent as it stands; did you mean %s?\n";
	expect_warning("url: 'http://h/{{.id}}'", test_format(meant, "{{.id}}", "${.id}"));
	expect_warning("url: 'http://h/$id'", test_format(meant, "$id", "${.id}"));
	expect_warning("url: 'http://h/{id}/x'", test_format(meant, "{id}", "${.id}"));
	expect_warning("url: 'http://h/${.a}/$b'", test_format(meant, "$b", "${.b}"));
	expect_warning("url: 'http://h/${.a}?$top=10&$$x=1'", "");
	expect_warning("url: 'http://h/a', body: '{\"a\": \"{{.b}}\", \"c\": \"$5\"}'",
		       "t.yaml:4:37: warning: body has \"{{.b}}\", which is sent as it stands; did you mean ${.b}?\n");
	expect_warning("url: 'http://h/a', json: {a: .b.c, d: ., e: .5, f: '.x y'}",
		       "t.yaml:4:41: warning: json has \".b.c\", which is sent as it stands; did you mean ${.b.c}?\n");
}

TEST(spec_warns_of_secrets_in_plain_text)
{
	static const char plain[] = "t.yaml:4:%d: warning: %s is a secret in plain text; take it from ${env:NAME} or "
				    "${file:PATH}\n";
	static const char named[] = "t.yaml:4:%d: warning: %s has \"%s\", which is sent as it stands; did you mean "
				    "${env:TOKEN}?\n";
	setenv("WEIR_TEST_TOKEN", "s3cret", 1);
	expect_warning("url: 'http://h/${.}', auth: {bearer: abc}", test_format(plain, 49, "bearer"));
	expect_warning("url: 'http://h/${.}', auth: {bearer: '${env:WEIR_TEST_TOKEN}'}", "");
	expect_warning("url: 'http://h/${.}', auth: {bearer: $TOKEN}", test_format(named, 49, "bearer", "$TOKEN"));
	expect_warning("url: 'http://h/${.}', auth: {bearer: '${TOKEN}'}",
		       test_format(named, 49, "bearer", "${TOKEN}"));
	expect_warning("url: 'http://h/${.}', headers: {Authorization: 'Bearer abcd'}",
		       test_format(plain, 59, "Authorization"));
	expect_warning("url: 'http://h/${.}', headers: {authorization: 'Bearer $TOKEN'}",
		       test_format(named, 59, "authorization", "$TOKEN"));
	expect_warning("url: 'http://h/${.}', headers: {X-Api-Key: 'k ${env:WEIR_TEST_TOKEN}'}", "");
	expect_warning("url: 'http://h/${.}', headers: {X-Api-Key: '${.key}'}", "");
	expect_warning("url: 'http://h/${.}', headers: {X-Sort: '$key'}", "");
}

/* YAML that is refused. */

TEST(spec_errors_of_yaml_have_a_place)
{
	expect_error("a:\n\tb: 1\n", 2, 1, "a tab in the indentation, expected spaces");
	expect_error("flow:\n  retry:\n\t  attempts: 1\n", 3, 1, "a tab in the indentation");
	expect_error("a: b: c\n", 1, 5, "unexpected ':'");
	expect_error("a: [1, 2\nb: 3\n", 2, 2, "expected ',' or ']'");
	expect_error("a: {b: 1\n", 2, 1, "expected ',' or '}'");
	expect_error("a: 'x\n", 1, 4, "this quote is not closed");
	expect_error("a: \"\\q\"\n", 1, 5, "unknown escape");
	expect_error("a: %x\n", 1, 4, "cannot begin with this character");
	expect_error("a: @x\n", 1, 4, "cannot begin with this character");
	expect_error("flow:\n    retry: {}\n  concurrency: 1\n", 3, 3, "expected a key, indented like those before it");
	expect_error("a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key \"a\"");
	expect_error("flow: {a: 1, a: 2}\n", 1, 14, "duplicate key \"a\"");
	expect_error("a: &x 1\n", 1, 4, "anchors");
	expect_error("a: *x\n", 1, 4, "aliases");
	expect_error("a: *.jsonl\n", 1, 5, "quote it");
	expect_error("a: !!str 1\n", 1, 4, "tags");
	expect_error("? [a]\n: b\n", 1, 3, "a key cannot be a list or a map");
	expect_error(ENDS "---\n" ENDS, 3, 1, "a second document");
	expect_error("a: \"x\\0y\"\n", 1, 4, "a NUL character");
	expect_error("name: \xC3\xA9t\xC3\xA9\nb: \xFF\n", 2, 4, "invalid UTF-8");
	expect_error("\xFF\xFE"
		     "a",
		     1, 1, "invalid UTF-8");
	expect_error("a: x\x01y\n", 1, 5, "a control character");
}

TEST(spec_columns_count_bytes)
{
	expect_error("flow: {\"\xC3\xA9\": 1}\n", 1, 1, "source is missing");
	expect_error(ENDS "flow: {\"\xC3\xA9\": 1}\n", 3, 8, "unknown key");
	expect_error(ENDS "name: \"\xC3\xA9\"\n", 3, 7, "expected up to 64 letters");
	expect_error(ENDS "flow: {concurrency: 1, retry: {attempts: 1, \"\xC3\xA9\": 1, x: 1}}\n", 3, 45,
		     "unknown key");
}

TEST(spec_asks_for_quotes_around_holes_in_braces)
{
	expect_error(ENDS "steps:\n  - http: {url: http://x/${.id}}\n", 4, 17, "quote this value");
	expect_error(ENDS "steps:\n  - http: {timeout: 1s, url: ${.id}}\n", 4, 30, "quote this value");
	expect_error(ENDS "steps:\n  - http: {url: \"http://x/${.id\"}\n", 4, 32, "no } after ${");
	expect_error(ENDS "steps:\n  - jq: {id, total}\n", 4, 9, "put the jq program in single quotes");
	expect_error(ENDS "steps:\n  - jq: [.a, .b]\n", 4, 9, "put the jq program in single quotes");
}

/* Structure. */

TEST(spec_errors_of_structure_have_a_place)
{
	expect_error("", 1, 1, "source is missing");
	expect_error("- a\n", 1, 1, "the file is a list");
	expect_error("just text\n", 1, 1, "the file is plain text");
	expect_error("source: {range: 1-3}\n", 1, 1, "sink is missing");
	expect_error("source: x\n", 1, 9, "unknown source \"x\", expected one of");
	expect_error("source: jsonl\n", 1, 9, "jsonl: \"path\" is required (the path of a readable file");
	expect_error("source: [range]\n", 1, 9, "the source is a list, expected one of");
	expect_error(ENDS "steps: [jq]\n", 3, 9, "jq: \"program\" is required (a jq program");
	expect_error("source: {}\n", 1, 9, "the source is missing, expected one of");
	expect_error("source: {range: 1-3, stdin: {}}\n", 1, 22, "both \"stdin\" and \"range\", expected one source");
	expect_error("source: {rnge: 1-3}\n", 1, 10, "unknown source \"rnge\"");
	expect_error("source: {rnge: 1-3}\n", 1, 10, "did you mean \"range\"?");
	expect_error("source: {range: 1-3}\nsink: {sdtout: {}}\n", 2, 8, "did you mean \"stdout\"?");
	expect_error("source: {range: 1-3}\nsink: {stdout: {}, bath: {items: 1}}\n", 2, 20,
		     "\"bath\" stands beside \"stdout\"; if it is a key of stdout, indent it further or move it into "
		     "the braces; "
		     "did you mean \"batch\"?");
	expect_error("source: {range: 1-3}\nsink: {stdout: x}\n", 2, 16, "stdout is text, expected a map");
	expect_error("source: {range: 1-3}\nsink: {csv: x.csv}\n", 2, 13,
		     "expected a map of its keys (path, columns, ");
	expect_error("source: in.jsonl\n", 1, 9, "; a file stands behind its format: { jsonl: in.jsonl }");
	expect_error("source { range: 1-3 }\n", 1, 1, "; a colon is missing behind \"source\"");
	expect_error(ENDS "steps:\n  - http:\n    url: x\n", 5, 5,
		     "\"url\" stands beside \"http\"; if it is a key of http");
	expect_error(ENDS "flow: { retry: 3 }\n", 3, 16, "retry is \"3\", expected a map of keys (attempts, backoff, ");
	expect_error("source: {range: 1-3}\nsink: {batch: {items: 1}}\n", 2, 7, "the sink is missing");
	expect_error(ENDS "broker: {kafka: {}}\n", 3, 10, "unknown broker \"kafka\", expected one of sqlite, memory");
	expect_error(ENDS "steps: {jq: .}\n", 3, 8, "steps is a map, expected a list");
	expect_error(ENDS "steps:\n  - jq: .\n    http: {}\n", 5, 5, "each step begins with \"- \"");
	expect_error(ENDS "steps:\n  - htpp: {}\n", 4, 5, "did you mean \"http\"?");
	expect_error(ENDS "dead_letter: {jsonl: {}}\n", 3, 15, "jsonl: \"path\" is required");
	expect_error("source: {jsonl: {}}\n", 1, 10, "jsonl: \"path\" is required (the path of a readable file");
}

TEST(spec_knows_typing_errors_of_keys)
{
	expect_error(ENDS "concurency: 1\n", 3, 1, "unknown key \"concurency\"");
	expect_error(ENDS "sorce: 1\n", 3, 1, "did you mean \"source\"?");
	expect_error(ENDS "stop-when: {}\n", 3, 1, "did you mean \"stop_when\"?");
	expect_error(ENDS "attempts: 3\n", 3, 1, "it belongs under flow.retry");
	expect_error(ENDS "concurrency: 3\n", 3, 1, "it belongs under flow");
	expect_error(ENDS "flow: {concurency: 1}\n", 3, 8, "did you mean \"concurrency\"?");
	expect_error(ENDS "flow:\n  retry: {atempts: 1}\n", 4, 11, "did you mean \"attempts\"?");
	expect_error(ENDS "steps:\n  - http: {ulr: 'http://h/'}\n", 4, 12,
		     "unknown key \"ulr\" in http; did you mean \"url\"?");
	expect_error(ENDS "steps:\n  - http: {xyz: 1}\n", 4, 12,
		     "unknown key \"xyz\" in http, expected one of url, method,");
	expect_error(ENDS "flow: {x: 1}\n", 3, 8, "expected one of pattern, concurrency");
}

/* What the keys of a step say about one another. */
TEST(spec_refuses_http_steps_that_contradict_themselves)
{
	static const char step[] = ENDS "steps:\n  - http: {url: 'http://h/', ";
	expect_error(test_format("%stimeout: {connect: 6s, total: 5s}}\n", step), 4, 39, "connect is longer than");
	expect_error(test_format("%stimeout: {first_byte: 1m}}\n", step), 4, 39, "first_byte is longer than");
	expect_error(test_format("%sbody: 'a=${.a}'}\n", step), 4, 36,
		     "body is not JSON once its ${...} are filled in");
	expect_error(test_format("%sbody: '{\"a\": \"${.a}}'}\n", step), 4, 36, "Content-Type, such as text/plain");
	plan_free(loaded(test_format("%sbody: 'a=${.a}', headers: {content-type: text/plain}}\n", step)));
	plan_free(loaded(test_format("%sbody: '{\"${.a}\": ${.b}, \"${.c}\": [\"x${.d}\"]}'}\n", step)));
	plan_free(loaded(test_format("%sbody: 'constant'}\n", step)));
	expect_error(test_format("%sok: [200, 404], retry_on: [409, 404]}\n", step), 4, 56,
		     "404 is in ok and in retry_on; expected one of them");
	expect_error(test_format("%sok: [401], throttled_on: [401]}\n", step), 4, 55,
		     "401 is in ok and in throttled_on");
	expect_error(test_format("%sretry_on: [409], throttled_on: [409]}\n", step), 4, 61,
		     "409 is in retry_on and in throttled_on");
	plan_free(loaded(test_format("%sok: [200], retry_on: [409], throttled_on: [401]}\n", step)));
	expect_error(test_format("%swhen: [{if: '.a', then: drop, after: 2s}]}\n", step), 4, 36,
		     "rule 1 has after, which is for retry and throttled");
	expect_error(test_format("%swhen: [{if: '.a', then: again}]}\n", step), 4, 54,
		     "then is \"again\", expected one of ok, retry");
	expect_error(test_format("%swhen: [{then: ok}]}\n", step), 4, 37, "when: \"if\" is required");
	expect_error(test_format("%swhen: {if: '.a', then: ok}}\n", step), 4, 36,
		     "when is a map, expected a list of maps");
	plan_free(loaded(test_format("%swhen: [{if: '.a', then: retry, after: 2s}]}\n", step)));
}

TEST(names_closest_is_two_typing_errors_away_at_most)
{
	struct names names = {0};
	names_add(&names, "timeout");
	names_add(&names, "method");
	names_add(&names, "url");
	ck_assert_str_eq(names_closest(&names, "timeuot"), "timeout");
	ck_assert_str_eq(names_closest(&names, "TIMEOUT"), "timeout");
	ck_assert_str_eq(names_closest(&names, "time_out"), "timeout");
	ck_assert_str_eq(names_closest(&names, "metod"), "method");
	ck_assert_str_eq(names_closest(&names, "ulr"), "url");
	ck_assert_str_eq(names_closest(&names, "time"), "timeout");
	ck_assert_ptr_null(names_closest(&names, "xyz"));
	ck_assert_ptr_null(names_closest(&names, "u"));
	ck_assert_ptr_null(names_closest(&names, ""));
}

/* jq programs. */

static const char *fake_jq(const char *body)
{
	const char *path = test_write_file("weir-jq", test_format("#!/bin/sh\nprogram=$(cat)\n%s\n", body));
	ck_assert_int_eq(chmod(path, 0700), 0);
	return path;
}

TEST(spec_compiles_jq_programs)
{
	const char *jq =
		fake_jq("[ \"$*\" = --check ] || exit 9\n"
			"case $program in *bad*) echo 'syntax error near bad' >&2; echo more >&2; exit 1;; esac");
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
TEST(spec_compiles_jq_programs_concurrently)
{
	const char *jq = fake_jq(
		test_format("cd %s; : >here$program; until [ -e here.a -a -e here.b ]; do :; done", test_folder()));
	const char *good = ENDS "steps:\n  - jq: .a\n  - jq: .b\n";
	struct plan *plan;
	ck_assert_int_eq(spec_parse(good, strlen(good), "t", test_folder(), &(struct spec_options){jq}, &plan, NULL),
			 0);
	plan_free(plan);
}

TEST(spec_blames_the_first_jq_program_and_leaves_none_behind)
{
	const char *jq = fake_jq("case $program in *bad*) echo wrong >&2; exit 1;; *slow*) exec sleep 60;; esac");
	expect_error_with(ENDS "steps:\n  - jq: .a\n  - jq: .bad\n  - jq: .slow\n  - jq: .bad\n  - jq: .b\n", jq, 5, 9,
			  "wrong");
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	expect_error_with(ENDS "steps:\n  - jq: .a\n  - jq: .a\n  - jq: .a\n  - jq: .a\n  - jq: .a\n  - jq: .a\n"
			       "  - jq: .bad\n",
			  jq, 10, 9, "wrong");
}

/* The program may be right all the same: that is not an error of the file. */
TEST(spec_says_when_jq_cannot_be_asked)
{
	static const char text[] = ENDS "steps:\n  - jq: .a\n";
	expect_failure(text, "/nonexistent/weir-jq", WEIR_EDIED, 4, 9, "cannot check the jq program");
	expect_failure(text, fake_jq("exit 7"), WEIR_EDIED, 4, 9, "it exited with code 7");
	expect_failure(text, fake_jq("kill -9 $$"), WEIR_EDIED, 4, 9, "it was killed by SIGKILL, twice");
}

TEST(spec_asks_again_when_the_check_of_a_jq_program_was_killed)
{
	static const char text[] = ENDS "steps:\n  - jq: .a\n  - jq: .b\n";
	const char *once =
		test_format("cd %s; [ -e killed$program ] || { : >killed$program; kill -9 $$; }", test_folder());
	struct plan *plan;
	int code =
		spec_parse(text, strlen(text), "t", test_folder(), &(struct spec_options){fake_jq(once)}, &plan, NULL);
	ck_assert_int_eq(code, 0);
	plan_free(plan);
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
	expect_quick_refusal("a word", text.data, text.len, "the file is plain text");
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
	ck_assert_str_eq(err.text, "cannot read the pipeline file: not found");
	ck_assert_str_eq(err.source, path);
	ck_assert_int_eq(spec_load(test_folder(), NULL, &plan, &err), -EISDIR);
	ck_assert_int_eq(spec_load("/dev/zero", NULL, &plan, &err), WEIR_EINVAL);
	ck_assert_str_eq(err.text, "the file is larger than 1 MiB");
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
