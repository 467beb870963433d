/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/weir.h>

#include "data/json.h"
#include "files/reader.h"
#include "port/adapters.h"
#include "sources.h"
#include "support/test.h"

/* ---- lines */

LOOP_TEST(source_jsonl_hands_out_values_as_they_were_written)
{
	static const char text[] = "{\"a\": 1.50}\r\n\n\r\n  [1,2] \n\"x\"\n12345678901234567890123\nnull";
	struct opened opened = open_bytes(&source_jsonl_adapter, text, strlen(text));
	expect_item(&opened, 1, "{\"a\": 1.50}");
	expect_item(&opened, 4, "  [1,2] ");
	expect_item(&opened, 5, "\"x\"");
	expect_item(&opened, 6, "12345678901234567890123");
	expect_item(&opened, 7, "null");
	expect_end(&opened);
}

LOOP_TEST(source_jsonl_says_what_is_wrong_with_a_line_and_goes_on)
{
	static const char text[] = "{\"a\":\n"
				   "{} {}\n"
				   "hello\n"
				   "{\"a\":\"\xC3\x28\"}\n"
				   "\"\xED\xA0\x80\"\n"
				   "{\"a\":\"\0\"}\n"
				   "{\"a\":1,\"a\":2}\n"
				   " \n"
				   "\xEF\xBB\xBF{}\n"
				   "{\"good\":true}";
	struct opened opened = open_bytes(&source_jsonl_adapter, text, sizeof text - 1);
	expect_bad(&opened, 1, "not JSON: ");
	expect_bad(&opened, 2, "not JSON: ");
	expect_bad(&opened, 3, "not JSON: ");
	expect_bad(&opened, 4, "invalid UTF-8 at byte 7");
	expect_bad(&opened, 5, "invalid UTF-8 at byte 2");
	expect_bad(&opened, 6, "NUL at byte 7");
	expect_item(&opened, 7, "{\"a\":2}");
	expect_bad(&opened, 8, "not JSON: ");
	expect_bad(&opened, 9, "not JSON: "); /* a byte order mark belongs at the beginning */
	expect_item(&opened, 10, "{\"good\":true}");
	expect_end(&opened);
}

LOOP_TEST(source_jsonl_names_the_column)
{
	struct opened opened = open_bytes(&source_jsonl_adapter, "{\"a\":x}\n", 8);
	struct item *item = take(&opened, SOURCE_BAD);
	ck_assert_msg(strstr(item_why(item), " at column 6"), "%s", item_why(item));
	ck_assert_str_eq(item->source.data, "\"{\\\"a\\\":x}\"");
	item_free(item);
	expect_end(&opened);
}

LOOP_TEST(source_drops_a_byte_order_mark_at_the_beginning)
{
	struct opened opened = open_bytes(&source_jsonl_adapter, "\xEF\xBB\xBF{}\r\n{}", 9);
	expect_item(&opened, 1, "{}");
	expect_item(&opened, 2, "{}");
	expect_end(&opened);
	opened = open_bytes(&source_lines_adapter, "\xEF\xBB\xBF\nx", 5);
	expect_item(&opened, 2, "\"x\"");
	expect_end(&opened);
}

LOOP_TEST(source_lines_makes_strings)
{
	static const char text[] = "http://a/?b=\"c\"\\\r\n\n \t \n\xC3\xA4\n\xFF\nnul\0\nend";
	struct opened opened = open_bytes(&source_lines_adapter, text, sizeof text - 1);
	expect_item(&opened, 1, "\"http://a/?b=\\\"c\\\"\\\\\"");
	expect_item(&opened, 3, "\" \\t \"");
	expect_item(&opened, 4, "\"\xC3\xA4\"");
	expect_bad(&opened, 5, "invalid UTF-8 at byte 1");
	expect_bad(&opened, 6, "NUL at byte 4");
	expect_item(&opened, 7, "\"end\"");
	expect_end(&opened);
}

