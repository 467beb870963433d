/* SPDX-License-Identifier: MIT */
/* The sink against a real server; psql looks at what is really there. */
#include "unit/postgres.h"
#include "unit/sinks.h"

#include "postgres/sink/internal.h"

#define RUN "0123456789abcdef0123456789abcdef"

static const struct adapter *const adapter = &sink_postgres_adapter;

/* key and columns are lists with blanks between, or NULL. */
static struct postgres_config *config_of(const char *table, const char *key, const char *columns)
{
	struct postgres_config *config = keep(calloc(1, sizeof *config));
	*config = (struct postgres_config){
		.url = keep(strdup(postgres_url())),
		.rows = {.table = keep(strdup(table)),
			 .key = split_words(key ? key : ""),
			 .columns.names = split_words(columns ? columns : ""),
			 .ledger_keep = 7 * 86400 * WEIR_SEC},
		.prepared = true,
	};
	return config;
}

static struct sink *open_pg(const char *key, const char *columns)
{
	return open_sink(adapter, config_of("t", key, columns));
}

static void expect_refused(const struct postgres_config *config, int code, const char *text)
{
	const char *key;
	struct weir_error err = {0};
	if (adapter->check(config, &key, &err) == 0) {
		int got = refused_open(adapter, config);
		ck_assert_msg(got == code, "%s: %s", weir_strerror(got), last_error.text);
		err = last_error;
	}
	ck_assert_msg(strstr(err.text, text), "%s\nexpected %s", err.text, text);
	ck_assert_msg(!strstr(err.text, "canary"), "%s", err.text);
}

/* ---- rows */

LOOP_TEST(sink_postgres_keeps_one_row_a_key_the_last)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id bigint PRIMARY KEY, name text)");
	struct sink *sink = open_pg("id", NULL);
	add(&batch, "{\"id\":1,\"name\":\"a\"}", NULL);
	add(&batch, "{\"id\":2,\"name\":\"b\"}", NULL);
	add(&batch, "{\"id\":1,\"name\":\"c\"}", NULL);
	write_all(adapter, sink, &batch);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t ORDER BY id"), "1|c\n2|b\n");
	add(&batch, "{\"id\":2,\"name\":\"d\"}", "{\"id\":3,\"name\":\"e\"}", NULL);
	add(&batch, NULL);
	write_all(adapter, sink, &batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t ORDER BY id"), "1|c\n2|d\n3|e\n");
}

LOOP_TEST(sink_postgres_takes_a_key_of_several_columns)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (a int, b text, n int, UNIQUE (b, a))");
	struct sink *sink = open_pg("a b", NULL);
	add(&batch, "{\"a\":1,\"b\":\"x\",\"n\":1}", NULL);
	add(&batch, "{\"a\":1,\"b\":\"y\",\"n\":2}", NULL);
	add(&batch, "{\"a\":1,\"b\":\"x\",\"n\":3}", NULL);
	write_all(adapter, sink, &batch);
	add(&batch, "{\"a\":1,\"b\":\"y\",\"n\":4}", NULL);
	write_all(adapter, sink, &batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t ORDER BY b"), "1|x|3\n1|y|4\n");
}

LOOP_TEST(sink_postgres_leaves_columns_to_their_defaults)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id int PRIMARY KEY, serial bigserial, at int DEFAULT 7,"
		     " twice int GENERATED ALWAYS AS (id * 2) STORED, \"Odd \"\"name\" text)");
	struct sink *sink = open_pg("id", NULL);
	add(&batch, "{\"id\":4,\"at\":1,\"Odd \\\"name\":\"x\",\"extra\":1}", NULL);
	write_all(adapter, sink, &batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t"), "4|1|7|8|x\n");
}

LOOP_TEST(sink_postgres_makes_a_table_of_the_first_rows)
{
	struct batch batch = {0};
	struct sink *sink = open_pg("id", NULL);
	add(&batch, "{\"id\":1,\"total\":1.50,\"tags\":[1,2]}", NULL);
	add(&batch, "{\"id\":2,\"total\":7,\"note\":\"x\"}", NULL);
	write_all(adapter, sink, &batch);
	add(&batch, "{\"id\":3,\"ok\":true}", NULL);
	write_all(adapter, sink, &batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT id, total, tags, note, ok FROM t ORDER BY id"),
			 "1|1.50|[1, 2]||\n2|7||x|\n3||||t\n");
}

