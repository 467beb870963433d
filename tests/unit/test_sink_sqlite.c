/* SPDX-License-Identifier: MIT */
/* All against the real SQLite and real files; a second connection looks at what is really there. */
#include "unit/sqlites.h"
#include "unit/syncs.h"

#include <signal.h>
#include <sys/resource.h>
#include <weir/random.h>

/* ---- rows */

LOOP_TEST(sqlite_keeps_one_row_a_key_the_last)
{
	struct batch batch = {0};
	struct sink *sink = open_sqlite("id", "id name");
	add(&batch, "{\"id\":1,\"name\":\"a\"}", NULL);
	add(&batch, "{\"id\":2,\"name\":\"b\"}", NULL);
	add(&batch, "{\"id\":1,\"name\":\"c\"}", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
	ck_assert_str_eq(query("select * from t order by id"), "1|c\n2|b\n");
	add(&batch, "{\"id\":2,\"name\":\"d\"}", NULL);
	add(&batch, "{\"id\":\"2\"}", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
	ck_assert_str_eq(query("select * from t order by id"), "1|c\n2|d\n2|NULL\n");
	close_sink(&sink_sqlite_adapter, sink);
	sink = open_sqlite("id", "id name");
	add(&batch, "{\"id\":1,\"name\":\"again\"}", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select name from t where id = 1"), "again\n");
}

LOOP_TEST(sqlite_adds_rows_where_there_is_no_key)
{
	struct batch batch = {0};
	struct sink *sink = open_sqlite(NULL, "id");
	for (int i = 0; i < 2; i++)
		add(&batch, "{\"id\":1}", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select count(*), count(distinct id) from t"), "2|1\n");
}

LOOP_TEST(sqlite_keeps_types_and_digits)
{
	static const struct {
		const char *json, *row;
	} cases[] = {
		{"1", "integer|1\n"},
		{"-9223372036854775808", "integer|-9223372036854775808\n"},
		{"9223372036854775807", "integer|9223372036854775807\n"},
		{"9223372036854775808", "text|9223372036854775808\n"},
		{"123456789012345678901234567890", "text|123456789012345678901234567890\n"},
		{"1.5", "real|1.5\n"},
		{"1e3", "real|1000.0\n"},
		{"1e999", "text|1e999\n"},
		{"9007199254740993", "integer|9007199254740993\n"},
		{"12345678901234567890.123456789", "text|12345678901234567890.123456789\n"},
		{"true", "integer|1\n"},
		{"false", "integer|0\n"},
		{"null", "null|NULL\n"},
		{"\"007\"", "text|007\n"},
		{"\"\"", "text|\n"},
		{"\"it's \\\"\\u00e4\\\"\"", "text|it's \"\xC3\xA4\"\n"},
		{"[1, {\"a\": 12345678901234567890123}]", "text|[1,{\"a\":12345678901234567890123}]\n"},
		{"{}", "text|{}\n"},
	};
	struct sink *sink = open_sqlite("id", "value missing");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct batch batch = {0};
		add(&batch, test_format("{\"value\": %s, \"id\": 1}", cases[i].json), NULL);
		write_all(&sink_sqlite_adapter, sink, &batch);
		ck_assert_str_eq(query("select typeof(value), value from t"), cases[i].row);
	}
	ck_assert_str_eq(query("select id, typeof(missing) from t"), "1|null\n");
	close_sink(&sink_sqlite_adapter, sink);
}

/* What it says of the row without a database; or why there would be none. */
static const char *shown_row(const char *key, const char *columns, const char *output)
{
	struct value value = {0};
	struct buf out = {0};
	char why[200] = "";
	ck_assert_int_eq(value_copy(&value, output, strlen(output)), 0);
	int code = sink_sqlite_adapter.sink->row(sqlite_config(db_path(), "t", key, columns), &value, &out, why);
	const char *shown = test_format("%s", code ? why : out.data);
	value_fini(&value);
	buf_fini(&out);
	return shown;
}

TEST(sqlite_shows_a_row_as_a_table_would_keep_it)
{
	ck_assert_str_eq(shown_row("id", "x y z", "{\"id\":7,\"x\":true,\"y\":[1, 2],\"z\":1.50}"),
			 "{\"id\":7,\"x\":1,\"y\":\"[1,2]\",\"z\":1.5}");
	ck_assert_str_eq(shown_row("id", "x", "{\"id\":\"7\",\"x\":123456789012345678901}"),
			 "{\"id\":\"7\",\"x\":\"123456789012345678901\"}");
	ck_assert_str_eq(shown_row(NULL, "x", "{}"), "{\"x\":null}");
	ck_assert_str_eq(shown_row("id", NULL, "{\"id\":7,\"x\":true,\"y\":[1],\"z\":1.50}"),
			 "{\"id\":7,\"x\":1,\"y\":\"[1]\",\"z\":1.5}");
	ck_assert_str_eq(shown_row(NULL, NULL, "[1]"), "the output is not an object, so it has no fields");
	ck_assert_str_eq(shown_row("id", "x", "{\"x\":1}"), "the output has no field id, the key");
	ck_assert_str_eq(shown_row("id", "x", "3"), "the output is not an object, so it has no fields");
	ck_assert_int_eq(access(db_path(), F_OK), -1);
}

LOOP_TEST(sqlite_quotes_names_that_are_words_of_sql)
{
	struct batch batch = {0};
	const char *path = db_path();
	struct sink *sink = open_sink(&sink_sqlite_adapter, sqlite_config(path, "select", "order", "order group from"));
	for (int i = 0; i < 2; i++)
		add(&batch, "{\"order\":1,\"group\":2,\"from\":3}", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select * from \"select\""), "1|2|3\n");
}

LOOP_TEST(sqlite_takes_a_key_that_is_the_only_column)
{
	struct batch batch = {0};
	struct sink *sink = open_sqlite("id", "id");
	for (int i = 0; i < 2; i++)
		add(&batch, "{\"id\":1}", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select * from t"), "1\n");
}

/* ---- rows that cannot be */

LOOP_TEST(sqlite_refuses_one_bad_row_of_256_and_writes_the_others)
{
	static const struct {
		const char *json, *why;
	} cases[] = {
		{"{\"n\":1}", "no field id, the key"},
		{"{\"id\":null,\"n\":1}", "no field id, the key"},
		{"{\"id\":[1],\"n\":1}", "neither text nor a number"},
		{"{\"id\":\"a\\u0000b\",\"n\":1}", "field id contains a NUL"},
		{"{\"id\":128,\"n\":\"\\u0000\"}", "field n contains a NUL"},
		{"{\"id\":128,\"n\":-1}", "CHECK constraint failed"},
		{"{\"id\":128}", "NOT NULL constraint failed"},
		{"[{\"id\":128,\"n\":1}]", "not an object"},
		{"7", "not an object"},
		{"nonsense", "not JSON"},
	};
	query("create table t (id unique, n not null check (n > 0))");
	struct sink *sink = open_sqlite("id", "id n");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct batch batch = {0};
		for (int k = 0; k < 256; k++)
			add(&batch, k == 128 ? cases[i].json : test_format("{\"id\":%d,\"n\":%zu}", k, i + 1), NULL);
		ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), 0);
		expect_verdicts(&batch, 128, cases[i].why);
		drop(&batch);
		ck_assert_str_eq(query(test_format("select count(*), count(*) filter (where n = %zu) from t", i + 1)),
				 "255|255\n");
	}
	close_sink(&sink_sqlite_adapter, sink);
}

