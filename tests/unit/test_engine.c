/* SPDX-License-Identifier: MIT */
/*
 * The engine on the virtual clock, between a source, steps and a sink that do as they are told: retries, refusals, dead
 * letters, stops, failing sinks, and the accounts after each.
 */
#include "broker/sqlite.h"
#include "engine/internal.h"
#include "port/adapters.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <weir/weir.h>

/* What the adapters of a test are told, and what they saw. */
static struct world {
	/* told */
	int items;              /* in the source */
	int bad_every;          /* every so many-th line is unusable; 0: none */
	weir_nsec source_pause; /* before each item */
	int source_fails_at;    /* 0: never */
	enum step_verdict (*step)(struct step_call *call, int number);
	int (*write)(const struct sink_item *items, size_t n); /* answers for write(); NULL: takes all */
	int (*refuse)(int number);                             /* rows the sink can never take; NULL: none */
	weir_nsec write_time;
	const char *state; /* the state folder: the broker is a durable one; NULL: that in memory */
	void (*meanwhile)(struct engine *engine); /* called once, stop_after into the run, instead of a stop; or NULL */
	struct engine *engine;                    /* while it runs */
	/* saw */
	int steps_at_once, most_at_once, calls, writes, open_things;
	int seen[4096];    /* rows per item in the sink */
	int letters[4096]; /* dead letters per item */
	char last_letter[400];
} world;

/* --- source: the numbers 1 to items --- */

struct source {
	int at;
	bool closing;
};

static int fake_source_open(const void *config, struct source **ret_source, struct weir_error *err)
{
	(void)config, (void)err;
	*ret_source = calloc(1, sizeof **ret_source);
	world.open_things++;
	return 0;
}

static int fake_source_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	(void)deadline;
	char text[16];
	if (world.source_pause && weir_sleep(world.source_pause))
		return WEIR_ECANCELED;
	if (source->at == world.items)
		return SOURCE_END;
	source->at++;
	if (source->at == world.source_fails_at)
		return weir_error_set(err, WEIR_EIO, "the disk is gone");
	item->position = (uint64_t)source->at;
	ck_assert_int_eq(value_copy(&item->source, text, (size_t)snprintf(text, sizeof text, "%d", source->at)), 0);
	if (world.bad_every && source->at % world.bad_every == 0) {
		item_set_why(item, "not JSON");
		return SOURCE_BAD;
	}
	return SOURCE_ITEM;
}

static int64_t fake_source_total(const struct source *source, bool *ret_exact)
{
	ck_assert(!source->closing);
	*ret_exact = true;
	return world.items;
}

/* Closing suspends for real, and others look at the run meanwhile: the progress line does. */
static void close_and_look(void)
{
	struct engine_stats stats;
	struct buf json = {0};
	world.open_things--;
	if (!world.engine)
		return;
	engine_stats(world.engine, &stats);
	engine_figures(world.engine, &json);
	buf_fini(&json);
}

static void fake_source_close(struct source *source)
{
	source->closing = true;
	close_and_look();
	free(source);
}

/* --- step --- */

struct step {
	bool closing;
};

static int fake_step_open(const void *config, const struct step_env *env, struct step **ret_step,
			  struct weir_error *err)
{
	(void)config, (void)env, (void)err;
	*ret_step = calloc(1, sizeof **ret_step);
	world.open_things++;
	return 0;
}

static enum step_verdict fake_step_run(struct step *step, struct step_call *call)
{
	(void)step;
	world.calls++;
	if (++world.steps_at_once > world.most_at_once)
		world.most_at_once = world.steps_at_once;
	enum step_verdict verdict = world.step(call, atoi(call->input->data));
	world.steps_at_once--;
	return verdict;
}

static void fake_step_figures(const struct step *step, struct buf *json)
{
	ck_assert(!step->closing);
	buf_add_str(json, "\"figure\":1");
}

static void fake_step_close(struct step *step)
{
	step->closing = true;
	close_and_look();
	free(step);
}

