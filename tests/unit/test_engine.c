/* SPDX-License-Identifier: MIT */
/* The engine takes every item to its end once: retries, refusals, dead letters, runs that go on, and the accounts after
 * each. */
#include "port/adapters.h"
#include "unit/engine_world.h"

#include <stdio.h>
#include <string.h>

FIBER_TEST(engine_takes_every_item_to_the_sink_once)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 300, .step = pass};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 300);
	ck_assert_int_eq(stats.state, ENGINE_DONE);
	ck_assert_int_eq(world.most_in_flight, 10);
	/* 30 rounds of 10 ms, and a last batch that waits for its period at most. */
	ck_assert_int_le(weir_now() - begun, 30 * 10 * WEIR_MSEC + plan.settings.batch_period);
}

FIBER_TEST(engine_holds_no_batch_back_when_nothing_can_join_it)
{
	struct plan_adapter step;
	struct plan plan = memory_plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 13, .step = pass};
	plan.settings.batch_period = 3600 * WEIR_SEC;
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_int_eq(weir_now() - begun, 20 * WEIR_MSEC);
}

/* When steps began: how long after their items had come at most, and at how many times. */
static struct starts {
	weir_nsec begun, last, most_late;
	int times;
} starts;

static enum step_verdict note_start(struct step_call *call, int number)
{
	weir_nsec now = weir_now(), late = now - starts.begun - number * world.source_pause;
	starts.most_late = late > starts.most_late ? late : starts.most_late;
	starts.times += now != starts.last;
	starts.last = now;
	put_out(call, call->input->data);
	return STEP_OK;
}

FIBER_TEST(engine_begins_immediately_with_what_comes_after_a_pause)
{
	struct plan_adapter step;
	struct plan plan = memory_plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 20, .source_pause = 50 * WEIR_MSEC, .step = note_start};
	starts = (struct starts){.begun = weir_now()};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_int_eq(starts.most_late, 0);
}

FIBER_TEST(engine_puts_what_trickles_in_a_few_at_a_time)
{
	struct plan_adapter step;
	struct plan plan = memory_plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 300, .source_pause = WEIR_MSEC, .step = note_start};
	starts = (struct starts){.begun = weir_now()};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_int_ge(starts.times, 50);
	ck_assert_int_le(starts.times, 75);
	ck_assert_int_le(starts.most_late, 6 * WEIR_MSEC);
}

FIBER_TEST(engine_of_an_empty_source_is_done)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 0, .step = pass};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.read, 0);
}

FIBER_TEST(engine_buries_after_the_last_attempt_with_the_reason)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 20, .step = fail_always};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 20);
	ck_assert_uint_eq(stats.attempts, 60);
	ck_assert_uint_eq(stats.retries, 40);
	ck_assert_ptr_nonnull(strstr(world.last_letter, "\"reason\":\"status: 500 for"));
	ck_assert_ptr_nonnull(strstr(world.last_letter, "\"attempts\":3"));
}

FIBER_TEST(engine_retry_holds_no_slot)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.retry_backoff[0] = plan.settings.retry_backoff[1] = 3600 * WEIR_SEC;
	plan.settings.retry_jitter = WEIR_JITTER_NONE;
	world = (struct world){.items = 60, .step = fail_first_then_pass};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	/* While ten items wait for an hour the ten workers do the other fifty. */
	ck_assert_int_eq(world.most_in_flight, 10);
	ck_assert_uint_eq(stats.retries, 10);
}

static enum step_verdict refuse_until_a_minute(struct step_call *call, int number)
{
	weir_nsec opens = 61 * WEIR_SEC;
	if (weir_now() >= opens)
		return pass(call, number);
	strcpy(call->why, "status: 429");
	call->permit->not_before = opens;
	return STEP_REFUSED;
}

FIBER_TEST(engine_refusals_use_up_no_attempt)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.retry_attempts = 1;
	world = (struct world){.items = 30, .step = refuse_until_a_minute};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 30);
	ck_assert_uint_eq(stats.attempts, 30);
	ck_assert_uint_ge(stats.refused, 10);
}

static enum step_verdict ask_for_a_minute_then_for_a_day(struct step_call *call, int number)
{
	static const weir_nsec due[] = {0, 0, 60 * WEIR_SEC, 360 * WEIR_SEC}; /* a day is cut to max_retry_after */
	ck_assert_int_ge(weir_now() - call->item->born, due[call->attempt]);
	ck_assert_int_lt(weir_now() - call->item->born, due[call->attempt] + 40 * WEIR_SEC);
	if (call->attempt == 3)
		return pass(call, number);
	strcpy(call->why, "jq: not ready");
	call->after = call->attempt == 1 ? 60 * WEIR_SEC : 24 * 3600 * WEIR_SEC;
	return STEP_RETRY;
}

