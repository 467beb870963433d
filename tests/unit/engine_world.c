/* SPDX-License-Identifier: MIT */
#include "unit/engine_world.h"

#include "port/adapters.h"
#include "sqlite/broker/broker.h"
#include "unit/shared_broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct world world;

/* --- source: the numbers 1 to items --- */

static int fake_source_open(const void *config, const char *pipeline, struct source **ret_source,
			    struct weir_error *err)
{
	(void)config, (void)pipeline;
	if (world.source_open)
		return weir_error_set(err, world.source_open, "the source cannot be opened");
	*ret_source = calloc(1, sizeof **ret_source);
	world.open_things++;
	return 0;
}

/* The pause before an item begins once, however often it is asked for. */
static int wait_for_next(struct source *source, weir_nsec deadline)
{
	weir_nsec now = weir_now();
	if (!source->due)
		source->due = now + world.source_pause;
	bool in_time = deadline == WEIR_FOREVER || deadline >= source->due;
	weir_nsec until = in_time ? source->due : deadline;
	if (until > now && weir_sleep(until - now))
		return WEIR_ECANCELED;
	if (!in_time)
		return WEIR_ETIMEDOUT;
	source->due = 0;
	return 0;
}

static int fake_source_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	char text[16];
	int code = world.source_pause ? wait_for_next(source, deadline) : 0;
	if (code)
		return code;
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
	if (++world.steps_in_flight > world.most_in_flight)
		world.most_in_flight = world.steps_in_flight;
	enum step_verdict verdict = world.step(call, atoi(call->input->data));
	world.steps_in_flight--;
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

void put_out(struct step_call *call, const char *text)
{
	struct value value;
	ck_assert_int_eq(value_copy(&value, text, strlen(text)), 0);
	ck_assert_int_eq(value_list_take(call->outputs, &value), 0);
}

enum step_verdict pass(struct step_call *call, int number)
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
	char run[33];
};

static int fake_sink_open(const void *config, const struct sink_env *env, struct sink **ret_sink,
			  struct weir_error *err)
{
	world.clean = env->clean;
	if (world.sink_open)
		return weir_error_set(err, world.sink_open, "the sink cannot be opened");
	*ret_sink = calloc(1, sizeof **ret_sink);
	(*ret_sink)->letters = config != NULL;
	snprintf((*ret_sink)->run, sizeof(*ret_sink)->run, "%s", env->run ? env->run : "");
	world.open_things++;
	return 0;
}

static int fake_sink_start(struct sink *sink, struct weir_error *err)
{
	ck_assert_int_eq(world.sink_open, 0);
	bool fails = world.sink_start && !sink->letters;
	return fails ? weir_error_set(err, world.sink_start, "the sink cannot start") : 0;
}

static int fake_sink_write(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err,
			   weir_nsec deadline)
{
	(void)deadline;
	world.writing += !sink->letters;
	world.most_writing = world.writing > world.most_writing ? world.writing : world.most_writing;
	if (world.write_time)
		weir_sleep(world.write_time);
	world.writing -= !sink->letters;
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
	(void)adopt;
	ck_assert_str_eq(identity, "numbers");
	if (world.source_resume)
		return weir_error_set(err, world.source_resume, "the source is another one");
	source->at = atoi(cursor->text);
	return 0;
}

