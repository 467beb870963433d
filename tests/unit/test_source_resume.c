/* SPDX-License-Identifier: MIT */
/* Files of lines that are read on by a later run, and reads that outlast the caller's patience. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/testing.h>
#include <weir/weir.h>

#include "sources.h"
#include "support/test.h"

static struct left leave_after(const struct adapter *adapter, const char *path, unsigned items)
{
	struct opened opened = open_path(adapter, path);
	for (unsigned i = 0; i < items; i++)
		item_free(take(&opened, SOURCE_ITEM));
	return leave(&opened);
}

/* A config with its path, malloc'ed. */
static void *path_config(const struct adapter *adapter, const char *path)
{
	void *config = calloc(1, adapter->config_bytes);
	memcpy(config_field(adapter, config, "path"), &path, sizeof path);
	return config;
}

static void *csv_config(const char *path)
{
	static const char *const delimiter = ",";
	static const bool header = true;
	void *config = path_config(&source_csv_adapter, path);
	memcpy(config_field(&source_csv_adapter, config, "delimiter"), &delimiter, sizeof delimiter);
	memcpy(config_field(&source_csv_adapter, config, "header"), &header, sizeof header);
	return config;
}

/* ---- going on */

static void expect_from(struct opened *opened, unsigned first)
{
	if (first <= 0)
		expect_item(opened, 1, "{\"a\":1}");
	if (first <= 1)
		expect_bad(opened, 3, "not JSON");
	if (first <= 2)
		expect_item(opened, 4, "2");
	if (first <= 3)
		expect_bad(opened, 6, "invalid UTF-8 at byte 2");
	if (first <= 4)
		expect_item(opened, 7, "3");
}

LOOP_TEST(source_goes_on_behind_any_item)
{
	static const char text[] = "\xEF\xBB\xBF{\"a\":1}\r\n\n]\n2\r\n\r\n\"\xFF\"\n3";
	bool exact;
	for (unsigned after = 0; after <= 5; after++) {
		struct opened opened = open_bytes(&source_jsonl_adapter, text, sizeof text - 1);
		for (unsigned i = 0; i < after; i++)
			item_free(take(&opened, i == 1 || i == 3 ? SOURCE_BAD : SOURCE_ITEM));
		struct left left = leave(&opened);
		opened = open_path(&source_jsonl_adapter, test_format("%s/input", test_folder()));
		go_on(&opened, &left);
		expect_from(&opened, after);
		item_free(take(&opened, SOURCE_END));
		ck_assert_int_eq(opened.ops->total(opened.source, &exact), 5);
		ck_assert(exact);
		left = leave(&opened);
		ck_assert_msg(strstr(left.cursor.text, "line=7 items=5"), "%s", left.cursor.text);
		free(left.identity);
	}
}

LOOP_TEST(source_total_counts_what_an_earlier_run_read)
{
	char text[4000] = "";
	bool exact = true;
	for (int i = 0; i < 100; i++)
		strcat(text, "{\"number\": 12345}\n");
	const char *path = test_write_file("input", text);
	struct left left = leave_after(&source_jsonl_adapter, path, 40);
	struct opened opened = open_path(&source_jsonl_adapter, path);
	go_on(&opened, &left);
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), 100);
	ck_assert(!exact);
	shut(&opened);
}

LOOP_TEST(source_that_was_not_begun_begins)
{
	const char *path = test_write_file("input", "1\n");
	struct left left = leave_after(&source_jsonl_adapter, path, 0);
	ck_assert_str_eq(left.cursor.text, "");
	struct opened opened = open_path(&source_jsonl_adapter, path);
	go_on(&opened, &left);
	expect_item(&opened, 1, "1");
	expect_end(&opened);
}

LOOP_TEST(source_reads_a_line_again_for_which_there_was_no_memory)
{
	const char *path = test_write_file("input", "1\n2\n");
	struct opened opened = open_path(&source_lines_adapter, path);
	item_free(take(&opened, SOURCE_ITEM));
	struct item *item = item_new();
	weir_testing_fail(WEIR_TESTING_ALLOCATE, 1, WEIR_ENOMEM);
	ck_assert_int_eq(opened.ops->next(opened.source, item, NULL, WEIR_FOREVER), WEIR_ENOMEM);
	item_free(item);
	struct left left = leave(&opened);
	opened = open_path(&source_lines_adapter, path);
	go_on(&opened, &left);
	expect_item(&opened, 2, "\"2\"");
	expect_end(&opened);
}

struct sweep {
	const struct adapter *adapter;
	const char *path;
	struct left left;
	unsigned items;
	unsigned failing; /* which allocation; 0: none */
	bool failed;
};

