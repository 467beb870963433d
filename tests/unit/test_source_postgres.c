/* SPDX-License-Identifier: MIT */
/* The source of rows on a real PostgreSQL server; what it shares with that of SQLite is tested there. */
#include "port/adapters.h"
#include "support/test.h"
#include "unit/postgres.h"
#include "unit/sinks.h"
#include "unit/sources.h"

static const struct adapter *const adapter = &source_postgres_adapter;

static void *rows_of(const char *url, const char *table, const char *query, const char *key, const char *where)
{
	void *config = keep(calloc(1, adapter->config_bytes));
	set_key(adapter, config, "url", &url, sizeof url);
	set_key(adapter, config, "table", &table, sizeof table);
	set_key(adapter, config, "query", &query, sizeof query);
	set_key(adapter, config, "key", &key, sizeof key);
	set_key(adapter, config, "where", &where, sizeof where);
	set_key(adapter, config, "page", &(int64_t){3}, sizeof(int64_t));
	set_key(adapter, config, "prepared", &(bool){true}, sizeof(bool));
	return config;
}

static void *rows_config(const char *table, const char *query, const char *key, const char *where)
{
	return rows_of(test_format("%s?connect_timeout=60", postgres_url()), table, query, key, where);
}

static int open_code(const void *config, struct source **ret_source)
{
	const char *key;
	last_error = (struct weir_error){0};
	*ret_source = NULL;
	int code = adapter->check(config, &key, &last_error);
	return code < 0 ? code : adapter->source->open(config, "orders", ret_source, &last_error);
}

static struct source *open_rows(const void *config)
{
	struct source *source;
	int code = open_code(config, &source);
	ck_assert_msg(code == 0, "%s", last_error.text);
	return source;
}

static void expect_refusal(const char *table, const char *query, const char *key, const char *where, const char *part)
{
	struct source *source;
	int code = open_code(rows_config(table, query, key, where), &source);
	ck_assert_msg(code == WEIR_EINVAL && !source && strstr(last_error.text, part), "%s: %s", part, last_error.text);
}

static const char *read_some(struct source *source, size_t most)
{
	return read_items(adapter->source, source, most);
}

static const char *read_all(const void *config)
{
	struct source *source = open_rows(config);
	const char *items = read_some(source, SIZE_MAX);
	adapter->source->close(source);
	return items;
}

LOOP_TEST(postgres_rows_keep_their_digits_and_types)
{
	postgres_sql("create table t (id bigint primary key, n numeric, t timestamptz, j jsonb, a int[], b boolean, f "
		     "float8, "
		     "\"Ä \"\"x\" text); set timezone = 'UTC'; insert into t values "
		     "(9007199254740993, 12345678901234567890.123456789, '2026-05-01 12:00:00+00', '{\"k\": [1]}', "
		     "'{1,2}', true,"
		     " 0.1, 'it''s'), (-1, null, null, null, null, null, null, null)");
	ck_assert_str_eq(read_all(rows_config(NULL, "select id, n, j, a, b, f, \"Ä \"\"x\" from t", "id", NULL)),
			 "1 {\"id\":-1,\"n\":null,\"j\":null,\"a\":null,\"b\":null,\"f\":null,\"Ä \\\"x\":null}\n"
			 "2 {\"id\":9007199254740993,\"n\":12345678901234567890.123456789,\"j\":{\"k\": "
			 "[1]},\"a\":[1,2],\"b\":true,"
			 "\"f\":0.1,\"Ä \\\"x\":\"it's\"}\n");
	postgres_sql("delete from t");
	ck_assert_str_eq(read_all(rows_config("t", NULL, "id", NULL)), "");
}

/* Each row as the server's own row_to_json() has it, with an item's number in front. */
static const char *rows_as_json(const char *query)
{
	return postgres_sql("select row_number() over () || ' ' || row_to_json(r)::text from (%s order by id) r",
			    query);
}

