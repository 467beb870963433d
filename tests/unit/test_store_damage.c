/* SPDX-License-Identifier: MIT */
/* What is damaged is not believed: at the opening, and wherever a letter is read; and what an earlier weir left. */
#include "unit/stores.h"

static const struct letter_query all;

/* 60 letters, 40 items that are unfinished; closed by its run unless it is killed. */
static const char *make_letters(const char *name, bool killed)
{
	const char *folder = make_folder(name);
	struct store *store = open_store(folder, STORE_CREATE);
	start(store);
	put(store, 100, 20);
	bury(store, 256, 60, "abc");
	const char *left = killed ? copy_folder(folder, 1) : folder;
	store_close(store);
	return left;
}

static void refuse(const char *folder, unsigned flags, const char *why)
{
	struct store *store;
	ck_assert_int_eq(store_open(folder, flags, &store, &err), WEIR_EDATA);
	ck_assert_msg(strstr(err.text, why) && strstr(err.text, "weir state verify"), "%s", err.text);
}

TEST(store_refuses_a_progress_row_that_was_changed)
{
	static const char *const changes[] = {"next_chunk = 9",  "cursor = 'offset=9'",   "sealed = 1 - sealed",
					      "read = read + 1", "dead = dead - 1",       "letters = letters - 1",
					      "clean = 0",       "sink_position = x'01'", "dead_position = x'01'",
					      "dropped = 1",     "succeeded = 1",         "crc = crc + 1"};
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		const char *folder = make_letters(test_format("s%zu", i), false);
		edit(folder, test_format("UPDATE progress SET %s", changes[i]));
		refuse(folder, 0, "progress");
		refuse(folder, STORE_READONLY, "progress");
	}
}

TEST(store_notices_a_letter_that_has_gone_or_come)
{
	const char *folder = make_letters("s", false);
	edit(folder, "DELETE FROM dead WHERE id = 300");
	refuse(folder, 0, "has 59 dead letters, and should have 60");
	edit(folder, "INSERT INTO dead SELECT 999, position, bad, attempts, at, cause, crc, reason, history, evidence,"
		     " item FROM dead WHERE id = 301");
	refuse(folder, 0, "dead letter 999");
}

/* Each way to read a letter, where one of them was changed. */
static int read_letters(struct store *store, int way, struct buf *out)
{
	struct letter_mend mend = {.id = 300, .item = {"1", 1}};
	uint64_t n;
	switch (way) {
	case 0:
		return store_letters(store, &all, out, &n, &err);
	case 1:
		return store_groups(store, out, &err);
	case 2:
		return store_replay(store, &all, &n, &err);
	default:
		return store_mend(store, &mend, 1, &n, &err);
	}
}

TEST(store_gives_out_no_letter_that_was_changed)
{
	static const char *const changes[] = {"position = 9", "bad = 1",      "attempts = 2",   "at = at + 1",
					      "cause = 7",    "reason = 'x'", "history = '[]'", "evidence = NULL",
					      "item = x'31'", "crc = 1"};
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		for (int way = 0; way < 4; way++) {
			const char *folder = make_letters(test_format("s%zu.%d", i, way), false);
			edit(folder, test_format("UPDATE dead SET %s WHERE id = 300", changes[i]));
			refuse(folder, 0, "dead letter 300");
			/* Of many letters each is checked only when it is read. */
			struct store *store = open_store(folder, STORE_VERIFY);
			struct buf out = {0};
			ck_assert_int_eq(read_letters(store, way, &out), WEIR_EDATA);
			ck_assert_msg(strstr(err.text, "dead letter 300"), "%s", err.text);
			ck_assert(!out.data || !strstr(out.data, "\"id\":300"));
			buf_fini(&out);
			store_close(store);
			store = open_store(folder, STORE_VERIFY);
			ck_assert_uint_eq(store_next_chunk(store), 2); /* nothing of it has happened */
			store_close(store);
		}
	}
}

