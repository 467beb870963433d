/* SPDX-License-Identifier: MIT */
/* Once. */
#include "unit/death.h"
#include "unit/fibers.h"

#include <weir/once.h>
#include <weir/random.h>

static struct weir_once *new_once(void)
{
	struct weir_once *once;
	ck_assert_int_eq(weir_once_new(&once), 0);
	return once;
}

struct caller {
	struct weir_once *once;
	weir_nsec deadline;
	int result; /* of its fn */
	int calls, answer;
};

/* At work for 10 ns, unless it is cancelled. */
static int make(void *arg)
{
	struct caller *self = arg;
	self->calls++;
	int code = weir_sleep(10);
	return code ? code : self->result;
}

static int call(void *arg)
{
	struct caller *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_once_run(self->once, make, self, self->deadline ? self->deadline : WEIR_FOREVER);
	return 0;
}

static void line_up(struct weir_group *group, struct caller *caller)
{
	spawn(group, call, caller);
	settle();
}

FIBER_TEST(once_runs_one_fn_and_the_others_wait_for_it)
{
	struct weir_once *once = new_once();
	struct weir_group *group = new_group();
	struct caller callers[5];
	int calls = 0;
	for (int i = 0; i < 5; i++) {
		callers[i] = (struct caller){.once = once, .result = 7};
		spawn(group, call, &callers[i]);
	}
	settle();
	ck_assert(!weir_once_is_done(once));
	ck_assert_int_eq(weir_once_run(once, make, &callers[0], WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_once_run(once, make, &callers[0], weir_after(3)), WEIR_ETIMEDOUT);
	finish(group);
	for (int i = 0; i < 5; i++) {
		calls += callers[i].calls;
		ck_assert_int_eq(callers[i].answer, 0);
	}
	ck_assert_int_eq(calls, 1);
	ck_assert(weir_once_is_done(once));
	ck_assert_int_eq(weir_once_run(once, make, &callers[0], WEIR_TRY), 0);
	weir_once_free(once);
	weir_once_free(NULL);
}

FIBER_TEST(once_failure_is_its_makers_and_the_longest_waiting_tries_next)
{
	struct weir_once *once = new_once();
	struct weir_group *group = new_group();
	struct caller callers[4];
	for (int i = 0; i < 4; i++) {
		callers[i] = (struct caller){.once = once, .result = i < 2 ? WEIR_EIO : 0};
		line_up(group, &callers[i]);
	}
	finish(group);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(callers[i].answer, i < 2 ? WEIR_EIO : 0);
		ck_assert_int_eq(callers[i].calls, i < 3);
	}
	weir_once_free(once);

	once = new_once(); /* with nobody in line a later call tries again */
	callers[0] = (struct caller){.once = once, .result = WEIR_EIO};
	callers[1] = (struct caller){.once = once};
	ck_assert_int_eq(weir_once_run(once, make, &callers[0], WEIR_FOREVER), WEIR_EIO);
	ck_assert_int_eq(weir_once_run(once, make, &callers[1], WEIR_TRY), 0);
	weir_once_free(once);
}

FIBER_TEST(once_cancelled_maker_lets_the_next_one_try)
{
	struct weir_once *once = new_once();
	struct weir_group *canceled = new_group(), *group = new_group();
	struct caller maker = {.once = once}, next = {.once = once};
	line_up(canceled, &maker);
	line_up(group, &next);
	weir_group_cancel(canceled);
	finish(canceled);
	finish(group);
	ck_assert_int_eq(maker.answer, WEIR_ECANCELED);
	ck_assert_int_eq(next.answer, 0);
	ck_assert_int_eq(next.calls, 1);
	weir_once_free(once);
}

struct maker {
	struct weir_once *once;
	struct weir_group *victim;
	int answer;
};

static int fail_later(void *arg)
{
	(void)arg;
	weir_sleep(10);
	return WEIR_EIO;
}

/* Fails, which passes the turn on, and cancels the fiber that got it before that one runs. */
static int fail_and_cancel(void *arg)
{
	struct maker *self = arg;
	self->answer = weir_once_run(self->once, fail_later, NULL, WEIR_FOREVER);
	weir_group_cancel(self->victim);
	return 0;
}

