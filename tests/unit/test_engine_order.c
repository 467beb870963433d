/* SPDX-License-Identifier: MIT */
/* sink.order: source.  Rows come in the order of the source, whatever their items go through, within memory, and the
 * run comes to its end. */
#include "unit/engine_world.h"

#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

enum { BIG_BYTES = 8192 };

static struct {
	uint64_t last;     /* row that was written */
	uint64_t replayed; /* comes where it is done */
	size_t most_held;  /* bytes */
	int calls, written;
	enum engine_why why;
} saw;

static int write_in_order(const struct sink_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t position = items[i].item->position;
		saw.written++;
		if (position == saw.replayed)
			continue;
		ck_assert_msg(position > saw.last, "%llu after %llu", (unsigned long long)position,
			      (unsigned long long)saw.last);
		saw.last = position;
	}
	return 0;
}

static struct plan order_of(struct plan plan)
{
	plan.settings.order = ORDER_SOURCE;
	memset(&saw, 0, sizeof saw);
	return plan;
}

static void look(void)
{
	size_t held = world.engine ? world.engine->store.reorder->held_bytes : 0;
	saw.most_held = held > saw.most_held ? held : saw.most_held;
}

/* What becomes of an item is drawn from its number, how long it takes from the moment as well. */
static enum step_verdict anything(struct step_call *call, int number)
{
	uint64_t random = (uint64_t)number * 7919 + test_seed(), now = random + (uint64_t)weir_now();
	uint64_t fate = weir_random_below(&random, 100);
	look();
	saw.calls++;
	if (weir_sleep((weir_nsec)weir_random_below(&now, 300) * WEIR_MSEC))
		return STEP_CANCELED;
	if (fate < 10)
		return STEP_OK; /* dropped */
	strcpy(call->why, "drawn");
	if (fate < 20)
		return STEP_DEAD;
	if (fate < 35 && call->attempt <= 2)
		return STEP_RETRY;
	if (fate < 38)
		return STEP_RETRY;
	put_out(call, call->input->data);
	if (fate < 50)
		put_out(call, call->input->data);
	return STEP_OK;
}

FIBER_TEST(engine_order_is_that_of_the_source_whatever_items_go_through)
{
	struct plan_adapter step;
	struct engine_stats stats;
	struct plan plan = order_of(memory_plan_of(&step));
	world = (struct world){.items = 1500, .bad_every = 50, .step = anything, .write = write_in_order};
	plan.settings.retry_backoff[0] = 10 * WEIR_SEC;
	plan.settings.retry_backoff[1] = 600 * WEIR_SEC;
	plan.settings.concurrency = 30;
	plan.settings.pattern =
		(int[]){WEIR_PATTERN_QUEUE, WEIR_PATTERN_SEMAPHORE, WEIR_PATTERN_CHUNKED}[test_seed() % 3];
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DEAD_LETTERS);
	ck_assert_uint_eq(stats.unfinished, 0);
	ck_assert_uint_gt(stats.dropped, 50);
	ck_assert_uint_gt(stats.dead, 100);
	ck_assert_uint_eq((uint64_t)saw.written, stats.succeeded);
	ck_assert_uint_gt(saw.most_held, 0);
}

FIBER_TEST(engine_order_goes_on_behind_what_a_stopped_run_has_written)
{
	struct plan_adapter step;
	struct engine_stats stats;
	world = (struct world){.items = 600, .bad_every = 50, .step = anything, .write = write_in_order};
	struct plan plan = order_of(durable_plan_of(&step));
	plan.settings.retry_backoff[0] = plan.settings.retry_backoff[1] = 5 * WEIR_SEC;
	plan.settings.drain = 100 * WEIR_MSEC;
	int code = EXIT_STOPPED;
	for (int i = 0; i < 4 && code == EXIT_STOPPED; i++)
		code = run_plan(&plan, (weir_nsec)(1 + i) * WEIR_SEC, &stats);
	ck_assert_int_eq(code, EXIT_STOPPED);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DEAD_LETTERS);
	ck_assert_uint_eq(stats.unfinished, 0);
	ck_assert_uint_eq((uint64_t)saw.written, stats.succeeded);
}

static enum step_verdict first_is_late_in_each_run(struct step_call *call, int number)
{
	saw.calls++;
	if (number > 1)
		ck_assert_uint_eq(call->attempt, 1);
	strcpy(call->why, "later");
	return number == 1 && saw.calls < 50 ? STEP_RETRY : pass(call, number);
}

