/* SPDX-License-Identifier: MIT */
/* Several processes write into a table without a key: to SQLite each connection is one. */
#include "unit/sqlites.h"

#include <weir/random.h>

#define RUN   "0123456789abcdef0123456789abcdef"
#define OTHER "ffffffffffffffffffffffffffffffff"

static void *config_of(const char *columns, int on_start)
{
	void *config = sqlite_config(db_path(), "t", NULL, columns);
	set_key(&sink_sqlite_adapter, config, "on_start", &on_start, sizeof on_start);
	set_key(&sink_sqlite_adapter, config, "ledger_keep", &(weir_nsec){7 * 86400 * WEIR_SEC}, sizeof(weir_nsec));
	return config;
}

static struct sink *open_only(const char *run, const void *config)
{
	struct sink *sink = NULL;
	run_env = (struct sink_env){.run = run, .shared = true};
	int code = sink_sqlite_adapter.sink->open(config, &run_env, &sink, &last_error);
	ck_assert_msg(!code, "%s", last_error.text);
	return sink;
}

static struct sink *start(struct sink *sink)
{
	ck_assert_msg(!sink_sqlite_adapter.sink->start(sink, &last_error), "%s", last_error.text);
	return sink;
}

static struct sink *open_shared(const char *run, int on_start)
{
	return start(open_only(run, config_of("id", on_start)));
}

static void close_one(struct sink *sink)
{
	close_sink(&sink_sqlite_adapter, sink);
}

static void expect_refusal(const char *run, int on_start, const char *why)
{
	run_env = (struct sink_env){.run = run, .shared = true};
	ck_assert_int_eq(refused_open(&sink_sqlite_adapter, config_of("id", on_start)), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, why), "%s", last_error.text);
}

static void number(struct batch *batch, uint64_t first)
{
	for (size_t i = 0; i < batch->n; i++)
		((struct item *)(uintptr_t)batch->items[i].item)->id = first + i;
}

static void add_ids(struct batch *batch, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++)
		add(batch, test_format("{\"id\":%llu}", (unsigned long long)id), NULL);
	number(batch, first);
}

static void write_ids(struct sink *sink, uint64_t first, uint64_t last)
{
	struct batch batch = {0};
	add_ids(&batch, first, last);
	write_all(&sink_sqlite_adapter, sink, &batch);
}

LOOP_TEST(sqlite_shared_writes_an_item_once_whoever_tries)
{
	struct batch batch = {0};
	struct sink *one = open_shared(RUN, REFUSE), *two = open_shared(RUN, REFUSE);
	ck_assert_int_eq(sink_sqlite_adapter.sink->exactness(one), SINK_BY_CLAIM);
	for (int i = 0; i < 3; i++) {
		add(&batch, "{\"id\":1}", "{\"id\":2}", NULL);
		add(&batch, "{\"id\":3}", NULL);
		number(&batch, UINT64_MAX - 1);
		write_all(&sink_sqlite_adapter, i == 1 ? two : one, &batch);
	}
	write_ids(two, 4, 300);
	write_ids(one, 200, 400);
	close_one(one);
	close_one(two);
	ck_assert_str_eq(query("select count(*), count(distinct id), max(id) from t"), "400|400|400\n");
	/* Who joins later finds rows of the run; another run finds rows of others. */
	one = open_shared(RUN, REFUSE);
	write_ids(one, 300, 401);
	close_one(one);
	expect_refusal(OTHER, REFUSE, "has rows that this run has not written");
	one = open_shared(OTHER, APPEND);
	write_ids(one, 7, 7);
	close_one(one);
	ck_assert_str_eq(query("select count(*), count(distinct id) from t"), "402|401\n");
	ck_assert_str_eq(query("select r.run, count(*) from weir_ledger_items i join weir_ledger_runs r"
			       " on r.number = i.run group by r.run order by r.run"),
			 RUN "|400\n" OTHER "|1\n");
	ck_assert_str_eq(query("select count(*) from sqlite_schema where name = 'weir_ledger'"), "0\n");
}

