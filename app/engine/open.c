/* SPDX-License-Identifier: MIT */
/*
 * Opening a run.  What the broker remembers decides the rest (resume.h), and nothing is handed out before all is open:
 *
 *     broker -> recall -> decide -> source, at its place -> steps -> sinks, compared with their places
 *     -> forget (a run that begins in place of another) -> sinks made ready -> begin -> outputs
 *
 * Another process may begin at the same time, and then only one of the two names of the run comes to be.  So a sink
 * that notes what the run has written is made ready behind begin(), under the name that holds.  All others are made
 * ready before: begin() stores where they stand, and nobody works on a run yet whose file is being emptied.
 *
 * Until all has been compared nothing outside the state folder is changed: a run that is refused leaves every file as
 * it was.
 */
#include "engine/internal.h"
#include "engine/resume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "spec/meaning.h"

#define BROKER_BYTES  ((size_t)32 << 20)
#define OPEN_PATIENCE (5 * WEIR_SEC)

/* What is prepared for when nobody knows yet. */
enum { EXPECTED = 50, OPEN_AGAIN = 3 };

static int open_steps(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	const struct plan *plan = engine->life.plan;
	struct step_env env = engine->life.opts.env;
	env.concurrency = engine->pace.concurrency ? engine->pace.concurrency : EXPECTED;
	env.most = engine->pace.most;
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct step_ops *ops = plan->steps[i].adapter->step;
		env.meta = env.meta || (ops->reads_meta && ops->reads_meta(plan->steps[i].config));
	}
	spec_meaning_steps(plan->meaning, engine->steps.numbers, plan->step_count);
	engine->steps.all = calloc(plan->step_count + 1, sizeof(struct step *));
	*ret_exit = EX_UNAVAILABLE;
	if (!engine->steps.all)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	for (size_t i = 0, calls = 0; i < plan->step_count; i++) {
		const struct plan_adapter *step = &plan->steps[i];
		env.key_number = calls ? i + 1 : 0;
		calls += step->adapter->step->upstream != NULL;
		int code = step->adapter->step->open(step->config, &env, &engine->steps.all[i], err);
		if (!code && step->concurrency && weir_sem_new((uint64_t)step->concurrency, &engine->steps.places[i]))
			code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
		if (code)
			return code;
	}
	return 0;
}

static void note(void *arg, const char *text)
{
	const struct engine *engine = arg;
	engine_note(&engine->life, "%s", text);
}

/* Whether a source or a sink is to be opened again, because its server is still loading its data.  Waits for a moment
 * before, and says so once. */
static bool waits_for_server(const struct engine *engine, const char *what, bool *said, int *code,
			     struct weir_error *err)
{
	const struct engine_options *opts = &engine->life.opts;
	if (*code != WEIR_EAGAIN || !opts->await_server) {
		if (!*code && *said)
			engine_note(&engine->life, "%s: works again", what);
		return false;
	}
	if (!*said)
		engine_note(&engine->life, "%s: %s; trying again until it works", what, err->text);
	*said = true;
	if (opts->await_server(opts->arg))
		return true;
	*code = weir_error_set(err, WEIR_ECANCELED, "stopped while the server of the %s was still loading its data",
			       what);
	return false;
}

static int open_output(struct engine *engine, enum broker_outlet which, const struct plan_adapter *sink,
		       const struct broker_past *past, bool fresh, struct weir_error *err)
{
	const struct value *position = past->positions[which].len ? &past->positions[which] : NULL;
	bool is_shared = engine->store.ops->exactness == BROKER_SHARED;
	const struct output_options opts = {
		.which = which,
		.adapter = sink->adapter,
		.config = sink->config,
		.env = {.run = engine->store.ops->exactness != BROKER_FORGETS ? engine->life.run : NULL,
			.position = fresh ? NULL : position,
			.replaced = fresh ? position : NULL,
			.shared = is_shared,
			.joins = is_shared && !fresh,
			.pipeline = engine->life.plan->settings.name,
			.clean = past->clean,
			.adopt = engine->life.opts.wish == WISH_ADOPT,
			.note = note,
			.arg = engine},
		.store = &engine->store,
		.load = &engine->load,
		.stats = &engine->sinks.stats,
		.refused = which == OUTLET_SINK && !engine->life.opts.dead_to_sink ? engine_refused : NULL,
		.arg = engine,
	};
	bool said = false;
	int code;
	do
		code = output_open(&opts, &engine->sinks.outputs[which], err);
	while (waits_for_server(engine, which == OUTLET_DEAD ? "dead letters" : "sink", &said, &code, err));
	return code;
}

