/* SPDX-License-Identifier: MIT */
/* The semaphore. */
#include "unit/death.h"
#include "unit/fibers.h"

#include <signal.h>
#include <string.h>
#include <weir/random.h>
#include <weir/sem.h>

struct taker {
	struct weir_sem *sem;
	size_t n;
	weir_nsec deadline;
	int answer, turn;
};

static int turns;

static int take(void *arg)
{
	struct taker *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_sem_acquire(self->sem, self->n, self->deadline ? self->deadline : WEIR_FOREVER);
	if (!self->answer)
		self->turn = ++turns;
	return 0;
}

static struct weir_sem *new_sem(size_t permits)
{
	struct weir_sem *sem;
	turns = 0;
	ck_assert_int_eq(weir_sem_new(permits, &sem), 0);
	return sem;
}

/* Starts a taker and lets it get in line. */
static void line_up(struct weir_group *group, struct taker *taker)
{
	spawn(group, take, taker);
	settle();
}

FIBER_TEST(sem_gives_what_is_there_without_waiting)
{
	struct weir_sem *sem = new_sem(3);
	ck_assert_int_eq(weir_sem_acquire(sem, 2, WEIR_TRY), 0);
	ck_assert_uint_eq(weir_sem_available(sem), 1);
	ck_assert_int_eq(weir_sem_acquire(sem, 2, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_sem_acquire(sem, 2, weir_after(10)), WEIR_ETIMEDOUT);
	ck_assert_uint_eq(weir_sem_available(sem), 1);
	ck_assert_int_eq(weir_sem_acquire(sem, 1, weir_now() - 1), 0);
	ck_assert_int_eq(weir_sem_acquire(sem, 0, WEIR_TRY), WEIR_EINVAL);
	weir_sem_release(sem, 3);
	ck_assert_uint_eq(weir_sem_available(sem), 3);
	weir_sem_free(sem);
	weir_sem_free(NULL);
}

FIBER_TEST(sem_is_fair)
{
	enum { TAKERS = 30 };
	struct taker takers[TAKERS];
	struct weir_sem *sem = new_sem(0);
	struct weir_group *group = new_group();
	for (int i = 0; i < TAKERS; i++) {
		takers[i] = (struct taker){.sem = sem, .n = 1};
		line_up(group, &takers[i]);
	}
	for (int i = 0; i < TAKERS; i++) {
		weir_sem_release(sem, 1);
		ck_assert_int_eq(weir_sem_acquire(sem, 1, WEIR_TRY), WEIR_EAGAIN); /* nobody overtakes */
		settle();
		ck_assert_int_eq(takers[i].turn, i + 1);
	}
	finish(group);
	weir_sem_free(sem);
}

FIBER_TEST(sem_small_request_does_not_overtake_a_large_one)
{
	struct weir_sem *sem = new_sem(2);
	struct weir_group *group = new_group();
	struct taker large = {.sem = sem, .n = 3}, small = {.sem = sem, .n = 1};
	line_up(group, &large);
	line_up(group, &small);
	ck_assert_int_eq(large.answer, UNANSWERED);
	ck_assert_int_eq(small.answer, UNANSWERED);
	ck_assert_int_eq(weir_sem_acquire(sem, 1, WEIR_TRY), WEIR_EAGAIN);
	weir_sem_release(sem, 1);
	settle();
	ck_assert_int_eq(large.answer, 0);
	ck_assert_int_eq(small.answer, UNANSWERED);
	weir_sem_release(sem, 1);
	finish(group);
	ck_assert_int_eq(small.answer, 0);
	weir_sem_free(sem);
}

FIBER_TEST(sem_head_that_gives_up_lets_those_behind_it_in)
{
	for (int timed = 0; timed < 2; timed++) {
		struct weir_sem *sem = new_sem(2);
		struct weir_group *group = new_group(), *canceled = new_group();
		struct taker large = {.sem = sem, .n = 3, .deadline = timed ? weir_after(10) : 0};
		struct taker small[3] = {{.sem = sem, .n = 1}, {.sem = sem, .n = 1}, {.sem = sem, .n = 1}};
		line_up(canceled, &large);
		for (int i = 0; i < 3; i++)
			line_up(group, &small[i]);
		if (timed)
			weir_sleep(11);
		else
			weir_group_cancel(canceled);
		settle();
		ck_assert_int_eq(large.answer, timed ? WEIR_ETIMEDOUT : WEIR_ECANCELED);
		ck_assert_int_eq(small[0].answer, 0);
		ck_assert_int_eq(small[1].answer, 0);
		ck_assert_int_eq(small[2].answer, UNANSWERED);
		weir_sem_release(sem, 1);
		finish(group);
		finish(canceled);
		weir_sem_free(sem);
	}
}

static int take_and_look(void *arg)
{
	struct taker *self = arg;
	take(self);
	ck_assert_int_eq(weir_sem_acquire(self->sem, 1, WEIR_TRY), WEIR_ECANCELED);
	return 0;
}

FIBER_TEST(sem_taker_that_is_cancelled_after_its_turn_keeps_the_permits)
{
	struct weir_sem *sem = new_sem(0);
	struct weir_group *group = new_group();
	struct taker taker = {.sem = sem, .n = 2};
	spawn(group, take_and_look, &taker);
	settle();
	weir_sem_release(sem, 5);
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(taker.answer, 0);
	ck_assert_uint_eq(weir_sem_available(sem), 3);
	weir_sem_free(sem);
}

/* Random requests, deadlines and cancels: permits are conserved, never over-issued, and nobody is forgotten. */
struct crowd {
	struct weir_sem *sem;
	size_t permits, out;
	uint64_t random;
};

static int come_and_go(void *arg)
{
	struct crowd *crowd = arg;
	for (int i = 0; i < 40; i++) {
		size_t n = 1 + weir_random(&crowd->random) % crowd->permits;
		weir_nsec patience = (weir_nsec)(weir_random(&crowd->random) % 20);
		int code = weir_sem_acquire(crowd->sem, n, weir_after(patience));
		if (code == WEIR_ECANCELED)
			return 0;
		if (code)
			continue;
		crowd->out += n;
		quick_assert(crowd->out <= crowd->permits);
		weir_sleep((weir_nsec)(weir_random(&crowd->random) % 10));
		crowd->out -= n;
		weir_sem_release(crowd->sem, n);
	}
	return 0;
}

FIBER_TEST(sem_permits_are_conserved_in_a_crowd)
{
	struct crowd crowd = {.sem = new_sem(5), .permits = 5, .random = test_seed()};
	struct weir_group *stay = new_group(), *leave[10];
	for (int i = 0; i < 10; i++) {
		leave[i] = new_group();
		spawn(stay, come_and_go, &crowd);
		spawn(leave[i], come_and_go, &crowd);
	}
	for (int i = 0; i < 10; i++) {
		weir_sleep(7);
		weir_group_cancel(leave[i]);
	}
	for (int i = 0; i < 10; i++)
		finish(leave[i]);
	finish(stay);
	ck_assert_uint_eq(weir_sem_available(crowd.sem), 5);
	weir_sem_free(crowd.sem);
}

/* ---- hand-off and cancel in every order: where asyncio and anyio lost permits or wake-ups */

static int take_and_pass_on(void *arg)
{
	struct taker *self = arg;
	take(self);
	if (!self->answer)
		weir_sem_release(self->sem, self->n);
	return 0;
}

/* CPython gh-90155: the woken waiter is cancelled before it runs, and those behind it starve. */
FIBER_TEST(sem_cancel_after_hand_off_loses_no_permit_and_wakes_the_next)
{
	struct weir_sem *sem = new_sem(0);
	struct weir_group *canceled = new_group(), *group = new_group();
	struct taker first = {.sem = sem, .n = 1}, next[3];
	spawn(canceled, take_and_pass_on, &first);
	settle();
	for (int i = 0; i < 3; i++) {
		next[i] = (struct taker){.sem = sem, .n = 1};
		spawn(group, take_and_pass_on, &next[i]);
		settle();
	}
	weir_sem_release(sem, 1);
	weir_group_cancel(canceled);
	ck_assert_int_eq(weir_sem_acquire(sem, 1, WEIR_TRY), WEIR_EAGAIN);
	finish(canceled);
	finish(group);
	ck_assert_int_eq(first.answer, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(next[i].answer, 0);
	ck_assert_uint_eq(weir_sem_available(sem), 1);
	weir_sem_free(sem);
}

FIBER_TEST(sem_waiter_cancelled_in_the_middle_leaves_no_gap)
{
	struct weir_sem *sem = new_sem(0);
	struct weir_group *group = new_group(), *middle = new_group();
	struct taker takers[3];
	for (int i = 0; i < 3; i++) {
		takers[i] = (struct taker){.sem = sem, .n = 1};
		line_up(i == 1 ? middle : group, &takers[i]);
	}
	weir_group_cancel(middle);
	weir_sem_release(sem, 2); /* before the cancelled one has run */
	finish(middle);
	finish(group);
	ck_assert_int_eq(takers[1].answer, WEIR_ECANCELED);
	ck_assert_int_eq(takers[0].answer, 0);
	ck_assert_int_eq(takers[2].answer, 0);
	ck_assert_uint_eq(weir_sem_available(sem), 0);
	weir_sem_free(sem);
}

FIBER_TEST(sem_release_between_the_cancel_of_the_head_and_its_end_goes_to_the_next)
{
	struct weir_sem *sem = new_sem(1);
	struct weir_group *group = new_group(), *head = new_group();
	struct taker large = {.sem = sem, .n = 3}, next = {.sem = sem, .n = 2};
	line_up(head, &large);
	line_up(group, &next);
	weir_group_cancel(head);
	weir_sem_release(sem, 1);
	ck_assert_uint_eq(weir_sem_available(sem), 0); /* handed over already */
	weir_group_cancel(group);
	finish(head);
	finish(group);
	ck_assert_int_eq(large.answer, WEIR_ECANCELED);
	ck_assert_int_eq(next.answer, 0);
	weir_sem_free(sem);
}

/* All waiters are cancelled in the turn of the release. */
FIBER_TEST(sem_all_waiters_cancelled_at_the_release_leave_it_whole)
{
	struct weir_sem *sem = new_sem(0);
	struct weir_group *group = new_group();
	struct taker takers[4];
	for (int i = 0; i < 4; i++) {
		takers[i] = (struct taker){.sem = sem, .n = 1};
		spawn(group, take_and_pass_on, &takers[i]);
	}
	settle();
	weir_sem_release(sem, 2);
	weir_group_cancel(group);
	finish(group);
	int won = 0;
	for (int i = 0; i < 4; i++)
		won += takers[i].answer == 0;
	ck_assert_int_eq(won, 2);
	ck_assert_uint_eq(weir_sem_available(sem), 2);
	ck_assert_int_eq(weir_sem_acquire(sem, 2, WEIR_TRY), 0);
	weir_sem_free(sem);
}

/* ---- changes */

FIBER_TEST(sem_new_permits_let_those_who_wait_in_at_once)
{
	struct weir_sem *sem = new_sem(0);
	struct weir_group *group = new_group();
	struct taker takers[3];
	for (int i = 0; i < 3; i++) {
		takers[i] = (struct taker){.sem = sem, .n = 2};
		line_up(group, &takers[i]);
		ck_assert_int_eq(takers[i].answer, UNANSWERED);
	}
	weir_sem_release(sem, 5);
	ck_assert_uint_eq(weir_sem_available(sem), 1);
	settle();
	ck_assert_int_eq(takers[1].answer, 0);
	ck_assert_int_eq(takers[2].answer, UNANSWERED);
	weir_sem_release(sem, 1);
	finish(group);
	weir_sem_free(sem);
}

FIBER_TEST(sem_with_permits_withdrawn_admits_nobody_until_as_many_were_released)
{
	struct weir_sem *sem = new_sem(4);
	ck_assert_int_eq(weir_sem_acquire(sem, 4, WEIR_FOREVER), 0);
	weir_sem_withdraw(sem, 2);
	for (int i = 0; i < 2; i++) {
		weir_sem_release(sem, 1);
		ck_assert_uint_eq(weir_sem_available(sem), 0);
		ck_assert_int_eq(weir_sem_acquire(sem, 1, WEIR_TRY), WEIR_EAGAIN);
	}
	weir_sem_release(sem, 1);
	ck_assert_int_eq(weir_sem_acquire(sem, 1, WEIR_TRY), 0);
	ck_assert_int_eq(weir_sem_acquire(sem, 1, weir_after(5)), WEIR_ETIMEDOUT);
	weir_sem_free(sem);
}

/* ---- figures */

FIBER_TEST(sem_counts_contention)
{
	struct weir_sem *sem = new_sem(1), *none = NULL;
	struct weir_sem_stats stats;
	struct weir_group *group = new_group();
	struct taker waits = {.sem = sem, .n = 1}, leaves = {.sem = sem, .n = 1, .deadline = weir_after(WEIR_SEC)};
	ck_assert_int_eq(weir_sem_acquire(sem, 1, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_sem_acquire(sem, 1, WEIR_TRY), WEIR_EAGAIN);
	line_up(group, &waits);
	line_up(group, &leaves);
	weir_sleep(3 * WEIR_SEC);
	weir_sem_stats(sem, &stats);
	ck_assert_uint_eq(stats.calls, 4);
	ck_assert_uint_eq(stats.contended, 3);
	ck_assert_uint_eq(stats.failed, 2);
	ck_assert_uint_eq(stats.waiting, 1);
	weir_sem_release(sem, 1);
	finish(group);
	weir_sem_stats(sem, &stats);
	ck_assert_uint_eq(stats.waiting, 0);
	weir_sem_free(sem);
	ck_assert_int_eq(weir_sem_new(SIZE_MAX, &none), WEIR_EINVAL);
	ck_assert_ptr_null(none);
}

static int free_awaited(void *arg)
{
	(void)arg;
	static struct taker taker;
	struct weir_group *group = new_group();
	taker = (struct taker){.sem = new_sem(0), .n = 1};
	line_up(group, &taker);
	breaks(weir_sem_free(taker.sem));
	return 0;
}

/* The last one that waits is cancelled, and has not run when the semaphore is freed. */
static int free_before_the_cancelled_ran(void *arg)
{
	(void)arg;
	static struct taker taker;
	struct weir_group *group = new_group();
	taker = (struct taker){.sem = new_sem(0), .n = 1};
	line_up(group, &taker);
	weir_group_cancel(group);
	breaks(weir_sem_free(taker.sem));
	return weir_group_wait(group, WEIR_FOREVER);
}

static void run_free_before_the_cancelled_ran(void)
{
	weir_run(NULL, free_before_the_cancelled_ran, NULL);
}

static void run_free_awaited(void)
{
	weir_run(NULL, free_awaited, NULL);
}

TEST(sem_broken_contracts_abort)
{
	assert_breaks(run_free_awaited, "weir_sem_free: a fiber waits on it, or was woken and has not run since");
	assert_breaks(run_free_before_the_cancelled_ran,
		      "weir_sem_free: a fiber waits on it, or was woken and has not run since");
}

FIBER_TEST(sem_may_be_freed_once_those_cancelled_have_run)
{
	struct taker taker = {.sem = new_sem(0), .n = 1};
	struct weir_group *group = new_group();
	line_up(group, &taker);
	weir_group_cancel(group);
	finish(group);
	weir_sem_free(taker.sem);
}
