/* SPDX-License-Identifier: MIT */
/*
 * The life of a run.
 *
 *     open: source, broker, lanes, steps
 *     run:  supervisor, intake, N workers; the workers end when the broker has nothing more for them
 *     end:  intake, then the lane of the sink (it may still send to the dead letters), then that of the dead letters
 *
 * A stop sets an event; the supervisor then ends the intake, lets the broker hand out nothing more, gives the workers
 * the drain time and cancels those that are left.  A failure is a stop without drain time.
 */
#include "engine/internal.h"

#include <stdlib.h>
#include <string.h>

enum { BROKER_PER_WORKER = 4, BROKER_BATCHES = 2 };

const char *engine_state_name(enum engine_state state)
{
	static const char *const names[] = {"running", "draining", "failed", "done", "stopped"};
	return names[state];
}

static int open_steps(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	const struct plan *plan = engine->plan;
	struct step_env env = engine->opts.env;
	env.concurrency = engine->concurrency;
	engine->steps = calloc(plan->step_count + 1, sizeof(struct step *));
	*ret_exit = EX_UNAVAILABLE;
	if (!engine->steps)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_adapter *step = &plan->steps[i];
		int code = step->adapter->step->open(step->config, &env, &engine->steps[i], err);
		if (code)
			return code;
	}
	return 0;
}

static int open_lanes(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	const struct plan *plan = engine->plan;
	*ret_exit = EX_UNAVAILABLE;
	int code = lane_open(engine, plan->sink.adapter, plan->sink.config, &engine->sink_lane, err);
	if (code)
		return code;
	if (engine->opts.dead_to_sink) {
		engine->dead_lane = engine->sink_lane;
		return 0;
	}
	if (plan->dead_letter.adapter)
		return lane_open(engine, plan->dead_letter.adapter, plan->dead_letter.config, &engine->dead_lane, err);
	return lane_open(engine, engine->opts.dead_adapter, engine->opts.dead_config, &engine->dead_lane, err);
}

static int open_ends(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	const struct plan *plan = engine->plan;
	struct broker_options opts = {
		.capacity =
			engine->concurrency * BROKER_PER_WORKER + (size_t)plan->settings.batch_items * BROKER_BATCHES,
	};
	*ret_exit = EX_IOERR;
	int code = engine->source_ops->open(plan->source.config, &engine->source, err);
	if (code)
		return code;
	*ret_exit = EX_UNAVAILABLE;
	return engine->broker_ops->open(plan->broker.config, &opts, &engine->broker, err);
}

static int make_objects(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	static const struct weir_group_options collect = {.flags = WEIR_GROUP_COLLECT};
	*ret_exit = EX_UNAVAILABLE;
	if (weir_group_new(&collect, &engine->intake) || weir_group_new(&collect, &engine->workers) ||
	    weir_group_new(&collect, &engine->helpers) || weir_event_new(&engine->stopping) ||
	    weir_histogram_new(&engine->attempt_ns) || weir_histogram_new(&engine->item_ns))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return 0;
}

static size_t choose_concurrency(const struct plan *plan, const struct engine_options *opts)
{
	size_t wanted = (size_t)plan->settings.concurrency;
	return opts->most_concurrency && opts->most_concurrency < wanted ? opts->most_concurrency : wanted;
}

static int close_ends(struct engine *engine, struct weir_error *err);

int engine_open(const struct plan *plan, const struct engine_options *opts, struct engine **ret_engine, int *ret_exit,
		struct weir_error *err)
{
	struct engine *engine = calloc(1, sizeof *engine);
	*ret_exit = EX_UNAVAILABLE;
	if (!engine)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	engine->plan = plan;
	engine->opts = *opts;
	engine->source_ops = plan->source.adapter->source;
	engine->broker_ops = plan->broker.adapter->broker;
	engine->concurrency = choose_concurrency(plan, opts);
	engine->random = (uint64_t)weir_clock();
	int code = make_objects(engine, ret_exit, err);
	if (!code)
		code = open_ends(engine, ret_exit, err);
	if (!code)
		code = open_lanes(engine, ret_exit, err);
	if (!code)
		code = open_steps(engine, ret_exit, err);
	if (code) {
		close_ends(engine, NULL);
		engine_free(engine);
		return code;
	}
	*ret_engine = engine;
	return 0;
}

void engine_stop(struct engine *engine, const char *reason)
{
	if (engine->state != ENGINE_RUNNING)
		return;
	engine->state = ENGINE_DRAINING;
	engine->reason = reason;
	weir_event_set(engine->stopping);
}

void engine_fail(struct engine *engine, int exit_code, const struct weir_error *err)
{
	if (engine->failed_exit)
		return;
	engine->failed_exit = exit_code;
	engine->failure = *err;
	engine->state = ENGINE_FAILED;
	engine->reason = engine->failure.text;
	weir_event_set(engine->stopping);
}

static int supervise(void *arg)
{
	struct engine *engine = arg;
	if (weir_event_wait(engine->stopping, WEIR_FOREVER))
		return 0;
	weir_group_cancel(engine->intake);
	engine->broker_ops->stop(engine->broker);
	if (engine->state != ENGINE_FAILED && weir_sleep(engine->plan->settings.drain))
		return 0;
	weir_group_cancel(engine->workers);
	if (engine->sink_lane)
		lane_cancel(engine->sink_lane);
	if (engine->dead_lane)
		lane_cancel(engine->dead_lane);
	return 0;
}

