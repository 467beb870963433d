/* SPDX-License-Identifier: MIT */
/* How fast the engine goes, in what order, and how long it tries. */
#include "unit/engine_world.h"

#include <string.h>

/* ---- how fast */

static void raise_concurrency(struct engine *engine)
{
	struct weir_error err = {0};
	const struct engine_changes too_many = {
		.has_concurrency = true, .concurrency = 41, .has_pause = true, .paused = true};
	const struct engine_changes changes = {.has_concurrency = true, .concurrency = 30};
	ck_assert_int_eq(engine_change(engine, &too_many, &err), WEIR_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "at most 40"));
	ck_assert_int_eq(engine_change(engine, &changes, &err), 0);
}

FIBER_TEST(engine_takes_more_concurrently_when_it_is_set)
{
	struct plan_adapter step;
	struct plan plan = memory_plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 300, .step = pass, .meanwhile = raise_concurrency};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 55 * WEIR_MSEC, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 300);
	ck_assert_int_eq(world.most_in_flight, 30);
	ck_assert_int_le(weir_now() - begun, 150 * WEIR_MSEC);
}

static weir_nsec paused_at;

static void pause_a_second(struct engine *engine)
{
	struct engine_flow flow;
	struct engine_changes changes = {.has_pause = true, .paused = true};
	engine_change(engine, &changes, NULL);
	paused_at = weir_now();
	weir_sleep(20 * WEIR_MSEC);
	int calls = world.calls;
	weir_sleep(WEIR_SEC);
	ck_assert_int_eq(world.calls, calls);
	engine_flow(engine, &flow);
	ck_assert_int_eq(flow.why, WHY_PAUSED);
	ck_assert(flow.paused);
	changes.paused = false;
	engine_change(engine, &changes, NULL);
}

FIBER_TEST(engine_that_is_paused_begins_nothing)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 100, .step = pass, .meanwhile = pause_a_second};
	ck_assert_int_eq(run_plan(&plan, 25 * WEIR_MSEC, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 100);
	ck_assert_int_ge(weir_now() - paused_at, WEIR_SEC);
}

static void pause_and_stop(struct engine *engine)
{
	const struct engine_changes changes = {.has_pause = true, .paused = true};
	engine_change(engine, &changes, NULL);
	weir_sleep(100 * WEIR_MSEC);
	paused_at = weir_now();
	engine_stop(engine, "the test says so");
}

FIBER_TEST(engine_that_is_paused_stops_immediately)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.drain = 60 * WEIR_SEC;
	world = (struct world){.items = 100, .step = pass, .meanwhile = pause_and_stop};
	ck_assert_int_eq(run_plan(&plan, 25 * WEIR_MSEC, &stats), 5);
	ck_assert_uint_ge(stats.succeeded, 20);
	ck_assert_uint_gt(stats.unfinished, 0);
	ck_assert_int_lt(weir_now() - paused_at, WEIR_SEC / 10);
}

static bool is_paid;

static enum step_verdict pass_when_paid(struct step_call *call, int number)
{
	if (is_paid || number % 10)
		return pass(call, number);
	strcpy(call->why, "status: 429 (rule 1 of when): the quota is used up");
	call->pause = true;
	return STEP_REFUSED;
}

static void pay_and_resume(struct engine *engine)
{
	struct engine_flow flow;
	const struct engine_changes resumed = {.has_pause = true};
	int calls = world.calls;
	weir_sleep(3600 * WEIR_SEC);
	ck_assert_int_eq(world.calls, calls);
	engine_flow(engine, &flow);
	ck_assert(flow.paused && flow.why == WHY_PAUSED);
	ck_assert_str_eq(flow.pause, "status: 429 (rule 1 of when): the quota is used up");
	is_paid = true;
	engine_change(engine, &resumed, NULL);
	engine_flow(engine, &flow);
	ck_assert(!flow.paused && !flow.pause[0]);
}

