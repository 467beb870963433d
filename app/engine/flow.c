/* SPDX-License-Identifier: MIT */
/*
 * The engine's policy: made from the plan's section `flow`, changed while it runs, looked at for the report.
 *
 * `most` is how many items may ever be in the steps: what the descriptors allow, and what the broker has places for.
 */
#include "engine/internal.h"

#include <stdio.h>

enum { MOST_FOUND = 10000, MOST_FIXED = 4096, LOCAL = 50 };

/* A durable broker's ack takes as long as a sink's write, and its items come from disk: more are under way. */
enum { BROKER_PER_WORKER = 4, BROKER_BATCHES = 2, BROKER_BATCHES_DURABLE = 4, BROKER_LEAST = 16 };

static bool has_gates(const struct plan *plan)
{
	for (size_t i = 0; i < plan->step_count; i++)
		if (plan->steps[i].adapter->step->upstream)
			return true;
	return false;
}

/* A share that is zero is none, and for the library the default. */
static double share(double share)
{
	return share > 0 ? share : 1e-9;
}

static struct weir_breaker_options breaker_of(const struct plan_settings *s)
{
	return (struct weir_breaker_options){
		.failure_rate = share(s->breaker_failure_rate),
		.slow_rate = s->breaker_slow_rate,
		.slow = s->breaker_slow,
		.calls_least = (unsigned)s->breaker_calls,
		.window = s->breaker_window,
		.open = s->breaker_open[0],
		.open_most = s->breaker_open[1],
		.probes = (unsigned)s->breaker_probes,
		.denied_rate = s->breaker_denied,
	};
}

static struct weir_retry retry_of(const struct plan_settings *s)
{
	return (struct weir_retry){
		.attempts = (unsigned)s->retry_attempts,
		.elapsed = s->retry_elapsed,
		.backoff = {.base = s->retry_backoff[0],
			    .cap = s->retry_backoff[1],
			    .jitter = (enum weir_jitter)s->retry_jitter},
		.budget = {.share = share(s->retry_budget)},
	};
}

static struct weir_policy_options options_of(const struct engine *engine)
{
	const struct plan_settings *s = &engine->life.plan->settings;
	bool all = s->pattern == WEIR_PATTERN_NAIVE;
	bool reads_ahead =
		s->pattern == WEIR_PATTERN_AUTO || s->pattern == WEIR_PATTERN_QUEUE || s->pattern == WEIR_PATTERN_RATE;
	struct weir_policy_options opts = {
		.pattern = (enum weir_pattern)s->pattern,
		.concurrency = all ? 0 : engine->pace.concurrency,
		.most = all ? 0 : engine->pace.most,
		.rate = {.count = s->rate.count, .period = s->rate.period, .burst = (uint64_t)s->burst},
		.retry = retry_of(s),
		.timeout = s->timeout_attempt,
		.queue_timeout = s->timeout_queue,
		.total_timeout = s->timeout_total,
		.throttled = s->retry_throttled,
		.give_up = s->breaker_give_up,
		.probes_count = true,
		.together = !all,
		.longest = s->max_retry_after,
		.memory_bytes = reads_ahead ? s->max_memory : 0,
		.aging = s->priority_aging,
		.rate_wanted = engine->pace.upstreams ? engine_upstreams_wanted : NULL,
		.rate_arg = engine->pace.upstreams,
		.seed = engine->pace.seed,
	};
	/* Without an upstream there is nothing that a breaker could spare. */
	if (s->breaker_off || !engine->steps.gated)
		opts.gate_flags = WEIR_GATE_NO_BREAKER;
	else
		opts.breaker = breaker_of(s);
	if (opts.gate_flags != WEIR_GATE_NO_BREAKER && s->breaker_when_open == WHEN_OPEN_REJECT)
		opts.gate_flags |= WEIR_GATE_REJECT;
	return opts;
}

static double per_sec_of(const struct key_rate *rate)
{
	return rate->count ? (double)rate->count * (double)WEIR_SEC / (double)rate->period : 0;
}

/* How many at once to begin with, 0: to be found; and how many at most. */
static void choose_concurrency(struct engine *engine)
{
	size_t wanted = (size_t)engine->life.plan->settings.concurrency, allowed = engine->life.opts.most_concurrency;
	/* Latency of work on this machine tells nothing: the more there is at once, the longer each takes. */
	if (!wanted && !engine->steps.gated && engine->life.plan->settings.pattern != WEIR_PATTERN_NAIVE)
		wanted = LOCAL;
	size_t most = !wanted ? MOST_FOUND : wanted > MOST_FIXED ? wanted : MOST_FIXED;
	engine->pace.most = allowed && allowed < most ? allowed : most;
	engine->pace.wanted = (size_t)engine->life.plan->settings.concurrency;
	engine->pace.concurrency = wanted < engine->pace.most ? wanted : engine->pace.most;
}

