/* SPDX-License-Identifier: MIT */
/* How the engine reads its source: what is at hand becomes one put, and nothing that is there waits for what is not. */
#include "port/adapters.h"
#include "unit/engine_world.h"

#include <weir/histogram.h>

enum { PUTS_SEEN = 64 };

/* The puts of a run. */
static struct {
	size_t n, items[PUTS_SEEN];
	weir_nsec at[PUTS_SEEN];
} seen;

static int see_put(struct broker *broker, struct item *const *items, size_t n, const struct source_cursor *was,
		   const struct source_cursor *cursor, struct weir_error *err, weir_nsec deadline)
{
	ck_assert_uint_lt(seen.n, PUTS_SEEN);
	seen.at[seen.n] = weir_now();
	seen.items[seen.n++] = n;
	return broker_memory_adapter.broker->queue.put(broker, items, n, was, cursor, err, deadline);
}

/* A source that gives `burst` items at once, and then nothing for as long as `pause`. */
static struct {
	int burst;
	weir_nsec pause, until;
} bursts;

static int next_of_burst(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	if (source->at && source->at % bursts.burst == 0 && !bursts.until)
		bursts.until = weir_now() + bursts.pause;
	if (bursts.until > weir_now()) {
		bool in_time = deadline == WEIR_FOREVER || (deadline != WEIR_TRY && deadline >= bursts.until);
		int code = deadline == WEIR_TRY ? 0 : weir_sleep_until(in_time ? bursts.until : deadline);
		if (code || !in_time)
			return code ? code : deadline == WEIR_TRY ? WEIR_EAGAIN : WEIR_ETIMEDOUT;
	}
	int verdict = fake_source_ops.next(source, item, err, deadline);
	if (verdict == SOURCE_ITEM && source->at % bursts.burst != 0)
		bursts.until = 0;
	return verdict;
}

static int run_bursts(int items, int burst, weir_nsec pause)
{
	static struct broker_ops broker;
	static struct source_ops source;
	struct adapter counting = broker_memory_adapter, bursting = fake_source;
	struct plan_adapter step;
	struct plan plan = memory_plan_of(&step);
	struct engine_stats stats;
	broker = *broker_memory_adapter.broker;
	broker.queue.put = see_put;
	counting.broker = &broker;
	source = fake_source_ops;
	source.next = next_of_burst;
	bursting.source = &source;
	plan.broker.adapter = &counting;
	plan.source.adapter = &bursting;
	plan.settings.batch_items = 4200; /* the broker has places enough */
	seen.n = 0;
	bursts.burst = burst;
	bursts.pause = pause;
	bursts.until = 0;
	world = (struct world){.items = items, .step = pass};
	int code = run_plan(&plan, 0, &stats);
	ck_assert_uint_eq(stats.succeeded, (uint64_t)items);
	return code;
}

FIBER_TEST(engine_puts_what_is_at_hand_at_once)
{
	ck_assert_int_eq(run_bursts(8000, 8000, WEIR_SEC), 0);
	ck_assert_uint_eq(seen.n, 2);
	ck_assert_uint_eq(seen.items[0], BROKER_PUT_MAX);
}

FIBER_TEST(engine_puts_at_once_what_comes_after_a_pause)
{
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_bursts(900, 300, WEIR_SEC), 0);
	ck_assert_uint_eq(seen.n, 3);
	for (size_t i = 0; i < seen.n; i++) {
		ck_assert_uint_eq(seen.items[i], 300);
		ck_assert_int_eq(seen.at[i] - begun, (weir_nsec)i * WEIR_SEC);
	}
}

FIBER_TEST(engine_puts_the_few_items_of_a_slow_source_after_a_moment)
{
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_bursts(30, 3, WEIR_SEC), 0);
	ck_assert_uint_eq(seen.n, 10);
	for (size_t i = 0; i < seen.n; i++) {
		ck_assert_uint_eq(seen.items[i], 3);
		ck_assert_int_le(seen.at[i] - begun - (weir_nsec)i * WEIR_SEC, 5 * WEIR_MSEC);
	}
}

/* ---- figures of it, and of what follows */

static int items_seen, trips_seen;

static void look(struct engine *engine)
{
	struct engine_stats stats;
	engine_stats(engine, &stats);
	ck_assert_uint_gt(stats.position, 0);
	ck_assert_uint_le(stats.position, 200);
	ck_assert_uint_gt(weir_histogram_count(stats.batch_items), 0);
	ck_assert_int_le(weir_histogram_max(stats.batch_items), 8);
	items_seen = (int)stats.written;
	trips_seen = (int)weir_histogram_count(stats.trip_ns);
}

FIBER_TEST(engine_shows_its_place_in_the_source_its_batches_and_its_round_trips)
{
	struct plan_adapter step;
	for (int is_durable = 0; is_durable < 2; is_durable++) {
		struct engine_stats stats;
		world = (struct world){.items = 200, .step = pass, .meanwhile = look};
		struct plan plan = is_durable ? durable_plan_of(&step) : memory_plan_of(&step);
		ck_assert_int_eq(run_plan(&plan, 100 * WEIR_MSEC, &stats), 0);
		ck_assert_uint_eq(stats.position, 200);
		ck_assert_int_gt(items_seen, 0);
		ck_assert_int_eq(trips_seen > 0, is_durable);
	}
}