/* One that is refused is not claimed: it may be written when the table has been mended. */
LOOP_TEST(sqlite_shared_claims_all_outputs_of_an_item_or_none)
{
	static const int good[] = {1, 0, 1, 0, 0};
	struct batch batch = {0};
	query("create table t (id int check (id > 0));"
	      "create trigger refuse before insert on t when new.id = 9 begin select raise(rollback, 'no'); end");
	struct sink *sink = open_shared(RUN, REFUSE);
	for (int mended = 0; mended < 2; mended++) {
		add(&batch, "{\"id\":1}", "{\"id\":2}", NULL);
		add(&batch, "{\"id\":3}", mended ? "{\"id\":4}" : "{\"id\":-4}", NULL);
		add(&batch, "{\"id\":5}", NULL);
		add(&batch, mended ? "{\"id\":6}" : "{\"id\":-6}", NULL);
		add(&batch, mended ? "{\"id\":7}" : "{\"id\":9}", NULL);
		number(&batch, 11);
		ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), 0);
		for (size_t i = 0; i < batch.n; i++)
			ck_assert_int_eq(batch.items[i].verdict, mended || good[i] ? 0 : WEIR_EDATA);
		drop(&batch);
		ck_assert_str_eq(
			query("select group_concat(item) from (select item from weir_ledger_items order by 1)"),
			mended ? "11,12,13,14,15\n" : "11,13\n");
		ck_assert_str_eq(query("select group_concat(id) from (select id from t order by id)"),
				 mended ? "1,2,3,4,5,6,7\n" : "1,2,5\n");
	}
	close_one(sink);
}

/* The last of a batch rolls back what the first one's claim has made. */
LOOP_TEST(sqlite_shared_makes_its_ledger_again_when_a_row_has_undone_it)
{
	struct batch batch = {0};
	query("create table t (id int);"
	      "create trigger refuse before insert on t when new.id = 9 begin select raise(rollback, 'no'); end");
	struct sink *sink = open_shared(RUN, REFUSE);
	add(&batch, "{\"id\":9}", NULL);
	add(&batch, "{\"id\":1}", NULL);
	number(&batch, 1);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), 0);
	expect_verdicts(&batch, 0, "no");
	drop(&batch);
	write_ids(sink, 3, 4);
	close_one(sink);
	ck_assert_str_eq(query("select count(*), (select count(*) from weir_ledger_items) from t"), "3|3\n");
}

LOOP_TEST(sqlite_shared_replaces_rows_once_whoever_begins)
{
	query("create table t (id); insert into t values (77)");
	const void *config = config_of("id", REPLACE);
	struct sink *one = open_only(RUN, config), *two = open_only(RUN, config);
	start(one);
	write_ids(one, 1, 2);
	start(two);
	write_ids(two, 2, 3);
	struct sink *three = open_shared(RUN, REPLACE);
	write_ids(three, 3, 4);
	ck_assert_str_eq(query("select group_concat(id) from (select id from t order by id)"), "1,2,3,4\n");
	/* A run in its place has a ledger of its own; who still works on the first one knows its own. */
	struct sink *fresh = open_shared(OTHER, REPLACE);
	write_ids(fresh, 1, 1);
	write_ids(three, 1, 4);
	ck_assert_str_eq(query("select group_concat(id) from t"), "1\n");
	close_one(one);
	close_one(two);
	close_one(three);
	close_one(fresh);
	ck_assert_str_eq(query("select run, count(*) from weir_ledger_items group by run"), "1|4\n2|1\n");
	/* Also by a run that writes no row. */
	close_one(open_shared(OTHER, REPLACE));
	ck_assert_str_eq(query("select count(*) from t"), "1\n");
	close_one(open_shared("third", REPLACE));
	ck_assert_str_eq(query("select count(*) from t"), "0\n");
}

