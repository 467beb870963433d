/* SPDX-License-Identifier: MIT */
/* Waiting by a rate: promises one by one, and the windows of a crowd.  test_rate_limiter_model.c has the model. */
#include "unit/death.h"
#include "unit/fibers.h"

#include <weir/random.h>
#include <weir/rate.h>

__extension__ typedef __int128 wide;

static struct weir_rate_limiter *new_limiter(struct weir_rate_options opts)
{
	struct weir_rate_limiter *limiter;
	ck_assert_int_eq(weir_rate_limiter_new(&opts, &limiter), 0);
	return limiter;
}

/* A fiber in a group of its own, so that it can be cancelled, and what it was answered when. */
struct taker {
	struct weir_rate_limiter *limiter;
	struct weir_group *group;
	uint64_t n;
	weir_nsec deadline, at;
	int answer;
};

static int take(void *arg)
{
	struct taker *self = arg;
	self->answer = weir_rate_limiter_acquire(self->limiter, self->n, self->deadline);
	self->at = weir_now();
	return 0;
}

/* Starts it and lets it come to wait. */
static void start(struct taker *taker, struct weir_rate_limiter *limiter, uint64_t n, weir_nsec deadline)
{
	*taker = (struct taker){limiter, new_group(), n, deadline, 0, UNANSWERED};
	spawn(taker->group, take, taker);
	settle();
}

static void assert_answer(struct taker *taker, int answer, weir_nsec at)
{
	finish(taker->group);
	ck_assert_int_eq(taker->answer, answer);
	ck_assert_int_eq(taker->at, at);
}

/* ---- promises */

FIBER_TEST(rate_limiter_lets_through_at_even_times_in_order)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 10, .burst = 2});
	struct taker takers[12];
	weir_nsec begin = weir_now();
	for (int i = 0; i < 12; i++)
		start(&takers[i], limiter, 1, WEIR_FOREVER);
	for (int i = 0; i < 12; i++)
		assert_answer(&takers[i], 0, begin + (i < 2 ? 0 : i - 1) * 100 * WEIR_MSEC);
	weir_rate_limiter_free(limiter);
	weir_rate_limiter_free(NULL);
}

FIBER_TEST(rate_limiter_lets_nobody_overtake)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1, .burst = 5});
	struct taker large, small;
	weir_nsec begin = weir_now();
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 4, WEIR_TRY), 0);
	start(&large, limiter, 5, WEIR_FOREVER);
	start(&small, limiter, 1, WEIR_FOREVER);
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), WEIR_EAGAIN);
	assert_answer(&large, 0, begin + 4 * WEIR_SEC);
	assert_answer(&small, 0, begin + 5 * WEIR_SEC);
	weir_rate_limiter_free(limiter);
}

FIBER_TEST(rate_limiter_charges_nothing_to_who_gives_up)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1});
	struct taker takers[4];
	weir_nsec begin = weir_now();
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), 0);
	start(&takers[0], limiter, 1, begin + WEIR_SEC / 2);
	start(&takers[1], limiter, 1, begin + WEIR_SEC / 4); /* in line, behind it */
	start(&takers[2], limiter, 1, WEIR_FOREVER);
	start(&takers[3], limiter, 1, begin + 2 * WEIR_SEC - 1);
	assert_answer(&takers[1], WEIR_ETIMEDOUT, begin + WEIR_SEC / 4);
	assert_answer(&takers[0], WEIR_ETIMEDOUT, begin + WEIR_SEC / 2);
	assert_answer(&takers[2], 0, begin + WEIR_SEC);
	assert_answer(&takers[3], WEIR_ETIMEDOUT, begin + 2 * WEIR_SEC - 1);
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_sleep(1), 0);
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), 0);
	weir_rate_limiter_free(limiter);
}

FIBER_TEST(rate_limiter_lets_through_at_the_very_deadline)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1});
	struct taker taker;
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), 0);
	start(&taker, limiter, 1, weir_now() + WEIR_SEC);
	assert_answer(&taker, 0, taker.deadline);
	weir_rate_limiter_free(limiter);
}

