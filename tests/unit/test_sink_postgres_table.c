/* SPDX-License-Identifier: MIT */
/* The table of the PostgreSQL sink: how it is made and altered, how wide it may be; and what happens to it, to its
 * disk and to the password meanwhile. */
#include "unit/postgres.h"
#include "unit/sinks.h"

#include "postgres/sink/internal.h"

static const struct adapter *const adapter = &sink_postgres_adapter;

static struct buf noted;

static void note(void *arg, const char *text)
{
	(void)arg;
	buf_addf(&noted, "%s\n", text);
}

/* A column is "name", or "name:type". */
static struct postgres_config *config_of(const char *key, const char *columns, bool alter)
{
	struct postgres_config *config = keep(calloc(1, sizeof *config));
	struct key_columns *list = &config->rows.columns;
	*config = (struct postgres_config){.url = keep(strdup(postgres_url())),
					   .rows = {.table = keep(strdup("t")),
						    .key = split_words(key),
						    .columns.names = split_words(columns),
						    .alter = alter,
						    .ledger_keep = 7 * 86400 * WEIR_SEC},
					   .prepared = true};
	for (size_t i = 0; i < list->names.n; i++) {
		char *colon = strchr(list->names.values[i], ':');
		if (!colon)
			continue;
		if (!list->types)
			list->types = keep(calloc(list->names.n, sizeof(char *)));
		*colon = 0;
		list->types[i] = colon + 1;
	}
	return config;
}

static struct sink *open_table(const char *key, const char *columns, bool alter)
{
	run_env = (struct sink_env){.note = note};
	return open_sink(adapter, config_of(key, columns, alter));
}

static void write_one_row(struct sink *sink, const char *json)
{
	struct batch batch = {0};
	add(&batch, json, NULL);
	write_all(adapter, sink, &batch);
}

static const char *columns_of_table(void)
{
	return postgres_sql(
		"SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)"
		" FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0");
}

/* ---- made and altered */

LOOP_TEST(sink_postgres_makes_a_table_with_the_types_of_the_config)
{
	struct sink *sink = open_table("id", "id:bigint total:numeric(12,2) tags:text[]", false);
	ck_assert_str_eq(columns_of_table(), "id bigint, total numeric(12,2), tags text[]\n");
	write_one_row(sink, "{\"id\":9007199254740993,\"total\":1.005,\"tags\":[\"a\"],\"other\":1}");
	write_one_row(sink, "{\"id\":9007199254740993,\"total\":2}");
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t"), "9007199254740993|2.00|\n");
	sink = open_table("id", "id:bigint total:numeric(12,2) tags:text[]", false);
	close_sink(adapter, sink);
	int code = refused_open(adapter, config_of("id", "id:bigint more:date", false));
	ck_assert_int_eq(code, WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "ALTER TABLE t ADD COLUMN more date"), "%s", last_error.text);
}

LOOP_TEST(sink_postgres_takes_a_table_that_another_one_makes_at_the_same_time)
{
	FILE *other = popen(test_format("psql -XqAt -d '%s' -c BEGIN -c 'CREATE TABLE t (id int PRIMARY KEY)' "
					"-c 'SELECT 1' -c 'SELECT pg_sleep(0.3)' -c COMMIT",
					postgres_url()),
			    "r");
	ck_assert_int_eq(fgetc(other), '1');
	struct sink *sink = open_table("id", "id:int", false);
	write_one_row(sink, "{\"id\":1}");
	close_sink(adapter, sink);
	ck_assert_int_eq(pclose(other), 0);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t"), "1\n");
}

