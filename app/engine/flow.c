/* SPDX-License-Identifier: MIT */
/*
 * The engine's policy: made from the plan's section `flow`, changed while it runs, looked at for the report.
 *
 * `most` is how many items may ever be in the steps: what the descriptors allow, and what the broker has places for.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

enum { MOST_FOUND = 10000, MOST_FIXED = 4096, LOCAL = 50 };

static bool has_gates(const struct plan *plan)
{
	for (size_t i = 0; i < plan->step_count; i++)
		if (plan->steps[i].adapter->step->gated)
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
	const struct plan_settings *s = &engine->plan->settings;
	bool all = s->pattern == WEIR_PATTERN_NAIVE;
	bool reads_ahead =
		s->pattern == WEIR_PATTERN_AUTO || s->pattern == WEIR_PATTERN_QUEUE || s->pattern == WEIR_PATTERN_RATE;
	struct weir_policy_options opts = {
		.pattern = (enum weir_pattern)s->pattern,
		.concurrency = all ? 0 : engine->concurrency,
		.most = all ? 0 : engine->most,
		/* The broker is the queue.  Only lanes need to look further, past items whose lane is busy. */
		.capacity = reads_ahead && !s->order_by ? 1 : 0,
		.rate = {.count = s->rate.count, .period = s->rate.period, .burst = (uint64_t)s->burst},
		.retry = retry_of(s),
		.timeout = s->timeout_attempt,
		.queue_timeout = s->timeout_queue,
		.total_timeout = s->timeout_total,
		.longest = s->max_retry_after,
		.memory_bytes = reads_ahead ? s->max_memory : 0,
		.aging = s->priority_aging,
		.seed = engine->random,
	};
	/* Without an upstream there is nothing that a breaker could spare. */
	if (s->breaker_off || !engine->gated)
		opts.gate_flags = WEIR_GATE_NO_BREAKER;
	else
		opts.breaker = breaker_of(s);
	if (!(opts.gate_flags & WEIR_GATE_NO_BREAKER) && s->breaker_when_open == WHEN_OPEN_REJECT)
		opts.gate_flags |= WEIR_GATE_REJECT;
	return opts;
}

/* How many at once to begin with, 0: to be found; and how many at most. */
static void choose_concurrency(struct engine *engine)
{
	size_t wanted = (size_t)engine->plan->settings.concurrency, allowed = engine->opts.most_concurrency;
	/* Latency of work on this machine tells nothing: the more there is at once, the longer each takes. */
	if (!wanted && !engine->gated && engine->plan->settings.pattern != WEIR_PATTERN_NAIVE)
		wanted = LOCAL;
	size_t most = !wanted ? MOST_FOUND : wanted > MOST_FIXED ? wanted : MOST_FIXED;
	engine->most = allowed && allowed < most ? allowed : most;
	engine->concurrency = wanted < engine->most ? wanted : engine->most;
}

int engine_flow_open(struct engine *engine, struct weir_error *err)
{
	engine->gated = has_gates(engine->plan);
	engine->rate = engine->plan->settings.rate;
	choose_concurrency(engine);
	const struct weir_policy_options opts = options_of(engine);
	int code = weir_policy_new(&opts, &engine->policy, err);
	if (code)
		return err && err->text[0] ? code : weir_error_set(err, code, "flow: %s", weir_strerror(code));
	/* "auto" is said with a preset that has a number of its own. */
	if (!engine->concurrency && engine->plan->settings.pattern != WEIR_PATTERN_NAIVE)
		code = weir_policy_set_concurrency(engine->policy, 0);
	return code ? weir_error_set(err, code, "flow: %s", weir_strerror(code)) : 0;
}

/* ---- while it runs */

