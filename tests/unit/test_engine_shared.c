/* SPDX-License-Identifier: MIT */
/* Engines that share a broker which is slow and loses calls (shared_broker.h): nothing is lost, nothing comes twice. */
#include "unit/engine_world.h"
#include "unit/parties.h"
#include "unit/shared_broker.h"
#include "unit/traces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct plan shared_plan_of(struct plan_adapter *step)
{
	struct plan plan = plan_of(step);
	plan.broker = (struct plan_adapter){.adapter = &shared_broker_adapter};
	shared = (struct shared){.slow = 2 * WEIR_MSEC, .lost = 10};
	shared_init();
	return plan;
}

/* Each item is in one place, and the server has counted it there. */
static void check_all(uint64_t succeeded, uint64_t dead)
{
	uint64_t rows = 0, letters = 0;
	for (int i = 1; i <= world.items; i++) {
		ck_assert_msg(world.seen[i] + world.letters[i] == 1, "item %d: %d rows, %d letters", i, world.seen[i],
			      world.letters[i]);
		rows += (uint64_t)world.seen[i];
		letters += (uint64_t)world.letters[i];
	}
	ck_assert_uint_eq(rows, succeeded);
	ck_assert_uint_eq(letters, dead);
	ck_assert_uint_eq(shared.accounts.read, (uint64_t)world.items);
	ck_assert_uint_eq(shared.accounts.succeeded, succeeded);
	ck_assert_uint_eq(shared.accounts.dead, dead);
	ck_assert_uint_eq(shared.n, 0);
	shared_fini();
}

FIBER_TEST(two_engines_share_the_items_of_one_source)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan}};
	world = (struct world){.items = 2000, .step = pass};
	run_parties(parties, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(parties[i].exit_code, EXIT_DONE);
		ck_assert_uint_eq(parties[i].stats.succeeded, 2000);
		ck_assert_uint_eq(parties[i].stats.unfinished, 0);
		ck_assert_uint_gt(parties[i].stats.attempts, 50);
	}
	check_all(2000, 0);
}

static enum step_verdict fail_first_of_most(struct step_call *call, int number)
{
	return call->attempt == 1 && number <= 40 ? fail_always(call, number) : pass(call, number);
}

/* Both make a name for the run, and one of them holds.  One that fails once the run is there leaves it to the others.
 */
FIBER_TEST(engines_that_begin_together_start_a_claiming_sink_under_one_run)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan}};
	plan.sink.adapter = &fake_claiming_sink;
	for (int fails = 0; fails < 2; fails++) {
		if (fails)
			shared_init();
		world = (struct world){.items = 50, .step = pass, .sink_start = fails ? WEIR_EIO : 0};
		if (fails)
			ck_assert_int_eq(refuse_plan(&plan), EX_IOERR);
		ck_assert_int_eq(!shared.run[0], !fails);
		world.sink_start = 0;
		run_parties(parties, 2);
		for (size_t i = 0; i < 2; i++)
			ck_assert_int_eq(parties[i].exit_code, EXIT_DONE);
		check_all(50, 0);
	}
}

/* They share no memory but the broker's. */
FIBER_TEST(two_engines_make_one_tree_of_an_item)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party parties[] = {{.plan = &plan, .tracer = new_tracer(0.5, 1)},
				  {.plan = &plan, .tracer = new_tracer(0.5, 1000000)}};
	world = (struct world){.items = 60, .bad_every = 20, .step = fail_first_of_most};
	run_parties(parties, 2);
	size_t traces = check_trees();
	ck_assert_uint_ge(traces, 41); /* those that failed first, and bad lines */
	ck_assert_uint_lt(traces, 60);
	ck_assert_uint_eq(spans_of(TRACE_STEP), spans_of(TRACE_ATTEMPT));
	ck_assert_uint_eq(spans_of(TRACE_WRITE), traces);
	for (size_t i = 0; i < 2; i++)
		tracer_free(parties[i].tracer);
	forget_taken();
	check_all(57, 3);
}

FIBER_TEST(two_engines_attempt_an_item_as_often_as_one)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan}};
	world = (struct world){.items = 60, .bad_every = 20, .step = fail_always};
	plan.settings.concurrency = 0; /* each has its own: from the first moment both work */
	run_parties(parties, 2);
	ck_assert_int_eq(parties[0].exit_code, EXIT_DEAD_LETTERS);
	ck_assert_int_eq(parties[1].exit_code, EXIT_DEAD_LETTERS);
	ck_assert_int_eq(world.calls, 57 * 3);
	ck_assert_uint_gt(shared.hops, 0);
	check_all(0, 60);
}