FIBER_TEST(engine_retry_is_not_before_the_time_that_the_step_says)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 10, .step = ask_for_a_minute_then_for_a_day};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 10);
	ck_assert_uint_eq(stats.attempts, 30);
	ck_assert_uint_eq(stats.retries, 20);
}

static enum step_verdict drop_odd_double_even(struct step_call *call, int number)
{
	if (number % 2 == 0) {
		put_out(call, call->input->data);
		put_out(call, call->input->data);
	}
	return STEP_OK;
}

FIBER_TEST(engine_counts_items_not_rows)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 100, .step = drop_odd_double_even};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 50);
	ck_assert_uint_eq(stats.dropped, 50);
	ck_assert_int_eq(world.seen[2], 2);
	ck_assert_int_eq(world.seen[1], 0);
}

FIBER_TEST(engine_bad_lines_are_dead_letters)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 100, .bad_every = 7, .step = pass};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 14);
	ck_assert_uint_eq(stats.succeeded, 86);
	ck_assert_int_eq(world.letters[98], 1);
	ck_assert_ptr_nonnull(strstr(world.last_letter, "\"position\":98"));
}

/* --- with a broker that remembers --- */

FIBER_TEST(engine_goes_on_where_a_stopped_run_was)
{
	struct plan_adapter step;
	struct engine_stats stats;
	world = (struct world){.items = 300, .step = fail_first_then_pass};
	struct plan plan = durable_plan_of(&step);
	ck_assert_int_eq(run_plan(&plan, 55 * WEIR_MSEC, &stats), 5);
	ck_assert(!stats.resumed && stats.durable);
	ck_assert_uint_ge(stats.succeeded, 20);
	ck_assert_uint_gt(stats.unfinished, 0);
	ck_assert_int_eq(run_plan(&plan, 55 * WEIR_MSEC, &stats), 5);
	ck_assert(stats.resumed);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 300);
	for (int i = 1; i <= 300; i++)
		ck_assert_int_eq(world.seen[i], 1);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert(stats.was_done);
	ck_assert_uint_eq(stats.succeeded, 300);
}

FIBER_TEST(engine_reads_what_the_source_of_a_run_that_is_done_has_got_since)
{
	struct plan_adapter step;
	struct engine_stats stats;
	world = (struct world){.items = 100, .bad_every = 10, .step = pass};
	struct plan plan = durable_plan_of(&step);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	world.items = 150;
	ck_assert_int_eq(run_plan(&plan, 15 * WEIR_MSEC, &stats), 5);
	ck_assert(stats.past_done && !stats.was_done);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert(!stats.past_done && !stats.was_done);
	ck_assert_uint_eq(stats.read, 150);
	for (int i = 1; i <= 150; i++)
		ck_assert_int_eq(world.seen[i], i % 10 != 0);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert(stats.was_done);
}

static int write_fails(const struct sink_item *items, size_t n)
{
	(void)items, (void)n;
	return world.writes < 2 ? 0 : WEIR_EIO;
}

FIBER_TEST(engine_ends_in_order_only_if_its_sinks_hold_what_was_acked)
{
	struct plan_adapter step;
	struct engine_stats stats;
	world = (struct world){.items = 300, .step = pass};
	struct plan plan = durable_plan_of(&step);
	ck_assert_int_eq(run_plan(&plan, 55 * WEIR_MSEC, &stats), 5);
	ck_assert(!world.clean); /* nothing was before */
	world.writes = 0;
	world.write = write_fails;
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EX_IOERR);
	ck_assert(world.clean);
	world.write = NULL;
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert(!world.clean);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert(world.clean);
}

static int busy_each_fifth(const struct sink_item *items, size_t n)
{
	(void)items;
	(void)n;
	return world.writes % 5 == 4 ? WEIR_EBUSY : 0;
}

FIBER_TEST(engine_writes_two_batches_at_a_time_to_a_sink_that_overlaps_unless_order_counts)
{
	struct plan_adapter step;
	for (int i = 0; i < 3; i++) {
		struct engine_stats stats;
		struct plan plan = i < 2 ? plan_of(&step) : memory_plan_of(&step);
		world = (struct world){
			.items = 500, .step = pass, .write_time = 10 * WEIR_MSEC, .write = busy_each_fifth};
		if (i > 0)
			plan.sink.adapter = &fake_overlapping_sink;
		if (i == 2)
			plan.settings.order = ORDER_SOURCE;
		ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
		ck_assert_int_eq(world.most_writing, i == 1 ? 2 : 1);
		ck_assert_int_eq(stats.succeeded, 500);
		for (int number = 1; number <= 500; number++)
			ck_assert_int_eq(world.seen[number], 1);
	}
}