LOOP_TEST(sqlite_writes_all_outputs_of_an_item_or_none)
{
	struct batch batch = {0};
	query("create table t (id unique, n check (n > 0))");
	struct sink *sink = open_sqlite("id", "id n");
	add(&batch, "{\"id\":1,\"n\":1}", "{\"id\":2,\"n\":1}", NULL);
	add(&batch, "{\"id\":1,\"n\":9}", "{\"id\":3,\"n\":1}", "{\"id\":4,\"n\":-1}", "{\"id\":5,\"n\":1}", NULL);
	add(&batch, NULL);
	add(&batch, "{\"id\":6,\"n\":1}", NULL);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), 0);
	expect_verdicts(&batch, 1, "CHECK constraint");
	ck_assert_str_eq(query("select * from t order by id"), "1|1\n2|1\n6|1\n");
	drop(&batch);
	close_sink(&sink_sqlite_adapter, sink);
}

LOOP_TEST(sqlite_starts_again_when_a_row_rolls_everything_back)
{
	struct batch batch = {0};
	query("create table t (id unique, n);"
	      "create trigger refuse before insert on t when new.n < 0 begin select raise(rollback, 'not that one'); "
	      "end");
	struct sink *sink = open_sqlite("id", "id n");
	add(&batch, "{\"id\":1,\"n\":1}", NULL);
	add(&batch, "{\"id\":2,\"n\":-1}", NULL);
	add(&batch, "{\"id\":3,\"n\":1}", NULL);
	add(&batch, "{\"id\":4,\"n\":1}", "{\"id\":5,\"n\":-1}", NULL);
	add(&batch, "{\"id\":6,\"n\":1}", NULL);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), 0);
	for (size_t i = 0; i < batch.n; i++)
		ck_assert_int_eq(batch.items[i].verdict, i == 1 || i == 3 ? WEIR_EDATA : 0);
	ck_assert_str_eq(batch.items[3].why, "sqlite: not that one");
	ck_assert_str_eq(query("select id from t order by id"), "1\n3\n6\n");
	drop(&batch);
	close_sink(&sink_sqlite_adapter, sink);
}

