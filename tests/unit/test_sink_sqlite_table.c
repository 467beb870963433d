/* SPDX-License-Identifier: MIT */
/* Which columns the table of the SQLite sink has, and what they hold: against the real SQLite. */
#include "unit/sqlites.h"

static struct buf told; /* the notes, a line each */

static void note(void *arg, const char *text)
{
	(void)arg;
	buf_addf(&told, "%s\n", text);
}

static const char *notes(void)
{
	const char *text = test_format("%s", told.len ? told.data : "");
	buf_clear(&told);
	return text;
}

enum { ALTER = 1, UPDATE = 2 };

static void *table_config(const char *key, const char *columns, int flags)
{
	bool alter = flags & ALTER, update = flags & UPDATE;
	void *config = sqlite_config(db_path(), "t", key, columns);
	set_key(&sink_sqlite_adapter, config, "alter", &alter, sizeof alter);
	set_key(&sink_sqlite_adapter, config, "update", &update, sizeof update);
	set_key(&sink_sqlite_adapter, config, "on_start", &(int){APPEND}, sizeof(int));
	return config;
}

static struct sink *open_table(const char *key, const char *columns, int flags)
{
	run_env.note = note;
	return open_sink(&sink_sqlite_adapter, table_config(key, columns, flags));
}

static void write_one_row(struct sink *sink, const char *output)
{
	struct batch batch = {0};
	add(&batch, output, NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
}

/* Writes outputs, ended by NULL, as one batch; all are fine. */
static void write_rows(struct sink *sink, ...)
{
	struct batch batch = {0};
	va_list outputs;
	va_start(outputs, sink);
	for (const char *output; (output = va_arg(outputs, const char *));)
		add(&batch, output, NULL);
	va_end(outputs);
	write_all(&sink_sqlite_adapter, sink, &batch);
}

/* Why a row is refused, and it is alone in that. */
static const char *refused_row(struct sink *sink, const char *output)
{
	struct batch batch = {0};
	add(&batch, output, NULL);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), 0);
	const char *why = test_format("%s", batch.items[0].verdict ? batch.items[0].why : "");
	drop(&batch);
	return why;
}

static const char *columns_of_table(void)
{
	return query("select group_concat(name || ' ' || lower(type), ', ') from pragma_table_info('t')");
}

/* ---- a table that is not there */

LOOP_TEST(sqlite_makes_a_table_of_what_comes_first)
{
	struct sink *sink = open_table("id", NULL, 0);
	ck_assert_str_eq(query("select count(*) from sqlite_schema"), "0\n");
	write_rows(sink,
		   "{\"id\":1,\"name\":\"a\",\"total\":12,\"paid\":true,\"lines\":[1],\"big\":12345678901234567890}",
		   "{\"id\":2,\"name\":null,\"total\":1.5,\"note\":null,\"big\":1}", NULL);
	ck_assert_str_eq(columns_of_table(),
			 "id bigint, name text, total numeric, paid boolean, lines text, big text, note \n");
	ck_assert_str_eq(notes(),
			 "table t: created with the columns id bigint, name text, total numeric, paid boolean, "
			 "lines text, big text, note\n");
	ck_assert_str_eq(query("select * from t"),
			 "1|a|12|1|[1]|12345678901234567890|NULL\n2|NULL|1.5|NULL|NULL|1|NULL\n");
	write_rows(sink, "{\"id\":1,\"name\":\"b\"}", NULL);
	ck_assert_str_eq(query("select id, name, total from t where id = 1"), "1|b|NULL\n");
	ck_assert_str_eq(notes(), "");
	close_sink(&sink_sqlite_adapter, sink);
}