size_t engine_places(const struct engine *engine, size_t concurrency)
{
	bool remembers = engine->store.ops->exactness != BROKER_FORGETS;
	size_t batches = remembers ? BROKER_BATCHES_DURABLE : BROKER_BATCHES;
	batches += engine->life.plan->sink.adapter->sink->ahead != SINK_ONE_BATCH;
	return concurrency * BROKER_PER_WORKER + (size_t)engine->life.plan->settings.batch_items * batches +
	       BROKER_LEAST;
}

void engine_make_places(const struct engine *engine, size_t concurrency)
{
	if (engine->store.broker)
		engine->store.ops->queue.grow(engine->store.broker, engine_places(engine, concurrency));
}

int engine_flow_open(struct engine *engine, struct weir_error *err)
{
	engine->steps.gated = has_gates(engine->life.plan);
	engine->pace.rate = engine->life.plan->settings.rate;
	engine->pace.own_per_sec = per_sec_of(&engine->pace.rate);
	engine->pace.seed = (uint64_t)weir_clock();
	choose_concurrency(engine);
	const struct weir_policy_options opts = options_of(engine);
	int code = weir_policy_new(&opts, &engine->pace.policy, err);
	if (code)
		return err && err->text[0] ? code : weir_error_set(err, code, "flow: %s", weir_strerror(code));
	/* "auto" is said with a preset that has a number of its own. */
	if (!engine->pace.concurrency && engine->life.plan->settings.pattern != WEIR_PATTERN_NAIVE)
		code = weir_policy_set_concurrency(engine->pace.policy, 0);
	return code ? weir_error_set(err, code, "flow: %s", weir_strerror(code)) : 0;
}

/* ---- while it runs */

static int check_changes(const struct engine *engine, const struct engine_changes *changes, struct weir_error *err)
{
	int pattern = engine->life.plan->settings.pattern;
	if (pattern == WEIR_PATTERN_NAIVE && (changes->has_concurrency || changes->has_rate))
		return weir_error_set(err, WEIR_EINVAL, "the pattern naive has no limits; only paused can be set");
	if (changes->has_concurrency && pattern == WEIR_PATTERN_CHUNKED && !changes->concurrency)
		return weir_error_set(
			err, WEIR_EINVAL,
			"concurrency: the batches of the pattern chunked have a fixed size; expected a number");
	if (changes->has_concurrency && changes->concurrency > engine->pace.most && !engine->fleet)
		return weir_error_set(err, WEIR_EINVAL, "concurrency: this run can have at most %zu in flight",
				      engine->pace.most);
	return 0;
}

static int set_rate(struct engine *engine, const struct key_rate *rate)
{
	const struct weir_rate_options opts = {
		.count = rate->count, .period = rate->period, .burst = (uint64_t)engine->life.plan->settings.burst};
	int code = engine->fleet ? 0 : weir_policy_set_rate(engine->pace.policy, &opts);
	if (code)
		return code;
	engine->pace.rate = *rate;
	engine->pace.own_per_sec = per_sec_of(rate);
	return 0;
}

/* Of all workers together a number is; what is found is each one's. */
static int set_concurrency(struct engine *engine, size_t concurrency)
{
	bool is_own = !engine->fleet || !concurrency;
	int code = is_own ? weir_policy_set_concurrency(engine->pace.policy, concurrency) : 0;
	if (code)
		return code;
	engine->pace.wanted = concurrency;
	if (is_own) {
		engine->pace.concurrency = concurrency;
		engine_make_places(engine, concurrency);
	}
	return 0;
}

int engine_change(struct engine *engine, const struct engine_changes *changes, struct weir_error *err)
{
	int code = check_changes(engine, changes, err);
	if (code)
		return code;
	if (changes->has_rate)
		code = set_rate(engine, &changes->rate);
	if (!code && changes->has_concurrency)
		code = set_concurrency(engine, changes->concurrency);
	if (code)
		return weir_error_set(err, code, "%s", weir_strerror(code));
	if (changes->has_pause) {
		engine->pace.paused = changes->paused;
		engine->pace.pause[0] = 0;
		weir_policy_pause(engine->pace.policy, changes->paused);
	}
	engine_shares_apply(engine->shares);
	return 0;
}