static int open_outputs(struct engine *engine, const struct broker_past *past, bool fresh, struct weir_error *err)
{
	const struct plan *plan = engine->life.plan;
	const struct plan_adapter fallback = {.adapter = engine->life.opts.dead_adapter,
					      .config = (void *)(uintptr_t)engine->life.opts.dead_config};
	const struct plan_adapter *letters = plan->dead_letter.adapter       ? &plan->dead_letter
					     : engine->store.ops->queue.bury ? NULL
									     : &fallback;
	struct engine_sinks *sinks = &engine->sinks;
	int code = open_output(engine, OUTLET_SINK, &plan->sink, past, fresh, err);
	if (!code && letters && !engine->life.opts.dead_to_sink)
		code = open_output(engine, OUTLET_DEAD, letters, past, fresh, err);
	sinks->dead = sinks->outputs[engine->life.opts.dead_to_sink ? OUTLET_SINK : OUTLET_DEAD];
	return code;
}

static bool claims_in_fleet(const struct engine *engine, const struct output *output)
{
	return engine->store.ops->exactness == BROKER_SHARED && output_exactness(output) == SINK_BY_CLAIM;
}

/* Those that wait for begin(), or all others. */
static int prepare_outputs(struct engine *engine, bool waiting, struct weir_error *err)
{
	int code = 0;
	for (int i = 0; i < OUTLETS && !code; i++) {
		struct output *output = engine->sinks.outputs[i];
		if (output && claims_in_fleet(engine, output) == waiting)
			code = output_prepare(output, err);
	}
	return code;
}

static int start_outputs(struct engine *engine, struct weir_error *err)
{
	int code = 0;
	for (int i = 0; i < OUTLETS && !code; i++)
		code = engine->sinks.outputs[i] ? output_start(engine->sinks.outputs[i], err) : 0;
	return code;
}

static int64_t class_of(void *arg, const struct item *item)
{
	const struct engine *engine = arg;
	return engine_class_of(engine->life.plan, item);
}

static bool has_no_room_for_retries(void *arg)
{
	const struct engine *engine = arg;
	return !weir_policy_may_retry(engine->pace.policy);
}

static void came(void *arg, struct item *item)
{
	const struct engine *engine = arg;
	engine_order_came(engine->order, item);
}

static const struct item *only(void *arg)
{
	const struct engine *engine = arg;
	return engine_order_only(engine->order);
}

/* 32 hexadecimal digits that nothing else has. */
static int make_name(char name[33], struct weir_error *err)
{
	unsigned char random[16];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return weir_error_set(err, -errno, "getrandom: %s", weir_strerror(-errno));
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(name + 2 * i, 3, "%02x", random[i]);
	return 0;
}

/* A server that is still loading its data is waited for; one that cannot be reached is an error at once, since its
 * address may be wrong. */
static int open_patiently(struct engine *engine, const struct broker_options *opts, struct weir_error *err)
{
	const struct engine_options *of = &engine->life.opts;
	const struct plan *plan = engine->life.plan;
	int code;
	while ((code = engine->store.ops->open(plan->broker.config, opts, &engine->store.broker, err)) == WEIR_EBUSY &&
	       engine->fleet && of->await_server) {
		engine_broker_away(&engine->store, err->text);
		if (!of->await_server(of->arg))
			return weir_error_set(err, WEIR_ECANCELED, "stopped before the broker was open");
	}
	if (!code)
		engine_broker_away(&engine->store, "");
	return code;
}

