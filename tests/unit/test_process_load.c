/* SPDX-License-Identifier: MIT */
/* weir_process() under what befalls it: outages, random trouble, bursts, and how fast it is when all is well. */
#include "unit/world.h"

/* ---- outages */

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

/* ---- random trouble */

static int any_trouble(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)id;
	int code = weir_sleep((weir_nsec)weir_random_below(&world->random, 40 * WEIR_MSEC));
	if (code)
		return code;
	switch (weir_random_below(&world->random, 8)) {
	case 0:
		attempt->outcome = WEIR_OUTCOME_THROTTLED;
		attempt->told.retry_after = (weir_nsec)weir_random_below(&world->random, 100 * WEIR_MSEC);
		return WEIR_EIO;
	case 1:
		return WEIR_EPIPE;
	case 2:
		attempt->permanent = weir_random_below(&world->random, 5) == 0;
		return WEIR_EDATA;
	case 3:
		code = weir_sleep(WEIR_SEC); /* over its deadline */
		return code ? code : 0;
	default:
		return (int)weir_random_below(&world->random, 3);
	}
}

static uint64_t any_lane(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id % 13;
}

static int64_t any_class(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id % 3;
}

static const char *any_key(void *arg, const void *job)
{
	static const char *const keys[] = {"a", "b", "c"};
	(void)arg;
	return keys[((const struct job *)job)->id % 3];
}

static int produce_unsteadily(void *arg, void *ret_job, weir_nsec deadline)
{
	struct world *world = arg;
	if (weir_random_below(&world->random, 20) == 0) {
		int code = weir_sleep((weir_nsec)weir_random_below(&world->random, 50 * WEIR_MSEC));
		if (code)
			return code;
	}
	return produce(arg, ret_job, deadline);
}

static int done_slowly(void *arg, void *job, int result, const struct weir_attempt *last)
{
	struct world *world = arg;
	if (weir_random_below(&world->random, 4) == 0)
		weir_sleep((weir_nsec)weir_random_below(&world->random, 10 * WEIR_MSEC));
	return done(arg, job, result, last);
}

static const enum weir_pattern trouble_patterns[] = {WEIR_PATTERN_AUTO, WEIR_PATTERN_QUEUE, WEIR_PATTERN_SEMAPHORE,
						     WEIR_PATTERN_CHUNKED, WEIR_PATTERN_NAIVE};

static struct world *world_of_trouble(unsigned variant)
{
	enum weir_pattern pattern = trouble_patterns[variant % 5];
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){.pattern = pattern,
								   .concurrency = pattern == WEIR_PATTERN_NAIVE ? 0 : 6,
								   .timeout = 60 * WEIR_MSEC,
								   .queue_timeout = variant % 3 ? 0 : 500 * WEIR_MSEC,
								   .total_timeout = variant % 4 ? 0 : 2 * WEIR_SEC,
								   .gate_flags = variant % 7 ? 0 : WEIR_GATE_REJECT,
								   .seed = test_seed()}),
			  300);
	world->random = test_seed() * 100 + variant;
	world->process.produce = produce_unsteadily;
	world->process.done = done_slowly;
	world->process.flags = (variant & 1 ? WEIR_PROCESS_ORDERED : 0) | (variant & 16 ? WEIR_PROCESS_OWN_GATES : 0);
	world->process.lane = variant & 2 ? any_lane : NULL;
	world->process.priority = variant & 4 ? any_class : NULL;
	world->process.key = variant & 8 ? any_key : NULL;
	world->answer = any_trouble;
	return world;
}

/* run_world() keeps the accounts. */
FIBER_TEST(process_ends_every_job_once_whatever_happens)
{
	for (unsigned variant = 0; variant < 40; variant++) {
		struct world *world = world_of_trouble(variant);
		ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
		ck_assert_uint_eq(world->produced, 300);
		ck_assert_uint_le(world->most_number, 5);
		free_world(world);
	}
}

static int run_world_aside(void *arg)
{
	run_world(arg, NULL, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(process_ends_every_job_once_whenever_it_is_canceled)
{
	for (unsigned variant = 0; variant < 40; variant++) {
		struct world *world = world_of_trouble(variant);
		weir_nsec at = (weir_nsec)weir_random_below(&world->random, 400 * WEIR_MSEC);
		if (variant & 1) {
			int code = run_world(world, NULL, weir_after(1 + at));
			ck_assert(code == WEIR_ETIMEDOUT || code == 0);
		} else {
			struct weir_group *group = new_group();
			spawn(group, run_world_aside, world);
			weir_sleep(at);
			weir_group_cancel(group);
			finish(group);
		}
		free_world(world);
	}
}

/* ---- as fast as it can be */

struct many {
	unsigned produced, jobs;
	uint64_t random;
	size_t in_flight, most;
};

static int produce_many(void *arg, void *ret_job, weir_nsec deadline)
{
	struct many *many = arg;
	(void)deadline;
	*(struct job *)ret_job = (struct job){many->produced};
	return many->produced == many->jobs ? WEIR_ECLOSED : (int)(many->produced++, 0);
}

static int work_of_many(void *job, struct weir_attempt *attempt, void *arg)
{
	struct many *many = arg;
	(void)job, (void)attempt;
	if (++many->in_flight > many->most)
		many->most = many->in_flight;
	int code = weir_sleep(100 * WEIR_MSEC + (weir_nsec)weir_random_below(&many->random, 100 * WEIR_MSEC));
	many->in_flight--;
	return code;
}

static int run_many(void *arg)
{
	struct many many = {.jobs = 100000, .random = 1};
	struct weir_process_stats stats;
	struct weir_policy *policy =
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 500});
	(void)arg;
	ck_assert_int_eq(weir_process(&(struct weir_process){.policy = policy,
							     .job_bytes = sizeof(struct job),
							     .arg = &many,
							     .produce = produce_many,
							     .work = work_of_many},
				      &stats, WEIR_FOREVER),
			 0);
	ck_assert_uint_eq(stats.succeeded, 100000);
	ck_assert_uint_eq(many.most, 500);
	ck_assert_int_le(stats.took, (weir_nsec)(1.002 * 30.14 * (double)WEIR_SEC));
	weir_policy_free(policy);
	return 0;
}