static void put_out(struct step_call *call, const char *text)
{
	struct value value;
	ck_assert_int_eq(value_copy(&value, text, strlen(text)), 0);
	ck_assert_int_eq(value_list_take(call->outputs, &value), 0);
}

static enum step_verdict pass(struct step_call *call, int number)
{
	(void)number;
	if (weir_sleep(10 * WEIR_MSEC))
		return STEP_CANCELED;
	put_out(call, call->input->data);
	return STEP_OK;
}

/* --- sinks: one for rows (config NULL), one for dead letters --- */

struct sink {
	bool letters;
};

static int fake_sink_open(const void *config, const struct sink_env *env, struct sink **ret_sink,
			  struct weir_error *err)
{
	(void)env;
	(void)err;
	*ret_sink = calloc(1, sizeof **ret_sink);
	(*ret_sink)->letters = config != NULL;
	world.open_things++;
	return 0;
}

static int fake_sink_write(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err,
			   weir_nsec deadline)
{
	(void)deadline;
	if (world.write_time)
		weir_sleep(world.write_time);
	int code = world.write && !sink->letters ? world.write(items, n) : 0;
	world.writes += !sink->letters;
	if (code)
		return weir_error_set(err, code, "the sink says no");
	for (size_t i = 0; i < n; i++) {
		int number = (int)items[i].item->position;
		if (sink->letters) {
			world.letters[number]++;
			snprintf(world.last_letter, sizeof world.last_letter, "%s",
				 items[i].item->outputs.values[0].data);
		} else if (world.refuse && world.refuse(number)) {
			items[i].verdict = WEIR_EDATA;
			strcpy(items[i].why, "cannot be a row");
		} else {
			world.seen[number] += (int)items[i].item->outputs.n;
		}
	}
	return 0;
}

static int fake_sink_close(struct sink *sink, struct weir_error *err)
{
	(void)err;
	world.open_things--;
	free(sink);
	return 0;
}

static bool fake_source_identify(const struct source *source, struct buf *identity)
{
	(void)source;
	buf_add_str(identity, "numbers");
	return true;
}

static void fake_source_cursor(const struct source *source, struct source_cursor *ret_cursor)
{
	snprintf(ret_cursor->text, sizeof ret_cursor->text, "%d", source->at);
}

static int fake_source_resume(struct source *source, const char *identity, const struct source_cursor *cursor,
			      bool adopt, struct weir_error *err)
{
	(void)adopt, (void)err;
	ck_assert_str_eq(identity, "numbers");
	source->at = atoi(cursor->text);
	return 0;
}

static const struct source_ops source_ops = {
	.open = fake_source_open,
	.next = fake_source_next,
	.total = fake_source_total,
	.identify = fake_source_identify,
	.resume = fake_source_resume,
	.cursor = fake_source_cursor,
	.close = fake_source_close,
};
static const struct step_ops step_ops = {
	.open = fake_step_open, .run = fake_step_run, .figures = fake_step_figures, .close = fake_step_close};
static const struct sink_ops sink_ops = {.open = fake_sink_open, .write = fake_sink_write, .close = fake_sink_close};
static const struct adapter fake_source = {.kind = ADAPTER_SOURCE, .source = &source_ops};
static const struct adapter fake_step = {.kind = ADAPTER_STEP, .step = &step_ops};
static const struct adapter fake_sink = {.kind = ADAPTER_SINK, .sink = &sink_ops};

static struct plan plan_of(struct plan_adapter *step)
{
	*step = (struct plan_adapter){.adapter = &fake_step};
	return (struct plan){
		.meaning = (char *)"numbers\n",
		.settings = {.name = (char *)"test",
			     .pattern = WEIR_PATTERN_QUEUE,
			     .concurrency = 10,
			     .retry_attempts = 3,
			     .retry_budget = 1,
			     .breaker_off = true,
			     .max_retry_after = 300 * WEIR_SEC,
			     .retry_backoff = {100 * WEIR_MSEC, WEIR_SEC},
			     .retry_jitter = WEIR_JITTER_FULL,
			     .stop_of_first = 200,
			     .batch_items = 8,
			     .batch_bytes = 1 << 20,
			     .batch_period = 20 * WEIR_MSEC,
			     .drain = WEIR_SEC},
		.source = {.adapter = &fake_source},
		.broker = {.adapter = &broker_memory_adapter},
		.sink = {.adapter = &fake_sink},
		.steps = step,
		.step_count = 1,
	};
}

