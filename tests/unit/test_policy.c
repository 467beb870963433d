/* SPDX-License-Identifier: MIT */
/* Policies: what their options may be, their gates, what is changed for all of them. */
#include "sync/policy.h"
#include "unit/exposition.h"
#include "unit/fibers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/process.h>

static struct weir_policy *new_policy(const struct weir_policy_options *opts)
{
	struct weir_policy *policy;
	struct weir_error err = {0};
	ck_assert_msg(weir_policy_new(opts, &policy, &err) == 0, "%s", err.text);
	return policy;
}

static void refuse(const struct weir_policy_options *opts, const char *part)
{
	static struct weir_policy *const untouched = (void *)&untouched;
	struct weir_policy *policy = untouched;
	struct weir_error err = {0};
	ck_assert_int_eq(weir_policy_new(opts, &policy, &err), WEIR_EINVAL);
	ck_assert_msg(strstr(err.text, part) != NULL, "%s", err.text);
	ck_assert_int_eq(err.code, WEIR_EINVAL);
	ck_assert_ptr_eq(policy, untouched);
	ck_assert_int_eq(weir_policy_new(opts, &policy, NULL), WEIR_EINVAL);
}

TEST(policy_refuses_what_excludes_each_other_and_says_what)
{
	const struct weir_policy_options refused[] = {
		{.pattern = (enum weir_pattern)77},
		{.permit = (enum weir_permit)77},
		{.timeout = -1},
		{.timeout = 2 * WEIR_SEC, .total_timeout = WEIR_SEC},
		{.queue_timeout = 2 * WEIR_SEC, .total_timeout = WEIR_SEC},
		{.retry.elapsed = -1},
		{.retry.budget.share = 1.5},
		{.gate_flags = WEIR_GATE_REJECT | WEIR_GATE_NO_BREAKER},
		{.pattern = WEIR_PATTERN_NAIVE, .concurrency = 5},
		{.pattern = WEIR_PATTERN_NAIVE, .rate.count = 5},
		{.pattern = WEIR_PATTERN_SEMAPHORE, .capacity = 5},
		{.permit = WEIR_PERMIT_IN_TASK, .memory_bytes = 5},
		{.pattern = WEIR_PATTERN_CHUNKED, .capacity = 5},
		{.permit = WEIR_PERMIT_PER_BATCH},
		{.concurrency = 11, .most = 10},
		{.most = WEIR__ADAPT_MOST + 1},
		{.rate = {.count = 1, .burst = UINT64_MAX}},
		{.breaker.jitter = 2},
	};
	static const char *const parts[] = {
		"pattern",
		"permit",
		"negative",
		"total_timeout",
		"total_timeout",
		"negative",
		"retry budget",
		"breaker",
		"a concurrency cannot be set",
		"a rate cannot be set",
		"a capacity cannot be set",
		"a memory limit cannot be set",
		"a capacity cannot be set",
		"size",
		"11 is over `most`, 10",
		"`most`",
		"rate",
		"breaker",
	};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		refuse(&refused[i], parts[i]);
}

FIBER_TEST(policy_patterns_are_presets)
{
	static const struct {
		enum weir_pattern pattern;
		const char *name;
		enum weir_permit permit;
		size_t limit;
		bool adaptive;
		double per_sec;
	} table[] = {
		{WEIR_PATTERN_AUTO, "auto", WEIR_PERMIT_BEFORE, 0, true, 0},
		{WEIR_PATTERN_QUEUE, "queue", WEIR_PERMIT_BEFORE, 50, false, 0},
		{WEIR_PATTERN_SEMAPHORE, "semaphore", WEIR_PERMIT_IN_TASK, 100, false, 0},
		{WEIR_PATTERN_CHUNKED, "chunked", WEIR_PERMIT_PER_BATCH, 100, false, 0},
		{WEIR_PATTERN_RATE, "rate", WEIR_PERMIT_BEFORE, 200, false, 100},
		{WEIR_PATTERN_NAIVE, "naive", WEIR_PERMIT_NEVER, (size_t)1 << 40, false, 0},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct weir_policy *policy = new_policy(&(struct weir_policy_options){.pattern = table[i].pattern});
		struct weir_policy_stats stats;
		struct weir_gate_stats gate_stats;
		struct weir_gate *gate;
		ck_assert_int_eq(weir__policy_gate(policy, "", &gate), 0);
		weir_policy_stats(policy, &stats);
		weir_gate_stats(gate, &gate_stats);
		ck_assert_str_eq(weir_pattern_name(table[i].pattern), table[i].name);
		ck_assert_int_eq(stats.permit, table[i].permit);
		ck_assert_int_eq(gate_stats.adaptive, table[i].adaptive);
		if (!table[i].adaptive)
			ck_assert_uint_eq(gate_stats.limit, table[i].limit);
		ck_assert_double_eq(gate_stats.per_sec, table[i].per_sec);
		weir__policy_unref(policy, gate);
		weir_policy_free(policy);
	}
	ck_assert_str_eq(weir_pattern_name((enum weir_pattern)9), "?");
	weir_policy_free(NULL);
}

