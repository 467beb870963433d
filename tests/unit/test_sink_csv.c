/* SPDX-License-Identifier: MIT */
/* How an output becomes a row; where a run finds its place again is in test_sink_file.c. */
#include "unit/sinks.h"

#include <weir/testing.h>

static void *csv_config(const char *path, const char *columns, const char *delimiter, bool header)
{
	void *config = file_config(&sink_csv_adapter, path, REPLACE);
	struct key_strings list = split_words(columns);
	set_key(&sink_csv_adapter, config, "columns", &list, sizeof list);
	set_key(&sink_csv_adapter, config, "delimiter", &delimiter, sizeof delimiter);
	set_key(&sink_csv_adapter, config, "header", &header, sizeof header);
	return config;
}

/* The file after one row, without a header. */
static const char *row_of(const char *columns, const char *delimiter, const char *output)
{
	struct batch batch = {0};
	const char *path = test_format("%s/out.csv", test_folder());
	struct sink *sink = open_sink(&sink_csv_adapter, csv_config(path, columns, delimiter, false));
	add(&batch, output, NULL);
	write_all(&sink_csv_adapter, sink, &batch);
	close_sink(&sink_csv_adapter, sink);
	return content_of(path);
}

/* What it says of the row instead; or why there would be none. */
static const char *shown_row(const char *columns, const char *output)
{
	struct value value = {0};
	struct buf out = {0};
	char why[200] = "";
	ck_assert_int_eq(value_copy(&value, output, strlen(output)), 0);
	int code = sink_csv_adapter.sink->row(csv_config("out.csv", columns, ",", true), &value, &out, why);
	const char *shown = test_format("%s", code ? why : out.data);
	value_fini(&value);
	buf_fini(&out);
	return shown;
}

TEST(csv_shows_each_field_as_it_would_stand_in_the_file)
{
	ck_assert_str_eq(shown_row("id x y z", "{\"id\":1.50,\"x\":\"a,b\",\"z\":[1, 2]}"),
			 "{\"id\":\"1.50\",\"x\":\"\\\"a,b\\\"\",\"y\":\"\",\"z\":\"\\\"[1,2]\\\"\"}");
	ck_assert_str_eq(shown_row("id", "7"), "the output is not an object, so it has no field id");
	ck_assert_str_eq(shown_row("id", "{\"id\":\"a\\u0000\"}"), "field id contains a NUL character");
}