static int check_changes(const struct engine *engine, const struct engine_changes *changes, struct weir_error *err)
{
	int pattern = engine->plan->settings.pattern;
	if (pattern == WEIR_PATTERN_NAIVE && (changes->has_concurrency || changes->has_rate))
		return weir_error_set(err, WEIR_EINVAL,
				      "this run has the pattern naive, which has no limits; only paused can be set");
	if (changes->has_concurrency && pattern == WEIR_PATTERN_CHUNKED && !changes->concurrency)
		return weir_error_set(err, WEIR_EINVAL,
				      "concurrency: this run has the pattern chunked, whose batches have a fixed "
				      "size; expected a number");
	if (changes->has_concurrency && changes->concurrency > engine->most)
		return weir_error_set(err, WEIR_EINVAL, "concurrency: this run can have at most %zu at once",
				      engine->most);
	return 0;
}

int engine_change(struct engine *engine, const struct engine_changes *changes, struct weir_error *err)
{
	const struct weir_rate_options rate = {.count = changes->rate.count,
					       .period = changes->rate.period,
					       .burst = (uint64_t)engine->plan->settings.burst};
	int code = check_changes(engine, changes, err);
	if (code)
		return code;
	if (changes->has_rate)
		code = weir_policy_set_rate(engine->policy, &rate);
	if (!code && changes->has_rate)
		engine->rate = changes->rate;
	if (!code && changes->has_concurrency)
		code = weir_policy_set_concurrency(engine->policy, changes->concurrency);
	if (!code && changes->has_concurrency)
		engine->concurrency = changes->concurrency;
	if (!code && changes->has_concurrency)
		engine_make_places(engine, changes->concurrency);
	if (code)
		return weir_error_set(err, code, "%s", weir_strerror(code));
	if (changes->has_pause) {
		engine->paused = changes->paused;
		weir_policy_pause(engine->policy, changes->paused);
	}
	return 0;
}

/* ---- looking at it */

const char *engine_why_name(enum engine_why why)
{
	static const char *const names[] = {
#define ENGINE_X(name, text) text,
		ENGINE_WHYS(ENGINE_X)
#undef ENGINE_X
	};
	return names[why];
}

struct look {
	const struct engine *engine;
	struct engine_flow *flow;
};

static enum engine_rate_from rate_from(const struct engine *engine, const struct weir_gate_stats *stats)
{
	const struct key_rate *rate = &engine->rate;
	double own = rate->count ? (double)rate->count * (double)WEIR_SEC / (double)rate->period : 0;
	if (stats->per_sec <= 0)
		return RATE_NONE;
	if (own > 0 && stats->per_sec > own * 0.999)
		return RATE_YOURS;
	return stats->told ? RATE_TOLD : RATE_FOUND;
}

/* The gate before which most wait speaks for all of them; one with an open breaker before all others. */
static int add_gate(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	const struct look *look = arg;
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
	flow->in_line += stats->waiting;
	if (flow->gates > 1 && weight < flow->weight)
		return 0;
	flow->weight = weight;
	snprintf(flow->upstream, sizeof flow->upstream, "%.127s", key);
	flow->per_sec = stats->per_sec;
	flow->rate_from = rate_from(look->engine, stats);
	flow->breaker = stats->breaker;
	flow->shut_until = stats->shut_until;
	flow->floor = stats->floor;
	flow->held_by = stats->held_by;
	return 0;
}

static enum engine_why why_of_gate(const struct engine *engine, const struct engine_flow *flow)
{
	switch (flow->held_by) {
	case WEIR_HELD_BY_BREAKER:
		return WHY_BREAKER;
	case WEIR_HELD_BY_SHUT:
		return WHY_SHUT;
	case WEIR_HELD_BY_RATE:
		return WHY_RATE_OWN;
	case WEIR_HELD_BY_SERVER_RATE:
		return flow->rate_from == RATE_TOLD ? WHY_RATE_TOLD : WHY_RATE_FOUND;
	case WEIR_HELD_BY_CONCURRENCY:
		return !flow->adaptive ? WHY_CONCURRENCY : engine->gated ? WHY_UPSTREAM : WHY_STEPS;
	default: /* half open: nobody asks, since all but the probes wait for their time */
		return flow->breaker != WEIR_BREAKER_CLOSED ? WHY_BREAKER : WHY_END;
	}
}

