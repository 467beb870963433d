/* SPDX-License-Identifier: MIT */
/* The source of rows on the real SQLite; what all sources of SQL databases share is tested with it. */
#include "unit/sources.h"
#include "unit/sqlites.h"

static void *rows_config(const char *table, const char *query_text, const char *key, const char *where, int64_t page)
{
	const struct adapter *adapter = &source_sqlite_adapter;
	void *config = keep(calloc(1, adapter->config_bytes));
	set_key(adapter, config, "path", &(const char *){db_path()}, sizeof(char *));
	set_key(adapter, config, "table", &table, sizeof table);
	set_key(adapter, config, "query", &query_text, sizeof query_text);
	set_key(adapter, config, "key", &key, sizeof key);
	set_key(adapter, config, "where", &where, sizeof where);
	set_key(adapter, config, "page", &page, sizeof page);
	return config;
}

static int open_code(const void *config, struct source **ret_source)
{
	const char *key;
	last_error = (struct weir_error){0};
	*ret_source = NULL;
	int code = source_sqlite_adapter.check(config, &key, &last_error);
	return code ? code : source_sqlite_adapter.source->open(config, ret_source, &last_error);
}

static struct source *open_rows(const void *config)
{
	struct source *source;
	int code = open_code(config, &source);
	ck_assert_msg(code == 0, "%s", last_error.text);
	return source;
}

static void close_rows(struct source *source)
{
	source_sqlite_adapter.source->close(source);
}

/* What refuses the config, when it is checked or opened. */
static const char *refusal(const char *table, const char *query_text, const char *key, const char *where)
{
	struct source *source;
	int code = open_code(rows_config(table, query_text, key, where, 3), &source);
	ck_assert_msg(code < 0 && !source, "%s", query_text ? query_text : table);
	return last_error.text;
}

static void expect_refusal(const char *table, const char *query_text, const char *key, const char *where,
			   const char *part)
{
	const char *why = refusal(table, query_text, key, where);
	ck_assert_msg(strstr(why, part) != NULL, "%s", why);
}

static const char *read_some(struct source *source, size_t most)
{
	return read_items(source_sqlite_adapter.source, source, most);
}

static const char *read_all(const void *config)
{
	struct source *source = open_rows(config);
	const char *items = read_some(source, SIZE_MAX);
	close_rows(source);
	return items;
}

static void make_numbers(int n)
{
	query(test_format("create table t (id integer primary key, name text);"
			  "with recursive n(i) as (select 1 union all select i + 1 from n where i < %d)"
			  " insert into t select i * 10, 'n' || i from n",
			  n));
}

LOOP_TEST(rows_are_objects_in_the_order_of_the_key)
{
	query("create table t (id integer primary key, a, b real, \"c d\" text);"
	      "insert into t values (3, 9007199254740993, 0.1, 'x\"'), (1, null, 1e300, ''), (2, 1.5, 9e999, char(0))");
	ck_assert_str_eq(read_all(rows_config("t", NULL, "id", NULL, 1)),
			 "1 {\"id\":1,\"a\":null,\"b\":1e+300,\"c d\":\"\"}\n"
			 "2 {\"id\":2,\"a\":1.5,\"b\":1e999,\"c d\":\"\\u0000\"}\n"
			 "3 {\"id\":3,\"a\":9007199254740993,\"b\":0.1,\"c d\":\"x\\\"\"}\n");
	query("delete from t");
	ck_assert_str_eq(read_all(rows_config("t", NULL, "id", NULL, 1)), "");
}

LOOP_TEST(rows_come_once_whatever_the_size_of_a_page)
{
	static const int64_t sizes[] = {1, 2, 3, 6, 7, 8, 1000};
	make_numbers(7);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		ck_assert_str_eq(read_all(rows_config(NULL, "select id from t -- a comment", "id", NULL, sizes[i])),
				 "1 {\"id\":10}\n2 {\"id\":20}\n3 {\"id\":30}\n4 {\"id\":40}\n5 {\"id\":50}\n"
				 "6 {\"id\":60}\n7 {\"id\":70}\n");
		ck_assert_str_eq(
			read_all(rows_config("t", NULL, "id", "name in ('n2', 'n;3') or id > 50 -- x", sizes[i])),
			"1 {\"id\":20,\"name\":\"n2\"}\n2 {\"id\":60,\"name\":\"n6\"}\n"
			"3 {\"id\":70,\"name\":\"n7\"}\n");
	}
}

LOOP_TEST(rows_have_keys_of_every_type)
{
	query("create table t (k unique); insert into t values ('b'), (2), (1.5), ('a ''x'), ('10'), (-3), (1e300), "
	      "('')");
	ck_assert_str_eq(
		read_all(rows_config("t", NULL, "K", NULL, 1)),
		"1 {\"k\":-3}\n2 {\"k\":1.5}\n3 {\"k\":2}\n4 {\"k\":1e+300}\n5 {\"k\":\"\"}\n6 {\"k\":\"10\"}\n"
		"7 {\"k\":\"a 'x\"}\n8 {\"k\":\"b\"}\n");
}