struct stopper {
	struct engine *engine;
	weir_nsec after;
};

static int stop_later(void *arg)
{
	struct stopper *stopper = arg;
	if (weir_sleep(stopper->after))
		return 0;
	if (world.meanwhile)
		world.meanwhile(stopper->engine);
	else
		engine_stop(stopper->engine, "the test says so");
	return 0;
}

/* Runs the plan and checks what always holds: the accounts, nothing left open, each item in one place at most. */
static int run_plan(const struct plan *plan, weir_nsec stop_after, struct engine_stats *ret_stats)
{
	static const int letters_config = 1;
	struct engine_options opts = {.dead_adapter = &fake_sink,
				      .dead_config = &letters_config,
				      .state = world.state,
				      .most_concurrency = 40};
	struct weir_error err = {0};
	struct weir_group *group;
	struct engine *engine;
	int exit_code;
	ck_assert_int_eq(engine_open(plan, &opts, &engine, &exit_code, &err), 0);
	struct stopper stopper = {engine, stop_after};
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	world.engine = engine;
	if (stop_after)
		weir_group_spawn(group, stop_later, &stopper, WEIR_FOREVER);
	exit_code = engine_run(engine, &err);
	weir_group_cancel(group);
	weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	engine_stats(engine, ret_stats);
	ret_stats->attempt_ns = ret_stats->item_ns = NULL; /* they go with the engine, and so does the reason */
	if (ret_stats->reason)
		ret_stats->reason = test_format("%s", ret_stats->reason);
	engine_free(engine);
	world.engine = NULL;
	ck_assert_uint_eq(ret_stats->read,
			  ret_stats->succeeded + ret_stats->dead + ret_stats->dropped + ret_stats->unfinished);
	ck_assert_int_eq(world.open_things, 0);
	uint64_t rows = 0, letters = 0;
	for (int i = 1; i <= world.items; i++) {
		ck_assert_int_le(!!world.seen[i] + world.letters[i], 1);
		rows += world.seen[i] > 0;
		letters += (uint64_t)world.letters[i];
	}
	ck_assert_uint_eq(rows, ret_stats->succeeded);
	ck_assert_uint_eq(letters + ret_stats->letters, ret_stats->dead);
	return exit_code;
}

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
	ck_assert_int_eq(world.most_at_once, 10);
	/* 30 rounds of 10 ms, and a last batch that waits for its period at most. */
	ck_assert_int_le(weir_now() - begun, 30 * 10 * WEIR_MSEC + plan.settings.batch_period);
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

