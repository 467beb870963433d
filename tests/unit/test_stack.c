/* SPDX-License-Identifier: MIT */
/* Stacks: their sizes, their re-use, their guards, and 20,000 of them. */
#include "unit/death.h"
#include "unit/fibers.h"

#include <sys/mman.h>

/* Touches about `kilobytes` of stack; returns something that depends on all of it. */
static __attribute__((noinline)) int recurse(int kilobytes)
{
	volatile char frame[1024];
	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = (char)(kilobytes + (int)i);
	if (kilobytes % 7 == 0)
		weir_yield();
	int below = kilobytes > 0 ? recurse(kilobytes - 1) : 0;
	for (size_t i = 0; i < sizeof frame; i++)
		if (frame[i] != (char)(kilobytes + (int)i))
			return -1;
	return below;
}

static int recurse_fiber(void *arg)
{
	return recurse(*(int *)arg / (SANITIZED ? 3 : 1));
}

FIBER_TEST(stack_deep_stacks_do_not_meet)
{
	static int kilobytes = 45;
	struct weir_group *group = new_group();
	for (int i = 0; i < 40; i++)
		spawn(group, recurse_fiber, &kilobytes);
	finish(group);
}

FIBER_TEST(stack_sizes_of_all_kinds)
{
	static const size_t sizes[] = {WEIR_STACK_MIN, WEIR_STACK_MIN + 1, 64 * 1024, 100 * 1000, 1024 * 1024};
	static int kilobytes[] = {5, 5, 45, 80, 900};
	struct weir_group *group = new_group();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 20; i++) {
			struct weir_spawn_options opts = {.name = "sized", .stack_bytes = sizes[i % 5]};
			ck_assert_int_eq(weir_group_spawn_with(group, &opts, recurse_fiber, &kilobytes[i % 5], -1), 0);
			spawn(group, recurse_fiber, &kilobytes[2]);
		}
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	}
	finish(group);
	struct weir_run_stats stats;
	weir_run_stats(&stats);
	ck_assert_uint_eq(stats.fibers, 1);
	ck_assert_uint_le(stats.stacks, 42); /* those of other sizes are gone */
}

static int end_immediately(void *arg)
{
	(void)arg;
	return 0;
}

FIBER_TEST(stack_of_another_size_for_fibers_that_never_wait)
{
	struct weir_group *group = new_group();
	struct weir_spawn_options opts = {.stack_bytes = 200 * 1024}, usual = {.stack_bytes = 64 * 1024};
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(weir_group_spawn_with(group, &opts, end_immediately, NULL, WEIR_FOREVER), 0);
		ck_assert_int_eq(weir_group_spawn_with(group, &usual, end_immediately, NULL, WEIR_FOREVER), 0);
		spawn(group, end_immediately, NULL);
	}
	finish(group);
}

FIBER_TEST(stack_size_below_the_minimum_is_refused)
{
	struct weir_group *group = new_group();
	struct weir_spawn_options opts = {.stack_bytes = WEIR_STACK_MIN - 1};
	ck_assert_int_eq(weir_group_spawn_with(group, &opts, end_immediately, NULL, WEIR_FOREVER), WEIR_EINVAL);
	ck_assert_uint_eq(weir_group_alive(group), 0);
	finish(group);
}

static int yield_once(void *arg)
{
	(void)arg;
	return weir_yield();
}

FIBER_TEST(stacks_are_used_again)
{
	struct weir_run_stats stats;
	struct weir_group *group = new_group();
	int rounds = RUNNING_ON_VALGRIND ? 200 : 8000;
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < 10; i++)
			spawn(group, yield_once, NULL);
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	}
	finish(group);
	weir_run_stats(&stats);
	ck_assert_uint_le(stats.stacks, 12);
	ck_assert_uint_eq(stats.fibers, 1);
}