LOOP_TEST(source_of_nothing_ends_immediately)
{
	struct opened opened = open_bytes(&source_jsonl_adapter, "", 0);
	expect_end(&opened);
	opened = open_bytes(&source_jsonl_adapter, "\n\r\n\n", 4);
	expect_end(&opened);
	opened = open_path(&source_lines_adapter, "/dev/null");
	expect_end(&opened);
}

/* ---- long lines */

LOOP_TEST(source_takes_a_line_of_1_mib_and_refuses_one_byte_more)
{
	char *fits = repeat('1', MIB, "\r\n"), *over = repeat('1', MIB + 1, "\r\n");
	char *text = malloc(3 * MIB);
	strcpy(text, "\xEF\xBB\xBF");
	strcat(text, fits);
	strcat(text, over);
	strcat(text, "2\n");
	struct opened opened = open_bytes(&source_jsonl_adapter, text, strlen(text));
	struct item *item = take(&opened, SOURCE_ITEM);
	ck_assert_uint_eq(item->source.len, MIB);
	item_free(item);
	expect_bad(&opened, 2, "line over 1 MiB");
	expect_item(&opened, 3, "2");
	expect_end(&opened);
	opened = open_bytes(&source_jsonl_adapter, over, strlen(over) - 2); /* no end of line at all */
	expect_bad(&opened, 1, "line over 1 MiB");
	expect_end(&opened);
	free(fits);
	free(over);
	free(text);
}

LOOP_TEST(source_lines_refuses_what_is_over_1_mib_as_a_string)
{
	char *text = repeat('"', MIB / 2, "\nx\n"); /* each becomes two bytes, and two quotes make it too long */
	struct opened opened = open_bytes(&source_lines_adapter, text, strlen(text));
	expect_bad(&opened, 1, "over 1 MiB as a JSON string");
	expect_item(&opened, 2, "\"x\"");
	expect_end(&opened);
	free(text);
}

LOOP_TEST(source_passes_over_a_line_of_100_mb_in_bounded_memory)
{
	const char *path = test_write_file("long", "{}\n");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "\n[]\n", 4, 100000000), 4);
	close(fd);
	reset_peak();
	long before = peak_kib();
	struct opened opened = open_path(&source_jsonl_adapter, path);
	expect_item(&opened, 1, "{}");
	expect_bad(&opened, 2, "line over 1 MiB");
	expect_item(&opened, 3, "[]");
	expect_end(&opened);
	ck_assert_int_lt(peak_kib() - before, 10000); /* 2,000 without a sanitizer */
}

LOOP_TEST(source_cuts_excerpts_between_characters)
{
	char text[2048] = "";
	struct json *json;
	size_t n;
	while (strlen(text) < 1500)
		strcat(text, "\xE2\x82\xAC"); /* three bytes: 512 is no multiple */
	struct opened opened = open_bytes(&source_jsonl_adapter, text, strlen(text));
	struct item *item = take(&opened, SOURCE_BAD);
	ck_assert_int_eq(json_parse(item->source.data, item->source.len, &json, NULL), 0);
	json_text(json, &n);
	ck_assert_uint_eq(n, 510);
	ck_assert_ptr_null(strstr(item->source.data, "\xEF\xBF\xBD"));
	json_free(json);
	item_free(item);
	expect_end(&opened);
}

/* ---- lines that cross the chunks in which files are read */

LOOP_TEST(source_puts_lines_together_across_chunks)
{
	size_t room = 4 * MIB, n = 0;
	char *text = malloc(room), *expected = malloc(room);
	unsigned lines = 0;
	while (n < 3 * MIB) {
		size_t len = lines % 97 == 0 ? 70000 : lines * 7919 % 4000 + 1;
		memset(text + n, 'a' + (int)(lines % 26), len);
		n += len;
		text[n++] = '\n';
		lines++;
	}
	struct opened opened = open_bytes(&source_lines_adapter, text, n);
	for (unsigned i = 0; i < lines; i++) {
		size_t len = i % 97 == 0 ? 70000 : i * 7919 % 4000 + 1;
		expected[0] = '"';
		memset(expected + 1, 'a' + (int)(i % 26), len);
		strcpy(expected + 1 + len, "\"");
		expect_item(&opened, i + 1, expected);
	}
	expect_end(&opened);
	free(text);
	free(expected);
}

