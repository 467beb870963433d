/* SPDX-License-Identifier: MIT */
/* What is purged is gone from the disk; the file becomes smaller; nobody else may read it. */
#include "faulty_vfs.h"
#include "unit/stores.h"

#define CANARY "4111-c4n4ry"

static size_t count_in(const char *path, const char *text)
{
	struct stat st;
	size_t n = 0, len = strlen(text);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	ck_assert_int_eq(fstat(fd, &st), 0);
	char *data = malloc((size_t)st.st_size + 1), *at = data;
	ck_assert_int_eq(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	while ((at = memmem(at, (size_t)(data + st.st_size - at), text, len))) {
		n++;
		at += len;
	}
	free(data);
	return n;
}

static size_t canaries(const char *folder)
{
	return count_in(test_format("%s/" STORE_FILE, folder), CANARY) +
	       count_in(test_format("%s/" STORE_FILE "-wal", folder), CANARY);
}

/* Chunks of n items each with a canary in it, all of which become letters. */
static void fill(struct store *store, int chunks, size_t n)
{
	for (int i = 0; i < chunks; i++) {
		uint64_t first = store_next_chunk(store) * STORE_CHUNK_ITEMS;
		struct item *items[STORE_CHUNK_ITEMS];
		for (size_t k = 0; k < n; k++) {
			const char *text = test_format("{\"card\":\"" CANARY "-%d-%zu\",\"pad\":\"%0200d\"}", i, k, 0);
			items[k] = item_new();
			ck_assert_int_eq(value_copy(&items[k]->source, text, strlen(text)), 0);
		}
		struct store_put one = {first / STORE_CHUNK_ITEMS, items, n};
		ck_assert_int_eq(store_commit(store, &(struct store_batch){.puts = &one, .put_count = 1}, &err), 0);
		for (size_t k = 0; k < n; k++)
			item_free(items[k]);
		bury(store, first, n, CANARY);
	}
}

static void purge_all(struct store *store, uint64_t wanted)
{
	uint64_t n = 0;
	int code = store_purge(store, &(struct letter_query){0}, &n, &err);
	ck_assert_msg(code == 0, "%s", err.text);
	ck_assert_uint_eq(n, wanted);
}

TEST(store_purge_leaves_nothing_behind_while_a_run_has_it)
{
	const char *folder = make_folder("s");
	struct store *store = open_store(folder, STORE_CREATE);
	start(store);
	fill(store, 10, 200);
	put(store, 256, 100); /* pages among them that stay in use */
	ck_assert_uint_gt(canaries(folder), 1000);
	purge_all(store, 2000);
	ck_assert_uint_eq(canaries(folder), 0);
	struct buf findings = {0};
	ck_assert_int_eq(store_verify(store, &findings, &err), 0);
	fill(store, 2, 100); /* and what was free can be used again */
	ck_assert_int_eq(store_verify(store, &findings, &err), 0);
	store_close(store);
}

TEST(store_purge_leaves_nothing_behind_and_a_smaller_file)
{
	const char *folder = make_folder("s");
	struct stat st;
	struct store *store = open_store(folder, STORE_CREATE);
	start(store);
	fill(store, 10, 200);
	put(store, 256, 100);
	store_close(store);
	store = open_store(folder, 0);
	purge_all(store, 2000);
	ck_assert_uint_eq(canaries(folder), 0);
	store_close(store);
	ck_assert_uint_eq(canaries(folder), 0);
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE, folder), &st), 0);
	ck_assert_int_lt(st.st_size, 300000);
	store = open_store(folder, 0);
	struct buf findings = {0};
	ck_assert_int_eq(store_verify(store, &findings, &err), 0);
	store_close(store);
}