LOOP_TEST(sink_postgres_updates_the_rows_that_items_came_from)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id int PRIMARY KEY, city text, lat numeric);"
		     "INSERT INTO t SELECT i, 'city ' || i FROM generate_series(1, 3) i");
	struct postgres_config *config = config_of("t", "id", NULL);
	config->rows.update = true;
	struct sink *sink = open_sink(adapter, config);
	const char *sources[] = {"{\"id\":1}", "{\"id\":9}", "{\"id\":2}", "{\"id\":2}"};
	const char *outputs[] = {"{\"lat\":1.5}", "{\"lat\":2}", "{\"lat\":3}", "{\"lat\":4,\"city\":null}"};
	for (int i = 0; i < 4; i++) {
		add(&batch, outputs[i], NULL);
		struct item *item = (struct item *)(uintptr_t)batch.items[i].item;
		ck_assert_int_eq(value_copy(&item->source, sources[i], strlen(sources[i])), 0);
	}
	ck_assert_int_eq(write_code(adapter, sink, &batch), 0);
	expect_verdicts(&batch, 1, "table t has no row with the key of the item");
	drop(&batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t ORDER BY id"), "1|city 1|1.5\n2||4\n3|city 3|\n");
}

LOOP_TEST(sink_postgres_works_without_prepared_statements)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id int PRIMARY KEY)");
	struct postgres_config *config = config_of("t", "id", NULL);
	config->prepared = false;
	struct sink *sink = open_sink(adapter, config);
	for (int i = 0; i < 3; i++) {
		add(&batch, test_format("{\"id\":%d}", i), NULL);
		write_all(adapter, sink, &batch);
	}
	ck_assert_str_eq(postgres_sql("SELECT count(*) FROM t"), "3\n");
	close_sink(adapter, sink);
}

/* ---- exactly once without a key */

/* An item with its number. */
static void add_numbered(struct batch *batch, uint64_t id, const char *output)
{
	add(batch, output, NULL);
	((struct item *)(uintptr_t)batch->items[batch->n - 1].item)->id = id;
}

static void add_many(struct batch *batch, uint64_t first, uint64_t n)
{
	for (uint64_t id = first; id < first + n; id++)
		add_numbered(batch, id, test_format("{\"id\":%llu}", (unsigned long long)id));
}

LOOP_TEST(sink_postgres_writes_an_item_once_whoever_tries)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id bigint)");
	run_env = (struct sink_env){.run = RUN};
	struct sink *sink = open_pg(NULL, NULL);
	ck_assert_int_eq(adapter->sink->exactness(sink), SINK_BY_CLAIM);
	for (int i = 0; i < 2; i++) {
		add_many(&batch, 1, 300);
		write_all(adapter, sink, &batch);
	}
	run_env = (struct sink_env){.run = RUN, .position = &(struct value){0}};
	struct buf position = {0};
	adapter->sink->position(sink, &position);
	run_env.position = &(struct value){.data = position.data, .len = position.len};
	struct sink *other = open_pg(NULL, NULL);
	add_many(&batch, 200, 200);
	write_all(adapter, other, &batch);
	add_many(&batch, 1, 500);
	write_all(adapter, sink, &batch);
	close_sink(adapter, other);
	close_sink(adapter, sink);
	run_env = (struct sink_env){.run = "ffffffffffffffffffffffffffffffff"};
	struct postgres_config *config = config_of("t", NULL, NULL);
	config->on_start = SINK_APPEND;
	sink = open_sink(adapter, config);
	add_many(&batch, 1, 1);
	write_all(adapter, sink, &batch);
	close_sink(adapter, sink);
	buf_fini(&position);
	ck_assert_str_eq(postgres_sql("SELECT count(*), count(DISTINCT id), min(id), max(id) FROM t"),
			 "501|500|1|500\n");
	ck_assert_str_eq(postgres_sql("SELECT run, count(*) FROM weir_ledger GROUP BY run ORDER BY run"),
			 "01234567-89ab-cdef-0123-456789abcdef|500\nffffffff-ffff-ffff-ffff-ffffffffffff|1\n");
}

