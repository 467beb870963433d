/* SPDX-License-Identifier: MIT */
/* What ends a run of the engine before all is done: stops, dead letters at its beginning, sinks and sources that fail.
 */
#include "unit/engine_world.h"

#include <string.h>

FIBER_TEST(engine_stop_drains_what_is_in_the_steps)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 1000, .step = pass};
	ck_assert_int_eq(run_plan(&plan, 55 * WEIR_MSEC, &stats), 5);
	ck_assert_int_eq(stats.state, ENGINE_STOPPED);
	ck_assert_uint_eq(stats.succeeded, 60);
	ck_assert_uint_gt(stats.unfinished, 0);
	ck_assert_str_eq(stats.reason, "the test says so");
}

FIBER_TEST(engine_drain_has_an_end)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 15, .step = hang};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, WEIR_SEC, &stats), 5);
	ck_assert_int_eq(weir_now() - begun, WEIR_SEC + plan.settings.drain);
	ck_assert_uint_eq(stats.unfinished, 15);
}

FIBER_TEST(engine_stop_while_the_source_waits)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 1000, .source_pause = WEIR_SEC, .step = pass};
	ck_assert_int_eq(run_plan(&plan, 10 * WEIR_SEC + 500 * WEIR_MSEC, &stats), 5);
	ck_assert_uint_eq(stats.succeeded, 10);
	ck_assert_uint_eq(stats.unfinished, 0);
}

static enum step_verdict die(struct step_call *call, int number)
{
	(void)number;
	strcpy(call->why, "status: 401");
	return weir_sleep(WEIR_MSEC) ? STEP_CANCELED : STEP_DEAD;
}

FIBER_TEST(engine_stops_when_too_many_of_the_first_die)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.stop_dead = 0.5;
	world = (struct world){.items = 4000, .step = die};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 5);
	ck_assert_uint_ge(stats.dead, 100);
	ck_assert_uint_le(stats.dead, 100 + 10);
}

static enum step_verdict die_late(struct step_call *call, int number)
{
	return number <= 150 ? pass(call, number) : die(call, number);
}

FIBER_TEST(engine_does_not_stop_for_later_deaths)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.stop_dead = 0.5;
	world = (struct world){.items = 1000, .step = die_late};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 850);
}

static int busy_until_a_minute(const struct sink_item *items, size_t n)
{
	(void)items, (void)n;
	return weir_now() < 61 * WEIR_SEC ? WEIR_EBUSY : 0;
}

FIBER_TEST(engine_busy_sink_is_back_pressure)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 1000, .step = pass, .write = busy_until_a_minute};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 1000);
	ck_assert_int_eq(world.calls, 1000);
}

static int fail_third(const struct sink_item *items, size_t n)
{
	(void)items, (void)n;
	return world.writes == 2 ? WEIR_EIO : 0;
}

static int stuck(const struct sink_item *items, size_t n)
{
	(void)items, (void)n;
	return weir_sleep(365 * 86400 * WEIR_SEC);
}

FIBER_TEST(engine_stop_is_not_held_up_by_a_sink_that_is_stuck)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 1000, .step = pass, .write = stuck};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, WEIR_SEC, &stats), 5);
	ck_assert_int_eq(weir_now() - begun, WEIR_SEC + plan.settings.drain);
	ck_assert_uint_eq(stats.succeeded, 0);
	ck_assert_uint_gt(stats.unfinished, 0);
}

FIBER_TEST(engine_stop_ends_a_run_that_only_waits_for_its_sink)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 5, .step = pass, .write = stuck};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 10 * WEIR_SEC, &stats), 5);
	ck_assert_int_le(weir_now() - begun, 10 * WEIR_SEC + plan.settings.drain);
	ck_assert_uint_eq(stats.unfinished, 5);
}

FIBER_TEST(engine_failing_sink_ends_the_run_without_losing_count)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 1000, .step = pass, .write = fail_third};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EX_IOERR);
	ck_assert_int_eq(stats.state, ENGINE_FAILED);
	ck_assert_uint_ge(stats.succeeded, 2);
	ck_assert_uint_le(stats.succeeded, 16);
	ck_assert_str_eq(stats.reason, "the sink says no");
}

static int gone(const struct sink_item *items, size_t n)
{
	(void)items, (void)n;
	return WEIR_EPIPE;
}

FIBER_TEST(engine_ends_when_the_reader_of_its_output_goes)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 1000, .step = pass, .write = gone};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 5);
	ck_assert_uint_eq(stats.succeeded, 0);
	ck_assert_uint_lt(stats.read, 1000);
}

static int every_tenth(int number)
{
	return number % 10 == 0;
}

FIBER_TEST(engine_rows_that_the_sink_refuses_are_dead_letters)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 200, .step = pass, .refuse = every_tenth};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 20);
	ck_assert_uint_eq(stats.succeeded, 180);
	ck_assert_ptr_nonnull(strstr(world.last_letter, "sink: cannot be a row"));
}

FIBER_TEST(engine_source_that_breaks_ends_the_run)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 100, .source_fails_at = 50, .step = pass};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EX_IOERR);
	ck_assert_str_eq(stats.reason, "the disk is gone");
}

FIBER_TEST(engine_slow_sink_slows_the_source)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 4000, .step = pass, .write_time = 10 * WEIR_SEC};
	ck_assert_int_eq(run_plan(&plan, 35 * WEIR_SEC, &stats), 5);
	/* At most what the broker holds was read ahead of what was written. */
	ck_assert_uint_le(stats.unfinished, 10 * 4 + 8 * 4);
}