/* Reads until the end or the first failure, which must be for want of memory, and leaves. */
static void read_some(struct sweep *sweep)
{
	struct opened opened = {.ops = sweep->adapter->source,
				.config = sweep->adapter == &source_csv_adapter
						  ? csv_config(sweep->path)
						  : path_config(sweep->adapter, sweep->path)};
	struct item item = {0};
	struct buf identity = {0};
	struct weir_error err = {0};
	weir_testing_fail(WEIR_TESTING_ALLOCATE, sweep->failing, WEIR_ENOMEM);
	int code = opened.ops->open(opened.config, &opened.source, &err);
	bool opens = !code;
	if (opens && sweep->left.identity)
		code = opened.ops->resume(opened.source, sweep->left.identity, &sweep->left.cursor, false, &err);
	while (!code && (code = opened.ops->next(opened.source, &item, &err, WEIR_FOREVER)) > 0) {
		sweep->items++;
		value_fini(&item.source);
		code = 0;
	}
	value_fini(&item.source);
	if (opens) {
		opened.ops->cursor(opened.source, &sweep->left.cursor);
		opened.ops->identify(opened.source, &identity);
		opened.ops->close(opened.source);
	}
	if (identity.data && !identity.failed && !sweep->left.identity)
		sweep->left.identity = buf_take(&identity, NULL);
	buf_fini(&identity);
	free(opened.config);
	sweep->failed = weir_testing_failed(WEIR_TESTING_ALLOCATE);
	weir_testing_fail(WEIR_TESTING_ALLOCATE, 0, WEIR_ENOMEM); /* Check allocates, too */
	ck_assert_msg(!code || (code == WEIR_ENOMEM && sweep->failed), "%d %s", code, err.text);
}

static void sweep_allocations(const struct adapter *adapter, const char *text)
{
	bool failed = true;
	for (unsigned n = 1; failed; n++) {
		struct sweep sweep = {.adapter = adapter, .path = test_write_file("input", text), .failing = n};
		read_some(&sweep);
		failed = sweep.failed;
		sweep.failing = 0;
		if (!sweep.left.identity)
			sweep.items = 0; /* a run that could not say what it reads has not begun */
		read_some(&sweep);
		ck_assert_msg(sweep.items == 3, "%s: %u items with allocation %u failing", adapter->name, sweep.items,
			      n);
		free(sweep.left.identity);
		ck_assert_uint_lt(n, 1000);
	}
}

LOOP_TEST(source_loses_nothing_to_any_allocation_that_fails)
{
	sweep_allocations(&source_jsonl_adapter, "\xEF\xBB\xBF{\"a\":1}\n\n]\n\"x\"");
	sweep_allocations(&source_lines_adapter, "a\nb\r\n\n\"");
	sweep_allocations(&source_csv_adapter, "id,\"the \"\"name\"\"\"\n1,\"a\nb\"\n2\n3,c");
}

LOOP_TEST(source_that_grew_goes_on)
{
	struct left left = leave_after(&source_lines_adapter, test_write_file("input", "1\n2\n"), 1);
	struct opened opened = open_path(&source_lines_adapter, test_write_file("input", "1\n2\n3\n"));
	go_on(&opened, &left);
	expect_item(&opened, 2, "\"2\"");
	expect_item(&opened, 3, "\"3\"");
	expect_end(&opened);
}

LOOP_TEST(source_whose_last_line_was_ended_meanwhile_goes_on_behind_it)
{
	static const char *const endings[] = {"\n", "\r\n"};
	for (int i = 0; i < 2; i++) {
		struct left left = leave_after(&source_lines_adapter, test_write_file("input", "1\n2"), 2);
		const char *path = test_write_file("input", test_format("1\n2%s3\n", endings[i]));
		struct opened opened = open_path(&source_lines_adapter, path);
		go_on(&opened, &left);
		expect_item(&opened, 3, "\"3\"");
		expect_end(&opened);
	}
}

LOOP_TEST(source_whose_last_line_became_longer_is_refused)
{
	struct left left = leave_after(&source_lines_adapter, test_write_file("input", "1\n2"), 2);
	struct opened opened = open_path(&source_lines_adapter, test_write_file("input", "1\n23\n"));
	expect_refused(&opened, &left, true, "line 2");
	free(left.identity);
}

/* ---- what is not the same any more */

LOOP_TEST(source_that_became_shorter_is_refused)
{
	for (int adopt = 0; adopt < 2; adopt++) {
		struct left left = leave_after(&source_lines_adapter, test_write_file("input", "1\n2\n"), 2);
		struct opened opened = open_path(&source_lines_adapter, test_write_file("input", "1\n2"));
		expect_refused(&opened, &left, adopt, "shorter: it had 4 bytes, of which 4 were read, and has 3");
		free(left.identity);
	}
}