LOOP_TEST(sink_postgres_claims_all_outputs_of_an_item_or_none)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id int CHECK (id > 0))");
	struct sink *sink = open_pg(NULL, NULL);
	add(&batch, "{\"id\":1}", "{\"id\":2}", NULL);
	add(&batch, "{\"id\":3}", "{\"id\":-4}", NULL);
	add(&batch, "{\"id\":5}", "{\"id\":6}", NULL);
	for (int i = 0; i < 3; i++)
		((struct item *)(uintptr_t)batch.items[i].item)->id = (uint64_t)i + 1;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(write_code(adapter, sink, &batch), 0);
		expect_verdicts(&batch, 1, "violates check constraint");
	}
	drop(&batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT string_agg(id::text, ' ') FROM t"), "1 2 5 6\n");
	ck_assert_str_eq(postgres_sql("SELECT string_agg(item::text, ' ' ORDER BY item) FROM weir_ledger"), "1 3\n");
}

LOOP_TEST(sink_postgres_forgets_runs_that_ended_long_ago_in_pages)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id bigint)");
	run_env = (struct sink_env){.run = RUN};
	struct sink *sink = open_pg(NULL, NULL);
	postgres_sql(
		"INSERT INTO weir_ledger_runs VALUES ('11111111-1111-1111-1111-111111111111', 't', now() -"
		" interval '8 days'),"
		" ('22222222-2222-2222-2222-222222222222', 't', now() - interval '6 days'),"
		" ('22222222-2222-2222-2222-222222222222', 'letters', now() - interval '9 days');"
		"INSERT INTO weir_ledger SELECT run, \"table\", i FROM weir_ledger_runs, generate_series(1, 7000) i"
		" WHERE run::text NOT LIKE '0%%' AND \"table\" = 't'");
	const char *left[] = {"9001\n", "7002\n", "7003\n", "7004\n"};
	for (uint64_t i = 0; i < 4; i++) {
		add_many(&batch, i + 1, 1);
		write_all(adapter, sink, &batch);
		ck_assert_str_eq(postgres_sql("SELECT count(*) FROM weir_ledger"), left[i]);
	}
	ck_assert_str_eq(postgres_sql("SELECT count(*) FROM weir_ledger_runs"), "3\n");
	close_sink(adapter, sink);
}

/* ---- bad rows */

static int64_t count_inserts(void)
{
	return strtoll(
		postgres_sql(
			"SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
			" WHERE d.datname = current_database() AND query LIKE '%%json_populate_record%%'"
			" AND query NOT LIKE '%%pg_stat_statements%%'"),
		NULL, 10);
}

static struct sink *open_counted(const char *key)
{
	postgres_sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE t (id int %s, n int CHECK (n > 0))",
		     key ? "PRIMARY KEY" : "");
	return open_pg(key, NULL);
}

static void write_with_bad(struct sink *sink, int n, bool (*is_bad)(int i))
{
	struct batch batch = {0};
	for (int i = 0; i < n; i++)
		add_numbered(&batch, (uint64_t)i + 1, test_format("{\"id\":%d,\"n\":%d}", i, is_bad(i) ? -1 : 1));
	ck_assert_int_eq(write_code(adapter, sink, &batch), 0);
	for (int i = 0; i < n; i++)
		ck_assert_msg(batch.items[i].verdict == (is_bad(i) ? WEIR_EDATA : 0), "%d: %s", i, batch.items[i].why);
	drop(&batch);
}

static bool is_first(int i)
{
	return i == 0;
}

static bool is_last(int i)
{
	return i == 499;
}

static bool is_middle(int i)
{
	return i == 250;
}

static bool is_any(int i)
{
	(void)i;
	return true;
}

