/* SPDX-License-Identifier: MIT */
/* weir_process() when an upstream is out: nothing is lost, little is asked, and it goes on. */
#include "sync/policy.h"
#include "unit/world.h"

static weir_nsec outage_from, outage_until;
static unsigned calls_in_outage, most_probes;

static bool is_out(void)
{
	return weir_now() >= outage_from && weir_now() < outage_until;
}

static int fail_in_outage(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id, (void)attempt;
	if (!is_out())
		return 0;
	calls_in_outage++;
	return WEIR_EIO;
}

static struct world *run_outage(weir_nsec length, unsigned jobs, struct weir_process_stats *ret_stats)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){
						.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10, .seed = test_seed()}),
					jobs);
	outage_from = weir_now() + 5 * WEIR_SEC;
	outage_until = outage_from + length;
	calls_in_outage = 0;
	world->latency = 50 * WEIR_MSEC;
	world->answer = fail_in_outage;
	ck_assert_int_eq(run_world(world, ret_stats, WEIR_FOREVER), 0);
	return world;
}

FIBER_TEST(process_survives_four_hours_of_503_without_losing_or_failing_a_job)
{
	struct weir_process_stats stats;
	weir_nsec began = weir_now();
	struct world *world = run_outage(4 * 3600 * WEIR_SEC, 2000, &stats);
	struct weir_policy_stats policy;
	struct weir_gate *gate;
	struct weir_gate_stats gate_stats;
	ck_assert_uint_eq(stats.succeeded, 2000);
	/* 2,000 jobs of 50 ms, 10 at once, take 10 s, of which 5 were left. */
	ck_assert_int_le(weir_now() - outage_until, 60 * WEIR_SEC);
	ck_assert_int_ge(weir_now() - began, 4 * 3600 * WEIR_SEC);
	weir_policy_stats(world->process.policy, &policy);
	weir__policy_gate(world->process.policy, "", &gate);
	weir_gate_stats(gate, &gate_stats);
	weir__policy_unref(world->process.policy, gate);
	/* Until it opened at most as many as the 5 s before, 200 a second; then three probes each time, 24 s apart at
	 * least but for the first few. */
	ck_assert_uint_le(calls_in_outage, 1000 + 20 + 3 * (4 * 3600 / 24 + 8));
	ck_assert_uint_ge(gate_stats.breaker_opened, 4 * 3600 / 40);
	ck_assert_uint_eq(policy.waiting + policy.in_flight, 0);
	ck_assert_uint_le(world->most_number, 5);
	free_world(world);
}

/* ---- jobs that always fail, among others that do not */

enum where { FIRST, ALTERNATING, IN_THE_MIDDLE, LAST, WHERES };

static struct {
	enum where where;
	unsigned good, bad;
	bool answers; /* an error, instead of none at all */
} crowd;

static bool is_bad(unsigned id)
{
	switch (crowd.where) {
	case FIRST:
		return id < crowd.bad;
	case ALTERNATING:
		return id % 2 == 0 && id / 2 < crowd.bad;
	case IN_THE_MIDDLE:
		return id >= crowd.good / 2 && id - crowd.good / 2 < crowd.bad;
	default:
		return id >= crowd.good;
	}
}

static int fail_bad_ones(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world;
	if (!is_bad(id))
		return 0;
	if (crowd.answers)
		attempt->outcome = WEIR_OUTCOME_ERROR;
	return WEIR_EIO;
}

static int64_t all_alike(void *arg, const void *job)
{
	(void)arg, (void)job;
	return 3;
}

