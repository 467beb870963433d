/* SPDX-License-Identifier: MIT */
/*
 * The life of a run.
 *
 *     open: source, broker, lanes, steps
 *     run:  supervisor, intake, and weir_process() with its workers, which ends when the broker has nothing more
 *     end:  intake, then the lane of the sink (it may still send to the dead letters), then that of the dead letters
 *
 * A stop sets an event; the supervisor then ends the intake, lets the broker hand out nothing more, gives the workers
 * the drain time and cancels those that are left.  Who only waits for its turn before an upstream goes back at once.  A
 * failure is a stop without drain time.
 */
#include "engine/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DRAIN_LOOK (10 * WEIR_MSEC)

const char *engine_state_name(enum engine_state state)
{
	static const char *const names[] = {"running", "draining", "failed", "done", "stopped"};
	return names[state];
}

void engine_note(struct engine *engine, const char *format, ...)
{
	char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (engine->opts.note)
		engine->opts.note(engine->opts.arg, text);
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

/* Until nothing is in the steps any more; retries that wait in memory are not waited for.  WEIR_ECANCELED. */
static int drain_steps(const struct engine *engine, weir_nsec until)
{
	int code = 0;
	while (!code && engine->state == ENGINE_DRAINING && (engine->in_flight || engine->in_hand) &&
	       weir_now() < until)
		code = weir_sleep(DRAIN_LOOK);
	return code;
}

static int supervise(void *arg)
{
	struct engine *engine = arg;
	if (weir_event_wait(engine->stopping, WEIR_FOREVER))
		return 0;
	weir_nsec until = weir_now() + engine->plan->settings.drain;
	weir_group_cancel(engine->intake);
	engine->broker_ops->stop(engine->broker);
	weir_policy_close(engine->policy); /* who waits for its turn goes back */
	if (drain_steps(engine, until))
		return 0;
	weir_group_cancel(engine->workers);
	while (engine->state != ENGINE_FAILED && weir_now() < until)
		if (weir_sleep(DRAIN_LOOK))
			return 0;
	if (engine->sink_lane)
		lane_cancel(engine->sink_lane);
	if (engine->dead_lane)
		lane_cancel(engine->dead_lane);
	return 0;
}

static int start_fibers(struct engine *engine)
{
	static const struct weir_spawn_options supervisor = {.name = "supervisor"}, intake = {.name = "intake"},
					       work = {.name = "work"}, memory = {.name = "memory"},
					       learnt = {.name = "learnt"}, sample = {.name = "sample"};
	int code = weir_group_spawn_with(engine->helpers, &supervisor, supervise, engine, WEIR_FOREVER);
	if (!code)
		code = weir_group_spawn_with(engine->intake, &intake, engine_intake, engine, WEIR_FOREVER);
	if (!code)
		code = weir_group_spawn_with(engine->helpers, &sample, engine_sample, engine, WEIR_FOREVER);
	if (!code && engine->plan->settings.max_memory)
		code = weir_group_spawn_with(engine->helpers, &memory, engine_watch_memory, engine, WEIR_FOREVER);
	if (!code && engine->learnt)
		code = weir_group_spawn_with(engine->helpers, &learnt, engine_keep_learnt, engine, WEIR_FOREVER);
	if (!code)
		code = weir_group_spawn_with(engine->workers, &work, engine_work, engine, WEIR_FOREVER);
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

static uint64_t settled(const struct engine *engine)
{
	return engine->accounts.succeeded + engine->accounts.dropped + engine->accounts.dead;
}

uint64_t engine_unfinished(const struct engine *engine)
{
	return engine->accounts.read - settled(engine);
}

/* What the engine has counted and what the broker holds must agree. */
static void check_accounts(struct engine *engine)
{
	struct broker_counts counts;
	struct weir_error err = {0};
	engine->broker_ops->counts(engine->broker, &counts);
	uint64_t held = counts.ready + counts.leased + counts.waiting;
	if (held == engine_unfinished(engine))
		return;
	weir_error_set(&err, WEIR_EDATA,
		       "the accounts do not match: %llu read - %llu succeeded - %llu dropped - %llu dead = %llu "
		       "unfinished, but the broker holds %llu",
		       (unsigned long long)engine->accounts.read, (unsigned long long)engine->accounts.succeeded,
		       (unsigned long long)engine->accounts.dropped, (unsigned long long)engine->accounts.dead,
		       (unsigned long long)engine_unfinished(engine), (unsigned long long)held);
	engine_fail(engine, EXIT_ACCOUNTS, &err);
}

/* Whoever looks at the run meanwhile, for closing suspends, finds what is open or nothing. */
static void close_steps(struct engine *engine)
{
	for (size_t i = 0; engine->steps && i < engine->plan->step_count; i++) {
		struct step *step = engine->steps[i];
		engine->steps[i] = NULL;
		if (step)
			engine->plan->steps[i].adapter->step->close(step);
	}
	free(engine->steps);
	engine->steps = NULL;
}

static int close_broker(struct engine *engine, struct weir_error *err)
{
	struct broker *broker = engine->broker;
	if (!broker)
		return 0;
	engine->broker_ops->counts(broker, &engine->last_counts);
	engine->broker = NULL;
	return engine->broker_ops->close(broker, err);
}

static void close_source(struct engine *engine)
{
	struct source *source = engine->source;
	engine->source = NULL;
	if (source)
		engine->source_ops->close(source);
}

int engine_close(struct engine *engine, struct weir_error *err)
{
	int code = 0;
	weir_shield_enter();
	finish_lanes(engine);
	engine->closing = true;
	while (engine->visitors)
		weir_event_wait(engine->left_alone, WEIR_FOREVER);
	if (engine->running)
		check_accounts(engine);
	if (engine->dead_lane && engine->dead_lane != engine->sink_lane)
		code = lane_close(engine->dead_lane, err);
	if (engine->sink_lane) {
		int sink_code = lane_close(engine->sink_lane, code ? NULL : err);
		code = code ? code : sink_code;
	}
	engine->sink_lane = engine->dead_lane = NULL;
	close_steps(engine);
	int broker_code = close_broker(engine, code ? NULL : err);
	code = code ? code : broker_code;
	close_source(engine);
	weir_shield_leave();
	return code;
}

/* Failures come before wrong accounts, those before a stop, that before dead letters. */
static int exit_code(struct engine *engine)
{
	bool all = engine->source_ended && !engine_unfinished(engine);
	if (engine->failed_exit)
		return engine->failed_exit;
	bool stopped = engine->state == ENGINE_DRAINING;
	engine->state = all ? ENGINE_DONE : ENGINE_STOPPED;
	if (all)
		engine->reason = NULL;
	else
		return stopped ? EXIT_STOPPED : EXIT_ACCOUNTS;
	return engine->accounts.dead ? EXIT_DEAD_LETTERS : EXIT_DONE;
}

static void run_to_the_end(struct engine *engine)
{
	struct weir_error err = {0};
	engine->running = true;
	int code = start_fibers(engine);
	if (code) {
		weir_error_set(&err, code, "cannot start the workers: %s", weir_strerror(code));
		engine_fail(engine, EX_UNAVAILABLE, &err);
	}
	wait_for_fibers(engine);
	engine_learnt_write(engine);
}

int engine_run(struct engine *engine, struct weir_error *err)
{
	struct weir_error close_err = {0};
	if (!engine->was_done)
		run_to_the_end(engine);
	if (engine_close(engine, &close_err))
		engine_fail(engine, EX_IOERR, &close_err);
	if (engine->failed_exit && err)
		*err = engine->failure;
	return engine->was_done && !engine->failed_exit ? EXIT_DONE : exit_code(engine);
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	weir_group_free(engine->intake);
	weir_group_free(engine->workers);
	weir_group_free(engine->helpers);
	weir_event_free(engine->stopping);
	weir_event_free(engine->left_alone);
	weir_event_free(engine->has_room);
	for (size_t i = 0; i < engine->plan->step_count; i++)
		weir_sem_free(engine->step_places[i]);
	engine_learnt_free(engine);
	weir_policy_free(engine->policy);
	weir_histogram_free(engine->attempt_ns);
	weir_histogram_free(engine->item_ns);
	engine_classes_free(engine);
	free(engine);
}