/* Types, and values of them. */
static const char *const columns[][2] = {
	{"int2", "'-32768'"},
	{"int8", "'-9223372036854775808'"},
	{"numeric", "'0.10'"},
	{"numeric", "'NaN'"},
	{"numeric", "'-Infinity'"},
	{"numeric(8,2)", "'123456.70'"},
	{"float4", "'1e-7'"},
	{"float8", "'0.1'"},
	{"float8", "'1e300'"},
	{"float8", "'infinity'"},
	{"bool", "'t'"},
	{"bool", "'f'"},
	{"text", "''"},
	{"text", "'\"\\/''{}'"},
	{"text", "E'\\b\\f\\n\\r\\t\\x01\\x1f\\x7f'"},
	{"text", "'\xC3\xA4 \xF0\x9F\x98\x80 \xE2\x80\xA8'"},
	{"text", "repeat('long \xC3\xA4 \" ', 5000)"},
	{"varchar(5)", "'ab  '"},
	{"char(5)", "'ab'"},
	{"\"char\"", "'a'"},
	{"name", "'n'"},
	{"bytea", "'\\x00ff'"},
	{"uuid", "'0b0e7e5a-7c3f-4f43-9d0a-1b2c3d4e5f60'"},
	{"date", "'2026-05-01'"},
	{"date", "'infinity'"},
	{"date", "'0044-03-15 BC'"},
	{"time", "'12:34:56.789'"},
	{"timetz", "'12:34:56+02'"},
	{"timestamp", "'2026-05-01 12:00:00.5'"},
	{"timestamptz", "'2026-05-01 12:00:00+02'"},
	{"timestamptz", "'-infinity'"},
	{"interval", "'1 day 02:03:04'"},
	{"inet", "'192.0.2.1/24'"},
	{"macaddr", "'08:00:2b:01:02:03'"},
	{"bit(3)", "'101'"},
	{"money", "'12.5'"},
	{"oid", "'42'"},
	{"point", "'(1,2)'"},
	{"int4range", "'[1,5)'"},
	{"tsvector", "'a fat cat'"},
	{"xml", "'<a b=\"1\">x</a>'"},
	{"json", "'{\"b\":1, \"a\":[1,  null],\"b\":2}'"},
	{"json", "'\"text\"'"},
	{"json", "'null'"},
	{"jsonb", "'{\"b\": 1.50, \"a\": \"\\u00e4\"}'"},
	{"int[]", "'{1,2,NULL}'"},
	{"text[]", "'{\"a,b\",\"c\"}'"},
	{"numeric[]", "'{{1.50,NaN}}'"},
	{"mood", "'ok'"},
	{"positive", "5"},
	{"word", "'a\"b'"},
	{"pair", "row(1, 'x')"},
	{"pair[]", "array[row(1, 'x')::pair, null]"},
};

LOOP_TEST(postgres_rows_are_what_the_server_makes_of_them)
{
	struct buf table = {0}, values = {0};
	postgres_sql("create type mood as enum ('sad', 'ok'); create domain positive as int check (value > 0); "
		     "create domain word as varchar(9); create type pair as (a int, b text)");
	buf_add_str(&table, "create table t (id int primary key");
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		buf_addf(&table, ", \"c %zu \\\" %s", i, columns[i][0]);
		buf_addf(&values, ", %s", columns[i][1]);
	}
	postgres_sql("%s); insert into t values (1%s); insert into t (id) values (2)", table.data, values.data);
	ck_assert_str_eq(read_all(rows_config("t", NULL, "id", NULL)), rows_as_json("select * from t"));
	static const char twice[] =
		"select 1 as id, 'a' as x, null as x, now() - now() as \"?column?\", count(*) from t";
	ck_assert_str_eq(read_all(rows_config(NULL, twice, "id", NULL)), rows_as_json(twice));
	buf_fini(&table);
	buf_fini(&values);
}

LOOP_TEST(postgres_rows_follow_a_table_that_is_altered)
{
	static const char *const changes[] = {
		"alter table t drop column gone",
		"alter table t alter column x type text using 'x' || x",
		"alter table t add column later int default 7",
		"alter table t alter column id type bigint",
	};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		postgres_sql("drop table if exists t; create table t as select i as id, 0 as gone, i as x "
			     "from generate_series(1, 20) i");
		struct source *source = open_rows(rows_config("t", NULL, "id", NULL));
		read_some(source, 1);
		postgres_sql("%s", changes[i]);
		const char *rest = read_some(source, SIZE_MAX);
		ck_assert_msg(strstr(rest, i == 1 ? "\n20 {\"id\":20,\"gone\":0,\"x\":\"x20\"}\n" : "\n20 {\"id\":20,"),
			      "%s: %s", changes[i], rest);
		adapter->source->close(source);
	}
}

