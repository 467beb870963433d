/* SPDX-License-Identifier: MIT */
#include "data/buf.h"
#include "data/json.h"
#include "port/item.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

TEST(buf_grows_and_stays_terminated)
{
	struct buf buf = {0};
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(buf_addf(&buf, "%d,", i % 10), 0);
	ck_assert_uint_eq(buf.len, 20000);
	ck_assert_uint_eq(strlen(buf.data), 20000);
	ck_assert_mem_eq(buf.data, "0,1,2,3,4,5,6,7,8,9,0,", 22);
	buf_clear(&buf);
	ck_assert_str_eq(buf.data, "");
	buf_fini(&buf);
}

TEST(buf_addf_writes_what_does_not_fit_at_first)
{
	char text[5000];
	struct buf buf = {0};
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = 0;
	ck_assert_int_eq(buf_addf(&buf, "<%s>", text), 0);
	ck_assert_uint_eq(buf.len, 5001);
	ck_assert_int_eq(buf.data[5000], '>');
	buf_fini(&buf);
}

TEST(buf_failed_append_keeps_the_content_and_refuses_more)
{
	struct buf buf = {0};
	ck_assert_int_eq(buf_add_str(&buf, "abc"), 0);
	ck_assert_ptr_null(buf_reserve(&buf, SIZE_MAX - 10));
	ck_assert_str_eq(buf.data, "abc");
	ck_assert(buf.failed);
	ck_assert_int_eq(buf_add_char(&buf, 'd'), WEIR_ENOMEM);
	ck_assert_int_eq(buf_addf(&buf, "d"), WEIR_ENOMEM);
	ck_assert_str_eq(buf.data, "abc");
	ck_assert_ptr_null(buf_take(&buf, NULL));
	ck_assert_ptr_null(buf.data);
	ck_assert(!buf.failed);
}

TEST(buf_take_gives_an_empty_string_of_nothing)
{
	struct buf buf = {0};
	size_t len = 7;
	char *text = buf_take(&buf, &len);
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(len, 0);
	free(text);
}

static void expect_json(const char *bytes, size_t n, const char *expected)
{
	struct buf buf = {0};
	ck_assert_int_eq(buf_add_json_str(&buf, bytes, n), 0);
	ck_assert_str_eq(buf.data, expected);
	buf_fini(&buf);
}

TEST(buf_json_strings_are_escaped)
{
	expect_json("", 0, "\"\"");
	expect_json("plain text of some length", 25, "\"plain text of some length\"");
	expect_json("a\"b\\c\n\t\r\b\f\x01\x1f\0z", 13, "\"a\\\"b\\\\c\\n\\t\\r\\b\\f\\u0001\\u001f\\u0000\"");
	expect_json("\xC3\xA9\xF0\x9F\x98\x80", 6, "\"\xC3\xA9\xF0\x9F\x98\x80\"");
}

