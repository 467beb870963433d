/* SPDX-License-Identifier: MIT */
/* What the runtime does on kernels that lack the newest calls: guards by mprotect or none, epoll_wait in milliseconds.
 */
#include "unit/death.h"
#include "unit/fibers.h"

#include "rt/loop.h"

#include <string.h>
#include <sys/mman.h>
#include <weir/io.h>

static char *lowest(const struct weir__stack *stack)
{
	return stack->checked.bottom;
}

static void init_pool(struct weir__stack_pool *pool, size_t guards)
{
	weir__stack_pool_init(pool, 64 * 1024);
	pool->guard_kind = GUARD_MPROTECT;
	pool->mprotect_left = guards;
}

TEST(fallback_guards_by_mprotect_are_counted_out)
{
	struct weir__stack_pool pool;
	struct weir__stack *stacks[5];
	init_pool(&pool, 3);
	for (int i = 0; i < 5; i++) {
		stacks[i] = weir__stack_get(&pool, 0);
		ck_assert_ptr_nonnull(stacks[i]);
		ck_assert_uint_eq(stacks[i]->guarded, i < 3);
		ck_assert_uint_eq(stacks[i]->checked.bytes, i < 3 ? 60 * 1024 : 64 * 1024);
		weir__stack_verify(stacks[i], "fine");
	}
	ck_assert_uint_eq(pool.mapped, 5);
	ck_assert_uint_eq(pool.unguarded, 2);
	for (int i = 0; i < 5; i++)
		weir__stack_put(&pool, stacks[i]);
	ck_assert_ptr_eq(weir__stack_get(&pool, 0), stacks[4]);
	weir__stack_pool_fini(&pool);
}

static void overrun_into_mprotect(void)
{
	struct weir__stack_pool pool;
	init_pool(&pool, 1);
	*(volatile char *)(lowest(weir__stack_get(&pool, 0)) - 1) = 1;
}

static void overrun_the_canary(void)
{
	struct weir__stack_pool pool;
	init_pool(&pool, 0);
	struct weir__stack *stack = weir__stack_get(&pool, 0);
	memset(lowest(stack), 1, 100);
	weir__stack_verify(stack, "greedy");
}

TEST(fallback_overrun_is_noticed_all_the_same)
{
	if (SANITIZED || RUNNING_ON_VALGRIND)
		return;
	int status = status_of_child(overrun_into_mprotect);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
	assert_aborts(overrun_the_canary, "greedy");
}

/* Stacks beyond the first thousands are made ready in batches: none is handed out twice, each has its guard. */
static struct weir__stack *stacks_many[3000];

static void get_many_stacks(struct weir__stack_pool *pool)
{
	enum { MANY = sizeof stacks_many / sizeof stacks_many[0] };
	weir__stack_pool_init(pool, WEIR_STACK_MIN);
	for (size_t i = 0; i < MANY; i++) {
		stacks_many[i] = weir__stack_get(pool, 0);
		quick_assert(stacks_many[i]);
		memset(lowest(stacks_many[i]), (int)(i % 251), 8);
	}
	for (size_t i = 0; i < MANY; i++)
		quick_assert(lowest(stacks_many[i])[7] == (char)(i % 251));
	ck_assert_uint_ge(pool->mapped, MANY);
	ck_assert_uint_lt(pool->mapped, MANY + WEIR__STACK_BATCH);
	ck_assert_uint_eq(pool->unguarded, 0);
}

static size_t overrun_which;

static void overrun_one_of_many(void)
{
	struct weir__stack_pool pool;
	get_many_stacks(&pool);
	*(volatile char *)(lowest(stacks_many[overrun_which]) - 1) = 1;
}

/* An emulator of another processor may say yes to madvise() and do nothing. */
static void touch_a_guard(void)
{
	char *page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page != MAP_FAILED && !madvise(page, 65536, 102 /* MADV_GUARD_INSTALL */))
		*(volatile char *)page = 1;
	else
		raise(SIGSEGV); /* no such guards, so the library makes none of them */
}

static bool guards_hold(void)
{
	int status = status_of_child(touch_a_guard);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

TEST(fallback_stacks_in_batches_are_guarded)
{
	struct weir__stack_pool pool;
	get_many_stacks(&pool);
	weir__stack_pool_fini(&pool);
	if (SANITIZED || RUNNING_ON_VALGRIND || !guards_hold())
		return;
	for (overrun_which = 0; overrun_which < 3000; overrun_which += 371) {
		int status = status_of_child(overrun_one_of_many);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x", status);
	}
}

/* A batch needs a descriptor for a moment. */
TEST(fallback_stacks_one_by_one_when_there_is_no_descriptor)
{
	struct weir__stack_pool pool;
	struct rlimit before;
	getrlimit(RLIMIT_NOFILE, &before);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max});
	get_many_stacks(&pool);
	setrlimit(RLIMIT_NOFILE, &before);
	ck_assert(pool.no_batches || pool.guard_kind == GUARD_MPROTECT || RUNNING_ON_VALGRIND);
	ck_assert_uint_eq(pool.mapped, 3000);
	weir__stack_pool_fini(&pool);
}

static int sleep_once(void *arg)
{
	weir_nsec deadline = weir_now() + *(weir_nsec *)arg;
	ck_assert_int_eq(weir_sleep_until(deadline), 0);
	ck_assert_int_ge(weir_clock(), deadline);
	return 0;
}

LOOP_TEST(fallback_epoll_wait_is_never_early)
{
	static weir_nsec durations[30];
	struct weir_group *group = new_group();
	weir__loop->no_pwait2 = true;
	for (int i = 0; i < 30; i++) {
		durations[i] = 1 + i * 177777;
		spawn(group, sleep_once, &durations[i]);
	}
	finish(group);
}

LOOP_TEST(fallback_epoll_wait_sees_descriptors)
{
	int fds[2];
	char c;
	struct weir_io *io;
	weir__loop->no_pwait2 = true;
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(weir_io_open(fds[0], &io), 0);
	ck_assert_int_eq(weir_io_read(io, &c, 1, weir_after(2 * WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert_int_eq(weir_io_wait(io, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	weir_io_close(io);
	close(fds[0]);
	close(fds[1]);
}
