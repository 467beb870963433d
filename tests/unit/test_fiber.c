/* SPDX-License-Identifier: MIT */
/* Fibers: switching, time, floating point, stacks, how a loop begins and ends.  Cancellation is in test_cancel.c. */
#include "unit/fibers.h"

#include "base/random.h"
#include "unit/death.h"

#include <fenv.h>
#include <signal.h>
#include <string.h>
#include <weir/event.h>
#include <weir/group.h>

/* What ran, in its order, as text. */
static char trace[4096];
static size_t traced;

static void note(char c)
{
	quick_assert(traced < sizeof trace - 1);
	trace[traced++] = c;
	trace[traced] = 0;
}

static int note_thrice(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note(*(const char *)arg);
		ck_assert_int_eq(weir_yield(), 0);
	}
	return 0;
}

static int three_take_turns(void *arg)
{
	(void)arg;
	struct weir_group *group = new_group();
	traced = 0;
	spawn(group, note_thrice, "a");
	spawn(group, note_thrice, "b");
	spawn(group, note_thrice, "c");
	finish(group);
	return 7;
}

static int run_virtual(uint64_t seed, weir_fiber_fn fn, void *arg)
{
	return weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK, .seed = seed}, fn, arg);
}

TEST(fiber_yield_lets_every_other_one_run_once)
{
	ck_assert_int_eq(run_virtual(0, three_take_turns, NULL), 7);
	ck_assert_str_eq(trace, "abcabcabc");
}

TEST(fiber_order_of_a_seed_is_shuffled_and_reproducible)
{
	char first[sizeof trace];
	int differ = 0;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		run_virtual(seed, three_take_turns, NULL);
		strcpy(first, trace);
		run_virtual(seed, three_take_turns, NULL);
		ck_assert_str_eq(trace, first);
		differ += strcmp(trace, "abcabcabc") != 0;
	}
	ck_assert_int_gt(differ, 10);
}

static int note_and_spawn(void *arg)
{
	note('p');
	spawn(arg, note_thrice, "c");
	note('q');
	return 0;
}

static int main_spawns_spawner(void *arg)
{
	(void)arg;
	struct weir_group *group = new_group();
	traced = 0;
	spawn(group, note_and_spawn, group);
	note('m');
	finish(group);
	return 0;
}

TEST(fiber_first_runs_when_its_spawner_suspends)
{
	ck_assert_int_eq(run_virtual(0, main_spawns_spawner, NULL), 0);
	ck_assert_str_eq(trace, "mpqccc");
}

/* ---- time */

struct sleeper {
	weir_nsec deadline;
	int woken_as;
};

static int woken;

static int sleep_until(void *arg)
{
	struct sleeper *self = arg;
	ck_assert_int_eq(weir_sleep_until(self->deadline), 0);
	ck_assert_int_eq(weir_now(), self->deadline);
	ck_assert_int_eq(weir_clock(), self->deadline);
	self->woken_as = woken++;
	return 0;
}

FIBER_TEST(fiber_sleep_ends_exactly_at_its_deadline)
{
	enum { SLEEPERS = 500 };
	static struct sleeper sleepers[SLEEPERS];
	uint64_t random = test_seed();
	weir_nsec start = weir_now();
	struct weir_group *group = new_group();
	woken = 0;
	for (int i = 0; i < SLEEPERS; i++) {
		sleepers[i].deadline = start + 1 + (weir_nsec)(weir__random(&random) % 300);
		spawn(group, sleep_until, &sleepers[i]);
	}
	finish(group);
	for (int i = 0; i < SLEEPERS; i++)
		for (int k = 0; k < SLEEPERS; k++)
			quick_assert(sleepers[i].deadline >= sleepers[k].deadline ||
				     sleepers[i].woken_as < sleepers[k].woken_as);
}

static int ties_wake_in_order(void *arg)
{
	(void)arg;
	enum { SLEEPERS = 300 };
	static struct sleeper sleepers[SLEEPERS];
	struct weir_group *group = new_group();
	woken = 0;
	for (int i = 0; i < SLEEPERS; i++) {
		sleepers[i].deadline = weir_now() + 1 + i % 3;
		spawn(group, sleep_until, &sleepers[i]);
	}
	finish(group);
	for (int i = 3; i < SLEEPERS; i++)
		ck_assert_int_eq(sleepers[i].woken_as, sleepers[i - 3].woken_as + 1);
	return 0;
}

TEST(fiber_equal_deadlines_wake_first_in_first_out)
{
	ck_assert_int_eq(run_virtual(0, ties_wake_in_order, NULL), 0);
}