/* ---- how many there are */

LOOP_TEST(source_total_is_estimated_and_exact_at_the_end)
{
	enum { LINES = 20000 };
	bool exact = true;
	char *text = malloc(LINES * 40), *at = text;
	for (int i = 0; i < LINES; i++)
		at += sprintf(at, "{\"id\": %d, \"name\": \"order\"}\n", 100000 + i);
	struct opened opened = open_bytes(&source_jsonl_adapter, text, (size_t)(at - text));
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), -1);
	ck_assert(!exact);
	for (int i = 0; i < LINES; i++) {
		item_free(take(&opened, SOURCE_ITEM));
		int64_t total = opened.ops->total(opened.source, &exact);
		ck_assert_int_ge(total, LINES - LINES / 100);
		ck_assert_int_le(total, LINES + LINES / 100);
	}
	item_free(take(&opened, SOURCE_END));
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), LINES);
	ck_assert(exact);
	shut(&opened);
	free(text);
}

/* ---- what cannot be opened */

LOOP_TEST(source_says_why_a_file_cannot_be_opened)
{
	const char *missing = test_format("%s/missing", test_folder()), *folder = test_folder();
	void *config = calloc(1, source_jsonl_adapter.config_bytes);
	struct source *source = NULL;
	struct weir_error err = {0};
	memcpy(config, &missing, sizeof missing);
	ck_assert_int_eq(source_jsonl_adapter.source->open(config, NULL, &source, &err), WEIR_ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, missing));
	memcpy(config, &folder, sizeof folder);
	ck_assert_int_eq(source_jsonl_adapter.source->open(config, NULL, &source, &err), -EISDIR);
	ck_assert_ptr_null(source);
	free(config);
}

/* ---- pipes */

struct feed {
	const char *path;
	int fd;
};

static int feed_in_pieces(void *arg)
{
	struct feed *feed = arg;
	static const char *const pieces[] = {"{\"a\"", ":1}\n", "{}\r", "\n[", "]"};
	if (feed->path)
		feed->fd = open(feed->path, O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		weir_sleep(WEIR_MSEC);
		if (write(feed->fd, pieces[i], strlen(pieces[i])) < 0)
			return -errno;
	}
	close(feed->fd);
	return 0;
}

static void expect_pieces(struct opened *opened, struct feed *feed)
{
	struct weir_group *group;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn(group, feed_in_pieces, feed, WEIR_FOREVER), 0);
	expect_item(opened, 1, "{\"a\":1}");
	expect_item(opened, 2, "{}");
	expect_item(opened, 3, "[]");
	expect_end(opened);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
}

LOOP_TEST(source_waits_for_the_first_writer_of_a_fifo)
{
	struct feed feed = {.path = test_format("%s/fifo", test_folder())};
	ck_assert_int_eq(mkfifo(feed.path, 0600), 0);
	struct opened opened = open_path(&source_jsonl_adapter, feed.path);
	expect_pieces(&opened, &feed);
}