LOOP_TEST(postgres_rows_have_keys_of_every_type)
{
	static const char *const types[] = {"int",  "numeric(9,3)", "text", "uuid", "timestamptz",
					    "date", "\"char\"",     "mood", "bytea"};
	static const char *const values[] = {
		"(1),(2),(30),(4),(5),(6),(7)",
		"(1),(2.5),(2.501),(4),(5),(6),(7)",
		"('a'),('b'),('B'),(''),('it''s'),('\\'),('ä')",
		"('00000000-0000-0000-0000-00000000000a'),('10000000-0000-0000-0000-000000000000'),"
		"('20000000-0000-0000-0000-000000000000'),('30000000-0000-0000-0000-000000000000')",
		"('2026-05-01 12:00:00.000001+02'),('2026-05-01 12:00:00.000002+02'),('infinity'),('1900-01-01')",
		"('2026-05-01'),('2026-05-02'),('2026-05-03'),('2026-05-04')",
		"('a'),('b'),('c'),('d'),('e')",
		"('sad'),('ok'),('happy'),('glad')",
		"('\\x00'),('\\x01ff'),('\\x02'),('\\x03')",
	};
	postgres_sql("create type mood as enum ('sad', 'ok', 'happy', 'glad')");
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		postgres_sql("drop table if exists t; create table t (k %s primary key); insert into t values %s",
			     types[i], values[i]);
		const char *all = read_all(rows_config("t", NULL, "k", NULL));
		size_t lines = 0, rows = strtoul(postgres_sql("select count(*) from t"), NULL, 10);
		for (const char *c = all; *c; c++)
			lines += *c == '\n';
		ck_assert_msg(lines == rows && !strstr(all, "failed"), "%s: %zu of %zu: %s", types[i], lines, rows,
			      all);
	}
}

LOOP_TEST(postgres_rows_are_read_on_where_it_was_however_often_it_is_killed)
{
	const struct source_ops *ops = adapter->source;
	postgres_sql("create table t as select i as id, 'n' || i as name from generate_series(1, 10) i; "
		     "alter table t add primary key (id)");
	const void *config = rows_config("t", NULL, "id", "id <> 5");
	const char *whole = read_all(config);
	for (size_t n = 1; n < 5; n++) {
		struct source_cursor cursor = {0};
		struct buf identity = {0}, all = {0};
		const char *part;
		do {
			struct source *source = open_rows(config);
			if (identity.len)
				ck_assert_msg(ops->resume(source, identity.data, &cursor, false, &last_error) == 0,
					      "%s", last_error.text);
			buf_clear(&identity);
			ck_assert(ops->identify(source, &identity));
			part = read_some(source, n);
			buf_add_str(&all, part);
			ops->cursor(source, &cursor);
			ops->close(source);
		} while (*part);
		ck_assert_str_eq(all.data, whole);
		buf_fini(&identity);
		buf_fini(&all);
	}
}

LOOP_TEST(postgres_rows_of_another_table_are_refused)
{
	const struct source_ops *ops = adapter->source;
	const struct source_cursor cursor = {"row=2 key=2"};
	struct buf identity = {0};
	postgres_sql("create table t as select i as id from generate_series(1, 3) i");
	const void *config = rows_config("t", NULL, "id", NULL);
	struct source *source = open_rows(config);
	ops->identify(source, &identity);
	ops->close(source);
	postgres_sql("drop table t; create table t as select i as id from generate_series(1, 3) i");
	source = open_rows(config);
	ck_assert_int_eq(ops->resume(source, identity.data, &cursor, false, &last_error), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "is not the one that this run began with"), "%s", last_error.text);
	ck_assert_int_eq(ops->resume(source, identity.data, &cursor, true, &last_error), 0);
	ck_assert_str_eq(read_some(source, 9), "3 {\"id\":3}\n");
	ops->close(source);
	buf_fini(&identity);
}

LOOP_TEST(postgres_rows_need_a_key_that_is_one)
{
	postgres_sql("create table t (id int, x int, y int); insert into t values (1, 1, 1), (2, null, 2), (3, 3, 1)");
	expect_refusal("t", NULL, "none", NULL, "none does not exist");
	expect_refusal("t", NULL, "x", NULL, "the key x is null in some rows");
	expect_refusal("t", NULL, "y", NULL, "the key y is not unique");
	expect_refusal("none", NULL, "id", NULL, "relation \"none\" does not exist");
	ck_assert_str_eq(read_all(rows_config("t", NULL, "x", "x > 1 -- a comment")), "1 {\"id\":3,\"x\":3,\"y\":1}\n");
	struct source *source = open_rows(rows_config("t", NULL, "id", NULL));
	postgres_sql("insert into t values (3, 4, 4)"); /* too late for the check at the start */
	ck_assert_ptr_nonnull(strstr(read_some(source, 9), "the key id is not unique: 3 occurs twice"));
	adapter->source->close(source);
}

