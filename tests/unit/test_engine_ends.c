/* SPDX-License-Identifier: MIT */
/* What ends a run of the engine before all is done: stops, dead letters at its beginning, sinks and sources that fail.
 */
#include "unit/engine_world.h"

#include <stdio.h>
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

/* As a step does whose config is wrong. */
static enum step_verdict stop(struct step_call *call, int number)
{
	if (weir_sleep(WEIR_MSEC))
		return STEP_CANCELED;
	call->stop = number >= 20;
	snprintf(call->why, sizeof call->why, "auth: refused");
	return call->stop ? STEP_REFUSED : pass(call, number);
}

FIBER_TEST(engine_ends_with_the_reason_of_a_step_that_can_process_nothing)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 1000, .step = stop};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_GAVE_UP);
	ck_assert_str_eq(stats.reason, "auth: refused");
	ck_assert_uint_eq(stats.dead, 0);
	ck_assert_uint_le(stats.succeeded, 19);
	ck_assert_uint_ge(stats.unfinished, 10);
}

FIBER_TEST(engine_stops_when_too_many_of_the_first_die)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.stop_dead = 0.5;
	world = (struct world){.items = 4000, .step = die};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_GAVE_UP);
	ck_assert_uint_ge(stats.dead, 100);
	ck_assert_uint_le(stats.dead, 100 + 10);
	ck_assert_ptr_nonnull(strstr(stats.reason, "100 of the first 100 items are dead letters (stop_when: dead"));
}

static enum step_verdict die_late(struct step_call *call, int number)
{
	return number <= 150 ? pass(call, number) : die(call, number);
}

FIBER_TEST(engine_stops_when_too_many_of_the_last_die)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.stop_dead = 0.5;
	plan.settings.stop_of_last = 130; /* not a multiple of a word's bits */
	world = (struct world){.items = 4000, .step = die_late};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_GAVE_UP);
	ck_assert_uint_ge(stats.dead, 65);
	ck_assert_uint_le(stats.dead, 65 + 10);
	ck_assert_ptr_nonnull(
		strstr(stats.reason, "65 of the last 130 items are dead letters (stop_when: dead, of_last)"));
}

FIBER_TEST(engine_looks_at_the_first_items_alone_when_told_to)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.stop_dead = 0.5;
	plan.settings.stop_of_last = 0;
	world = (struct world){.items = 3000, .step = die_late};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 2850);
}

/* All take as long, so that they leave in their order. */
static enum step_verdict die_in_part(struct step_call *call, int number)
{
	enum step_verdict verdict = pass(call, number);
	strcpy(call->why, "status: 404");
	return verdict == STEP_OK && number % 10 ? STEP_DEAD : verdict;
}

FIBER_TEST(engine_counts_the_last_items_right_however_long_it_runs)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.stop_dead = 0.97;
	plan.settings.stop_of_last = 70;
	world = (struct world){.items = 4000, .step = die_in_part};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 3600);
}

FIBER_TEST(engine_stops_when_so_many_in_a_row_die)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.stop_in_a_row = 25;
	world = (struct world){.items = 1000, .step = die_in_part};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	world = (struct world){.items = 1000, .step = die_late};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_GAVE_UP);
	ck_assert_uint_ge(stats.dead, 25);
	ck_assert_uint_le(stats.dead, 35);
	ck_assert_ptr_nonnull(strstr(stats.reason, "25 items in a row are dead letters"));
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

static int full_until_a_minute(const struct sink_item *items, size_t n)
{
	(void)items, (void)n;
	return weir_now() < 61 * WEIR_SEC ? WEIR_ENOSPC : 0;
}

static int always_full(const struct sink_item *items, size_t n)
{
	(void)items, (void)n;
	return WEIR_ENOSPC;
}

static void look_at_full_disk(struct engine *engine)
{
	struct engine_flow flow;
	engine_flow(engine, &flow);
	ck_assert_int_eq(flow.why, WHY_DISK);
	ck_assert_str_eq(flow.disk, "the standard output"); /* this sink has no path */
	ck_assert_int_eq(world.notes, 1);
	ck_assert_str_eq(world.last_note,
			 "disk full: cannot write to the standard output; the run waits until there is room");
}

FIBER_TEST(engine_says_once_that_a_disk_is_full_and_once_that_there_is_room)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){
		.items = 1000, .step = pass, .write = full_until_a_minute, .meanwhile = look_at_full_disk};
	ck_assert_int_eq(run_plan(&plan, 30 * WEIR_SEC, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 1000);
	ck_assert_int_eq(world.notes, 2);
	ck_assert_str_eq(world.last_note, "the standard output can be written again; the run continues");
}

FIBER_TEST(engine_stop_does_not_wait_for_room_on_a_disk)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.drain = 30 * WEIR_SEC;
	world = (struct world){.items = 1000, .step = pass, .write = always_full};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 20 * WEIR_SEC, &stats), EX_IOERR);
	ck_assert_int_le(weir_now() - begun, 22 * WEIR_SEC);
	ck_assert_uint_eq(stats.succeeded, 0);
	ck_assert_int_eq(world.notes, 1);
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
	struct engine_stats stats;
	for (int at = 1; at <= 100; at += 33) {
		world = (struct world){.items = 100, .source_fails_at = at, .step = pass};
		struct plan plan = at % 2 ? durable_plan_of(&step) : plan_of(&step);
		ck_assert_int_eq(run_plan(&plan, 0, &stats), EX_IOERR);
		ck_assert_str_eq(stats.reason, "the disk is gone");
	}
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