void engine_pause(struct engine *engine, const char *why)
{
	const struct engine_changes changes = {.has_pause = true, .paused = true};
	if (engine->pace.paused || engine_change(engine, &changes, NULL))
		return;
	snprintf(engine->pace.pause, sizeof engine->pace.pause, "%s", why);
	engine_note(&engine->life, "paused: %s", why);
}

/* ---- looking at it */

struct flow_look {
	const struct engine *engine;
	struct engine_flow *flow;
};

static enum engine_rate_from rate_from(const struct engine *engine, const struct weir_gate_stats *stats)
{
	double own = engine->pace.own_per_sec;
	if (stats->per_sec <= 0)
		return RATE_NONE;
	if (own > 0 && stats->per_sec > own * 0.999)
		return RATE_YOURS;
	return stats->hinted ? RATE_HINT : RATE_FOUND;
}

/* The gate before which most wait speaks for all of them; one with an open breaker before all others. */
static int add_gate(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	const struct flow_look *look = arg;
	struct engine_flow *flow = look->flow;
	bool is_open = stats->breaker != WEIR_BREAKER_CLOSED;
	uint64_t weight = stats->waiting + (is_open ? UINT32_MAX : 0);
	if (!stats->calls && !stats->waiting)
		return 0;
	flow->gates++;
	flow->concurrency += stats->limit;
	flow->adaptive = flow->adaptive || stats->adaptive;
	flow->throttled += stats->throttled;
	flow->breaker_opened += stats->breaker_opened;
	flow->breakers_open += is_open;
	flow->calls += stats->calls;
	if (stats->denied_of && (!flow->denied_since || stats->denied_since < flow->denied_since))
		flow->denied_since = stats->denied_since;
	if (flow->gates > 1 && weight < flow->weight)
		return 0;
	flow->weight = weight;
	snprintf(flow->upstream, sizeof flow->upstream, "%.127s", key);
	flow->per_sec = stats->per_sec;
	flow->rate_from = rate_from(look->engine, stats);
	flow->breaker = stats->breaker;
	flow->breaker_until = stats->breaker_until;
	flow->denied = stats->denied;
	flow->denied_of = stats->denied_of;
	flow->shut_until = stats->shut_until;
	flow->shut_hinted = stats->shut_hinted;
	flow->is_throttled = stats->is_throttled;
	snprintf(flow->last_failure, sizeof flow->last_failure, "%.127s", stats->said);
	flow->min_latency = stats->min_latency;
	flow->good = stats->good;
	flow->entered = stats->calls;
	flow->held_by = stats->held_by;
	return 0;
}

static enum engine_why why_of_gate(const struct engine *engine, const struct engine_flow *flow)
{
	switch (flow->held_by) {
	case WEIR_HELD_BY_BREAKER:
		return flow->denied_of ? WHY_DENIED : WHY_BREAKER;
	case WEIR_HELD_BY_SHUT:
		return flow->shut_hinted ? WHY_SHUT : WHY_THROTTLED;
	case WEIR_HELD_BY_RATE:
		return WHY_RATE_OWN;
	case WEIR_HELD_BY_SERVER_RATE:
		return flow->rate_from == RATE_HINT ? WHY_RATE_HINT : WHY_RATE_FOUND;
	case WEIR_HELD_BY_CONCURRENCY:
		if (!engine->steps.gated && engine->pace.concurrency == LOCAL) /* nobody asked for that number */
			return WHY_STEPS;
		return flow->adaptive ? WHY_UPSTREAM : WHY_CONCURRENCY;
	default: /* half open: nobody asks, since all but the probes wait for their time */
		return flow->denied_of ? WHY_DENIED : flow->breaker != WEIR_BREAKER_CLOSED ? WHY_BREAKER : WHY_END;
	}
}

/* Nothing is there to be processed. */
static enum engine_why why_of_input(const struct engine *engine)
{
	const struct output *sink = engine->sinks.outputs[OUTLET_SINK];
	if (!engine->input.put_since)
		return WHY_SOURCE;
	if (engine_order_holds(engine->order))
		return WHY_ORDER;
	if (!engine->load.starving)
		return WHY_SOURCE;
	/* All its places may be taken by what waits for the sink. */
	return sink && output_does(sink) == OUTPUT_WRITES && !engine->load.in_flight ? WHY_SINK : WHY_BROKER;
}

