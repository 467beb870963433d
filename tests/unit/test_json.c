/* SPDX-License-Identifier: MIT */
/* JSON against the words of its header, and against jansson as a second opinion. */
#include "data/buf.h"
#include "data/json.h"
#include "support/test.h"
#include "unit/json_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct json *parsed(const char *text)
{
	struct json *json = NULL;
	struct weir_error err = {0};
	int code = json_parse(text, strlen(text), &json, &err);
	ck_assert_msg(code == 0, "%s: %d:%d %s", text, err.line, err.column, err.text);
	return json;
}

static void expect_dump(const char *text, const char *expected)
{
	size_t n;
	struct json *json = parsed(text);
	char *dump = json_dump(json, &n);
	ck_assert_str_eq(dump, expected);
	ck_assert_uint_eq(n, strlen(expected));
	free(dump);
	json_free(json);
}

static void expect_error(const char *text, int line, int column, const char *part)
{
	struct json *json = (struct json *)&json;
	struct weir_error err = {0};
	ck_assert_int_eq(json_parse(text, strlen(text), &json, &err), WEIR_EDATA);
	ck_assert_ptr_eq(json, &json);
	ck_assert_msg(strstr(err.text, part), "%s: %s", text, err.text);
	ck_assert_msg(err.line == line && err.column == column, "%s: %d:%d %s", text, err.line, err.column, err.text);
}

TEST(json_dumps_compact_and_as_written)
{
	expect_dump(" null ", "null");
	expect_dump("\t[ 1 , 2.50 ,\n[ ] , { } ] ", "[1,2.50,[],{}]");
	expect_dump("{\"b\" : { \"x\": \"a  b\" }, \"a\":[true, false]}",
		    "{\"b\":{\"x\":\"a  b\"},\"a\":[true,false]}");
	expect_dump("\"a\\u00e9\\n\"", "\"a\xC3\xA9\\n\"");
	expect_dump("[\"a\\\"b\", \"\\\\\", \"\", \"]\"]", "[\"a\\\"b\",\"\\\\\",\"\",\"]\"]");
}

TEST(json_keeps_the_digits_of_numbers)
{
	const char *big = "[12345678901234567890123456789,-0,1.10,1E400,0.1e-7,9007199254740993]";
	expect_dump(big, big);
	struct json *json = parsed(big);
	const struct json *first = json_at(json, ".[0]");
	ck_assert_int_eq(json_type(first), JSON_NUMBER_INT);
	ck_assert(!json_fits_int(first));
	ck_assert_int_eq(json_int(first), INT64_MAX);
	ck_assert_double_eq(json_real(first), 12345678901234567890123456789.0);
	ck_assert(json_fits_int(json_at(json, ".[5]")));
	ck_assert_int_eq(json_int(json_at(json, ".[5]")), 9007199254740993);
	ck_assert(!json_fits_int(json_at(json, ".[2]")));
	ck_assert_int_eq(json_type(json_at(json, ".[2]")), JSON_NUMBER_REAL);
	ck_assert(isinf(json_real(json_at(json, ".[3]"))));
	json_free(json);
}

TEST(json_knows_which_numbers_a_double_keeps)
{
	static const char *const kept[] = {
		"0",
		"-0.0",
		"1.50",
		"9007199254740992",
		"100000000000000000000",
		"0.30000000000000004",
		"5e-324",
		"1e308",
		"1.7976931348623157e308",
		"-123456789012345.6",
		"12345678901234567e-5",
		"0.1",
		"1E+2",
	};
	static const char *const cut[] = {
		"9007199254740993",
		"12345678901234567890.5",
		"0.1234567890123456789",
		"1e309",
		"1e-400",
		"1e99999999999",
		"1.79769313486231571e308",
		"123456789012345678",
		"0.30000000000000005",
	};
	struct json *json;
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
		ck_assert_int_eq(json_parse(kept[i], strlen(kept[i]), &json, NULL), 0);
		ck_assert_msg(json_fits_real(json), "%s", kept[i]);
		json_free(json);
	}
	for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
		ck_assert_int_eq(json_parse(cut[i], strlen(cut[i]), &json, NULL), 0);
		ck_assert_msg(!json_fits_real(json), "%s", cut[i]);
		json_free(json);
	}
	ck_assert_int_eq(json_parse("\"1\"", 3, &json, NULL), 0);
	ck_assert(!json_fits_real(json));
	json_free(json);
}

