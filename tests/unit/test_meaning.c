/* SPDX-License-Identifier: MIT */
/* What a pipeline does to its items, as text, and which texts are the same: the rules in spec/meaning.h. */
#include "data/crc.h"
#include "spec/meaning.h"
#include "spec/plan.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE "source: {range: 1-3}\n"
#define SINK   "sink: {stdout: {}}\n"

/* Of a pipeline; the caller's. */
static char *meaning_of(const char *yaml)
{
	struct plan *plan = NULL;
	struct weir_error err = {0};
	int code = spec_parse(yaml, strlen(yaml), "t.yaml", test_folder(), &(struct spec_options){0}, &plan, &err);
	ck_assert_msg(code == 0, "%s\n%d:%d: %s", yaml, err.line, err.column, err.text);
	char *meaning = strdup(plan->meaning);
	plan_free(plan);
	return meaning;
}

/* The change between two texts, "" if they are the same; the caller's. */
static char *change_of(const char *was, const char *is)
{
	struct weir_error err = {0};
	struct buf change = {0};
	int code = spec_meaning_compare(was, is, &change, &err);
	ck_assert_msg(code == 0, "%s\n%s", was, err.text);
	return buf_take(&change, NULL);
}

static void expect_change(const char *was, const char *is, const char *expected)
{
	char *change = change_of(was, is);
	ck_assert_msg(strcmp(change, expected) == 0, "%s\n%s\n%s", was, is, change);
	free(change);
}

static void expect_change_of(const char *was_yaml, const char *is_yaml, const char *expected)
{
	char *was = meaning_of(was_yaml), *is = meaning_of(is_yaml);
	expect_change(was, is, expected);
	free(was);
	free(is);
}

/* The text as another release might have written it, with checksums that match; the caller's. */
static char *edited(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from), *end;
	struct buf out = {0};
	ck_assert_msg(at, "%s\n%s", text, from);
	buf_addf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	for (char *head = out.data; (head = strstr(head, "weir ")) != NULL;) {
		char *body = strchr(head, '\n') + 1, number[16];
		end = strstr(body, "weir ");
		snprintf(number, sizeof number, "%08x", crc_add(0, body, end ? (size_t)(end - body) : strlen(body)));
		memcpy(body - 9, number, 8);
		head = body;
	}
	return buf_take(&out, NULL);
}

#define ALL                                                                                                            \
	"source: {csv: {path: in.csv, columns: [id, 'a, b']}}\n"                                                       \
	"steps:\n"                                                                                                     \
	"  - http: {url: 'http://h/${.id}', headers: {X-Key: '${env:HOME}', X-Kind: order}, ok: [200, 404], "          \
	"json: {id: '${.id}', to: ['${env:HOME}']}, "                                                                  \
	"when: [{if: .a, then: retry, after: 2s}, {if: .b, then: throttled, after: .c}], "                             \
	"auth: {bearer: secret}}\n"                                                                                    \
	"    concurrency: 9\n"                                                                                         \
	"  - jq: \"{id,\\n a: \\\"b\\\"}\"\n"                                                                          \
	"sink: {sqlite: {path: out.db, table: t, key: id}, batch: {items: 9}}\n"                                       \
	"dead_letter: {jsonl: {path: dead.jsonl, on_start: append}}\n"                                                 \
	"flow: {rate: 5/s}\n"