static enum engine_why find_why(const struct engine *engine, const struct engine_flow *flow)
{
	const struct output *sink = engine->sinks.outputs[OUTLET_SINK];
	struct broker_counts counts;
	if (engine->life.state != ENGINE_RUNNING || !engine->store.broker)
		return WHY_END;
	if (engine->pace.paused)
		return WHY_PAUSED;
	if (engine->store.away[0])
		return WHY_BROKER;
	if (engine_shares_hold(engine->shares) != WHY_END)
		return engine_shares_hold(engine->shares);
	if (flow->disk[0])
		return WHY_DISK;
	if (engine->load.under_way >= engine->load.memory.room)
		return WHY_MEMORY;
	if (sink && (output_is_full(sink) || (!engine->load.in_flight && output_is_slow(sink))))
		return output_does(sink) == OUTPUT_ACKS ? WHY_BROKER : WHY_SINK;
	if (engine_order_is_full(engine->order))
		return WHY_ORDER;
	enum engine_why why = why_of_gate(engine, flow);
	engine_counts(&engine->store, &counts);
	if (why == WHY_END && !counts.ready && engine->input.source && !engine->input.ended)
		return why_of_input(engine);
	if (why == WHY_END && !counts.ready && !engine->load.in_flight && counts.waiting)
		return flow->is_throttled ? WHY_THROTTLED : WHY_RETRIES;
	/* Most of what is in the steps calls nobody. */
	if ((why == WHY_END || why == WHY_CONCURRENCY || why == WHY_UPSTREAM) &&
	    engine->load.in_local * 2 > engine->load.in_flight)
		return why == WHY_CONCURRENCY && !engine->steps.gated ? why : WHY_STEPS;
	return why != WHY_END ? why : engine->steps.gated ? WHY_UPSTREAM : WHY_STEPS;
}

int engine_gates(const struct engine *engine,
		 int (*fn)(void *arg, const char *key, const struct weir_gate_stats *stats), void *arg)
{
	return weir_policy_gates(engine->pace.policy, fn, arg);
}

void engine_flow(const struct engine *engine, struct engine_flow *ret_flow)
{
	struct weir_policy_stats stats;
	struct flow_look look = {engine, ret_flow};
	*ret_flow = (struct engine_flow){.held_by = WEIR_HELD_BY_NOTHING};
	weir_policy_gates(engine->pace.policy, add_gate, &look);
	weir_policy_stats(engine->pace.policy, &stats);
	ret_flow->adaptive = ret_flow->gates ? ret_flow->adaptive : !engine->pace.concurrency;
	if (!ret_flow->adaptive) /* of several upstreams each may have as many, but not all of them together */
		ret_flow->concurrency = engine->pace.concurrency;
	if (engine->life.plan->settings.pattern == WEIR_PATTERN_NAIVE) {
		ret_flow->concurrency = engine->pace.most;
		ret_flow->adaptive = false;
	}
	ret_flow->paused = engine->pace.paused;
	snprintf(ret_flow->pause, sizeof ret_flow->pause, "%s", engine->pace.pause);
	ret_flow->own_rate = engine->pace.rate;
	ret_flow->pattern = engine->life.plan->settings.pattern;
	ret_flow->budget_waits = stats.budget_waits;
	ret_flow->chosen = stats.chosen;
	snprintf(ret_flow->choice, sizeof ret_flow->choice, "%.159s", stats.chosen ? stats.choice.why : "");
	ret_flow->choice_pattern = stats.chosen ? (int)stats.choice.pattern : WEIR_PATTERN_AUTO;
	if (!engine->steps.gated)
		snprintf(ret_flow->last_failure, sizeof ret_flow->last_failure, "%.127s", engine->pace.last_failure);
	ret_flow->memory_bytes = engine->load.memory.used;
	if (!engine_is_full(engine, ret_flow->disk))
		ret_flow->disk[0] = 0;
	ret_flow->now = find_why(engine, ret_flow);
	ret_flow->why = why_of_late(&engine->meter.late, ret_flow->now);
	ret_flow->late = &engine->meter.late;
	ret_flow->all = &engine->meter.all;
	engine_say(&engine->life, ret_flow);
	if (engine->store.away[0] && !ret_flow->trouble[0])
		snprintf(ret_flow->trouble, sizeof ret_flow->trouble, "broker: %s", engine->store.away);
}