/* ---- trouble with the database */

LOOP_TEST(sqlite_says_busy_while_another_writes_and_works_later)
{
	struct batch batch = {0};
	struct sink *sink = open_sqlite("id", "id");
	sqlite3 *other;
	ck_assert_int_eq(sqlite3_open(db_path(), &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
	add(&batch, "{\"id\":1}", NULL);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), WEIR_EBUSY);
	ck_assert_msg(strstr(last_error.text, "locked"), "%s", last_error.text);
	ck_assert_int_eq(sqlite3_exec(other, "commit", NULL, NULL, NULL), SQLITE_OK);
	write_all(&sink_sqlite_adapter, sink, &batch);
	ck_assert_int_eq(sqlite3_exec(other, "begin; select * from t", NULL, NULL, NULL), SQLITE_OK);
	add(&batch, "{\"id\":2}", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch); /* who only reads stops nobody */
	sqlite3_close(other);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select * from t order by id"), "1\n2\n");
}

LOOP_TEST(sqlite_uses_a_wal_and_leaves_none_behind)
{
	struct batch batch = {0};
	struct sink *sink = open_sqlite("id", "id");
	ck_assert_str_eq(query("pragma journal_mode"), "wal\n");
	add(&batch, "{\"id\":1}", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_int_ne(access(test_format("%s-wal", db_path()), F_OK), 0);
	ck_assert_str_eq(query("select * from t"), "1\n");
}

LOOP_TEST(sqlite_says_what_is_wrong_with_a_table_that_is_there)
{
	query("create table t (id primary key, name); create table u (id, name)");
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, sqlite_config(db_path(), "t", "id", "id total")),
			 WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "no column total; add it (ALTER TABLE t ADD COLUMN total)"), "%s",
		      last_error.text);
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, sqlite_config(db_path(), "u", "id", "id name")),
			 WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "CREATE UNIQUE INDEX u_id ON u(id)"), "%s", last_error.text);
}

LOOP_TEST(sqlite_says_why_a_database_cannot_be_opened)
{
	const char *other = test_write_file("text.db", "this is no database, however long one looks at it");
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, sqlite_config(other, "t", "id", NULL)), WEIR_EIO);
	ck_assert_msg(strstr(last_error.text, "not a database"), "%s", last_error.text);
	const char *nowhere = test_format("%s/missing/x.db", test_folder());
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, sqlite_config(nowhere, "t", "id", NULL)), WEIR_ENOENT);
	ck_assert_int_lt(refused_open(&sink_sqlite_adapter, sqlite_config(test_folder(), "t", "id", NULL)), 0);
}

LOOP_TEST(sqlite_takes_a_path_for_a_file_name_whatever_it_looks_like)
{
	struct batch batch = {0};
	ck_assert_int_eq(chdir(test_folder()), 0);
	struct sink *sink = open_sink(&sink_sqlite_adapter, sqlite_config(":memory:", "t", "id", NULL));
	add(&batch, "{\"id\":1}", NULL);
	write_all(&sink_sqlite_adapter, sink, &batch);
	close_sink(&sink_sqlite_adapter, sink);
	sink = open_sink(&sink_sqlite_adapter, sqlite_config("file:x.db?mode=memory", "t", "id", NULL));
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query_in("./:memory:", "select id from t"), "1\n");
	ck_assert_int_eq(access("file:x.db?mode=memory", F_OK), 0);
	ck_assert_int_eq(chdir("/"), 0);
}