/* The states of all releases hold this form. */
static const char meaning_of_all[] = "weir processing 1 %08x\n"
				     "steps.1 = http\n"
				     "steps.1.url = http://h/${.id}\n"
				     "steps.1.method ~ GET\n"
				     "steps.1.headers.X-Key = ***\n"
				     "steps.1.headers.X-Kind = order\n"
				     "steps.1.json = {\"id\":\"${.id}\",\"to\":[\"***\"]}\n"
				     "steps.1.max_upload ! 1073741824B\n"
				     "steps.1.auth.bearer = ***\n"
				     "steps.1.timeout.total ! 30000000000ns\n"
				     "steps.1.http ! 1.1\n"
				     "steps.1.proxy ! env\n"
				     "steps.1.expect ~ json\n"
				     "steps.1.compress ! auto\n"
				     "steps.1.compress_body ! none\n"
				     "steps.1.record ~ false\n"
				     "steps.1.save.replace ! false\n"
				     "steps.1.ok = [200, 404]\n"
				     "steps.1.follow ! 0\n"
				     "steps.1.when.1.if = .a\n"
				     "steps.1.when.1.then = retry\n"
				     "steps.1.when.1.after = 2000000000ns\n"
				     "steps.1.when.2.if = .b\n"
				     "steps.1.when.2.then = throttled\n"
				     "steps.1.when.2.after = .c\n"
				     "steps.1.memo ! true\n"
				     "steps.1.max_connections ! 0\n"
				     "steps.1.max_body ! 10485760B\n"
				     "steps.1.max_headers ! 262144B\n"
				     "steps.1.concurrency ! 9\n"
				     "steps.2 = jq\n"
				     "steps.2.program = {id,\\n a: \\\"b\\\"}\n"
				     "steps.2.workers ! 1\n"
				     "steps.2.timeout ! 1000000000ns\n"
				     "steps.2.memory ! 268435456B\n"
				     "steps.2.max_outputs ! 100000\n"
				     "sink = sqlite\n"
				     "sink.path = out.db\n"
				     "sink.table = t\n"
				     "sink.key = id\n"
				     "sink.columns ~ auto\n"
				     "sink.alter ! false\n"
				     "sink.update ~ false\n"
				     "sink.ledger_keep ! 604800000000000ns\n"
				     "sink.on_start ! refuse\n"
				     "sink.order ~ completion\n"
				     "sink.exactly_once ! wanted\n"
				     "dead_letter = jsonl\n"
				     "dead_letter.path = dead.jsonl\n"
				     "dead_letter.on_start ! append\n"
				     "weir source 1 %08x\n"
				     "source = csv\n"
				     "source.path = in.csv\n"
				     "source.header ~ true\n"
				     "source.columns = [id, \"a, b\"]\n"
				     "source.delimiter ~ ,\n";

TEST(meaning_has_a_line_for_each_key)
{
	test_write_file("in.csv", "1\n");
	char *meaning = meaning_of(ALL), *same = edited(meaning, "", ""), lines[sizeof meaning_of_all + 16];
	unsigned processing, source;
	ck_assert_str_eq(meaning, same);
	ck_assert_int_eq(sscanf(meaning, "weir processing 1 %8x", &processing), 1);
	ck_assert_int_eq(sscanf(strstr(meaning, "weir source"), "weir source 1 %8x", &source), 1);
	snprintf(lines, sizeof lines, meaning_of_all, processing, source);
	ck_assert_str_eq(meaning, lines);
	free(meaning);
	free(same);
}

TEST(meaning_is_the_same_however_it_is_written)
{
	char *meaning = meaning_of("source: {range: 1-60}\n"
				   "steps:\n  - http: {url: 'http://h/', method: POST, ok: 200}\n  - jq: .a\n" SINK);
	char *same = meaning_of(SINK "steps:\n- http:\n        ok: [200]\n        method: \"POST\"\n"
				     "        url: \"http://h/\"\n- jq: {program: '.a'}\n"
				     "source: {range: {numbers: 1..60}}\nname: other\n");
	ck_assert_str_eq(meaning, same);
	free(meaning);
	free(same);
}

TEST(meaning_lets_everything_change_that_is_about_pace)
{
	expect_change_of(
		SOURCE SINK "steps:\n  - http: {url: 'http://h/'}\n  - jq: .a\n",
		SOURCE
		"sink: {stdout: {}, batch: {items: 7}}\n"
		"steps:\n  - http: {url: 'http://h/', label: crm, max_connections: 3, timeout: {connect: 1s, "
		"total: 2s}, max_body: 1MiB, tls: {ca: /etc/ssl/certs/ca-certificates.crt}}\n    concurrency: 9\n"
		"  - jq: {program: .a, workers: 3, timeout: 3s, memory: 64MiB}\n    concurrency: 1\n"
		"flow: {pattern: queue, rate: 5/s, order_by: .x, priority: {field: .y}, retry: {attempts: 9}}\n"
		"stop_when: {dead: 0%}\nshutdown: {drain: 1s}\nbroker: {memory: {}}\n",
		"");
	expect_change_of(SOURCE "sink: {jsonl: {path: a}}\n", SOURCE "sink: {jsonl: {path: a, on_start: append}}\n",
			 "");
	expect_change_of(SOURCE SINK "steps:\n  - jq: {program: .a, timeout: 2s}\n", SOURCE SINK "steps:\n  - jq: .a\n",
			 "");
}