static bool is_third(int i)
{
	return i % 3 == 0;
}

LOOP_TEST(sink_postgres_finds_one_bad_row_of_500_in_few_statements)
{
	bool (*const bad[])(int i) = {is_first, is_middle, is_last};
	struct sink *sink = open_counted("id");
	for (size_t i = 0; i < 3; i++) {
		int64_t before = count_inserts();
		write_with_bad(sink, 500, bad[i]);
		int64_t more = count_inserts() - before - 1;
		ck_assert_msg(more <= 19, "%lld statements more", (long long)more); /* 2 * log2(500) + 2 = 19.9 */
		ck_assert_str_eq(postgres_sql("SELECT count(*) FROM t"), "499\n");
		postgres_sql("TRUNCATE t");
	}
	close_sink(adapter, sink);
}

LOOP_TEST(sink_postgres_refuses_500_bad_rows_of_500)
{
	struct sink *sink = open_counted(NULL);
	int64_t before = count_inserts();
	write_with_bad(sink, 500, is_any);
	int64_t more = count_inserts() - before;
	ck_assert_msg(more <= 1000, "%lld statements", (long long)more);
	ck_assert_str_eq(postgres_sql("SELECT count(*) FROM t"), "0\n");
	ck_assert_str_eq(postgres_sql("SELECT count(*) FROM weir_ledger"), "0\n");
	write_with_bad(sink, 500, is_third);
	ck_assert_str_eq(postgres_sql("SELECT count(*) FROM t"), "333\n");
	close_sink(adapter, sink);
}

/* A text of so many random letters: it does not compress. */
static const char *random_text(size_t n)
{
	char *text = keep(malloc(n + 1));
	uint64_t state = 7;
	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + weir_random_below(&state, 26));
	text[n] = 0;
	return text;
}

LOOP_TEST(sink_postgres_refuses_one_bad_row_of_many_and_writes_the_others)
{
	const struct {
		const char *json, *why;
	} cases[] = {
		{"{\"n\":1}", "the output has no field id, the key"},
		{"{\"id\":null,\"n\":1}", "the output has no field id, the key"},
		{"[1]", "not an object"},
		{"nonsense", "not JSON"},
		{"{\"id\":\"\\ud800\",\"n\":1}", "surrogate"},
		{"{\"id\":\"x\\u0000y\",\"n\":1}", "(22P05)"},
		{"{\"id\":\"x\",\"n\":\"seven\"}",
		 "column n: invalid input syntax for type integer: \"seven\" (22P02)"},
		{"{\"id\":\"x\",\"n\":99999999999}", "column n: "},
		{"{\"id\":\"x\",\"n\":1.5}", "column n: invalid input syntax for type integer: \"1.5\" (22P02)"},
		{"{\"id\":\"x\",\"n\":null}", "column n: null value in column \"n\""},
		{"{\"id\":\"x\",\"n\":-1}", "violates check constraint \"t_n_check\" (23514)"},
		{"{\"id\":\"x\",\"n\":1,\"d\":1e400}", "column d: \"1e400\" is out of range"},
		{"{\"id\":\"x\",\"n\":1,\"mood\":\"odd\"}",
		 "column mood: invalid input value for enum mood: \"odd\" (22P02)"},
		{"{\"id\":\"x\",\"n\":1,\"short\":\"abcd\"}", "value too long for type character varying(3) (22001)"},
		{"{\"id\":\"x\",\"n\":1,\"other\":77}", "violates foreign key constraint"},
		{"{\"id\":\"x\",\"n\":13}", "postgres: no 13 (P0001)"},
		{"{\"id\":\"x\",\"n\":1,\"at\":\"2026-02-30\"}", "(22008)"},
		{test_format("{\"id\":\"%s\",\"n\":1}", random_text(9000)), "(54000)"},
	};
	postgres_sql("CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TABLE others (id int PRIMARY KEY);"
		     "CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL CHECK (n > 0), d double precision, mood mood,"
		     " short varchar(3), other int REFERENCES others DEFERRABLE INITIALLY DEFERRED, at date);"
		     "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
		     " $$ BEGIN IF NEW.n = 13 THEN RAISE 'no %%', NEW.n; END IF; RETURN NEW; END $$;"
		     "CREATE TRIGGER b BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()");
	struct sink *sink = open_pg("id", NULL);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct batch batch = {0};
		for (int k = 0; k < 20; k++)
			add(&batch, k == 11 ? cases[i].json : test_format("{\"id\":\"%d\",\"n\":%zu}", k, 100 + i),
			    NULL);
		ck_assert_msg(write_code(adapter, sink, &batch) == 0, "%zu: %s", i, last_error.text);
		expect_verdicts(&batch, 11, cases[i].why);
		drop(&batch);
		ck_assert_str_eq(postgres_sql("SELECT count(*), count(*) FILTER (WHERE n = %zu) FROM t", 100 + i),
				 "19|19\n");
	}
	close_sink(adapter, sink);
}

