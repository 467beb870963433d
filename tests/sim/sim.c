/* SPDX-License-Identifier: MIT */
/*
 * The client's side, and the events.  A call is an event at each of its stages:
 *
 *     sent -> ARRIVES -> (LEAVES, if it was served) -> ENDS
 *
 * and TIMER is when the gate said to ask again; it comes up to 0.2 ms late, as timers do.
 */
#include "sim/sim.h"

#include "policy/admit.h"
#include "sim/upstream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/heap.h>
#include <weir/random.h>

enum stage { ARRIVES, LEAVES, ENDS, TIMER };

struct call {
	struct weir_heap_node node;
	enum stage stage;
	struct weir__pass pass;
	struct sim_answer answer;
	struct call *next_free;
};

struct sim {
	const struct sim_options *opts;
	const struct sim_model *model;
	struct sim_result *result;
	struct sim_upstream upstream;
	struct weir__admit *admit;
	struct weir_heap events;
	struct call *spare, timer;
	bool timer_runs, failed;
	size_t calls;
	uint64_t random;
	weir_nsec now, end;
	double waiting; /* items that have not been begun, with a demand that is limited */
	double fluid;   /* the same, for what would be possible */
	weir_nsec fluid_at;
	weir_nsec traced;
};

/* ---- events */

static void schedule(struct sim *sim, struct call *call, enum stage stage, weir_nsec at)
{
	call->stage = stage;
	weir_heap_add(&sim->events, at, &call->node);
}

static struct call *new_call(struct sim *sim)
{
	struct call *call = sim->spare;
	if (call) {
		sim->spare = call->next_free;
		return call;
	}
	call = calloc(1, sizeof *call);
	if (!call || weir_heap_reserve(&sim->events, ++sim->calls + 1)) {
		free(call);
		call = NULL;
		sim->failed = true;
	}
	return call;
}

static void drop_call(struct sim *sim, struct call *call)
{
	call->next_free = sim->spare;
	sim->spare = call;
}

/* ---- demand, and what would be possible of it */

static bool is_on(const struct sim_model *model, double at)
{
	return model->on <= 0 || fmod(at, model->on + model->off) < model->on;
}

static struct sim_tally *tick_at(struct sim *sim, weir_nsec at)
{
	size_t tick = (size_t)((double)at / 1e9 / sim->result->tick);
	return &sim->result->ticks[tick < sim->result->tick_count ? tick : sim->result->tick_count - 1];
}

/* A fluid: what is asked for and not done waits. */
static void flow(struct sim *sim, weir_nsec until)
{
	const weir_nsec step = WEIR_MSEC;
	for (; sim->fluid_at + step <= until; sim->fluid_at += step) {
		double at = (double)sim->fluid_at / 1e9, seconds = (double)step / 1e9;
		double done = sim_possible(sim->model, at, sim->upstream.neighbour) * seconds;
		if (sim->model->demand > 0) {
			double more = is_on(sim->model, at) ? sim->model->demand * seconds : 0;
			sim->waiting += more;
			sim->fluid += more;
			done = fmin(done, sim->fluid);
			sim->fluid -= done;
		}
		tick_at(sim, sim->fluid_at)->possible += done;
	}
}

/* ---- the client */

static void send_calls(struct sim *sim)
{
	weir_nsec until = sim->now;
	while ((sim->model->demand <= 0 || sim->waiting >= 1) && !sim->failed) {
		until = weir__admit_ask(sim->admit, sim->now, NULL);
		if (until == WEIR_FOREVER)
			return;
		if (until > sim->now)
			break;
		struct call *call = new_call(sim);
		if (!call)
			return;
		sim->waiting -= 1;
		weir__admit_enter(sim->admit, &call->pass, sim->now);
		schedule(sim, call, ARRIVES, sim->now + sim_upstream_way(&sim->upstream, sim->now));
	}
	if (sim->model->demand > 0 && sim->waiting < 1)
		until = sim->now + WEIR_MSEC;
	if (sim->timer_runs)
		weir_heap_remove(&sim->events, &sim->timer.node);
	sim->timer_runs = true;
	schedule(sim, &sim->timer, TIMER, until + (weir_nsec)weir_random_below(&sim->random, 200 * WEIR_USEC));
}

static void count(struct sim *sim, const struct sim_answer *answer)
{
	struct sim_tally *tally = tick_at(sim, sim->now);
	if (answer->outcome == WEIR_OUTCOME_GOOD)
		tally->good++;
	else if (answer->is_rejection)
		tally->rejected++;
	else
		tally->broken++;
}

static void end_call(struct sim *sim, struct call *call)
{
	count(sim, &call->answer);
	if (call->answer.outcome != WEIR_OUTCOME_GOOD)
		sim->waiting += 1; /* it will be tried again */
	weir__admit_leave(sim->admit, &call->pass, call->answer.outcome, &call->answer.hint, sim->now);
	drop_call(sim, call);
}

static void step(struct sim *sim, struct call *call)
{
	switch (call->stage) {
	case ARRIVES:
		sim_upstream_arrive(&sim->upstream, sim->now, &call->answer);
		schedule(sim, call, LEAVES, call->answer.leaves);
		return;
	case LEAVES:
		if (call->answer.is_inside)
			sim_upstream_leave(&sim->upstream);
		schedule(sim, call, ENDS, sim->now + sim_upstream_way(&sim->upstream, sim->now));
		return;
	case ENDS:
		end_call(sim, call);
		break;
	case TIMER:
		sim->timer_runs = false;
		break;
	}
	send_calls(sim);
}

/* ---- a run */

