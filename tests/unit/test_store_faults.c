/* SPDX-License-Identifier: MIT */
/*
 * The durable store on a disk that fails: each write and each sync in turn, in opening, committing, checkpointing and
 * closing.  After that it is as before the call or as after it, never between.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <weir/random.h>

#include "faulty_vfs.h"
#include "store_model.h"
#include "support/test.h"

enum { STEPS_BEFORE = 4, STEPS = 8 };

static struct weir_error err;
static const struct faulty_plan no_faults;

static const char *make_folder(const char *name)
{
	const char *path = test_format("%s/%s", test_folder(), name);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	return path;
}

static struct store *open_store(const char *folder)
{
	struct store *store = NULL;
	int code = store_open(folder, STORE_CREATE, &store, &err);
	ck_assert_msg(code == 0, "open: %d %s", code, err.text);
	return store;
}

static void compare(const struct model *model, struct store *store, const char *when)
{
	const char *what = model_compare(model, store);
	ck_assert_msg(!what, "%s: %s", when, what);
}

/* A step that may fail; what there is afterwards is in the model. */
static struct store *step(struct model *model, struct store *store, const char *folder, uint64_t *random,
			  const char *when)
{
	struct model after = model_copy(model);
	uint64_t again = *random;
	bool fired = faulty_fired();
	int code = model_step(model, store, random, &err);
	model_step(&after, NULL, &again, NULL);
	if (code == WEIR_ENOSPC)
		compare(model, store, when);
	else if (code) {
		struct weir_error later = {0};
		ck_assert_msg(code == WEIR_EIO && !fired && faulty_fired(), "%s: %d %s", when, code, err.text);
		ck_assert_int_eq(store_commit(store, &(struct store_batch){.seal = true}, &later), WEIR_EIO);
		ck_assert_str_eq(later.text, err.text);
		store_close(store);
		store = open_store(folder);
		if (model_compare(model, store)) {
			compare(&after, store, when);
			model_fini(model);
			*model = model_copy(&after);
		}
	} else if (!fired && faulty_fired() &&
		   store_commit(store, &(struct store_batch){.seal = model->sealed}, &err)) {
		/* It was after the commit: a checkpoint. */
		store_close(store);
		store = open_store(folder);
		compare(model, store, when);
	}
	model_fini(&after);
	return store;
}

static struct store *reopen(struct store *store, const char *folder, const char *when)
{
	bool fired = faulty_fired();
	store_close(store);
	store = NULL;
	int code = store_open(folder, STORE_CREATE, &store, &err);
	if (!code)
		return store;
	ck_assert_msg(!fired && faulty_fired() && (code == WEIR_EIO || code == WEIR_ENOSPC), "%s: %d %s", when, code,
		      err.text);
	return open_store(folder);
}

/* Whether the fault was met. */
static bool go_through(const struct faulty_plan *plan, const char *name)
{
	const char *folder = make_folder(test_format("%s.%d", name, plan->nth)), *when;
	struct store *store = open_store(folder);
	struct model model = {0};
	uint64_t random = 7;
	model_start(&model, store);
	when = test_format("%s, call %d", name, plan->nth);
	for (int i = 0; i < STEPS_BEFORE; i++)
		ck_assert_int_eq(model_step(&model, store, &random, &err), 0);
	faulty_arm(plan);
	for (int i = 0; i < STEPS; i++) {
		store = step(&model, store, folder, &random, when);
		if (i % 3 == 2) {
			store = reopen(store, folder, when);
			compare(&model, store, when);
		}
	}
	bool fired = faulty_fired();
	faulty_arm(&no_faults);
	compare(&model, store, when);
	store_close(store);
	store = open_store(folder);
	compare(&model, store, when);
	store_close(store);
	model_fini(&model);
	ck_assert_int_eq(system(test_format("rm -r '%s'", folder)), 0);
	return fired;
}

static void fail_each(enum faulty_call call, int rc, int system, const char *name)
{
	struct faulty_plan plan = {call, 1, rc, system};
	faulty_install();
	while (go_through(&plan, name))
		plan.nth++;
	ck_assert_int_gt(plan.nth, call == FAULTY_WRITE ? 50 : 10);
}

TEST(store_bears_each_write_on_a_full_disk)
{
	fail_each(FAULTY_WRITE, SQLITE_FULL, ENOSPC, "full");
}