TEST(meaning_names_what_has_changed)
{
	static const struct {
		const char *was, *is, *change;
	} table[] = {
		{"steps:\n  - jq: .a\n", "steps:\n  - jq: .b\n",
		 "it was \"steps.1.program: .a\", now it is \"steps.1.program: .b\""},
		{"steps:\n  - jq: .a\n", "steps:\n  - jq: .a\n  - jq: .b\n",
		 "it was absent, now it is \"steps.2: jq\""},
		{"key: '${.a}'\n", "key: '${.b}'\n", "it was \"key: ${.a}\", now it is \"key: ${.b}\""},
		{"", "key: '${.a}'\n", "it was absent, now it is \"key: ${.a}\""},
		{"steps:\n  - jq: .a\n", "", "it was \"steps.1: jq\", now it is absent"},
		{"steps:\n  - http: {url: 'http://h/'}\n", "steps:\n  - http: {url: 'http://h/', method: PUT}\n",
		 "it was \"steps.1.method: GET\", now it is \"steps.1.method: PUT\""},
		{"steps:\n  - http: {url: 'http://h/', method: PUT}\n", "steps:\n  - http: {url: 'http://h/'}\n",
		 "it was \"steps.1.method: PUT\", now it is \"steps.1.method: GET\""},
		{"steps:\n  - http: {url: 'http://h/'}\n", "steps:\n  - http: {url: 'http://h/', method: GET}\n", ""},
		{"steps:\n  - http: {url: 'http://h/', headers: {A: b}}\n", "steps:\n  - http: {url: 'http://h/'}\n",
		 "it was \"steps.1.headers.A: b\", now it is absent"},
		{"steps:\n  - http: {url: 'http://h/', auth: {bearer: a}}\n",
		 "steps:\n  - http: {url: 'http://h/', auth: {bearer: b}}\n", ""},
		{"steps:\n  - http: {url: 'http://h/', auth: {bearer: a}}\n",
		 "steps:\n  - http: {url: 'http://h/', auth: {exec: [a, b], ttl: 1h}}\n", ""},
		{"steps:\n  - http: {url: 'http://h/', auth: {exec: [a]}}\n",
		 "steps:\n  - http: {url: 'http://h/', auth: {oauth2: {token_url: 'http://h/t', client_id: a, "
		 "client_secret: b}}}\n",
		 ""},
		{"dead_letter: {jsonl: {path: a}}\n", "dead_letter: {csv: {path: a, columns: [b]}}\n",
		 "it was \"dead_letter: jsonl\", now it is \"dead_letter: csv\""},
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		char was[256], is[256];
		snprintf(was, sizeof was, "%s%s", SOURCE SINK, table[i].was);
		snprintf(is, sizeof is, "%s%s", SOURCE SINK, table[i].is);
		expect_change_of(was, is, table[i].change);
	}
	expect_change_of(SOURCE SINK, "source: {range: 1-4}\n" SINK,
			 "it was \"source.numbers: 1-3\", now it is \"source.numbers: 1-4\"");
}

TEST(meaning_shows_of_long_values_where_they_differ)
{
	char long_a[400], long_b[400], was[600], is[600];
	memset(long_a, 'x', sizeof long_a);
	long_a[sizeof long_a - 1] = 0;
	memcpy(long_b, long_a, sizeof long_a);
	memcpy(long_a + 200, "before", 6);
	memcpy(long_b + 200, "behind", 6);
	snprintf(was, sizeof was, SOURCE SINK "steps:\n  - jq: .%s\n", long_a);
	snprintf(is, sizeof is, SOURCE SINK "steps:\n  - jq: .%s\n", long_b);
	char *a = meaning_of(was), *b = meaning_of(is), *change = change_of(a, b);
	ck_assert_ptr_nonnull(strstr(change, "program: ...xxx"));
	ck_assert_ptr_nonnull(strstr(change, "xbeforex"));
	ck_assert_ptr_nonnull(strstr(change, "xbehindx"));
	ck_assert_uint_lt(strlen(change), 350);
	free(a);
	free(b);
	free(change);
}

