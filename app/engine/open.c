/* SPDX-License-Identifier: MIT */
/*
 * Opening a run.  What the broker remembers decides the rest (resume.h), and nothing is handed out before all is open:
 *
 *     broker -> recall -> decide -> source, at its place -> steps -> sinks, at their places -> start -> lanes
 */
#include "engine/internal.h"
#include "engine/resume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A durable broker's ack takes as long as a sink's write, and its items come from disk: more are under way. */
enum { BROKER_PER_WORKER = 4, BROKER_BATCHES = 2, BROKER_BATCHES_DURABLE = 4, BROKER_LEAST = 16 };

#define BROKER_BYTES ((size_t)32 << 20)

/* What is prepared for when nobody knows yet. */
enum { EXPECTED = 50 };

static int open_steps(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	const struct plan *plan = engine->plan;
	struct step_env env = engine->opts.env;
	env.concurrency = engine->concurrency ? engine->concurrency : EXPECTED;
	env.most = engine->most;
	env.policy = engine->policy;
	engine->steps = calloc(plan->step_count + 1, sizeof(struct step *));
	*ret_exit = EX_UNAVAILABLE;
	if (!engine->steps)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_adapter *step = &plan->steps[i];
		int code = step->adapter->step->open(step->config, &env, &engine->steps[i], err);
		if (!code && step->concurrency && weir_sem_new((uint64_t)step->concurrency, &engine->step_places[i]))
			code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
		if (code)
			return code;
	}
	return 0;
}

static int open_lane(struct engine *engine, enum broker_lane which, const struct plan_adapter *sink,
		     const struct broker_past *past, struct lane **ret_lane, struct weir_error *err)
{
	const struct lane_options opts = {
		.which = which,
		.adapter = sink->adapter,
		.config = sink->config,
		.env = {.run = engine->broker_ops->durable ? engine->run : NULL,
			.position = past->positions[which].len ? &past->positions[which] : NULL},
	};
	return lane_open(engine, &opts, ret_lane, err);
}

static int open_lanes(struct engine *engine, const struct broker_past *past, struct weir_error *err)
{
	const struct plan *plan = engine->plan;
	const struct plan_adapter fallback = {.adapter = engine->opts.dead_adapter,
					      .config = (void *)(uintptr_t)engine->opts.dead_config};
	int code = open_lane(engine, LANE_SINK, &plan->sink, past, &engine->sink_lane, err);
	if (code)
		return code;
	if (engine->opts.dead_to_sink)
		engine->dead_lane = engine->sink_lane;
	else if (plan->dead_letter.adapter)
		return open_lane(engine, LANE_DEAD, &plan->dead_letter, past, &engine->dead_lane, err);
	else if (!engine->broker_ops->bury)
		return open_lane(engine, LANE_DEAD, &fallback, past, &engine->dead_lane, err);
	return 0;
}

static size_t broker_places(const struct engine *engine, size_t concurrency)
{
	size_t batches = engine->broker_ops->durable ? BROKER_BATCHES_DURABLE : BROKER_BATCHES;
	return concurrency * BROKER_PER_WORKER + (size_t)engine->plan->settings.batch_items * batches + BROKER_LEAST;
}

void engine_make_places(struct engine *engine, size_t concurrency)
{
	if (engine->broker)
		engine->broker_ops->grow(engine->broker, broker_places(engine, concurrency));
}

static int open_broker(struct engine *engine, struct weir_error *err)
{
	const struct plan *plan = engine->plan;
	struct broker_options opts = {
		.folder = engine->opts.state,
		.capacity_items = broker_places(engine, engine->concurrency ? engine->concurrency : EXPECTED),
		.most_items = broker_places(engine, engine->most),
		.capacity_bytes = engine_queue_bytes(plan, BROKER_BYTES),
		.class_of = plan->settings.priority_field ? engine_class_of : NULL,
		.arg = engine,
		.aging = plan->settings.priority_aging,
	};
	size_t most = opts.capacity_items / 2;
	engine->put_most = most < BROKER_PUT_MAX ? most : BROKER_PUT_MAX;
	return engine->broker_ops->open(plan->broker.config, &opts, &engine->broker, err);
}