static int count_gates(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	(void)key, (void)stats;
	++*(size_t *)arg;
	return 0;
}

static size_t gates_of(const struct weir_policy *policy)
{
	size_t n = 0;
	weir_policy_gates(policy, count_gates, &n);
	return n;
}

static int stop_at_b(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	(void)arg, (void)stats;
	return strcmp(key, "b") == 0 ? 42 : 0;
}

FIBER_TEST(policy_has_one_gate_for_each_key)
{
	struct weir_policy *policy = new_policy(&(struct weir_policy_options){.concurrency = 3});
	struct weir_gate *a, *b, *again;
	ck_assert_int_eq(weir__policy_gate(policy, "a", &a), 0);
	ck_assert_int_eq(weir__policy_gate(policy, "b", &b), 0);
	ck_assert_int_eq(weir__policy_gate(policy, "a", &again), 0);
	ck_assert_ptr_eq(a, again);
	ck_assert_ptr_ne(a, b);
	ck_assert_uint_eq(gates_of(policy), 2);
	ck_assert_int_eq(weir_policy_gates(policy, stop_at_b, NULL), 42);
	weir__policy_unref(policy, a);
	weir__policy_unref(policy, again);
	weir__policy_unref(policy, b);
	weir_policy_free(policy);
}

/* The naive model: the order in which they were last put. */
FIBER_TEST(policy_forgets_the_gate_used_longest_ago_and_none_in_use)
{
	enum { MOST = 10, KEYS = 30 };
	struct weir_policy *policy = new_policy(&(struct weir_policy_options){.concurrency = 3, .gates_most = MOST});
	struct weir_gate *held, *gate;
	struct weir_gate_stats stats;
	struct weir__pass pass;
	ck_assert_int_eq(weir__policy_gate(policy, "held", &held), 0);
	for (int i = 0; i < KEYS; i++) {
		char key[16];
		snprintf(key, sizeof key, "key%d", i);
		ck_assert_int_eq(weir__policy_gate(policy, key, &gate), 0);
		ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), 0);
		weir__gate_leave(gate, &pass, WEIR_OUTCOME_GOOD, NULL);
		weir__policy_unref(policy, gate);
		ck_assert_uint_le(gates_of(policy), MOST);
		ck_assert_int_eq(weir__policy_gate(policy, "key0", &gate), 0); /* always used of late */
		weir_gate_stats(gate, &stats);
		ck_assert_uint_eq(stats.calls, 1);
		weir__policy_unref(policy, gate);
	}
	ck_assert_int_eq(weir__policy_gate(policy, "key1", &gate), 0);
	weir_gate_stats(gate, &stats);
	ck_assert_uint_eq(stats.calls, 0); /* a new one */
	weir__policy_unref(policy, gate);
	struct weir_gate *again;
	ck_assert_int_eq(weir__policy_gate(policy, "held", &again), 0);
	ck_assert_ptr_eq(again, held);
	weir__policy_unref(policy, held);
	weir__policy_unref(policy, again);
	/* With all in use there are more than there should be. */
	struct weir_gate *all[KEYS];
	for (int i = 0; i < KEYS; i++)
		ck_assert_int_eq(weir__policy_gate(policy, test_format("%d", i), &all[i]), 0);
	ck_assert_uint_eq(gates_of(policy), KEYS);
	for (int i = 0; i < KEYS; i++)
		weir__policy_unref(policy, all[i]);
	weir_policy_free(policy);
}

FIBER_TEST(policy_changes_all_gates_and_those_to_come)
{
	struct weir_policy *policy = new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_AUTO});
	struct weir_gate *before, *after;
	struct weir_gate_stats stats;
	ck_assert_int_eq(weir__policy_gate(policy, "before", &before), 0);
	ck_assert_int_eq(weir_policy_set_concurrency(policy, 7), 0);
	ck_assert_int_eq(weir_policy_set_rate(policy, &(struct weir_rate_options){.count = 5}), 0);
	ck_assert_int_eq(weir_policy_set_rate(policy, &(struct weir_rate_options){.count = UINT64_MAX}), WEIR_EINVAL);
	weir_policy_pause(policy, true);
	ck_assert_int_eq(weir__policy_gate(policy, "after", &after), 0);
	for (int i = 0; i < 2; i++) {
		weir_gate_stats(i ? after : before, &stats);
		ck_assert_uint_eq(stats.limit, 7);
		ck_assert(!stats.adaptive);
		ck_assert_double_eq(stats.per_sec, 5);
		ck_assert_int_eq(stats.held_by, WEIR_HELD_BY_PAUSE);
	}
	weir_policy_pause(policy, false);
	ck_assert_int_eq(weir_policy_set_concurrency(policy, 0), 0);
	weir_gate_stats(after, &stats);
	ck_assert(stats.adaptive);
	ck_assert_int_eq(stats.held_by, WEIR_HELD_BY_NOTHING);
	weir__policy_unref(policy, before);
	weir__policy_unref(policy, after);
	weir_policy_free(policy);
}