TEST(process_of_a_hundred_thousand_jobs_wastes_no_time)
{
	ck_assert_int_eq(run_virtual(0, run_many, NULL), 0);
}

/* ---- reading ahead */

static int produce_in_bursts(void *arg, void *ret_job, weir_nsec deadline)
{
	struct world *world = arg;
	if (world->produced % 200 == 0) {
		int code = weir_sleep(180 * WEIR_MSEC);
		if (code)
			return code;
	}
	return produce(arg, ret_job, deadline);
}

static size_t capacity_after(struct world *world)
{
	struct weir_policy_stats stats;
	world->latency = 10 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	free_world(world);
	return stats.capacity;
}

FIBER_TEST(process_reads_further_ahead_of_a_producer_in_bursts)
{
	const struct weir_policy_options opts = {.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10};
	struct world *world = new_world(new_policy(&opts), 4000);
	world->process.produce = produce_in_bursts;
	ck_assert_uint_ge(capacity_after(world), 80);
	/* One that is always ahead needs hardly more than twice what is under way. */
	ck_assert_uint_le(capacity_after(new_world(new_policy(&opts), 4000)), 25);
	struct weir_policy_options fixed = opts;
	fixed.capacity = 33;
	ck_assert_uint_eq(capacity_after(new_world(new_policy(&fixed), 4000)), 33);
}

static int never_too_far_ahead(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)id, (void)attempt;
	quick_assert(world->produced - world->orders <= 10 + 40);
	return 0;
}

FIBER_TEST(process_reads_no_further_ahead_than_its_capacity)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){
						.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10, .capacity = 40}),
					1000);
	world->latency = WEIR_MSEC;
	world->answer = never_too_far_ahead;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	free_world(world);
}

static int sink_is_slow(void *arg, void *job, int result, const struct weir_attempt *last)
{
	weir_sleep(100 * WEIR_MSEC);
	return done(arg, job, result, last);
}

FIBER_TEST(process_is_held_back_by_those_who_take_its_results)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){
						.pattern = WEIR_PATTERN_QUEUE, .concurrency = 10, .capacity = 20}),
					1000);
	world->process.done = sink_is_slow;
	world->latency = WEIR_MSEC;
	world->answer = never_too_far_ahead; /* 10 under way, 11 to be taken, 20 read ahead */
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	free_world(world);
}

static bool is_paused;

static int not_in_a_pause(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id, (void)attempt;
	quick_assert(!is_paused);
	return 0;
}

static int done_after_a_second(void *arg, void *job, int result, const struct weir_attempt *last)
{
	weir_sleep(WEIR_SEC);
	return done(arg, job, result, last);
}

static int run_to_its_end(void *arg)
{
	return run_world(arg, NULL, WEIR_FOREVER);
}

/* The third job has a permit at once, and no room before the first of the results was taken. */
FIBER_TEST(process_begins_nothing_in_a_pause_with_a_permit_from_before_it)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 1}), 20);
	struct weir_group *group = new_group();
	world->process.done = done_after_a_second;
	world->answer = not_in_a_pause;
	is_paused = false;
	spawn(group, run_to_its_end, world);
	weir_sleep(WEIR_SEC / 2);
	weir_policy_pause(world->process.policy, is_paused = true);
	weir_sleep(10 * WEIR_SEC);
	weir_policy_pause(world->process.policy, is_paused = false);
	finish(group);
	ck_assert_uint_eq(world->orders, 20);
	free_world(world);
}

/* ---- found limits */

FIBER_TEST(process_stays_under_its_memory)
{
	struct world *world =
		new_world(new_policy(&(struct weir_policy_options){
				  .pattern = WEIR_PATTERN_QUEUE, .concurrency = 50, .memory_bytes = 128 * 1024}),
			  500);
	world->latency = WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	ck_assert_uint_le(world->most_in_flight, 128 * 1024 / (8192 + 5 * (256 + sizeof(struct job))));
	ck_assert_uint_ge(world->most_in_flight, 10);
	free_world(world);
}