TEST(buf_json_strings_replace_what_is_no_utf8)
{
	expect_json("a\xFFz", 3, "\"a\xEF\xBF\xBDz\"");
	expect_json("\xC3", 1, "\"\xEF\xBF\xBD\"");
	expect_json("\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(buf_json_strings_of_any_bytes_are_valid_json)
{
	srandom(7);
	for (int round = 0; round < 2000; round++) {
		char bytes[40];
		size_t n = (size_t)random() % sizeof bytes;
		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)(random() % 3 ? random() % 128 : random());
		struct buf buf = {0};
		struct json *json;
		ck_assert_int_eq(buf_add_json_str(&buf, bytes, n), 0);
		ck_assert_int_eq(json_parse(buf.data, buf.len, &json, NULL), 0);
		json_free(json);
		buf_fini(&buf);
	}
}

TEST(item_lists_own_their_values)
{
	struct item *item = item_new();
	for (int i = 0; i < 100; i++) {
		struct value value;
		ck_assert_int_eq(value_copy(&value, "abc", (size_t)(i % 4)), 0);
		ck_assert_int_eq(value_list_take(&item->outputs, &value), 0);
		ck_assert_ptr_null(value.data);
	}
	ck_assert_uint_eq(item->outputs.n, 100);
	ck_assert_str_eq(item->outputs.values[99].data, "abc");
	item_set_why(item, "bad\n%s", "\x1b[31m");
	ck_assert_str_eq(item->why, "bad??[31m");
	item_free(item);
	item_free(NULL);
}

TEST(value_is_parsed_once_and_hands_on_what_it_says)
{
	struct value value, copy;
	const struct json *first, *again;
	ck_assert_int_eq(value_copy(&value, "{\"a\":1}", 7), 0);
	ck_assert_int_eq(value_json(&value, &first, NULL), 0);
	ck_assert_int_eq(value_json(&value, &again, NULL), 0);
	ck_assert_ptr_eq(again, first);
	ck_assert_int_eq(value_hand_on(&copy, &value), 0);
	ck_assert_ptr_null(value.json);
	ck_assert_str_eq(copy.data, "{\"a\":1}");
	ck_assert_int_eq(value_json(&copy, &again, NULL), 0);
	ck_assert_ptr_eq(again, first);
	value_forget(&copy);
	ck_assert_ptr_null(copy.json);
	value_fini(&copy);
	value_fini(&value);
}

TEST(value_that_is_no_json_says_why_each_time)
{
	struct value value;
	const struct json *json = NULL;
	ck_assert_int_eq(value_copy(&value, "{", 1), 0);
	for (int i = 0; i < 2; i++) {
		struct weir_error err = {0};
		ck_assert_int_eq(value_json(&value, &json, &err), WEIR_EDATA);
		ck_assert_int_eq(err.column, 2);
		ck_assert_ptr_null(json);
	}
	value_fini(&value);
}

static void expect_visible(const char *text, size_t n, bool lines, const char *expected)
{
	struct buf buf = {0};
	ck_assert_int_eq(buf_add_visible(&buf, text, n, lines), 0);
	ck_assert_str_eq(buf.len ? buf.data : "", expected);
	buf_fini(&buf);
}

TEST(buf_makes_visible_what_would_act_on_a_terminal)
{
#define EXPECT_VISIBLE(text, expected) expect_visible(text, sizeof text - 1, false, expected)
	EXPECT_VISIBLE("", "");
	EXPECT_VISIBLE("plain \"\\ caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80",
		       "plain \"\\ caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80");
	EXPECT_VISIBLE("\x1b[31m\r\n\t\0\x7f", "\\u001b[31m\\u000d\\u000a\\u0009\\u0000\\u007f");
	EXPECT_VISIBLE("\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0", "\\u0080\\u009b\\u009f\xC2\xA0");
	EXPECT_VISIBLE("\xE2\x80\xAA\xE2\x80\xAE\xE2\x80\xAF", "\\u202a\\u202e\xE2\x80\xAF");
	EXPECT_VISIBLE("\xE2\x81\xA6\xE2\x81\xA9\xE2\x81\xAA", "\\u2066\\u2069\xE2\x81\xAA");
	EXPECT_VISIBLE("\xE2\x80\x8D\xE2\x80\x8E\xE2\x80\x8F\xD8\x9C", "\xE2\x80\x8D\\u200e\\u200f\\u061c");
	EXPECT_VISIBLE("\x9B\xFF\xC2", "\\u009b\\u00ff\\u00c2"); /* no UTF-8 */
	EXPECT_VISIBLE("\xED\xA0\x80\xE2\x80", "\\u00ed\\u00a0\\u0080\\u00e2\\u0080");
	expect_visible("a\n\x1b\n", 4, true, "a\n\\u001b\n");
}

TEST(buf_percent_encodes_all_but_plain_bytes)
{
	struct buf buf = {0};
	ck_assert_int_eq(buf_add_percent(&buf, "aZ0-._~ /+%=\xc3\xa4\0", 15), 0);
	ck_assert_str_eq(buf.data, "aZ0-._~%20%2F%2B%25%3D%C3%A4%00");
	buf_fini(&buf);
}