FIBER_TEST(rate_limiter_cancel_of_the_head_makes_the_next_one_head)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1});
	struct taker takers[4];
	weir_nsec begin = weir_now();
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), 0);
	for (int i = 0; i < 4; i++)
		start(&takers[i], limiter, 1, WEIR_FOREVER);
	ck_assert_int_eq(weir_sleep(WEIR_SEC / 2), 0);
	weir_group_cancel(takers[0].group);
	weir_yield(); /* first in, first out: the second was made the head and has not run */
	weir_group_cancel(takers[1].group);
	assert_answer(&takers[0], WEIR_ECANCELED, begin + WEIR_SEC / 2);
	assert_answer(&takers[1], WEIR_ECANCELED, begin + WEIR_SEC / 2);
	weir_group_cancel(takers[3].group); /* one in line */
	assert_answer(&takers[3], WEIR_ECANCELED, begin + WEIR_SEC / 2);
	assert_answer(&takers[2], 0, begin + WEIR_SEC);
	weir_rate_limiter_free(limiter);
}

FIBER_TEST(rate_limiter_is_as_new_when_all_gave_up_in_one_moment)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1});
	struct taker takers[3];
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), 0);
	for (int i = 0; i < 3; i++)
		start(&takers[i], limiter, 1, WEIR_FOREVER);
	for (int i = 0; i < 3; i++)
		weir_group_cancel(takers[i].group); /* the head first: none of the others is in line when it runs */
	for (int i = 0; i < 3; i++)
		finish(takers[i].group);
	ck_assert_int_eq(weir_sleep(WEIR_SEC), 0);
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), 0);
	weir_rate_limiter_free(limiter);
}

FIBER_TEST(rate_limiter_answers_immediately_what_needs_no_wait)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1, .burst = 2});
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, weir_now()), 0); /* a deadline that has passed */
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 3, WEIR_FOREVER), WEIR_EINVAL);
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 2, weir_now()), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 2, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), 0); /* and none of those was charged */
	weir_rate_limiter_free(limiter);
}

FIBER_TEST(rate_limiter_waits_no_longer_than_the_scope_it_is_in)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1});
	struct weir_deadline scope;
	weir_nsec begin = weir_now();
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), 0);
	weir_deadline_enter(&scope, begin + 5);
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_FOREVER), WEIR_ETIMEDOUT);
	weir_deadline_leave(&scope);
	ck_assert_int_eq(weir_now(), begin + 5);
	weir_rate_limiter_free(limiter);
}

FIBER_TEST(rate_limiter_change_reaches_those_who_wait)
{
	struct weir_rate_limiter *limiter =
		new_limiter((struct weir_rate_options){.count = 1, .period = 3600 * WEIR_SEC});
	struct taker takers[3];
	weir_nsec begin = weir_now();
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), 0);
	for (int i = 0; i < 3; i++)
		start(&takers[i], limiter, 1, WEIR_FOREVER);
	ck_assert_int_eq(weir_rate_limiter_set(limiter, &(struct weir_rate_options){.count = 10}), 0); /* faster */
	assert_answer(&takers[0], 0, begin + WEIR_SEC / 10);
	ck_assert_int_eq(weir_sleep_until(begin + WEIR_SEC * 3 / 20), 0); /* slower: half of one is there */
	ck_assert_int_eq(weir_rate_limiter_set(limiter, &(struct weir_rate_options){.count = 1}), 0);
	assert_answer(&takers[1], 0, begin + WEIR_SEC * 13 / 20);
	assert_answer(&takers[2], 0, begin + WEIR_SEC * 33 / 20);
	ck_assert_int_eq(weir_rate_limiter_set(limiter, &(struct weir_rate_options){.count = 0}), WEIR_EINVAL);
	weir_rate_limiter_free(limiter);
}

FIBER_TEST(rate_limiter_with_a_smaller_burst_refuses_those_who_wait_for_more)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1, .burst = 5});
	struct taker takers[4];
	weir_nsec begin = weir_now();
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 5, WEIR_TRY), 0);
	start(&takers[0], limiter, 5, WEIR_FOREVER);
	start(&takers[1], limiter, 2, WEIR_FOREVER);
	start(&takers[2], limiter, 3, WEIR_FOREVER);
	start(&takers[3], limiter, 1, WEIR_FOREVER);
	ck_assert_int_eq(weir_rate_limiter_set(limiter, &(struct weir_rate_options){.count = 1, .burst = 2}), 0);
	assert_answer(&takers[0], WEIR_EINVAL, begin);
	assert_answer(&takers[1], 0, begin + 2 * WEIR_SEC);
	assert_answer(&takers[2], WEIR_EINVAL, begin + 2 * WEIR_SEC);
	assert_answer(&takers[3], 0, begin + 3 * WEIR_SEC);
	weir_rate_limiter_free(limiter);
}

