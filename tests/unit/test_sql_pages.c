/* SPDX-License-Identifier: MIT */
/* Pages of rows from a database that takes 10 ms for each; what the databases do is tested with the real ones. */
#include "sql/pages.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_TIME (10 * WEIR_MSEC)

struct db {
	struct sql_pages pages; /* first: it is the source */
	int rows, reads;
	int fails; /* reads that are still to fail */
};

/* Keys from 1 on. */
static int read_rows(void *handle, const char *from, size_t n, struct sql_page *page, struct weir_error *err)
{
	struct db *db = handle;
	int code = weir_sleep(PAGE_TIME);
	db->reads++;
	if (code || (db->fails && db->fails--))
		return weir_error_set(err, code ? code : WEIR_EIO, "no page");
	for (int key = from ? atoi(from) : 1; key <= db->rows && page->n < n && !code; key++) {
		size_t begin = page->text.len;
		buf_addf(&page->text, "{\"id\":%d}", key);
		code = sql_page_add(page, test_format("%d", key), begin, NULL);
	}
	return code ? code : page->n == n;
}

static int64_t count_rows(void *handle, const char *behind, bool *ret_exact)
{
	struct db *db = handle;
	*ret_exact = true;
	return db->rows - (behind ? atoi(behind) : 0);
}

static const struct sql_pages_ops ops = {.read = read_rows, .count = count_rows};
static const struct sql_source_config config = {.key = (char *)(uintptr_t) "id", .page = 3};

static struct source *open_db(struct db *db, int rows)
{
	*db = (struct db){.rows = rows};
	sql_pages_init(&db->pages, &config, &ops, db);
	return (struct source *)db;
}

static int next(struct source *source, weir_nsec deadline)
{
	struct weir_error err = {0};
	struct item *item = item_new();
	int verdict = sql_source_next(source, item, &err, deadline);
	int id = verdict == SOURCE_ITEM ? atoi(item->source.data + strlen("{\"id\":")) : 0;
	ck_assert_int_eq(verdict < 0, err.code != 0);
	item_free(item);
	return verdict < 0 ? verdict : id;
}

FIBER_TEST(pages_are_read_while_the_one_before_is_given)
{
	struct db db;
	struct source *source = open_db(&db, 12);
	bool exact;
	weir_nsec begun = weir_now();
	for (int id = 1; id <= 12; id++) {
		ck_assert_int_eq(next(source, WEIR_FOREVER), id);
		weir_sleep(PAGE_TIME);
	}
	ck_assert_int_eq(next(source, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_now() - begun, 13 * PAGE_TIME); /* only the first page was waited for */
	ck_assert_int_eq(sql_source_total(source, &exact), 12);
	sql_pages_fini(&db.pages);
}

FIBER_TEST(pages_are_read_one_ahead_and_no_further)
{
	struct db db;
	struct source *source = open_db(&db, 100);
	ck_assert_int_eq(next(source, WEIR_FOREVER), 1);
	weir_sleep(100 * PAGE_TIME);
	ck_assert_int_eq(db.reads, 2);
	for (int id = 2; id <= 4; id++)
		ck_assert_int_eq(next(source, WEIR_FOREVER), id);
	weir_sleep(100 * PAGE_TIME);
	ck_assert_int_eq(db.reads, 3); /* the first page has been given, and nobody has asked for more */
	sql_pages_fini(&db.pages);
}

FIBER_TEST(pages_that_come_too_late_or_fail_lose_no_row)
{
	struct db db;
	struct source *source = open_db(&db, 7);
	for (int id = 1; id <= 7; id++) {
		db.fails += id == 1 || id == 3;
		while (next(source, weir_now() + WEIR_MSEC) != id)
			weir_sleep(WEIR_MSEC);
	}
	ck_assert_int_eq(next(source, WEIR_FOREVER), 0);
	ck_assert_int_eq(db.fails, 0);
	sql_pages_fini(&db.pages);
}

FIBER_TEST(pages_are_closed_while_one_is_being_read)
{
	struct db db;
	struct source *source = open_db(&db, 100);
	ck_assert_int_eq(next(source, weir_now() + WEIR_MSEC), WEIR_ETIMEDOUT);
	sql_pages_fini(&db.pages);
	ck_assert_int_eq(next(open_db(&db, 100), WEIR_FOREVER), 1);
	sql_pages_fini(&db.pages); /* before the fiber that reads the next page has begun */
}