static enum engine_why find_why(const struct engine *engine, const struct engine_flow *flow)
{
	struct broker_counts counts;
	if (engine->state != ENGINE_RUNNING || !engine->broker)
		return WHY_END;
	if (engine->paused)
		return WHY_PAUSED;
	if (engine->under_way >= engine->memory.room)
		return WHY_MEMORY;
	if (engine->sink_lane && lane_is_full(engine->sink_lane))
		return WHY_SINK;
	enum engine_why why = why_of_gate(engine, flow);
	engine->broker_ops->counts(engine->broker, &counts);
	if (why == WHY_END && !counts.ready && !engine->source_ended)
		return WHY_SOURCE;
	return why != WHY_END ? why : engine->gated ? WHY_UPSTREAM : WHY_STEPS;
}

void engine_flow(const struct engine *engine, struct engine_flow *ret_flow)
{
	struct weir_policy_stats stats;
	struct look look = {engine, ret_flow};
	*ret_flow = (struct engine_flow){.held_by = WEIR_HELD_BY_NOTHING};
	weir_policy_gates(engine->policy, add_gate, &look);
	weir_policy_stats(engine->policy, &stats);
	ret_flow->adaptive = ret_flow->gates ? ret_flow->adaptive : !engine->concurrency;
	if (!ret_flow->adaptive) /* of several upstreams each may have as many, but not all of them together */
		ret_flow->concurrency = engine->concurrency;
	if (engine->plan->settings.pattern == WEIR_PATTERN_NAIVE) {
		ret_flow->concurrency = engine->most;
		ret_flow->adaptive = false;
	}
	ret_flow->paused = engine->paused;
	ret_flow->own_rate = engine->rate;
	ret_flow->pattern = engine->plan->settings.pattern;
	ret_flow->chosen = stats.chosen;
	snprintf(ret_flow->choice, sizeof ret_flow->choice, "%.159s", stats.chosen ? stats.choice.why : "");
	ret_flow->choice_pattern = stats.chosen ? (int)stats.choice.pattern : WEIR_PATTERN_AUTO;
	snprintf(ret_flow->last_failure, sizeof ret_flow->last_failure, "%.127s", engine->last_failure);
	ret_flow->memory_bytes = engine->memory.used;
	ret_flow->memory_room = engine->memory.room;
	ret_flow->why = find_why(engine, ret_flow);
	for (unsigned why = WHY_END; why < WHYS; why++)
		if (engine->whys[why] > engine->whys[ret_flow->mostly])
			ret_flow->mostly = (enum engine_why)why;
}

/* Said when the first breaker opens, and again when all are closed. */
static void tell_of_breakers(struct engine *engine, const struct engine_flow *flow)
{
	bool is_open = flow->breakers_open;
	char last[140] = "";
	if (is_open == engine->told_of_breaker || engine->state != ENGINE_RUNNING)
		return;
	engine->told_of_breaker = is_open;
	if (flow->gates == 1 && flow->last_failure[0]) /* of several it may have been another's */
		snprintf(last, sizeof last, " (%s)", flow->last_failure);
	if (is_open && engine->plan->settings.breaker_when_open == WHEN_OPEN_PARK)
		engine_note(engine,
			    "%s failed too often%s: it is left alone for a while, its items wait and lose no try; a "
			    "few calls look whether it is back",
			    flow->upstream, last);
	else if (is_open)
		engine_note(engine, "%s failed too often%s: it is left alone for a while, and its items fail at once",
			    flow->upstream, last);
	else
		engine_note(engine, "%s is back", flow->upstream);
}

int engine_sample(void *arg)
{
	struct engine *engine = arg;
	while (!weir_sleep(WEIR_SEC / 5)) {
		struct engine_flow flow = {0};
		engine_flow(engine, &flow);
		engine->whys[flow.why] += flow.why != WHY_END;
		tell_of_breakers(engine, &flow);
		engine_make_places(engine, flow.concurrency < engine->most ? flow.concurrency : engine->most);
	}
	return 0;
}