TEST(json_errors_have_a_place)
{
	expect_error("", 1, 1, "found the end");
	expect_error("  ", 1, 3, "found the end");
	expect_error("<html>", 1, 1, "expected a value, found '<'");
	expect_error("[1,\n 2,]", 2, 4, "expected a value, found ']'");
	expect_error("{\"a\":1,}", 1, 8, "expected a key");
	expect_error("{a:1}", 1, 2, "expected a key");
	expect_error("{\"a\" 1}", 1, 6, "expected ':'");
	expect_error("{\"a\":1 \"b\":2}", 1, 8, "expected ',' or '}'");
	expect_error("[1 2]", 1, 4, "expected ',' or ']'");
	expect_error("1 2", 1, 3, "nothing after the value");
	expect_error("01", 1, 2, "nothing after the value");
	expect_error("1.", 1, 3, "expected a digit");
	expect_error("-", 1, 2, "expected a digit");
	expect_error("1e+", 1, 4, "expected a digit");
	expect_error("+1", 1, 1, "expected a value");
	expect_error("NaN", 1, 1, "expected a value");
	expect_error("tru", 1, 1, "expected a value");
	expect_error("\"abc", 1, 5, "unterminated");
	expect_error("\"a\tb\"", 1, 3, "byte 0x09");
	expect_error("\"a\\x\"", 1, 3, "not an escape");
	expect_error("\"\\ud800\"", 1, 2, "lone surrogate");
	expect_error("\"\\ud800\\u0041\"", 1, 2, "lone surrogate");
	expect_error("\"\\udc00\"", 1, 2, "lone surrogate");
	expect_error("\"\\u12g4\"", 1, 2, "not an escape");
	expect_error("\"ab\xFF\"", 1, 4, "invalid UTF-8: byte 0xff");
	expect_error("\"\xC0\x80\"", 1, 2, "invalid UTF-8");
}

static void expect_changed(const char *text, const char *dump)
{
	struct json *json = parsed(text);
	ck_assert(json_changed(json) == (strcmp(text, dump) != 0));
	json_free(json);
	expect_dump(text, dump);
}

TEST(json_counts_the_last_of_members_with_one_name)
{
	expect_changed("{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2}");
	expect_changed("{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}");
	expect_changed("{\"a\" : [1,{\"}\":\"]\\\",\"}] , \"a\":{},\"a\":\"x\\n\"}", "{\"a\":\"x\\n\"}");
	expect_changed("[{\"\\u0061\":\"\\\"\",\"a\":3},7]", "[{\"a\":3},7]");
	expect_changed("{\"a\":{\"b\":1,\"b\":[2]},\"c\":0,\"a\":{\"b\":3,\"d\":[{}],\"b\":4},\"e\":[5]}",
		       "{\"c\":0,\"a\":{\"d\":[{}],\"b\":4},\"e\":[5]}");
	struct json *json = parsed("{\"a\":{\"x\":[1]},\"b\":[2],\"a\":{\"x\":[3]},\"c\":4}");
	ck_assert_int_eq(json_int(json_at(json, ".a.x[0]")), 3);
	ck_assert_int_eq(json_int(json_at(json, ".b[0]")), 2);
	ck_assert_int_eq(json_member_int(json, "c"), 4);
	json_free(json);
}

TEST(json_counts_the_last_among_many_keys)
{
	struct buf text = {0};
	buf_add_char(&text, '{');
	for (int i = 0; i < 50000; i++)
		buf_addf(&text, "\"k%d\":%d,", i, i);
	for (int i = 0; i < 50000; i += 2)
		buf_addf(&text, "\"k%d\":[%d],", i, -i);
	buf_add_str(&text, "\"other\":{}}");
	struct json *json = parsed(text.data);
	const struct json *value;
	size_t n = 0;
	for (size_t pos = 0; (value = json_next(json, &pos, NULL)); n++)
		ck_assert_int_eq(json_type(value), n < 25000 ? JSON_NUMBER_INT : n < 50000 ? JSON_ARRAY : JSON_OBJECT);
	ck_assert_uint_eq(n, 50001);
	ck_assert_int_eq(json_member_int(json, "k49999"), 49999);
	ck_assert_int_eq(json_int(json_at(json, ".k49998[0]")), -49998);
	json_free(json);
	buf_fini(&text);
}

