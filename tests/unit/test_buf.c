/* SPDX-License-Identifier: MIT */
#include "port/buf.h"
#include "port/item.h"
#include "port/json.h"
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
