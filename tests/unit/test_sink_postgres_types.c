/* SPDX-License-Identifier: MIT */
/* Values of JSON in columns of many types: each is stored exactly, or its item is refused. */
#include "unit/postgres.h"
#include "unit/sinks.h"

#include "postgres/sink/internal.h"

static const struct {
	const char *type, *json;
	const char *text; /* what the column then says as text; "!" and a SQLSTATE: it is refused */
} values[] = {
	{"smallint", "32767", "32767"},
	{"smallint", "-32768", "-32768"},
	{"smallint", "32768", "!22003"},
	{"integer", "2147483647", "2147483647"},
	{"integer", "2147483648", "!22003"},
	{"integer", "\"12\"", "12"},
	{"integer", "\" 12 \"", "12"},
	{"integer", "1.0", "!22P02"},
	{"integer", "1e3", "!22P02"},
	{"integer", "true", "!22P02"},
	{"integer", "\"\"", "!22P02"},
	{"integer", "null", "NULL"},
	{"integer", "[1]", "!22P02"},
	{"bigint", "9223372036854775807", "9223372036854775807"},
	{"bigint", "-9223372036854775808", "-9223372036854775808"},
	{"bigint", "9223372036854775808", "!22003"},
	{"bigint", "9007199254740993", "9007199254740993"},
	{"bigint", "0", "0"},
	{"bigint", "-0", "0"},
	{"numeric", "123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"},
	{"numeric", "1e300",
	 "1000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	 "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	 "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	 "0"},
	{"numeric", "0.1", "0.1"},
	{"numeric", "1.50", "1.50"},
	{"numeric", "-0.0", "0.0"},
	{"numeric", "\"NaN\"", "NaN"},
	{"numeric", "\"1_000\"", "!22P02"},
	{"numeric(6,2)", "1234.56", "1234.56"},
	{"numeric(6,2)", "1234.567", "1234.57"},
	{"numeric(6,2)", "12345.6", "!22003"},
	{"real", "1.5", "1.5"},
	{"real", "1e39", "!22003"},
	{"double precision", "0.1", "0.1"},
	{"double precision", "1e308", "1e+308"},
	{"double precision", "1e400", "!22003"},
	{"double precision", "1e-400", "!22003"},
	{"double precision", "5e-324", "5e-324"},
	{"double precision", "9007199254740992", "9.007199254740992e+15"},
	{"double precision", "\"Infinity\"", "Infinity"},
	{"boolean", "true", "true"},
	{"boolean", "false", "false"},
	{"boolean", "\"yes\"", "true"},
	{"boolean", "\"off\"", "false"},
	{"boolean", "1", "true"},
	{"boolean", "2", "!22P02"},
	{"boolean", "\"maybe\"", "!22P02"},
	{"text", "\"plain\"", "plain"},
	{"text", "\"\"", ""},
	{"text", "\"a\\\"b\\\\c'd\"", "a\"b\\c'd"},
	{"text", "\"{1,2}\"", "{1,2}"},
	{"text", "\"'; DROP TABLE t; --\"", "'; DROP TABLE t; --"},
	{"text", "\"\\u00e4\\ud83d\\ude00\"", "\xC3\xA4\xF0\x9F\x98\x80"},
	{"text", "\"\xE6\x97\xA5\xE6\x9C\xAC\"", "\xE6\x97\xA5\xE6\x9C\xAC"},
	{"text", "\"a\\u0000b\"", "!22P05"},
	{"text", "12.50", "12.50"},
	{"text", "true", "true"},
	{"text", "{\"a\": [1,  2]}", "{\"a\": [1,  2]}"},
	{"text", "\"$1 %s ${x}\"", "$1 %s ${x}"},
	{"varchar(3)", "\"abc\"", "abc"},
	{"varchar(3)", "\"abcd\"", "!22001"},
	{"varchar(3)", "\"abc   \"", "abc"},
	{"varchar(3)", "\"\xC3\xA4\xC3\xB6\xC3\xBC\"", "\xC3\xA4\xC3\xB6\xC3\xBC"},
	{"char(3)", "\"a\"", "a"},
	{"char(3)", "\"abcd\"", "!22001"},
	{"date", "\"2026-05-01\"", "2026-05-01"},
	{"date", "\"2026-02-29\"", "!22008"},
	{"date", "\"0001-01-01\"", "0001-01-01"},
	{"date", "\"5874898-01-01\"", "!22008"},
	{"date", "\"infinity\"", "infinity"},
	{"date", "20260501", "2026-05-01"},
	{"date", "\"soon\"", "!22007"},
	{"time", "\"12:34:56.789\"", "12:34:56.789"},
	{"time", "\"24:00:01\"", "!22008"},
	{"timestamp", "\"2026-05-01T12:00:00.123456\"", "2026-05-01 12:00:00.123456"},
	{"timestamptz", "\"2026-05-01T12:00:00+02:00\"", "2026-05-01 10:00:00+00"},
	{"timestamptz", "\"2026-05-01T12:00:00Z\"", "2026-05-01 12:00:00+00"},
	{"timestamptz", "\"2026-13-01T12:00:00Z\"", "!22008"},
	{"timestamptz", "1700000000", "!22008"},
	{"interval", "\"1 day 02:03:04\"", "1 day 02:03:04"},
	{"interval", "\"P1DT2H\"", "1 day 02:00:00"},
	{"interval", "\"a while\"", "!22007"},
	{"uuid", "\"0B0e7e5a-7c3f-4f43-9d0a-1b2c3d4e5f60\"", "0b0e7e5a-7c3f-4f43-9d0a-1b2c3d4e5f60"},
	{"uuid", "\"0b0e7e5a\"", "!22P02"},
	{"inet", "\"192.0.2.1/24\"", "192.0.2.1/24"},
	{"inet", "\"::1\"", "::1/128"},
	{"inet", "\"300.0.0.1\"", "!22P02"},
	{"cidr", "\"192.0.2.0/24\"", "192.0.2.0/24"},
	{"cidr", "\"192.0.2.1/24\"", "!22P02"},
	{"macaddr", "\"08:00:2b:01:02:03\"", "08:00:2b:01:02:03"},
	{"bytea", "\"\\\\x00ff\"", "\\x00ff"},
	{"bytea", "\"\\\\xf\"", "!22023"},
	{"bit(3)", "\"101\"", "101"},
	{"bit(3)", "\"1011\"", "!22026"},
	{"bit varying", "\"10\"", "10"},
	{"money", "12.5", "$12.50"},
	{"point", "\"(1,2)\"", "(1,2)"},
	{"point", "[1,2]", "!22P02"},
	{"int4range", "\"[1,5)\"", "[1,5)"},
	{"int4range", "\"[5,1)\"", "!22000"},
	{"xml", "\"<a>1</a>\"", "<a>1</a>"},
	{"json", "{\"b\":1, \"a\":[1, null],\"b\":2}", "{\"b\":1, \"a\":[1, null],\"b\":2}"},
	{"json", "\"text\"", "\"text\""},
	{"json", "12345678901234567890123", "12345678901234567890123"},
	{"jsonb", "{\"b\": 1, \"a\": [1, null, 1.50]}", "{\"a\": [1, null, 1.50], \"b\": 1}"},
	{"jsonb", "\"text\"", "\"text\""},
	{"jsonb", "\"a\\u0000b\"", "!22P05"},
	{"jsonb", "1e300", NULL},
	{"integer[]", "[1, 2, null]", "{1,2,NULL}"},
	{"integer[]", "[[1, 2], [3, 4]]", "{{1,2},{3,4}}"},
	{"integer[]", "[[1, 2], [3]]", "!22P02"},
	{"integer[]", "[]", "{}"},
	{"integer[]", "\"{1,2}\"", "{1,2}"},
	{"integer[]", "[1, \"x\"]", "!22P02"},
	{"text[]", "[\"a,b\", \"c\\\"d\", \"\"]", "{\"a,b\",\"c\\\"d\",\"\"}"},
	{"text[]", "{\"a\": 1}", "!22P02"},
	{"mood", "\"sad\"", "sad"},
	{"mood", "\"Sad\"", "!22P02"},
	{"positive", "5", "5"},
	{"positive", "-5", "!23514"},
	{"pair", "{\"a\": 1, \"b\": \"x\"}", "(1,x)"},
	{"pair", "{\"a\": \"x\"}", "!22P02"},
	{"pair[]", "[{\"a\": 1}, {\"b\": \"y\"}]", "{\"(1,)\",\"(,y)\"}"},
	{"tsvector", "\"a fat cat\"", "'a' 'cat' 'fat'"},
};

enum { VALUES = sizeof values / sizeof *values };

/* Of a type the first value with it: the number of its column. */
static int column_of(int i)
{
	int first = 0;
	while (strcmp(values[first].type, values[i].type) != 0)
		first++;
	return first;
}

static void make_table(void)
{
	struct buf sql = {0};
	buf_add_str(&sql, "CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);"
			  "CREATE TYPE pair AS (a int, b text); SET timezone = 'UTC';"
			  "CREATE TABLE t (id int PRIMARY KEY");
	for (int i = 0; i < VALUES; i++)
		if (column_of(i) == i)
			buf_addf(&sql, ", c%d %s", i, values[i].type);
	postgres_sql("%s)", sql.data);
	buf_fini(&sql);
}

LOOP_TEST(sink_postgres_stores_values_of_many_types_exactly_or_refuses_them)
{
	struct batch batch = {0};
	struct postgres_config config = {.url = (char *)(uintptr_t)postgres_url(),
					 .rows = {.table = (char *)(uintptr_t) "t", .key = split_words("id")},
					 .prepared = true};
	make_table();
	struct sink *sink = open_sink(&sink_postgres_adapter, &config);
	for (int i = 0; i < VALUES; i++)
		add(&batch, test_format("{\"id\":%d,\"c%d\":%s}", i, column_of(i), values[i].json), NULL);
	ck_assert_int_eq(write_code(&sink_postgres_adapter, sink, &batch), 0);
	struct buf all = {0};
	buf_add_str(&all, "SET timezone = 'UTC'; SELECT id, v FROM (SELECT id, CASE id ");
	for (int i = 0; i < VALUES; i++)
		buf_addf(&all, "WHEN %d THEN coalesce(c%d::text, 'NULL') ", i, column_of(i));
	buf_add_str(&all, "END AS v FROM t) s ORDER BY id");
	const char *line = postgres_sql("%s", all.data);
	struct buf wrong = {0};
	for (int i = 0; i < VALUES; i++) {
		const char *text = values[i].text, *why = batch.items[i].why;
		bool is_refused = batch.items[i].verdict, is_bad = text && *text == '!';
		size_t n = strcspn(line, "\n");
		const char *expected = is_bad ? text + 1 : text ? test_format("%d|%s", i, text) : NULL;
		const char *got = is_refused ? why : test_format("%.*s", (int)n, line);
		bool is_right = is_refused == is_bad &&
				(!expected || (is_bad ? strstr(why, expected) != NULL : strcmp(got, expected) == 0));
		if (!is_right)
			buf_addf(&wrong, "\n%s %s: %.100s, expected %s", values[i].type, values[i].json, got, expected);
		line += is_refused ? 0 : n + 1;
	}
	ck_assert_msg(!wrong.len, "%s", wrong.data);
	buf_fini(&all);
	drop(&batch);
	close_sink(&sink_postgres_adapter, sink);
}