static void expect_around(const char *text, const char *path, const char *expected)
{
	struct json *json = text ? parsed(text) : NULL;
	struct buf out = {0};
	size_t at = 99;
	buf_add_char(&out, '>');
	int code = json_write_around(json, path, &out, &at);
	ck_assert_int_eq(code, expected ? 0 : WEIR_EDATA);
	ck_assert_str_eq(
		test_format("%.*s^%s", expected ? (int)at - 1 : 0, out.data + 1, expected ? out.data + at : ""),
		expected ? expected : "^");
	buf_fini(&out);
	json_free(json);
}

TEST(json_writes_what_is_around_a_field)
{
	expect_around("{\"id\":1,\"a\":{\"b\":2,\"c\":[3]}}", ".a.b", "{\"id\":1,\"a\":{\"c\":[3],\"b\":^}}");
	expect_around("{\"id\":1,\"a\":2,\"z\":\"\"}", ".a", "{\"id\":1,\"z\":\"\",\"a\":^}");
	expect_around("{}", ".a.[\"x y\"]", "{\"a\":{\"x y\":^}}");
	expect_around("{\"a\":null}", ".a.b.c", "{\"a\":{\"b\":{\"c\":^}}}");
	expect_around(NULL, ".a", "{\"a\":^}");
	expect_around("{\"a\":1}", ".a.b", NULL);
	expect_around("[1]", ".a", NULL);
	expect_around("{}", ".a[0]", NULL);
	expect_around("{}", ".", NULL);
}

TEST(json_nests_512_deep_and_no_deeper)
{
	char text[2000] = "";
	memset(text, '[', 512);
	memset(text + 512, ']', 512);
	expect_dump(text, text);
	memset(text, '[', 513);
	memset(text + 513, ']', 513);
	expect_error(text, 1, 513, "deeper than 512");
}

TEST(json_refuses_a_million_levels_immediately)
{
	size_t n = 1000000;
	char *text = malloc(n);
	struct json *json;
	memset(text, '[', n);
	ck_assert_int_eq(json_parse(text, n, &json, NULL), WEIR_EDATA);
	free(text);
}

TEST(json_does_not_read_beyond_its_text)
{
	struct json *json;
	ck_assert_int_eq(json_parse("12345", 2, &json, NULL), 0);
	ck_assert_int_eq(json_int(json), 12);
	json_free(json);
	ck_assert_int_eq(json_parse("\"ab\"", 3, &json, NULL), WEIR_EDATA);
	ck_assert_int_eq(json_parse("1\0", 2, &json, NULL), WEIR_EDATA);
}

TEST(json_paths_lead_to_values)
{
	struct json *json = parsed("{\"a\":{\"b\":[10,{\"c\":\"x\"}]},\"a b\":1,\"\xC3\xA9\":2,\"n\":null,\"x-y\":3}");
	ck_assert_ptr_eq(json_at(json, "."), json);
	ck_assert_int_eq(json_int(json_at(json, ".a.b[0]")), 10);
	ck_assert_str_eq(json_text(json_at(json, ".a.b[1].c"), NULL), "x");
	ck_assert_int_eq(json_int(json_at(json, ".[\"a b\"]")), 1);
	ck_assert_int_eq(json_int(json_at(json, ".\xC3\xA9")), 2);
	ck_assert_int_eq(json_int(json_at(json, ".x-y")), 3);
	ck_assert_int_eq(json_type(json_at(json, ".n")), JSON_NULL);
	ck_assert_ptr_null(json_at(json, ".zzz"));
	ck_assert_ptr_null(json_at(json, ".a.b[2]"));
	ck_assert_ptr_null(json_at(json, ".a.b.c"));
	ck_assert_ptr_null(json_at(json, ".a[0]"));
	ck_assert_ptr_null(json_at(json, "a"));
	ck_assert_ptr_null(json_at(json, ".a."));
	ck_assert_ptr_null(json_at(json, ".a b"));
	ck_assert_ptr_null(json_at(json, ""));
	json_free(json);
}

TEST(json_path_length_stops_where_the_path_does)
{
	ck_assert_uint_eq(json_path_length(".a.b[0].c}"), 9);
	ck_assert_uint_eq(json_path_length("."), 1);
	ck_assert_uint_eq(json_path_length(".[3]"), 4);
	ck_assert_uint_eq(json_path_length(".[\"}\"] "), 6);
	ck_assert_uint_eq(json_path_length(".a..b"), 2);
	ck_assert_uint_eq(json_path_length("a"), 0);
	ck_assert_uint_eq(json_path_length(".a[x]"), 2);
}

