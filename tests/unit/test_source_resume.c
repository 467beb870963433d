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

#include "codec/codec.h"
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
	int code = opened.ops->open(opened.config, NULL, &opened.source, &err);
	bool opens = !code;
	if (opens && sweep->left.identity)
		code = opened.ops->resume(opened.source, sweep->left.identity, &sweep->left.cursor, false, &err);
	while (!code && (code = opened.ops->next(opened.source, &item, &err, WEIR_FOREVER)) > 0) {
		sweep->items++;
		value_fini(&item.source);
		item_forget_why(&item);
		code = 0;
	}
	value_fini(&item.source);
	item_forget_why(&item);
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

static void sweep_allocations(const struct adapter *adapter, const char *path)
{
	bool failed = true;
	for (unsigned n = 1; failed; n++) {
		struct sweep sweep = {.adapter = adapter, .path = path, .failing = n};
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
	struct buf packed = {0};
	ck_assert_int_eq(codec_pack(CODEC_GZIP, "a\nb\nc", 5, &packed), 0);
	sweep_allocations(&source_jsonl_adapter, test_write_file("input", "\xEF\xBB\xBF{\"a\":1}\n\n]\n\"x\""));
	sweep_allocations(&source_lines_adapter, test_write_file("input", "a\nb\r\n\n\""));
	sweep_allocations(&source_lines_adapter, write_bytes("packed", packed.data, packed.len));
	sweep_allocations(&source_csv_adapter, test_write_file("input", "id,\"the \"\"name\"\"\"\n1,\"a\nb\"\n2\n3,c"));
	test_write_file("part-1", "id,name\n1,a\n");
	test_write_file("part-2", "id,name\n2,b\n3,c\n");
	sweep_allocations(&source_csv_adapter, test_format("%s/part-*", test_folder()));
	buf_fini(&packed);
}

/* ---- what has grown */

LOOP_TEST(source_that_grew_gives_what_was_added)
{
	static const struct adapter *const adapters[] = {&source_lines_adapter, &source_jsonl_adapter};
	for (int all = 0; all < 2; all++)
		for (int i = 0; i < 2; i++) {
			struct opened opened = open_path(adapters[i], test_write_file("input", "1\n2\n"));
			item_free(take(&opened, SOURCE_ITEM));
			for (int k = 0; all && k < 2; k++)
				item_free(take(&opened, k ? SOURCE_END : SOURCE_ITEM));
			struct left left = leave(&opened);
			opened = open_path(adapters[i], test_write_file("input", "1\n2\n3\n\n4"));
			go_on(&opened, &left);
			if (!all)
				expect_item(&opened, 2, i ? "2" : "\"2\"");
			expect_item(&opened, 3, i ? "3" : "\"3\"");
			expect_item(&opened, 5, i ? "4" : "\"4\"");
			expect_end(&opened);
		}
}

/* However often it is looked at, and however little comes. */
LOOP_TEST(source_that_grows_between_many_runs_gives_each_line_once)
{
	struct left left = {0};
	char text[4000] = "";
	bool exact;
	for (int i = 1; i <= 60; i++) {
		for (int k = 0; k < i % 3; k++)
			strcat(text, i % 4 ? "\n" : "\r\n");
		strcat(text, test_format("%d%s", i, i % 5 ? "\n" : ""));
		struct opened opened = open_path(&source_jsonl_adapter, test_write_file("input", text));
		if (left.identity)
			go_on(&opened, &left);
		struct item *item = take(&opened, SOURCE_ITEM);
		ck_assert_str_eq(item->source.data, test_format("%d", i));
		item_free(item);
		item_free(take(&opened, SOURCE_END));
		ck_assert_int_eq(opened.ops->total(opened.source, &exact), i);
		left = leave(&opened);
		if (i % 5 == 0)
			strcat(text, "\n");
	}
	free(left.identity);
}

static void append_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

LOOP_TEST(source_that_grows_while_it_is_read_gives_what_was_added)
{
	char *text = repeat('\n', MIB, "1\n");
	const char *path = test_write_file("input", text);
	struct opened opened = open_path(&source_jsonl_adapter, path);
	free(text);
	append_to(path, "2\n"); /* before the first read */
	expect_item(&opened, MIB + 1, "1");
	append_to(path, "3\n4"); /* before the end was seen */
	expect_item(&opened, MIB + 2, "2");
	expect_item(&opened, MIB + 3, "3");
	expect_item(&opened, MIB + 4, "4");
	item_free(take(&opened, SOURCE_END));
	append_to(path, "\n5\n"); /* after it was: for the next run */
	item_free(take(&opened, SOURCE_END));
	struct left left = leave(&opened);
	opened = open_path(&source_jsonl_adapter, path);
	go_on(&opened, &left);
	expect_item(&opened, MIB + 5, "5");
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
	left = leave_after(&source_lines_adapter, test_write_file("input", "1\n2\r"), 2); /* "2\r" was the item */
	opened = open_path(&source_lines_adapter, test_write_file("input", "1\n2\r\n"));
	expect_refused(&opened, &left, true, "line 2");
	free(left.identity);
}

/* ---- what is not the same any more */

LOOP_TEST(source_that_became_shorter_is_refused)
{
	for (int adopt = 0; adopt < 2; adopt++) {
		struct left left = leave_after(&source_lines_adapter, test_write_file("input", "1\n2\n"), 2);
		struct opened opened = open_path(&source_lines_adapter, test_write_file("input", "1\n2"));
		expect_refused(&opened, &left, adopt, "shorter: it had 4 bytes and has 3");
		free(left.identity);
	}
	char *text = repeat('\n', 10000, "1\n2\n");
	struct left left = leave_after(&source_lines_adapter, test_write_file("input", text), 2);
	for (int now = 10002; now > 4096; now -= 1000) {
		text[now] = 0;
		struct opened opened = open_path(&source_lines_adapter, test_write_file("input", text));
		expect_refused(&opened, &left, true,
			       test_format("shorter: 10004 bytes were read, and it has %d;", now));
	}
	free(left.identity);
	free(text);
}

LOOP_TEST(source_that_begins_otherwise_is_refused)
{
	for (int adopt = 0; adopt < 2; adopt++) {
		struct left left = leave_after(&source_lines_adapter, test_write_file("input", "1\n2\n"), 1);
		struct opened opened = open_path(&source_lines_adapter, test_write_file("input", "3\n2\n"));
		expect_refused(&opened, &left, adopt, "its first 4 bytes differ");
		free(left.identity);
	}
}

/* Of a long file the first 4 KiB are known, and the last 4 KiB of what was read. */
LOOP_TEST(source_knows_a_long_file_by_its_head_and_by_what_was_read_last)
{
	static const struct {
		size_t at;
		const char *refused;
	} changes[] = {
		{4095, "its first 4096 bytes differ"},
		{4096, NULL},
		{20002 - 4097, NULL},
		{20002 - 4096, "the 4096 bytes before byte 20002, up to which it was read, differ"},
		{20001, "the 4096 bytes before byte 20002, up to which it was read, differ"},
	};
	char *text = repeat('\n', 20000, "1\n2\n");
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		struct left left = leave_after(&source_lines_adapter, test_write_file("input", text), 1);
		char *changed = strdup(text);
		changed[changes[i].at] = ' ';
		struct opened opened = open_path(&source_lines_adapter, test_write_file("input", changed));
		if (changes[i].refused) {
			expect_refused(&opened, &left, true, changes[i].refused);
		} else {
			go_on(&opened, &left);
			expect_item(&opened, 20002, "\"2\"");
			expect_end(&opened);
		}
		free(left.identity);
		free(changed);
	}
	free(text);
}