LOOP_TEST(sqlite_table_gets_new_fields_until_it_has_a_thousand_rows)
{
	struct batch batch = {0};
	struct sink *sink = open_table(NULL, NULL, 0);
	write_rows(sink, "{\"a\":1}", "{\"b\":\"x\",\"a\":2}", NULL);
	write_rows(sink, "{\"c\":1.5}", NULL);
	close_sink(&sink_sqlite_adapter, sink);
	sink = open_table(NULL, NULL, 0); /* another process knows that it is young */
	write_rows(sink, "{\"d\":false,\"a\":3}", NULL);
	ck_assert_str_eq(notes(), "table t: created with the columns a bigint, b text\n"
				  "table t: added the column c numeric\n"
				  "table t: added the column d boolean\n");
	for (int i = 0; i < 996; i++)
		add(&batch, "{\"a\":4}", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
	write_rows(sink, "{\"late\":1,\"later\":2}", "{\"late\":1,\"a\":5}", NULL);
	write_rows(sink, "{\"late\":1}", NULL);
	ck_assert_str_eq(notes(), "table t: fields left out, without a column (`alter: true` adds one): late, later\n");
	ck_assert_str_eq(columns_of_table(), "a bigint, b text, c numeric, d boolean\n");
	ck_assert_str_eq(query("select count(*), sum(a is null) from t"), "1003|3\n");
	close_sink(&sink_sqlite_adapter, sink);
	sink = open_table(NULL, NULL, 0);
	write_rows(sink, "{\"late\":1}", NULL);
	ck_assert_str_eq(columns_of_table(), "a bigint, b text, c numeric, d boolean\n");
	close_sink(&sink_sqlite_adapter, sink);
	sink = open_table(NULL, NULL, ALTER);
	write_rows(sink, "{\"late\":7}", NULL);
	ck_assert_str_eq(query("select a, late from t where late is not null"), "NULL|7\n");
	close_sink(&sink_sqlite_adapter, sink);
}

LOOP_TEST(sqlite_table_is_made_by_the_transaction_of_its_first_rows)
{
	struct batch batch = {0};
	sqlite3 *other;
	struct sink *sink = open_table("id", NULL, 0);
	ck_assert_int_eq(sqlite3_open(db_path(), &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
	add(&batch, "{\"id\":1}", NULL);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), WEIR_EBUSY);
	ck_assert_int_eq(sqlite3_exec(other, "create table t (id primary key, x default 7); commit", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(other);
	write_all(&sink_sqlite_adapter, sink, &batch); /* the other one was faster */
	ck_assert_str_eq(query("select * from t"), "1|7\n");
	ck_assert_str_eq(notes(), "");
	close_sink(&sink_sqlite_adapter, sink);
}

LOOP_TEST(sqlite_columns_that_were_rolled_back_come_again)
{
	struct batch batch = {0};
	query("create table t (id primary key);"
	      "create trigger refuse before insert on t when new.id < 0 begin select raise(rollback, 'no'); end");
	struct sink *sink = open_table("id", NULL, ALTER);
	add(&batch, "{\"id\":1,\"a\":1}", NULL);
	add(&batch, "{\"id\":-1,\"b\":1}", NULL);
	add(&batch, "{\"id\":2,\"c\":1}", "{\"id\":3,\"d\":1}", NULL);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), 0);
	expect_verdicts(&batch, 1, "no");
	drop(&batch);
	ck_assert_str_eq(query("select id, a, c, d from t order by id"),
			 "1|1|NULL|NULL\n2|NULL|1|NULL\n3|NULL|NULL|1\n");
	close_sink(&sink_sqlite_adapter, sink);
}

LOOP_TEST(sqlite_makes_no_table_of_what_cannot_be_a_row)
{
	struct sink *sink = open_table("id", NULL, 0);
	ck_assert_str_eq(refused_row(sink, "7"), "the output is not an object, so it has no fields");
	ck_assert_str_eq(refused_row(sink, "{}"), "the output has no field id, the key");
	ck_assert_str_eq(refused_row(sink, "{\"id\":null,\"x\":1}"), "the output has no field id, the key");
	ck_assert_str_eq(query("select count(*) from sqlite_schema"), "0\n");
	write_one_row(sink, "{\"id\":1}");
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(columns_of_table(), "id bigint, x bigint\n");
	query("drop table t");
	sink = open_table(NULL, NULL, 0);
	ck_assert_str_eq(refused_row(sink, "{}"), "the output has no fields to make columns of");
	close_sink(&sink_sqlite_adapter, sink);
}

LOOP_TEST(sqlite_quotes_fields_that_are_no_names)
{
	struct sink *sink = open_table(NULL, NULL, 0);
	write_rows(sink, "{\"a \\\"b\\\"\":1,\"x); drop table t; --\":2,\"\xC3\xA4\":3,\"select\":4}", NULL);
	ck_assert_str_eq(query("select \"a \"\"b\"\"\", \"x); drop table t; --\", \"\xC3\xA4\", \"select\" from t"),
			 "1|2|3|4\n");
	write_rows(sink, test_format("{\"\":1,\"a\\u0000b\":2,\"%064d\":3,\"a\\nb\":4,\"fine\":5}", 0), NULL);
	ck_assert_ptr_nonnull(strstr(notes(), "table t: fields left out"));
	ck_assert_str_eq(query("select count(*) from pragma_table_info('t')"), "5\n");
	close_sink(&sink_sqlite_adapter, sink);
}

LOOP_TEST(sqlite_makes_a_table_with_the_types_of_the_config)
{
	struct key_columns columns = {.names = split_words("id total"),
				      .types = split_words("integer numeric(12,2)").values};
	void *config = table_config("id", NULL, 0);
	set_key(&sink_sqlite_adapter, config, "columns", &columns, sizeof columns);
	struct sink *sink = open_sink(&sink_sqlite_adapter, config);
	ck_assert_str_eq(columns_of_table(), "id integer, total numeric(12,2)\n");
	write_rows(sink, "{\"id\":1,\"total\":\"1.50\",\"more\":1}", NULL);
	ck_assert_str_eq(query("select * from t"), "1|1.5\n");
	ck_assert_str_eq(notes(), "");
	close_sink(&sink_sqlite_adapter, sink);
}

TEST(sqlite_refuses_types_that_are_none)
{
	static const char *const bad[] = {"",  "int, x int", "int) --", "int; drop table t",
					  "1", "'a'",        "int)(",   "(int"};
	struct key_columns columns = {.names = split_words("id"), .types = (char *[]){NULL}};
	const char *key = NULL;
	void *config = table_config(NULL, NULL, 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		columns.types[0] = (char *)(uintptr_t)bad[i];
		set_key(&sink_sqlite_adapter, config, "columns", &columns, sizeof columns);
		ck_assert_int_eq(sink_sqlite_adapter.check(config, &key, &last_error), WEIR_EINVAL);
		ck_assert_str_eq(key, "columns");
		ck_assert_msg(strstr(last_error.text, "cannot be the type of column id"), "%s", last_error.text);
	}
	columns.types[0] = (char *)(uintptr_t) "numeric(12, 2)[]";
	set_key(&sink_sqlite_adapter, config, "columns", &columns, sizeof columns);
	ck_assert_int_eq(sink_sqlite_adapter.check(config, &key, &last_error), 0);
	struct key_strings keys = split_words("other");
	set_key(&sink_sqlite_adapter, config, "key", &keys, sizeof keys);
	ck_assert_int_eq(sink_sqlite_adapter.check(config, &key, &last_error), WEIR_EINVAL);
	ck_assert_str_eq(last_error.text, "the key other has no type; add it to `columns`");
}

/* ---- a table that is there */

LOOP_TEST(sqlite_fills_the_columns_of_a_table_that_is_there)
{
	query("create table t (id integer primary key, Name text, made text default 'now', twice generated always as "
	      "(id * 2), "
	      "data blob)");
	struct sink *sink = open_table(NULL, NULL, 0);
	write_rows(sink, "{\"id\":5,\"name\":\"x\",\"data\":{\"a\":[1, 2]},\"made\":\"then\",\"more\":1}", NULL);
	write_rows(sink, "{\"name\":\"y\",\"twice\":1}", NULL);
	ck_assert_str_eq(query("select * from t"), "5|x|now|10|{\"a\":[1,2]}\n6|y|now|12|NULL\n");
	ck_assert_str_eq(notes(),
			 "table t: field left out, without a column (`alter: true` adds one): more\n"
			 "table t: field left out, as the database fills the column (name it in `columns`): made\n"
			 "table t: field left out, as the database fills the column (name it in `columns`): twice\n");
	ck_assert_str_eq(refused_row(sink, "{\"Name\":1,\"name\":2}"),
			 "two fields are column Name, as SQL ignores case");
	ck_assert_str_eq(refused_row(sink, "[]"), "the output is not an object, so it has no fields");
	close_sink(&sink_sqlite_adapter, sink);
	sink = open_table(NULL, "id made", 0);
	write_rows(sink, "{\"id\":7,\"made\":\"then\",\"more\":1}", NULL);
	ck_assert_str_eq(query("select id, made from t where id = 7"), "7|then\n");
	ck_assert_str_eq(notes(), "");
	close_sink(&sink_sqlite_adapter, sink);
}

LOOP_TEST(sqlite_alters_a_table_that_is_there_if_told_so)
{
	query("create table t (id primary key)");
	struct sink *sink = open_table("id", NULL, ALTER);
	write_rows(sink, "{\"id\":1,\"x\":\"a\"}", "{\"id\":2,\"y\":2}", NULL);
	ck_assert_str_eq(notes(), "table t: added the columns x text, y bigint\n");
	close_sink(&sink_sqlite_adapter, sink);
	sink = open_table("id", "id z", ALTER);
	ck_assert_str_eq(notes(), "table t: added the column z\n");
	write_rows(sink, "{\"id\":2,\"y\":9,\"z\":3}", NULL);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select * from t"), "1|a|NULL|NULL\n2|NULL|2|3\n");
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, table_config("no", NULL, ALTER)), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "has no column no"), "%s", last_error.text);
}

