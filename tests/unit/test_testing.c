/* SPDX-License-Identifier: MIT */
/* Calls that fail on demand (weir/testing.h). */
#include "support/test.h"

#include <stdlib.h>
#include <weir/testing.h>
#include <weir/weir.h>

FIBER_TEST(testing_lets_the_nth_put_fail_once_and_change_nothing)
{
	struct weir_queue *queue;
	ck_assert_int_eq(weir_queue_new(sizeof(int), 10, &queue), 0);
	ck_assert_int_eq(weir_testing_fail(WEIR_TESTING_PUT, 3, WEIR_ECLOSED), 0);
	int item = 4;
	ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_TRY), 0);
	ck_assert(!weir_testing_failed(WEIR_TESTING_PUT));
	ck_assert_int_eq(weir_queue_put_at(queue, &item, 1, WEIR_FOREVER), WEIR_ECLOSED);
	ck_assert(weir_testing_failed(WEIR_TESTING_PUT));
	ck_assert_uint_eq(weir_queue_size(queue), 2);
	ck_assert_int_eq(weir_queue_put_at(queue, &item, 1, WEIR_FOREVER), 0);
	weir_queue_free(queue);
}

FIBER_TEST(testing_counts_each_kind_of_call_apart)
{
	struct weir_queue *queue;
	struct weir_sem *sem;
	int item = 1;
	ck_assert_int_eq(weir_queue_new(sizeof(int), 10, &queue), 0);
	ck_assert_int_eq(weir_sem_new(2, &sem), 0);
	weir_testing_fail(WEIR_TESTING_GET, 2, WEIR_ETIMEDOUT);
	weir_testing_fail(WEIR_TESTING_ACQUIRE, 1, WEIR_ECANCELED);
	ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_sem_acquire(sem, 1, WEIR_FOREVER), WEIR_ECANCELED);
	ck_assert_uint_eq(weir_sem_available(sem), 2);
	ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_FOREVER), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_TRY), WEIR_EAGAIN);
	weir_sem_free(sem);
	weir_queue_free(queue);
}

static int count_up(void *arg)
{
	++*(int *)arg;
	return 0;
}

FIBER_TEST(testing_lets_a_spawn_fail)
{
	struct weir_group *group;
	int ran = 0;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	weir_testing_fail(WEIR_TESTING_SPAWN, 2, WEIR_ENOMEM);
	ck_assert_int_eq(weir_group_spawn(group, count_up, &ran, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_group_spawn_with(group, NULL, count_up, &ran, WEIR_FOREVER), WEIR_ENOMEM);
	ck_assert_int_eq(weir_group_spawn(group, count_up, &ran, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	ck_assert_int_eq(ran, 2);
	weir_group_free(group);
}

/* Both allocations of a queue are the library's own, in its archive. */
FIBER_TEST(testing_lets_allocations_of_the_library_fail)
{
	struct weir_queue *queue = NULL;
	unsigned n = 1;
	for (;; n++) {
		weir_testing_fail(WEIR_TESTING_ALLOCATE, n, WEIR_ENOMEM);
		int code = weir_queue_new(sizeof(int), 10, &queue);
		if (!weir_testing_failed(WEIR_TESTING_ALLOCATE)) {
			quick_assert(code == 0);
			break;
		}
		quick_assert(code == WEIR_ENOMEM); /* Check allocates when it asserts, and would fail in our place */
		quick_assert(!queue);
	}
	weir_testing_fail(WEIR_TESTING_ALLOCATE, 0, 0);
	ck_assert_uint_gt(n, 2);
	weir_queue_free(queue);
}

TEST(testing_lets_own_allocations_fail_and_takes_it_back)
{
	weir_testing_fail(WEIR_TESTING_ALLOCATE, 2, WEIR_ENOMEM);
	void *volatile first = malloc(10); /* volatile: compilers leave out allocations that nobody looks at */
	quick_assert(first);
	errno = 0;
	void *volatile longer = realloc(first, 2000);
	quick_assert(!longer);
	quick_assert(errno == ENOMEM);
	quick_assert(weir_testing_failed(WEIR_TESTING_ALLOCATE));
	weir_testing_fail(WEIR_TESTING_ALLOCATE, 1, WEIR_ENOMEM);
	weir_testing_fail(WEIR_TESTING_ALLOCATE, 0, 0);
	void *volatile second = calloc(1, 10);
	quick_assert(second);
	free(second);
	free(first);
}

TEST(testing_refuses_codes_that_are_no_failure)
{
	ck_assert_int_eq(weir_testing_fail(WEIR_TESTING_PUT, 1, 0), WEIR_EINVAL);
	ck_assert_int_eq(weir_testing_fail((enum weir_testing_call)99, 1, WEIR_EIO), WEIR_EINVAL);
	ck_assert(!weir_testing_failed((enum weir_testing_call)99));
}