LOOP_TEST(source_goes_on_after_a_deadline)
{
	const char *path = test_format("%s/fifo", test_folder());
	struct weir_error err = {0};
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	struct opened opened = open_path(&source_jsonl_adapter, path);
	struct item *item = item_new();
	ck_assert_int_eq(opened.ops->next(opened.source, item, &err, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "{\"a\"", 4), 4);
	ck_assert_int_eq(opened.ops->next(opened.source, item, &err, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(write(fd, ":1}\n", 4), 4);
	item_free(item);
	expect_item(&opened, 1, "{\"a\":1}");
	close(fd);
	expect_end(&opened);
}

struct cancelled_read {
	struct opened *opened;
	int code;
};

static int read_one(void *arg)
{
	struct cancelled_read *call = arg;
	struct weir_error err = {0};
	struct item *item = item_new();
	call->code = call->opened->ops->next(call->opened->source, item, &err, WEIR_FOREVER);
	item_free(item);
	return 0;
}

static int cancelled_code(struct opened *opened, bool waits)
{
	struct cancelled_read call = {.opened = opened};
	struct weir_group *group;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn(group, read_one, &call, WEIR_FOREVER), 0);
	if (waits)
		weir_sleep(WEIR_MSEC);
	weir_group_cancel(group);
	weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	return call.code;
}

LOOP_TEST(source_loses_nothing_to_a_cancel)
{
	const char *path = test_format("%s/fifo", test_folder());
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	struct opened opened = open_path(&source_jsonl_adapter, path);
	ck_assert_int_eq(cancelled_code(&opened, true), WEIR_ECANCELED);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "1\n2\n", 4), 4);
	ck_assert_int_eq(cancelled_code(&opened, false), WEIR_ECANCELED);
	expect_item(&opened, 1, "1");
	ck_assert_int_eq(cancelled_code(&opened, false), WEIR_ECANCELED);
	expect_item(&opened, 2, "2");
	close(fd);
	expect_end(&opened);
	opened = open_bytes(&source_jsonl_adapter, "1\n", 2);
	ck_assert_int_eq(cancelled_code(&opened, false), WEIR_ECANCELED);
	expect_item(&opened, 1, "1");
	expect_end(&opened);
}

/* ---- the standard input */

static struct opened open_stdin(int format)
{
	struct opened opened = {.ops = source_stdin_adapter.source,
				.config = calloc(1, source_stdin_adapter.config_bytes)};
	struct weir_error err = {0};
	memcpy(config_field(&source_stdin_adapter, opened.config, "format"), &format, sizeof format);
	int code = opened.ops->open(opened.config, NULL, &opened.source, &err);
	ck_assert_msg(code == 0, "%s", err.text);
	return opened;
}

LOOP_TEST(source_stdin_leaves_a_shared_pipe_as_it_was)
{
	struct feed feed = {0};
	bool exact = true;
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(dup2(fds[0], 0), 0);
	feed.fd = fds[1];
	struct opened opened = open_stdin(0);
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), -1);
	weir_yield();
	ck_assert_int_eq(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	expect_pieces(&opened, &feed);
	ck_assert_int_eq(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	close(fds[0]);
}

LOOP_TEST(source_stdin_puts_the_flags_of_a_socket_back)
{
	struct feed feed = {0};
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(dup2(fds[0], 0), 0);
	feed.fd = fds[1];
	struct opened opened = open_stdin(0);
	expect_pieces(&opened, &feed);
	ck_assert_int_eq(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	close(fds[0]);
}

LOOP_TEST(source_stdin_of_a_pipe_whose_writer_has_gone_ends)
{
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	close(fds[1]);
	ck_assert_int_eq(dup2(fds[0], 0), 0);
	struct opened opened = open_stdin(1);
	expect_item(&opened, 1, "\"x\"");
	expect_end(&opened);
	opened = open_path(&source_lines_adapter, "/dev/stdin");
	expect_end(&opened);
	close(fds[0]);
}

LOOP_TEST(source_stdin_goes_on_where_a_file_stands)
{
	int fd = open(test_write_file("input", "first\nsecond\n"), O_RDONLY | O_CLOEXEC);
	bool exact;
	ck_assert_int_eq(lseek(fd, 6, SEEK_SET), 6);
	ck_assert_int_eq(dup2(fd, 0), 0);
	struct opened opened = open_stdin(1);
	expect_item(&opened, 1, "\"second\"");
	ck_assert_int_eq(opened.ops->total(opened.source, &exact), 1);
	expect_end(&opened);
	close(fd);
}
