/* SPDX-License-Identifier: MIT */
/*
 * The life of a run.
 *
 *     open: source, broker, outputs, steps
 *     run:  supervisor, intake, and weir_process() with its workers, which ends when the broker has nothing more
 *     end:  intake, then the output of the sink (it may still send to the dead letters), then that of the dead letters
 *
 * A stop sets an event; the supervisor then ends the intake, lets the broker hand out nothing more, gives the workers
 * the drain time and cancels those that are left.  Who only waits for its turn before an upstream goes back at once.  A
 * failure is a stop without drain time.
 */
#include "engine/internal.h"

#include <stdlib.h>

#define DRAIN_LOOK (10 * WEIR_MSEC)
#define AWAIT_LOOK (WEIR_SEC / 5)

void engine_stop(struct engine *engine, const char *reason)
{
	engine_end(&engine->life, reason);
}

/* Until nothing is in the steps any more; retries that wait in memory are not waited for.  WEIR_ECANCELED. */
static int drain_steps(const struct engine *engine, weir_nsec until)
{
	int code = 0;
	while (!code && engine->life.state == ENGINE_DRAINING && (engine->load.in_flight || engine->load.in_hand) &&
	       weir_now() < until)
		code = weir_sleep(DRAIN_LOOK);
	return code;
}

static int supervise(void *arg)
{
	struct engine *engine = arg;
	if (weir_event_wait(engine->life.stopping, WEIR_FOREVER))
		return 0;
	weir_nsec until = weir_now() + engine->life.plan->settings.drain;
	weir_group_cancel(engine->intake);
	engine->store.ops->queue.stop(engine->store.broker);
	weir_policy_close(engine->pace.policy); /* who waits for its turn goes back */
	engine_fleet_give_up(engine->fleet);
	if (drain_steps(engine, until))
		return 0;
	weir_group_cancel(engine->workers);
	while (engine->life.state != ENGINE_FAILED && weir_now() < until)
		if (weir_sleep(DRAIN_LOOK))
			return 0;
	for (int i = 0; i < OUTLETS; i++)
		if (engine->sinks.outputs[i])
			output_cancel(engine->sinks.outputs[i]);
	return 0;
}

/* What is there to do for who only reads the source. */
static int await_end(void *arg)
{
	const struct engine *engine = arg;
	struct broker_counts counts;
	bool is_over;
	do {
		engine_counts(&engine->store, &counts);
		is_over = counts.ended || (engine->life.opts.detach && engine->input.ended);
	} while (!is_over && engine->life.state == ENGINE_RUNNING && !weir_sleep(AWAIT_LOOK));
	return 0;
}

