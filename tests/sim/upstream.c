/* SPDX-License-Identifier: MIT */
/*
 * The server's side.  Servers are known by the time at which each is free, the earliest first: a request that arrives
 * knows at once when it will be served.
 */
#include "sim/upstream.h"

#include <math.h>
#include <stdlib.h>
#include <weir/random.h>

static const double tau = 6.283185307179586;

static weir_nsec to_nsec(double seconds)
{
	return (weir_nsec)(seconds * 1e9);
}

static double exponential(uint64_t *random)
{
	return -log(1 - weir_random_unit(random));
}

/* Sigma 0.7; the mean is 1. */
static double lognormal(uint64_t *random)
{
	double normal = sqrt(2 * exponential(random)) * cos(tau * weir_random_unit(random));
	return exp(0.7 * normal - 0.245);
}

static double spread_of(enum sim_spread spread, uint64_t *random)
{
	switch (spread) {
	case SIM_UNIFORM:
		return 0.5 + weir_random_unit(random);
	case SIM_EXPONENTIAL:
		return exponential(random);
	case SIM_LOGNORMAL:
		return lognormal(random);
	default:
		return 1;
	}
}

int sim_upstream_init(struct sim_upstream *upstream, const struct sim_model *model, uint64_t *random)
{
	*upstream = (struct sim_upstream){.model = model, .random = random, .window = -1};
	upstream->tokens = model->burst > 1 ? model->burst : 1;
	if (model->servers && !(upstream->free_at = calloc(model->servers, sizeof *upstream->free_at)))
		return WEIR_ENOMEM;
	return 0;
}

void sim_upstream_fini(struct sim_upstream *upstream)
{
	free(upstream->free_at);
}

/* ---- what changes */

static double run_length(const struct sim_model *model)
{
	return model->seconds > 0 ? model->seconds : 60;
}

static double factor(const struct sim_model *model, double at, double neighbour)
{
	double part = at / run_length(model);
	switch (model->change) {
	case SIM_DRIFT:
		return 0.75 + 0.25 * cos(tau * part);
	case SIM_NEIGHBOUR:
		return 1 - neighbour;
	case SIM_STEPS:
		return part > 1.0 / 3 && part < 2.0 / 3 ? 0.3 : 1;
	default:
		return 1;
	}
}

static bool is_out(const struct sim_model *model, double at)
{
	double from = run_length(model) / 2 - 30;
	return model->change == SIM_OUTAGE && at >= from && at < from + 60;
}

static double rtt_at(const struct sim_model *model, double at)
{
	return model->change == SIM_SLOWER ? model->rtt * (1 + 2 * at / run_length(model)) : model->rtt;
}

static void move_neighbour(struct sim_upstream *upstream, weir_nsec now)
{
	if (upstream->model->change != SIM_NEIGHBOUR || now < upstream->neighbour_until)
		return;
	upstream->neighbour = 0.5 * weir_random_unit(upstream->random);
	upstream->neighbour_until = now + to_nsec(2 + 3 * weir_random_unit(upstream->random));
}

/* ---- what would be possible */

static double service_with(const struct sim_model *model, double n)
{
	return model->service * (1 + model->contention * n * n);
}

double sim_round_trip(const struct sim_model *model)
{
	return model->rtt * (1 + model->noise) + model->service;
}

/* With contention there is a number at once that is the best. */
static double best_contended(const struct sim_model *model)
{
	double best = 0;
	for (double n = 1; n < 100000; n++) {
		double per_sec = n / (model->rtt * (1 + model->noise) + service_with(model, n));
		if (per_sec < best)
			break;
		best = per_sec;
	}
	return best;
}

double sim_possible(const struct sim_model *model, double at, double neighbour)
{
	double now = factor(model, at, neighbour), most = INFINITY;
	if (is_out(model, at))
		return 0;
	if (model->servers)
		most = fmin(most, model->servers / model->service * now);
	if (model->contention > 0)
		most = fmin(most, best_contended(model));
	if (model->cap)
		most = fmin(most, model->cap / sim_round_trip(model) * now);
	if (model->rate > 0)
		most = fmin(most, model->rate * now);
	return most * (1 - model->errors);
}

double sim_settled_at(const struct sim_model *model)
{
	return fmax(10, 20 * sim_round_trip(model));
}

/* ---- limits */

static double rate_now(const struct sim_upstream *upstream, double at)
{
	return upstream->model->rate * factor(upstream->model, at, upstream->neighbour);
}

static bool take_token(struct sim_upstream *upstream, weir_nsec now)
{
	const struct sim_model *model = upstream->model;
	double burst = model->burst > 1 ? model->burst : 1, rate = rate_now(upstream, (double)now / 1e9);
	upstream->tokens += (double)(now - upstream->tokens_at) / 1e9 * rate;
	upstream->tokens = fmin(upstream->tokens, burst);
	upstream->tokens_at = now;
	if (upstream->tokens < 1)
		return false;
	upstream->tokens -= 1;
	return true;
}

static bool take_of_window(struct sim_upstream *upstream, weir_nsec now)
{
	double at = (double)now / 1e9, quota = floor(rate_now(upstream, at) * upstream->model->window + 0.5);
	int64_t number = (int64_t)(at / upstream->model->window);
	if (number != upstream->window) {
		upstream->window = number;
		upstream->in_window = 0;
	}
	if (upstream->in_window >= quota)
		return false;
	upstream->in_window += 1;
	return true;
}