LOOP_TEST(sink_postgres_refuses_a_row_of_more_than_64_MiB)
{
	struct batch batch = {0};
	size_t n = ROW_BYTES_MAX;
	char *text = keep(malloc(n + 20));
	postgres_sql("CREATE TABLE t (id text PRIMARY KEY)");
	struct sink *sink = open_pg("id", NULL);
	memset(text, 'x', n);
	memcpy(text, "{\"id\":\"", 7);
	strcpy(text + n - 1, "\"}");
	add(&batch, text, NULL);
	add(&batch, "{\"id\":\"small\"}", NULL);
	ck_assert_int_eq(write_code(adapter, sink, &batch), 0);
	expect_verdicts(&batch, 0, "64 MiB");
	drop(&batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t"), "small\n");
}

/* ---- what is wrong with the table */

LOOP_TEST(sink_postgres_says_what_a_table_lacks_and_how_to_mend_it)
{
	struct postgres_config *config;
	postgres_sql("CREATE TABLE t (id int, n int); CREATE TABLE weir_ledger (id int); CREATE SCHEMA other;"
		     "CREATE ROLE reader LOGIN PASSWORD 'canary-reader'");
	expect_refused(config_of("t", "id", "id missing"), WEIR_EINVAL, "ALTER TABLE t ADD COLUMN missing text");
	expect_refused(config_of("t", "id", NULL), WEIR_EINVAL,
		       "make it unique: CREATE UNIQUE INDEX ON \"public\".\"t\" (\"id\")");
	expect_refused(config_of("t", NULL, NULL), WEIR_EINVAL, "was not created by weir");
	expect_refused(config_of("orders; drop table x", "id", NULL), WEIR_EINVAL, "cannot be the name of a table");
	expect_refused(config_of("weir_ledger", "id", NULL), WEIR_EINVAL, "reserved");
	config = config_of("t", "id", NULL);
	config->schema = keep(strdup("nowhere"));
	expect_refused(config, WEIR_EINVAL, "there is no schema nowhere; create it (CREATE SCHEMA \"nowhere\")");
	config->schema = keep(strdup("a\"b"));
	expect_refused(config, WEIR_EINVAL, "cannot be the name of a schema");
	postgres_sql("CREATE UNIQUE INDEX ON t (id)");
	config = config_of("t", "id", NULL);
	const char *url = config->url, *at = strchr(url, '@');
	config->url = keep(strdup(test_format("postgres://reader:canary-reader%s", at)));
	expect_refused(config, WEIR_EINVAL, "GRANT SELECT, INSERT, UPDATE ON \"public\".\"t\"");
	config->rows.table = keep(strdup("new"));
	expect_refused(config, WEIR_EINVAL, "GRANT CREATE ON SCHEMA \"public\" TO \"reader\"");
	config->schema = keep(strdup("other"));
	expect_refused(config, WEIR_EINVAL, "GRANT USAGE ON SCHEMA \"other\" TO \"reader\"");
	ck_assert_str_eq(postgres_sql("SELECT count(*) FROM t"), "0\n");
	postgres_sql("DROP OWNED BY reader; DROP ROLE reader");
}

LOOP_TEST(sink_postgres_adds_to_no_rows_of_others_unless_it_may)
{
	struct batch batch = {0};
	struct postgres_config *config = config_of("t", NULL, NULL);
	postgres_sql("CREATE TABLE t AS SELECT 1 AS id");
	run_env = (struct sink_env){.run = RUN};
	expect_refused(config, WEIR_EINVAL, "has rows that this run has not written");
	config->on_start = SINK_APPEND;
	struct sink *sink = open_sink(adapter, config);
	close_sink(adapter, sink);
	run_env.run = "ffffffffffffffffffffffffffffffff";
	config->on_start = SINK_REPLACE;
	sink = open_sink(adapter, config);
	add_many(&batch, 5, 1);
	write_all(adapter, sink, &batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t"), "5\n");
}

/* Two processes of a run that begin at a time: the second finds what the first has written. */
LOOP_TEST(sink_postgres_replaces_rows_once_whoever_begins)
{
	struct batch batch = {0};
	struct sink *sinks[2] = {NULL};
	struct postgres_config *config = config_of("t", NULL, NULL);
	config->on_start = SINK_REPLACE;
	postgres_sql("CREATE TABLE t AS SELECT 1 AS id");
	run_env = (struct sink_env){.run = RUN, .shared = true};
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(adapter->sink->open(config, &run_env, &sinks[i], &last_error), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_msg(adapter->sink->start(sinks[i], &last_error) == 0, "%s", last_error.text);
		add_many(&batch, 5 + (uint64_t)i, 1);
		write_all(adapter, sinks[i], &batch);
	}
	for (int i = 0; i < 2; i++)
		close_sink(adapter, sinks[i]);
	ck_assert_str_eq(postgres_sql("SELECT * FROM t ORDER BY id"), "5\n6\n");
}

/* An item that has a row, and whose ack was lost, fails elsewhere: then it has a letter, too. */
LOOP_TEST(sink_postgres_claims_an_item_in_each_table_of_a_run)
{
	static const char *const tables[] = {"rows", "letters"};
	struct batch batch = {0};
	struct sink *sinks[2] = {NULL};
	postgres_sql("CREATE TABLE rows AS SELECT 7 AS id; CREATE TABLE letters AS SELECT 7 AS id");
	run_env = (struct sink_env){.run = RUN};
	for (int i = 0; i < 2; i++) {
		struct postgres_config *config = config_of(tables[i], NULL, NULL);
		config->on_start = SINK_REPLACE;
		ck_assert_int_eq(adapter->sink->open(config, &run_env, &sinks[i], &last_error), 0);
	}
	for (int i = 0; i < 2; i++)
		ck_assert_msg(adapter->sink->start(sinks[i], &last_error) == 0, "%s", last_error.text);
	for (int i = 0; i < 4; i++) {
		add_many(&batch, 1, 2);
		write_all(adapter, sinks[i % 2], &batch);
	}
	for (int i = 0; i < 2; i++)
		close_sink(adapter, sinks[i]);
	ck_assert_str_eq(postgres_sql("SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM rows),"
				      " (SELECT string_agg(id::text, ' ' ORDER BY id) FROM letters)"),
			 "1 2|1 2\n");
	ck_assert_str_eq(postgres_sql("SELECT \"table\", count(*) FROM weir_ledger GROUP BY 1 ORDER BY 1"),
			 "letters|2\nrows|2\n");
}

LOOP_TEST(sink_postgres_refuses_to_resume_with_another_table_or_without_its_ledger)
{
	struct buf position = {0};
	struct postgres_config *config = config_of("t", NULL, NULL);
	postgres_sql("CREATE TABLE t (id int)");
	run_env = (struct sink_env){.run = RUN};
	struct sink *sink = open_sink(adapter, config);
	adapter->sink->position(sink, &position);
	close_sink(adapter, sink);
	run_env.position = &(struct value){.data = position.data, .len = position.len};
	sink = open_sink(adapter, config);
	close_sink(adapter, sink);
	postgres_sql("TRUNCATE weir_ledger_runs");
	expect_refused(config, WEIR_EINVAL, "does not know this run");
	postgres_sql("DROP TABLE t; CREATE TABLE t (id int)");
	expect_refused(config, WEIR_EINVAL, "was created again");
	postgres_sql("DROP TABLE t");
	expect_refused(config, WEIR_EINVAL, "is missing");
	run_env.adopt = true;
	sink = open_sink(adapter, config);
	close_sink(adapter, sink);
	buf_fini(&position);
}

/* ---- what changes meanwhile */

LOOP_TEST(sink_postgres_follows_a_table_that_is_altered_and_says_when_it_is_gone)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id int PRIMARY KEY, n int)");
	struct sink *sink = open_pg("id", NULL);
	const char *changes[] = {"SELECT 1", "ALTER TABLE t ADD COLUMN more text DEFAULT 'x'",
				 "ALTER TABLE t ALTER COLUMN n TYPE numeric", "TRUNCATE t",
				 "DROP TABLE t; CREATE TABLE t (n text, id bigint PRIMARY KEY)"};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		postgres_sql("%s", changes[i]);
		add(&batch, test_format("{\"id\":%zu,\"n\":1}", i), NULL);
		write_all(adapter, sink, &batch);
	}
	postgres_sql("ALTER TABLE t DROP COLUMN n");
	add(&batch, "{\"id\":1,\"n\":1}", NULL);
	ck_assert_int_eq(write_code(adapter, sink, &batch), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "column \"n\" of relation \"t\" does not exist (42703)"), "%s",
		      last_error.text);
	ck_assert_msg(strstr(last_error.text, "restore it, or change"), "%s", last_error.text);
	postgres_sql("DROP TABLE t");
	ck_assert_int_eq(write_code(adapter, sink, &batch), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "does not exist (42P01)"), "%s", last_error.text);
	drop(&batch);
	close_sink(adapter, sink);
}

