/* SPDX-License-Identifier: MIT */
#include "data/json.h"
#include "data/json_writer.h"
#include "support/test.h"

#include <math.h>
#include <string.h>

TEST(json_writer_puts_commas_between_values_and_only_there)
{
	struct buf out = {0};
	buf_add_str(&out, "status ");
	json_open(&out, NULL, '{');
	json_open(&out, "empty", '[');
	json_close(&out, ']');
	json_open(&out, "all", '[');
	json_put_int(&out, NULL, INT64_MIN);
	json_put_uint(&out, NULL, UINT64_MAX);
	json_put_real(&out, NULL, 2.0 / 3, 3);
	json_put_real(&out, NULL, (double)NAN, 1);
	json_put_bool(&out, NULL, true);
	json_put_text(&out, NULL, NULL);
	json_open(&out, NULL, '{');
	json_put_text(&out, "a \"b\"", "ends with a blank ");
	json_put_bytes(&out, "", "x{", 2);
	json_close(&out, '}');
	json_close(&out, ']');
	json_put_raw(&out, "none", "", 0);
	json_put_raw(&out, "raw", "[1, 2] \n", 8);
	json_put_raw(&out, NULL, "\"b\":1,\"c\":2", 11);
	json_put_time(&out, "at", 1777636800);
	json_close(&out, '}');
	ck_assert_str_eq(out.data,
			 "status {\"empty\":[],\"all\":[-9223372036854775808,18446744073709551615,0.667,null,true,null,"
			 "{\"a \\\"b\\\"\":\"ends with a blank \",\"\":\"x{\"}],\"raw\":[1, 2],\"b\":1,\"c\":2,"
			 "\"at\":\"2026-05-01T12:00:00Z\"}");
	buf_fini(&out);
}

TEST(json_writer_copies_parsed_values_and_begins_lines_afresh)
{
	static const char text[] = "{\"n\":1e400,\"list\":[true,{}]}";
	struct buf out = {0};
	struct json *json;
	ck_assert_int_eq(json_parse(text, strlen(text), &json, NULL), 0);
	for (int i = 0; i < 2; i++) {
		json_open(&out, NULL, '{');
		json_put_value(&out, "copy", json);
		buf_add_str(&out, "}\n");
	}
	ck_assert_str_eq(out.data, test_format("{\"copy\":%s}\n{\"copy\":%s}\n", text, text));
	json_free(json);
	buf_fini(&out);
}

TEST(json_indent_leaves_strings_and_empty_brackets_as_they_are)
{
	static const char text[] = " {\"a\":[ ],\"b\\\"{\":[1,{\"c\" : \"x, y: [\\\\\"}]}";
	struct buf out = {0};
	json_indent(&out, text, strlen(text));
	ck_assert_str_eq(out.data, "{\n  \"a\": [],\n  \"b\\\"{\": [\n    1,\n    {\n      \"c\": \"x, y: [\\\\\"\n"
				   "    }\n  ]\n}");
	buf_fini(&out);
}
