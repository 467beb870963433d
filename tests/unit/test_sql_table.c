/* SPDX-License-Identifier: MIT */
/* What the sinks of SQL databases share, over a database that only remembers: one whose types can be changed. */
#include "sql/table.h"
#include "support/test.h"

#include <string.h>

/* The database: its columns, as "name type given|"; and what was executed. */
struct fake {
	bool exists, marked;
	size_t rows;
	struct buf columns, executed;
	int code;
};

static int fake_describe(void *db, struct sql_table *table, struct weir_error *err)
{
	struct fake *fake = db;
	char *columns = strdup(fake->columns.len ? fake->columns.data : ""), *save = NULL;
	(void)err;
	table->exists = fake->exists;
	table->marked = fake->marked;
	table->rows = fake->rows;
	for (char *one = strtok_r(columns, "|", &save); one && fake->exists; one = strtok_r(NULL, "|", &save)) {
		char name[64], type[64] = "", given[64] = "";
		sscanf(one, "%63s %63s %63s", name, type, given);
		const struct sql_column column = {.name = name, .type = type, .given = *given};
		ck_assert_int_eq(sql_table_add(table, &column), 0);
	}
	free(columns);
	return 0;
}

/* Knows the statements that there are by their beginnings. */
static void obey(struct fake *fake, const char *sql)
{
	char name[64], type[64];
	const char *at = strstr(sql, " (");
	if (strncmp(sql, "CREATE TABLE", 12) == 0) {
		fake->exists = true;
		for (at = strstr(at, "\""); at; at = strstr(at, ", \"") ? strstr(at, ", \"") + 2 : NULL)
			if (sscanf(at, "\"%63[^\"]\" %63[a-z]", name, type) == 2)
				buf_addf(&fake->columns, "%s %s|", name, type);
	} else if (sscanf(sql, "ALTER TABLE %*s ADD COLUMN \"%63[^\"]\" %63[a-z]", name, type) == 2) {
		buf_addf(&fake->columns, "%s %s|", name, type);
	} else if (strncmp(sql, "COMMENT ON TABLE", 16) == 0) {
		fake->marked = true;
	}
}

static int fake_execute(void *db, const char *sql, struct weir_error *err)
{
	struct fake *fake = db;
	buf_addf(&fake->executed, "%s\n", sql);
	if (fake->code)
		return weir_error_set(err, fake->code, "it fails");
	obey(fake, sql);
	return 0;
}

static const struct sql_ops fake_ops = {
	.compare = strcmp,
	.types = {"text", "boolean", "bigint", "numeric", "numeric", "text", "jsonb"},
	.describe = fake_describe,
	.execute = fake_execute,
	.alters_types = true,
	.has_comments = true,
};

static struct fake fake;
static struct weir_error last;

static void open_fake(struct sql_table *table, const struct sql_config *config)
{
	ck_assert_int_eq(sql_table_init(table, config, "my \"schema", &fake_ops), 0);
	table->db = &fake;
	ck_assert_msg(sql_table_open(table, &last) == 0, "%s", last.text);
	ck_assert_msg(sql_table_start(table, &last) == 0, "%s", last.text);
}

static void look(struct sql_table *table, const char *output)
{
	struct json *json;
	ck_assert_int_eq(json_parse(output, strlen(output), &json, NULL), 0);
	ck_assert_int_eq(sql_table_look(table, json), 0);
	json_free(json);
}

static const char *executed(void)
{
	const char *text = test_format("%s", fake.executed.len ? fake.executed.data : "");
	buf_clear(&fake.executed);
	return text;
}

static void fini(struct sql_table *table)
{
	sql_table_fini(table);
	buf_fini(&fake.columns);
	buf_fini(&fake.executed);
	fake = (struct fake){0};
}

#define T "\"my \"\"schema\".\"t\""

TEST(sql_table_is_made_and_its_types_are_widened)
{
	struct sql_table table;
	const struct sql_config config = {.table = "t", .key = {.values = (char *[]){"a", "b"}, .n = 2}};
	open_fake(&table, &config);
	ck_assert(sql_table_looks(&table) && !table.exists);
	look(&table, "{\"x\":null}");
	ck_assert_int_eq(sql_table_grow(&table, &last), 0); /* without its key it is none */
	look(&table, "{\"a\":1,\"b\":\"k\",\"x\":true,\"X\":{}}");
	ck_assert_int_eq(sql_table_grow(&table, &last), 1);
	ck_assert_str_eq(executed(),
			 "CREATE TABLE IF NOT EXISTS " T " (/* " SQL_MARK " */ \"x\" boolean, \"a\" bigint NOT NULL, "
			 "\"b\" text NOT NULL, \"X\" jsonb, PRIMARY KEY (\"a\", \"b\"))\n"
			 "COMMENT ON TABLE " T " IS '" SQL_MARK "'\n");
	sql_table_end(&table, true, 1);
	ck_assert_str_eq(table.notes.data, "table t: created with the columns x boolean, a bigint, b text, X jsonb\n");
	look(&table, "{\"a\":2,\"b\":\"k\",\"x\":false}");
	ck_assert_int_eq(sql_table_grow(&table, &last), 0);
	look(&table, "{\"a\":2.5,\"b\":[1],\"x\":7,\"X\":\"text\",\"new\":12345678901234567890}");
	ck_assert_int_eq(sql_table_grow(&table, &last), 1);
	ck_assert_str_eq(executed(), "ALTER TABLE " T " ALTER COLUMN \"x\" TYPE text USING \"x\"::text\n"
				     "ALTER TABLE " T " ALTER COLUMN \"a\" TYPE numeric USING \"a\"::numeric\n"
				     "ALTER TABLE " T " ALTER COLUMN \"b\" TYPE jsonb USING to_jsonb(\"b\")\n"
				     "ALTER TABLE " T " ADD COLUMN \"new\" numeric\n");
	fini(&table);
}