static int open_broker(struct engine *engine, struct weir_error *err)
{
	const struct plan *plan = engine->life.plan;
	int code = make_name(engine->store.owner, err);
	struct broker_options opts = {
		.name = plan->settings.name,
		.owner = engine->store.owner,
		.folder = engine->life.opts.state,
		.capacity_items = engine_places(engine, engine->pace.concurrency ? engine->pace.concurrency : EXPECTED),
		.most_items = engine_places(engine, engine->pace.most),
		.capacity_bytes = engine_queue_bytes(plan, BROKER_BYTES),
		.class_of = plan->settings.priority_field ? class_of : NULL,
		.arg = engine,
		.aging = plan->settings.priority_aging,
		/* Those of an ordering key come in their order, whatever room there is. */
		.fresh_first = plan->settings.order_by ? NULL : has_no_room_for_retries,
		.came = engine->order ? came : NULL,
		.only = engine->order ? only : NULL,
		.fleet = engine_fleet_listener(engine->fleet),
		.trip_ns = engine->store.trip_ns,
	};
	size_t most = opts.capacity_items / 2, put_most = engine->store.ops->queue.put_most;
	engine->input.put_most = most < put_most ? most : put_most;
	return code ? code : open_patiently(engine, &opts, err);
}

static const char *file_name(const struct plan *plan)
{
	const char *file = plan->file ? plan->file : "", *slash = strrchr(file, '/');
	return slash ? slash + 1 : file;
}

/* A pipeline that "has changed" may be another one with the name of the first. */
static void blame_name(const struct engine *engine, const struct broker_past *past, struct weir_error *err)
{
	const char *file = file_name(engine->life.plan);
	if (!past->file.len || strcmp(past->file.data, file) == 0)
		return;
	weir_error_set(err, WEIR_EINVAL,
		       "the name \"%s\" belongs to the run of %s; give %s another name (name: ...), or say %s if it is "
		       "the same pipeline",
		       engine->life.plan->settings.name, past->file.data, file, past->done ? "--fresh" : "--adopt");
}

/* Whether to ask again until then: a server that others share may be away for a moment. */
static bool may_ask_again(const struct engine *engine, int code, weir_nsec until)
{
	return code == WEIR_EBUSY && engine->fleet && weir_now() < until && !weir_sleep(WEIR_SEC / 10);
}

/* Tells the broker that the run begins or continues, and from where.  was: the run that it has now; is_replaced:
 * --adopt changes the pipeline of that run. */
static int begin(struct engine *engine, const char *was, bool is_replaced, struct weir_error *err)
{
	struct output *const *outputs = engine->sinks.outputs;
	struct broker_start start = {.was = was,
				     .run = engine->life.run,
				     .plan = engine->life.plan->meaning,
				     .stop = is_replaced ? "the pipeline was changed with --adopt" : NULL,
				     .file = file_name(engine->life.plan),
				     .adopt = engine->life.opts.wish == WISH_ADOPT};
	struct value positions[OUTLETS] = {{0}};
	struct buf identity = {0};
	uint64_t *written[OUTLETS] = {NULL};
	size_t n[OUTLETS] = {0};
	int code = 0;
	for (int i = 0; i < OUTLETS && !code; i++) {
		if (outputs[i])
			code = output_recall(outputs[i], &positions[i], &written[i], &n[i], err);
		start.positions[i] = positions[i].len ? &positions[i] : NULL;
		start.written[i] = written[i];
		start.n[i] = n[i];
	}
	buf_add_str(&identity, "");
	if (!code && engine->input.source && !engine->input.ops->identify(engine->input.source, &identity))
		buf_clear(&identity);
	start.source = engine->input.source ? identity.data : NULL;
	if (!code && identity.failed)
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	weir_nsec until = weir_after(OPEN_PATIENCE);
	if (!code)
		do
			code = engine->store.ops->journal.begin(engine->store.broker, &start, err, WEIR_FOREVER);
		while (may_ask_again(engine, code, until));
	for (int i = 0; i < OUTLETS; i++) {
		value_fini(&positions[i]);
		free(written[i]);
	}
	buf_fini(&identity);
	return code;
}

