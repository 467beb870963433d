/* SPDX-License-Identifier: MIT */
#include "data/template.h"
#include "support/test.h"

#include <string.h>

static const char item[] =
	"{\"id\":12,\"s\":\"a b/\xC3\xA9?\",\"big\":12345678901234567890,\"r\":1.50,\"t\":true,\"n\":null,"
	"\"o\":{\"k\": [1, 2]},\"url\":\"http://h/x "
	"y\",\"crlf\":\"a\\r\\nb\",\"dot\":\".\",\"dots\":\"..\",\"empty\":\"\",\"host\":\"h\",\"evil\":\"\\\"},{"
	"\\\"evil\\\":1\",\"nul\":\"a\\u0000b\",\"way\":\"a "
	"b/c.d\",\"up\":\"a/../b\",\"out\":\"../x\",\"end\":\"/a//b/\","
	"\"ask\":\"a?x=../..\"}";
static const char known[] = "{\"position\":7,\"key\":\"ab-7\",\"attempt\":2}";

static int render(const char *text, unsigned flags, struct buf *out, struct weir_error *err)
{
	struct template *template;
	struct json *json, *meta;
	ck_assert_int_eq(json_parse(known, strlen(known), &meta, err), 0);
	ck_assert_int_eq(template_compile(text, flags, &template, err), 0);
	ck_assert_str_eq(template_text(template), text);
	ck_assert_int_eq(json_parse(item, strlen(item), &json, err), 0);
	int code = template_render(template, &(struct template_input){json, meta}, out, err);
	json_free(json);
	json_free(meta);
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

TEST(template_refuses_dots_and_nothing_as_a_part_of_a_path)
{
	static const char *const refused[] = {
		"http://h/a/${.dots}/b",    "http://h/${.dots}",    "http://h/${.dots}?q=1",
		"http://h/${.dots}#f",      "http://h/${.dot}/",    "http://h/.${.dot}/b",
		"http://h/${.dot}${.dot}",  "http://h/%2e${.dot}",  "http://h/${.dot}%2E/x",
		"http://h/${.empty}/x",     "http://h/a/${.empty}", "http://h/${.empty}${.empty}?x",
		"http://${.host}/${.dots}",
	};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		expect_refusal(refused[i], TEMPLATE_URL, "cannot be a part of a URL path");
	expect_refusal("http://h/${.dots}", TEMPLATE_URL, "'..' cannot be a part of a URL path");
	expect_text("http://h/a${.dots}/${.dots}.x", TEMPLATE_URL, "http://h/a../...x");
	expect_text("http://h/${.dots}.", TEMPLATE_URL, "http://h/...");
	expect_text("http://h/x${.empty}/../y//z", TEMPLATE_URL, "http://h/x/../y//z");
	expect_text("http://h/a?x=${.dots}&y=${.empty}&z=/${.dots}", TEMPLATE_URL, "http://h/a?x=..&y=&z=/..");
	expect_text("http://h/a#/${.dots}", TEMPLATE_URL, "http://h/a#/..");
	expect_text("${.dots}", TEMPLATE_URL, "..");
	expect_text("/${.dots}/${.empty}/", 0, "/..//");
}

TEST(template_leaves_raw_values_in_urls_as_they_are)
{
	expect_text("http://h/${raw:.way}?q=${.way}", TEMPLATE_URL, "http://h/a b/c.d?q=a%20b%2Fc.d");
	expect_text("http://h/x?${raw:.way}", TEMPLATE_URL, "http://h/x?a b/c.d");
	expect_text("http://h${raw:.end}", TEMPLATE_URL, "http://h/a//b/");
	expect_text("http://h/${raw:.empty}", TEMPLATE_URL, "http://h/");
	expect_text("http://h/${raw:.ask}/${.dots}", TEMPLATE_URL, "http://h/a?x=../../..");
	expect_text("http://h/${raw:.big}/${raw:.t}", TEMPLATE_URL, "http://h/12345678901234567890/true");
	static const char *const refused[] = {
		"http://h/${raw:.up}",     "http://h/${raw:.out}",        "http://h/x/${raw:.dots}",
		"http://h/.${raw:.dot}/x", "http://h/${raw:.dot}?${.id}", "http://h/${raw:.way}/${.dots}",
	};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		expect_refusal(refused[i], TEMPLATE_URL, "cannot be a part of a URL path");
	expect_bad("a${raw:.id}", 0, 2, "raw: stands in URLs and paths of files alone");
	expect_bad("a${raw:id}", TEMPLATE_URL, 2, "no path");
}

TEST(template_makes_paths_that_stay_in_their_folder)
{
	expect_text("out/${.id}-${.t}.x", TEMPLATE_PATH, "out/12-true.x");
	expect_text("out/${raw:.way}", TEMPLATE_PATH, "out/a b/c.d");
	expect_text("../out/%2e${.dot}/${.dots}x", TEMPLATE_PATH, "../out/%2e./..x");
	static const char *const refused[] = {
		"out/${.dots}", "out/${.dot}${.dot}/x", "out/${.empty}",        "out/.${.dot}",
		"${.dots}/x",   "${.empty}/x",          "out/${raw:.up}",       "out/${raw:.out}",
		"${raw:.end}",  "out/${raw:.end}",      "out/${.id}/${.empty}",
	};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		expect_refusal(refused[i], TEMPLATE_PATH, "cannot be a part of the path of a file");
	expect_refusal("out/${.way}", TEMPLATE_PATH, "the value at .way has a \"/\", and is to be one part of a path");
	expect_refusal("out/${.o.k}/${.url}", TEMPLATE_PATH, "the value at .url has a \"/\"");
	expect_refusal("out/${.nul}", TEMPLATE_PATH, "NUL");
	expect_refusal("out/${raw:.nul}", TEMPLATE_PATH, "NUL");
}

TEST(template_knows_more_than_the_item)
{
	expect_text("${meta.position}:${meta.key}:${meta.attempt}", 0, "7:ab-7:2");
	expect_text("http://h/${meta.key}?p=${meta.position}", TEMPLATE_URL, "http://h/ab-7?p=7");
	expect_bad("a${meta.place}", 0, 9, "meta has no such field");
	expect_bad("a${meta}", 0, 2, "not a path into the item");
	expect_refusal("${meta.key.x}", 0, "nothing at meta.key.x");
}

static int render_json(const char *text, struct buf *out, struct weir_error *err)
{
	struct template *template;
	struct json *json, *meta;
	ck_assert_int_eq(json_parse(known, strlen(known), &meta, err), 0);
	ck_assert_int_eq(template_compile(text, 0, &template, err), 0);
	ck_assert_int_eq(json_parse(item, strlen(item), &json, err), 0);
	int code = template_render_json(template, &(struct template_input){json, meta}, out, err);
	json_free(json);
	json_free(meta);
	template_free(template);
	return code;
}

static void expect_json(const char *text, const char *expected)
{
	struct buf out = {0};
	struct weir_error err = {0};
	int code = render_json(text, &out, &err);
	ck_assert_msg(code == 0, "%s: %s", text, err.text);
	ck_assert_str_eq(out.data, expected);
	buf_fini(&out);
}

TEST(template_escapes_in_json)
{
	expect_json("{\"v\":\"${.evil}\"}", "{\"v\":\"\\\"},{\\\"evil\\\":1\"}");
	expect_json("{\"v\": ${.evil}}", "{\"v\": \"\\\"},{\\\"evil\\\":1\"}");
	expect_json("{\"a\\\"${.crlf}\":1}", "{\"a\\\"a\\r\\nb\":1}");
	expect_json("[\"\\\\\", ${.s}]", "[\"\\\\\", \"a b/\xC3\xA9?\"]");
	expect_json("\"${.o} ${.id} ${.big} ${.r} ${.t} ${.nul}\"",
		    "\"{\\\"k\\\":[1,2]} 12 12345678901234567890 1.50 true a\\u0000b\"");
	expect_json("[${.o}, ${.id}, ${.big}, ${.n}]", "[{\"k\":[1,2]}, 12, 12345678901234567890, null]");
	expect_json("${.o}", "{\"k\":[1,2]}");
	expect_json("${.s}", "\"a b/\xC3\xA9?\"");
	expect_json("\"$${.id}${.id}\"", "\"${.id}12\"");
	expect_json("{\"k\":${meta.key},\"p\":${meta.position},\"kp\":\"${meta.key}/${meta.position}\"}",
		    "{\"k\":\"ab-7\",\"p\":7,\"kp\":\"ab-7/7\"}");
	struct buf out = {0};
	struct weir_error err = {0};
	ck_assert_int_eq(render_json("\"${.n}\"", &out, &err), WEIR_EDATA);
	ck_assert_int_eq(render_json("${.nope}", &out, &err), WEIR_EDATA);
	buf_fini(&out);
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
	expect_bad("ab${id}", 0, 3, "${id} is not a path into the item; did you mean ${.id}?");
	expect_bad("ab${API_KEY}", 0, 3, "did you mean ${env:API_KEY}?");
	expect_bad("ab${$x}", 0, 3, "no path");
	expect_bad("ab${.a..b}", 0, 7, "unexpected character");
	expect_bad("ab${.a b}", 0, 7, "unexpected character");
	expect_bad("${env:X}", 0, 1, "no path");
}

TEST(template_knows_where_its_holes_are)
{
	struct template *t;
	ck_assert_int_eq(template_compile("a$${b}", 0, &t, NULL), 0);
	ck_assert(template_is_constant(t));
	struct buf out = {0};
	ck_assert_int_eq(template_render(t, &(struct template_input){0}, &out, NULL), 0);
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