TEST(store_bears_each_write_over_quota)
{
	fail_each(FAULTY_WRITE, SQLITE_IOERR_WRITE, EDQUOT, "quota");
}

TEST(store_is_exact_after_each_failed_write)
{
	fail_each(FAULTY_WRITE, SQLITE_IOERR_WRITE, EIO, "write");
}

TEST(store_is_exact_after_each_failed_sync)
{
	fail_each(FAULTY_SYNC, SQLITE_IOERR_FSYNC, EIO, "sync");
}

TEST(store_takes_a_sync_for_failed_even_if_the_disk_is_full)
{
	fail_each(FAULTY_SYNC, SQLITE_IOERR_FSYNC, ENOSPC, "full sync");
}

/* ---- power cuts */

static void copy_durable(const char *from, const char *to)
{
	static const char *const names[] = {STORE_FILE, STORE_FILE "-wal"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		ck_assert_int_eq(
			system(test_format("rm -f '%s/%s'; ! [ -f '%s/%s.durable' ] || cp '%s/%s.durable' '%s/%s'", to,
					   names[i], from, names[i], from, names[i], to, names[i])),
			0);
}

TEST(store_survives_a_power_cut_after_each_commit)
{
	faulty_install();
	const char *folder = make_folder("s"), *cut = make_folder("cut");
	struct store *store = open_store(folder);
	struct model model = {0};
	uint64_t random = 3;
	model_start(&model, store);
	for (int i = 0; i < 40; i++) {
		ck_assert_int_eq(model_step(&model, store, &random, &err), 0);
		copy_durable(folder, cut);
		struct store *after = open_store(cut);
		compare(&model, after, test_format("step %d", i));
		store_close(after);
		if (i % 10 == 9) {
			store_close(store);
			store = open_store(folder);
		}
	}
	store_close(store);
	model_fini(&model);
}

/* ---- checkpoints */

/* Enough that the log is copied into the file after the commit. */
static int put_much(struct store *store)
{
	struct item *items[STORE_CHUNK_ITEMS];
	const size_t bytes = (size_t)80 << 10;
	for (size_t i = 0; i < STORE_CHUNK_ITEMS; i++) {
		items[i] = item_new();
		items[i]->source = (struct value){malloc(bytes + 1), bytes};
		memset(items[i]->source.data, '1', bytes);
		items[i]->source.data[bytes] = 0;
	}
	struct store_put put = {store_next_chunk(store), items, STORE_CHUNK_ITEMS};
	int code = store_commit(store, &(struct store_batch){.puts = &put, .put_count = 1}, &err);
	for (size_t i = 0; i < STORE_CHUNK_ITEMS; i++)
		item_free(items[i]);
	return code;
}

static off_t size_of(const char *folder, const char *name)
{
	struct stat st;
	return stat(test_format("%s/%s", folder, name), &st) ? -1 : st.st_size;
}

TEST(store_copies_its_log_into_the_file_now_and_then)
{
	faulty_install();
	const char *folder = make_folder("s");
	struct store *store = open_store(folder);
	struct model model = {0};
	model_start(&model, store);
	ck_assert_int_eq(put_much(store), 0);
	ck_assert_int_gt(size_of(folder, STORE_FILE), 20 << 20);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(put_much(store), 0);
	ck_assert_int_lt(size_of(folder, STORE_FILE "-wal"), 64 << 20);
	store_close(store);
	model_fini(&model);
}

/* The commit is durable; but SQLite's own checkpoints would try that sync again, and believe it. */
TEST(store_is_spoilt_by_a_checkpoint_whose_sync_fails)
{
	faulty_install();
	const char *folder = make_folder("s");
	struct store *store = open_store(folder);
	struct model model = {0};
	model_start(&model, store);
	faulty_arm(&(struct faulty_plan){FAULTY_SYNC, 3, SQLITE_IOERR_FSYNC, EIO});
	ck_assert_int_eq(put_much(store), 0);
	ck_assert(faulty_fired());
	ck_assert_int_eq(store_commit(store, &(struct store_batch){.seal = true}, &err), WEIR_EIO);
	store_close(store);
	store = open_store(folder);
	struct store_chunk *chunks;
	size_t n;
	ck_assert_int_eq(store_chunks(store, &chunks, &n, &err), 0);
	ck_assert(n == 1 && chunks[0].left == STORE_CHUNK_ITEMS);
	free(chunks);
	store_close(store);
	model_fini(&model);
}

/* ---- the wall clock */

static void edit(const char *folder, const char *sql)
{
	sqlite3 *db;
	ck_assert_int_eq(sqlite3_open(test_format("%s/" STORE_FILE, folder), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

TEST(store_does_not_wait_longer_when_the_clock_was_set_back)
{
	const char *folder = make_folder("s");
	struct store *store = open_store(folder);
	struct model model = {0};
	struct item *items[STORE_CHUNK_ITEMS] = {item_new()}, *item;
	struct store_put put = {1, items, 1};
	struct timespec now;
	model_start(&model, store);
	clock_gettime(CLOCK_REALTIME, &now);
	struct store_retry retry = {
		.id = 256, .attempts = 3, .due_unix_ns = (now.tv_sec + 1000) * (int64_t)WEIR_SEC, .why = "busy"};
	struct store_batch batch = {.puts = &put, .put_count = 1, .retries = &retry, .retry_count = 1};
	ck_assert_int_eq(store_commit(store, &batch, &err), 0);
	item_free(items[0]);
	store_close(store);
	edit(folder, "UPDATE retry SET at = at + 86400000000000, due = due + 86400000000000");
	store = open_store(folder);
	ck_assert_int_eq(store_load(store, 1, items, &err), 1);
	item = items[0];
	ck_assert_int_gt(item->due, weir_now() + 900 * WEIR_SEC);
	ck_assert_int_lt(item->due, weir_now() + 1001 * WEIR_SEC);
	item_free(item);
	store_close(store);
	model_fini(&model);
}

/* ---- what verify finds */

TEST(store_verify_finds_tables_that_do_not_belong_together)
{
	static const char *const damages[][2] = {
		{"UPDATE progress SET read = read + 1", "accounts"},
		{"UPDATE progress SET sealed = 1 - sealed", "progress: its checksum"},
		{"UPDATE progress SET sink_position = x'00'", "progress: its checksum"},
		{"INSERT INTO ack VALUES(9999, zeroblob(32))", "chunk 9999 is missing"},
		{"INSERT INTO retry VALUES(999999, 1, 0, 0, '', NULL, NULL, NULL, NULL)", "999999 is missing"},
		{"INSERT INTO retry VALUES(256, 1, 0, 0, '', '{}', NULL, NULL, NULL) ON CONFLICT DO UPDATE SET history "
		 "= '{}'",
		 "not a JSON array"},
		{"INSERT INTO dead VALUES(3, 1, 0, 1, 0, 1, 0, 'why', NULL, NULL, x'7b')", "item 3 is not JSON"},
		{"INSERT INTO dead VALUES(3, 1, 0, 1, 0, 1, 0, 'why', NULL, '[]', x'31')", "evidence of item 3"},
		{"UPDATE progress SET dead = 0, succeeded = succeeded + dead", "letters, but only 0"},
		{"UPDATE dead SET attempts = 9 WHERE id = (SELECT max(id) FROM dead)", "checksum of letter"},
		{"DELETE FROM dead WHERE id = (SELECT max(id) FROM dead)", "letters, but there should be"},
		{"UPDATE chunk SET crc = crc + 1 WHERE id = (SELECT max(id) FROM chunk)", "checksum"},
	};
	faulty_install();
	for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
		const char *folder = make_folder(test_format("s%zu", i));
		struct store *store = open_store(folder);
		struct model model = {0};
		struct buf findings = {0};
		uint64_t random = 5;
		model_start(&model, store);
		for (int k = 0; k < 20; k++)
			model_step(&model, store, &random, &err);
		ck_assert_int_eq(store_verify(store, &findings, &err), 0);
		store_close(store);
		edit(folder, damages[i][0]);
		ck_assert_int_eq(store_open(folder, STORE_VERIFY, &store, &err), 0);
		ck_assert_int_eq(store_verify(store, &findings, &err), WEIR_EDATA);
		ck_assert_msg(strstr(findings.data, damages[i][1]), "%s gives %s", damages[i][0], findings.data);
		store_close(store);
		buf_fini(&findings);
		model_fini(&model);
	}
}