static int start_fibers(struct engine *engine)
{
	bool works = engine_has_role(&engine->life, ENGINE_WORK);
	const struct {
		struct weir_spawn_options opts;
		struct weir_group *group;
		weir_fiber_fn run;
		void *arg; /* NULL: it is not needed */
	} fibers[] = {
		{{.name = "supervisor"}, engine->helpers, supervise, engine},
		{{.name = "intake"}, engine->intake, engine_intake, engine->input.source ? engine : NULL},
		{{.name = "watch"}, engine->helpers, engine_watch, engine},
		{{.name = "memory"},
		 engine->helpers,
		 engine_watch_memory,
		 engine->load.memory.most ? &engine->load : NULL},
		{{.name = "upstreams"}, engine->helpers, engine_keep_upstreams, engine->pace.upstreams},
		{{.name = "shares"}, engine->helpers, engine_shares_keep, engine->shares},
		{{.name = "others"}, engine->helpers, engine_fleet_keep_looking, works ? engine->fleet : NULL},
		{{.name = "work"}, engine->workers, works ? engine_work : await_end, engine},
	};
	int code = 0;
	for (size_t i = 0; i < sizeof fibers / sizeof *fibers && !code; i++)
		if (fibers[i].arg)
			code = weir_group_spawn_with(fibers[i].group, &fibers[i].opts, fibers[i].run, fibers[i].arg,
						     WEIR_FOREVER);
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
static void finish_outputs(struct engine *engine)
{
	engine_order_finish(engine->order);
	for (int i = 0; i < OUTLETS; i++)
		if (engine->sinks.outputs[i])
			output_finish(engine->sinks.outputs[i]);
	if (engine->helpers) {
		weir_group_cancel(engine->helpers);
		weir_group_wait(engine->helpers, WEIR_FOREVER);
	}
}

static void audit(struct engine *engine)
{
	struct weir_error err = {0};
	if (engine->store.ops->journal.audit(engine->store.broker, &err, WEIR_FOREVER))
		engine_fail(&engine->life, EXIT_ACCOUNTS, &err);
}

/* Whoever looks at the run meanwhile, for closing suspends, finds what is open or nothing. */
static void close_steps(struct engine *engine)
{
	for (size_t i = 0; engine->steps.all && i < engine->life.plan->step_count; i++) {
		struct step *step = engine->steps.all[i];
		engine->steps.all[i] = NULL;
		if (step)
			engine->life.plan->steps[i].adapter->step->close(step);
	}
	free(engine->steps.all);
	engine->steps.all = NULL;
}

static int close_broker(struct engine *engine, struct weir_error *err)
{
	struct broker *broker = engine->store.broker;
	if (!broker)
		return 0;
	engine->store.ops->queue.counts(broker, &engine->store.last);
	engine->store.broker = NULL;
	return engine->store.ops->close(broker, err);
}

static void close_source(struct engine *engine)
{
	struct source *source = engine->input.source;
	engine->input.source = NULL;
	if (!source)
		return;
	if (!engine->input.ended)
		engine->input.total = engine->input.ops->total(source, &engine->input.total_exact);
	engine->input.ops->close(source);
}

static int close_outputs(struct engine *engine, struct weir_error *err)
{
	int code = 0;
	for (int i = OUTLETS; i-- > 0;) {
		struct output *output = engine->sinks.outputs[i];
		engine->sinks.outputs[i] = NULL;
		int failed = output ? output_close(output, code ? NULL : err) : 0;
		code = code ? code : failed;
	}
	engine->sinks.dead = NULL;
	return code;
}

int engine_close_ends(struct engine *engine, struct weir_error *err)
{
	int code = close_outputs(engine, err);
	close_steps(engine);
	close_source(engine);
	return code;
}

static bool is_ahead(const struct engine_sinks *sinks)
{
	bool ahead = false;
	for (int i = 0; i < OUTLETS; i++)
		ahead = ahead || (sinks->outputs[i] && output_is_ahead(sinks->outputs[i]));
	return ahead;
}

int engine_close(struct engine *engine, struct weir_error *err)
{
	const struct journal_ops *journal = &engine->store.ops->journal;
	weir_shield_enter();
	finish_outputs(engine);
	engine->visits.closing = true;
	while (engine->visits.n) {
		weir_event_clear(engine->visits.over); /* of those who left before */
		weir_event_wait(engine->visits.over, WEIR_FOREVER);
	}
	if (engine->running) {
		audit(engine);
		engine_tell_dropped(engine);
	}
	if (is_ahead(&engine->sinks) && journal->leave_unclean)
		journal->leave_unclean(engine->store.broker);
	int code = close_outputs(engine, err);
	close_steps(engine);
	int broker_code = close_broker(engine, code ? NULL : err);
	close_source(engine);
	weir_shield_leave();
	return code ? code : broker_code;
}

/* Failures come before wrong accounts, those before a stop, that before dead letters. */
static int exit_code(struct engine *engine)
{
	bool all = engine->store.last.ended;
	if (engine->life.failed_exit)
		return engine->life.failed_exit;
	bool stopped = engine->life.state == ENGINE_DRAINING;
	bool submitted = !all && !stopped && engine->life.opts.detach && engine->input.ended;
	engine->life.state = all ? ENGINE_DONE : submitted ? ENGINE_SUBMITTED : ENGINE_STOPPED;
	if (all)
		engine->life.reason = NULL;
	else if (submitted)
		return EXIT_DONE;
	else
		return !stopped ? EXIT_ACCOUNTS : engine->life.gave_up[0] ? EXIT_GAVE_UP : EXIT_STOPPED;
	return engine->store.last.accounts.dead ? EXIT_DEAD_LETTERS : EXIT_DONE;
}

static void run_to_the_end(struct engine *engine)
{
	struct weir_error err = {0};
	engine->running = true;
	int code = start_fibers(engine);
	if (code) {
		weir_error_set(&err, code, "cannot start the workers: %s", weir_strerror(code));
		engine_fail(&engine->life, EX_UNAVAILABLE, &err);
	}
	wait_for_fibers(engine);
	engine_tell_of_disk(engine);
	engine_upstreams_write(engine->pace.upstreams);
}

int engine_run(struct engine *engine, struct weir_error *err)
{
	struct weir_error close_err = {0};
	run_to_the_end(engine);
	if (engine_close(engine, &close_err))
		engine_fail(&engine->life, EX_IOERR, &close_err);
	if (engine->life.failed_exit && err)
		*err = engine->life.failure;
	int code = exit_code(engine);
	return code == EXIT_DEAD_LETTERS && engine_was_done(engine) ? EXIT_DONE : code;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	weir_group_free(engine->intake);
	weir_group_free(engine->workers);
	weir_group_free(engine->helpers);
	weir_event_free(engine->life.stopping);
	weir_event_free(engine->visits.over);
	weir_event_free(engine->load.has_room);
	for (size_t i = 0; i < engine->life.plan->step_count; i++)
		weir_sem_free(engine->steps.places[i]);
	engine_order_free(engine->order);
	engine_fleet_free(engine->fleet);
	engine_shares_free(engine->shares);
	weir_policy_free(engine->pace.policy);
	engine_upstreams_free(engine->pace.upstreams);
	weir_histogram_free(engine->tally.attempt_ns);
	weir_histogram_free(engine->sinks.stats.write_ns);
	weir_histogram_free(engine->sinks.stats.batch_items);
	weir_histogram_free(engine->store.ack_ns);
	weir_histogram_free(engine->store.trip_ns);
	weir_histogram_free(engine->store.item_ns);
	engine_classes_free(&engine->classes);
	engine_left_free(&engine->left);
	free(engine);
}