/* A line that is inserted or removed far behind the head moves all others. */
LOOP_TEST(source_in_which_lines_moved_is_refused)
{
	char text[30000], *at = text;
	for (int i = 0; i < 2000; i++)
		at += sprintf(at, "line %d\n", i);
	for (int added = 0; added < 2; added++) {
		struct left left = leave_after(&source_lines_adapter, test_write_file("input", text), 1500);
		const char *from = strstr(text, "line 1000\n");
		const char *now = added ? test_format("%.*sanother\n%s", (int)(from - text), text, from)
					: test_format("%.*s%s", (int)(from - text), text, from + 10);
		struct opened opened = open_path(&source_lines_adapter, test_write_file("input", now));
		expect_refused(&opened, &left, true, "differ");
		free(left.identity);
	}
}

/* The same bytes have to be summed whatever the reader had in its buffer. */
LOOP_TEST(source_sums_what_was_read_last_wherever_it_stops)
{
	char *text = malloc(2 * MIB), *at = text;
	for (size_t i = 0; at < text + 2 * MIB - 60; i++)
		at += sprintf(at, "%zu %*s\n%s", i, (int)(i * 31 % 40), "x", i % 7 ? "" : "\n");
	memset(text + 400000, 'y', MIB + 5000); /* a line that is too long */
	const char *path = test_write_file("input", text);
	struct opened reading = open_path(&source_lines_adapter, path);
	for (size_t n = 0;; n++) {
		struct item *item = item_new();
		int verdict = reading.ops->next(reading.source, item, NULL, WEIR_FOREVER);
		bool bad = verdict == SOURCE_BAD;
		item_free(item);
		if (verdict == SOURCE_END)
			break;
		if (n % 997 != 0 && !bad)
			continue;
		struct left left = {0};
		struct buf identity = {0};
		reading.ops->cursor(reading.source, &left.cursor);
		reading.ops->identify(reading.source, &identity);
		left.identity = buf_take(&identity, NULL);
		if (n > 400)
			ck_assert_ptr_nonnull(strstr(left.cursor.text, "tail=4096/"));
		struct opened later = open_path(&source_lines_adapter, path);
		go_on(&later, &left);
		struct source_cursor again;
		later.ops->cursor(later.source, &again);
		ck_assert_str_eq(again.text, left.cursor.text);
		shut(&later);
	}
	shut(&reading);
	free(text);
}