LOOP_TEST(sink_postgres_adds_the_columns_that_the_config_names)
{
	postgres_sql("CREATE TABLE t (id int PRIMARY KEY)");
	struct sink *sink = open_table("id", "id:int at:timestamptz", true);
	ck_assert_str_eq(columns_of_table(), "id integer, at timestamp with time zone\n");
	close_sink(adapter, sink);
	sink = open_table("id", "id name", true);
	write_one_row(sink, "{\"id\":1,\"name\":\"x\"}");
	close_sink(adapter, sink);
	ck_assert_str_eq(columns_of_table(), "id integer, at timestamp with time zone, name text\n");
	ck_assert_str_eq(noted.data, "table t: added the column at timestamptz\ntable t: added the column name text\n");
	buf_fini(&noted);
}

LOOP_TEST(sink_postgres_adds_a_column_for_each_field_that_comes)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n > 0))");
	struct sink *sink = open_table("id", "", true);
	write_one_row(sink, "{\"id\":1,\"total\":1.5}");
	write_one_row(sink, "{\"id\":2,\"n\":3,\"Odd \\\"name\":{\"a\":1}}");
	add(&batch, "{\"id\":3,\"n\":1,\"late\":true}", NULL);
	add(&batch, "{\"id\":4,\"n\":-1,\"worse\":1}", NULL);
	ck_assert_int_eq(write_code(adapter, sink, &batch), 0);
	expect_verdicts(&batch, 1, "violates check constraint");
	drop(&batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(columns_of_table(),
			 "id integer, n integer, total numeric, Odd \"name jsonb, late boolean, worse "
			 "bigint\n");
	ck_assert_str_eq(postgres_sql("SELECT * FROM t ORDER BY id"), "1||1.5|||\n2|3||{\"a\": 1}||\n3|1|||t|\n");
	buf_fini(&noted);
}

LOOP_TEST(sink_postgres_quotes_names)
{
	char name[65] = "";
	memset(name, 'n', 63);
	postgres_sql(
		"CREATE SCHEMA \"Shop\"; CREATE TABLE \"Shop\".\"Select\" (\"Id\" int PRIMARY KEY, \"from\" int, %s "
		"int, \"a b; drop table t\" int)",
		name);
	struct postgres_config *config = config_of("Id", "", false);
	config->schema = keep(strdup("Shop"));
	config->rows.table = keep(strdup("Select"));
	run_env = (struct sink_env){.note = note};
	struct sink *sink = open_sink(adapter, config);
	write_one_row(sink, test_format("{\"Id\":1,\"from\":2,\"%s\":3,\"a b; drop table t\":4,\"id\":5}", name));
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT * FROM \"Shop\".\"Select\""), "1|2|3|4\n");
	ck_assert_str_eq(noted.data, "table Select: field left out, without a column (`alter: true` adds one): id\n");
	buf_fini(&noted);
	name[63] = 'n';
	config->rows.table = keep(strdup(name));
	const char *key;
	ck_assert_int_eq(adapter->check(config, &key, &last_error), WEIR_EINVAL);
	ck_assert_str_eq(key, "table");
}

LOOP_TEST(sink_postgres_takes_the_last_of_a_field_that_comes_twice_and_tells_once_of_others)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id int PRIMARY KEY, n int)");
	struct sink *sink = open_table("id", "", false);
	add(&batch, "{\"id\":1,\"n\":2,\"more\":0,\"n\":3}", NULL);
	add(&batch, "{\"id\":2,\"more\":0}", NULL);
	write_all(adapter, sink, &batch);
	write_one_row(sink, "{\"id\":3,\"more\":0}");
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t ORDER BY id"), "1|3\n2|\n3|\n");
	ck_assert_str_eq(noted.data, "table t: field left out, without a column (`alter: true` adds one): more\n");
	buf_fini(&noted);
}

/* ---- wide */

static const char *wide_row(int id, int columns)
{
	struct buf json = {0};
	buf_addf(&json, "{\"id\":%d", id);
	for (int i = 1; i <= columns; i++)
		buf_addf(&json, ",\"c%d\":%d", i, i);
	buf_add_char(&json, '}');
	return keep(buf_take(&json, NULL));
}