LOOP_TEST(postgres_rows_need_one_query_that_only_reads)
{
	postgres_sql("create table t as select 1 as id; create function w() returns int language sql volatile as "
		     "'insert into t values (2) returning id'");
	expect_refusal(NULL, "select 1 as id; drop table t", "id", NULL, "contains a ';'");
	expect_refusal(NULL, "select * from t where id > $1", "id", NULL, "has a parameter ($1)");
	expect_refusal(NULL, "delete from t returning id", "id", NULL, "syntax error");
	expect_refusal(NULL, "with x as (delete from t returning id) select * from x", "id", NULL, "at the top level");
	expect_refusal(NULL, "select w() as id", "id", NULL, "the query writes, and a source only reads");
	expect_refusal(NULL, "select id from t where", "id", NULL, "syntax error");
	ck_assert_str_eq(postgres_sql("select count(*) from t"), "1\n");
	ck_assert_str_eq(read_all(rows_config("t", NULL, "id", "'{\"a\": 1}'::jsonb ? 'a'")), "1 {\"id\":1}\n");
	ck_assert_str_eq(read_all(rows_config(NULL, "select id, ';$1' as x from t -- ;", "id", NULL)),
			 "1 {\"id\":1,\"x\":\";$1\"}\n");
}

LOOP_TEST(postgres_rows_are_read_in_the_name_of_the_pipeline)
{
	postgres_sql("create table t as select 1 as id");
	struct source *source = open_rows(rows_config("t", NULL, "id", NULL));
	ck_assert_str_eq(
		postgres_sql("select application_name from pg_stat_activity where datname = current_database() "
			     "and pid <> pg_backend_pid()"),
		"weir/orders\n");
	adapter->source->close(source);
}

/* The planner's number where a second is not enough to count. */
LOOP_TEST(postgres_rows_are_counted_or_estimated)
{
	bool exact = false;
	postgres_sql("create table t as select i as id from generate_series(1, 50) i; analyze t; create view slow as "
		     "select id, case when id = 50 then pg_sleep(1.5)::text end as x from t");
	struct source *source = open_rows(rows_config("t", NULL, "id", "id > 10"));
	ck_assert_ptr_nonnull(strstr(read_some(source, 1), "1 {\"id\":11}"));
	ck_assert_int_eq(adapter->source->total(source, &exact), 40);
	ck_assert(exact);
	adapter->source->close(source);
	source = open_rows(rows_config("slow", NULL, "id", "x is null"));
	ck_assert_ptr_nonnull(strstr(read_some(source, 1), "1 {\"id\":1,"));
	ck_assert_int_gt(adapter->source->total(source, &exact), 0);
	ck_assert(!exact);
	adapter->source->close(source);
}

LOOP_TEST(postgres_rows_leave_no_transaction_open_between_pages)
{
	postgres_sql("create table t as select i as id, repeat('x', 100000) as x from generate_series(1, 300) i; "
		     "alter table t add primary key (id)");
	struct source *source = open_rows(rows_config("t", NULL, "id", NULL));
	for (int i = 0; i < 10; i++) {
		read_some(source, 7);
		while (strcmp(postgres_sql("select count(*) from pg_stat_activity where xact_start is not null and "
					   "application_name = 'weir/orders'"),
			      "0\n") != 0)
			weir_sleep(WEIR_MSEC); /* the next page is read meanwhile, whether somebody wants it or not */
	}
	adapter->source->close(source);
}

LOOP_TEST(postgres_rows_wait_for_a_server_that_is_away)
{
	postgres_verb("sql", "create table t as select i as id from generate_series(1, 9) i");
	struct source *source =
		open_rows(rows_of(test_format("%s?connect_timeout=60", postgres_own_url()), "t", NULL, "id", NULL));
	ck_assert_ptr_nonnull(strstr(read_some(source, 2), "2 {\"id\":2}"));
	postgres_verb("kill", NULL);
	postgres_verb("start", NULL);
	ck_assert_ptr_nonnull(strstr(read_some(source, 99), "9 {\"id\":9}\n"));
	adapter->source->close(source);
	struct source *none;
	ck_assert_int_lt(open_code(rows_of("postgres://weir:wrong@127.0.0.1:1/x", "t", NULL, "id", NULL), &none), 0);
	ck_assert_msg(strstr(last_error.text, "127.0.0.1") && !strstr(last_error.text, "wrong"), "%s", last_error.text);
}