/* 32 hexadecimal digits that no other run has. */
static int name_run(char run[33], struct weir_error *err)
{
	unsigned char random[16];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return weir_error_set(err, -errno, "getrandom: %s", weir_strerror(-errno));
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(run + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static void count_before(struct engine *engine, const struct broker_accounts *was)
{
	engine->accounts = *was;
	engine->settled_before = was->succeeded + was->dropped + was->dead;
}

/* Goes on where an earlier run was. */
static int go_on(struct engine *engine, const struct broker_past *past, struct weir_error *err)
{
	engine->resumed = true;
	count_before(engine, &past->accounts);
	engine->source_ended = past->sealed;
	memcpy(engine->run, past->run, sizeof engine->run);
	if (past->sealed || !past->source.len)
		return 0;
	return engine->source_ops->resume(engine->source, past->source.data, &past->cursor,
					  engine->opts.wish == WISH_ADOPT, err);
}

/* Tells the broker that the run begins or goes on, and from where. */
static int start_broker(struct engine *engine, struct weir_error *err)
{
	struct lane *lanes[LANES] = {engine->sink_lane,
				     engine->dead_lane == engine->sink_lane ? NULL : engine->dead_lane};
	struct broker_start start = {.run = engine->run, .plan = engine->plan->meaning};
	struct value positions[LANES] = {{0}};
	struct buf identity = {0};
	uint64_t *written[LANES] = {NULL};
	size_t n[LANES] = {0};
	int code = 0;
	for (int i = 0; i < LANES && !code; i++) {
		if (lanes[i])
			code = lane_recall(lanes[i], &positions[i], &written[i], &n[i], err);
		start.positions[i] = positions[i].len ? &positions[i] : NULL;
		start.written[i] = written[i];
		start.n[i] = n[i];
	}
	buf_add_str(&identity, "");
	if (!code && !engine->source_ops->identify(engine->source, &identity))
		buf_clear(&identity);
	start.source = identity.data;
	if (!code && identity.failed)
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (!code)
		code = engine->broker_ops->start(engine->broker, &start, err, WEIR_FOREVER);
	for (int i = 0; i < LANES; i++) {
		value_fini(&positions[i]);
		free(written[i]);
	}
	buf_fini(&identity);
	return code;
}

/* What the sinks had already was settled by the start. */
static int recount(struct engine *engine, struct weir_error *err)
{
	struct broker_past past = {0};
	int code = engine->broker_ops->recall(engine->broker, &past);
	if (code)
		return weir_error_set(err, code, "out of memory");
	count_before(engine, &past.accounts);
	broker_past_fini(&past);
	return 0;
}

static int open_rest(struct engine *engine, const struct broker_past *past, bool fresh, int *ret_exit,
		     struct weir_error *err)
{
	static const struct broker_past none;
	int code = open_steps(engine, ret_exit, err);
	if (code)
		return code;
	if (fresh && past->begun)
		code = engine->broker_ops->forget(engine->broker, err, WEIR_FOREVER);
	if (!code)
		code = open_lanes(engine, fresh ? &none : past, err);
	if (!code)
		code = start_broker(engine, err);
	*ret_exit = engine_exit_of(code);
	if (!code && !fresh)
		code = recount(engine, err);
	engine->exact = !code && lane_exact(engine->sink_lane);
	if (!code)
		code = lane_start(engine->sink_lane, err);
	if (!code && engine->dead_lane && engine->dead_lane != engine->sink_lane)
		code = lane_start(engine->dead_lane, err);
	return code;
}

/* What was done before decides what is opened, and how. */
static int open_all(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	struct broker_past past = {0};
	enum resume resume = RESUME_BEGIN;
	int code = open_broker(engine, err);
	*ret_exit = engine_exit_of(code);
	if (!code)
		code = engine->broker_ops->recall(engine->broker, &past);
	if (!code)
		code = resume_decide(&past, engine->plan->meaning, engine->opts.wish, &resume, ret_exit, err);
	if (!code && resume == RESUME_NOTHING) {
		code = go_on(engine, &past, err);
		engine->was_done = !code;
		engine->state = ENGINE_DONE;
	} else if (!code) {
		*ret_exit = EX_IOERR;
		code = engine->source_ops->open(engine->plan->source.config, &engine->source, err);
		if (code == WEIR_EINVAL) /* it can be read, and is not what the config says */
			*ret_exit = EX_CONFIG;
		if (!code) {
			*ret_exit = EX_CONFIG;
			code = resume == RESUME_GO_ON ? go_on(engine, &past, err) : name_run(engine->run, err);
		}
		if (!code)
			code = open_rest(engine, &past, resume == RESUME_BEGIN, ret_exit, err);
	}
	broker_past_fini(&past);
	return code;
}

static int make_objects(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	static const struct weir_group_options collect = {.flags = WEIR_GROUP_COLLECT};
	*ret_exit = EX_UNAVAILABLE;
	if (weir_group_new(&collect, &engine->intake) || weir_group_new(&collect, &engine->workers) ||
	    weir_group_new(&collect, &engine->helpers) || weir_event_new(&engine->stopping) ||
	    weir_event_new(&engine->left_alone) || weir_histogram_new(&engine->attempt_ns) ||
	    weir_histogram_new(&engine->item_ns) || weir_event_new(&engine->has_room) || engine_classes_open(engine))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return 0;
}

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
	engine->random = (uint64_t)weir_clock();
	engine_memory_begin(&engine->memory, plan->settings.max_memory);
	int code = make_objects(engine, ret_exit, err);
	if (!code)
		code = engine_flow_open(engine, err);
	if (!code && engine_learnt_open(engine))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (!code)
		code = open_all(engine, ret_exit, err);
	if (code) {
		engine_close(engine, NULL);
		engine_free(engine);
		return code;
	}
	*ret_engine = engine;
	return 0;
}
