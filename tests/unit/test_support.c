/* SPDX-License-Identifier: MIT */
/* The test runner itself, run as a program of its own on the first test below. */
#include "unit/death.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

TEST(support_leaves_files_and_ends_as_it_is_told)
{
	const char *end = getenv("WEIR_TEST_END");
	if (!end)
		return;
	test_write_file("file", "text");
	ck_assert_int_eq(mkdir(test_format("%s/folder", test_folder()), 0700), 0);
	test_write_file("folder/file", "text");
	if (!strcmp(end, "crash"))
		abort();
	if (!strcmp(end, "exit"))
		_exit(0);
	ck_assert_str_eq(end, "pass");
}

static const char *end;

enum { CANNOT_RUN = 77 };

static void run_again(void)
{
	setenv("TMPDIR", test_folder(), 1);
	setenv("WEIR_TEST_END", end, 1);
	unsetenv("WEIR_TEST_SHARD"); /* or it may be in another part */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl("/proc/self/exe", "weir-test", "support_leaves_files", NULL);
	_exit(CANNOT_RUN);
}

static int count_entries(const char *path)
{
	int n = 0;
	DIR *dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	closedir(dir);
	return n;
}

TEST(support_removes_the_folder_of_a_test_however_it_ends)
{
	static const char *const ends[] = {"pass", "exit", "fail", "crash"};
	for (int i = 0; i < 4; i++) {
		end = ends[i];
		int status = status_of_child(run_again);
		ck_assert(WIFEXITED(status));
		if (WEXITSTATUS(status) == CANNOT_RUN) /* under an emulator */
			return;
		ck_assert_msg(WEXITSTATUS(status) == i / 2, "%s: %d", end, WEXITSTATUS(status));
		ck_assert_msg(!count_entries(test_folder()), "%s: something is left in %s", end, test_folder());
	}
}