/* An item that has a row, and whose ack was lost, fails elsewhere: then it has a letter, too. */
LOOP_TEST(sqlite_shared_claims_an_item_in_each_table_of_a_run)
{
	struct sink *sinks[2];
	query("create table t (id); insert into t values (7); create table letters (id); insert into letters values "
	      "(7)");
	for (int i = 0; i < 2; i++) {
		void *config = sqlite_config(db_path(), i ? "letters" : "t", NULL, "id");
		set_key(&sink_sqlite_adapter, config, "on_start", &(int){REPLACE}, sizeof(int));
		sinks[i] = open_only(RUN, config);
	}
	for (int i = 0; i < 2; i++)
		start(sinks[i]);
	for (int i = 0; i < 4; i++)
		write_ids(sinks[i % 2], 1, 2);
	for (int i = 0; i < 2; i++)
		close_one(sinks[i]);
	ck_assert_str_eq(query("select (select group_concat(id) from t), (select group_concat(id) from letters)"),
			 "1,2|1,2\n");
	ck_assert_str_eq(query("select \"table\", count(*) from weir_ledger_items i join weir_ledger_runs r"
			       " on r.number = i.run group by 1 order by 1"),
			 "letters|2\nt|2\n");
}

LOOP_TEST(sqlite_shared_begins_while_the_database_is_locked)
{
	sqlite3 *other;
	query("create table t (id)");
	close_one(open_shared(RUN, REFUSE)); /* now it is in WAL mode */
	ck_assert_int_eq(sqlite3_open(db_path(), &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
	struct batch batch = {0};
	struct sink *sink = open_shared(RUN, REFUSE);
	add_ids(&batch, 1, 2);
	ck_assert_int_eq(write_code(&sink_sqlite_adapter, sink, &batch), WEIR_EBUSY);
	ck_assert_int_eq(sqlite3_exec(other, "commit", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	write_all(&sink_sqlite_adapter, sink, &batch);
	close_one(sink);
	ck_assert_str_eq(query("select count(*) from t"), "2\n");
}

LOOP_TEST(sqlite_shared_forgets_runs_that_ended_long_ago_in_pages)
{
	static const char *const left[] = {"9001\n", "7002\n", "7003\n", "7004\n"};
	close_one(open_shared(RUN, REFUSE));
	struct sink *sink = open_shared("another", REFUSE);
	write_ids(sink, 1, 1);
	close_one(sink);
	query("delete from weir_ledger_items; delete from weir_ledger_runs; delete from t;"
	      "insert into weir_ledger_runs values (1, 'old', 't', strftime('%s', 'now') - 8 * 86400),"
	      " (2, 'young', 't', strftime('%s', 'now') - 6 * 86400);"
	      "with recursive n(i) as (select 1 union all select i + 1 from n where i < 7000)"
	      " insert into weir_ledger_items select number, i from weir_ledger_runs, n");
	sink = open_shared(RUN, REFUSE);
	write_ids(sink, 1, 1); /* notes that it is alive, and then looks after the others */
	ck_assert_str_eq(query("select count(*) from weir_ledger_items"), "14001\n");
	query("delete from weir_ledger_items where run = 3; delete from t");
	for (uint64_t i = 0; i < 4; i++) {
		write_ids(sink, i + 1, i + 1);
		ck_assert_str_eq(query("select count(*) from weir_ledger_items"), left[i]);
	}
	close_one(sink);
	ck_assert_str_eq(query("select group_concat(run) from (select run from weir_ledger_runs order by run)"),
			 RUN ",young\n");
}

FIBER_TEST(sqlite_shared_notes_that_a_run_is_alive)
{
	struct sink *sink = open_shared(RUN, REFUSE);
	write_ids(sink, 1, 1);
	close_one(sink);
	query("update weir_ledger_runs set seen = 0");
	sink = open_shared(RUN, REFUSE);
	write_ids(sink, 1, 2);
	ck_assert_str_eq(query("select count(*) from weir_ledger_runs where seen > strftime('%s', 'now') - 60"), "1\n");
	query("update weir_ledger_runs set seen = 0");
	write_ids(sink, 3, 3);
	ck_assert_str_eq(query("select seen from weir_ledger_runs"), "0\n");
	ck_assert_int_eq(weir_sleep(600 * WEIR_SEC), 0);
	write_ids(sink, 4, 4);
	ck_assert_str_eq(query("select seen > 0 from weir_ledger_runs"), "1\n");
	close_one(sink);
}

LOOP_TEST(sqlite_shared_refuses_what_it_does_not_know)
{
	query("create table weir_ledger_items (mine); create table t (id)");
	expect_refusal(RUN, REFUSE, "was not created by weir");
	query("drop table weir_ledger_items");
	struct sink *sink = open_shared(RUN, REFUSE);
	write_ids(sink, 1, 1);
	close_one(sink);
	query("drop table t");
	expect_refusal(RUN, REFUSE, "table t in ");
	ck_assert_msg(strstr(last_error.text, "is missing, with rows"), "%s", last_error.text);
	run_env.adopt = true;
	ck_assert_int_eq(sink_sqlite_adapter.sink->open(config_of("id", REFUSE), &run_env, &sink, &last_error), 0);
	close_one(sink);
}

/* Both look at the table before either has altered it. */
LOOP_TEST(sqlite_shared_adds_a_column_once_whoever_begins)
{
	query("create table t (id)");
	void *config = config_of("id added", REFUSE);
	set_key(&sink_sqlite_adapter, config, "alter", &(bool){true}, sizeof(bool));
	struct sink *one = open_only(RUN, config), *two = open_only(RUN, config);
	start(one);
	write_ids(one, 1, 1);
	start(two);
	write_ids(two, 2, 2);
	close_one(one);
	close_one(two);
	ck_assert_str_eq(query("select group_concat(id), count(added) from t"), "1,2|0\n");
}

/* Two that share a new table learn of its columns in turn. */
LOOP_TEST(sqlite_shared_makes_a_table_of_the_first_rows_of_all)
{
	struct batch batch = {0};
	const void *config = config_of(NULL, REFUSE);
	struct sink *sinks[] = {open_only(RUN, config), open_only(RUN, config)};
	for (int i = 0; i < 2; i++)
		start(sinks[i]);
	for (uint64_t i = 0; i < 6; i++) {
		add(&batch, test_format("{\"id\":%d,\"%c\":1}", (int)i, "abcabc"[i]), NULL);
		number(&batch, i);
		write_all(&sink_sqlite_adapter, sinks[i % 2], &batch);
	}
	for (int i = 0; i < 2; i++)
		close_one(sinks[i]);
	ck_assert_str_eq(query("select count(*), sum(a), sum(b), sum(c) from t"), "6|2|2|2\n");
}

/* Workers take what is not acked and write it.  A broker loses acks, and hands out what others have in hand. */
FIBER_TEST(sqlite_shared_has_each_row_once_whatever_acks_are_lost)
{
	enum { ITEMS = 300, WORKERS = 3 };
	bool acked[ITEMS + 1] = {false};
	uint64_t random = test_seed() + 1;
	struct sink *sinks[WORKERS];
	for (int i = 0; i < WORKERS; i++)
		sinks[i] = open_shared(RUN, REFUSE);
	for (size_t left = ITEMS; left;) {
		struct batch batch = {0};
		bool has[ITEMS + 1] = {false};
		struct sink **sink = &sinks[weir_random_below(&random, WORKERS)];
		size_t most = 1 + weir_random_below(&random, 40);
		for (uint64_t id = 1; id <= ITEMS && batch.n < most; id++)
			if (!acked[id] && weir_random_below(&random, 4)) {
				add(&batch, test_format("{\"id\":%llu}", (unsigned long long)id), NULL);
				((struct item *)(uintptr_t)batch.items[batch.n - 1].item)->id = id;
				has[id] = true;
			}
		write_all(&sink_sqlite_adapter, *sink, &batch);
		switch (weir_random_below(&random, 4)) {
		case 0: /* killed before the ack */
			close_one(*sink);
			*sink = open_shared(RUN, REFUSE);
			break;
		case 1: /* the ack was lost */
			break;
		default:
			for (uint64_t id = 1; id <= ITEMS; id++)
				acked[id] |= has[id];
		}
		left = 0;
		for (uint64_t id = 1; id <= ITEMS; id++)
			left += !acked[id];
	}
	for (int i = 0; i < WORKERS; i++)
		close_one(sinks[i]);
	ck_assert_str_eq(query("select count(*), count(distinct id), sum(id) from t"),
			 test_format("%d|%d|%d\n", ITEMS, ITEMS, ITEMS * (ITEMS + 1) / 2));
}