FIBER_TEST(fiber_sleep_into_the_past_returns_at_once)
{
	weir_nsec now = weir_now();
	struct weir_run_stats before, after;
	weir_run_stats(&before);
	ck_assert_int_eq(weir_sleep_until(now), 0);
	ck_assert_int_eq(weir_sleep_until(now - 5), 0);
	ck_assert_int_eq(weir_sleep_until(WEIR_TRY), 0);
	ck_assert_int_eq(weir_sleep(0), 0);
	ck_assert_int_eq(weir_sleep(-WEIR_SEC), 0);
	weir_run_stats(&after);
	ck_assert_int_eq(weir_now(), now);
	ck_assert_uint_eq(after.switches, before.switches);
}

static bool overslept;

static int sleep_for_ever(void *arg)
{
	ck_assert_int_eq(weir_sleep(*(weir_nsec *)arg), WEIR_ECANCELED);
	overslept = true;
	return 0;
}

FIBER_TEST(fiber_sleep_of_more_than_time_can_count_does_not_end)
{
	weir_nsec durations[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX - weir_now() + 1, INT64_MAX - weir_now() - 1};
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
		struct weir_group *group = new_group();
		overslept = false;
		spawn(group, sleep_for_ever, &durations[i]);
		weir_sleep(WEIR_SEC);
		ck_assert(!overslept);
		weir_group_cancel(group);
		finish(group);
		ck_assert(overslept);
	}
}

FIBER_TEST(fiber_72_hours_pass_at_once)
{
	weir_nsec start = weir_now();
	for (int i = 0; i < 72; i++)
		ck_assert_int_eq(weir_sleep(3600 * WEIR_SEC), 0);
	ck_assert_int_eq(weir_now(), start + 72 * 3600 * WEIR_SEC);
}

FIBER_TEST(fiber_virtual_time_stands_still_while_one_can_run)
{
	weir_nsec start = weir_now();
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(weir_yield(), 0);
	ck_assert_int_eq(weir_now(), start);
}

static int sleep_on_the_real_clock(void *arg)
{
	weir_nsec deadline = weir_now() + *(weir_nsec *)arg;
	ck_assert_int_eq(weir_sleep_until(deadline), 0);
	ck_assert_int_ge(weir_clock(), deadline);
	ck_assert_int_ge(weir_now(), deadline);
	return 0;
}

LOOP_TEST(fiber_sleep_is_never_early_on_the_real_clock)
{
	static weir_nsec durations[100];
	struct weir_group *group = new_group();
	for (int i = 0; i < 100; i++) {
		durations[i] = 1 + i * 77777;
		spawn(group, sleep_on_the_real_clock, &durations[i]);
	}
	finish(group);
}

static int run_until_told(void *arg)
{
	while (!*(volatile bool *)arg)
		quick_assert(weir_yield() == 0);
	return 0;
}

LOOP_TEST(fiber_sleep_ends_also_when_others_never_stop_running)
{
	bool stop = false;
	struct weir_group *group = new_group();
	spawn(group, run_until_told, &stop);
	ck_assert_int_eq(weir_sleep(3 * WEIR_MSEC), 0);
	stop = true;
	finish(group);
}

LOOP_TEST(fiber_now_is_read_once_a_turn)
{
	ck_assert_int_eq(weir_sleep(1), 0);
	weir_nsec now = weir_now();
	while (weir_clock() < now + 2 * WEIR_MSEC)
		;
	ck_assert_int_eq(weir_now(), now);
	for (int i = 0; i < 1000; i++)
		weir_yield();
	ck_assert_int_ge(weir_now(), now + 2 * WEIR_MSEC);
}

FIBER_TEST(fiber_after_is_a_deadline)
{
	ck_assert_int_eq(weir_after(5), weir_now() + 5);
	ck_assert_int_eq(weir_after(0), WEIR_FOREVER);
	ck_assert_int_eq(weir_after(-5), WEIR_FOREVER);
	ck_assert_int_eq(weir_after(INT64_MAX), WEIR_FOREVER);
}

TEST(fiber_clock_and_now_work_without_a_loop)
{
	weir_nsec before = weir_clock(), now = weir_now(), after = weir_clock();
	ck_assert_int_le(before, now);
	ck_assert_int_le(now, after);
}

/* ---- floating point */

static int expect_rounding(void *arg)
{
	int expected = *(int *)arg;
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(fegetround(), expected);
		volatile double one = 1, ten = 10;
		double near = 0x1.999999999999ap-4; /* the nearest one lies above a tenth */
		bool below = expected == FE_DOWNWARD || expected == FE_TOWARDZERO;
		ck_assert(below ? one / ten < near : one / ten == near);
		weir_yield();
	}
	return 0;
}

static int change_rounding(void *arg)
{
	int own = *(int *)arg;
	ck_assert_int_eq(fegetround(), FE_TONEAREST);
	ck_assert_int_eq(fesetround(own), 0);
	expect_rounding(&own);
	weir_sleep(5);
	expect_rounding(&own);
	return 0; /* and leaves it changed */
}