TEST(sql_table_of_others_is_left_as_it_is)
{
	struct sql_table table;
	const struct sql_config config = {.table = "t"};
	fake.exists = true;
	buf_add_str(&fake.columns, "id bigint default|a integer|b text|");
	open_fake(&table, &config);
	ck_assert_uint_eq(table.n, 2);
	ck_assert_uint_eq(table.all, 3);
	size_t hint = 0;
	ck_assert_uint_eq(sql_table_find(&table, "b", &hint), 1);
	ck_assert_uint_eq(sql_table_find(&table, "id", &hint), 2);
	ck_assert_uint_eq(sql_table_find(&table, "none", &hint), 3);
	look(&table, "{\"a\":\"text\",\"id\":3,\"c\":1}");
	ck_assert_int_eq(sql_table_grow(&table, &last), 0);
	sql_table_end(&table, true, 1);
	ck_assert_ptr_nonnull(strstr(table.notes.data, "(`alter: true` adds one): c\n"));
	ck_assert_ptr_nonnull(strstr(table.notes.data, "(name it in `columns`): id\n"));
	ck_assert_str_eq(executed(), "");
	fini(&table);
}

/* A database that needs types makes a table of named columns when it knows them. */
TEST(sql_table_of_named_columns_waits_for_their_types)
{
	struct sql_table table;
	const struct sql_config config = {.table = "t",
					  .key = {.values = (char *[]){"id"}, .n = 1},
					  .columns.names = {.values = (char *[]){"total", "none"}, .n = 2}};
	open_fake(&table, &config);
	ck_assert(!table.exists);
	look(&table, "{\"id\":1,\"total\":1.5,\"more\":2}");
	ck_assert_int_eq(sql_table_grow(&table, &last), 1);
	ck_assert_str_eq(executed(), "CREATE TABLE IF NOT EXISTS " T
				     " (\"id\" bigint PRIMARY KEY NOT NULL, \"total\" numeric, \"none\" text)\n");
	ck_assert_uint_eq(table.n, 3);
	ck_assert(!sql_table_looks(&table));
	fini(&table);
}

TEST(sql_table_that_was_not_committed_is_made_again)
{
	struct sql_table table;
	const struct sql_config config = {.table = "t"};
	open_fake(&table, &config);
	look(&table, "{\"a\":1}");
	ck_assert_int_eq(sql_table_grow(&table, &last), 1);
	fake.exists = fake.marked = false;
	buf_clear(&fake.columns);
	sql_table_end(&table, false, 0);
	executed();
	fake.code = WEIR_EAGAIN;
	ck_assert_int_eq(sql_table_grow(&table, &last), WEIR_EAGAIN);
	sql_table_end(&table, false, 0);
	fake.code = 0;
	executed();
	ck_assert_int_eq(sql_table_grow(&table, &last), 1);
	ck_assert_str_eq(executed(), "CREATE TABLE IF NOT EXISTS " T " (/* " SQL_MARK " */ \"a\" bigint)\n"
				     "COMMENT ON TABLE " T " IS '" SQL_MARK "'\n");
	sql_table_end(&table, true, 1);
	ck_assert_str_eq(table.notes.data, "table t: created with the column a bigint\n");
	fini(&table);
}

TEST(sql_table_says_which_statement_adds_a_missing_column)
{
	struct sql_table table;
	struct sql_config config = {.table = "t", .columns.names = {.values = (char *[]){"total"}, .n = 1}};
	fake.exists = true;
	ck_assert_int_eq(sql_table_init(&table, &config, NULL, &fake_ops), 0);
	table.db = &fake;
	ck_assert_int_eq(sql_table_open(&table, &last), WEIR_EINVAL);
	ck_assert_msg(strstr(last.text, "(ALTER TABLE t ADD COLUMN total text)"), "%s", last.text);
	config.columns.types = (char *[]){"numeric(12, 2)"};
	ck_assert_int_eq(sql_table_open(&table, &last), WEIR_EINVAL);
	ck_assert_msg(strstr(last.text, "ADD COLUMN total numeric(12, 2))"), "%s", last.text);
	config.alter = true;
	ck_assert_int_eq(sql_table_open(&table, &last), 0);
	ck_assert_int_eq(sql_table_start(&table, &last), 0);
	ck_assert_str_eq(executed(), "ALTER TABLE \"t\" ADD COLUMN \"total\" numeric(12, 2)\n");
	fini(&table);
}

TEST(sql_table_has_an_end_of_columns)
{
	struct sql_table table;
	struct buf output = {0};
	const struct sql_config config = {.table = "t", .alter = true};
	open_fake(&table, &config);
	for (int i = 0; i < 700; i++)
		buf_addf(&output, "%s\"f%d\":1", i ? "," : "{", i);
	buf_add_char(&output, '}');
	look(&table, output.data);
	ck_assert_int_eq(sql_table_grow(&table, &last), 1);
	ck_assert_uint_eq(table.n, SQL_COLUMNS_MAX);
	look(&table, "{\"one more\":1}");
	ck_assert_int_eq(sql_table_grow(&table, &last), 0);
	sql_table_end(&table, true, 1);
	ck_assert_uint_lt(table.notes.len, 300);
	buf_fini(&output);
	fini(&table);
}