LOOP_TEST(sqlite_says_that_the_disk_is_full_and_goes_on_when_there_is_room)
{
	const char *disk = small_disk();
	struct batch batch = {0};
	static char fat[4096];
	int code = 0, rows = 0;
	if (!disk) {
		fputs("sqlite_says_that_the_disk_is_full...: not tried, no file system can be mounted here\n", stderr);
		return;
	}
	const char *path = test_format("%s/out.db", disk), *filler = test_format("%s/filler", disk);
	struct sink *sink = open_sink(&sink_sqlite_adapter, sqlite_config(path, "t", "id", NULL));
	int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(posix_fallocate(fd, 0, 512 << 10), 0);
	memset(fat, 'x', sizeof fat - 1);
	fat[sizeof fat - 1] = 0;
	while (!code && rows < 1000) {
		drop(&batch);
		for (int i = 0; i < 8; i++)
			add(&batch, test_format("{\"id\":%d,\"x\":\"%s\"}", rows + i, fat), NULL);
		code = write_code(&sink_sqlite_adapter, sink, &batch);
		rows += code ? 0 : 8;
	}
	ck_assert_msg(code == WEIR_ENOSPC, "%s: %s", weir_strerror(code), last_error.text);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), WEIR_ENOSPC);
	close(fd);
	unlink(filler);
	write_all(&sink_sqlite_adapter, sink, &batch);
	ck_assert_str_eq(query_in(path, "select count(*) from t"), test_format("%d\n", rows + 8));
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_int_eq(umount(disk), 0);
}

LOOP_TEST(sqlite_stays_failed_after_an_error_of_the_disk)
{
	struct batch batch = {0};
	struct rlimit limit = {.rlim_cur = 64 << 10, .rlim_max = RLIM_INFINITY};
	struct sink *sink = open_sqlite("id", "id x");
	char *fat = malloc(200000);
	memset(fat, 'x', 199999);
	fat[199999] = 0;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 64 << 10;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	add(&batch, test_format("{\"id\":1,\"x\":\"%s\"}", fat), NULL);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), WEIR_EIO);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), WEIR_EIO);
	drop(&batch);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select count(*) from t"), "0\n");
	free(fat);
}

/* ---- the config */

static const char *refused_key(const char *table, const char *key, const char *columns)
{
	const char *blamed = NULL;
	last_error = (struct weir_error){0};
	int code = sink_sqlite_adapter.check(sqlite_config("x.db", table, key, columns), &blamed, &last_error);
	ck_assert_int_eq(code, code ? WEIR_EINVAL : 0);
	return code ? blamed : "none";
}

TEST(sqlite_takes_only_plain_names)
{
	char name[65];
	memset(name, 'a', 64);
	name[64] = 0;
	ck_assert_str_eq(refused_key("orders", "id", "id total _x9"), "none");
	ck_assert_str_eq(refused_key("orders", NULL, NULL), "none");
	ck_assert_str_eq(refused_key(name + 1, NULL, NULL), "none");
	ck_assert_str_eq(refused_key(name, NULL, NULL), "table");
	ck_assert_str_eq(refused_key("", NULL, NULL), "table");
	ck_assert_str_eq(refused_key("a\"b", NULL, NULL), "table");
	ck_assert_str_eq(refused_key("main.orders", NULL, NULL), "table");
	ck_assert_str_eq(refused_key("1st", NULL, NULL), "table");
	ck_assert_str_eq(refused_key("\xC3\xA4", NULL, NULL), "table");
	ck_assert_str_eq(refused_key("SQLite_x", NULL, NULL), "table");
	ck_assert_str_eq(refused_key("t", "a;b", NULL), "key");
	ck_assert_str_eq(refused_key("t", "Item", NULL), "none");
	ck_assert_str_eq(refused_key("t", "item", "item"), "none");
	ck_assert_str_eq(refused_key("t", "id", "id a-b"), "columns");
	ck_assert_str_eq(refused_key("t", "id", "id Total total"), "columns");
	ck_assert_msg(strstr(last_error.text, "duplicate column 'total'"), "%s", last_error.text);
}

/* ---- cancelling */