/* Reads n items, is killed, and goes on. */
static const char *read_on(const void *config, struct source_cursor *cursor, struct buf *identity, size_t n)
{
	const struct source_ops *ops = source_sqlite_adapter.source;
	struct source *source = open_rows(config);
	if (identity->len)
		ck_assert_msg(ops->resume(source, identity->data, cursor, false, &last_error) == 0, "%s",
			      last_error.text);
	buf_clear(identity);
	ck_assert(ops->identify(source, identity));
	const char *items = read_some(source, n);
	ops->cursor(source, cursor);
	close_rows(source);
	return items;
}

LOOP_TEST(rows_are_read_on_where_it_was_however_often_it_is_killed)
{
	for (size_t n = 1; n < 5; n++) {
		struct source_cursor cursor = {0};
		struct buf identity = {0}, all = {0};
		const void *config = rows_config("t", NULL, "id", NULL, 3);
		query("drop table if exists t");
		make_numbers(10);
		const char *part;
		do {
			part = read_on(config, &cursor, &identity, n);
			buf_add_str(&all, part);
		} while (*part);
		ck_assert_str_eq(all.data, read_all(config));
		query("insert into t values (105, 'new'), (15, 'too late')");
		ck_assert_str_eq(read_on(config, &cursor, &identity, 99), "11 {\"id\":105,\"name\":\"new\"}\n");
		buf_fini(&identity);
		buf_fini(&all);
	}
}

LOOP_TEST(rows_may_change_while_they_are_read)
{
	make_numbers(6);
	struct source *source = open_rows(rows_config("t", NULL, "id", NULL, 2));
	ck_assert_str_eq(read_some(source, 3), "1 {\"id\":10,\"name\":\"n1\"}\n2 {\"id\":20,\"name\":\"n2\"}\n"
					       "3 {\"id\":30,\"name\":\"n3\"}\n");
	query("delete from t where id in (10, 30, 50); update t set name = 'new' where id = 60"); /* nothing is locked
												   */
	const char *rest = read_some(source, 9);
	ck_assert_msg(strstr(rest, "\"id\":60") && !strstr(rest, "\"id\":30"), "%s", rest);
	close_rows(source);
}

static const char *resumed(const void *config, const char *identity, const char *position, bool adopt)
{
	struct source *source = open_rows(config);
	struct source_cursor cursor = {0};
	snprintf(cursor.text, sizeof cursor.text, "%s", position);
	last_error = (struct weir_error){0};
	source_sqlite_adapter.source->resume(source, identity, &cursor, adopt, &last_error);
	close_rows(source);
	return last_error.text;
}

LOOP_TEST(rows_of_another_database_or_query_are_refused)
{
	struct buf identity = {0}, other = {0};
	make_numbers(3);
	const void *config = rows_config("t", NULL, "id", NULL, 3);
	struct source *source = open_rows(config);
	source_sqlite_adapter.source->identify(source, &identity);
	close_rows(source);
	ck_assert_str_eq(resumed(config, identity.data, "row=1 key=10", false), "");
	ck_assert_str_eq(resumed(config, identity.data, "", false), "");
	ck_assert_ptr_nonnull(strstr(resumed(config, identity.data, "row=x", false), "invalid position"));
	ck_assert_ptr_nonnull(strstr(resumed(rows_config("t", NULL, "id", "id > 1", 3), identity.data, "", false),
				     "is not the one that this run began with"));
	query(test_format("vacuum into '%s/copy.db'", test_folder()));
	ck_assert_int_eq(rename(test_format("%s/copy.db", test_folder()), db_path()), 0);
	ck_assert_ptr_nonnull(strstr(resumed(config, identity.data, "row=1 key=10", false), "--adopt"));
	ck_assert_str_eq(resumed(config, identity.data, "row=1 key=10", true), "");
	buf_fini(&identity);
	buf_fini(&other);
}

LOOP_TEST(rows_are_counted_with_those_before)
{
	bool exact = false;
	make_numbers(50);
	struct source *source = open_rows(rows_config("t", NULL, "id", "id > 100", 7));
	read_some(source, 1);
	ck_assert_int_eq(source_sqlite_adapter.source->total(source, &exact), 40);
	ck_assert(exact);
	struct source_cursor cursor;
	struct buf identity = {0};
	read_some(source, 8);
	source_sqlite_adapter.source->cursor(source, &cursor);
	source_sqlite_adapter.source->identify(source, &identity);
	close_rows(source);
	source = open_rows(rows_config("t", NULL, "id", "id > 100", 7));
	ck_assert_int_eq(source_sqlite_adapter.source->resume(source, identity.data, &cursor, false, &last_error), 0);
	ck_assert_str_eq(read_some(source, 1), "10 {\"id\":200,\"name\":\"n20\"}\n");
	ck_assert_int_eq(source_sqlite_adapter.source->total(source, &exact), 40);
	close_rows(source);
	buf_fini(&identity);
}