static enum step_verdict fail_always(struct step_call *call, int number)
{
	snprintf(call->why, sizeof call->why, "status: 500 for %d", number);
	return weir_sleep(WEIR_MSEC) ? STEP_CANCELED : STEP_RETRY;
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

static enum step_verdict fail_first_then_pass(struct step_call *call, int number)
{
	return call->attempt == 1 && number <= 10 ? fail_always(call, number) : pass(call, number);
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
	ck_assert_int_eq(world.most_at_once, 10);
	ck_assert_uint_eq(stats.retries, 10);
}

static enum step_verdict refuse_until_a_minute(struct step_call *call, int number)
{
	weir_nsec opens = 61 * WEIR_SEC;
	if (weir_now() >= opens)
		return pass(call, number);
	strcpy(call->why, "status: 429");
	call->not_before = opens;
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

static enum step_verdict hang(struct step_call *call, int number)
{
	(void)call, (void)number;
	return weir_sleep(3600 * WEIR_SEC) ? STEP_CANCELED : STEP_OK;
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

/* --- with a broker that remembers --- */

static struct plan durable_plan_of(struct plan_adapter *step)
{
	static struct broker_sqlite_config config = {.max_size = 1 << 30, .max_items = 1 << 30};
	static int number;
	struct plan plan = plan_of(step);
	char *folder = (char *)(uintptr_t)test_format("%s/%d", test_folder(), number++);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	plan.broker = (struct plan_adapter){.adapter = &broker_sqlite_adapter, .config = &config};
	world.state = folder;
	return plan;
}

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

/* ---- how fast */

static void more_at_once(struct engine *engine)
{
	struct weir_error err = {0};
	const struct engine_changes too_many = {
		.has_concurrency = true, .concurrency = 41, .has_pause = true, .paused = true};
	const struct engine_changes changes = {.has_concurrency = true, .concurrency = 30};
	ck_assert_int_eq(engine_change(engine, &too_many, &err), WEIR_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "at most 40"));
	ck_assert_int_eq(engine_change(engine, &changes, &err), 0);
}

FIBER_TEST(engine_takes_more_at_once_when_it_is_told)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	world = (struct world){.items = 300, .step = pass, .meanwhile = more_at_once};
	weir_nsec begun = weir_now();
	ck_assert_int_eq(run_plan(&plan, 55 * WEIR_MSEC, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 300);
	ck_assert_int_eq(world.most_at_once, 30);
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

FIBER_TEST(engine_that_is_paused_stops_at_once)
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
	ck_assert_int_eq(world.most_at_once, 3);
}

static int last_of_lane[3];

/* Each item fails twice. */
static enum step_verdict in_order(struct step_call *call, int number)
{
	ck_assert_int_lt(last_of_lane[number % 3], number);
	if (weir_sleep(WEIR_MSEC * (1 + number % 5)))
		return STEP_CANCELED;
	strcpy(call->why, "not yet");
	if (call->attempt < 3)
		return STEP_RETRY;
	last_of_lane[number % 3] = number;
	put_out(call, call->input->data);
	return STEP_OK;
}

static int fake_lane_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	(void)err, (void)deadline;
	if (source->at == world.items)
		return SOURCE_END;
	item->position = (uint64_t)++source->at;
	const char *text = test_format("{\"n\":%d,\"lane\":%d}", source->at, source->at % 3);
	ck_assert_int_eq(value_copy(&item->source, text, strlen(text)), 0);
	return SOURCE_ITEM;
}

static enum step_verdict of_a_lane(struct step_call *call, int number)
{
	(void)number;
	return in_order(call, (int)call->item->position);
}

FIBER_TEST(engine_keeps_items_of_a_lane_in_order)
{
	struct plan_adapter step;
	struct plan plan = plan_of(&step);
	struct engine_stats stats;
	struct source_ops ops = source_ops;
	struct adapter source = fake_source;
	ops.next = fake_lane_next;
	source.source = &ops;
	plan.source.adapter = &source;
	plan.settings.order_by = (char *)(uintptr_t) ".lane";
	memset(last_of_lane, 0, sizeof last_of_lane);
	world = (struct world){.items = 60, .step = of_a_lane};
	ck_assert_int_eq(run_plan(&plan, 0, &stats), 0);
	ck_assert_uint_eq(stats.succeeded, 60);
	ck_assert_uint_eq(stats.attempts, 180);
	ck_assert_int_eq(world.most_at_once, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(last_of_lane[i], 60 - (3 - i) % 3);
}

/* A stop does not wait for retries that wait in memory. */
FIBER_TEST(engine_stop_does_not_wait_for_retries_of_a_lane)
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

static enum step_verdict refuse_always(struct step_call *call, int number)
{
	(void)number;
	strcpy(call->why, "not now");
	call->not_before = weir_now() + WEIR_SEC;
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

FIBER_TEST(engine_ends_a_try_after_its_time)
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

FIBER_TEST(engine_gives_up_after_the_time_for_all_tries)
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
FIBER_TEST(engine_ends_an_attempt_at_the_time_for_all_tries)
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