/* 30 of 130 jobs fail whatever is done; how long it takes. */
static weir_nsec run_crowd(enum where where, bool answers, bool by_class, size_t concurrency)
{
	const struct weir_policy_options opts = {
		.pattern = concurrency ? WEIR_PATTERN_QUEUE : WEIR_PATTERN_AUTO,
		.concurrency = concurrency,
		.seed = test_seed(),
	};
	struct world *world = new_world(new_policy(&opts), 130);
	struct weir_process_stats stats;
	weir_nsec began = weir_now();
	crowd.where = where;
	crowd.good = 100;
	crowd.bad = 30;
	crowd.answers = answers;
	world->latency = 100 * WEIR_MSEC;
	world->answer = fail_bad_ones;
	world->process.priority = by_class ? all_alike : NULL;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	for (unsigned id = 0; id < 130; id++)
		quick_assert((world->results[id] < 0) == is_bad(id));
	ck_assert_uint_eq(stats.succeeded, 100);
	free_world(world);
	return weir_now() - began;
}

FIBER_TEST(process_jobs_that_always_fail_hold_up_nobody_for_long)
{
	static const size_t concurrency[] = {0, 4, 10, 50};
	for (size_t i = 0; i < sizeof concurrency / sizeof concurrency[0]; i++)
		for (int where = FIRST; where < WHERES; where++)
			for (int by_class = 0; by_class < 2; by_class++) {
				weir_nsec took = run_crowd((enum where)where, true, by_class, concurrency[i]);
				ck_assert_msg(took <= 30 * WEIR_SEC, "where %d, %zu at once: %lld ms", where,
					      concurrency[i], (long long)(took / WEIR_MSEC));
			}
}

/* Those that get no answer at all may not be told from an outage when nothing else is left. */
FIBER_TEST(process_jobs_that_are_never_answered_hold_up_nobody_for_long_while_others_are)
{
	for (int where = FIRST; where < LAST; where++)
		for (int by_class = 0; by_class < 2; by_class++) {
			weir_nsec took = run_crowd((enum where)where, false, by_class, 10);
			ck_assert_msg(took <= 180 * WEIR_SEC, "where %d: %lld ms", where,
				      (long long)(took / WEIR_MSEC));
		}
}

static int fail_all(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id, (void)attempt;
	return WEIR_EIO;
}

FIBER_TEST(process_gives_a_server_up_that_was_not_well_for_a_day)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){
			.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10, .retry.attempts = 3, .seed = test_seed()}),
		60);
	struct weir_process_stats stats;
	weir_nsec began = weir_now();
	world->answer = fail_all;
	ck_assert_int_eq(run_world(world, &stats, weir_after(100 * 3600 * WEIR_SEC)), 0);
	ck_assert_uint_eq(stats.failed, 60);
	ck_assert_int_ge(weir_now() - began, 24 * 3600 * WEIR_SEC);
	ck_assert_int_le(weir_now() - began, 28 * 3600 * WEIR_SEC);
	free_world(world);
}

static int count_probes(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	struct weir_gate *gate;
	struct weir_gate_stats stats;
	weir__policy_gate(world->process.policy, "", &gate);
	weir_gate_stats(gate, &stats);
	if (stats.breaker == WEIR_BREAKER_HALF_OPEN && stats.in_flight > most_probes)
		most_probes = (unsigned)stats.in_flight;
	weir__policy_unref(world->process.policy, gate);
	return fail_in_outage(world, id, attempt);
}

FIBER_TEST(process_a_minute_of_503_loses_nothing_and_is_probed_by_a_few)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){
						.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10, .seed = test_seed()}),
					2000);
	struct weir_process_stats stats;
	outage_from = weir_now() + 3 * WEIR_SEC;
	outage_until = outage_from + 60 * WEIR_SEC;
	calls_in_outage = most_probes = 0;
	world->latency = 50 * WEIR_MSEC;
	world->answer = count_probes;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	ck_assert_uint_eq(stats.succeeded, 2000);
	ck_assert_uint_ge(most_probes, 1);
	ck_assert_uint_le(most_probes, 3);
	/* The window of 30 s held about 600 good calls: as many fail before half of it does. */
	ck_assert_uint_le(calls_in_outage, 700);
	unsigned attempts = 0;
	for (unsigned i = 0; i < 2000; i++)
		attempts += world->attempts[i];
	ck_assert_uint_eq(attempts, 2000 + calls_in_outage);
	free_world(world);
}
