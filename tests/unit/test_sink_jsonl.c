/* SPDX-License-Identifier: MIT */
/* Lines in a file, and in what else a path may name; where a run finds its place again is in test_sink_file.c. */
#include "unit/sinks.h"

#include <signal.h>
#include <sys/resource.h>

static const char *write_lines(const char *path, int on_start)
{
	struct batch batch = {0};
	struct sink *sink = open_jsonl(path, on_start);
	add(&batch, "{\"a\":1}", "[2]", NULL);
	add(&batch, NULL);
	write_all(&sink_jsonl_adapter, sink, &batch);
	add(&batch, "3", NULL);
	write_all(&sink_jsonl_adapter, sink, &batch);
	close_sink(&sink_jsonl_adapter, sink);
	return content_of(path);
}

LOOP_TEST(jsonl_begins_anew_or_goes_on)
{
	const char *path = test_write_file("out.jsonl", "\"old\"\n");
	ck_assert_str_eq(write_lines(path, APPEND), "\"old\"\n{\"a\":1}\n[2]\n3\n");
	ck_assert_str_eq(write_lines(path, REPLACE), "{\"a\":1}\n[2]\n3\n");
	ck_assert_str_eq(write_lines(test_format("%s/new", test_folder()), APPEND), "{\"a\":1}\n[2]\n3\n");
}

LOOP_TEST(jsonl_goes_on_behind_a_torn_line)
{
	const char *path = test_write_file("out.jsonl", "1\n{\"torn");
	ck_assert_str_eq(write_lines(path, APPEND), "1\n{\"torn\n{\"a\":1}\n[2]\n3\n");
}

LOOP_TEST(jsonl_keeps_an_output_on_one_line)
{
	struct batch batch = {0};
	const char *path = test_format("%s/out.jsonl", test_folder());
	struct sink *sink = open_jsonl(path, REPLACE);
	add(&batch, "{\r\n  \"a\":\n\n1\n}", NULL);
	write_all(&sink_jsonl_adapter, sink, &batch);
	close_sink(&sink_jsonl_adapter, sink);
	ck_assert_str_eq(content_of(path), "{    \"a\":  1 }\n");
}

LOOP_TEST(jsonl_refuses_a_second_writer)
{
	const char *path = test_format("%s/out.jsonl", test_folder());
	struct sink *sink = open_jsonl(path, REPLACE);
	struct batch batch = {0};
	add(&batch, "1", NULL);
	write_all(&sink_jsonl_adapter, sink, &batch);
	ck_assert_int_eq(refused_open(&sink_jsonl_adapter, file_config(&sink_jsonl_adapter, path, REPLACE)),
			 WEIR_EBUSY);
	ck_assert_str_eq(content_of(path), "1\n"); /* not emptied */
	close_sink(&sink_jsonl_adapter, sink);
}

LOOP_TEST(jsonl_says_why_a_file_cannot_be_opened)
{
	const char *folder = test_folder(), *missing = test_format("%s/missing/out", folder);
	ck_assert_int_eq(refused_open(&sink_jsonl_adapter, file_config(&sink_jsonl_adapter, folder, REPLACE)), -EISDIR);
	for (int resumable = 0; resumable < 2; resumable++) {
		ck_assert_int_eq(refused_open(&sink_jsonl_adapter, file_config(&sink_jsonl_adapter, missing, REPLACE)),
				 WEIR_ENOENT);
		ck_assert_ptr_nonnull(strstr(last_error.text, missing));
		run_env.run = "r";
	}
}

LOOP_TEST(jsonl_cuts_off_a_batch_that_did_not_fit)
{
	struct batch batch = {0};
	struct rlimit limit;
	const char *path = test_format("%s/out.jsonl", test_folder());
	struct sink *sink = open_jsonl(path, REPLACE);
	add(&batch, "\"first\"", NULL);
	write_all(&sink_jsonl_adapter, sink, &batch);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 20;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	add(&batch, "\"second, too long\"", NULL);
	ck_assert_int_eq(write_code(&sink_jsonl_adapter, sink, &batch), -EFBIG);
	ck_assert_str_eq(content_of(path), "\"first\"\n");
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	write_all(&sink_jsonl_adapter, sink, &batch);
	close_sink(&sink_jsonl_adapter, sink);
	ck_assert_str_eq(content_of(path), "\"first\"\n\"second, too long\"\n");
}

LOOP_TEST(jsonl_says_that_the_disk_is_full)
{
	struct batch batch = {0};
	struct sink *sink = open_jsonl("/dev/full", REPLACE);
	add(&batch, "1", NULL);
	ck_assert_int_eq(write_code(&sink_jsonl_adapter, sink, &batch), WEIR_ENOSPC);
	drop(&batch);
	close_sink(&sink_jsonl_adapter, sink);
	sink = open_jsonl("/dev/null", REPLACE);
	add(&batch, "1", NULL);
	write_all(&sink_jsonl_adapter, sink, &batch);
	close_sink(&sink_jsonl_adapter, sink);
}

static int read_later(void *arg)
{
	char chunk[64];
	weir_sleep(30 * WEIR_MSEC);
	int fd = open(arg, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	weir_sleep(30 * WEIR_MSEC);
	ssize_t n = read(fd, chunk, sizeof chunk);
	close(fd);
	return n == 2 && memcmp(chunk, "1\n", 2) == 0 ? 0 : WEIR_EDATA;
}

LOOP_TEST(jsonl_waits_for_the_reader_of_a_fifo)
{
	struct batch batch = {0};
	struct weir_group *group;
	const char *path = test_format("%s/fifo", test_folder());
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn(group, read_later, (char *)(uintptr_t)path, WEIR_FOREVER), 0);
	struct sink *sink = open_jsonl(path, REPLACE);
	add(&batch, "1", NULL);
	write_all(&sink_jsonl_adapter, sink, &batch);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	signal(SIGPIPE, SIG_IGN);
	add(&batch, "2", NULL);
	ck_assert_int_eq(write_code(&sink_jsonl_adapter, sink, &batch), WEIR_EPIPE);
	drop(&batch);
	close_sink(&sink_jsonl_adapter, sink);
	weir_group_free(group);
}