FIBER_TEST(stack_is_shared_by_fibers_that_never_wait)
{
	struct weir_run_stats stats;
	struct weir_group *group = new_group();
	for (int i = 0; i < 10000; i++)
		spawn(group, end_immediately, NULL);
	finish(group);
	weir_run_stats(&stats);
	ck_assert_uint_le(stats.stacks, 2);
}

static int sleep_a_while(void *arg)
{
	quick_assert(weir_sleep(*(weir_nsec *)arg) == 0);
	return 0;
}

static int many_sleep(void *arg)
{
	static weir_nsec durations[7] = {1, 5, 2, 9, 2, 8, 1};
	struct weir_run_stats stats;
	struct weir_group *group = new_group();
	int most = *(int *)arg;
	for (int i = 0; i < most; i++)
		spawn(group, sleep_a_while, &durations[i % 7]);
	weir_yield();
	weir_run_stats(&stats);
	ck_assert_uint_eq(stats.fibers, (size_t)most + 1);
	finish(group);
	weir_run_stats(&stats);
	ck_assert_uint_eq(stats.fibers, 1);
	ck_assert_uint_le(stats.stacks, (size_t)most + 64); /* a batch is made ready ahead */
	ck_assert_uint_eq(stats.stacks_unguarded, 0);
	return 0;
}

TEST(stack_for_each_of_20000)
{
	int most = RUNNING_ON_VALGRIND ? 1000 : 20000;
	ck_assert_int_eq(run_virtual(0, many_sleep, &most), 0);
	ck_assert_int_eq(run_virtual(3, many_sleep, &most), 0);
}

static __attribute__((noinline)) int recurse_until(volatile bool *stop)
{
	volatile char frame[512];
	frame[0] = *stop;
	return *stop ? 0 : recurse_until(stop) + frame[0];
}

static int overrun(void *arg)
{
	(void)arg;
	volatile bool stop = false;
	return recurse_until(&stop);
}

static int spawn_overrun(void *arg)
{
	(void)arg;
	struct weir_group *group = new_group();
	spawn(group, yield_once, NULL); /* its stack is a neighbour */
	spawn(group, overrun, NULL);
	spawn(group, yield_once, NULL);
	finish(group);
	return 0;
}

static void overrun_a_stack(void)
{
	weir_run(NULL, spawn_overrun, NULL);
}

TEST(stack_overrun_meets_the_guard)
{
	if (SANITIZED || RUNNING_ON_VALGRIND)
		return;
	int status = status_of_child(overrun_a_stack);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
}

static int spawn_with_no_memory(void *arg)
{
	struct weir_group *group = new_group();
	struct weir_spawn_options opts = {.stack_bytes = (size_t)3 << 30};
	*(int *)arg = weir_group_spawn_with(group, &opts, end_immediately, NULL, WEIR_FOREVER);
	spawn(group, end_immediately, NULL);
	int code = weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	return code;
}

static void run_without_memory(void)
{
	int spawned;
	setrlimit(RLIMIT_AS, &(struct rlimit){(rlim_t)2 << 30, (rlim_t)2 << 30});
	if (mmap(NULL, (size_t)3 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		_exit(42); /* qemu-user keeps no such limit */
	int code = weir_run(NULL, spawn_with_no_memory, &spawned);
	_exit(spawned == 0 && code == WEIR_ENOMEM ? 42 : 1);
}

TEST(stack_that_finds_no_memory_ends_its_fiber_with_enomem)
{
	if (SANITIZED || RUNNING_ON_VALGRIND)
		return;
	int status = status_of_child(run_without_memory);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %#x", status);
}

static int use_the_stack(void *arg)
{
	return recurse(*(int *)arg);
}

TEST(stack_size_of_a_loop_is_an_option)
{
	int little = 4, much = 700;
	struct weir_options min = {.stack_bytes = WEIR_STACK_MIN}, large = {.stack_bytes = 3000 * 1000};
	if (!SANITIZED)
		ck_assert_int_eq(weir_run(&min, use_the_stack, &little), 0);
	ck_assert_int_eq(weir_run(&large, use_the_stack, &much), 0);
}