/* A chunk stays until all of its items are settled: those that are leave nothing in it. */
TEST(store_purge_blanks_what_is_settled_in_a_chunk)
{
	const char *folder = make_folder("s");
	struct item *items[4], *loaded[STORE_CHUNK_ITEMS];
	for (int reopened = 0; reopened < 2; reopened++) {
		folder = make_folder(test_format("s%d", reopened));
		struct store *store = open_store(folder, STORE_CREATE);
		start(store);
		for (size_t i = 0; i < 4; i++) {
			const char *text = i % 2 ? "\"stays\"" : "\"" CANARY "\"";
			items[i] = item_new();
			items[i]->position = 10 * i + 1;
			items[i]->bad = i == 2;
			item_set_why(items[i], "%s", i == 2 ? CANARY : "");
			ck_assert_int_eq(value_copy(&items[i]->source, text, strlen(text)), 0);
		}
		struct store_put one = {1, items, 4};
		ck_assert_int_eq(store_commit(store, &(struct store_batch){.puts = &one, .put_count = 1}, &err), 0);
		bury(store, 256, 1, CANARY);
		bury(store, 258, 1, CANARY);
		if (reopened) {
			store_close(store);
			store = open_store(folder, 0);
		}
		purge_all(store, 2);
		ck_assert_uint_eq(canaries(folder), 0);
		ck_assert_int_eq(store_load(store, 1, loaded, &err), 2);
		for (size_t i = 0; i < 2; i++) {
			ck_assert_uint_eq(loaded[i]->id, 257 + 2 * i);
			ck_assert_uint_eq(loaded[i]->position, 10 * (2 * i + 1) + 1);
			ck_assert_str_eq(loaded[i]->source.data, "\"stays\"");
			item_free(loaded[i]);
		}
		for (size_t i = 0; i < 4; i++)
			item_free(items[i]);
		store_close(store);
	}
}

TEST(store_purge_of_one_leaves_the_others)
{
	const char *folder = make_folder("s");
	struct store *store = open_store(folder, STORE_CREATE);
	uint64_t n, last;
	start(store);
	fill(store, 1, 100);
	ck_assert_int_eq(store_purge(store, &(struct letter_query){.id = 300}, &n, &err), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(count_in(test_format("%s/" STORE_FILE, folder), "no " CANARY " 44"), 0);
	struct buf out = {0};
	ck_assert_int_eq(store_letters(store, &(struct letter_query){0}, &out, &last, &err), 0);
	ck_assert_ptr_nonnull(strstr(out.data, "no " CANARY " 43"));
	ck_assert_ptr_null(strstr(out.data, "no " CANARY " 44"));
	buf_fini(&out);
	store_close(store);
}

static uint64_t letters_in(struct store *store)
{
	struct broker_past past;
	ck_assert_int_eq(store_recall(store, &past, &err), 0);
	uint64_t n = past.letters;
	broker_past_fini(&past);
	return n;
}

/* Whether the fault was met: each write or sync of a purge in turn. */
static bool purge_with(const struct faulty_plan *plan, const char *name)
{
	static const struct faulty_plan no_faults;
	const char *folder = make_folder(test_format("%s.%d", name, plan->nth));
	struct store *store = open_store(folder, STORE_CREATE);
	struct buf findings = {0};
	uint64_t n = 0;
	start(store);
	fill(store, 1, 50);
	faulty_arm(plan);
	int code = store_purge(store, &(struct letter_query){0}, &n, &err);
	bool fired = faulty_fired();
	faulty_arm(&no_faults);
	if (code == WEIR_ENOSPC)
		ck_assert_uint_eq(letters_in(store), n ? 0 : 50); /* *ret_n says which */
	else if (!code)
		ck_assert_uint_eq(canaries(folder), 0);
	store_close(store);
	store = open_store(folder, 0);
	ck_assert_int_eq(store_verify(store, &findings, &err), 0);
	uint64_t left = letters_in(store);
	ck_assert(left == (code ? left : 0) && (left == 0 || left == 50));
	n = 0;
	code = store_purge(store, &(struct letter_query){0}, &n, &err);
	ck_assert_msg(!code && n == left, "%d %s", code, err.text);
	ck_assert_uint_eq(canaries(folder), 0);
	store_close(store);
	return fired;
}

static void purge_on_a_disk_that_fails(enum faulty_call call, int rc, int system, const char *name)
{
	struct faulty_plan plan = {call, 1, rc, system};
	while (purge_with(&plan, name))
		plan.nth++;
	ck_assert_int_gt(plan.nth, call == FAULTY_WRITE ? 10 : 3);
}

TEST(store_purge_is_whole_or_repeated_on_a_full_disk)
{
	faulty_install();
	purge_on_a_disk_that_fails(FAULTY_WRITE, SQLITE_FULL, ENOSPC, "full");
}

TEST(store_purge_is_whole_or_repeated_on_a_disk_that_fails)
{
	faulty_install();
	purge_on_a_disk_that_fails(FAULTY_WRITE, SQLITE_IOERR_WRITE, EIO, "write");
	purge_on_a_disk_that_fails(FAULTY_SYNC, SQLITE_IOERR_FSYNC, EIO, "sync");
}

static off_t size_after(bool all_settled)
{
	const char *folder = make_folder(all_settled ? "done" : "unfinished");
	struct store *store = open_store(folder, STORE_CREATE);
	struct stat st;
	start(store);
	for (int i = 0; i < 20; i++)
		put(store, 256, 2000);
	for (uint64_t chunk = 1; chunk <= 20; chunk++)
		ck_assert_int_eq(ack(store, chunk * 256, all_settled || chunk < 20 ? 256 : 255), 0);
	ck_assert_int_eq(store_commit(store, &(struct store_batch){.seal = true}, &err), 0);
	store_close(store);
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE, folder), &st), 0);
	store = open_store(folder, 0);
	struct buf findings = {0};
	ck_assert_int_eq(store_verify(store, &findings, &err), 0);
	store_close(store);
	return st.st_size;
}