LOOP_TEST(sqlite_tells_the_truth_about_a_cancelled_write)
{
	struct sink *sink = open_sqlite("id", "id");
	int written = 0;
	for (int i = 0; i < 40; i++) {
		struct batch batch = {0};
		add(&batch, test_format("{\"id\":%d}", i), NULL);
		int code = canceled_code(&sink_sqlite_adapter, sink, &batch, i % 2);
		ck_assert(code == 0 || code == WEIR_ECANCELED);
		ck_assert(i % 2 || code == WEIR_ECANCELED);
		written += code == 0;
		drop(&batch);
		ck_assert_str_eq(query("select count(*) from t"), test_format("%d\n", written));
	}
	close_sink(&sink_sqlite_adapter, sink);
}

/* ---- the ledger */

static void *config_of_run(const char *table, const char *key, int on_start)
{
	void *config = sqlite_config(db_path(), table, key, "id");
	set_key(&sink_sqlite_adapter, config, "on_start", &on_start, sizeof on_start);
	return config;
}

static struct sink *open_run(const char *run, const char *table, const char *key)
{
	run_env.run = run;
	return open_sink(&sink_sqlite_adapter, config_of_run(table, key, APPEND));
}

static struct sink *reopen(struct sink *sink, const char *run, const char *table, const char *key)
{
	close_sink(&sink_sqlite_adapter, sink);
	return open_run(run, table, key);
}

/* The ids it tells, with blanks between. */
static const char *written(struct sink *sink)
{
	struct buf text = {0};
	uint64_t *ids = (uint64_t *)&text;
	size_t n = 99;
	buf_add_str(&text, "");
	ck_assert_int_eq(sink_sqlite_adapter.sink->written(sink, &ids, &n, &last_error, WEIR_FOREVER), 0);
	ck_assert(n || !ids);
	for (size_t i = 0; i < n; i++)
		buf_addf(&text, "%s%llu", i ? " " : "", (unsigned long long)ids[i]);
	free(ids);
	return keep(buf_take(&text, NULL));
}

static void add_with_id(struct batch *batch, uint64_t id, const char *output)
{
	add(batch, output, NULL);
	((struct item *)(uintptr_t)batch->items[batch->n - 1].item)->id = id;
}

static void write_ids(struct sink *sink, uint64_t first, uint64_t last)
{
	struct batch batch = {0};
	for (uint64_t id = first; id <= last; id++)
		add_with_id(&batch, id, test_format("{\"id\":%llu}", (unsigned long long)id));
	write_all(&sink_sqlite_adapter, sink, &batch);
}

LOOP_TEST(sqlite_without_a_key_tells_what_it_wrote_last)
{
	struct sink *sink = open_run("run", "t", NULL);
	ck_assert_int_eq(sink_sqlite_adapter.sink->exactness(sink), SINK_BY_LEDGER);
	ck_assert_str_eq(written(sink), "");
	write_ids(sink, 1, 3);
	write_ids(sink, 0xFFFFFFFFFFFFFFF0, 0xFFFFFFFFFFFFFFF1);
	sink = reopen(sink, "run", "t", NULL);
	ck_assert_str_eq(written(sink), "18446744073709551600 18446744073709551601");
	sink = reopen(sink, "another", "t", NULL);
	ck_assert_str_eq(written(sink), "");
	write_ids(sink, 4, 4);
	sink = reopen(sink, "run", "u", NULL);
	ck_assert_str_eq(written(sink), "");
	sink = reopen(sink, "run", "t", NULL);
	ck_assert_str_eq(written(sink), "18446744073709551600 18446744073709551601");
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select count(*), count(distinct run) from weir_ledger"), "2|2\n");
}

/* ---- between two runs */

/* What a backup has of a run: the database, and where the state says that the sink stands. */
struct moment {
	const char *database;
	struct value position;
};

static struct moment keep_moment(struct sink *sink)
{
	static int number;
	struct moment moment = {.database = test_format("%s/moment%d.db", test_folder(), ++number)};
	struct buf text = {0};
	sink_sqlite_adapter.sink->position(sink, &text);
	moment.position.data = keep(buf_take(&text, &moment.position.len));
	unlink(moment.database);
	query(test_format("vacuum into '%s'", moment.database));
	return moment;
}

