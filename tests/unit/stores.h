/* SPDX-License-Identifier: MIT */
/* What the tests of the store share: making one, filling it, and doing to its files what is not right. */
#ifndef UNIT_STORES_H
#define UNIT_STORES_H

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sqlite/store/store.h"
#include "store_model.h"
#include "support/test.h"

static struct weir_error err;

static inline const char *make_folder(const char *name)
{
	const char *path = test_format("%s/%s", test_folder(), name);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	return path;
}

static inline struct store *open_store(const char *folder, unsigned flags)
{
	struct store *store = NULL;
	int code = store_open(folder, flags, &store, &err);
	ck_assert_msg(code == 0, "open: %d %s", code, err.text);
	return store;
}

static inline void start(struct store *store)
{
	struct broker_start start = {.run = MODEL_RUN, .plan = "p", .source = "s"};
	ck_assert_msg(store_start(store, &start, &err) == 0, "%s", err.text);
}

/* A chunk of n items with sources of so many bytes. */
static inline void put(struct store *store, size_t n, size_t bytes)
{
	struct item *items[STORE_CHUNK_ITEMS];
	char *text = malloc(bytes + 3);
	memset(text, 'x', bytes + 2);
	text[0] = text[bytes + 1] = '"';
	for (size_t i = 0; i < n; i++) {
		items[i] = item_new();
		items[i]->position = i + 1;
		ck_assert_int_eq(value_copy(&items[i]->source, text, bytes + 2), 0);
	}
	struct store_put one = {store_next_chunk(store), items, n};
	int code = store_commit(store, &(struct store_batch){.puts = &one, .put_count = 1}, &err);
	ck_assert_msg(code == 0, "put: %s", err.text);
	for (size_t i = 0; i < n; i++)
		item_free(items[i]);
	free(text);
}

static inline int ack(struct store *store, uint64_t first, size_t n)
{
	struct store_ack acks[STORE_CHUNK_ITEMS];
	for (size_t i = 0; i < n; i++)
		acks[i] = (struct store_ack){.id = first + i};
	return store_commit(store, &(struct store_batch){.acks = acks, .ack_count = n}, &err);
}

static inline void copy_file(const char *from, const char *to)
{
	ck_assert_int_eq(system(test_format("cp '%s' '%s' 2>/dev/null || rm -f '%s'", from, to, to)), 0);
}

/* What a kill leaves behind. */
static inline const char *copy_folder(const char *folder, int number)
{
	const char *copy = make_folder(test_format("copy%d", number));
	copy_file(test_format("%s/" STORE_FILE, folder), test_format("%s/" STORE_FILE, copy));
	copy_file(test_format("%s/" STORE_FILE "-wal", folder), test_format("%s/" STORE_FILE "-wal", copy));
	return copy;
}

static inline void overwrite(const char *path, off_t at, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, bytes, n, at), (ssize_t)n);
	close(fd);
}

/* Changes a store that is closed, behind its back. */
static inline void edit(const char *folder, const char *sql)
{
	sqlite3 *db;
	char *why = NULL;
	ck_assert_int_eq(sqlite3_open(test_format("%s/" STORE_FILE, folder), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	int rc = sqlite3_exec(db, sql, NULL, NULL, &why);
	ck_assert_msg(rc == SQLITE_OK, "%s", why);
	sqlite3_close(db);
}

/* Makes letters of n items from `first` on; text stands in their items, reasons and evidence. */
static inline void bury(struct store *store, uint64_t first, size_t n, const char *text)
{
	struct item *dead[STORE_CHUNK_ITEMS];
	for (size_t i = 0; i < n; i++) {
		const char *source = test_format("{\"n\":%zu,\"text\":\"%s\"}", i, text);
		const char *evidence = test_format("{\"step\":1,\"kind\":\"http\",\"error\":\"no %s %zu\"}", text, i);
		dead[i] = item_new();
		dead[i]->id = first + i;
		dead[i]->attempts = 1;
		item_set_why(dead[i], "status: %d, %s", i % 2 ? 404 : 422, text);
		ck_assert_int_eq(value_copy(&dead[i]->source, source, strlen(source)), 0);
		ck_assert_int_eq(value_copy(&dead[i]->evidence, evidence, strlen(evidence)), 0);
	}
	int code = store_commit(store, &(struct store_batch){.dead = dead, .dead_count = n}, &err);
	ck_assert_msg(code == 0, "bury: %s", err.text);
	for (size_t i = 0; i < n; i++)
		item_free(dead[i]);
}

#endif
