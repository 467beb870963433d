/* SPDX-License-Identifier: MIT */
/* What the tests of sinks share: batches, opening and writing through the port, looking at what is there. */
#ifndef UNIT_SINKS_H
#define UNIT_SINKS_H

#include "data/buf.h"
#include "port/adapters.h"
#include "support/test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/weir.h>

/* What sinks are opened with; a test sets it. */
static struct sink_env run_env;

/* What lives as long as the test; a list, so that a search for leaks finds it. */
static inline void *keep(void *memory)
{
	static struct kept {
		struct kept *next;
		void *memory;
	} * all;
	struct kept *kept = malloc(sizeof *kept);
	ck_assert_ptr_nonnull(memory);
	*kept = (struct kept){all, memory};
	all = kept;
	return memory;
}

/* ---- batches */

static inline struct item *make_item(const char *output, va_list more)
{
	struct item *item = item_new();
	for (; output; output = va_arg(more, const char *)) {
		struct value value;
		ck_assert_int_eq(value_copy(&value, output, strlen(output)), 0);
		ck_assert_int_eq(value_list_take(&item->outputs, &value), 0);
	}
	return item;
}

struct batch {
	struct sink_item *items;
	size_t n;
};

/* An item with these outputs, ended by NULL. */
static inline void add(struct batch *batch, ...)
{
	va_list outputs;
	va_start(outputs, batch);
	batch->items = reallocarray(batch->items, batch->n + 1, sizeof batch->items[0]);
	struct item *item = make_item(va_arg(outputs, const char *), outputs);
	batch->items[batch->n++] = (struct sink_item){.item = item, .verdict = 1};
	va_end(outputs);
}

static inline void drop(struct batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		item_free((struct item *)(uintptr_t)batch->items[i].item);
	free(batch->items);
	*batch = (struct batch){0};
}

/* ---- sinks */

static inline void set_key(const struct adapter *adapter, void *config, const char *name, const void *value, size_t n)
{
	const struct key *key = adapter->keys;
	while (key->name && strcmp(key->name, name) != 0)
		key++;
	ck_assert_msg(key->name, "%s has no key %s", adapter->name, name);
	memcpy((char *)config + key->offset, value, n);
}

/* A list with blanks between. */
static inline struct key_strings split_words(const char *words)
{
	struct key_strings list = {.values = keep(calloc(16, sizeof(char *)))};
	char *save;
	for (char *word = strtok_r(keep(strdup(words)), " ", &save); word; word = strtok_r(NULL, " ", &save))
		list.values[list.n++] = word;
	return list;
}

enum { REFUSE = SINK_REFUSE, APPEND = SINK_APPEND, REPLACE = SINK_REPLACE }; /* on_start of jsonl and csv */

/* Of jsonl; or of csv, with the columns id and text.  The config lives as long as the test. */
static inline void *file_config(const struct adapter *adapter, const char *path, int on_start)
{
	void *config = keep(calloc(1, adapter->config_bytes));
	set_key(adapter, config, "path", &path, sizeof path);
	set_key(adapter, config, "on_start", &on_start, sizeof on_start);
	if (adapter == &sink_csv_adapter) {
		struct key_strings columns = split_words("id text");
		set_key(adapter, config, "columns", &columns, sizeof columns);
		set_key(adapter, config, "delimiter", &(char *){keep(strdup(","))}, sizeof(char *));
		set_key(adapter, config, "header", &(bool){true}, sizeof(bool));
	}
	return config;
}

static inline struct sink *open_sink(const struct adapter *adapter, const void *config)
{
	struct sink *sink = NULL;
	struct weir_error err = {0};
	const char *key = NULL;
	if (adapter->check)
		ck_assert_msg(adapter->check(config, &key, &err) == 0, "%s", err.text);
	ck_assert_msg(adapter->sink->open(config, &run_env, &sink, &err) == 0, "%s", err.text);
	if (adapter->sink->start)
		ck_assert_msg(adapter->sink->start(sink, &err) == 0, "%s", err.text);
	return sink;
}

static struct weir_error last_error;

static inline int write_code(const struct adapter *adapter, struct sink *sink, struct batch *batch)
{
	last_error = (struct weir_error){0};
	return adapter->sink->write(sink, batch->items, batch->n, &last_error, WEIR_FOREVER);
}

static inline void write_all(const struct adapter *adapter, struct sink *sink, struct batch *batch)
{
	int code = write_code(adapter, sink, batch);
	ck_assert_msg(code == 0, "%s: %s", weir_strerror(code), last_error.text);
	for (size_t i = 0; i < batch->n; i++)
		ck_assert_msg(batch->items[i].verdict == 0, "item %zu: %s", i, batch->items[i].why);
	drop(batch);
}

static inline void close_sink(const struct adapter *adapter, struct sink *sink)
{
	ck_assert_int_eq(adapter->sink->close(sink, &last_error), 0);
}

static inline struct sink *open_jsonl(const char *path, int on_start)
{
	return open_sink(&sink_jsonl_adapter, file_config(&sink_jsonl_adapter, path, on_start));
}

static inline int refused_open(const struct adapter *adapter, const void *config)
{
	struct sink *sink = NULL;
	last_error = (struct weir_error){0};
	int code = adapter->sink->open(config, &run_env, &sink, &last_error);
	ck_assert_ptr_null(sink);
	return code;
}

struct canceled_write {
	const struct adapter *adapter;
	struct sink *sink;
	struct batch *batch;
	int code;
};

static inline int write_one(void *arg)
{
	struct canceled_write *call = arg;
	call->code = write_code(call->adapter, call->sink, call->batch);
	return 0;
}

static inline int canceled_code(const struct adapter *adapter, struct sink *sink, struct batch *batch, bool begun)
{
	struct canceled_write call = {.adapter = adapter, .sink = sink, .batch = batch};
	struct weir_group *group;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn(group, write_one, &call, WEIR_FOREVER), 0);
	if (begun)
		weir_yield();
	weir_group_cancel(group);
	weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	return call.code;
}

static inline void expect_verdicts(struct batch *batch, size_t bad, const char *why)
{
	for (size_t i = 0; i < batch->n; i++) {
		ck_assert_int_eq(batch->items[i].verdict, i == bad ? WEIR_EDATA : 0);
		if (i == bad)
			ck_assert_msg(strstr(batch->items[i].why, why), "%s, expected %s", batch->items[i].why, why);
	}
}

static inline const char *content_of(const char *path)
{
	struct buf buf = {0};
	char chunk[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	while ((n = read(fd, chunk, sizeof chunk)) > 0)
		buf_add(&buf, chunk, (size_t)n);
	close(fd);
	return keep(buf_take(&buf, NULL));
}

/* A file system of its own of 1 MiB, if this process may have one. */
static inline const char *small_disk(void)
{
	const char *path = test_format("%s/disk", test_folder());
	ck_assert_int_eq(mkdir(path, 0700), 0);
	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return NULL;
	mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL);
	return mount("tmpfs", path, "tmpfs", 0, "size=1m") ? NULL : path;
}

#endif