LOOP_TEST(csv_writes_values_as_they_are)
{
	static const struct {
		const char *json, *field;
	} cases[] = {
		{"1", "1"},
		{"-0.50", "-0.50"},
		{"1e999", "1e999"},
		{"123456789012345678901234567890", "123456789012345678901234567890"},
		{"true", "true"},
		{"false", "false"},
		{"null", ""},
		{"\"\"", "\"\""},
		{"\"a b\"", "a b"},
		{"\" a \"", " a "},
		{"\"\\u00e4\"", "\xC3\xA4"},
		{"\"a,b\"", "\"a,b\""},
		{"\"a\\\"b\"", "\"a\"\"b\""},
		{"\"\\\"\\\"\"", "\"\"\"\"\"\""},
		{"\"a\\nb\"", "\"a\nb\""},
		{"\"a\\r\"", "\"a\r\""},
		{"\"=1+1\"", "=1+1"},
		{"[ 1, 2 ]", "\"[1,2]\""},
		{"[]", "[]"},
		{"{ \"k\": \"v\" }", "\"{\"\"k\"\":\"\"v\"\"}\""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_str_eq(row_of("a v missing", ",", test_format("{\"v\": %s, \"a\": 7}", cases[i].json)),
				 test_format("7,%s,\n", cases[i].field));
}

/* The file after one row with the value, in a second column, with and without a guard. */
static const char *guarded_row(const char *json, const char *delimiter, bool guard)
{
	struct batch batch = {0};
	const char *path = test_format("%s/guarded.csv", test_folder());
	void *config = csv_config(path, "a v", delimiter, false);
	set_key(&sink_csv_adapter, config, "guard", &guard, sizeof guard);
	struct sink *sink = open_sink(&sink_csv_adapter, config);
	add(&batch, test_format("{\"v\": %s, \"a\": 7}", json), NULL);
	write_all(&sink_csv_adapter, sink, &batch);
	close_sink(&sink_csv_adapter, sink);
	return content_of(path);
}

LOOP_TEST(csv_guard_keeps_a_text_from_being_a_formula)
{
	static const struct {
		const char *json, *plain, *guarded;
	} cases[] = {
		{"\"=1+1\"", "=1+1", "'=1+1"},
		{"\"=HYPERLINK(\\\"x\\\",1)\"", "\"=HYPERLINK(\"\"x\"\",1)\"", "\"'=HYPERLINK(\"\"x\"\",1)\""},
		{"\"+49\"", "+49", "'+49"},
		{"\"-5\"", "-5", "'-5"},
		{"\"@SUM\"", "@SUM", "'@SUM"},
		{"\"\\t=1\"", "\t=1", "'\t=1"},
		{"\"\\r=1\"", "\"\r=1\"", "\"'\r=1\""},
		{"-5", "-5", "-5"},
		{"\"a=1\"", "a=1", "a=1"},
		{"\" =1\"", " =1", " =1"},
		{"\"\"", "\"\"", "\"\""},
		{"[\"=1\"]", "\"[\"\"=1\"\"]\"", "\"[\"\"=1\"\"]\""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_str_eq(guarded_row(cases[i].json, ",", false), test_format("7,%s\n", cases[i].plain));
		ck_assert_str_eq(guarded_row(cases[i].json, ",", true), test_format("7,%s\n", cases[i].guarded));
	}
	ck_assert_str_eq(guarded_row("\"=1\"", "'", true), "7'\"'=1\"\n");
}

LOOP_TEST(csv_quotes_by_its_delimiter)
{
	ck_assert_str_eq(row_of("a b", ";", "{\"a\":\"x,y\",\"b\":\"x;y\"}"), "x,y;\"x;y\"\n");
	ck_assert_str_eq(row_of("a b", "\t", "{\"a\":\"x,y\",\"b\":\"x\\ty\"}"), "x,y\t\"x\ty\"\n");
	ck_assert_str_eq(row_of("a b", "1", "{\"a\":12,\"b\":2}"), "\"12\"12\n");
}

LOOP_TEST(csv_leaves_no_line_empty)
{
	ck_assert_str_eq(row_of("a", ",", "{\"b\":1}"), "\"\"\n");
	ck_assert_str_eq(row_of("a", ",", "{\"a\":null}"), "\"\"\n");
}

LOOP_TEST(csv_names_its_columns_once)
{
	struct batch batch = {0};
	const char *path = test_format("%s/out.csv", test_folder());
	struct sink *sink = open_sink(&sink_csv_adapter, csv_config(path, "id a,b say\"hi\"", ",", true));
	for (int i = 1; i < 3; i++) {
		add(&batch, test_format("{\"id\":%d,\"a,b\":2,\"say\\\"hi\\\"\":3}", i), NULL);
		write_all(&sink_csv_adapter, sink, &batch);
	}
	close_sink(&sink_csv_adapter, sink);
	ck_assert_str_eq(content_of(path), "id,\"a,b\",\"say\"\"hi\"\"\"\n1,2,3\n2,2,3\n");
}

LOOP_TEST(csv_refuses_one_bad_row_of_256_and_writes_the_others)
{
	static const struct {
		const char *json, *why;
	} cases[] = {
		{"[{\"id\":128}]", "not an object, so it has no field id"},
		{"7", "not an object"},
		{"nonsense", "not JSON"},
		{"{\"id\":1,\"text\":\"a\\u0000b\"}", "field text contains a NUL"},
	};
	const char *path = test_format("%s/out.csv", test_folder());
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct batch batch = {0};
		struct buf expected = {0};
		struct sink *sink = open_sink(&sink_csv_adapter, csv_config(path, "id text", ",", true));
		buf_add_str(&expected, "id,text\n");
		for (int k = 0; k < 256; k++) {
			add(&batch, test_format("{\"id\":%d}", k), k == 128 ? cases[i].json : NULL, NULL);
			if (k != 128) /* the good output of the bad item is not written, either */
				buf_addf(&expected, "%d,\n", k);
		}
		ck_assert_int_eq(write_code(&sink_csv_adapter, sink, &batch), 0);
		expect_verdicts(&batch, 128, cases[i].why);
		drop(&batch);
		close_sink(&sink_csv_adapter, sink);
		ck_assert_str_eq(content_of(path), expected.data);
		buf_fini(&expected);
	}
}

LOOP_TEST(csv_writes_its_header_to_a_fifo_too)
{
	char text[32] = "";
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	fflush(stdout);
	ck_assert_int_eq(dup2(fds[1], STDOUT_FILENO), STDOUT_FILENO);
	struct sink *sink = open_sink(&sink_csv_adapter, csv_config("/dev/stdout", "id", ",", true));
	close_sink(&sink_csv_adapter, sink);
	ck_assert_int_eq(read(fds[0], text, sizeof text - 1), 3);
	ck_assert_str_eq(text, "id\n");
	close(fds[0]);
	close(fds[1]);
}

/* To a pipe all is done on this thread, where allocations can be made to fail: a row is there whole or not at all. */
LOOP_TEST(csv_writes_no_part_of_a_row_when_there_is_no_memory)
{
	char text[256];
	int fds[2], code = WEIR_ENOMEM;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	fflush(stdout);
	ck_assert_int_eq(dup2(fds[1], STDOUT_FILENO), STDOUT_FILENO);
	void *config = csv_config("/dev/stdout", "id text", ",", true);
	for (unsigned n = 1; code; n++) {
		struct batch batch = {0};
		struct sink *sink = NULL;
		add(&batch, "{\"id\":[1,{\"a\":2}],\"text\":\"a,b\"}", "{\"id\":2}", NULL);
		weir_testing_fail(WEIR_TESTING_ALLOCATE, n, WEIR_ENOMEM);
		code = sink_csv_adapter.sink->open(config, &run_env, &sink, &last_error);
		if (!code)
			code = sink_csv_adapter.sink->start(sink, &last_error);
		if (!code)
			code = write_code(&sink_csv_adapter, sink, &batch);
		weir_testing_fail(WEIR_TESTING_ALLOCATE, 0, WEIR_ENOMEM); /* Check allocates, too */
		ck_assert_msg(!code || code == WEIR_ENOMEM, "%d %s", code, last_error.text);
		if (sink)
			close_sink(&sink_csv_adapter, sink);
		drop(&batch);
		ssize_t got = read(fds[0], text, sizeof text - 1);
		text[got > 0 ? got : 0] = 0;
		ck_assert_str_eq(text, !code  ? "id,text\n\"[1,{\"\"a\"\":2}]\",\"a,b\"\n2,\n"
				       : sink ? "id,text\n"
					      : "");
	}
	close(fds[0]);
	close(fds[1]);
}

/* ---- the config */

static const char *refused_key(const char *columns, const char *delimiter)
{
	const char *blamed = NULL;
	last_error = (struct weir_error){0};
	int code = sink_csv_adapter.check(csv_config("x.csv", columns, delimiter, true), &blamed, &last_error);
	ck_assert_int_eq(code, code ? WEIR_EINVAL : 0);
	return code ? blamed : "none";
}

TEST(csv_takes_one_character_as_delimiter_and_columns_of_different_names)
{
	ck_assert_str_eq(refused_key("id total", ","), "none");
	ck_assert_str_eq(refused_key("id ID", "\t"), "none");
	ck_assert_str_eq(refused_key("id", ""), "delimiter");
	ck_assert_str_eq(refused_key("id", ",,"), "delimiter");
	ck_assert_str_eq(refused_key("id", "\""), "delimiter");
	ck_assert_str_eq(refused_key("id", "\n"), "delimiter");
	ck_assert_str_eq(refused_key("id", "\xC3\xA4"), "delimiter");
	ck_assert_str_eq(refused_key("", ","), "columns");
	ck_assert_str_eq(refused_key("id total id", ","), "columns");
	ck_assert_msg(strstr(last_error.text, "duplicate column 'id'"), "%s", last_error.text);
	ck_assert_str_eq(refused_key("i\nd", ","), "columns");
}
