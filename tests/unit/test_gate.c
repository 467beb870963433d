/* SPDX-License-Identifier: MIT */
/* The gate: who waits, who is let in when, and what opens it. */
#include "sync/gate.h"
#include "unit/death.h"
#include "unit/exposition.h"
#include "unit/fibers.h"

#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

static struct weir_gate *new_gate(const struct weir__gate_options *opts)
{
	struct weir_gate *gate;
	ck_assert_int_eq(weir__gate_new(opts, &gate), 0);
	return gate;
}

struct caller {
	struct weir_gate *gate;
	weir_nsec deadline, takes, entered_at;
	enum weir_outcome outcome;
	struct weir_hint hint;
	int answer;
	unsigned place; /* among those that were let in */
};

static unsigned places;

static int call(void *arg)
{
	struct caller *self = arg;
	struct weir__pass pass;
	self->answer = UNANSWERED;
	self->answer = weir__gate_enter(self->gate, &pass, self->deadline);
	if (self->answer)
		return 0;
	self->entered_at = weir_now();
	self->place = ++places;
	weir_sleep(self->takes);
	weir__gate_leave(self->gate, &pass, self->outcome, &self->hint);
	return 0;
}

static struct caller a_call(struct weir_gate *gate, weir_nsec takes)
{
	return (struct caller){.gate = gate, .deadline = WEIR_FOREVER, .takes = takes};
}

FIBER_TEST(gate_lets_in_as_many_as_may_be_and_the_others_in_their_order)
{
	struct weir_gate *gate = new_gate(&(struct weir__gate_options){.concurrency = 2});
	struct weir_group *group = new_group();
	struct caller callers[6];
	struct weir_gate_stats stats;
	places = 0;
	for (int i = 0; i < 6; i++) {
		callers[i] = a_call(gate, (10 + i) * WEIR_MSEC);
		spawn(group, call, &callers[i]);
		settle();
	}
	weir_gate_stats(gate, &stats);
	ck_assert_uint_eq(stats.in_flight, 2);
	ck_assert_uint_eq(stats.waiting, 4);
	ck_assert_int_eq(stats.held_by, WEIR_HELD_BY_CONCURRENCY);
	finish(group);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_eq(callers[i].place, i + 1);
	weir_gate_stats(gate, &stats);
	ck_assert_uint_eq(stats.calls, 6);
	ck_assert_uint_eq(stats.good, 6);
	ck_assert_uint_eq(stats.waiting, 0);
	weir__gate_free(gate);
	weir__gate_free(NULL);
}

FIBER_TEST(gate_answers_immediately_when_it_may_not_wait)
{
	struct weir_gate *gate = new_gate(&(struct weir__gate_options){.concurrency = 1});
	struct weir__pass pass, other;
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), 0);
	ck_assert_int_eq(weir__gate_enter(gate, &other, WEIR_TRY), WEIR_EAGAIN);
	weir_nsec now = weir_now();
	ck_assert_int_eq(weir__gate_enter(gate, &other, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now() - now, WEIR_MSEC);
	ck_assert_int_eq(weir__gate_enter(gate, &other, weir_now()), WEIR_ETIMEDOUT);
	weir__gate_leave(gate, &pass, WEIR_OUTCOME_RELEASED, NULL);
	ck_assert_int_eq(weir__gate_enter(gate, &pass, weir_now()), 0);
	weir__gate_leave(gate, &pass, WEIR_OUTCOME_GOOD, NULL);
	weir__gate_free(gate);
}

FIBER_TEST(gate_lets_each_in_at_the_very_time_its_rate_allows)
{
	struct weir_gate *gate = new_gate(&(struct weir__gate_options){.concurrency = 100, .rate = {.count = 10}});
	struct weir_group *group = new_group();
	struct caller callers[20];
	weir_nsec began = weir_now();
	places = 0;
	for (int i = 0; i < 20; i++) {
		callers[i] = a_call(gate, 350 * WEIR_MSEC);
		spawn(group, call, &callers[i]);
		settle();
	}
	finish(group);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(callers[i].entered_at - began, i * 100 * WEIR_MSEC);
	weir__gate_free(gate);
}

