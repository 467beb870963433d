/* SPDX-License-Identifier: MIT */
/* The test runner itself, run as a program of its own on the first test below. */
#include "unit/death.h"
#include "unit/fibers.h"

#include "rt/sanitize.h"

#include <dirent.h>
#include <pthread.h>
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
	if (!strcmp(end, "leak")) {
		static void *volatile lost;
		for (int i = 0; i < 8; i++)
			ck_assert_ptr_nonnull(lost = malloc(64));
		lost = NULL;
		return;
	}
	ck_assert_str_eq(end, "pass");
}

static const char *end;
static const char *words[3]; /* of its command line */

enum { CANNOT_RUN = 77 };

static void run_again(void)
{
	setenv("TMPDIR", test_folder(), 1);
	setenv("WEIR_TEST_END", end, 1);
	setenv("WEIR_TEST_THREADED", test_format("%s/threaded", test_folder()), 1);
	unsetenv("WEIR_TEST_SHARD"); /* or it may be in another part */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl("/proc/self/exe", "weir-test", words[0], words[1], words[2], NULL);
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
	words[0] = "support_leaves_files";
	for (int i = 0; i < 4; i++) {
		end = ends[i];
		int status = status_of_child(run_again);
		ck_assert(WIFEXITED(status));
		if (WEXITSTATUS(status) == CANNOT_RUN) /* under an emulator */
			return;
		ck_assert_msg(WEXITSTATUS(status) == i / 2, "%s: %d", end, WEXITSTATUS(status));
		unlink(test_format("%s/threaded", test_folder()));
		ck_assert_msg(!count_entries(test_folder()), "%s: something is left in %s", end, test_folder());
	}
}

#ifdef WEIR__ASAN
TEST(support_finds_what_a_test_leaks)
{
	words[0] = "support_leaves_files";
	end = "leak";
	int status = status_of_child(run_again);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
}
#endif

static void *do_nothing(void *arg)
{
	return arg;
}

TEST(support_starts_a_thread_when_told_to)
{
	pthread_t thread;
	if (!getenv("WEIR_TEST_END"))
		return;
	ck_assert_int_eq(pthread_create(&thread, NULL, do_nothing, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

TEST(support_lists_the_tests_that_start_threads_and_runs_those_of_a_list)
{
	if (SANITIZED)
		return; /* they make the threads */
	char said[1024], line[256];
	end = "pass", words[0] = "support_leaves_files", words[1] = "support_starts_a_thread";
	int status = status_of_child(run_again);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_RUN)
		return;
	ck_assert_int_eq(status, 0);
	FILE *list = fopen(test_format("%s/threaded", test_folder()), "re");
	ck_assert_ptr_nonnull(list);
	ck_assert_ptr_nonnull(fgets(line, sizeof line, list));
	ck_assert_str_eq(line, "support_starts_a_thread_when_told_to\n");
	ck_assert_ptr_null(fgets(line, sizeof line, list));
	fclose(list);
	words[0] = "-v", words[1] = test_format("@%s/threaded", test_folder());
	ck_assert_int_eq(status_of_child_saying(run_again, said, sizeof said), 0);
	ck_assert_ptr_nonnull(strstr(said, "ok   support_starts_a_thread_when_told_to ("));
	ck_assert_ptr_nonnull(strstr(said, "\n1 passed, 0 failed\n"));
}