int engine_exit_of_opening(int code)
{
	switch (code) {
	case WEIR_EIO:
	case WEIR_EDATA:
	case WEIR_ENOSPC:
		return EX_IOERR;
	case WEIR_EBUSY:
	case WEIR_ENOMEM:
	case WEIR_EMFILE:
	case WEIR_EPIPE:
	case WEIR_ECANCELED:
	case WEIR_ETIMEDOUT:
	case WEIR_ECLOSED:
		return EX_UNAVAILABLE;
	case WEIR_EAGAIN:
		return EX_TEMPFAIL;
	default:
		return EX_CONFIG;
	}
}

static int open_source(struct engine *engine, const struct broker_past *past, bool fresh, struct weir_error *err)
{
	engine->past = (struct engine_past){.resumed = !fresh, .done = !fresh && past->done};
	memcpy(engine->life.run, past->run, sizeof engine->life.run);
	int code = fresh ? make_name(engine->life.run, err) : 0;
	if (!code)
		tracer_set_run(engine->life.opts.tracer, engine->life.run);
	if (code || !engine_has_role(&engine->life, ENGINE_SUBMIT))
		return code;
	bool said = false;
	do
		code = engine_open_source(engine, fresh ? NULL : past, err);
	while (waits_for_server(engine, "source", &said, &code, err));
	return code;
}

static bool is_exact(const struct engine *engine)
{
	enum sink_exactness sink = output_exactness(engine->sinks.outputs[OUTLET_SINK]);
	return sink == SINK_BY_KEY || sink == SINK_BY_CLAIM ||
	       (sink != SINK_REPEATS && engine->store.ops->exactness != BROKER_SHARED);
}

/* Before anything is changed. */
static int check_exactness(struct engine *engine, struct weir_error *err)
{
	const struct plan *plan = engine->life.plan;
	engine->sinks.exact = is_exact(engine);
	if (engine->sinks.exact || plan->settings.exactly_once != EXACTLY_ONCE_REQUIRED)
		return 0;
	return weir_error_set(err, WEIR_EINVAL,
			      "sink.exactly_once is required, and after a crash the sink %s may get outputs twice",
			      plan->sink.adapter->name);
}

/* Whether --adopt replaces the pipeline of the run. */
static int replaces(const struct engine *engine, const struct broker_past *past, bool fresh, bool *ret_replaces,
		    struct weir_error *err)
{
	struct buf change = {0};
	bool adopts = engine->life.opts.wish == WISH_ADOPT && !fresh;
	int code = adopts ? spec_meaning_compare(past->plan.data, engine->life.plan->meaning, &change, err) : 0;
	*ret_replaces = change.len;
	buf_fini(&change);
	return code;
}

static int open_rest(struct engine *engine, const struct broker_past *past, bool fresh, struct weir_error *err)
{
	bool works = engine_has_role(&engine->life, ENGINE_WORK), is_replaced = false;
	int code = works ? open_outputs(engine, past, fresh, err) : 0;
	if (!code && works)
		code = check_exactness(engine, err);
	if (!code)
		code = replaces(engine, past, fresh, &is_replaced, err);
	if (!code && fresh && past->begun)
		code = engine->store.ops->journal.forget(engine->store.broker, past->run, err, WEIR_FOREVER);
	if (!code && works)
		code = prepare_outputs(engine, false, err);
	if (!code)
		code = begin(engine, fresh ? "" : past->run, is_replaced, err);
	if (!code && works)
		code = prepare_outputs(engine, true, err);
	if (!code)
		code = engine_accept(engine, err);
	if (code || !works)
		return code;
	code = start_outputs(engine, err);
	return code ? code : engine_order_start(engine->order, engine->sinks.outputs[OUTLET_SINK], err);
}

