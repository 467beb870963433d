/* SPDX-License-Identifier: MIT */
/* weir_process() and the upstreams that its jobs name: who waits for whom, who is sent back, and why a job was cut. */
#include "unit/world.h"

#include <weir/heap.h>

/* ---- the world with a store that takes jobs back */

static struct store {
	struct weir_heap away; /* by when they are due */
	struct weir_heap_node nodes[JOBS_MOST];
	struct weir_attempts accounts[JOBS_MOST];
	struct weir_history histories[JOBS_MOST];
	unsigned ended, sent_back;
	enum weir_cut cuts[JOBS_MOST];
} store;

static int postpone(void *arg, void *job, weir_nsec due, const struct weir_attempt *last)
{
	(void)arg, (void)last;
	store.sent_back++;
	weir_heap_add(&store.away, due, &store.nodes[((struct job *)job)->id]);
	return 0;
}

static int produce_due(void *arg, void *ret_job, weir_nsec deadline)
{
	struct world *world = arg;
	while (!store.away.n || weir_heap_top(&store.away).key > weir_now()) {
		if (world->produced < world->jobs)
			return produce(arg, ret_job, deadline);
		if (store.ended == world->jobs)
			return WEIR_ECLOSED;
		if (weir_sleep(WEIR_MSEC))
			return WEIR_ECANCELED;
	}
	struct weir_heap_node *node = weir_heap_top(&store.away).node;
	weir_heap_remove(&store.away, node);
	*(struct job *)ret_job = (struct job){(unsigned)(node - store.nodes)};
	return 0;
}

static struct weir_attempts *attempts_of(void *arg, void *job)
{
	unsigned id = ((struct job *)job)->id;
	(void)arg;
	store.accounts[id].history = &store.histories[id];
	return &store.accounts[id];
}

static int note_cut(void *arg, void *job, int result, const struct weir_attempt *last)
{
	store.cuts[((struct job *)job)->id] = last->cut;
	store.ended++;
	return done(arg, job, result, last);
}

static struct world *new_store(const struct weir_policy_options *opts, unsigned jobs)
{
	struct world *world = new_world(new_policy(opts), jobs);
	memset(&store, 0, sizeof store);
	ck_assert_int_eq(weir_heap_reserve(&store.away, jobs), 0);
	world->process.postpone = postpone;
	world->process.produce = produce_due;
	world->process.attempts = attempts_of;
	world->process.done = note_cut;
	return world;
}

static void run_store(struct world *world)
{
	struct weir_process_stats stats;
	int code = weir_process(&world->process, &stats, weir_after(24 * 3600 * WEIR_SEC));
	ck_assert_int_eq(code, 0);
	for (unsigned i = 0; i < world->jobs; i++)
		quick_assert(world->ended[i] == 1);
	weir_heap_fini(&store.away);
}

/* ---- several upstreams */

static const char *slow_or_fast(void *arg, const void *job)
{
	(void)arg;
	return ((const struct job *)job)->id % 4 ? "slow" : "fast";
}

static weir_nsec fast_ended;

static int take_its_time(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world;
	quick_assert(weir_attempt_may_call(attempt, id % 4 ? "slow" : "fast"));
	int code = weir_sleep(id % 4 ? 10 * WEIR_SEC : 10 * WEIR_MSEC);
	if (id % 4 == 0)
		fast_ended = weir_now();
	return code;
}

/* Three of four jobs are for the slow one: 75 of them, four at once. */
FIBER_TEST(process_sends_back_those_that_are_too_many_before_a_slow_upstream)
{
	const struct weir_policy_options opts = {.pattern = WEIR_PATTERN_QUEUE, .concurrency = 4, .seed = test_seed()};
	struct world *world = new_store(&opts, 100);
	weir_nsec began = weir_now();
	world->process.key = slow_or_fast;
	world->answer = take_its_time;
	run_store(world);
	ck_assert_int_le(fast_ended - began, WEIR_SEC);
	ck_assert_uint_gt(store.sent_back, 0);
	free_world(world);
}

static size_t in_flight, most_in_flight;

static int count_in_flight(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id, (void)attempt;
	if (++in_flight > most_in_flight)
		most_in_flight = in_flight;
	int code = weir_sleep(10 * WEIR_MSEC);
	in_flight--;
	return code;
}

FIBER_TEST(process_holds_a_concurrency_of_all_upstreams_together)
{
	for (int together = 0; together < 2; together++) {
		struct world *world =
			new_world(new_policy(&(struct weir_policy_options){
					  .pattern = WEIR_PATTERN_QUEUE, .concurrency = 4, .together = together}),
				  200);
		most_in_flight = 0;
		world->process.key = slow_or_fast;
		world->answer = count_in_flight;
		ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
		ck_assert_uint_eq(most_in_flight, together ? 4 : 8);
		free_world(world);
	}
}

/* ---- an upstream that a job names in its fiber */

static const char *none_yet(void *arg, const void *job)
{
	(void)arg, (void)job;
	return NULL;
}

static unsigned calls;

