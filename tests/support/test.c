/* SPDX-License-Identifier: MIT */
/*
 * Runs the registered tests: `weir-test [-v] [name-part …]`.  Ends with "N passed, N failed".
 */
#include "support/test.h"

#include <dirent.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_case *all_tests;
enum { TESTS_MOST = 4096 };
static struct test_case *by_index[TESTS_MOST + 1];
static char folder[96]; /* of the test that runs */
static int folders_left;
static uint64_t *seed_now; /* one per test, shared with its process, so that the runner can print it */

void test_register(struct test_case *test)
{
	test->next = all_tests;
	all_tests = test;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

/* The folder belongs to the runner, which sees the end of a test whatever it is: a test that fails, is killed or calls
 * _exit() runs no clean-up of its own.  It is in memory unless TMPDIR says where: on the virtual clock a run of ten
 * minutes syncs thousands of times in a moment, and would wait for a real disk. */
static void make_folder(void)
{
	const char *base = getenv("TMPDIR");
	if (!base || strlen(base) >= 64)
		base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(folder, sizeof folder, "%s/weir-test-XXXXXX", base);
	if (!mkdtemp(folder)) {
		fprintf(stderr, "weir-test: %s: %s\n", folder, strerror(errno));
		exit(1);
	}
}

static void remove_folder(void)
{
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	if (!access(folder, F_OK)) {
		printf("FAIL a test left %s behind, which cannot be removed\n", folder);
		folders_left++;
	}
}

const char *test_folder(void)
{
	return folder;
}

const char *test_format(const char *format, ...)
{
	static struct text {
		struct text *next;
		char *text;
	} * texts; /* so that none is a leak */
	struct text *self = malloc(sizeof *self);
	va_list args;
	va_start(args, format);
	ck_assert(self && vasprintf(&self->text, format, args) >= 0);
	va_end(args);
	self->next = texts;
	texts = self;
	return self->text;
}

const char *test_write_file(const char *name, const char *text)
{
	const char *path = test_format("%s/%s", test_folder(), name);
	FILE *file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
	return path;
}

static int count_fds(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static int run_body(void *arg)
{
	struct test_case *test = arg;
	test->fn();
	return 0;
}

static uint64_t current_seed;

uint64_t test_seed(void)
{
	return current_seed;
}

static void run_on_loop(struct test_case *test, const struct weir_options *opts)
{
	int result = weir_run(opts, run_body, test);
	ck_assert_msg(result == 0, "weir_run: %s (seed %llu)", weir_strerror(result), (unsigned long long)opts->seed);
}

static void run_seeded(struct test_case *test, int index)
{
	const char *only = getenv("WEIR_TEST_SEED"), *most = getenv("WEIR_TEST_SEEDS");
	uint64_t first = only ? strtoull(only, NULL, 10) : 0;
	uint64_t last = only ? first : most ? strtoull(most, NULL, 10) : TEST_SEEDS;
	for (uint64_t seed = first; seed <= last; seed++) {
		seed_now[index] = current_seed = seed;
		run_on_loop(test, &(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK, .seed = seed});
	}
}

static int run_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void run_case(int index)
{
	struct test_case *test = by_index[index];
	weir_run(NULL, run_nothing, NULL); /* libuv keeps a pipe of its own from its first loop on */
	int fds = count_fds();
	switch (test->kind) {
	case TEST_PLAIN:
		test->fn();
		break;
	case TEST_LOOP:
		run_on_loop(test, &(struct weir_options){0});
		break;
	case TEST_FIBER:
		run_seeded(test, index);
		break;
	}
	ck_assert_msg(count_fds() == fds, "%d descriptors before, %d after", fds, count_fds());
}

START_TEST(check_case)
{
	run_case(_i);
}
END_TEST

/* WEIR_TEST_SHARD=I/N: only the I-th of N parts (tests/support/sharded). */
static bool is_in_shard(unsigned number)
{
	const char *text = getenv("WEIR_TEST_SHARD");
	unsigned part, parts;
	return !text || sscanf(text, "%u/%u", &part, &parts) != 2 || !parts || number % parts == part % parts;
}

static bool wanted(const struct test_case *test, int argc, char **argv)
{
	bool any = false;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		any = true;
		if (strstr(test->name, argv[i]) || strstr(test->file, argv[i]))
			return true;
	}
	return !any;
}

static void print_results(SRunner *runner, bool verbose)
{
	TestResult **results = srunner_results(runner);
	for (int i = 0; i < srunner_ntests_run(runner); i++) {
		if (tr_rtype(results[i]) == CK_PASS) {
			if (verbose)
				printf("ok   %s\n", tr_tcname(results[i]));
			continue;
		}
		printf("FAIL %s: %s:%d: %s", tr_tcname(results[i]), tr_lfile(results[i]), tr_lno(results[i]),
		       tr_msg(results[i]));
		for (int t = 0; by_index[t]; t++)
			if (!strcmp(by_index[t]->name, tr_tcname(results[i])) && by_index[t]->kind == TEST_FIBER)
				printf(" (WEIR_TEST_SEED=%llu)", (unsigned long long)seed_now[t]);
		printf("\n");
	}
	free(results);
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && !strcmp(argv[1], "-v");
	Suite *suite = suite_create("weir");
	int n = 0;
	unsigned number = 0;
	for (struct test_case *test = all_tests; test; test = test->next) {
		if (!wanted(test, argc, argv) || !is_in_shard(number++) ||
		    n == (int)(sizeof by_index / sizeof by_index[0]))
			continue;
		by_index[n] = test;
		TCase *tcase = tcase_create(test->name);
		tcase_set_timeout(tcase, getenv("WEIR_TEST_SLOW") ? 300 : 30);
		tcase_add_unchecked_fixture(tcase, make_folder, remove_folder); /* in this process */
		tcase_add_loop_test(tcase, check_case, n, n + 1);
		suite_add_tcase(suite, tcase);
		n++;
	}
	seed_now = mmap(NULL, sizeof by_index, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seed_now == MAP_FAILED)
		return 1;
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner) + folders_left;
	print_results(runner, verbose);
	srunner_free(runner);
	printf("%d passed, %d failed\n", failed < n ? n - failed : 0, failed);
	return failed ? 1 : 0;
}