FIBER_TEST(policy_is_paused_from_a_time_on_for_all_gates_and_those_to_come)
{
	struct weir_policy *policy = new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_AUTO});
	struct weir_gate *gates[2];
	struct weir_gate_stats stats;
	ck_assert_int_eq(weir__policy_gate(policy, "before", &gates[0]), 0);
	weir_policy_pause_from(policy, weir_now() + WEIR_SEC);
	ck_assert_int_eq(weir__policy_gate(policy, "after", &gates[1]), 0);
	for (int i = 0; i < 6; i++) {
		weir_gate_stats(gates[i % 2], &stats);
		ck_assert_int_eq(stats.held_by, i / 2 == 1 ? WEIR_HELD_BY_PAUSE : WEIR_HELD_BY_NOTHING);
		if (i == 1)
			weir_sleep(WEIR_SEC);
		if (i == 3)
			weir_policy_pause_from(policy, WEIR_FOREVER);
	}
	for (int i = 0; i < 2; i++)
		weir__policy_unref(policy, gates[i]);
	weir_policy_free(policy);
}

/* A call that the server answers with what it allows: 100 in 10 s, as many as are left of them. */
static void state_limit(struct weir_gate *gate)
{
	const struct weir_hint hint = {.quota = 100, .window = 10 * WEIR_SEC};
	struct weir__pass pass;
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_FOREVER), 0);
	weir_sleep(WEIR_MSEC);
	weir__gate_leave(gate, &pass, WEIR_OUTCOME_GOOD, &hint);
}

FIBER_TEST(policy_shares_what_a_server_states_with_others_that_call_it)
{
	struct weir_policy *policy = new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_AUTO});
	struct weir_gate *gate;
	struct weir_gate_stats stats;
	ck_assert_int_eq(weir__policy_gate(policy, "api", &gate), 0);
	state_limit(gate);
	weir_gate_stats(gate, &stats);
	ck_assert_double_eq(stats.per_sec, 10);
	weir_policy_share(policy, "api", 4);
	weir_policy_share(policy, "nobody", 9);
	weir_gate_stats(gate, &stats);
	ck_assert_double_eq(stats.per_sec, 2.5);
	weir_policy_share(policy, "api", 0); /* it is one itself */
	weir_gate_stats(gate, &stats);
	ck_assert_double_eq(stats.per_sec, 10);
	weir__policy_unref(policy, gate);
	weir_policy_free(policy);
}

FIBER_TEST(policy_is_shut_by_what_others_have_heard)
{
	struct weir_policy *policy =
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_AUTO, .longest = 20 * WEIR_SEC});
	struct weir_gate *gate;
	struct weir_gate_stats stats;
	weir_nsec now = weir_now();
	weir_policy_shut(policy, "api", now + 5 * WEIR_SEC); /* nobody has called it */
	ck_assert_int_eq(weir__policy_gate(policy, "api", &gate), 0);
	weir_policy_shut(policy, "api", now + 5 * WEIR_SEC);
	weir_policy_shut(policy, "api", now + 3 * WEIR_SEC);
	weir_gate_stats(gate, &stats);
	ck_assert_int_eq(stats.held_by, WEIR_HELD_BY_SHUT);
	ck_assert(stats.shut_hinted);
	ck_assert_int_eq(stats.shut_until, now + 5 * WEIR_SEC);
	ck_assert_int_eq(stats.word, 0); /* it was not said to this one */
	weir_policy_shut(policy, "api", now + 3600 * WEIR_SEC);
	weir_gate_stats(gate, &stats);
	ck_assert_int_eq(stats.shut_until, now + 20 * WEIR_SEC);
	weir_sleep_until(stats.shut_until);
	weir_gate_stats(gate, &stats);
	ck_assert_int_eq(stats.held_by, WEIR_HELD_BY_NOTHING);
	weir__policy_unref(policy, gate);
	weir_policy_free(policy);
}

FIBER_TEST(policy_recalls_the_snapshot_of_an_earlier_run)
{
	struct weir_policy *policy = new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_AUTO});
	struct weir_gate *gate;
	struct weir_gate_stats stats;
	ck_assert_int_eq(weir_policy_recall(policy, "api", &(struct weir_snapshot){.limit = 77}), 0);
	ck_assert_uint_eq(gates_of(policy), 0);
	ck_assert_int_eq(weir__policy_gate(policy, "api", &gate), 0);
	weir_gate_stats(gate, &stats);
	ck_assert_uint_eq(stats.limit, 77);
	ck_assert_double_eq(stats.snapshot.limit, 77);
	weir__policy_unref(policy, gate);
	weir_policy_free(policy);
}
