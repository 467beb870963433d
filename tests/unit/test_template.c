/* SPDX-License-Identifier: MIT */
#include "port/template.h"
#include "support/test.h"

#include <string.h>

static const char item[] =
	"{\"id\":12,\"s\":\"a b/\xC3\xA9?\",\"big\":12345678901234567890,\"r\":1.50,\"t\":true,\"n\":null,"
	"\"o\":{\"k\": [1, 2]},\"url\":\"http://h/x y\",\"crlf\":\"a\\r\\nb\",\"nul\":\"a\\u0000b\"}";

static int render(const char *text, unsigned flags, struct buf *out, struct weir_error *err)
{
	struct template *template;
	struct json *json;
	ck_assert_int_eq(template_compile(text, flags, &template, err), 0);
	ck_assert_str_eq(template_text(template), text);
	ck_assert_int_eq(json_parse(item, strlen(item), &json, err), 0);
	int code = template_render(template, json, out, err);
	json_free(json);
	template_free(template);
	return code;
}

static void expect_text(const char *text, unsigned flags, const char *expected)
{
	struct buf out = {0};
	struct weir_error err = {0};
	buf_add_str(&out, ">");
	int code = render(text, flags, &out, &err);
	ck_assert_msg(code == 0, "%s: %s", text, err.text);
	ck_assert_str_eq(out.data + 1, expected);
	buf_fini(&out);
}

static void expect_refusal(const char *text, unsigned flags, const char *part)
{
	struct buf out = {0};
	struct weir_error err = {0};
	buf_add_str(&out, "before");
	ck_assert_int_eq(render(text, flags, &out, &err), WEIR_EDATA);
	ck_assert_msg(strstr(err.text, part), "%s: %s", text, err.text);
	ck_assert_str_eq(out.data, "before");
	buf_fini(&out);
}

static void expect_bad(const char *text, unsigned flags, int column, const char *part)
{
	struct template *template;
	struct weir_error err = {0};
	ck_assert_int_eq(template_compile(text, flags, &template, &err), WEIR_EINVAL);
	ck_assert_msg(strstr(err.text, part), "%s: %s", text, err.text);
	ck_assert_msg(err.column == column, "%s: %d %s", text, err.column, err.text);
}

TEST(template_fills_holes_with_text)
{
	expect_text("", 0, "");
	expect_text("plain", 0, "plain");
	expect_text("${.id}", 0, "12");
	expect_text("<${.id}|${.s}>", 0, "<12|a b/\xC3\xA9?>");
	expect_text("${.big} ${.r} ${.t} ${.o}", 0, "12345678901234567890 1.50 true {\"k\":[1,2]}");
	expect_text("${.o.k[1]}", 0, "2");
	expect_text("$${.id} $ $x {} $$ ${.id}", 0, "${.id} $ $x {} $$ 12");
}

TEST(template_encodes_in_urls)
{
	expect_text("http://h/${.s}?t=${.t}&r=${.r}&o=${.o}", TEMPLATE_URL,
		    "http://h/a%20b%2F%C3%A9%3F?t=true&r=1.50&o=%7B%22k%22%3A%5B1%2C2%5D%7D");
	expect_text("${.url}", TEMPLATE_URL, "http://h/x y");
	expect_text("${.url}?", TEMPLATE_URL, "http%3A%2F%2Fh%2Fx%20y?");
}

TEST(template_refuses_what_is_not_there)
{
	expect_refusal("x${.nope}", 0, "nothing at .nope");
	expect_refusal("x${.n}", 0, "null at .n");
	expect_refusal("x${.id.x}", 0, "nothing at .id.x");
}

TEST(template_refuses_line_breaks_in_headers)
{
	expect_refusal("x${.crlf}", TEMPLATE_HEADER, "line break");
	expect_refusal("x${.nul}", TEMPLATE_HEADER, "NUL");
	expect_text("x${.s}", TEMPLATE_HEADER, "xa b/\xC3\xA9?");
	expect_bad("a\nb", TEMPLATE_HEADER, 2, "line break");
}

TEST(template_errors_have_a_column)
{
	expect_bad("ab${.id", 0, 8, "no } after");
	expect_bad("ab${}", 0, 3, "nothing between");
	expect_bad("ab${id}", 0, 3, "no path");
	expect_bad("ab${.a..b}", 0, 7, "cannot go on");
	expect_bad("ab${.a b}", 0, 7, "cannot go on");
	expect_bad("${env:X}", 0, 1, "no path");
}

TEST(template_knows_where_its_holes_are)
{
	struct template *t;
	ck_assert_int_eq(template_compile("a$${b}", 0, &t, NULL), 0);
	ck_assert(template_is_constant(t));
	struct buf out = {0};
	ck_assert_int_eq(template_render(t, NULL, &out, NULL), 0);
	ck_assert_str_eq(out.data, "a${b}");
	buf_fini(&out);
	template_free(t);
	ck_assert_int_eq(template_compile("${.a}b", 0, &t, NULL), 0);
	ck_assert(!template_is_constant(t) && template_starts_with_hole(t));
	template_free(t);
	ck_assert_int_eq(template_compile("b${.a}", 0, &t, NULL), 0);
	ck_assert(!template_is_constant(t) && !template_starts_with_hole(t));
	template_free(t);
	template_free(NULL);
}