TEST(json_walks_members_in_their_order)
{
	struct json *json = parsed("{\"x\":[1,[2],{}],\"y\":true,\"z\":\"\\u0000\"}");
	const struct json *name, *value;
	char seen[16] = "";
	size_t n;
	for (size_t pos = 0; json_next(json, &pos, &name);)
		strcat(seen, json_text(name, NULL));
	ck_assert_str_eq(seen, "xyz");
	int count = 0;
	for (size_t pos = 0; (value = json_next(json_member(json, "x"), &pos, &name)) != NULL; count++)
		ck_assert_ptr_null(name);
	ck_assert_int_eq(count, 3);
	ck_assert(json_bool(json_member(json, "y")));
	ck_assert_ptr_null(json_next(json_member(json, "y"), &(size_t){0}, NULL));
	ck_assert_str_eq(json_text(json_member(json, "z"), &n), "");
	ck_assert_uint_eq(n, 1);
	json_free(json);
}

TEST(json_utf8_knows_valid_from_broken)
{
	ck_assert(json_utf8_valid("", 0));
	ck_assert(json_utf8_valid("plain ASCII, longer than a word or two", 38));
	ck_assert(json_utf8_valid("12345678\xE2\x82\xAC", 11));
	ck_assert(json_utf8_valid("\xF4\x8F\xBF\xBF", 4));
	ck_assert(!json_utf8_valid("12345678\xE2\x82\xAC", 10));
	ck_assert(!json_utf8_valid("\xF4\x90\x80\x80", 4));
	ck_assert(!json_utf8_valid("\xED\xA0\x80", 3));
	ck_assert(!json_utf8_valid("\xE0\x80\x80", 3));
	ck_assert(!json_utf8_valid("\x80", 1));
	ck_assert(!json_utf8_valid("abcdefg\xFF", 8));
}

static void compare_with_jansson(const char *text, size_t n)
{
	struct json *json = NULL;
	int code = json_parse(text, n, &json, NULL);
	enum json_opinion theirs = json_oracle_accepts(text, n);
	if (theirs != ORACLE_NO_SAY)
		ck_assert_msg((code == 0) == (theirs == ORACLE_YES), "%.*s: %d, jansson: %d", (int)n, text, code,
			      theirs);
	if (code == 0 && theirs == ORACLE_YES) {
		size_t len;
		char *dump = json_dump(json, &len);
		ck_assert_msg(json_oracle_same(text, n, dump, len), "%.*s became %s", (int)n, text, dump);
		free(dump);
	}
	json_free(json);
}

TEST(json_agrees_with_jansson_on_mutated_texts)
{
	static const char *const seeds[] = {
		"{\"id\": 12, \"s\":\"a b/c\", \"items\":[{\"qty\":1,\"price\":2.5},{\"qty\":3}], \"t\": true, "
		"\"n\":null}",
		"[\"\\u00e9\\ud83d\\ude00\\n\", \"\xC3\xA9\xF0\x9F\x98\x80\", -1.5e+10, 0, [[]], {}, \"\\\\\\\"\"]",
		"{\"a\":{\"a\":{\"a\":[1,2,{\"b\":false}]}}, \"b\":\"\", \"\":0}",
		"{\"a\":[1,{\"b\":\"\\\"}\",\"b\":2}], \"b\":{}, \"a\":[\"]\"], \"\\u0062\":[[]], \"c\":0}",
	};
	static const char bits[] = "{}[]\",:\\u0012e.-+tfn \n\xC3\xA9\xFF";
	srandom(11);
	for (int round = 0; round < 60000; round++) {
		char text[256];
		size_t n = strlen(strcpy(text, seeds[round % 3]));
		for (long edits = random() % 4; edits >= 0; edits--) {
			size_t at = (size_t)random() % n;
			if (random() % 3 == 0 && n > 1)
				memmove(text + at, text + at + 1, n-- - at);
			else
				text[at] = random() % 4 ? bits[(size_t)random() % (sizeof bits - 1)] : (char)random();
		}
		compare_with_jansson(text, n);
	}
}
