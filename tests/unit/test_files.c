/* SPDX-License-Identifier: MIT */
/* Files that stand for two things, by whatever names. */
#include "port/files.h"
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A path in the test's folder, one of the last eight. */
static const char *at(const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", test_folder(), name);
	return path;
}

static void make(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static struct file_use reads(const char *name)
{
	return (struct file_use){.path = at(name), .what = "the source", .line = 2, .column = 3};
}

static struct file_use writes(const char *name)
{
	return (struct file_use){.path = at(name), .what = "the sink", .written = true, .line = 4, .column = 5};
}

static int check(const struct file_use *a, const struct file_use *b, struct weir_error *err)
{
	struct files files = {0};
	*err = (struct weir_error){0};
	ck_assert_int_eq(files_add(&files, a), 0);
	ck_assert_int_eq(files_add(&files, b), 0);
	int code = files_check(&files, err);
	files_fini(&files);
	return code;
}

/* In either order, and the one that is written is blamed. */
static void expect_same(struct file_use a, struct file_use b)
{
	struct weir_error err;
	ck_assert_int_eq(check(&a, &b, &err), WEIR_EINVAL);
	ck_assert_int_eq(err.line, 4);
	ck_assert_int_eq(err.column, 5);
	ck_assert_ptr_nonnull(strstr(err.text, "the source"));
	ck_assert_ptr_nonnull(strstr(err.text, "name another file"));
	ck_assert_int_eq(check(&b, &a, &err), WEIR_EINVAL);
	ck_assert_int_eq(err.line, 4);
}

static void expect_other(struct file_use a, struct file_use b)
{
	struct weir_error err;
	ck_assert_int_eq(check(&a, &b, &err), 0);
	ck_assert_int_eq(check(&b, &a, &err), 0);
}

TEST(files_are_the_same_by_any_name)
{
	make("file");
	ck_assert_int_eq(mkdir(at("folder"), 0700), 0);
	ck_assert_int_eq(symlink("file", at("link")), 0);
	ck_assert_int_eq(symlink("link", at("link_of_link")), 0);
	ck_assert_int_eq(link(at("file"), at("hard")), 0);
	expect_same(reads("file"), writes("file"));
	expect_same(reads("file"), writes("./file"));
	expect_same(reads("file"), writes("folder/../file"));
	expect_same(reads("file"), writes("link"));
	expect_same(reads("link_of_link"), writes("file"));
	expect_same(reads("hard"), writes("file"));
	expect_same(reads("hard"), writes("link"));
}

TEST(files_that_do_not_exist_are_the_same_by_folder_and_name)
{
	struct file_use source = reads("new");
	ck_assert_int_eq(mkdir(at("folder"), 0700), 0);
	ck_assert_int_eq(symlink("folder", at("folder_link")), 0);
	ck_assert_int_eq(symlink("folder/new", at("dangling")), 0);
	ck_assert_int_eq(symlink("loop", at("loop")), 0);
	expect_same(source, writes("folder/../new"));
	source.path = at("folder/new");
	expect_same(source, writes("folder_link/new"));
	expect_same(source, writes("dangling"));
	expect_other(source, writes("new"));
	expect_other(source, writes("nowhere/new"));
	expect_other(source, writes("loop"));
}

TEST(files_that_are_only_read_may_be_the_same)
{
	make("file");
	expect_other(reads("file"), reads("file"));
	expect_other(reads("file"), writes("another"));
}

TEST(files_that_are_no_regular_files_do_not_count)
{
	ck_assert_int_eq(mkfifo(at("fifo"), 0600), 0);
	expect_other(reads("fifo"), writes("fifo"));
	struct file_use null = writes("x"), more = null;
	null.path = "/dev/null";
	more.path = "/dev/null";
	expect_other(null, more);
}

TEST(files_beside_a_database_belong_to_it)
{
	struct file_use database = writes("db");
	database.database = true;
	make("db");
	make("db-wal");
	expect_same(reads("db-wal"), database);
	expect_same(reads("db-journal"), database);
	expect_same(reads("db-shm"), database);
	expect_other(reads("db-other"), database);
}

TEST(files_with_two_tables_may_be_one_database)
{
	struct file_use sink = writes("db"), letters = writes("db");
	struct weir_error err;
	sink.database = letters.database = true;
	sink.table = "orders";
	letters.table = "dead";
	ck_assert_int_eq(check(&sink, &letters, &err), 0);
	letters.table = "Orders";
	ck_assert_int_eq(check(&sink, &letters, &err), WEIR_EINVAL);
}

TEST(files_of_standard_output_and_error_may_be_one)
{
	struct file_use out = writes("log"), more = writes("log");
	struct weir_error err;
	make("log");
	out.standard = more.standard = true;
	ck_assert_int_eq(check(&out, &more, &err), 0);
	more.standard = false;
	ck_assert_int_eq(check(&out, &more, &err), WEIR_EINVAL);
}