LOOP_TEST(rows_that_are_no_items_are_bad_ones)
{
	query("create table t (id integer primary key, x); insert into t values (1, x'00'), (2, 'fine'), "
	      "(3, cast(x'ff' as text)), (4, replace(hex(zeroblob(600000)), '00', 'xy'))");
	ck_assert_str_eq(read_all(rows_config("t", NULL, "id", NULL, 3)),
			 "1 !a column holds a blob; leave it out, or select hex() of it\n2 {\"id\":2,\"x\":\"fine\"}\n"
			 "3 !a column holds text that is not valid UTF-8\n4 !the row has more than 1 MiB\n");
}

LOOP_TEST(rows_need_a_key_that_is_one)
{
	query("create table t (id, x, y); insert into t values (1, 1, 1), (2, null, 2), (3, 3, 1)");
	expect_refusal("t", NULL, "none", NULL, "has no column none, the key");
	expect_refusal("t", NULL, "x", NULL, "the key x is null in some rows");
	expect_refusal("t", NULL, "y", NULL, "the key y is not unique");
	ck_assert_str_eq(read_all(rows_config("t", NULL, "x", "x > 1", 3)), "1 {\"id\":3,\"x\":3,\"y\":1}\n");
	ck_assert_str_eq(read_all(rows_config("t", NULL, "y", "id > 1", 3)),
			 "1 {\"id\":3,\"x\":3,\"y\":1}\n2 {\"id\":2,\"x\":null,\"y\":2}\n");
	expect_refusal("none", NULL, "id", NULL, "no such table");
	query("insert into t values ('" /* longer than a position */
	      "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
	      "0123456789012345678901234567890123456789012345678901234567890123456789', 4, 4)");
	ck_assert_ptr_nonnull(strstr(read_all(rows_config("t", NULL, "id", NULL, 3)), "too long for a position"));
}

/* Too late for the check at the start: here they come while it reads, behind the page that is read ahead.  Nobody sees
 * them in a page that was read before. */
LOOP_TEST(rows_with_one_key_are_found_wherever_a_page_ends)
{
	static const int64_t pages[] = {1, 2, 3, 8};
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		int64_t page = pages[i];
		query("drop table if exists t; create table t (id integer, n); insert into t values (1, 1), (2, 2), "
		      "(3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8), (9, 9)");
		struct source *source = open_rows(rows_config("t", NULL, "id", NULL, page));
		ck_assert_ptr_nonnull(strstr(read_some(source, 1), "1 {\"id\":1"));
		query("insert into t select 8, n from t");
		ck_assert_ptr_nonnull(strstr(read_some(source, 99),
					     page < 8 ? "the key id is not unique: 8 occurs twice" : "\"id\":9"));
		close_rows(source);
	}
}

LOOP_TEST(rows_need_one_query_that_only_reads)
{
	make_numbers(1);
	expect_refusal(NULL, NULL, "id", NULL, "name a table or a query, from which rows are read");
	expect_refusal("t", "select 1", "id", NULL, "not both");
	expect_refusal(NULL, "select * from t; delete from t", "id", NULL, "contains a ';'");
	expect_refusal(NULL, "select * from t where id > $1", "id", NULL, "has a parameter ($1)");
	expect_refusal("t", NULL, "id", "id > ?", "has a parameter (?)");
	expect_refusal("t", NULL, "id", "id > :least", "has a parameter (?)");
	expect_refusal(NULL, "delete from t returning id", "id", NULL, "syntax error");
	expect_refusal("a b", NULL, "id", NULL, "cannot be the name of a table");
	expect_refusal("t", NULL, "a-b", NULL, "cannot be the name of a column");
	ck_assert_str_eq(read_all(rows_config(NULL, "select ';$1?' as x, id from t /* ; */", "id", NULL, 3)),
			 "1 {\"x\":\";$1?\",\"id\":10}\n");
	ck_assert_str_eq(query("select count(*) from t"), "1\n");
	test_write_file("out.db", "this is no database, however long one looks at it");
	expect_refusal("t", NULL, "id", NULL, "not a database");
}

LOOP_TEST(rows_wait_for_a_database_that_others_have_locked)
{
	sqlite3 *other;
	make_numbers(3);
	struct source *source = open_rows(rows_config("t", NULL, "id", NULL, 3));
	ck_assert_int_eq(sqlite3_open(db_path(), &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other, "begin exclusive", NULL, NULL, NULL), SQLITE_OK);
	struct item *item = item_new();
	ck_assert_int_eq(source_sqlite_adapter.source->next(source, item, &last_error, weir_now() + 10 * WEIR_MSEC),
			 WEIR_ETIMEDOUT);
	item_free(item);
	ck_assert_int_eq(sqlite3_exec(other, "commit", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	ck_assert_ptr_nonnull(strstr(read_some(source, 99), "3 {\"id\":30,\"name\":\"n3\"}\n"));
	close_rows(source);
}