FIBER_TEST(engines_may_only_read_or_only_work)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party parties[] = {{.plan = &plan, .roles = ENGINE_WORK},
				  {.plan = &plan, .roles = ENGINE_SUBMIT, .begins = WEIR_SEC},
				  {.plan = &plan, .roles = ENGINE_WORK, .begins = 2 * WEIR_SEC}};
	world = (struct world){.items = 500, .source_pause = 10 * WEIR_MSEC, .step = fail_first_then_pass};
	run_parties(parties, 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(parties[i].exit_code, EXIT_DONE);
		ck_assert_uint_eq(parties[i].stats.read, 500);
	}
	ck_assert_uint_eq(parties[1].stats.attempts, 0);
	check_all(500, 0);
}

FIBER_TEST(engine_that_stops_leaves_its_items_to_the_other)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party parties[] = {{.plan = &plan, .stops = 300 * WEIR_MSEC}, {.plan = &plan}};
	world = (struct world){.items = 500, .step = pass};
	run_parties(parties, 2);
	ck_assert_int_eq(parties[0].exit_code, EXIT_STOPPED);
	ck_assert_uint_gt(parties[0].stats.unfinished, 0);
	ck_assert_int_eq(parties[1].exit_code, EXIT_DONE);
	check_all(500, 0);
}

FIBER_TEST(time_for_all_attempts_goes_on_at_another_engine)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan}};
	world = (struct world){.items = 20, .step = fail_always};
	plan.settings.retry_attempts = 1000;
	plan.settings.timeout_total = 10 * WEIR_SEC;
	weir_nsec begun = weir_now();
	run_parties(parties, 2);
	ck_assert_int_ge(weir_now() - begun, 5 * WEIR_SEC);
	ck_assert_int_le(weir_now() - begun, 12 * WEIR_SEC);
	ck_assert_uint_gt(shared.hops, 20);
	check_all(0, 20);
}

static int be_away(void *arg)
{
	(void)arg;
	weir_sleep(WEIR_SEC);
	shared.lost = 100;
	weir_sleep(WEIR_SEC);
	ck_assert_str_eq(world.last_note, "broker: the server is away; trying again until it works");
	shared.lost = 0;
	return 0;
}

FIBER_TEST(engine_says_that_it_waits_for_the_broker_and_when_it_works_again)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party party = {.plan = &plan};
	struct weir_group *group = new_group();
	shared.lost = 0;
	world = (struct world){.items = 300, .source_pause = 10 * WEIR_MSEC, .step = pass};
	spawn(group, be_away, NULL);
	run_parties(&party, 1);
	finish(group);
	ck_assert_str_eq(world.last_note, "broker: works again");
	check_all(300, 0);
}

static int take_away(void *arg)
{
	while (!*(bool *)arg) {
		weir_sleep(50 * WEIR_MSEC);
		shared_take_away(5);
	}
	return 0;
}

FIBER_TEST(engine_taken_for_dead_spoils_no_account)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan}};
	struct weir_group *group = new_group();
	bool over = false;
	world = (struct world){.items = 300, .step = pass};
	spawn(group, take_away, &over);
	run_parties(parties, 2);
	over = true;
	finish(group);
	for (int i = 1; i <= world.items; i++)
		ck_assert_int_ge(world.seen[i], 1);
	ck_assert_uint_eq(shared.accounts.read, 300);
	ck_assert_uint_eq(shared.accounts.succeeded, 300);
	ck_assert_uint_gt(shared.hops, 0);
	shared_fini();
}

static int lose_all(void *arg)
{
	(void)arg;
	weir_sleep(WEIR_SEC);
	ck_assert_uint_gt(shared.n, 0);
	shared_forget_items();
	return 0;
}

FIBER_TEST(engine_reads_again_what_the_broker_has_lost)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party parties[] = {{.plan = &plan, .roles = ENGINE_SUBMIT},
				  {.plan = &plan, .roles = ENGINE_WORK, .begins = 2 * WEIR_SEC}};
	struct weir_group *group = new_group();
	world = (struct world){.items = 200, .source_pause = 10 * WEIR_MSEC, .step = pass};
	spawn(group, lose_all, NULL);
	run_parties(parties, 2);
	finish(group);
	check_all(200, 0);
}

static int lose_all_at_the_end(void *arg)
{
	weir_sleep(WEIR_SEC / 2);
	ck_assert(shared.sealed);
	return lose_all(arg);
}

/* Nobody puts any more then, so nobody is told. */
FIBER_TEST(engine_reads_again_what_the_broker_has_lost_after_the_end)
{
	struct plan_adapter step;
	struct plan plan = shared_plan_of(&step);
	struct party parties[] = {{.plan = &plan, .roles = ENGINE_SUBMIT},
				  {.plan = &plan, .roles = ENGINE_WORK, .begins = 2 * WEIR_SEC}};
	struct weir_group *group = new_group();
	world = (struct world){.items = 20, .step = pass};
	spawn(group, lose_all_at_the_end, NULL);
	run_parties(parties, 2);
	finish(group);
	check_all(20, 0);
}