FIBER_TEST(gate_whose_first_waiter_leaves_serves_the_next_as_early)
{
	struct weir_gate *gate = new_gate(&(struct weir__gate_options){.concurrency = 100, .rate = {.count = 10}});
	struct weir_group *group = new_group(), *leaving = new_group();
	struct caller first = a_call(gate, 0), impatient = a_call(gate, 0), canceled = a_call(gate, 0),
		      last = a_call(gate, 0);
	weir_nsec began = weir_now();
	impatient.deadline = weir_after(30 * WEIR_MSEC);
	spawn(group, call, &first);
	settle();
	spawn(group, call, &impatient);
	settle();
	spawn(leaving, call, &canceled);
	settle();
	spawn(group, call, &last);
	weir_sleep(60 * WEIR_MSEC);
	ck_assert_int_eq(impatient.answer, WEIR_ETIMEDOUT);
	weir_group_cancel(leaving);
	finish(leaving);
	ck_assert_int_eq(canceled.answer, WEIR_ECANCELED);
	finish(group);
	ck_assert_int_eq(last.entered_at - began, 100 * WEIR_MSEC);
	weir__gate_free(gate);
}

static int try_at_opening(void *arg)
{
	struct caller *self = arg;
	struct weir__pass pass;
	weir_sleep(100 * WEIR_MSEC);
	self->answer = weir__gate_enter(self->gate, &pass, WEIR_TRY);
	if (self->answer == 0)
		weir__gate_leave(self->gate, &pass, WEIR_OUTCOME_GOOD, NULL);
	return 0;
}

static void try_to_barge(unsigned flags)
{
	struct weir_gate *gate =
		new_gate(&(struct weir__gate_options){.concurrency = 9, .rate = {.count = 10}, .flags = flags});
	struct weir_group *group = new_group();
	struct caller first = a_call(gate, 0), waits = a_call(gate, 0), barges = a_call(gate, 0);
	weir_nsec began = weir_now();
	spawn(group, try_at_opening, &barges); /* its timer comes first */
	settle();
	spawn(group, call, &first);
	settle();
	spawn(group, call, &waits);
	finish(group);
	ck_assert_int_eq(barges.answer, WEIR_EAGAIN);
	ck_assert_int_eq(waits.entered_at - began, 100 * WEIR_MSEC);
	weir__gate_free(gate);
}

FIBER_TEST(gate_is_not_entered_past_those_who_wait)
{
	try_to_barge(0);
	try_to_barge(WEIR_GATE_REJECT);
}

FIBER_TEST(gate_one_that_was_let_in_and_then_canceled_is_in)
{
	struct weir_gate *gate = new_gate(&(struct weir__gate_options){.concurrency = 1});
	struct weir_group *group = new_group();
	struct caller waits = a_call(gate, 10);
	struct weir__pass pass;
	struct weir_gate_stats stats;
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), 0);
	spawn(group, call, &waits);
	settle();
	weir__gate_leave(gate, &pass, WEIR_OUTCOME_GOOD, NULL); /* it is served, and has not run */
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(waits.answer, 0);
	weir_gate_stats(gate, &stats);
	ck_assert_uint_eq(stats.calls, 2);
	ck_assert_uint_eq(stats.in_flight, 0);
	weir__gate_free(gate);
}

FIBER_TEST(gate_changes_count_for_those_who_wait)
{
	struct weir_gate *gate = new_gate(
		&(struct weir__gate_options){.concurrency = 1, .rate = {.count = 1, .period = 1000 * WEIR_SEC}});
	struct weir_group *group = new_group();
	struct caller callers[5];
	places = 0;
	for (int i = 0; i < 5; i++) {
		callers[i] = a_call(gate, 1000);
		spawn(group, call, &callers[i]);
		settle();
	}
	weir_sleep(5000);
	ck_assert_uint_eq(places, 1);
	weir__gate_pause(gate, true);
	ck_assert_int_eq(weir__gate_shut_until(gate), WEIR_FOREVER);
	ck_assert_int_eq(weir__gate_set_rate(gate, &(struct weir_rate_options){0}), 0);
	weir_sleep(5000);
	ck_assert_uint_eq(places, 1);
	weir__gate_pause(gate, false);
	ck_assert_int_eq(weir__gate_shut_until(gate), 0);
	settle();
	ck_assert_uint_eq(places, 2);
	ck_assert_int_eq(weir__gate_set_concurrency(gate, 3), 0);
	settle();
	ck_assert_uint_eq(places, 4);
	finish(group);
	ck_assert_uint_eq(places, 5);
	weir__gate_free(gate);
}

