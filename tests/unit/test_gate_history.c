/* SPDX-License-Identifier: MIT */
/* Gates and the jobs that come more than once: whom they count, whom they send away; and a rate that is granted. */
#include "sync/gate.h"
#include "unit/fibers.h"

static struct weir_gate *new_gate(const struct weir__gate_options *opts)
{
	struct weir_gate *gate;
	ck_assert_int_eq(weir__gate_new(opts, &gate), 0);
	return gate;
}

static struct weir_gate_stats stats_of(const struct weir_gate *gate)
{
	struct weir_gate_stats stats;
	weir_gate_stats(gate, &stats);
	return stats;
}

/* A call of the job; NULL: of one that keeps no history. */
static void call(struct weir_gate *gate, struct weir_history *history, enum weir_outcome outcome)
{
	struct weir__pass pass;
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), 0);
	pass.history = history;
	weir__gate_leave(gate, &pass, outcome, NULL);
}

static const struct weir__gate_options careful = {.concurrency = 10, .breaker = {.calls_least = 5, .jitter = -1}};

FIBER_TEST(gate_does_not_open_its_breaker_for_jobs_that_fail_while_others_succeed)
{
	struct weir_gate *gate = new_gate(&careful);
	struct weir_history bad[4] = {{0}};
	for (int i = 0; i < 4; i++)
		call(gate, &bad[i], WEIR_OUTCOME_FAILED);
	call(gate, NULL, WEIR_OUTCOME_GOOD); /* 4 of 5 failed: half is enough */
	ck_assert_int_eq(stats_of(gate).breaker, WEIR_BREAKER_OPEN);
	weir_sleep(6 * WEIR_SEC);
	call(gate, NULL, WEIR_OUTCOME_GOOD);
	call(gate, NULL, WEIR_OUTCOME_GOOD);
	ck_assert_int_eq(stats_of(gate).breaker, WEIR_BREAKER_CLOSED);
	for (int i = 0; i < 400; i++)
		call(gate, &bad[i % 4], WEIR_OUTCOME_FAILED);
	ck_assert_int_eq(stats_of(gate).breaker, WEIR_BREAKER_CLOSED);
	ck_assert(bad[0].suspect);
	for (int i = 0; i < 5; i++)
		call(gate, NULL, WEIR_OUTCOME_FAILED);
	ck_assert_int_eq(stats_of(gate).breaker, WEIR_BREAKER_OPEN);
	weir__gate_free(gate);
}

FIBER_TEST(gate_takes_a_history_of_another_gate_for_none)
{
	struct weir_gate *one = new_gate(&careful), *other = new_gate(&careful);
	struct weir_history history = {0}, was;
	call(one, NULL, WEIR_OUTCOME_GOOD);
	call(one, &history, WEIR_OUTCOME_FAILED);
	call(one, NULL, WEIR_OUTCOME_GOOD);
	was = history;
	call(other, &history, WEIR_OUTCOME_GOOD); /* it goes through one gate on its way to the other */
	ck_assert_uint_eq(history.gate, was.gate);
	ck_assert_uint_eq(history.failed, was.failed);
	call(other, &history, WEIR_OUTCOME_FAILED);
	ck_assert_uint_ne(history.gate, was.gate);
	ck_assert(!history.suspect);
	weir__gate_free(one);
	weir__gate_free(other);
}

FIBER_TEST(gate_leaves_the_first_probes_to_jobs_that_have_not_failed)
{
	struct weir_gate *gate = new_gate(&careful);
	struct weir_history bad = {0}, fresh = {0};
	for (int i = 0; i < 5; i++)
		call(gate, &bad, WEIR_OUTCOME_FAILED);
	weir_nsec opens = weir_now() + 5 * WEIR_SEC;
	ck_assert_int_eq(weir__gate_knock(gate, &fresh), opens);
	ck_assert_int_eq(weir__gate_knock(gate, &bad), opens + WEIR_SEC / 2);
	weir_sleep(5 * WEIR_SEC);
	ck_assert_int_eq(weir__gate_knock(gate, &fresh), 0);
	ck_assert_int_eq(weir__gate_knock(gate, &bad), opens + WEIR_SEC / 2);
	weir_sleep(WEIR_SEC / 2);
	ck_assert_int_eq(weir__gate_knock(gate, &bad), 0);
	weir__gate_free(gate);
}