static int nearest = FE_TONEAREST, upward = FE_UPWARD, downward = FE_DOWNWARD, to_zero = FE_TOWARDZERO;

FIBER_TEST(fiber_rounding_mode_is_each_fibers_own)
{
	struct weir_group *group = new_group();
	int *modes[] = {&upward, &nearest, &downward, &to_zero};
	for (int i = 0; i < 40; i++) {
		int *mode = modes[i % 4];
		spawn(group, mode == &nearest ? expect_rounding : change_rounding, mode);
	}
	finish(group);
	expect_rounding(&nearest);
}

/* The next fiber may get the very stack of this one without a switch between them. */
static int change_rounding_and_end(void *arg)
{
	ck_assert_int_eq(fegetround(), FE_TONEAREST);
	ck_assert_int_eq(fesetround(*(int *)arg), 0);
	return 0;
}

FIBER_TEST(fiber_rounding_mode_ends_with_its_fiber)
{
	struct weir_group *group = new_group();
	for (int i = 0; i < 5; i++) {
		spawn(group, change_rounding_and_end, &upward);
		spawn(group, expect_rounding, &nearest);
		spawn(group, change_rounding_and_end, &downward);
	}
	finish(group);
	ck_assert_int_eq(fegetround(), FE_TONEAREST);
}

static int sleep_upward(void *arg)
{
	fesetround(FE_UPWARD);
	spawn(arg, expect_rounding, &nearest);
	weir_yield();
	return expect_rounding(&upward);
}

FIBER_TEST(fiber_rounding_mode_of_a_new_fiber_is_not_that_of_who_runs_before)
{
	struct weir_group *group = new_group();
	spawn(group, sleep_upward, group);
	finish(group);
}

static int run_with_rounding(void *arg)
{
	struct weir_group *group = new_group();
	expect_rounding(arg);
	spawn(group, expect_rounding, arg);
	weir_yield();
	fesetround(FE_TONEAREST);
	finish(group);
	return 0;
}

TEST(fiber_rounding_mode_of_the_thread_is_where_fibers_begin)
{
	fesetround(FE_DOWNWARD);
	ck_assert_int_eq(weir_run(NULL, run_with_rounding, &downward), 0);
	ck_assert_int_eq(fegetround(), FE_DOWNWARD);
}

/* ---- stacks */

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

FIBER_TEST(fiber_deep_stacks_do_not_meet)
{
	static int kilobytes = 45;
	struct weir_group *group = new_group();
	for (int i = 0; i < 40; i++)
		spawn(group, recurse_fiber, &kilobytes);
	finish(group);
}

FIBER_TEST(fiber_stack_sizes_of_all_kinds)
{
	static const size_t sizes[] = {WEIR_STACK_MIN, WEIR_STACK_MIN + 1, 64 * 1024, 100 * 1000, 1024 * 1024};
	static int kilobytes[] = {8, 8, 45, 80, 900};
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

static int end_at_once(void *arg)
{
	(void)arg;
	return 0;
}

FIBER_TEST(fiber_with_a_stack_of_its_own_that_never_waits)
{
	struct weir_group *group = new_group();
	struct weir_spawn_options opts = {.stack_bytes = 200 * 1024}, usual = {.stack_bytes = 64 * 1024};
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(weir_group_spawn_with(group, &opts, end_at_once, NULL, WEIR_FOREVER), 0);
		ck_assert_int_eq(weir_group_spawn_with(group, &usual, end_at_once, NULL, WEIR_FOREVER), 0);
		spawn(group, end_at_once, NULL);
	}
	finish(group);
}

FIBER_TEST(fiber_stack_size_below_the_minimum_is_refused)
{
	struct weir_group *group = new_group();
	struct weir_spawn_options opts = {.stack_bytes = WEIR_STACK_MIN - 1};
	ck_assert_int_eq(weir_group_spawn_with(group, &opts, end_at_once, NULL, WEIR_FOREVER), WEIR_EINVAL);
	ck_assert_uint_eq(weir_group_alive(group), 0);
	finish(group);
}

static int yield_once(void *arg)
{
	(void)arg;
	return weir_yield();
}

FIBER_TEST(fiber_stacks_are_used_again)
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

FIBER_TEST(fiber_that_never_waits_needs_no_stack_of_its_own)
{
	struct weir_run_stats stats;
	struct weir_group *group = new_group();
	for (int i = 0; i < 10000; i++)
		spawn(group, end_at_once, NULL);
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
	ck_assert_uint_le(stats.stacks, (size_t)most + 1);
	ck_assert_uint_eq(stats.stacks_unguarded, 0);
	return 0;
}

TEST(fiber_20000_at_once)
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

TEST(fiber_overrunning_its_stack_meets_the_guard)
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
	*(int *)arg = weir_group_spawn_with(group, &opts, end_at_once, NULL, WEIR_FOREVER);
	spawn(group, end_at_once, NULL);
	int code = weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	return code;
}