/* What was done before decides what is opened, and how. */
static int open_ends(struct engine *engine, const struct broker_past *past, int *ret_exit, struct weir_error *err)
{
	bool fresh = true;
	const struct engine_options *opts = &engine->life.opts;
	int code =
		resume_decide(past, engine->life.plan->meaning, opts->wish, opts->dead_to_sink, &fresh, ret_exit, err);
	if (code == WEIR_EINVAL && *ret_exit == EX_CONFIG)
		blame_name(engine, past, err);
	if (!code && fresh && opts->wish == WISH_RESUME && resume_is_barren(past))
		engine_note(&engine->life, "starting over: all of the last run failed");
	if (!code) {
		code = open_source(engine, past, fresh, err);
		*ret_exit = engine_exit_of_opening(code);
	}
	if (!code && engine_has_role(&engine->life, ENGINE_WORK))
		code = open_steps(engine, ret_exit, err);
	if (!code) {
		code = open_rest(engine, past, fresh, err);
		*ret_exit = engine_exit_of_opening(code);
	}
	return code;
}

static int recall_and_open(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	struct broker_past past = {0};
	weir_nsec until = weir_after(OPEN_PATIENCE);
	int code;
	do
		code = engine->store.ops->journal.recall(engine->store.broker, &past, err, WEIR_FOREVER);
	while (may_ask_again(engine, code, until));
	*ret_exit = engine_exit_of(code);
	if (!code)
		code = open_ends(engine, &past, ret_exit, err);
	broker_past_fini(&past);
	return code;
}

/* Between the look at the past and the begin another process may have begun, ended or forgotten a run. */
static int open_all(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	int code = open_broker(engine, err);
	*ret_exit = engine_exit_of(code);
	if (code)
		return code;
	code = recall_and_open(engine, ret_exit, err);
	for (int again = 0; code == BROKER_MOVED && again < OPEN_AGAIN; again++) {
		engine_close_ends(engine, NULL);
		code = recall_and_open(engine, ret_exit, err);
	}
	if (!code && engine_has_role(&engine->life, ENGINE_WORK))
		engine_fleet_join(engine->fleet);
	if (code != BROKER_MOVED)
		return code;
	*ret_exit = EX_TEMPFAIL;
	return weir_error_set(err, WEIR_EBUSY, "another process is starting or removing this run; try again");
}

static int make_objects(struct engine *engine, int *ret_exit, struct weir_error *err)
{
	static const struct weir_group_options collect = {.flags = WEIR_GROUP_COLLECT};
	*ret_exit = EX_UNAVAILABLE;
	if (weir_group_new(&collect, &engine->intake) || weir_group_new(&collect, &engine->workers) ||
	    weir_group_new(&collect, &engine->helpers) || weir_event_new(&engine->life.stopping) ||
	    weir_event_new(&engine->visits.over) || weir_histogram_new(&engine->tally.attempt_ns) ||
	    weir_histogram_new(&engine->store.item_ns) || weir_histogram_new(&engine->store.ack_ns) ||
	    weir_histogram_new(&engine->store.trip_ns) || weir_histogram_new(&engine->sinks.stats.write_ns) ||
	    weir_histogram_new(&engine->sinks.stats.batch_items) || weir_event_new(&engine->load.has_room) ||
	    engine_classes_open(&engine->classes, &engine->life.plan->settings.priority_sla) ||
	    engine_left_open(&engine->left, &engine->life))
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
	engine->life.plan = plan;
	engine->life.opts = *opts;
	engine->input.ops = plan->source.adapter->source;
	engine->store.ops = plan->broker.adapter->broker;
	engine->store.life = &engine->life;
	TAILQ_INIT(&engine->store.held);
	engine_memory_begin(&engine->load.memory, plan->settings.max_memory);
	int code = make_objects(engine, ret_exit, err);
	/* What a process of a fleet owes a rate nobody would read: its folder goes with it. */
	if (!code && !engine->store.ops->fleet && engine_upstreams_open(&engine->life, &engine->pace.upstreams))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (!code)
		code = engine_flow_open(engine, err);
	if (!code && engine_fleet_open(engine))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (!code)
		engine_upstreams_recall(engine->pace.upstreams, engine->pace.policy);
	if (!code) {
		code = engine_order_open(&engine->store, &engine->load, &engine->order, err);
		*ret_exit = engine_exit_of_opening(code);
	}
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