static void put_back(const struct moment *moment)
{
	unlink(db_path());
	unlink(test_format("%s-wal", db_path()));
	unlink(test_format("%s-shm", db_path()));
	if (moment)
		ck_assert_int_eq(link(moment->database, db_path()), 0);
}

/* Opens with the database of one moment and the state of another: whether it is refused, and why. */
static const char *refusal(const struct moment *database, const struct moment *state, const char *key, bool adopt)
{
	put_back(NULL);
	if (database)
		query(test_format("attach '%s' as other; vacuum other into '%s'", database->database, db_path()));
	run_env = (struct sink_env){.run = "run", .position = &state->position, .adopt = adopt};
	struct sink *sink = NULL;
	last_error = (struct weir_error){0};
	if (!sink_sqlite_adapter.sink->open(sqlite_config(db_path(), "t", key, "id"), &run_env, &sink, &last_error))
		close_sink(&sink_sqlite_adapter, sink);
	return last_error.text;
}

static void compare_moments(const char *key)
{
	struct moment moments[4];
	run_env = (struct sink_env){.run = "run"};
	struct sink *sink = open_run("run", "t", key);
	moments[0] = keep_moment(sink);
	for (unsigned i = 1; i < 4; i++) {
		write_ids(sink, i, i);
		moments[i] = keep_moment(sink);
	}
	close_sink(&sink_sqlite_adapter, sink);
	for (int database = -1; database < 4; database++)
		for (int state = 0; state < 4; state++) {
			const struct moment *from = database < 0 ? NULL : &moments[database];
			int ahead = (database < 0 ? 0 : database) - state;
			const char *why = ahead < 0   ? database < 0 ? "is missing" : "has lost rows"
					  : ahead > 1 ? "the state is older"
						      : "";
			const char *text = refusal(from, &moments[state], key, false);
			ck_assert_msg(*why ? strstr(text, why) != NULL : !*text, "database %d, state %d: '%s'",
				      database, state, text);
			ck_assert_str_eq(refusal(from, &moments[state], key, true), "");
		}
}

LOOP_TEST(sqlite_database_and_state_of_two_moments_are_refused)
{
	compare_moments(NULL);
}

LOOP_TEST(sqlite_database_and_state_of_two_moments_are_refused_with_a_key)
{
	compare_moments("id");
}

/* Such a batch is never acked, so the state does not hear of it. */
LOOP_TEST(sqlite_batch_of_which_nothing_was_written_has_no_number)
{
	struct batch batch = {0};
	run_env = (struct sink_env){.run = "run"};
	struct sink *sink = open_run("run", "t", "id");
	write_ids(sink, 1, 1);
	struct moment moment = keep_moment(sink);
	for (int i = 0; i < 3; i++) {
		add_with_id(&batch, 2, "{\"no\":1}");
		ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), 0);
		expect_verdicts(&batch, 0, "id");
		drop(&batch);
	}
	struct moment later = keep_moment(sink);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(later.position.data, moment.position.data);
	ck_assert_str_eq(refusal(&later, &moment, "id", false), "");
}

/* Both have come to batch 2, on two ways. */
LOOP_TEST(sqlite_database_of_another_past_is_refused)
{
	run_env = (struct sink_env){.run = "run"};
	struct sink *sink = open_run("run", "t", NULL);
	write_ids(sink, 1, 1);
	struct moment one = keep_moment(sink);
	write_ids(sink, 2, 2);
	struct moment left = keep_moment(sink);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(refusal(&one, &one, NULL, false), "");
	run_env = (struct sink_env){.run = "run", .position = &one.position};
	sink = open_run("run", "t", NULL);
	write_ids(sink, 3, 3);
	struct moment right = keep_moment(sink);
	write_ids(sink, 4, 4);
	struct moment further = keep_moment(sink);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(refusal(&right, &right, NULL, false), "");
	ck_assert_ptr_nonnull(strstr(refusal(&left, &right, NULL, false), "older"));
	ck_assert_ptr_nonnull(strstr(refusal(&right, &left, NULL, false), "older"));
	ck_assert_ptr_nonnull(strstr(refusal(&further, &left, NULL, false), "older"));
}

LOOP_TEST(sqlite_table_that_was_dropped_is_missed)
{
	run_env = (struct sink_env){.run = "run"};
	struct sink *sink = open_run("run", "t", "id");
	write_ids(sink, 1, 1);
	struct moment moment = keep_moment(sink);
	close_sink(&sink_sqlite_adapter, sink);
	query("drop table t");
	run_env.position = &moment.position;
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, sqlite_config(db_path(), "t", "id", "id")), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "table t in") && strstr(last_error.text, "is missing"), "%s",
		      last_error.text);
}