FIBER_TEST(gate_asked_to_come_back_later_lets_nobody_in_before)
{
	struct weir_gate *gate = new_gate(&(struct weir__gate_options){.concurrency = 3, .flags = WEIR_GATE_UNPACED});
	struct weir_group *group = new_group();
	struct caller throttled = a_call(gate, WEIR_MSEC), later = a_call(gate, 0);
	struct weir_gate_stats stats;
	throttled.outcome = WEIR_OUTCOME_THROTTLED;
	throttled.hint.retry_after = 2 * WEIR_SEC;
	spawn(group, call, &throttled);
	weir_sleep(2 * WEIR_MSEC);
	weir_nsec now = weir_now();
	weir_nsec until = weir__gate_shut_until(gate);
	ck_assert_int_ge(until, now + 2 * WEIR_SEC - WEIR_MSEC);
	weir_gate_stats(gate, &stats);
	ck_assert_int_eq(stats.held_by, WEIR_HELD_BY_SHUT);
	ck_assert_str_eq(weir_held_by_name(stats.held_by), "Retry-After");
	spawn(group, call, &later);
	finish(group);
	ck_assert_int_ge(later.entered_at, until);
	ck_assert_int_le(later.entered_at, until + 300 * WEIR_MSEC);
	weir__gate_free(gate);
}

/* 20 calls fail, and the breaker is open. */
static void break_it(struct weir_gate *gate)
{
	struct weir__pass pass;
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), 0);
		weir__gate_leave(gate, &pass, WEIR_OUTCOME_FAILED, NULL);
	}
}

FIBER_TEST(gate_with_an_open_breaker_waits_for_its_probes)
{
	struct weir_gate *gate =
		new_gate(&(struct weir__gate_options){.concurrency = 50, .breaker = {.open = WEIR_SEC, .jitter = -1}});
	struct weir_group *group = new_group();
	struct caller callers[10];
	break_it(gate);
	weir_nsec broke = weir_now();
	places = 0;
	for (int i = 0; i < 10; i++) {
		callers[i] = a_call(gate, 10 * WEIR_MSEC);
		spawn(group, call, &callers[i]);
	}
	weir_sleep(1005 * WEIR_MSEC);
	ck_assert_uint_eq(places, 3);
	finish(group);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(callers[i].entered_at - broke, WEIR_SEC + (callers[i].place > 3 ? 10 * WEIR_MSEC : 0));
	weir__gate_free(gate);
}

FIBER_TEST(gate_that_rejects_answers_immediately_while_its_breaker_is_open)
{
	struct weir_gate *gate = new_gate(&(struct weir__gate_options){
		.concurrency = 1, .flags = WEIR_GATE_REJECT, .breaker = {.calls_least = 1, .window_calls = 1}});
	struct weir_group *group = new_group();
	struct caller fails = a_call(gate, WEIR_MSEC), waits = a_call(gate, 0);
	struct weir__pass pass;
	fails.outcome = WEIR_OUTCOME_FAILED;
	spawn(group, call, &fails);
	settle();
	spawn(group, call, &waits);
	finish(group);
	ck_assert_int_eq(waits.answer, WEIR_EOPEN); /* it opened while that waited */
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_FOREVER), WEIR_EOPEN);
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), WEIR_EOPEN);
	weir__gate_free(gate);
}

/* Its end comes when a probe leaves, not at a time. */
FIBER_TEST(gate_is_not_shut_while_probes_are_under_way)
{
	struct weir_gate *gate =
		new_gate(&(struct weir__gate_options){.concurrency = 50, .breaker = {.open = WEIR_SEC, .jitter = -1}});
	struct weir__pass passes[3];
	break_it(gate);
	ck_assert_int_eq(weir__gate_shut_until(gate), weir_now() + WEIR_SEC);
	weir_sleep(WEIR_SEC);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(weir__gate_enter(gate, &passes[i], WEIR_TRY), 0);
	ck_assert_int_eq(weir__gate_shut_until(gate), 0);
	for (int i = 0; i < 3; i++)
		weir__gate_leave(gate, &passes[i], WEIR_OUTCOME_GOOD, NULL);
	weir__gate_free(gate);
}

FIBER_TEST(gate_that_is_closed_sends_all_away_and_keeps_who_is_inside)
{
	struct weir_gate *gate = new_gate(&(struct weir__gate_options){.concurrency = 1});
	struct weir_group *group = new_group();
	struct caller inside = a_call(gate, 10 * WEIR_MSEC), waits = a_call(gate, 0), waits_too = a_call(gate, 0);
	struct weir__pass pass;
	spawn(group, call, &inside);
	settle();
	spawn(group, call, &waits);
	spawn(group, call, &waits_too);
	settle();
	weir__gate_pause(gate, true);
	weir__gate_close(gate);
	finish(group);
	ck_assert_int_eq(inside.answer, 0);
	ck_assert_int_eq(waits.answer, WEIR_ECLOSED);
	ck_assert_int_eq(waits_too.answer, WEIR_ECLOSED);
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_FOREVER), WEIR_ECLOSED);
	weir__gate_free(gate);
}