/* Its key is to be made of what stands there. */
TEST(store_gives_out_no_replayed_item_whose_history_was_changed)
{
	const char *folder = make_letters("s", false);
	struct store *store = open_store(folder, 0);
	struct item *items[STORE_CHUNK_ITEMS];
	uint64_t n;
	ck_assert_int_eq(store_replay(store, &(struct letter_query){.id = 300}, &n, &err), 0);
	store_close(store);
	edit(folder, "UPDATE retry SET history = substr(history, 2)");
	store = open_store(folder, 0);
	ck_assert_int_eq(store_load(store, store_next_chunk(store) - 1, items, &err), WEIR_EDATA);
	store_close(store);
}

/* The page at which the rows of `dead` lie. */
static off_t find_page(const char *folder)
{
	sqlite3 *db;
	sqlite3_stmt *row;
	ck_assert_int_eq(sqlite3_open(test_format("%s/" STORE_FILE, folder), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(
		sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_schema WHERE name = 'dead'", -1, &row, NULL), 0);
	ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
	off_t page = sqlite3_column_int(row, 0);
	sqlite3_finalize(row);
	sqlite3_close(db);
	return (page - 1) * 16384;
}

TEST(store_checks_its_pages_when_its_run_was_killed)
{
	static const char zeroes[4096];
	const char *folder = make_letters("s", true);
	struct store *store = open_store(folder, 0); /* copies the log into the file */
	struct broker_past past;
	ck_assert_int_eq(store_recall(store, &past, &err), 0);
	ck_assert(!past.clean);
	broker_past_fini(&past);
	store_close(store);
	overwrite(test_format("%s/" STORE_FILE, folder), find_page(folder) + 8192, zeroes, sizeof zeroes);
	refuse(folder, 0, "its pages are damaged");
	refuse(folder, STORE_READONLY, "its pages are damaged");
	struct buf findings = {0};
	ck_assert_int_eq(store_open(folder, STORE_VERIFY, &store, &err), 0);
	ck_assert_int_eq(store_verify(store, &findings, &err), WEIR_EDATA);
	store_close(store);
	buf_fini(&findings);
}

/* The number of free pages in the file's head: nothing that is read in passing shows that it is wrong. */
static void miscount_free_pages(const char *folder)
{
	overwrite(test_format("%s/" STORE_FILE, folder), 36, "\0\0\0\7", 4);
}

TEST(store_checks_its_pages_later_for_a_run)
{
	const char *folder = make_letters("s", true);
	struct broker_past past;
	store_close(open_store(folder, 0));
	struct store *store = open_store(folder, STORE_CHECK_LATER);
	start(store);
	store_close(store); /* it was never checked: the next one has to */
	store = open_store(folder, STORE_CHECK_LATER);
	ck_assert_int_eq(store_recall(store, &past, &err), 0);
	ck_assert(!past.clean);
	broker_past_fini(&past);
	start(store);
	ck_assert_int_eq(store_check(store, &err), 0);
	store_close(store);
	store = open_store(folder, 0);
	ck_assert_int_eq(store_recall(store, &past, &err), 0);
	ck_assert(past.clean);
	broker_past_fini(&past);
	store_close(store);
}

TEST(store_checks_its_pages_later_and_is_spoilt_if_they_are_not_whole)
{
	const char *folder = make_letters("s", true);
	store_close(open_store(folder, 0));
	miscount_free_pages(folder);
	refuse(folder, 0, "its pages are damaged");
	struct store *store = open_store(folder, STORE_CHECK_LATER);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(store_check(store, &err), WEIR_EDATA);
		ck_assert_msg(strstr(err.text, "its pages are damaged"), "%s", err.text);
	}
	ck_assert_int_eq(ack(store, 316, 1), WEIR_EDATA);
	store_close(store);
	refuse(folder, 0, "its pages are damaged");
}

TEST(store_notices_items_that_have_gone_or_come_back)
{
	static const char *const changes[] = {"DELETE FROM chunk", "DELETE FROM ack",
					      "UPDATE ack SET settled = zeroblob(32)"};
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		const char *folder = make_letters(test_format("s%zu", i), false);
		edit(folder, changes[i]);
		refuse(folder, 0, "the accounts do not match");
	}
}

TEST(store_knows_whether_its_run_closed_it)
{
	const char *folder = make_letters("s", false);
	struct broker_past past;
	/* Verbs that only look, or purge, change nothing about it. */
	for (int i = 0; i < 2; i++) {
		struct store *store = open_store(folder, 0);
		uint64_t n;
		ck_assert_int_eq(store_recall(store, &past, &err), 0);
		ck_assert(past.clean);
		broker_past_fini(&past);
		ck_assert_int_eq(store_purge(store, &(struct letter_query){.id = 260}, &n, &err), 0);
		store_close(store);
	}
	struct store *store = open_store(folder, 0);
	start(store);
	ck_assert_int_eq(store_recall(store, &past, &err), 0);
	ck_assert(past.clean); /* as it was found */
	broker_past_fini(&past);
	folder = copy_folder(folder, 1);
	store_close(store);
	for (int i = 0; i < 2; i++) {
		store = open_store(folder, 0);
		ck_assert_int_eq(store_recall(store, &past, &err), 0);
		ck_assert(!past.clean);
		broker_past_fini(&past);
		store_close(store);
	}
}

/* Pages of letters are found by the last id: with ids that go back they would leave some out, or never end. */
TEST(store_refuses_letters_whose_ids_go_back)
{
	const char *folder = make_letters("s", false), *path = test_format("%s/" STORE_FILE, folder);
	char page[16384];
	int fd = open(path, O_RDONLY);
	ck_assert_int_eq(pread(fd, page, sizeof page, find_page(folder)), (ssize_t)sizeof page);
	close(fd);
	/* The id 300, then the length of a header of eleven columns. */
	char *at = memmem(page, sizeof page, "\x82\x2c\x0c", 3);
	ck_assert_ptr_nonnull(at);
	overwrite(path, find_page(folder) + (at - page), "\x81", 1); /* now it is 172 */
	refuse(folder, 0, "dead letter 172 follows 299");
	refuse(folder, STORE_READONLY, "dead letter 172 follows 299");
	struct store *store;
	struct buf findings = {0};
	ck_assert_int_eq(store_open(folder, STORE_VERIFY, &store, &err), 0);
	ck_assert_int_eq(store_verify(store, &findings, &err), WEIR_EDATA);
	ck_assert_ptr_nonnull(strstr(findings.data, "order"));
	buf_fini(&findings);
	store_close(store);

	/* Nor does who reads them all the same go round for ever. */
	struct letter_query query = {.limit = 7};
	uint64_t last = 0;
	int code = 0, pages = 0;
	ck_assert_int_eq(store_open(folder, STORE_VERIFY, &store, &err), 0);
	do {
		struct buf out = {0};
		query.after = last;
		code = store_letters(store, &query, &out, &last, &err);
		buf_fini(&out);
	} while (!code && last != query.after && ++pages < 100);
	ck_assert(code == WEIR_EDATA || pages < 10);
	store_close(store);
}

/* ---- the format of release 0.1 */

static const char format_1[] =
	"PRAGMA page_size=16384; PRAGMA application_id=0x77656972; PRAGMA user_version=1; PRAGMA journal_mode=WAL;"
	"CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK(one = 1), run TEXT NOT NULL, plan TEXT NOT NULL,"
	" source TEXT NOT NULL) STRICT;"
	"INSERT INTO meta VALUES(1, '" MODEL_RUN "', 'p', 's');"
	"CREATE TABLE progress(one INTEGER PRIMARY KEY CHECK(one = 1), next_chunk INTEGER NOT NULL,"
	" cursor TEXT NOT NULL, sealed INTEGER NOT NULL, read INTEGER NOT NULL, succeeded INTEGER NOT NULL,"
	" dropped INTEGER NOT NULL, dead INTEGER NOT NULL, sink_position BLOB NOT NULL,"
	" dead_position BLOB NOT NULL) STRICT;"
	"INSERT INTO progress VALUES(1, 4, 'done=60', 1, 6, 1, 0, 2, x'6f66663d34', x'');"
	"CREATE TABLE chunk(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL) "
	"STRICT;"
	"INSERT INTO chunk VALUES(3, 1, 1916613477, x'04263230');"
	"CREATE TABLE ack(chunk INTEGER PRIMARY KEY, settled BLOB NOT NULL) STRICT;"
	"CREATE TABLE retry(item INTEGER PRIMARY KEY, attempts INTEGER NOT NULL, at INTEGER NOT NULL,"
	" due INTEGER NOT NULL, why TEXT NOT NULL, history TEXT) STRICT;"
	"INSERT INTO retry VALUES(768, 0, 1795971288605133650, 0, '',"
	" '[{\"reason\":\"jq: no tens: 20\",\"attempts\":1,\"at\":\"2026-11-29T16:54:45Z\"}]');"
	"CREATE TABLE dead(id INTEGER PRIMARY KEY, position INTEGER NOT NULL, bad INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL, history TEXT,"
	" item BLOB NOT NULL) STRICT;"
	"INSERT INTO dead VALUES(285, 30, 0, 1, 1795971285, 'jq: no tens: 30', NULL, x'3330');"
	"INSERT INTO dead VALUES(512, 10, 0, 1, 1795971287, 'jq: no tens: 10',"
	" '[{\"reason\":\"jq: no tens: 10\",\"attempts\":1,\"at\":\"2026-11-29T16:54:45Z\"}]', x'3130');";

static const char *make_format_1(const char *name)
{
	const char *folder = make_folder(name);
	close(open(test_format("%s/" STORE_FILE, folder), O_CREAT | O_WRONLY, 0644));
	edit(folder, format_1);
	edit(folder, "UPDATE progress SET read = 4");
	return folder;
}

TEST(store_of_the_first_format_is_brought_up_to_date)
{
	const char *folder = make_format_1("s");
	struct store *store;
	/* Where it cannot be written it says so. */
	ck_assert_int_eq(store_open(folder, STORE_READONLY, &store, &err), WEIR_EINVAL);
	ck_assert_msg(strstr(err.text, "format 1"), "%s", err.text);
	for (int reopened = 0; reopened < 2; reopened++) {
		struct broker_past past;
		struct buf out = {0}, findings = {0};
		uint64_t last = 0;
		store = open_store(folder, 0);
		ck_assert_int_eq(store_verify(store, &findings, &err), 0);
		ck_assert_int_eq(store_recall(store, &past, &err), 0);
		ck_assert(past.begun && past.sealed && past.letters == 2 && past.unfinished == 1);
		ck_assert_str_eq(past.positions[OUTLET_SINK].data, "off=4");
		ck_assert_str_eq(past.cursor.text, "done=60");
		broker_past_fini(&past);
		ck_assert_int_eq(store_letters(store, &all, &out, &last, &err), 0);
		ck_assert_ptr_nonnull(strstr(out.data, "\"position\":30"));
		ck_assert_ptr_nonnull(strstr(out.data, "\"history\":[{\"reason\":\"jq: no tens: 10\""));
		buf_fini(&out);
		store_close(store);
	}
	/* Both are of one group, and all that letters can do works. */
	store = open_store(folder, 0);
	struct buf out = {0};
	uint64_t n;
	ck_assert_int_eq(store_groups(store, &out, &err), 0);
	ck_assert_ptr_nonnull(strstr(out.data, "\"letters\":2,\"groups\":1"));
	buf_fini(&out);
	ck_assert_int_eq(store_replay(store, &all, &n, &err), 0);
	ck_assert_uint_eq(n, 2);
	store_close(store);
}

TEST(store_of_the_second_format_gets_what_it_lacks)
{
	const char *folder = make_format_1("s");
	struct store *store = open_store(folder, 0);
	store_close(store);
	edit(folder, "ALTER TABLE retry DROP COLUMN taken; ALTER TABLE retry DROP COLUMN tried;"
		     "ALTER TABLE retry DROP COLUMN record; PRAGMA user_version=2");
	for (int reopened = 0; reopened < 2; reopened++) {
		struct buf findings = {0};
		struct broker_past past;
		store = open_store(folder, 0);
		ck_assert_int_eq(store_verify(store, &findings, &err), 0);
		ck_assert_int_eq(store_recall(store, &past, &err), 0);
		ck_assert(past.letters == 2 && past.unfinished == 1);
		broker_past_fini(&past);
		store_close(store);
	}
}

TEST(store_of_the_first_format_that_is_damaged_stays_as_it_is)
{
	const char *folder = make_format_1("s");
	static const char zeroes[2000];
	overwrite(test_format("%s/" STORE_FILE, folder), find_page(folder), zeroes, sizeof zeroes);
	refuse(folder, 0, "damaged");
	refuse(folder, STORE_VERIFY, "damaged");
}
