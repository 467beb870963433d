/* SPDX-License-Identifier: MIT */
/*
 * Unit tests, on Check in fork mode: each test in a process of its own, with a time limit and a check for leaked
 * descriptors.
 *
 *     TEST(buf_keeps_its_nul) { ck_assert_str_eq(...); }
 *     FIBER_TEST(queue_join_waits_for_unsettled_items) { ... }     runs on a fiber: virtual clock, several seeds
 *     LOOP_TEST(io_reads_what_a_thread_writes) { ... }             runs on a fiber: real clock, real descriptors
 *
 * The name is the promise.  A FIBER_TEST runs once in FIFO order and then with TEST_SEEDS seeds; a failure prints the
 * seed, and WEIR_TEST_SEED=n runs that one alone (WEIR_TEST_SEEDS=n: seeds up to n).  Files are listed in
 * tests/unit/meson.build; tests register themselves.
 */
#ifndef SUPPORT_TEST_H
#define SUPPORT_TEST_H

#include <check.h>
#include <weir/run.h>

#define TEST_SEEDS 8

enum test_kind { TEST_PLAIN, TEST_FIBER, TEST_LOOP };

struct test_case {
	const char *name, *file;
	void (*fn)(void);
	enum test_kind kind;
	struct test_case *next;
};

void test_register(struct test_case *test);

#define TEST_OF_KIND(test_name, test_kind)                                                                             \
	static void test_name(void);                                                                                   \
	__attribute__((constructor)) static void register_##test_name(void)                                            \
	{                                                                                                              \
		static struct test_case self = {#test_name, __FILE__, test_name, test_kind, NULL};                     \
		test_register(&self);                                                                                  \
	}                                                                                                              \
	static void test_name(void)

#define TEST(name)       TEST_OF_KIND(name, TEST_PLAIN)
#define FIBER_TEST(name) TEST_OF_KIND(name, TEST_FIBER)
#define LOOP_TEST(name)  TEST_OF_KIND(name, TEST_LOOP)

/* ck_assert() for inner loops: Check writes to a file at each assertion, this one only when it fails. */
#define quick_assert(condition)                                                                                        \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			ck_abort_msg("%s", "Assertion '" #condition "' failed");                                       \
	} while (0)

/* The seed this FIBER_TEST runs with now, 0 for first in, first out: where a test's own random choices come from, so
 * that its failure is reproducible, too. */
uint64_t test_seed(void);

/* A folder for this test's files, the same one for every call in a test.  The runner removes it with all in it, however
 * the test ends, and fails when it cannot. */
const char *test_folder(void);

/* printf into memory that lives as long as the test's process. */
const char *test_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes a file in test_folder() and returns its path. */
const char *test_write_file(const char *name, const char *text);

#endif