static void trace(struct sim *sim)
{
	struct weir_gate_stats stats;
	if (sim->opts->trace <= 0 || sim->now < sim->traced)
		return;
	sim->traced = sim->now + (weir_nsec)(sim->opts->trace * 1e9);
	weir__admit_stats(sim->admit, sim->now, &stats);
	printf("%9.3f limit %zu in flight %zu per_sec %.1f shut %.3f min latency %.3f ms good %llu throttled %llu "
	       "failed "
	       "%llu "
	       "breaker %d by %d\n",
	       (double)sim->now / 1e9, stats.limit, stats.in_flight, stats.per_sec,
	       stats.shut_until ? (double)(stats.shut_until - sim->now) / 1e9 : 0, (double)stats.min_latency / 1e6,
	       (unsigned long long)stats.good, (unsigned long long)stats.throttled, (unsigned long long)stats.failed,
	       (int)stats.breaker, (int)stats.held_by);
}

static void gate_options(const struct sim_options *opts, struct weir__gate_options *gate)
{
	static const enum weir__adapt_kind kinds[] = {
		[SIM_AUTO] = WEIR__ADAPT_AUTO,   [SIM_AIMD] = WEIR__ADAPT_AIMD,
		[SIM_VEGAS] = WEIR__ADAPT_VEGAS, [SIM_GRADIENT2] = WEIR__ADAPT_GRADIENT2,
		[SIM_ARC] = WEIR__ADAPT_ARC,     [SIM_FIXED_50] = WEIR__ADAPT_AUTO,
	};
	*gate = (struct weir__gate_options){.seed = opts->seed, .adapt.kind = kinds[opts->controller]};
	if (opts->controller == SIM_FIXED_50)
		gate->concurrency = 50;
	if (opts->controller != SIM_AUTO)
		gate->flags |= WEIR_GATE_UNPACED;
	if (opts->snapshot)
		gate->snapshot = *opts->snapshot;
}

static void add_tally(struct sim_tally *sum, const struct sim_tally *tally)
{
	sum->possible += tally->possible;
	sum->good += tally->good;
	sum->rejected += tally->rejected;
	sum->broken += tally->broken;
}

/* From where on 90 % were reached in a second, or a round trip. */
static double time_to_90(const struct sim_result *result, double round_trip)
{
	size_t width = (size_t)ceil(fmax(0.5, round_trip) / result->tick);
	for (size_t from = 0; from + width <= result->tick_count; from++) {
		struct sim_tally sum = {0};
		for (size_t i = from; i < from + width; i++)
			add_tally(&sum, &result->ticks[i]);
		if (sum.possible > 0 && (double)sum.good >= 0.9 * sum.possible)
			return (double)from * result->tick;
	}
	return -1;
}

static void sum_up(struct sim *sim)
{
	struct sim_result *result = sim->result;
	size_t settled = (size_t)ceil(sim_settled_at(sim->model) / result->tick - 1e-9);
	for (size_t i = 0; i < result->tick_count; i++) {
		add_tally(&result->all, &result->ticks[i]);
		if (i >= settled)
			add_tally(&result->settled, &result->ticks[i]);
	}
	result->to_90 = time_to_90(result, sim_round_trip(sim->model));
	weir__admit_stats(sim->admit, sim->now, &result->stats);
	result->snapshot = result->stats.snapshot;
}

static void run(struct sim *sim)
{
	send_calls(sim);
	while (!sim->failed) {
		weir_nsec at = sim->events.n ? weir_heap_top(&sim->events).key : sim->end;
		flow(sim, at < sim->end ? at : sim->end);
		if (at >= sim->end)
			break;
		struct call *call = (struct call *)weir_heap_top(&sim->events).node;
		weir_heap_remove(&sim->events, &call->node);
		sim->now = at;
		step(sim, call);
		trace(sim);
	}
}

static void finish(struct sim *sim)
{
	struct call *call;
	while (sim->events.n) {
		call = (struct call *)weir_heap_top(&sim->events).node;
		weir_heap_remove(&sim->events, &call->node);
		if (call != &sim->timer)
			free(call);
	}
	while ((call = sim->spare)) {
		sim->spare = call->next_free;
		free(call);
	}
	weir_heap_fini(&sim->events);
	sim_upstream_fini(&sim->upstream);
	weir__admit_free(sim->admit);
}

int sim_run(const struct sim_options *opts, struct sim_result *ret_result)
{
	struct sim sim = {.opts = opts, .model = opts->model, .result = ret_result, .random = opts->seed};
	double seconds = opts->model->seconds > 0 ? opts->model->seconds : 60;
	struct weir__gate_options gate;
	*ret_result = (struct sim_result){.tick = 0.1};
	ret_result->tick_count = (size_t)(seconds / ret_result->tick + 0.5);
	sim.end = (weir_nsec)(seconds * 1e9);
	gate_options(opts, &gate);
	int code = weir_heap_reserve(&sim.events, 1);
	if (!code)
		code = weir__admit_new(&gate, &sim.admit);
	if (!code)
		code = sim_upstream_init(&sim.upstream, opts->model, &sim.random);
	if (!code) {
		run(&sim);
		sum_up(&sim);
		code = sim.failed ? WEIR_ENOMEM : 0;
	}
	finish(&sim);
	return code;
}

double sim_share(const struct sim_tally *tally)
{
	return tally->possible > 0 ? (double)tally->good / tally->possible : 0;
}

double sim_rejected(const struct sim_tally *tally)
{
	double all = (double)(tally->good + tally->rejected + tally->broken);
	return all > 0 ? (double)tally->rejected / all : 0;
}

double sim_score(const struct sim_tally *tally)
{
	return sim_share(tally) * (1 - sim_rejected(tally));
}

const char *sim_controller_name(enum sim_controller controller)
{
	static const char *const names[] = {"auto", "aimd", "vegas", "gradient2", "arc", "fixed 50"};
	return names[controller];
}