/* A broker in memory whose acks take a while, and of which one fails. */
static struct acks {
	int n, fails_at;
	bool under_way;
	char positions[400];
} acks;

static int slow_ack(struct broker *broker, struct item *const *items, size_t n, enum broker_outlet outlet,
		    const struct value *position, struct weir_error *err, weir_nsec deadline)
{
	ck_assert(!acks.under_way);
	acks.under_way = true;
	weir_sleep(10 * WEIR_MSEC);
	acks.under_way = false;
	if (++acks.n == acks.fails_at)
		return weir_error_set(err, WEIR_EIO, "the ack fails");
	size_t len = strlen(acks.positions);
	snprintf(acks.positions + len, sizeof acks.positions - len, "%s ", position ? position->data : "-");
	return broker_memory_adapter.broker->queue.ack(broker, items, n, outlet, position, err, deadline);
}

static int run_with_slow_acks(const struct adapter *sink, int fails_at)
{
	struct broker_ops ops = *broker_memory_adapter.broker;
	struct adapter adapter = broker_memory_adapter;
	struct plan_adapter step;
	struct plan plan = memory_plan_of(&step);
	ops.queue.ack = slow_ack;
	adapter.broker = &ops;
	plan.broker.adapter = &adapter;
	plan.sink.adapter = sink;
	world = (struct world){.items = 80, .step = pass, .write_time = 10 * WEIR_MSEC};
	acks = (struct acks){.fails_at = fails_at};
	const struct engine_options opts = options_of_world();
	struct weir_error err = {0};
	struct engine *engine;
	int exit_code;
	ck_assert_int_eq(engine_open(&plan, &opts, &engine, &exit_code, &err), 0);
	exit_code = engine_run(engine, &err);
	engine_free(engine);
	return exit_code;
}

FIBER_TEST(engine_writes_the_next_batch_while_one_is_acked)
{
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_with_slow_acks(&fake_growing_sink, 0), 0);
	ck_assert_int_eq(world.most_writing, 1);
	ck_assert_int_eq(acks.n, world.writes);
	ck_assert_int_lt(weir_now() - begun, (world.writes + 3) * 10 * WEIR_MSEC);
	for (int i = 1, at = 0, n, number; i <= acks.n; i++, at += n)
		ck_assert(sscanf(acks.positions + at, "%d %n", &number, &n) == 1 && number == i);
	for (int number = 1; number <= 80; number++)
		ck_assert_int_eq(world.seen[number], 1);
}

FIBER_TEST(engine_acks_nothing_that_was_written_behind_what_was_not)
{
	ck_assert_int_eq(run_with_slow_acks(&fake_growing_sink, 3), EX_IOERR);
	ck_assert_str_eq(acks.positions, "1 2 ");
	ck_assert_int_eq(acks.n, 3);
	ck_assert_int_le(world.writes, 4);
}

FIBER_TEST(engine_refuses_files_with_78_and_disks_that_fail_with_74)
{
	static const struct {
		int code, exit;
	} answers[] = {{WEIR_EINVAL, EX_CONFIG}, {WEIR_ENOENT, EX_CONFIG}, {-EACCES, EX_CONFIG},
		       {WEIR_EIO, EX_IOERR},     {WEIR_ENOSPC, EX_IOERR},  {WEIR_EBUSY, EX_UNAVAILABLE}};
	struct plan_adapter step;
	struct engine_stats stats;
	world = (struct world){.items = 10, .step = pass};
	struct plan plan = durable_plan_of(&step);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	int *const calls[] = {&world.source_open, &world.source_resume, &world.sink_open, &world.sink_start};
	for (size_t call = 0; call < sizeof calls / sizeof *calls; call++)
		for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
			*calls[call] = answers[i].code;
			ck_assert_int_eq(refuse_plan(&plan), answers[i].exit);
			*calls[call] = 0;
		}
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert(stats.was_done);
}

FIBER_TEST(engine_leaves_dead_letters_with_a_durable_broker)
{
	struct plan_adapter step;
	struct engine_stats stats;
	world = (struct world){.items = 100, .bad_every = 7, .step = fail_always};
	struct plan plan = durable_plan_of(&step);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 100);
	ck_assert_uint_eq(stats.letters, 100);
	ck_assert_uint_eq(stats.attempts, 3 * (100 - 100 / 7));
}
