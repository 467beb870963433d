/* SPDX-License-Identifier: MIT */
/* weir_process() when an upstream is out: nothing is lost, little is asked, and it goes on; with gates of its own, too.
 */
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
	weir_policy_gate(world->process.policy, "", &gate);
	weir_gate_stats(gate, &gate_stats);
	weir_policy_put(world->process.policy, gate);
	/* Until it opened at most as many as the 5 s before, 200 a second; then three probes each time, 24 s apart at
	 * least but for the first few. */
	ck_assert_uint_le(calls_in_outage, 1000 + 20 + 3 * (4 * 3600 / 24 + 8));
	ck_assert_uint_ge(gate_stats.breaker_opened, 4 * 3600 / 40);
	ck_assert_uint_eq(policy.waiting + policy.in_flight, 0);
	ck_assert_uint_le(world->most_number, 5);
	free_world(world);
}

/* How many are under way while the breaker is not closed. */
/* The first thirty fail whatever one does, and open the breaker. */
static int fail_thirty(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)attempt;
	return id < 30 ? WEIR_EIO : 0;
}

static int64_t all_alike(void *arg, const void *job)
{
	(void)arg, (void)job;
	return 3;
}

FIBER_TEST(process_jobs_that_always_fail_do_not_keep_the_breaker_open_for_ever)
{
	for (int by_class = 0; by_class < 2; by_class++) {
		struct world *world = new_world(new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
											 .concurrency = 10,
											 .retry.attempts = 3,
											 .seed = test_seed()}),
						500);
		struct weir_process_stats stats;
		world->latency = 20 * WEIR_MSEC;
		world->answer = fail_thirty;
		world->process.priority = by_class ? all_alike : NULL;
		ck_assert_int_eq(run_world(world, &stats, weir_after(25 * 3600 * WEIR_SEC)), 0);
		ck_assert_uint_eq(stats.succeeded, 470);
		ck_assert_uint_eq(stats.failed, 30);
		free_world(world);
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
	weir_policy_gate(world->process.policy, "", &gate);
	weir_gate_stats(gate, &stats);
	if (stats.breaker == WEIR_BREAKER_HALF_OPEN && stats.in_flight > most_probes)
		most_probes = (unsigned)stats.in_flight;
	weir_policy_put(world->process.policy, gate);
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

/* ---- gates that the jobs enter themselves */

/* Two upstreams of very different speed, both through gates that the jobs enter themselves. */
static int own_gates(void *arg_job, struct weir_attempt *attempt, void *arg)
{
	struct world *world = arg;
	unsigned id = ((struct job *)arg_job)->id;
	struct weir_policy *policy = world->process.policy;
	struct weir_gate *gate;
	struct weir_pass pass;
	int code = weir_policy_gate(policy, id % 2 ? "slow" : "fast", &gate);
	if (code)
		return code;
	code = weir_gate_enter(gate, &pass, WEIR_FOREVER);
	if (code == 0) {
		if (++world->in_flight > world->most_in_flight)
			world->most_in_flight = world->in_flight;
		world->attempts[id]++;
		code = weir_sleep(10 * WEIR_MSEC);
		world->in_flight--;
		if (code == 0 && is_out())
			code = WEIR_EIO;
		weir_gate_leave(gate, &pass, code ? WEIR_OUTCOME_FAILED : WEIR_OUTCOME_GOOD, NULL);
		if (code)
			weir_attempt_excuse(attempt, gate);
	}
	weir_policy_put(policy, gate);
	return code;
}

static int add_limit(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	(void)key;
	*(size_t *)arg += stats->limit + stats->limit / 4 + 4;
	return 0;
}

FIBER_TEST(process_with_own_gates_follows_the_limits_they_find)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.seed = test_seed()}), 4000);
	size_t sum = 0;
	outage_from = outage_until = 0;
	world->process.flags = WEIR_PROCESS_OWN_GATES;
	world->process.work = own_gates;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_gates(world->process.policy, add_limit, &sum);
	ck_assert_uint_gt(world->most_in_flight, 16); /* as it began */
	free_world(world);
}

FIBER_TEST(process_with_own_gates_refunds_what_they_excuse)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){
			.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10, .retry.attempts = 3, .seed = test_seed()}),
		2000);
	struct weir_process_stats stats;
	struct weir_policy_stats policy;
	outage_from = weir_now() + WEIR_SEC;
	outage_until = outage_from + 600 * WEIR_SEC;
	world->process.flags = WEIR_PROCESS_OWN_GATES;
	world->process.work = own_gates;
	ck_assert_int_eq(run_world(world, &stats, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &policy);
	ck_assert_uint_eq(stats.succeeded, 2000);
	ck_assert_uint_gt(policy.refunded, 0);
	free_world(world);
}