/* What later releases do to their tables of keys. */
TEST(meaning_outlives_new_keys_and_other_defaults)
{
	char *is = meaning_of(SOURCE SINK "steps:\n  - http: {url: 'http://h/', expect: text}\n");
	char *no_key = edited(is, "steps.1.method ~ GET\n", "");
	char *other = edited(is, "steps.1.method ~ GET\n", "steps.1.method ~ PUT\nsteps.1.old ~ 1\n");
	char *was_pace = edited(is, "steps.1.expect = text\n", "steps.1.expect ! text\n");
	char *pace_gone = edited(is, "steps.1.expect = text\n", "steps.1.expect = text\nsteps.1.old ! 1\n");
	char *written = edited(is, "steps.1.method ~ GET\n", "steps.1.method = PUT\n");
	char *unknown = edited(is, "steps.1.method ~ GET\n", "steps.1.method ~ GET\nsteps.1.old = 1\n");
	expect_change(no_key, is, "");
	expect_change(other, is, "");
	expect_change(was_pace, is, "");
	expect_change(pace_gone, is, "");
	expect_change(written, is, "it was \"steps.1.method: PUT\", now it is \"steps.1.method: GET\"");
	expect_change(unknown, is, "it was \"steps.1.old: 1\", now it is absent");
	free(no_key);
	free(other);
	free(was_pace);
	free(pace_gone);
	free(written);
	free(unknown);
	free(is);
}

/* A header with a secret in plain text, which earlier releases did not hide. */
TEST(meaning_hides_what_earlier_releases_showed)
{
	char *is =
		meaning_of(SOURCE SINK "steps:\n  - http: {url: 'http://h/', headers: {Authorization: Bearer abcd}}\n");
	char *was =
		edited(is, "steps.1.headers.Authorization = ***\n", "steps.1.headers.Authorization = Bearer xyz1\n");
	ck_assert_ptr_null(strstr(is, "abcd"));
	expect_change(was, is, "");
	free(was);
	free(is);
}

/* A part of what `weir check --explain` printed: everything as if it was written, without marks of defaults. */
TEST(meaning_reads_what_earlier_releases_kept)
{
	static const char was[] =
		"source:\n  range:\n    numbers: 1-3\nsteps:\n  - http:\n      url: http://h/\n"
		"      method: GET\n      headers:\n        X-Key: \"***\"\n      timeout: 10s\n"
		"      expect: json\n      max_body: 5MiB\n  - jq:\n      program: \"{id: .}\"\n"
		"      workers: 1\n      timeout: 1s\nsink:\n  jsonl:\n    path: out.jsonl\n"
		"    on_start: replace\ndead_letter:\n  csv:\n    path: dead.csv\n    columns: [id]\n";
	static const char *const is[] = {
		SOURCE "steps:\n  - http: {url: 'http://h/', headers: {X-Key: '${env:HOME}'}, timeout: 20s}\n"
		       "  - jq: '{id: .}'\nsink: {jsonl: {path: out.jsonl}}\n"
		       "dead_letter: {csv: {path: dead.csv, columns: [id]}}\n",
		"",
		SOURCE "steps:\n  - http: {url: 'http://h/', headers: {X-Key: '${env:HOME}'}, expect: text}\n"
		       "  - jq: '{id: .}'\nsink: {jsonl: {path: out.jsonl}}\n"
		       "dead_letter: {csv: {path: dead.csv, columns: [id]}}\n",
		"it was \"steps.1.expect: json\", now it is \"steps.1.expect: text\"",
	};
	for (size_t i = 0; i < sizeof is / sizeof *is; i += 2) {
		char *meaning = meaning_of(is[i]);
		expect_change(was, meaning, is[i + 1]);
		free(meaning);
	}
	char *path = spec_meaning_value(was, "dead_letter.path"), *none = spec_meaning_value(was, "dead_letter.table");
	ck_assert_str_eq(path, "dead.csv");
	ck_assert_ptr_null(none);
	free(path);
}

TEST(meaning_that_is_damaged_or_of_a_later_release_is_refused)
{
	char *is = meaning_of(SOURCE SINK "steps:\n  - jq: .a\n"),
	     *later = edited(is, "weir source 1", "weir source 2");
	char *damaged = strdup(is), *cut = strdup(is);
	*strstr(damaged, ".a\n") = ',';
	*strrchr(cut, '-') = 0;
	const char *const bad[] = {later, damaged, cut, "weir ", "a: [\n"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct weir_error err = {0};
		struct buf change = {0};
		ck_assert_int_eq(spec_meaning_compare(bad[i], is, &change, &err), WEIR_EDATA);
		ck_assert_ptr_nonnull(strstr(err.text, "the pipeline in the state"));
		ck_assert_uint_eq(change.len, 0);
		ck_assert_ptr_null(spec_meaning_value(bad[i], "sink"));
		buf_fini(&change);
	}
	free(is);
	free(later);
	free(damaged);
	free(cut);
}