/* As they were written before the tail was kept, and with the device, which a reboot may number differently. */
LOOP_TEST(source_understands_what_earlier_versions_left)
{
	const char *path = test_write_file("input", "1\n2\n3\n");
	struct left left = leave_after(&source_lines_adapter, path, 2);
	struct stat st;
	stat(path, &st);
	char *crc = strstr(left.identity, "crc=");
	const char *old = test_format("file device=259:7 inode=%lu size=6 head=6 %s", (unsigned long)st.st_ino, crc);
	free(left.identity);
	left.identity = strdup(old);
	strcpy(left.cursor.text, "offset=4 line=2 items=2");
	struct opened opened = open_path(&source_lines_adapter, path);
	go_on(&opened, &left);
	expect_item(&opened, 3, "\"3\"");
	expect_end(&opened);
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
	expect_refused(&opened, &left, true, "is not any more");
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
	item_free(take(&opened, SOURCE_END));
	left = leave(&opened);
	append_to(test_format("%s/input", test_folder()), "4\n");
	opened = open_with(&source_stdin_adapter, calloc(1, source_stdin_adapter.config_bytes));
	go_on(&opened, &left);
	expect_item(&opened, 4, "4");
	expect_end(&opened);
	close(fd);
}

/* What is before the place where the standard input stood was not read by this run, and is no part of its tail. */
LOOP_TEST(source_stdin_goes_on_in_a_file_of_which_it_read_the_end)
{
	const char *path = test_write_file("input", "skipped\n1\n2\n");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(lseek(fd, 8, SEEK_SET), 8);
	ck_assert_int_eq(dup2(fd, 0), 0);
	struct opened opened = open_with(&source_stdin_adapter, calloc(1, source_stdin_adapter.config_bytes));
	expect_item(&opened, 1, "1");
	struct left left = leave(&opened);
	ck_assert_ptr_nonnull(strstr(left.cursor.text, "offset=10 line=1 items=1 tail=2/"));
	ck_assert_int_eq(lseek(0, 0, SEEK_SET), 0);
	opened = open_with(&source_stdin_adapter, calloc(1, source_stdin_adapter.config_bytes));
	go_on(&opened, &left);
	expect_item(&opened, 2, "2");
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
		ck_assert_msg(strstr(err.text, "was truncated while it was read: it has 100 bytes"), "%s", err.text);
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