FIBER_TEST(once_cancel_after_the_turn_was_passed_on_passes_it_further)
{
	struct weir_once *once = new_once();
	struct weir_group *victim = new_group(), *group = new_group();
	struct maker maker = {.once = once, .victim = victim};
	struct caller chosen = {.once = once}, next = {.once = once};
	spawn(group, fail_and_cancel, &maker);
	settle();
	line_up(victim, &chosen);
	line_up(group, &next);
	finish(group);
	finish(victim);
	ck_assert_int_eq(maker.answer, WEIR_EIO);
	ck_assert_int_eq(chosen.answer, WEIR_ECANCELED);
	ck_assert_int_eq(chosen.calls, 0);
	ck_assert_int_eq(next.answer, 0);
	ck_assert_int_eq(next.calls, 1);
	weir_once_free(once);
}

FIBER_TEST(once_in_a_crowd_is_made_once_whatever_fails_or_leaves)
{
	enum { CALLERS = 12 };
	for (uint64_t round = 0; round < 50; round++) {
		struct weir_once *once = new_once();
		struct weir_group *groups[CALLERS];
		struct caller callers[CALLERS];
		uint64_t random = test_seed() * 1000 + round;
		for (int i = 0; i < CALLERS; i++) {
			callers[i] = (struct caller){.once = once, .result = weir_random(&random) % 3 ? WEIR_EIO : 0};
			if (weir_random(&random) % 3 == 0)
				callers[i].deadline = weir_after(1 + (weir_nsec)(weir_random(&random) % 40));
			groups[i] = new_group();
			spawn(groups[i], call, &callers[i]);
		}
		for (int i = 0; i < 6; i++) {
			weir_sleep((weir_nsec)(weir_random(&random) % 12));
			weir_group_cancel(groups[weir_random(&random) % CALLERS]);
		}
		int made = 0;
		for (int i = 0; i < CALLERS; i++)
			finish(groups[i]);
		for (int i = 0; i < CALLERS; i++) {
			quick_assert(callers[i].answer != UNANSWERED);
			quick_assert(callers[i].answer != WEIR_EIO || callers[i].calls == 1);
			quick_assert(callers[i].answer != WEIR_ETIMEDOUT || callers[i].calls == 0);
			made += callers[i].answer == 0 && callers[i].calls;
		}
		ck_assert_int_eq(made, weir_once_is_done(once));
		weir_once_free(once);
	}
}

static int call_inside(void *arg)
{
	return weir_once_run(arg, call_inside, arg, WEIR_FOREVER);
}

static int run_inside(void *arg)
{
	(void)arg;
	static struct weir_once *volatile once; /* so that it is no leak of the aborted process */
	once = new_once();
	return call_inside(once);
}

static void die_inside(void)
{
	weir_run(NULL, run_inside, NULL);
}

static int make_for_ever(void *arg)
{
	(void)arg;
	return weir_sleep(3600 * WEIR_SEC);
}

static int call_for_ever(void *arg)
{
	return weir_once_run(arg, make_for_ever, NULL, WEIR_FOREVER);
}

static int free_in_use(void *arg)
{
	(void)arg;
	static struct weir_once *volatile once;
	once = new_once();
	spawn(new_group(), call_for_ever, once);
	settle();
	weir_once_free(once);
	return 0;
}

static void die_freeing(void)
{
	weir_run(NULL, free_in_use, NULL);
}

TEST(once_broken_contracts_abort)
{
	assert_aborts(die_inside);
	assert_aborts(die_freeing);
}

static int make_in_a_moment(void *arg)
{
	(void)arg;
	return weir_sleep(10);
}

static int call_and_free(void *arg)
{
	int code = weir_once_run(arg, make_in_a_moment, NULL, WEIR_FOREVER);
	weir_once_free(arg);
	return code;
}

FIBER_TEST(once_may_be_freed_before_those_it_woke_have_run)
{
	struct weir_once *made = new_once();
	struct weir_group *maker = new_group(), *waiting = new_group(), *canceled = new_group();
	spawn(maker, call_and_free, made);
	settle();
	spawn(waiting, call_for_ever, made);
	spawn(canceled, call_for_ever, made);
	settle();
	weir_group_cancel(canceled);
	finish(maker);
	finish(waiting);
	finish(canceled);
}
