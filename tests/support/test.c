/* SPDX-License-Identifier: MIT */
/*
 * Runs the registered tests: `weir-test [-v] [name-part …]`, or those whose names a file has: `weir-test @file`.
 * With -v it says what each took.  Ends with "N passed, N failed".
 */
#include "support/test.h"

#include "rt/sanitize.h"

#include <dirent.h>
#include <dlfcn.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_case *all_tests;
enum { TESTS_MOST = 4096 };
static struct test_case *by_index[TESTS_MOST + 1];
static char folder[96]; /* of the test that runs */
static int folders_left;

/* Of each test, shared with its process, so that the runner can say it. */
static struct seen {
	uint64_t seed;
	bool threaded; /* it started a thread */
	double cpu_ms; /* and its children */
} * seen, *seen_now;

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

static double cpu_ms_of_children(void)
{
	struct rusage used;
	getrusage(RUSAGE_CHILDREN, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

static void finish_test(void)
{
	static int tests;
	static double cpu_ms;
	seen[tests++].cpu_ms = cpu_ms_of_children() - cpu_ms;
	cpu_ms = cpu_ms_of_children();
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

static void run_seeded(struct test_case *test)
{
	const char *only = getenv("WEIR_TEST_SEED"), *most = getenv("WEIR_TEST_SEEDS");
	uint64_t first = only ? strtoull(only, NULL, 10) : 0;
	uint64_t last = only ? first : most ? strtoull(most, NULL, 10) : TEST_SEEDS;
	for (uint64_t seed = first; seed <= last; seed++) {
		seen_now->seed = current_seed = seed;
		run_on_loop(test, &(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK, .seed = seed});
	}
}

static int run_nothing(void *arg)
{
	(void)arg;
	return 0;
}

#ifdef WEIR__ASAN
/* Searches for leaks as exit() would, and ends before AddressSanitizer forgets each of the globals: that takes as long
 * as many a test. */
static void search_and_end(int status, void *arg)
{
	(void)arg;
	__lsan_do_leak_check();
	fflush(NULL);
	_exit(status);
}
#endif

static void run_case(int index)
{
#ifdef WEIR__ASAN
	on_exit(search_and_end, NULL);
#endif
	struct test_case *test = by_index[index];
	seen_now = &seen[index];
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
		run_seeded(test);
		break;
	}
	ck_assert_msg(count_fds() == fds, "%d descriptors before, %d after", fds, count_fds());
}

/* Stands before that of libc, for libraries, too: a test that starts no thread shows ThreadSanitizer nothing, and
 * WEIR_TEST_THREADED=FILE lists the others.  The sanitizers have a pthread_create() of their own. */
#if !defined(WEIR__ASAN) && !defined(WEIR__TSAN)
__attribute__((visibility("default"))) int pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
							  void *(*fn)(void *), void *arg)
{
	int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	*(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
	if (seen_now)
		seen_now->threaded = true;
	return next(ret_thread, attributes, fn, arg);
}
#endif

/* The parts run at the same time, and each line is one write. */
static int list_threaded(const char *path)
{
	FILE *file = fopen(path, "ae");
	if (!file) {
		fprintf(stderr, "weir-test: %s: %s\n", path, strerror(errno));
		return 1;
	}
	setvbuf(file, NULL, _IOLBF, 0);
	for (int i = 0; by_index[i]; i++)
		if (seen[i].threaded)
			fprintf(file, "%s\n", by_index[i]->name);
	return fclose(file) ? 1 : 0;
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

static bool is_listed(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	if (!file) {
		fprintf(stderr, "weir-test: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	char line[256];
	bool found = false;
	while (!found && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = 0;
		found = !strcmp(line, name);
	}
	fclose(file);
	return found;
}

static bool wanted(const struct test_case *test, int argc, char **argv)
{
	bool any = false;
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		any = true;
		if (argv[i][0] == '@' ? is_listed(argv[i] + 1, test->name)
				      : strstr(test->name, argv[i]) || strstr(test->file, argv[i]))
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
				printf("ok   %s (%.0f ms of the processor)\n", tr_tcname(results[i]), seen[i].cpu_ms);
			continue;
		}
		printf("FAIL %s: %s:%d: %s", tr_tcname(results[i]), tr_lfile(results[i]), tr_lno(results[i]),
		       tr_msg(results[i]));
		for (int t = 0; by_index[t]; t++)
			if (!strcmp(by_index[t]->name, tr_tcname(results[i])) && by_index[t]->kind == TEST_FIBER)
				printf(" (WEIR_TEST_SEED=%llu)", (unsigned long long)seen[t].seed);
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
		tcase_add_unchecked_fixture(tcase, make_folder, finish_test); /* in this process */
		tcase_add_loop_test(tcase, check_case, n, n + 1);
		suite_add_tcase(suite, tcase);
		n++;
	}
	seen = mmap(NULL, (TESTS_MOST + 1) * sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return 1;
	SRunner *runner = srunner_create(suite);
#ifdef WEIR__ASAN
	__lsan_do_recoverable_leak_check(); /* reads all memory: the tests' own searches find it mapped */
#endif
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner) + folders_left;
	print_results(runner, verbose);
	if (getenv("WEIR_TEST_THREADED"))
		failed += list_threaded(getenv("WEIR_TEST_THREADED"));
	srunner_free(runner);
	printf("%d passed, %d failed\n", failed < n ? n - failed : 0, failed);
	return failed ? 1 : 0;
}