LOOP_TEST(sqlite_key_may_have_several_columns)
{
	struct sink *sink = open_table("a b", NULL, 0);
	write_rows(sink, "{\"a\":1,\"b\":1,\"n\":1}", "{\"a\":1,\"b\":2,\"n\":1}", "{\"a\":1,\"b\":1,\"n\":2}", NULL);
	ck_assert_str_eq(query("select * from t order by a, b"), "1|1|2\n1|2|1\n");
	ck_assert_str_eq(refused_row(sink, "{\"a\":1}"), "the output has no field b, the key");
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, table_config("a n", NULL, 0)), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "columns a, n of table t") &&
			      strstr(last_error.text, "CREATE UNIQUE INDEX t_a_n ON t(a, n)"),
		      "%s", last_error.text);
}

/* As it made them: typeless, the output as a whole in `item`. */
LOOP_TEST(sqlite_fills_a_table_of_release_0_1_as_that_did)
{
	struct batch batch = {0};
	query("CREATE TABLE IF NOT EXISTS \"t\" (\"id\" PRIMARY KEY NOT NULL, \"item\");"
	      "insert into t values (1, '{\"id\": 1}')");
	struct sink *sink = open_table("id", NULL, 0);
	write_rows(sink, "{\"id\": \"x\",  \"n\": 1.50}", "{\"id\":1,\"item\":2}", NULL);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select id, item, typeof(item) from t"),
			 "1|{\"id\":1,\"item\":2}|text\nx|{\"id\": \"x\",  \"n\": 1.50}|text\n");
	query("drop table t; CREATE TABLE IF NOT EXISTS \"t\" (\"item\")");
	sink = open_table(NULL, NULL, 0);
	add(&batch, "[1, 2]", NULL);
	add(&batch, "\"no object\"", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select * from t order by rowid"), "[1, 2]\n\"no object\"\n");
	query("drop table t; create table t (item)"); /* somebody else's */
	sink = open_table(NULL, NULL, 0);
	write_rows(sink, "{\"item\":7}", NULL);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select * from t"), "7\n");
	ck_assert_str_eq(notes(), "");
}

