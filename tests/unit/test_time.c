/* SPDX-License-Identifier: MIT */
/* Time: sleeping, deadlines, the virtual clock and the real one. */
#include "unit/fibers.h"

#include <weir/random.h>

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

FIBER_TEST(time_sleep_ends_exactly_at_its_deadline)
{
	enum { SLEEPERS = 500 };
	static struct sleeper sleepers[SLEEPERS];
	uint64_t random = test_seed();
	weir_nsec start = weir_now();
	struct weir_group *group = new_group();
	woken = 0;
	for (int i = 0; i < SLEEPERS; i++) {
		sleepers[i].deadline = start + 1 + (weir_nsec)(weir_random(&random) % 300);
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

TEST(time_equal_deadlines_wake_first_in_first_out)
{
	ck_assert_int_eq(run_virtual(0, ties_wake_in_order, NULL), 0);
}

FIBER_TEST(time_sleep_into_the_past_returns_immediately)
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

FIBER_TEST(time_sleep_of_more_than_time_can_count_does_not_end)
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

FIBER_TEST(time_72_hours_pass_immediately)
{
	weir_nsec start = weir_now();
	for (int i = 0; i < 72; i++)
		ck_assert_int_eq(weir_sleep(3600 * WEIR_SEC), 0);
	ck_assert_int_eq(weir_now(), start + 72 * 3600 * WEIR_SEC);
}

FIBER_TEST(time_virtual_time_stands_still_while_one_can_run)
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

LOOP_TEST(time_sleep_is_never_early_on_the_real_clock)
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

LOOP_TEST(time_sleep_ends_also_when_others_never_stop_running)
{
	bool stop = false;
	struct weir_group *group = new_group();
	spawn(group, run_until_told, &stop);
	ck_assert_int_eq(weir_sleep(3 * WEIR_MSEC), 0);
	stop = true;
	finish(group);
}

static int begun, begun_before_the_sleeper;
static weir_nsec due;

static int sleep_until_due(void *arg)
{
	(void)arg;
	due = weir_clock() + 100 * WEIR_USEC;
	weir_sleep_until(due);
	begun_before_the_sleeper = begun;
	return 0;
}

static int begin(void *arg)
{
	(void)arg;
	if (begun++ == 0)
		while (weir_clock() <= due)
			;
	return 0;
}

LOOP_TEST(time_who_is_due_goes_before_those_that_have_not_begun)
{
	struct weir_group *group = new_group();
	spawn(group, sleep_until_due, NULL);
	weir_yield();
	for (int i = 0; i < 5000; i++)
		spawn(group, begin, NULL);
	finish(group);
	ck_assert_int_eq(begun, 5000);
	ck_assert_int_lt(begun_before_the_sleeper, 1000);
}

static bool enough;

static int doze(void *arg)
{
	(void)arg;
	while (!enough)
		weir_sleep(1);
	return 0;
}

LOOP_TEST(time_short_sleeps_do_not_keep_others_from_running)
{
	struct weir_group *group = new_group();
	for (int i = 0; i < 1000; i++)
		spawn(group, doze, NULL);
	for (int i = 0; i < 100; i++)
		weir_yield();
	enough = true;
	finish(group);
}

static bool began_late;

static int begin_in_time(void *arg)
{
	struct sleeper *self = arg;
	began_late |= weir_clock() >= self->deadline;
	ck_assert_int_eq(weir_sleep_until(self->deadline), 0);
	self->woken_as = woken++;
	return 0;
}

/* More than are woken in one turn.  False: the machine was too slow, not all of them slept in time. */
static bool crowd_wakes_in_order(weir_nsec margin)
{
	enum { SLEEPERS = 300 };
	static struct sleeper sleepers[SLEEPERS];
	bool stop = false;
	struct weir_group *group = new_group(), *other = new_group();
	weir_nsec at = weir_clock() + margin;
	woken = 0;
	began_late = false;
	for (int i = 0; i < SLEEPERS; i++) {
		sleepers[i].deadline = at - i % 2;
		spawn(group, begin_in_time, &sleepers[i]);
	}
	spawn(other, run_until_told, &stop);
	finish(group);
	stop = true;
	finish(other);
	for (int i = 2; i < SLEEPERS && !began_late; i++)
		ck_assert_int_eq(sleepers[i].woken_as, sleepers[i - 2].woken_as + 1);
	return !began_late;
}

LOOP_TEST(time_a_crowd_that_is_due_wakes_in_the_order_of_its_deadlines)
{
	weir_nsec margin = WEIR_MSEC;
	while (!crowd_wakes_in_order(margin))
		margin *= 2;
}

LOOP_TEST(time_now_is_read_once_a_turn)
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

FIBER_TEST(time_after_is_a_deadline)
{
	ck_assert_int_eq(weir_after(5), weir_now() + 5);
	ck_assert_int_eq(weir_after(0), WEIR_FOREVER);
	ck_assert_int_eq(weir_after(-5), WEIR_FOREVER);
	ck_assert_int_eq(weir_after(INT64_MAX), WEIR_FOREVER);
}

TEST(time_clock_and_now_work_without_a_loop)
{
	weir_nsec before = weir_clock(), now = weir_now(), after = weir_clock();
	ck_assert_int_le(before, now);
	ck_assert_int_le(now, after);
}