/* A ledger without batches, and a state without a position. */
LOOP_TEST(sqlite_resumes_a_run_of_release_0_1)
{
	query("create table t (id); create table weir_ledger (run text not null, \"table\" text not null,"
	      " ids blob not null, primary key (run, \"table\"));"
	      "insert into t values (7); insert into weir_ledger values ('run', 't', x'0700000000000000')");
	run_env = (struct sink_env){.run = "run"};
	struct sink *sink = open_run("run", "t", NULL);
	ck_assert_str_eq(written(sink), "7");
	write_ids(sink, 8, 8);
	struct moment moment = keep_moment(sink);
	run_env.position = &moment.position;
	sink = reopen(sink, "run", "t", NULL);
	ck_assert_str_eq(written(sink), "8");
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select batch from weir_ledger"), "1\n");
}

LOOP_TEST(sqlite_rows_of_others_are_refused_without_a_key)
{
	query("create table t (id); insert into t values (1)");
	for (int durable = 0; durable < 2; durable++) {
		run_env = (struct sink_env){.run = durable ? "run" : NULL};
		ck_assert_int_eq(refused_open(&sink_sqlite_adapter, config_of_run("t", NULL, REFUSE)), WEIR_EINVAL);
		ck_assert_msg(strstr(last_error.text, "on_start"), "%s", last_error.text);
		ck_assert_str_eq(query("select id from t"), "1\n");
	}
	struct sink *sink = open_sink(&sink_sqlite_adapter, config_of_run("t", NULL, APPEND));
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select id from t"), "1\n");
	sink = open_sink(&sink_sqlite_adapter, config_of_run("t", NULL, REPLACE));
	write_ids(sink, 2, 2);
	ck_assert_str_eq(query("select id from t"), "2\n");
	sink = reopen(sink, "run", "t", NULL);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select id from t"), "2\n");
	sink = open_sink(&sink_sqlite_adapter, config_of_run("t", NULL, REPLACE)); /* its own are kept */
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select id from t"), "2\n");
}

LOOP_TEST(sqlite_open_changes_nothing)
{
	struct sink *sink = NULL;
	run_env = (struct sink_env){.run = "run"};
	ck_assert_int_eq(
		sink_sqlite_adapter.sink->open(sqlite_config(db_path(), "t", NULL, "id"), &run_env, &sink, &last_error),
		0);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_int_ne(access(db_path(), F_OK), 0);
	query("create table u (x)");
	ck_assert_int_eq(
		sink_sqlite_adapter.sink->open(sqlite_config(db_path(), "t", NULL, "id"), &run_env, &sink, &last_error),
		0);
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select name from sqlite_schema where type = 'table'"), "u\n");
	ck_assert_str_eq(query("pragma journal_mode"), "delete\n");
}

LOOP_TEST(sqlite_keeps_a_ledger_only_for_runs_that_can_resume)
{
	struct sink *sink = open_run(NULL, "t", "id");
	ck_assert_int_eq(sink_sqlite_adapter.sink->exactness(sink), SINK_BY_KEY);
	ck_assert_str_eq(written(sink), "");
	sink = reopen(sink, NULL, "u", NULL);
	ck_assert_int_eq(sink_sqlite_adapter.sink->exactness(sink), SINK_REPEATS);
	ck_assert_str_eq(written(sink), "");
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select name from sqlite_schema where type = 'table' order by name"), "t\nu\n");
}

LOOP_TEST(sqlite_notes_only_what_is_there)
{
	struct batch batch = {0};
	query("create table t (id unique, n check (n > 0));"
	      "create trigger refuse before insert on t when new.id = 5 begin select raise(rollback, 'no'); end");
	struct sink *sink = open_run("run", "t", NULL);
	add_with_id(&batch, 11, "{\"id\":1}");
	add_with_id(&batch, 12, "{\"id\":1}");
	add_with_id(&batch, 13, "nonsense");
	add_with_id(&batch, 14, "{\"id\":4}");
	add_with_id(&batch, 15, "{\"id\":5}");
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), 0);
	drop(&batch);
	sink = reopen(sink, "run", "t", NULL);
	ck_assert_str_eq(written(sink), "11 14");
	sqlite3 *other;
	ck_assert_int_eq(sqlite3_open(db_path(), &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
	add_with_id(&batch, 16, "{\"id\":6}");
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), WEIR_EBUSY);
	sqlite3_close(other);
	drop(&batch);
	sink = reopen(sink, "run", "t", NULL);
	ck_assert_str_eq(written(sink), "11 14");
	close_sink(&sink_sqlite_adapter, sink);
}