/* ---- a crowd against what must hold of it */

struct crowd {
	struct weir_gate *gate;
	uint64_t random;
	size_t inside, limit;
	uint64_t entered, refused;
};

static int visit(void *arg)
{
	struct crowd *crowd = arg;
	struct weir__pass pass;
	for (int i = 0; i < 20; i++) {
		weir_sleep((weir_nsec)weir_random_below(&crowd->random, 3000));
		weir_nsec deadline = weir_random_below(&crowd->random, 3)
					     ? WEIR_FOREVER
					     : weir_after(1 + (weir_nsec)weir_random_below(&crowd->random, 2000));
		int code = weir__gate_enter(crowd->gate, &pass, deadline);
		crowd->refused += code != 0;
		if (code == WEIR_ECANCELED)
			return 0;
		if (code)
			continue;
		crowd->entered++;
		quick_assert(++crowd->inside <= crowd->limit);
		weir_sleep((weir_nsec)weir_random_below(&crowd->random, 1000));
		crowd->inside--;
		weir__gate_leave(crowd->gate, &pass,
				 (enum weir_outcome)weir_random_below(&crowd->random, WEIR_OUTCOME_RELEASED + 1), NULL);
	}
	return 0;
}

FIBER_TEST(gate_charges_only_whom_it_lets_in_whatever_a_crowd_does)
{
	struct crowd crowd = {.random = test_seed(), .limit = 5};
	crowd.gate = new_gate(&(struct weir__gate_options){
		.concurrency = 3, .rate = {.count = 1000000}, .flags = WEIR_GATE_NO_BREAKER | WEIR_GATE_UNPACED});
	struct weir_group *group = new_group(), *canceled = new_group();
	struct weir_gate_stats stats;
	for (int i = 0; i < 15; i++)
		spawn(i % 3 ? group : canceled, visit, &crowd);
	for (int i = 0; i < 30; i++) {
		weir_sleep(1000);
		weir__gate_set_concurrency(crowd.gate, 1 + weir_random_below(&crowd.random, 5));
		weir__gate_pause(crowd.gate, weir_random_below(&crowd.random, 4) == 0);
	}
	weir__gate_pause(crowd.gate, false);
	weir_group_cancel(canceled);
	finish(canceled);
	finish(group);
	weir_gate_stats(crowd.gate, &stats);
	ck_assert_uint_eq(stats.calls, crowd.entered);
	ck_assert_uint_eq(stats.good + stats.failed + stats.timed_out + stats.throttled + stats.released, stats.calls);
	ck_assert_uint_eq(stats.in_flight + stats.waiting, 0);
	ck_assert_uint_gt(crowd.refused, 0);
	weir__gate_free(crowd.gate);
}

static int leave_twice(void *arg)
{
	(void)arg;
	static struct weir_gate *volatile gate;
	struct weir__pass pass;
	gate = new_gate(&(struct weir__gate_options){.concurrency = 1});
	weir__gate_enter(gate, &pass, WEIR_TRY);
	weir__gate_leave(gate, &pass, WEIR_OUTCOME_GOOD, NULL);
	weir__gate_leave(gate, &pass, WEIR_OUTCOME_GOOD, NULL);
	return 0;
}

static void run_leave_twice(void)
{
	weir_run(NULL, leave_twice, NULL);
}

TEST(gate_misuse_aborts)
{
	assert_aborts(run_leave_twice, "weir__gate_leave() too often");
}

/* It is woken to keep another time, and cancelled before it has run. */
FIBER_TEST(gate_lets_go_immediately_who_is_canceled_as_its_rate_changes)
{
	struct weir_gate *gate = new_gate(
		&(struct weir__gate_options){.concurrency = 9, .rate = {.count = 1, .period = 100 * WEIR_SEC}});
	struct weir_group *group = new_group();
	struct caller first = a_call(gate, 0), waits = a_call(gate, 0);
	call(&first);
	spawn(group, call, &waits);
	weir_sleep(WEIR_SEC);
	weir_nsec now = weir_now();
	ck_assert_int_eq(weir__gate_set_rate(gate, &(struct weir_rate_options){.count = 1, .period = 200 * WEIR_SEC}),
			 0);
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(waits.answer, WEIR_ECANCELED);
	ck_assert_int_eq(weir_now(), now);
	weir__gate_free(gate);
}