static int start_fibers(struct engine *engine)
{
	static const struct weir_spawn_options supervisor = {.name = "supervisor"}, intake = {.name = "intake"},
					       worker = {.name = "worker"};
	int code = weir_group_spawn_with(engine->helpers, &supervisor, supervise, engine, WEIR_FOREVER);
	if (!code)
		code = weir_group_spawn_with(engine->intake, &intake, engine_intake, engine, WEIR_FOREVER);
	for (size_t i = 0; i < engine->concurrency && !code; i++)
		code = weir_group_spawn_with(engine->workers, &worker, engine_worker, engine, WEIR_FOREVER);
	return code;
}

static void wait_for_fibers(struct engine *engine)
{
	weir_shield_enter();
	weir_group_wait(engine->workers, WEIR_FOREVER);
	weir_group_cancel(engine->intake);
	weir_group_wait(engine->intake, WEIR_FOREVER);
	weir_shield_leave();
}

/* The supervisor lives until the last batch was written: a sink may be what keeps a stopped run from ending. */
static void finish_lanes(struct engine *engine)
{
	if (engine->sink_lane)
		lane_finish(engine->sink_lane);
	if (engine->dead_lane && engine->dead_lane != engine->sink_lane)
		lane_finish(engine->dead_lane);
	if (engine->helpers) {
		weir_group_cancel(engine->helpers);
		weir_group_wait(engine->helpers, WEIR_FOREVER);
	}
}

/* Closes what is open, in the order in which things still flow; the first failure of a sink is the answer. */
static int close_ends(struct engine *engine, struct weir_error *err)
{
	int code = 0;
	weir_shield_enter();
	finish_lanes(engine);
	if (engine->dead_lane && engine->dead_lane != engine->sink_lane)
		code = lane_close(engine->dead_lane, err);
	if (engine->sink_lane) {
		int sink_code = lane_close(engine->sink_lane, code ? NULL : err);
		code = code ? code : sink_code;
	}
	for (size_t i = 0; engine->steps && i < engine->plan->step_count; i++)
		if (engine->steps[i])
			engine->plan->steps[i].adapter->step->close(engine->steps[i]);
	if (engine->broker)
		engine->broker_ops->close(engine->broker);
	if (engine->source)
		engine->source_ops->close(engine->source);
	weir_shield_leave();
	free(engine->steps);
	engine->steps = NULL;
	engine->sink_lane = engine->dead_lane = NULL;
	engine->broker = NULL;
	engine->source = NULL;
	return code;
}

static uint64_t unfinished(const struct engine *engine)
{
	return engine->read - engine->succeeded - engine->dead - engine->dropped;
}

/* Failures come before wrong accounts, those before a stop, that before dead letters. */
static int exit_code(struct engine *engine)
{
	bool all = engine->source_ended && !unfinished(engine);
	if (engine->failed_exit)
		return engine->failed_exit;
	bool stopped = engine->state == ENGINE_DRAINING;
	engine->state = all ? ENGINE_DONE : ENGINE_STOPPED;
	if (all)
		engine->reason = NULL;
	else
		return stopped ? EXIT_STOPPED : EXIT_ACCOUNTS;
	return engine->dead ? EXIT_DEAD_LETTERS : EXIT_DONE;
}

int engine_run(struct engine *engine, struct weir_error *err)
{
	struct weir_error close_err = {0};
	int code = start_fibers(engine);
	if (code) {
		weir_error_set(&close_err, code, "cannot start the workers: %s", weir_strerror(code));
		engine_fail(engine, EX_UNAVAILABLE, &close_err);
	}
	wait_for_fibers(engine);
	if (close_ends(engine, &close_err))
		engine_fail(engine, EX_IOERR, &close_err);
	if (engine->failed_exit && err)
		*err = engine->failure;
	return exit_code(engine);
}

void engine_stats(const struct engine *engine, struct engine_stats *ret_stats)
{
	struct broker_counts counts = {0};
	bool exact = true;
	int64_t total = (int64_t)engine->read;
	if (engine->broker)
		engine->broker_ops->counts(engine->broker, &counts);
	if (!engine->source_ended && engine->source)
		total = engine->source_ops->total(engine->source, &exact);
	*ret_stats = (struct engine_stats){
		.state = engine->state,
		.read = engine->read,
		.succeeded = engine->succeeded,
		.dead = engine->dead,
		.dropped = engine->dropped,
		.unfinished = unfinished(engine),
		.attempts = engine->attempts,
		.retries = engine->retries,
		.refused = engine->refused,
		.in_flight = engine->in_flight,
		.waiting = counts.waiting,
		.total = total,
		.total_exact = exact,
		.concurrency = engine->concurrency,
		.reason = engine->reason,
		.attempt_ns = engine->attempt_ns,
		.item_ns = engine->item_ns,
	};
}

void engine_figures(const struct engine *engine, struct buf *json)
{
	for (size_t i = 0; engine->steps && i < engine->plan->step_count; i++) {
		const struct step_ops *ops = engine->plan->steps[i].adapter->step;
		if (!ops->figures)
			continue;
		if (json->len)
			buf_add_char(json, ',');
		ops->figures(engine->steps[i], json);
	}
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	weir_group_free(engine->intake);
	weir_group_free(engine->workers);
	weir_group_free(engine->helpers);
	weir_event_free(engine->stopping);
	weir_histogram_free(engine->attempt_ns);
	weir_histogram_free(engine->item_ns);
	free(engine);
}
