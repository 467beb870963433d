/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/pattern.h"
#include "support/test.h"

/* The names that a pattern in test_folder() matches, with blanks between; or the error. */
static const char *matches(const char *pattern)
{
	struct pattern_paths paths = {0};
	struct weir_error err = {0};
	const char *path = test_format("%s/%s", test_folder(), pattern), *names = "";
	int code = pattern_expand(path, &paths, &err);
	if (code) {
		ck_assert_ptr_null(paths.paths);
		ck_assert_ptr_nonnull(strstr(err.text, test_folder()));
		return code == WEIR_ENOENT ? "none" : err.text[0] ? test_format("%s", err.text) : "?";
	}
	ck_assert(paths.matched == (strcmp(paths.paths[0], path) != 0));
	for (size_t i = 0; i < paths.n; i++) {
		ck_assert_ptr_eq(strstr(paths.paths[i], test_folder()), paths.paths[i]);
		names = test_format("%s%s%s", names, i ? " " : "", paths.paths[i] + strlen(test_folder()) + 1);
	}
	pattern_paths_fini(&paths);
	return names;
}

TEST(pattern_finds_files_by_name_in_the_order_of_bytes)
{
	static const char *const names[] = {"b.gz", "a.gz", "Z.gz", "a10.gz", "a2.gz", ".hidden.gz", "b.txt"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		test_write_file(names[i], "");
	mkdir(test_format("%s/folder.gz", test_folder()), 0700);
	ck_assert_int_eq(symlink("b.txt", test_format("%s/link.gz", test_folder())), 0);
	ck_assert_str_eq(matches("*.gz"), "Z.gz a.gz a10.gz a2.gz b.gz link.gz");
	ck_assert_str_eq(matches("a?.gz"), "a2.gz");
	ck_assert_str_eq(matches("[a-b].*"), "a.gz b.gz b.txt");
	ck_assert_str_eq(matches("[!a]*.gz"), "Z.gz b.gz link.gz");
	ck_assert_str_eq(matches(".*.gz"), ".hidden.gz");
	ck_assert_str_eq(matches("*.zst"), "none");
	ck_assert_str_eq(matches("nowhere/*.zst"), "none");
	ck_assert_str_eq(matches("f*/*"), "none");
}

TEST(pattern_that_is_the_name_of_a_file_is_that_file)
{
	test_write_file("a[1].txt", "");
	test_write_file("a1.txt", "");
	ck_assert_str_eq(matches("a[1].txt"), "a[1].txt");
	unlink(test_format("%s/a[1].txt", test_folder()));
	ck_assert_str_eq(matches("a[1].txt"), "a1.txt");
	ck_assert_str_eq(matches("missing.txt"), "missing.txt");
}

/* A folder's name is never a pattern, so nothing has to be quoted in it. */
TEST(pattern_takes_folders_as_they_are_written)
{
	mkdir(test_format("%s/d[1]*", test_folder()), 0700);
	test_write_file("d[1]*/x.txt", "");
	ck_assert_str_eq(matches("d[1]*/*.txt"), "d[1]*/x.txt");
	struct pattern_paths paths;
	struct weir_error err = {0};
	ck_assert_int_eq(pattern_expand(test_format("%s/e*/x.txt*", test_folder()), &paths, &err), WEIR_ENOENT);
	ck_assert_msg(strstr(err.text, "only the last part of a path may be a pattern"), "%s", err.text);
}

TEST(pattern_refuses_names_with_a_line_end)
{
	test_write_file("a\nb.txt", "");
	ck_assert_ptr_nonnull(strstr(matches("*.txt"), "has a line break in its name"));
}