FIBER_TEST(rate_limiter_that_is_closed_lets_nobody_through_until_its_time)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1, .burst = 4});
	struct taker takers[4];
	weir_nsec begin = weir_now();
	weir_rate_limiter_close(limiter, begin + 60 * WEIR_SEC);
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), WEIR_EAGAIN);
	start(&takers[0], limiter, 1, begin + 30 * WEIR_SEC);
	start(&takers[1], limiter, 1, WEIR_FOREVER);
	start(&takers[2], limiter, 3, WEIR_FOREVER);
	start(&takers[3], limiter, 2, WEIR_FOREVER);
	assert_answer(&takers[0], WEIR_ETIMEDOUT, begin + 30 * WEIR_SEC);
	weir_rate_limiter_close(limiter, begin + 90 * WEIR_SEC); /* what is said last counts: later */
	ck_assert_int_eq(weir_sleep_until(begin + 70 * WEIR_SEC), 0);
	ck_assert_int_eq(takers[1].answer, UNANSWERED);
	weir_rate_limiter_close(limiter, begin + 80 * WEIR_SEC); /* or earlier */
	assert_answer(&takers[1], 0, begin + 80 * WEIR_SEC);
	assert_answer(&takers[2], 0, begin + 80 * WEIR_SEC);
	weir_rate_limiter_close(limiter, begin + 9000 * WEIR_SEC);
	ck_assert_int_eq(weir_sleep_until(begin + 85 * WEIR_SEC), 0);
	weir_rate_limiter_close(limiter, 0); /* open */
	assert_answer(&takers[3], 0, begin + 85 * WEIR_SEC);
	weir_rate_limiter_free(limiter);
}

/* The head's time has come and it has not run yet: that is no reason to let it through. */
static int close_at(void *arg)
{
	weir_sleep(WEIR_SEC);
	weir_rate_limiter_close(arg, weir_now() + WEIR_SEC);
	return 0;
}

FIBER_TEST(rate_limiter_closed_in_the_very_moment_holds_back_the_head)
{
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1});
	struct weir_group *group = new_group();
	struct taker taker;
	weir_nsec begin = weir_now();
	ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_TRY), 0);
	spawn(group, close_at, limiter);
	settle(); /* so that its timer is the first of the two in the heap */
	start(&taker, limiter, 1, WEIR_FOREVER);
	finish(group);
	finish(taker.group);
	ck_assert_int_eq(taker.answer, 0);
	ck_assert(taker.at == begin + WEIR_SEC || taker.at == begin + 2 * WEIR_SEC);
	if (test_seed() == 0)
		ck_assert_int_eq(taker.at, begin + 2 * WEIR_SEC);
	weir_rate_limiter_free(limiter);
}

static int free_while_one_waits(void *arg)
{
	static struct weir_rate_limiter *volatile limiter; /* so that it is no leak of the aborted process */
	static struct taker taker;
	(void)arg;
	limiter = new_limiter((struct weir_rate_options){.count = 1});
	weir_rate_limiter_acquire(limiter, 1, WEIR_TRY);
	start(&taker, limiter, 1, WEIR_FOREVER);
	weir_group_cancel(taker.group);
	breaks(weir_rate_limiter_free(limiter));
	return 0;
}

static void run_free_while_one_waits(void)
{
	weir_run(NULL, free_while_one_waits, NULL);
}

static void acquire_outside_of_fibers(void)
{
	weir_rate_limiter_acquire(new_limiter((struct weir_rate_options){.count = 1}), 1, WEIR_TRY);
}

TEST(rate_limiter_broken_contracts_abort)
{
	struct weir_rate_limiter *untouched = (void *)&untouched;
	ck_assert_int_eq(weir_rate_limiter_new(&(struct weir_rate_options){0}, &untouched), WEIR_EINVAL);
	ck_assert_ptr_eq(untouched, &untouched);
	assert_breaks(run_free_while_one_waits,
		      "weir_rate_limiter_free: a fiber waits on it, or was woken and has not run since");
	assert_aborts(acquire_outside_of_fibers, "weir_rate_limiter_acquire: called outside of a fiber");
}

/* ---- the windows of a crowd */

enum { CROWD = 12, ROUNDS = 40 };

struct crowd {
	struct weir_rate_limiter *limiter;
	struct weir_rate_options opts;
	uint64_t random;
	weir_nsec pause; /* the longest between two calls of a fiber */
	struct {
		weir_nsec at;
		uint64_t n;
	} grants[CROWD * ROUNDS];
	int used;
};