/* ---- values in columns with a type */

LOOP_TEST(sqlite_values_are_exact_or_refused_whatever_the_type)
{
	static const struct {
		const char *type, *json, *expected; /* typeof|value; or why it is refused */
	} cases[] = {
		{"integer", "9007199254740993", "integer|9007199254740993\n"},
		{"integer", "1.5", "real|1.5\n"},
		{"integer", "12345678901234567890", "has more digits"},
		{"integer", "\"12345678901234567890\"", "has more digits"},
		{"integer", "\"9007199254740993\"", "integer|9007199254740993\n"},
		{"integer", "\"abc\"", "text|abc\n"},
		{"integer", "true", "integer|1\n"},
		{"numeric", "12345678901234567890.5", "has more digits"},
		{"numeric(20,2)", "\"12345678901234567890.5\"", "has more digits"},
		{"numeric", "\"12.50\"", "real|12.5\n"},
		{"decimal", "100000000000000000000", "real|1.0e+20\n"},
		{"real", "9007199254740993", "has more digits"},
		{"real", "\"9007199254740993\"", "has more digits"},
		{"double precision", "9007199254740992", "real|9.00719925474099e+15\n"},
		{"text", "9007199254740993", "text|9007199254740993\n"},
		{"varchar(10)", "1.50", "text|1.50\n"},
		{"text", "12345678901234567890.123456789", "text|12345678901234567890.123456789\n"},
		{"text", "true", "text|true\n"},
		{"text", "{\"a\": 1}", "text|{\"a\":1}\n"},
		{"text", "null", "null|NULL\n"},
		{"blob", "12345678901234567890", "text|12345678901234567890\n"},
		{"blob", "\"00012345678901234567890\"", "text|00012345678901234567890\n"},
		{"", "0.1234567890123456789", "text|0.1234567890123456789\n"},
		{"", "100000000000000000000", "text|100000000000000000000\n"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		query(test_format("drop table if exists t; create table t (v %s)", cases[i].type));
		struct sink *sink = open_table(NULL, NULL, 0);
		const char *why = refused_row(sink, test_format("{\"v\":%s}", cases[i].json));
		close_sink(&sink_sqlite_adapter, sink);
		const char *row = *why ? why : query("select typeof(v), v from t");
		ck_assert_msg(*why ? strstr(why, cases[i].expected) != NULL : !strcmp(row, cases[i].expected),
			      "%s %s: %s", cases[i].type, cases[i].json, row);
	}
	query("drop table t; create table t (v)");
	struct sink *sink = open_table(NULL, NULL, 0);
	write_one_row(sink, "{\"v\":0.30000000000000004}");
	write_one_row(sink, "{\"v\":1,\"v\":2}");
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select v = 0.1 + 0.2 or v = 2 from t"), "1\n1\n");
}

/* ---- into the rows that items came from */

static void update_row(struct sink *sink, const char *source, const char *output, const char *why)
{
	struct batch batch = {0};
	add(&batch, output, NULL);
	struct item *item = (struct item *)(uintptr_t)batch.items[0].item;
	ck_assert_int_eq(value_copy(&item->source, source, strlen(source)), 0);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), 0);
	ck_assert_str_eq(batch.items[0].verdict ? batch.items[0].why : "", why);
	drop(&batch);
}