static int call_two_in_turn(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	static const char *const keys[] = {"first", "second"};
	unsigned leg = world->attempts[id] - 1;
	quick_assert(leg < 3 && attempt->number == 1);
	if (leg > 0) {
		quick_assert(weir_attempt_may_call(attempt, keys[leg - 1]));
		calls++;
		if (weir_sleep(10 * WEIR_MSEC))
			return WEIR_ECANCELED;
		attempt->outcome = WEIR_OUTCOME_GOOD;
		weir_attempt_leave(attempt);
		quick_assert(!weir_attempt_may_call(attempt, keys[leg - 1]));
	}
	if (leg == 2)
		return 0;
	attempt->next = keys[leg];
	return WEIR_EAGAIN;
}

FIBER_TEST(process_sends_a_job_on_to_the_upstream_that_it_names_and_counts_one_attempt)
{
	struct world *world = new_world(
		new_policy(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 4}), 200);
	struct weir_policy_stats stats;
	calls = 0;
	world->process.key = none_yet;
	world->answer = call_two_in_turn;
	ck_assert_int_eq(run_world(world, NULL, WEIR_FOREVER), 0);
	weir_policy_stats(world->process.policy, &stats);
	ck_assert_uint_eq(calls, 400);
	ck_assert_uint_eq(stats.attempts, 200);
	free_world(world);
}

/* ---- sent back, given up */

static int come_back_in_a_minute(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)id;
	if (weir_now() - (weir_nsec)world->random >= 60 * WEIR_SEC)
		return 0;
	calls++;
	attempt->outcome = WEIR_OUTCOME_THROTTLED;
	attempt->hint.retry_after = 60 * WEIR_SEC;
	return WEIR_EIO;
}

FIBER_TEST(process_sends_back_jobs_whose_upstream_is_shut)
{
	const struct weir_policy_options opts = {
		.pattern = WEIR_PATTERN_QUEUE, .concurrency = 4, .gate_flags = WEIR_GATE_UNPACED, .seed = test_seed()};
	struct world *world = new_store(&opts, 200);
	weir_nsec began = weir_now();
	world->random = (uint64_t)began;
	world->answer = come_back_in_a_minute;
	calls = 0;
	run_store(world);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_ge(store.sent_back, 200); /* the first one after its call */
	ck_assert_int_le(weir_now() - began, 67 * WEIR_SEC);
	free_world(world);
}

static unsigned told;

static int fail_or_tell(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id;
	told += attempt->cut == WEIR_CUT_GIVEN_UP;
	quick_assert(attempt->cut || weir_attempt_may_call(attempt, ""));
	quick_assert(!attempt->cut || !weir_attempt_may_call(attempt, ""));
	return WEIR_EIO;
}

FIBER_TEST(process_gives_an_upstream_up_and_says_so_to_its_jobs)
{
	for (int tells = 0; tells < 2; tells++) {
		const struct weir_policy_options opts = {.pattern = WEIR_PATTERN_QUEUE,
							 .concurrency = 4,
							 .retry.attempts = 1000,
							 .give_up = 120 * WEIR_SEC,
							 .seed = test_seed()};
		struct world *world = new_store(&opts, 100);
		weir_nsec began = weir_now();
		told = 0;
		world->process.flags = tells ? WEIR_PROCESS_TELL : 0;
		world->answer = fail_or_tell;
		run_store(world);
		for (unsigned i = 0; i < 100; i++)
			quick_assert(store.cuts[i] == WEIR_CUT_GIVEN_UP &&
				     (world->results[i] == WEIR_EIO || (!tells && world->results[i] == WEIR_EOPEN)));
		ck_assert_uint_ge(told, tells ? 50 : 0); /* the others by a probe that failed */
		ck_assert_uint_le(told, tells ? 100 : 0);
		ck_assert_int_ge(weir_now() - began, 120 * WEIR_SEC);
		ck_assert_int_le(weir_now() - began, 200 * WEIR_SEC);
		free_world(world);
	}
}

/* ---- why a job was cut */

static int fail_after_a_second(struct world *world, unsigned id, struct weir_attempt *attempt)
{
	(void)world, (void)id, (void)attempt;
	return weir_sleep(WEIR_SEC) == WEIR_ECANCELED ? WEIR_ECANCELED : WEIR_EIO;
}

static void expect_cut(struct weir_policy_options opts, unsigned job, enum weir_cut cut)
{
	opts.pattern = WEIR_PATTERN_QUEUE;
	opts.concurrency = 1;
	opts.gate_flags = WEIR_GATE_NO_BREAKER;
	opts.retry.backoff = (struct weir_backoff){.base = WEIR_SEC, .cap = WEIR_SEC, .jitter = WEIR_JITTER_NONE};
	struct world *world = new_store(&opts, 4);
	world->answer = fail_after_a_second;
	run_store(world);
	ck_assert_msg(store.cuts[job] == cut, "%d, not %d", (int)store.cuts[job], (int)cut);
	free_world(world);
}

FIBER_TEST(process_says_which_limit_has_cut_a_job)
{
	expect_cut((struct weir_policy_options){.retry.attempts = 2}, 0, WEIR_CUT_ATTEMPTS);
	expect_cut((struct weir_policy_options){.retry = {.attempts = 9, .elapsed = 3 * WEIR_SEC}}, 0,
		   WEIR_CUT_ELAPSED);
	expect_cut((struct weir_policy_options){.retry.attempts = 9, .total_timeout = 4 * WEIR_SEC}, 0, WEIR_CUT_TOTAL);
	expect_cut((struct weir_policy_options){.retry.attempts = 1, .queue_timeout = 2 * WEIR_SEC}, 3, WEIR_CUT_QUEUE);
}