LOOP_TEST(source_that_begins_otherwise_is_refused)
{
	for (int adopt = 0; adopt < 2; adopt++) {
		struct left left = leave_after(&source_lines_adapter, test_write_file("input", "1\n2\n"), 1);
		struct opened opened = open_path(&source_lines_adapter, test_write_file("input", "3\n2\n"));
		expect_refused(&opened, &left, adopt, "its first 4 bytes are others");
		free(left.identity);
	}
}

/* The head of a long file is its first 4 KiB. */
LOOP_TEST(source_knows_a_long_file_by_its_head)
{
	char *text = repeat('\n', 10000, "1\n2\n");
	struct left left = leave_after(&source_lines_adapter, test_write_file("input", text), 1);
	text[4095] = ' ';
	struct opened opened = open_path(&source_lines_adapter, test_write_file("input", text));
	expect_refused(&opened, &left, true, "its first 4096 bytes are others");
	text[4095] = '\n';
	text[4096] = ' ';
	opened = open_path(&source_lines_adapter, test_write_file("input", text));
	go_on(&opened, &left);
	expect_item(&opened, 10002, "\"2\"");
	expect_end(&opened);
	free(text);
}

LOOP_TEST(source_that_was_replaced_is_refused_or_adopted)
{
	struct weir_error err = {0};
	const char *path = test_write_file("input", "1\n2\n"), *copy = test_write_file("copy", "1\n2\n3\n");
	struct left left = leave_after(&source_lines_adapter, path, 1);
	struct stat was, is;
	stat(path, &was);
	stat(copy, &is);
	ck_assert_int_eq(rename(copy, path), 0);
	struct opened opened = open_path(&source_lines_adapter, path);
	ck_assert_int_eq(opened.ops->resume(opened.source, left.identity, &left.cursor, false, &err), WEIR_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, path));
	ck_assert_ptr_nonnull(strstr(err.text, test_format("it was inode %lu", (unsigned long)was.st_ino)));
	ck_assert_ptr_nonnull(strstr(err.text, test_format("is inode %lu", (unsigned long)is.st_ino)));
	ck_assert_ptr_nonnull(strstr(err.text, "--adopt"));
	ck_assert_ptr_nonnull(strstr(err.text, "--fresh"));
	ck_assert_int_eq(opened.ops->resume(opened.source, left.identity, &left.cursor, true, &err), 0);
	expect_item(&opened, 2, "\"2\"");
	expect_item(&opened, 3, "\"3\"");
	expect_end(&opened);
	free(left.identity);
}

LOOP_TEST(source_that_is_no_file_any_more_is_refused)
{
	const char *path = test_write_file("input", "1\n");
	struct left left = leave_after(&source_lines_adapter, path, 1);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	struct opened opened = open_path(&source_lines_adapter, path);
	expect_refused(&opened, &left, true, "is none now");
	free(left.identity);
}

LOOP_TEST(source_refuses_a_cursor_that_is_none)
{
	struct weir_error err = {0};
	const char *path = test_write_file("input", "1\n");
	struct left left = leave_after(&source_lines_adapter, path, 1);
	strcpy(left.cursor.text, "done=4");
	struct opened opened = open_path(&source_lines_adapter, path);
	ck_assert_int_eq(opened.ops->resume(opened.source, left.identity, &left.cursor, true, &err), WEIR_EINVAL);
	shut(&opened);
	free(left.identity);
}

/* ---- what can be read again */

static bool stdin_can_be_read_again(int fd)
{
	ck_assert_int_eq(dup2(fd, 0), 0);
	struct opened opened = open_with(&source_stdin_adapter, calloc(1, source_stdin_adapter.config_bytes));
	struct left left = leave(&opened);
	free(left.identity);
	return left.identity != NULL;
}

LOOP_TEST(source_stdin_can_be_read_again_when_it_is_a_file)
{
	int fds[2], sockets[2];
	int file = open(test_write_file("input", "1\n"), O_RDONLY | O_CLOEXEC);
	const char *fifo = test_format("%s/fifo", test_folder());
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	int named = open(fifo, O_RDWR | O_CLOEXEC), none = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert(stdin_can_be_read_again(file));
	ck_assert(!stdin_can_be_read_again(fds[0]));
	ck_assert(!stdin_can_be_read_again(sockets[0]));
	ck_assert(!stdin_can_be_read_again(named));
	ck_assert(!stdin_can_be_read_again(none));
	int all[] = {file, fds[0], fds[1], sockets[0], sockets[1], named, none};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		close(all[i]);
	struct opened opened = open_path(&source_lines_adapter, fifo);
	ck_assert_ptr_null(leave(&opened).identity);
}