LOOP_TEST(sink_postgres_can_be_cancelled_while_the_table_is_locked)
{
	struct batch batch = {0};
	postgres_sql("CREATE TABLE t (id int PRIMARY KEY)");
	struct sink *sink = open_pg("id", NULL);
	struct pg *pg = NULL;
	struct pg_error err;
	ck_assert_int_eq(pg_open(&(struct pg_options){.url = postgres_url()}, &pg, NULL), 0);
	ck_assert_int_eq(pg_do(pg, "BEGIN", NULL, &err, WEIR_FOREVER), 0);
	ck_assert_int_eq(pg_do(pg, "LOCK t", NULL, &err, WEIR_FOREVER), 0);
	add(&batch, "{\"id\":1}", NULL);
	ck_assert_int_eq(canceled_code(adapter, sink, &batch, true), WEIR_ECANCELED);
	close_sink(adapter, sink);
	ck_assert_int_eq(pg_do(pg, "COMMIT", NULL, &err, WEIR_FOREVER), 0);
	pg_close(pg);
	drop(&batch);
}

/* Two writers of one table, keys in opposite order, with another index that they meet in. */
static int write_slowly(void *arg)
{
	const int *up = arg;
	struct sink *sink = open_sink(adapter, config_of("t", "id", NULL));
	for (int i = 0; i < 30; i++) {
		struct batch batch = {0};
		for (int k = 0; k < 200; k++) {
			int id = *up ? k : 199 - k;
			add(&batch, test_format("{\"id\":%d,\"other\":%d}", id, 199 - id), NULL);
		}
		write_all(adapter, sink, &batch);
	}
	close_sink(adapter, sink);
	return 0;
}