LOOP_TEST(sink_postgres_fills_a_table_of_1600_columns)
{
	struct batch batch = {0};
	postgres_sql("DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE t (id int PRIMARY KEY, ' || string_agg('c' || i ||"
		     " ' int', ', ') || ')' FROM generate_series(1, 1599) i); END $$");
	struct sink *sink = open_table("id", "", false);
	for (int id = 1; id <= 20; id++)
		add(&batch, wide_row(id, id == 7 ? 1700 : id == 8 ? 3 : 1599), NULL);
	write_all(adapter, sink, &batch);
	write_one_row(sink, wide_row(20, 1599));
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT count(*), count(c3), count(c1599), sum(c1599) FROM t"),
			 "20|20|19|30381\n");
	buf_fini(&noted);
}

/* A page of the server takes a row of 8 KB. */
LOOP_TEST(sink_postgres_refuses_a_row_that_is_too_wide_alone)
{
	struct batch batch = {0};
	postgres_sql("DO $$ BEGIN EXECUTE (SELECT 'CREATE TABLE t (id int PRIMARY KEY, ' || string_agg('c' || i ||"
		     " ' bigint', ', ') || ')' FROM generate_series(1, 1599) i); END $$");
	struct sink *sink = open_table("id", "", false);
	for (int id = 0; id < 5; id++)
		add(&batch, wide_row(id, id == 2 ? 1599 : 10), NULL);
	ck_assert_int_eq(write_code(adapter, sink, &batch), 0);
	expect_verdicts(&batch, 2, "row is too big: ");
	drop(&batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT count(*) FROM t"), "4\n");
}

/* ---- meanwhile */

/* A disk that is full is one as long as the table `full` has a row. */
static void make_disk(void)
{
	postgres_sql("CREATE TABLE t (id bigint PRIMARY KEY); CREATE TABLE \"full\" ();"
		     "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
		     " IF EXISTS (SELECT FROM \"full\") THEN RAISE 'could not extend file: No space left on device'"
		     " USING ERRCODE = 'disk_full'; END IF; RETURN NULL; END $$;"
		     "CREATE TRIGGER f BEFORE INSERT ON t EXECUTE FUNCTION f()");
}

LOOP_TEST(sink_postgres_waits_for_room_on_a_full_disk)
{
	static const char *const keys[] = {"id", ""};
	for (size_t i = 0; i < 2; i++) {
		struct batch batch = {0};
		make_disk();
		struct sink *sink = open_table(keys[i], "", false);
		write_one_row(sink, "{\"id\":1}");
		postgres_sql("INSERT INTO \"full\" DEFAULT VALUES");
		add(&batch, "{\"id\":2}", NULL);
		add(&batch, "{\"id\":3}", NULL);
		((struct item *)(uintptr_t)batch.items[0].item)->id = 2;
		((struct item *)(uintptr_t)batch.items[1].item)->id = 3;
		for (int again = 0; again < 3; again++) {
			ck_assert_int_eq(write_code(adapter, sink, &batch), WEIR_ENOSPC);
			ck_assert_msg(strstr(last_error.text, "No space left on device (53100)"), "%s",
				      last_error.text);
		}
		ck_assert_str_eq(postgres_sql("SELECT count(*) FROM t"), "1\n");
		postgres_sql("TRUNCATE \"full\"");
		write_all(adapter, sink, &batch);
		close_sink(adapter, sink);
		ck_assert_str_eq(postgres_sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"), "1 2 3\n");
		postgres_sql("DROP TABLE t, \"full\"; DROP FUNCTION f()");
	}
}

/* Nothing can be made as long as the table `full` has a row. */
static void make_full_disk(void)
{
	postgres_sql(
		"CREATE TABLE \"full\" AS SELECT 1 AS room; CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql "
		"AS $$ BEGIN IF EXISTS (SELECT FROM \"full\" WHERE room <= 1) THEN"
		" RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END IF; END $$;"
		"CREATE EVENT TRIGGER f ON ddl_command_start EXECUTE FUNCTION f()");
}

LOOP_TEST(sink_postgres_that_starts_on_a_full_disk_gets_ready_with_its_first_batch)
{
	static const char *const keys[] = {"id", ""};
	for (size_t i = 0; i < 2; i++) {
		struct batch batch = {0};
		make_full_disk();
		struct sink *sink = open_table(keys[i], "id:bigint", false);
		add(&batch, "{\"id\":1}", NULL);
		for (int again = 0; again < 3; again++) {
			ck_assert_int_eq(write_code(adapter, sink, &batch), WEIR_ENOSPC);
			ck_assert_msg(strstr(last_error.text, "No space left on device (53100)"), "%s",
				      last_error.text);
		}
		postgres_sql("UPDATE \"full\" SET room = 2");
		write_all(adapter, sink, &batch);
		close_sink(adapter, sink);
		ck_assert_str_eq(postgres_sql("SELECT id FROM t"), "1\n");
		postgres_sql("DROP EVENT TRIGGER f; DROP TABLE t, \"full\"; DROP FUNCTION f()");
	}
}

/* A run that ends before there is room has emptied nothing, and the next one may. */
LOOP_TEST(sink_postgres_that_starts_on_a_full_disk_replaces_rows_when_there_is_room)
{
	struct postgres_config *config = config_of("", "", false);
	struct batch batch = {0};
	struct buf position = {0};
	config->on_start = SINK_REPLACE;
	postgres_sql("CREATE TABLE t AS SELECT 7::bigint AS id");
	make_full_disk();
	for (int run = 0; run < 2; run++) {
		run_env = (struct sink_env){.run = "0123456789abcdef0123456789abcdef", .note = note};
		struct sink *sink = open_sink(adapter, config);
		adapter->sink->position(sink, &position);
		ck_assert_uint_eq(position.len, 0);
		if (run == 1)
			postgres_sql("UPDATE \"full\" SET room = 2");
		add(&batch, "{\"id\":1}", NULL);
		ck_assert_int_eq(write_code(adapter, sink, &batch), run == 1 ? 0 : WEIR_ENOSPC);
		drop(&batch);
		adapter->sink->position(sink, &position);
		ck_assert_uint_eq(position.len > 0, run == 1);
		close_sink(adapter, sink);
	}
	ck_assert_str_eq(postgres_sql("SELECT id FROM t"), "1\n");
	buf_fini(&position);
}

LOOP_TEST(sink_postgres_says_when_the_password_was_changed_meanwhile)
{
	struct batch batch = {0};
	const char *role = test_format("writer_%d", (int)getpid());
	postgres_sql("CREATE ROLE %s LOGIN PASSWORD 'canary-old'; CREATE TABLE t (id int PRIMARY KEY);"
		     "ALTER TABLE t OWNER TO %s",
		     role, role);
	struct postgres_config *config = config_of("id", "", false);
	config->url = keep(strdup(test_format("postgres://%s:canary-old%s", role, strchr(config->url, '@'))));
	struct sink *sink = open_sink(adapter, config);
	postgres_sql("ALTER ROLE %s PASSWORD 'canary-new'", role);
	write_one_row(sink, "{\"id\":1}"); /* a session stays one */
	postgres_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%s'", role);
	add(&batch, "{\"id\":2}", NULL);
	ck_assert_int_eq(write_code(adapter, sink, &batch), WEIR_EBUSY);
	ck_assert_int_eq(write_code(adapter, sink, &batch), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "password authentication failed for user"), "%s", last_error.text);
	ck_assert_msg(strstr(last_error.text, "(28P01); check user and password in the URL"), "%s", last_error.text);
	ck_assert_msg(!strstr(last_error.text, "canary"), "%s", last_error.text);
	postgres_sql("ALTER ROLE %s PASSWORD 'canary-old'", role);
	write_all(adapter, sink, &batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT count(*) FROM t"), "2\n");
	postgres_sql("DROP OWNED BY %s; DROP ROLE %s", role, role);
}