FIBER_TEST(engine_is_paused_by_a_step_and_loses_no_attempt_by_it)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	is_paid = false;
	plan.settings.retry_attempts = 1;
	world = (struct world){.items = 100, .step = pass_when_paid, .meanwhile = pay_and_resume};
	ck_assert_int_eq(run_plan(&plan, 5 * WEIR_SEC, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 100);
	ck_assert_uint_eq(stats.attempts, 100);
	ck_assert_int_eq(world.notes, 1);
	ck_assert_str_eq(world.last_note, "paused: status: 429 (rule 1 of when): the quota is used up");
}

FIBER_TEST(engine_holds_a_rate)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.rate = (struct key_rate){.count = 50, .period = WEIR_SEC};
	world = (struct world){.items = 101, .step = pass};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 101);
	ck_assert_int_ge(weir_now() - begun, 2 * WEIR_SEC);
	ck_assert_int_le(weir_now() - begun, 2 * WEIR_SEC + 50 * WEIR_MSEC);
}

FIBER_TEST(engine_limits_a_step_by_itself)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	step.concurrency = 3;
	world = (struct world){.items = 60, .step = pass};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 60);
	ck_assert_int_eq(world.most_in_flight, 3);
}

static int last_of_ordering[3];

/* Each item fails twice. */
static enum step_verdict in_order(struct step_call *call, int number)
{
	ck_assert_int_lt(last_of_ordering[number % 3], number);
	if (weir_sleep(WEIR_MSEC * (1 + number % 5)))
		return STEP_CANCELED;
	strcpy(call->why, "not yet");
	if (call->attempt < 3)
		return STEP_RETRY;
	last_of_ordering[number % 3] = number;
	put_out(call, call->input->data);
	return STEP_OK;
}

static int fake_ordering_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	(void)err, (void)deadline;
	if (source->at == world.items)
		return SOURCE_END;
	item->position = (uint64_t)++source->at;
	const char *text = test_format("{\"n\":%d,\"ordering\":%d}", source->at, source->at % 3);
	ck_assert_int_eq(value_copy(&item->source, text, strlen(text)), 0);
	return SOURCE_ITEM;
}

static enum step_verdict of_a_ordering(struct step_call *call, int number)
{
	(void)number;
	return in_order(call, (int)call->item->position);
}

FIBER_TEST(engine_keeps_items_of_an_ordering_key_in_order)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	struct source_ops ops = fake_source_ops;
	struct adapter source = fake_source;
	ops.next = fake_ordering_next;
	source.source = &ops;
	plan.source.adapter = &source;
	plan.settings.order_by = (char *)(uintptr_t) ".ordering";
	memset(last_of_ordering, 0, sizeof last_of_ordering);
	world = (struct world){.items = 60, .step = of_a_ordering};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 60);
	ck_assert_uint_eq(stats.attempts, 180);
	ck_assert_int_eq(world.most_in_flight, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(last_of_ordering[i], 60 - (3 - i) % 3);
}

/* A stop does not wait for retries that wait in memory. */
FIBER_TEST(engine_stop_does_not_wait_for_retries_of_an_ordering_key)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.order_by = (char *)(uintptr_t) ".";
	plan.settings.retry_backoff[0] = plan.settings.retry_backoff[1] = 3600 * WEIR_SEC;
	plan.settings.retry_jitter = WEIR_JITTER_NONE;
	plan.settings.drain = 60 * WEIR_SEC;
	world = (struct world){.items = 50, .step = fail_always};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 100 * WEIR_MSEC, &stats), 5);
	ck_assert_uint_eq(stats.unfinished, 50);
	ck_assert_int_lt(weir_now() - begun, WEIR_SEC / 5);
}

/* ---- whose turn it is */

static enum step_verdict hang_and_fail(struct step_call *call, int number)
{
	(void)number;
	strcpy(call->why, "timeout: too slow");
	return weir_sleep(200 * WEIR_MSEC) ? STEP_CANCELED : STEP_RETRY;
}