static unsigned times_chosen;

static void note_choice(void *arg, const struct weir_choice *choice)
{
	struct world *world = arg;
	struct weir_policy_stats stats;
	times_chosen++;
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_uint_eq(stats.concurrency, choice->concurrency); /* goes on from there */
	ck_assert_uint_ge(choice->rule, 1);
	ck_assert(choice->why[0]);
}

static int fail_some(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)attempt;
	return id % 3 == 0 && attempt->number == 1 ? WEIR_EIO : 0;
}

FIBER_TEST(process_auto_chooses_once_by_what_it_has_seen)
{
	for (int failing = 0; failing < 2; failing++) {
		struct world *world = new_world(new_policy(&(struct weir_policy_options){.seed = test_seed()}), 1000);
		struct weir_policy_stats stats;
		struct weir_gate *gate;
		struct weir_gate_stats gate_stats;
		times_chosen = 0;
		world->process.chosen = note_choice;
		world->latency = 20 * WEIR_MSEC;
		world->answer = failing ? fail_some : NULL;
		ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
		weir_policy_stats(world->process.policy, &stats);
		ck_assert_uint_eq(times_chosen, 1);
		ck_assert(stats.chosen);
		ck_assert_int_eq(stats.choice.pattern, WEIR_PATTERN_QUEUE);
		ck_assert((strstr(stats.choice.why, "half") != NULL) == (failing == 1));
		weir_policy_gate(world->process.policy, "", &gate);
		weir_gate_stats(gate, &gate_stats);
		ck_assert(gate_stats.adaptive); /* it is found on */
		weir_policy_put(world->process.policy, gate);
		free_world(world);
	}
}

FIBER_TEST(process_auto_lets_few_jobs_go_all_at_once)
{
	struct world *world = new_world(new_policy(NULL), 90);
	struct weir_policy_stats stats;
	world->process.jobs = 90;
	world->latency = 20 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_int_eq(stats.choice.pattern, WEIR_PATTERN_NAIVE);
	ck_assert_uint_ge(world->most_in_flight, 25); /* of the 45 after the look at the others */
	free_world(world);
}

FIBER_TEST(process_auto_short_of_memory_goes_in_batches)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.memory_bytes = 80 * 1024, .seed = test_seed()}), 1000);
	struct weir_policy_stats stats;
	world->latency = 20 * WEIR_MSEC;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_msg(stats.choice.pattern == WEIR_PATTERN_CHUNKED, "%s", stats.choice.why);
	ck_assert_uint_ge(world->most_in_flight, 8);
	ck_assert_uint_le(world->most_in_flight, 80 * 1024 / (8192 + 5 * (256 + sizeof(struct job))));
	free_world(world);
}

static int tell_limit(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id;
	attempt->told = (struct weir_told){.quota = 100, .window = 2 * WEIR_SEC};
	return 0;
}

FIBER_TEST(process_auto_takes_a_server_at_its_word)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.seed = test_seed()}), 1000);
	struct weir_policy_stats stats;
	world->latency = 20 * WEIR_MSEC;
	world->answer = tell_limit;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_uint_eq(stats.choice.rule, 1);
	ck_assert_double_eq(stats.choice.per_sec, 50);
	free_world(world);
}

static int tell_what_is_left(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)id;
	unsigned left = 1000 - world->orders; /* of the minute */
	attempt->told = (struct weir_told){.counts = true, .left = left, .reset = 20 * WEIR_SEC};
	return 0;
}

FIBER_TEST(process_auto_takes_a_server_at_its_word_that_tells_what_is_left)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.seed = test_seed()}), 300);
	struct weir_policy_stats stats;
	world->latency = 20 * WEIR_MSEC;
	world->answer = tell_what_is_left;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_uint_eq(stats.choice.rule, 1);
	ck_assert_double_eq_tol(stats.choice.per_sec, 45, 6); /* 900 in 20 s, about */
	free_world(world);
}

/* 300 a second, 30 at once; else 429, come back in a second. */
static int come_back_later(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	static struct weir_rate rate;
	(void)id;
	if (world->orders == 0)
		weir_rate_init(&rate, &(struct weir_rate_options){.count = 300, .period = WEIR_SEC, .burst = 30});
	if (weir_rate_next(&rate, 1, weir_now()) <= weir_now()) {
		weir_rate_take(&rate, 1, weir_now());
		return 0;
	}
	attempt->outcome = WEIR_OUTCOME_THROTTLED;
	attempt->told.retry_after = WEIR_SEC;
	return WEIR_EAGAIN;
}

FIBER_TEST(process_auto_leaves_time_out_in_which_it_was_told_to_stay_away)
{
	struct world *world = new_world(new_policy(&(struct weir_policy_options){.seed = test_seed()}), 600);
	struct weir_policy_stats stats;
	world->latency = 20 * WEIR_MSEC;
	world->answer = come_back_later;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_msg(stats.choice.rule == 2 && stats.choice.per_sec >= 300 && stats.choice.per_sec <= 1100, "%s",
		      stats.choice.why);
	free_world(world);
}

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