LOOP_TEST(sqlite_forgets_other_runs_but_those_that_wrote_last)
{
	struct sink *sink = open_run("first", "t", NULL);
	write_ids(sink, 1, 2);
	close_sink(&sink_sqlite_adapter, sink);
	query("with recursive n(i) as (select 1 union all select i + 1 from n where i < 1100)"
	      " insert into weir_ledger(run, \"table\", ids) select 'run ' || i, 't', x'0700000000000000' from n");
	sink = open_run("first", "t", NULL);
	ck_assert_str_eq(written(sink), "1 2"); /* its own, however old */
	sink = reopen(sink, "run 1100", "t", NULL);
	ck_assert_str_eq(written(sink), "7");
	write_ids(sink, 8, 8);
	sink = reopen(sink, "run 1", "t", NULL);
	ck_assert_str_eq(written(sink), "");
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select count(*), min(run = 'first') from weir_ledger"), "1000|0\n");
}

LOOP_TEST(sqlite_refuses_its_ledger_as_a_table_for_rows)
{
	ck_assert_str_eq(refused_key("Weir_Ledger", NULL, NULL), "table");
	query("create table weir_ledger (mine)");
	run_env.run = "run";
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, sqlite_config(db_path(), "t", NULL, NULL)), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "weir_ledger in") && strstr(last_error.text, "was not created by weir"),
		      "%s", last_error.text);
}

/* The broker, as far as it matters here: which items it was told of. */
static void ack_written(bool *acked, const char *ids)
{
	char *end;
	for (; *ids; ids = *end ? end + 1 : end)
		acked[strtoul(ids, &end, 10)] = true;
}

/* Batches of what is not acked, killed between the write and the ack at times. */
FIBER_TEST(sqlite_without_a_key_has_each_row_once_however_often_it_is_killed)
{
	enum { ITEMS = 400 };
	bool acked[ITEMS + 1] = {false};
	uint64_t random = test_seed() + 1;
	query("drop table if exists t; drop table if exists weir_ledger");
	struct sink *sink = open_run("run", "t", NULL);
	for (size_t left = ITEMS; left;) {
		struct batch batch = {0};
		bool told[ITEMS + 1] = {false};
		size_t most = 1 + weir_random_below(&random, 40);
		for (uint64_t id = 1; id <= ITEMS && batch.n < most; id++)
			if (!acked[id] && weir_random_below(&random, 4)) {
				add_with_id(&batch, id, test_format("{\"id\":%llu}", (unsigned long long)id));
				told[id] = true;
			}
		write_all(&sink_sqlite_adapter, sink, &batch);
		if (weir_random_below(&random, 3)) {
			for (uint64_t id = 1; id <= ITEMS; id++)
				acked[id] |= told[id];
		} else {
			sink = reopen(sink, "run", "t", NULL);
			ack_written(acked, written(sink));
		}
		left = 0;
		for (uint64_t id = 1; id <= ITEMS; id++)
			left += !acked[id];
	}
	close_sink(&sink_sqlite_adapter, sink);
	ck_assert_str_eq(query("select count(*), count(distinct id), sum(id) from t"),
			 test_format("%d|%d|%d\n", ITEMS, ITEMS, ITEMS * (ITEMS + 1) / 2));
}

LOOP_TEST(sqlite_has_synced_its_rows_before_a_write_returns)
{
	struct sink *sink = open_run("run", "t", NULL);
	write_ids(sink, 1, 1);
	unsigned before = syncs_seen();
	write_ids(sink, 2, 2);
	ck_assert_uint_gt(syncs_seen(), before);
	before = syncs_seen();
	ck_assert_str_eq(query("select count(*) from t"), "2\n");
	ck_assert_uint_eq(syncs_seen(), before);
	close_sink(&sink_sqlite_adapter, sink);
}