/* Else they would be retries, which the budget lets through a few at a time. */
FIBER_TEST(engine_order_attempts_again_what_was_not_written_as_for_the_first_time)
{
	struct plan_adapter step;
	struct engine_stats stats;
	world = (struct world){.items = 200, .step = first_is_late_in_each_run, .write = write_in_order};
	struct plan plan = order_of(durable_plan_of(&step));
	plan.settings.retry_backoff[0] = plan.settings.retry_backoff[1] = 3600 * WEIR_SEC;
	plan.settings.retry_jitter = WEIR_JITTER_NONE;
	ck_assert_int_eq(run_plan(&plan, 20 * WEIR_SEC, &stats), EXIT_STOPPED);
	ck_assert_uint_eq(stats.succeeded, 0);
	ck_assert_int_gt(saw.calls, 50);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 200);
}

/* ---- memory */

/* The first one fails, and its retry is 20 seconds away. */
static enum step_verdict first_is_late(struct step_call *call, int number)
{
	char text[BIG_BYTES] = {0};
	look();
	saw.calls++;
	if (weir_sleep(10 * WEIR_MSEC))
		return STEP_CANCELED;
	strcpy(call->why, "later");
	if (number % 100 == 1 && call->attempt == 1)
		return STEP_RETRY;
	memset(text, 'x', sizeof text - 1);
	put_out(call, text);
	return STEP_OK;
}

static void look_meanwhile(struct engine *engine)
{
	struct engine_flow flow;
	engine_flow(engine, &flow);
	saw.why = flow.why;
	ck_assert_uint_eq(saw.last, 0);
}

FIBER_TEST(engine_order_waits_for_the_first_within_its_memory)
{
	struct plan_adapter step;
	struct engine_stats stats;
	struct plan plan = order_of(memory_plan_of(&step));
	world = (struct world){.items = 400, .step = first_is_late, .write = write_in_order};
	world.meanwhile = look_meanwhile;
	plan.settings.retry_backoff[0] = plan.settings.retry_backoff[1] = 20 * WEIR_SEC;
	plan.settings.retry_jitter = WEIR_JITTER_NONE;
	plan.settings.max_memory = 1 << 20;
	plan.settings.batch_items = 100; /* the broker has places enough */
	ck_assert_int_eq(run_plan(&plan, 10 * WEIR_SEC, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 400);
	/* An eighth of the memory was full, and the rest had not begun. */
	ck_assert_int_eq(saw.why, WHY_ORDER);
	ck_assert_uint_le(saw.most_held, (1 << 20) / 8);
	ck_assert_uint_ge(saw.most_held, (1 << 20) / 16);
	ck_assert_int_eq(saw.calls, 404);
}

FIBER_TEST(engine_order_needs_no_memory_to_come_to_its_end)
{
	struct plan_adapter step;
	struct engine_stats stats;
	world = (struct world){.items = 100, .bad_every = 20, .step = anything, .write = write_in_order};
	struct plan plan = order_of(test_seed() % 2 ? memory_plan_of(&step) : durable_plan_of(&step));
	plan.settings.max_memory = 1;
	plan.settings.retry_backoff[0] = plan.settings.retry_backoff[1] = 5 * WEIR_SEC;
	plan.settings.priority_field = (char *)(uintptr_t) ".";
	plan.settings.order_by = test_seed() % 3 ? (char *)(uintptr_t) "." : NULL;
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DEAD_LETTERS);
	ck_assert_uint_eq(stats.unfinished, 0);
}

/* ---- what comes again, and who cannot */

static bool fixed;

static enum step_verdict tenth_dies(struct step_call *call, int number)
{
	strcpy(call->why, "not yet");
	return number == 10 && !fixed ? STEP_DEAD : pass(call, number);
}

static void replay(struct engine *engine)
{
	const struct journal_ops *journal;
	struct broker *broker;
	struct weir_error err = {0};
	struct letters_request request = {.verb = LETTERS_REPLAY};
	uint64_t n = 0;
	fixed = true;
	ck_assert_int_eq(engine_visit(engine, &journal, &broker, &err), 0);
	ck_assert_int_eq(journal->letters(broker, &request, NULL, &n, &err, WEIR_FOREVER), 0);
	engine_leave(engine);
	ck_assert_uint_eq(n, 1);
}

FIBER_TEST(engine_order_takes_a_replayed_item_where_it_is)
{
	struct plan_adapter step;
	struct engine_stats stats;
	fixed = false;
	world = (struct world){.items = 300, .step = tenth_dies, .write = write_in_order, .meanwhile = replay};
	struct plan plan = order_of(durable_plan_of(&step));
	saw.replayed = 10;
	ck_assert_int_eq(run_plan(&plan, 100 * WEIR_MSEC, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 300);
	ck_assert_int_eq(world.seen[10], 1);
}

FIBER_TEST(engine_order_is_refused_with_a_broker_that_others_share)
{
	struct plan_adapter step;
	struct plan plan = order_of(plan_of(&step));
	world = (struct world){.items = 10, .step = pass};
	if (plan.broker.adapter->broker->exactness == BROKER_SHARED)
		ck_assert_int_eq(refuse_plan(&plan), EX_CONFIG);
}