LOOP_TEST(source_stdin_goes_on_in_a_file)
{
	int fd = open(test_write_file("input", "1\n2\n3\n"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(dup2(fd, 0), 0);
	void *config = calloc(1, source_stdin_adapter.config_bytes);
	struct opened opened = open_with(&source_stdin_adapter, config);
	expect_item(&opened, 1, "1");
	struct left left = leave(&opened);
	ck_assert_int_eq(lseek(0, 0, SEEK_SET), 0);
	opened = open_with(&source_stdin_adapter, calloc(1, source_stdin_adapter.config_bytes));
	go_on(&opened, &left);
	expect_item(&opened, 2, "2");
	expect_item(&opened, 3, "3");
	expect_end(&opened);
	close(fd);
}

/* ---- cut while it is read */

LOOP_TEST(source_says_that_a_file_was_cut_while_it_was_read)
{
	char *text = repeat('\n', 2 * MIB, "");
	struct weir_error err = {0};
	text[0] = '1';
	const char *path = write_bytes("input", text, 2 * MIB);
	struct opened opened = open_path(&source_jsonl_adapter, path);
	expect_item(&opened, 1, "1");
	ck_assert_int_eq(truncate(path, 100), 0);
	struct item *item = item_new();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(opened.ops->next(opened.source, item, &err, WEIR_FOREVER), WEIR_EIO);
		ck_assert_msg(strstr(err.text, "was cut while it was read: it has 100 bytes"), "%s", err.text);
	}
	item_free(item);
	shut(&opened);
	free(text);
}

/* ---- short deadlines */

enum { THREADS = 4 }; /* as many as a loop has */

static int wait_for_byte(void *arg)
{
	char byte;
	return read(*(int *)arg, &byte, 1) == 1 ? 0 : -EIO;
}

static int occupy(void *arg)
{
	return weir_offload(wait_for_byte, arg, WEIR_FOREVER);
}

/* The disk is as slow as can be: no thread is free to read until the test says so. */
LOOP_TEST(source_lets_a_slow_read_go_on_while_the_caller_does_something_else)
{
	int fds[2];
	struct weir_group *group;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(weir_group_spawn(group, occupy, &fds[0], WEIR_FOREVER), 0);
	weir_yield();
	struct opened opened = open_bytes(&source_lines_adapter, "1\n2", 3);
	struct item *item = item_new();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(opened.ops->next(opened.source, item, NULL, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(opened.ops->next(opened.source, item, NULL, WEIR_TRY), WEIR_EAGAIN);
	item_free(item);
	ck_assert_int_eq(write(fds[1], "....", THREADS), THREADS);
	expect_item(&opened, 1, "\"1\"");
	expect_item(&opened, 2, "\"2\"");
	expect_end(&opened);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	close(fds[0]);
	close(fds[1]);
}

LOOP_TEST(source_may_be_shut_while_a_read_is_under_way)
{
	struct opened opened = open_bytes(&source_lines_adapter, "1\n2", 3);
	struct item *item = item_new();
	ck_assert_int_eq(opened.ops->next(opened.source, item, NULL, WEIR_TRY), WEIR_EAGAIN);
	item_free(item);
	shut(&opened);
}

enum { TRICKLED = 300 };

static int trickle(void *arg)
{
	const int fd = *(const int *)arg;
	char line[16];
	for (int i = 0; i < TRICKLED; i++) {
		int n = snprintf(line, sizeof line, "%d\r\n", 1000 + i);
		for (int k = 0; k < n; k++) {
			if (write(fd, &line[k], 1) != 1)
				return -errno;
			if ((i + k) % 3 == 0)
				weir_sleep(WEIR_MSEC / 20);
		}
	}
	close(fd);
	return 0;
}

LOOP_TEST(source_loses_nothing_of_a_pipe_that_trickles_to_deadlines_that_are_short)
{
	int fds[2], got = 0, late = 0, code = 0;
	struct weir_group *group;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	struct opened opened = open_path(&source_jsonl_adapter, test_format("/proc/self/fd/%d", fds[0]));
	ck_assert_int_eq(weir_group_spawn(group, trickle, &fds[1], WEIR_FOREVER), 0);
	do {
		struct item *item = item_new();
		code = opened.ops->next(opened.source, item, NULL, weir_after(WEIR_MSEC / 50));
		if (code == SOURCE_ITEM) {
			ck_assert_int_eq(atoi(item->source.data), 1000 + got++);
			ck_assert_uint_eq(item->position, (unsigned)got);
		}
		late += code == WEIR_ETIMEDOUT;
		item_free(item);
	} while (code == SOURCE_ITEM || code == WEIR_ETIMEDOUT);
	ck_assert_int_eq(code, SOURCE_END);
	ck_assert_int_eq(got, TRICKLED);
	ck_assert_int_gt(late, 0);
	shut(&opened);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	close(fds[0]);
}