/* ---- a rate that is granted */

struct waiter {
	struct weir_gate *gate;
	int code;
};

static int wait_for_gate(void *arg)
{
	struct waiter *waiter = arg;
	struct weir__pass pass;
	waiter->code = weir__gate_enter(waiter->gate, &pass, WEIR_FOREVER);
	if (waiter->code == 0)
		weir__gate_leave(waiter->gate, &pass, WEIR_OUTCOME_GOOD, NULL);
	return 0;
}

static unsigned wanted;

static void note_wanted(void *arg)
{
	ck_assert_ptr_nonnull(arg);
	wanted++;
}

FIBER_TEST(gate_lets_in_as_much_of_its_rate_as_was_granted)
{
	const struct weir__gate_options opts = {.concurrency = 10,
						.rate = {.count = 1, .burst = 5},
						.rate_wanted = note_wanted,
						.rate_arg = &wanted,
						.snapshot = {.paid = weir_now() + 2 * WEIR_SEC}};
	struct weir_gate *gate = new_gate(&opts);
	struct weir__pass pass;
	struct weir_group *group;
	struct waiter waiter = {gate, 1};
	weir_nsec begun = weir_now();
	wanted = 0;
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_uint_eq(wanted, 1);
	ck_assert_int_eq(stats_of(gate).held_by, WEIR_HELD_BY_RATE);
	ck_assert_int_eq(stats_of(gate).granted, 0);
	ck_assert(stats_of(gate).is_wanting);
	weir__gate_grant(gate, begun + 4 * WEIR_SEC); /* two calls are paid off then */
	call(gate, NULL, WEIR_OUTCOME_GOOD);
	call(gate, NULL, WEIR_OUTCOME_GOOD);
	ck_assert_int_eq(stats_of(gate).snapshot.paid, begun + 4 * WEIR_SEC);
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), WEIR_EAGAIN);
	weir__gate_grant(gate, begun); /* it never becomes less */
	ck_assert_int_eq(stats_of(gate).granted, begun + 4 * WEIR_SEC);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	weir_group_spawn(group, wait_for_gate, &waiter, WEIR_FOREVER);
	weir_sleep(10 * WEIR_SEC); /* it is not time that is short */
	ck_assert_int_eq(waiter.code, 1);
	weir__gate_grant(gate, weir_now() + WEIR_SEC);
	weir_group_wait(group, WEIR_FOREVER);
	ck_assert_int_eq(waiter.code, 0);
	weir_group_free(group);
	weir__gate_free(gate);
}

FIBER_TEST(gate_asks_for_a_grant_while_something_else_holds_it_back)
{
	const struct weir__gate_options opts = {
		.concurrency = 10, .rate = {.count = 1000}, .rate_wanted = note_wanted, .rate_arg = &wanted};
	struct weir_gate *gate = new_gate(&opts);
	struct weir__pass pass;
	struct weir_group *group;
	struct waiter waiter = {gate, 1};
	weir__gate_grant(gate, weir_now() + WEIR_MSEC);
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), 0);
	weir__gate_leave(gate, &pass, WEIR_OUTCOME_THROTTLED, &(struct weir_hint){.retry_after = WEIR_SEC});
	wanted = 0;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	weir_group_spawn(group, wait_for_gate, &waiter, WEIR_FOREVER);
	weir_sleep(WEIR_MSEC);
	ck_assert_uint_ge(wanted, 1);
	weir__gate_grant(gate, weir_now() + 3600 * WEIR_SEC);
	weir_group_wait(group, WEIR_FOREVER);
	ck_assert_int_eq(waiter.code, 0);
	weir_group_free(group);
	weir__gate_free(gate);
}

FIBER_TEST(gate_without_a_rate_of_its_own_asks_for_no_grant)
{
	const struct weir__gate_options opts = {.concurrency = 10, .rate_wanted = note_wanted, .rate_arg = &wanted};
	struct weir_gate *gate = new_gate(&opts);
	wanted = 0;
	for (int i = 0; i < 100; i++)
		call(gate, NULL, WEIR_OUTCOME_GOOD);
	ck_assert_uint_eq(wanted, 0);
	ck_assert_int_eq(weir__gate_set_rate(gate, &(struct weir_rate_options){.count = 1}), 0);
	struct weir__pass pass;
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_uint_eq(wanted, 1);
	weir__gate_free(gate);
}