LOOP_TEST(sink_postgres_loses_nothing_to_deadlocks)
{
	int up[] = {0, 1, 0};
	struct weir_group_part parts[3] = {{0}};
	postgres_sql("CREATE TABLE t (id int PRIMARY KEY, other int)");
	for (int i = 0; i < 3; i++)
		parts[i] = (struct weir_group_part){.fn = write_slowly, .arg = &up[i]};
	ck_assert_int_eq(weir_group_run(parts, 3, WEIR_FOREVER), 0);
	ck_assert_str_eq(postgres_sql("SELECT count(*), sum(id + other) FROM t"), "200|39800\n");
}

/* ---- two batches at a time */

static struct sink *shared_sink;

static int write_beside(void *arg)
{
	return write_code(adapter, shared_sink, arg);
}

/* A second one, while a statement of the first is on its way, or has not yet begun. */
static void write_two(struct batch *first, struct batch *second)
{
	const struct postgres_sink *sink = (const struct postgres_sink *)shared_sink;
	struct weir_group *group;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn(group, write_beside, first, WEIR_FOREVER), 0);
	while (!sink->plain && weir_group_alive(group))
		weir_sleep(WEIR_USEC);
	ck_assert_int_eq(weir_group_spawn(group, write_beside, second, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
}

LOOP_TEST(sink_postgres_writes_a_batch_again_that_was_ahead_of_one_in_trouble)
{
	struct batch first = {0}, second = {0};
	postgres_sql("CREATE TABLE t (id int PRIMARY KEY, name text, CHECK (name <> 'bad'))");
	shared_sink = open_pg("id", NULL);
	for (int i = 0; i < 20; i++) {
		add(&first, "{\"id\":1,\"name\":\"first\"}", NULL);
		add(&first, test_format("{\"id\":2,\"name\":\"%s\"}", i % 2 ? "bad" : "good"), NULL);
		add(&second, test_format("{\"id\":1,\"name\":\"second %d\"}", i), NULL);
		add(&second, test_format("{\"id\":3,\"name\":\"%s\"}", i % 3 ? "bad" : "good"), NULL);
		const struct sink_item *one = first.items + 1, *other = second.items + 1;
		write_two(&first, &second);
		ck_assert_int_eq(one->verdict, i % 2 ? WEIR_EDATA : 0);
		ck_assert_int_eq(other->verdict, i % 3 ? WEIR_EDATA : 0);
		ck_assert_str_eq(postgres_sql("SELECT name FROM t WHERE id = 1"), test_format("second %d\n", i));
		drop(&first);
		drop(&second);
	}
	close_sink(adapter, shared_sink);
}

LOOP_TEST(sink_postgres_adds_the_columns_of_two_batches)
{
	struct batch first = {0}, second = {0};
	run_env = (struct sink_env){.run = RUN};
	shared_sink = open_pg(NULL, NULL);
	for (int i = 0; i < 12; i++) {
		add(&first, test_format("{\"id\":%d,\"a%d\":1}", i, i), NULL);
		add(&second, test_format("{\"id\":%d,\"b%d\":1}", i, i), NULL);
		((struct item *)(uintptr_t)first.items[0].item)->id = (uint64_t)i;
		((struct item *)(uintptr_t)second.items[0].item)->id = (uint64_t)i + 100;
		write_two(&first, &second);
		ck_assert_str_eq(postgres_sql("SELECT count(*), count(a%d), count(b%d) FROM t", i, i),
				 test_format("%d|1|1\n", 2 * i + 2));
		drop(&first);
		drop(&second);
	}
	close_sink(adapter, shared_sink);
}

/* ---- servers that go away */

LOOP_TEST(sink_postgres_writes_again_what_a_killed_server_has_not_confirmed)
{
	struct batch batch = {0};
	struct postgres_config *config = config_of("t", NULL, NULL);
	config->url = keep(strdup(postgres_own_url()));
	postgres_verb("sql", "CREATE TABLE t (id bigint)");
	run_env = (struct sink_env){.run = RUN};
	struct sink *sink = open_sink(adapter, config);
	for (uint64_t i = 0; i < 3; i++) {
		add_many(&batch, i * 100, 150);
		postgres_verb("kill", NULL);
		int code = write_code(adapter, sink, &batch);
		ck_assert_msg(code == WEIR_EBUSY, "%s: %s", weir_strerror(code), last_error.text);
		postgres_verb("start", NULL);
		write_all(adapter, sink, &batch);
	}
	close_sink(adapter, sink);
	postgres_verb("sql", "DO 'BEGIN ASSERT (SELECT count(*) = 350 AND count(DISTINCT id) = 350 FROM t); END'");
}