/* An upstream that never answers, ten at once: 50 calls a second. */
static void run_hopeless(double budget, bool durable, struct engine_stats *ret_stats)
{
	struct plan_adapter step;
	world = (struct world){.items = 4000, .step = hang_and_fail};
	struct plan plan = durable ? durable_plan_of(&step) : plan_of(&step);
	plan.settings.retry_attempts = 2;
	plan.settings.retry_backoff[0] = 20 * WEIR_MSEC;
	plan.settings.retry_backoff[1] = 40 * WEIR_MSEC;
	plan.settings.retry_budget = budget;
	ck_assert_int_eq(run_plan(&plan, 8 * WEIR_SEC, ret_stats), 5);
}

FIBER_TEST(engine_attempts_a_due_retry_before_what_was_read_ahead)
{
	for (int durable = 0; durable < 2; durable++) {
		struct engine_stats stats;
		run_hopeless(1, durable, &stats);
		ck_assert_uint_ge(stats.attempts, 360);
		ck_assert_uint_ge(stats.dead, 170);
	}
}

FIBER_TEST(engine_begins_new_items_though_all_others_are_due_for_a_retry)
{
	for (int durable = 0; durable < 2; durable++) {
		struct engine_stats stats;
		run_hopeless(0.2, durable, &stats);
		/* Three of ten may be retries, so that 15 items a second come to their end; as many more are begun. */
		ck_assert_uint_ge(stats.dead, 80);
		ck_assert_uint_ge(stats.attempts - stats.dead, 150);
	}
}

static enum step_verdict refuse_always(struct step_call *call, int number)
{
	(void)number;
	strcpy(call->why, "not now");
	call->permit->not_before = weir_now() + WEIR_SEC;
	return STEP_REFUSED;
}

FIBER_TEST(engine_gives_up_what_is_never_let_in_after_its_time)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.timeout_queue = 5 * WEIR_SEC;
	world = (struct world){.items = 20, .step = refuse_always};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 20);
	ck_assert_uint_eq(stats.attempts, 0);
	ck_assert_ptr_nonnull(strstr(world.last_letter, "flow.timeout.queue"));
	ck_assert_int_le(weir_now() - begun, 6 * WEIR_SEC);
}

static enum step_verdict take_a_minute(struct step_call *call, int number)
{
	(void)number;
	strcpy(call->why, "too slow");
	return weir_sleep(60 * WEIR_SEC) == WEIR_ETIMEDOUT ? STEP_RETRY : STEP_CANCELED;
}

FIBER_TEST(engine_ends_an_attempt_after_its_time)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.timeout_attempt = 2 * WEIR_SEC;
	world = (struct world){.items = 10, .step = take_a_minute};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 10);
	ck_assert_uint_eq(stats.attempts, 30);
	ck_assert_int_le(weir_now() - begun, 3 * 2 * WEIR_SEC + 2 * WEIR_SEC);
}

FIBER_TEST(engine_gives_up_after_the_time_for_all_attempts)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.retry_attempts = 1000;
	plan.settings.timeout_total = 10 * WEIR_SEC;
	world = (struct world){.items = 20, .step = fail_always};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_uint_eq(stats.dead, 20);
	ck_assert_ptr_nonnull(strstr(world.last_letter, "flow.timeout.total"));
	ck_assert_int_le(weir_now() - begun, 10 * WEIR_SEC + 100 * WEIR_MSEC);
	ck_assert_int_ge(weir_now() - begun, 5 * WEIR_SEC);

	plan.settings.timeout_total = 0;
	plan.settings.retry_elapsed = 3 * WEIR_SEC;
	world = (struct world){.items = 20, .step = fail_always};
	begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 3);
	ck_assert_ptr_nonnull(strstr(world.last_letter, "flow.retry.elapsed"));
	ck_assert_int_le(weir_now() - begun, 3 * WEIR_SEC + 100 * WEIR_MSEC);
}

/* A time limit for an item must not spoil what is under way. */
FIBER_TEST(engine_ends_an_attempt_at_the_time_for_all_attempts)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	plan.settings.timeout_total = 2 * WEIR_SEC;
	world = (struct world){.items = 20, .step = hang};
	weir_nsec begun = weir_now();
	int exit_code = run_plan(&plan, 10 * WEIR_SEC, &stats);
	ck_assert_int_le(weir_now() - begun, 11 * WEIR_SEC);
	ck_assert(exit_code == 3 || exit_code == 5);
}