static int take_in_a_crowd(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t most = crowd->opts.kind == WEIR_RATE_LOG ? crowd->opts.count : crowd->opts.burst;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t n = 1 + weir_random_below(&crowd->random, weir_random_below(&crowd->random, 2) ? 1 : most);
		if (crowd->pause)
			quick_assert(weir_sleep((weir_nsec)weir_random_below(&crowd->random, (uint64_t)crowd->pause)) ==
				     0);
		quick_assert(weir_rate_limiter_acquire(crowd->limiter, n, WEIR_FOREVER) == 0);
		crowd->grants[crowd->used].at = weir_now();
		crowd->grants[crowd->used++].n = n;
	}
	return 0;
}

/* Every window between two that were let through; in the log's those of its period. */
static void check_windows(const struct crowd *crowd)
{
	const struct weir_rate_options *opts = &crowd->opts;
	for (int i = 0; i < crowd->used; i++) {
		uint64_t sum = 0;
		for (int j = i; j < crowd->used; j++) {
			weir_nsec window = crowd->grants[j].at - crowd->grants[i].at;
			sum += crowd->grants[j].n;
			if (opts->kind == WEIR_RATE_LOG)
				quick_assert(window >= opts->period || sum <= opts->count);
			else
				quick_assert((wide)sum * opts->period <
					     (wide)opts->burst * opts->period + (wide)(window + 1) * opts->count);
		}
	}
}

static void run_crowd(enum weir_rate_kind kind, weir_nsec pause)
{
	static struct crowd crowd;
	crowd = (struct crowd){.random = test_seed() + 100 * (uint64_t)pause, .pause = pause};
	crowd.opts.kind = kind;
	crowd.opts.count = 1 + weir_random_below(&crowd.random, 50);
	crowd.opts.period = 1 + (weir_nsec)weir_random_below(&crowd.random, (uint64_t)WEIR_SEC);
	crowd.opts.burst = 1 + weir_random_below(&crowd.random, 8);
	crowd.limiter = new_limiter(crowd.opts);
	struct weir_group *group = new_group();
	weir_nsec begin = weir_now();
	for (int i = 0; i < CROWD; i++)
		spawn(group, take_in_a_crowd, &crowd);
	finish(group);
	ck_assert_int_eq(crowd.used, CROWD * ROUNDS);
	check_windows(&crowd);
	if (!pause && kind != WEIR_RATE_LOG) { /* somebody always waits: then not a nanosecond is lost */
		wide sum = 0;
		for (int i = 0; i < crowd.used; i++)
			sum += crowd.grants[i].n;
		wide ticks = (sum - (wide)crowd.opts.burst) * crowd.opts.period;
		wide late = (wide)(weir_now() - begin) * crowd.opts.count - ticks;
		ck_assert(late >= -(wide)crowd.opts.count && late <= crowd.opts.count);
	}
	weir_rate_limiter_free(crowd.limiter);
}

FIBER_TEST(rate_limiter_keeps_every_window_of_a_crowd_and_wastes_none)
{
	for (int kind = WEIR_RATE_GCRA; kind <= WEIR_RATE_LOG; kind++)
		for (weir_nsec pause = 0; pause < 20 * WEIR_SEC; pause = 3 * pause + WEIR_MSEC)
			run_crowd((enum weir_rate_kind)kind, pause);
}

/* ---- on the real clock: a fiber that holds the loop lets all others be late */

struct holding {
	bool ends;
	int turns;
	double share;
};

static int hold_the_loop(void *arg)
{
	for (struct holding *holding = arg; !holding->ends; holding->turns++) {
		for (weir_nsec until = weir_clock() + 2 * WEIR_MSEC; weir_clock() < until;)
			;
		weir_sleep(1); /* ends the turn */
	}
	return 0;
}

/* 100 calls of one fiber at 1,000/s: how many turns they took, and their share of what the rate allows. */
static int call_while_held(void *arg)
{
	struct holding *holding = arg;
	struct weir_rate_limiter *limiter = new_limiter((struct weir_rate_options){.count = 1000});
	struct weir_group *group = new_group();
	spawn(group, hold_the_loop, holding);
	weir_nsec begin = weir_clock();
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(weir_rate_limiter_acquire(limiter, 1, WEIR_FOREVER), 0);
	holding->share = 99.0 * WEIR_MSEC / (double)(weir_clock() - begin);
	holding->ends = true;
	finish(group);
	weir_rate_limiter_free(limiter);
	return 0;
}

/* A turn takes 2 ms, on a busy machine more: without making good what is late there would be a call a turn at most. */
TEST(rate_limiter_reaches_its_rate_although_fibers_are_late)
{
	struct holding holding = {0};
	ck_assert_int_eq(weir_run(NULL, call_while_held, &holding), 0);
	ck_assert_int_lt(holding.turns, 80);
	ck_assert_double_le(holding.share, 1.0);
}