TEST(store_of_a_run_that_is_done_becomes_smaller)
{
	ck_assert_int_lt(size_after(true), 200000);
	ck_assert_int_gt(size_after(false), 5000000);
}

TEST(store_files_are_their_owners_alone)
{
	const char *folder = make_folder("s");
	struct stat st;
	umask(0);
	struct store *store = open_store(folder, STORE_CREATE);
	start(store);
	put(store, 10, 10);
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE, folder), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE "-wal", folder), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	store_close(store);
	ck_assert_int_eq(chmod(test_format("%s/" STORE_FILE, folder), 0644), 0);
	store_close(open_store(folder, 0));
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE, folder), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
}

TEST(store_follows_no_symbolic_link)
{
	const char *folder = make_folder("s"), *target = test_write_file("target", "");
	struct store *store;
	struct stat st;
	ck_assert_int_eq(symlink(target, test_format("%s/" STORE_FILE, folder)), 0);
	ck_assert_int_eq(store_open(folder, STORE_CREATE, &store, &err), WEIR_EDATA);
	ck_assert_msg(strstr(err.text, "symbolic link"), "%s", err.text);
	ck_assert_int_eq(stat(target, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	ck_assert_int_eq(unlink(test_format("%s/" STORE_FILE, folder)), 0);
	store_close(open_store(folder, STORE_CREATE));
	ck_assert_int_eq(symlink(target, test_format("%s/" STORE_FILE "-wal", folder)), 0);
	ck_assert_int_eq(store_open(folder, 0, &store, &err), WEIR_EDATA);
	ck_assert_msg(strstr(err.text, "-wal is a symbolic link"), "%s", err.text);

	const char *other = make_folder("pipe");
	ck_assert_int_eq(mkfifo(test_format("%s/" STORE_FILE, other), 0600), 0);
	ck_assert_int_eq(store_open(other, STORE_CREATE, &store, &err), WEIR_EDATA);
	ck_assert_msg(strstr(err.text, "no regular file"), "%s", err.text);
}