static void run_without_memory(void)
{
	int spawned;
	setrlimit(RLIMIT_AS, &(struct rlimit){(rlim_t)2 << 30, (rlim_t)2 << 30});
	int code = weir_run(NULL, spawn_with_no_memory, &spawned);
	_exit(spawned == 0 && code == WEIR_ENOMEM ? 42 : 1);
}

TEST(fiber_without_memory_for_its_stack_ends_with_enomem)
{
	if (SANITIZED || RUNNING_ON_VALGRIND)
		return;
	int status = status_of_child(run_without_memory);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %#x", status);
}

/* ---- how a loop begins and ends */

static int return_arg(void *arg)
{
	return *(int *)arg;
}

TEST(fiber_run_returns_what_the_first_fiber_returned)
{
	int results[] = {0, 5, -5, WEIR_ECLOSED};
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(weir_run(NULL, return_arg, &results[i]), results[i]);
		ck_assert_int_eq(run_virtual(9, return_arg, &results[i]), results[i]);
	}
}

static int must_not_run(void *arg)
{
	(void)arg;
	ck_abort_msg("ran");
	return 0;
}

TEST(fiber_run_refuses_options_it_cannot_keep)
{
	struct weir_options small = {.stack_bytes = WEIR_STACK_MIN - 1}, huge = {.stack_bytes = SIZE_MAX};
	struct weir_options threads = {.offload_threads = 100000}, flags = {.flags = 1u << 30};
	ck_assert_int_eq(weir_run(&small, must_not_run, NULL), WEIR_EINVAL);
	ck_assert_int_eq(weir_run(&huge, must_not_run, NULL), WEIR_EINVAL);
	ck_assert_int_eq(weir_run(&threads, must_not_run, NULL), WEIR_EINVAL);
	ck_assert_int_eq(weir_run(&flags, must_not_run, NULL), WEIR_EINVAL);
}

static int use_the_stack(void *arg)
{
	return recurse(*(int *)arg);
}

TEST(fiber_run_with_stacks_of_another_size)
{
	int little = 4, much = 700;
	struct weir_options min = {.stack_bytes = WEIR_STACK_MIN}, large = {.stack_bytes = 3000 * 1000};
	if (!SANITIZED)
		ck_assert_int_eq(weir_run(&min, use_the_stack, &little), 0);
	ck_assert_int_eq(weir_run(&large, use_the_stack, &much), 0);
}

static struct weir_event *never; /* reachable, also when the fibers that wait for it are abandoned */

static int wait_for_never(void *arg)
{
	(void)arg;
	return weir_event_wait(never, WEIR_FOREVER);
}

static struct weir_group *stuck;

static int all_wait(void *arg)
{
	(void)arg;
	ck_assert_int_eq(weir_event_new(&never), 0);
	stuck = new_group();
	for (int i = 0; i < 3; i++)
		spawn(stuck, wait_for_never, NULL);
	weir_sleep(WEIR_SEC);
	return weir_group_wait(stuck, WEIR_FOREVER);
}

TEST(fiber_run_ends_when_nothing_can_ever_wake_a_fiber)
{
	for (uint64_t seed = 0; seed < 3; seed++) {
		ck_assert_int_eq(run_virtual(seed, all_wait, NULL), WEIR_EDEADLOCK);
		free(never); /* they still stand in the abandoned fibers' way: not through the interface */
		free(stuck);
	}
}

static int run_inside(void *arg)
{
	(void)arg;
	return weir_run(NULL, end_at_once, NULL);
}

static void run_in_run(void)
{
	weir_run(NULL, run_inside, NULL);
}

static void yield_outside(void)
{
	weir_yield();
}

static int leave_unentered(void *arg)
{
	(void)arg;
	weir_shield_leave();
	return 0;
}

static void leave_shield_unentered(void)
{
	weir_run(NULL, leave_unentered, NULL);
}

static int end_shielded(void *arg)
{
	(void)arg;
	weir_shield_enter();
	return 0;
}

static void end_in_shield(void)
{
	weir_run(NULL, end_shielded, NULL);
}

static int leave_children(void *arg)
{
	(void)arg;
	never = NULL;
	spawn(new_group(), yield_once, NULL);
	return 0;
}

static void end_before_children(void)
{
	weir_run(NULL, leave_children, NULL);
}

TEST(fiber_broken_contracts_abort)
{
	assert_aborts(run_in_run);
	assert_aborts(yield_outside);
	assert_aborts(leave_shield_unentered);
	assert_aborts(end_in_shield);
	assert_aborts(end_before_children);
}

TEST(fiber_run_again_and_again)
{
	int zero = 0;
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(weir_run(NULL, return_arg, &zero), 0);
}