static double rest_of_window(const struct sim_upstream *upstream, weir_nsec now)
{
	return (double)(upstream->window + 1) * upstream->model->window - (double)now / 1e9;
}

/* As servers tell it: whole seconds. */
static void tell_limit(const struct sim_upstream *upstream, weir_nsec now, struct weir_hint *hint)
{
	const struct sim_model *model = upstream->model;
	double window = model->window > 0 ? model->window : 1, rate = rate_now(upstream, (double)now / 1e9);
	if (model->headers == SIM_POLICY || model->headers == SIM_POLICY_AND_COUNTS) {
		hint->quota = (uint64_t)(rate * window + 0.5);
		hint->window = to_nsec(window);
	}
	if (model->headers != SIM_COUNTS && model->headers != SIM_POLICY_AND_COUNTS)
		return;
	hint->counts = true;
	if (model->window > 0) {
		hint->left = (uint64_t)(rate * window + 0.5 - upstream->in_window);
		hint->reset = to_nsec(ceil(rest_of_window(upstream, now)));
	} else {
		double reset = ceil((model->burst - upstream->tokens) / rate);
		hint->left = (uint64_t)(upstream->tokens + rate * reset); /* until it is full */
		hint->reset = to_nsec(reset);
	}
}

static bool is_over_rate(struct sim_upstream *upstream, weir_nsec now, struct sim_answer *answer)
{
	const struct sim_model *model = upstream->model;
	if (model->rate <= 0)
		return false;
	bool passes = model->window > 0 ? take_of_window(upstream, now) : take_token(upstream, now);
	tell_limit(upstream, now, &answer->hint);
	if (passes)
		return false;
	if (model->retry_after > 0)
		answer->hint.retry_after = to_nsec(model->retry_after);
	else if (model->retry_after < 0)
		answer->hint.retry_after = to_nsec(ceil(rest_of_window(upstream, now)));
	return true;
}

/* ---- servers */

static void sift_down(weir_nsec *heap, size_t n)
{
	size_t at = 0;
	for (size_t child = 1; child < n; child = 2 * at + 1) {
		if (child + 1 < n && heap[child + 1] < heap[child])
			child++;
		if (heap[at] <= heap[child])
			return;
		weir_nsec other = heap[at];
		heap[at] = heap[child];
		heap[child] = other;
		at = child;
	}
}

static weir_nsec serve(struct sim_upstream *upstream, weir_nsec now)
{
	const struct sim_model *model = upstream->model;
	double service = service_with(model, (double)upstream->inside) * spread_of(model->spread, upstream->random);
	if (!model->servers)
		return now + to_nsec(service);
	service /= factor(model, (double)now / 1e9, upstream->neighbour);
	weir_nsec begins = upstream->free_at[0] > now ? upstream->free_at[0] : now;
	upstream->free_at[0] = begins + to_nsec(service);
	weir_nsec leaves = upstream->free_at[0];
	sift_down(upstream->free_at, model->servers);
	return leaves;
}

static void refuse(struct sim_answer *answer, weir_nsec now, bool is_failure, bool is_rejection)
{
	answer->outcome = is_failure ? WEIR_OUTCOME_FAILED : WEIR_OUTCOME_THROTTLED;
	answer->is_rejection = is_rejection;
	answer->leaves = now + 100 * WEIR_USEC;
}

void sim_upstream_arrive(struct sim_upstream *upstream, weir_nsec now, struct sim_answer *ret_answer)
{
	const struct sim_model *model = upstream->model;
	double at = (double)now / 1e9, most = model->cap * factor(model, at, upstream->neighbour);
	*ret_answer = (struct sim_answer){.outcome = WEIR_OUTCOME_GOOD};
	move_neighbour(upstream, now);
	if (is_out(model, at)) {
		refuse(ret_answer, now, true, true);
	} else if (model->cap && (double)upstream->inside + 1 > most) {
		ret_answer->hint.retry_after = model->rate > 0 ? 0 : to_nsec(fmax(model->retry_after, 0));
		refuse(ret_answer, now, model->cap_is_503, true);
	} else if (is_over_rate(upstream, now, ret_answer)) {
		refuse(ret_answer, now, model->rate_is_503, true);
	} else if (model->queue && upstream->inside >= model->queue + model->servers) {
		refuse(ret_answer, now, true, true);
	} else {
		ret_answer->leaves = serve(upstream, now);
		ret_answer->is_inside = true;
		upstream->inside++;
		if (weir_random_unit(upstream->random) < model->errors)
			ret_answer->outcome = WEIR_OUTCOME_FAILED;
	}
}

void sim_upstream_leave(struct sim_upstream *upstream)
{
	upstream->inside--;
}

weir_nsec sim_upstream_way(struct sim_upstream *upstream, weir_nsec now)
{
	const struct sim_model *model = upstream->model;
	double half = rtt_at(model, (double)now / 1e9) / 2;
	return to_nsec(half * (1 + (model->noise > 0 ? model->noise * exponential(upstream->random) : 0)));
}