LOOP_TEST(sqlite_update_writes_into_the_row_of_the_item)
{
	query("create table t (id text primary key, name text not null, score, \"at\" text default 'never');"
	      "insert into t (id, name) values ('1', 'a'), ('2', 'b')");
	struct sink *sink = open_table("id", NULL, UPDATE | ALTER);
	ck_assert_int_eq(sink_sqlite_adapter.sink->exactness(sink), SINK_BY_KEY);
	update_row(sink, "{\"id\":1}", "{\"score\":7}", "");
	update_row(sink, "{\"id\":\"2\",\"name\":\"b\"}", "{\"id\":99,\"score\":8,\"grade\":\"A\"}", "");
	update_row(sink, "{\"id\":2}", "{\"grade\":\"B\"}", "");
	update_row(sink, "{\"id\":2}", "{}", "");
	update_row(sink, "{\"id\":3}", "{\"score\":1}", "table t has no row with the key of the item");
	update_row(sink, "{\"no\":3}", "{\"score\":1}", "the item has no field id, the key");
	update_row(sink, "3", "{\"score\":1}", "the item is not an object, so it has no fields");
	update_row(sink, "{\"id\":1}", "{\"name\":null}", "sqlite: NOT NULL constraint failed: t.name");
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select * from t"), "1|a|7|never|NULL\n2|b|8|never|B\n");
	ck_assert_str_eq(notes(), "table t: added the column grade text\n");
}

LOOP_TEST(sqlite_update_needs_a_table_and_a_key_that_is_one)
{
	const char *key = NULL;
	ck_assert_int_eq(sink_sqlite_adapter.check(table_config(NULL, NULL, UPDATE), &key, &last_error), WEIR_EINVAL);
	ck_assert_str_eq(key, "update");
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, table_config("id", NULL, UPDATE)), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "does not exist"), "%s", last_error.text);
	query("create table u (id)");
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, table_config("id", NULL, UPDATE)), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "table t does not exist"), "%s", last_error.text);
	query("create table t (id, x)");
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, table_config("id", NULL, UPDATE)), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "is not unique"), "%s", last_error.text);
}