const struct source_ops fake_source_ops = {
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
static const struct sink_ops sink_ops = {
	.open = fake_sink_open, .start = fake_sink_start, .write = fake_sink_write, .close = fake_sink_close};
const struct adapter fake_source = {.kind = ADAPTER_SOURCE, .name = "numbers", .source = &fake_source_ops};
static const struct adapter fake_step = {.kind = ADAPTER_STEP, .name = "fake", .step = &step_ops};
/* How many batches it has. */
static void fake_sink_position(const struct sink *sink, struct buf *out)
{
	(void)sink;
	buf_addf(out, "%d", world.writes);
}

static const struct sink_ops overlapping_ops = {.open = fake_sink_open,
						.start = fake_sink_start,
						.write = fake_sink_write,
						.ahead = SINK_ANY_BATCH,
						.close = fake_sink_close};
static const struct sink_ops growing_ops = {.open = fake_sink_open,
					    .start = fake_sink_start,
					    .write = fake_sink_write,
					    .position = fake_sink_position,
					    .ahead = SINK_NEXT_BATCH,
					    .close = fake_sink_close};
/* What it does is done under that name. */
static int fake_claiming_start(struct sink *sink, struct weir_error *err)
{
	ck_assert_str_eq(sink->run, shared.run);
	return fake_sink_start(sink, err);
}

static enum sink_exactness fake_claiming_exactness(const struct sink *sink)
{
	(void)sink;
	return SINK_BY_CLAIM;
}

static const struct sink_ops claiming_ops = {.open = fake_sink_open,
					     .start = fake_claiming_start,
					     .write = fake_sink_write,
					     .exactness = fake_claiming_exactness,
					     .close = fake_sink_close};
static const struct adapter fake_sink = {.kind = ADAPTER_SINK, .name = "rows", .sink = &sink_ops};
const struct adapter fake_overlapping_sink = {.kind = ADAPTER_SINK, .name = "rows", .sink = &overlapping_ops};
const struct adapter fake_growing_sink = {.kind = ADAPTER_SINK, .name = "rows", .sink = &growing_ops};
const struct adapter fake_claiming_sink = {.kind = ADAPTER_SINK, .name = "rows", .sink = &claiming_ops};

struct plan memory_plan_of(struct plan_adapter *step)
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
			     .stop_of_last = 1000,
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

struct plan plan_of(struct plan_adapter *step)
{
	struct plan plan = memory_plan_of(step);
	if (test_seed() % 2)
		plan.broker.adapter = &shared_broker_adapter;
	return plan;
}

struct plan *settings_of(const char *more)
{
	const char *text = test_format("source: { range: 1-9 }\nsteps: [ { http: 'http://upstream/${.}' } ]\n"
				       "sink: { stdout: {} }\n%s",
				       more);
	struct weir_error err = {0};
	struct plan *plan;
	ck_assert_msg(!spec_parse(text, strlen(text), "test.yaml", ".", &(struct spec_options){0}, &plan, &err), "%s",
		      err.text);
	return plan;
}

static void take_note(void *arg, const char *text)
{
	(void)arg;
	world.notes++;
	snprintf(world.last_note, sizeof world.last_note, "%s", text);
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

struct engine_options options_of_world(void)
{
	static const int letters_config = 1;
	return (struct engine_options){.dead_adapter = &fake_sink,
				       .dead_config = &letters_config,
				       .state = world.state,
				       .wish = world.adopts ? WISH_ADOPT : WISH_RESUME,
				       .note = take_note,
				       .most_concurrency = world.most ? world.most : 40};
}

int refuse_plan(const struct plan *plan)
{
	const struct engine_options opts = options_of_world();
	struct weir_error err = {0};
	struct engine *engine;
	int exit_code = 0;
	ck_assert_int_lt(engine_open(plan, &opts, &engine, &exit_code, &err), 0);
	ck_assert_int_gt(strlen(err.text), 0);
	ck_assert_int_eq(world.open_things, 0);
	return exit_code;
}

int run_plan(const struct plan *plan, weir_nsec stop_after, struct engine_stats *ret_stats)
{
	const struct engine_options opts = options_of_world();
	struct weir_error err = {0};
	struct weir_group *group;
	struct engine *engine;
	int exit_code;
	shared_init();
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
	if (world.flow)
		engine_flow(engine, world.flow);
	ret_stats->attempt_ns = ret_stats->item_ns = NULL; /* they go with the engine, and so does the reason */
	if (ret_stats->reason)
		ret_stats->reason = test_format("%s", ret_stats->reason);
	engine_free(engine);
	shared_fini();
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

enum step_verdict fail_always(struct step_call *call, int number)
{
	snprintf(call->why, sizeof call->why, "status: 500 for %d", number);
	return weir_sleep(WEIR_MSEC) ? STEP_CANCELED : STEP_RETRY;
}

enum step_verdict fail_first_then_pass(struct step_call *call, int number)
{
	return call->attempt == 1 && number <= 10 ? fail_always(call, number) : pass(call, number);
}

struct plan durable_plan_of(struct plan_adapter *step)
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

enum step_verdict hang(struct step_call *call, int number)
{
	(void)call, (void)number;
	return weir_sleep(3600 * WEIR_SEC) ? STEP_CANCELED : STEP_OK;
}
