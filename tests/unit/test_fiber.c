/* SPDX-License-Identifier: MIT */
/* Fibers: the order in which they run, floating point, how a loop begins and ends. */
#include "unit/death.h"
#include "unit/fibers.h"

#include <fenv.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <weir/event.h>

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

/* ---- what a switch keeps */

#define FOR_EACH_OF_12(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

/* More values, live across the switches, than there are registers that a call must keep. */
static int keep_values(void *arg)
{
	volatile long longs[12];
	volatile double doubles[12];
	for (int i = 0; i < 12; i++)
		doubles[i] = (double)(longs[i] = 100L * *(int *)arg + i) / 3;
#define LOAD(i)                                                                                                        \
	long long_##i = longs[i];                                                                                      \
	double double_##i = doubles[i];
#define SAME(i) quick_assert(long_##i == longs[i] && double_##i == doubles[i]);
	FOR_EACH_OF_12(LOAD)
	for (int turn = 0; turn < 3; turn++) {
		weir_yield();
		FOR_EACH_OF_12(SAME)
	}
	return 0;
}

/* Only the frame pointer tells where the rest of such a frame is. */
static int keep_a_frame_of_any_size(void *arg)
{
	size_t n = (size_t) * (int *)arg * 8 + 8;
	volatile char *bytes = __builtin_alloca(n);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(n + i);
	weir_yield();
	for (size_t i = 0; i < n; i++)
		quick_assert(bytes[i] == (char)(n + i));
	return 0;
}

FIBER_TEST(fiber_values_survive_its_switches)
{
	static int numbers[20];
	struct weir_group *group = new_group();
	for (int i = 0; i < 20; i++) {
		numbers[i] = i;
		spawn(group, keep_values, &numbers[i]);
		spawn(group, keep_a_frame_of_any_size, &numbers[i]);
	}
	finish(group);
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
		if (!RUNNING_ON_VALGRIND) /* which always computes to the nearest */
			quick_assert(below ? one / ten < near : one / ten == near);
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

/* ---- how a loop begins and ends */

static int end_immediately(void *arg)
{
	(void)arg;
	return 0;
}

static int yield_once(void *arg)
{
	(void)arg;
	return weir_yield();
}

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

/* libuv would abort. */
TEST(fiber_run_without_descriptors_is_an_error)
{
	struct rlimit limit;
	int next = dup(STDERR_FILENO), code = 0, result = 7;
	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int more = 0; more < 12; more++) {
		limit.rlim_cur = (rlim_t)(next + more);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		code = weir_run(NULL, return_arg, &result);
		ck_assert_msg(code == 7 || code == WEIR_EMFILE, "%d more: %d", more, code);
		ck_assert(more || code == WEIR_EMFILE);
	}
	ck_assert_int_eq(code, 7);
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
	return breaks(weir_run(NULL, end_immediately, NULL));
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
	breaks(weir_shield_leave());
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
	breaks(weir_run(NULL, leave_children, NULL));
}

TEST(fiber_broken_contracts_abort)
{
	assert_breaks(run_in_run, "weir_run: called on a fiber; a loop cannot run inside another one");
	assert_aborts(yield_outside, "weir_yield: called outside of a fiber");
	assert_breaks(leave_shield_unentered, "weir_shield_leave: there was no weir_shield_enter()");
	assert_aborts(end_in_shield, "returned inside a shield");
	assert_breaks(end_before_children, "weir_run: its function returned before the fibers of its groups");
}

TEST(fiber_run_again_and_again)
{
	int zero = 0;
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(weir_run(NULL, return_arg, &zero), 0);
}
