/* SPDX-License-Identifier: MIT */
/* Engines that share a queue on a real redis-server: what test_engine_shared.c has of a server that is played. */
#include "unit/parties.h"
#include "unit/redis_brokers.h"

static struct plan redis_plan_of(struct plan_adapter *step)
{
	struct plan plan = plan_of(step);
	plan.settings.name = (char *)(uintptr_t) "a {b}";
	plan.broker = (struct plan_adapter){.adapter = &broker_redis_adapter, .config = &config};
	return plan;
}

/* Each item is in one place, and the server has counted it there. */
static void check_all(uint64_t succeeded, uint64_t dead)
{
	struct broker *look = open_only();
	struct broker_past past;
	ck_zero(ops->journal.recall(look, &past, &err, WEIR_FOREVER));
	uint64_t rows = 0;
	for (int i = 1; i <= world.items; i++) {
		ck_assert_msg(world.seen[i] <= 1, "item %d: %d rows", i, world.seen[i]);
		rows += (uint64_t)world.seen[i];
	}
	ck_assert_uint_eq(rows, succeeded);
	ck_assert(past.done && !past.unfinished && past.letters == dead);
	ck_assert_uint_eq(past.accounts.read, (uint64_t)world.items);
	ck_assert_uint_eq(past.accounts.succeeded, succeeded);
	ck_assert_uint_eq(past.accounts.dead, dead);
	broker_past_fini(&past);
	close_worker(look);
}

LOOP_TEST(redis_engines_may_only_read_or_only_work)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct plan_adapter step;
	struct plan plan = redis_plan_of(&step);
	struct party parties[] = {{.plan = &plan, .roles = ENGINE_WORK},
				  {.plan = &plan, .roles = ENGINE_SUBMIT, .begins = 50 * WEIR_MSEC},
				  {.plan = &plan, .roles = ENGINE_WORK, .begins = 100 * WEIR_MSEC}};
	world = (struct world){.items = 500, .step = fail_first_then_pass};
	run_parties(parties, 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(parties[i].exit_code, EXIT_DONE);
		ck_assert_uint_eq(parties[i].stats.read, 500);
		ck_assert_uint_eq(parties[i].stats.unfinished, 0);
	}
	check_all(500, 0);
	stop_server(&server, redis);
}

LOOP_TEST(redis_engines_attempt_an_item_as_often_as_one)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct plan_adapter step;
	struct plan plan = redis_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan, .roles = ENGINE_WORK, .begins = 20 * WEIR_MSEC}};
	world = (struct world){.items = 60, .bad_every = 20, .step = fail_always};
	run_parties(parties, 2);
	ck_assert_int_eq(parties[0].exit_code, EXIT_DEAD_LETTERS);
	ck_assert_int_eq(parties[1].exit_code, EXIT_DEAD_LETTERS);
	ck_assert_int_eq(world.calls, 57 * 3);
	check_all(0, 60);
	stop_server(&server, redis);
}

LOOP_TEST(redis_engine_that_stops_leaves_its_items_to_the_other)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct plan_adapter step;
	struct plan plan = redis_plan_of(&step);
	struct party parties[] = {
		{.plan = &plan, .roles = ENGINE_SUBMIT},
		{.plan = &plan, .roles = ENGINE_WORK, .begins = 50 * WEIR_MSEC, .stops = 100 * WEIR_MSEC},
		{.plan = &plan, .roles = ENGINE_WORK, .begins = 100 * WEIR_MSEC}};
	world = (struct world){.items = 500, .source_pause = WEIR_MSEC, .step = pass};
	run_parties(parties, 3);
	ck_assert_int_eq(parties[0].exit_code, EXIT_DONE);
	ck_assert_int_eq(parties[2].exit_code, EXIT_DONE);
	check_all(500, 0);
	stop_server(&server, redis);
}
