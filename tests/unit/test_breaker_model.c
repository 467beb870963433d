/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker against a naive model, which keeps every result and every permit in plain lists and computes all
 * from them anew, through outages and recoveries at random.
 */
#include "support/test.h"

#include <weir/breaker.h>
#include <weir/random.h>

enum { OPERATIONS = 4000, PERMITS = 60 };

struct result {
	weir_nsec at;
	bool failed, slow;
};

struct given {
	struct weir_breaker_permit permit;
	int change; /* number of changes of state before it was given */
	bool ended;
};

struct model {
	struct weir_breaker_options opts;
	enum weir_breaker_state state;
	int changes, opened, refused, stale;
	weir_nsec changed_at, open_time, busy_since;
	struct result results[OPERATIONS]; /* of this state */
	int n_results;
	struct result window[OPERATIONS]; /* since it last closed */
	int n_window;
	struct given given[PERMITS];
	int n_given;
};

static void model_change(struct model *model, enum weir_breaker_state state, weir_nsec at)
{
	model->state = state;
	model->changed_at = at;
	model->changes++;
	model->n_results = 0;
	model->opened += state == WEIR_BREAKER_OPEN;
}

static void model_reopen(struct model *model, weir_nsec at)
{
	model->open_time *= 2;
	if (model->open_time > model->opts.open_most)
		model->open_time = model->opts.open_most;
	model_change(model, WEIR_BREAKER_OPEN, at);
}

static unsigned model_under_way(const struct model *model)
{
	unsigned n = 0;
	for (int i = 0; i < model->n_given; i++)
		n += model->given[i].change == model->changes;
	return n;
}

static void model_pass_time(struct model *model, weir_nsec now)
{
	weir_nsec ends = model->busy_since + model->opts.half_open;
	if (model->state == WEIR_BREAKER_HALF_OPEN && model_under_way(model) && now >= ends)
		model_reopen(model, ends);
	if (model->state == WEIR_BREAKER_OPEN && now >= model->changed_at + model->open_time)
		model_change(model, WEIR_BREAKER_HALF_OPEN, model->changed_at + model->open_time);
}

static void model_window(const struct model *model, weir_nsec now, unsigned *ret_calls, unsigned *ret_failed,
			 unsigned *ret_slow)
{
	weir_nsec width = model->opts.window / 10;
	*ret_calls = *ret_failed = *ret_slow = 0;
	for (int i = 0; i < model->n_window; i++) {
		const struct result *result = &model->window[i];
		bool counts = model->opts.window_calls ? i + (int)model->opts.window_calls >= model->n_window
						       : result->at / width > now / width - 10;
		*ret_calls += counts;
		*ret_failed += counts && result->failed;
		*ret_slow += counts && result->slow;
	}
}

static bool model_is_down(const struct model *model, unsigned least)
{
	unsigned row = 0;
	for (int i = model->n_window; i > 0 && model->window[i - 1].failed; i--)
		row++;
	return row >= (model->opts.in_row ? model->opts.in_row : least);
}

static void model_judge_calls(struct model *model, weir_nsec now)
{
	unsigned all, failed, slow, least = model->opts.calls_least;
	model_window(model, now, &all, &failed, &slow);
	if (model->opts.window_calls && least > model->opts.window_calls)
		least = model->opts.window_calls;
	if (model_is_down(model, least) ||
	    (all >= least && (failed >= model->opts.failure_rate * all || slow >= model->opts.slow_rate * all)))
		model_change(model, WEIR_BREAKER_OPEN, now);
}

static void model_judge_probes(struct model *model, weir_nsec now)
{
	unsigned slow = 0;
	for (int i = 0; i < model->n_results; i++) {
		slow += model->results[i].slow;
		if (model->results[i].failed) {
			model_reopen(model, now);
			return;
		}
	}
	if (model->n_results < (int)model->opts.probes)
		return;
	if (slow >= model->opts.slow_rate * model->opts.probes) {
		model_reopen(model, now);
		return;
	}
	model_change(model, WEIR_BREAKER_CLOSED, now);
	model->open_time = model->opts.open;
	model->n_window = 0;
}

static bool model_allows(struct model *model)
{
	if (model->state == WEIR_BREAKER_HALF_OPEN)
		return model_under_way(model) + model->n_results < model->opts.probes;
	return model->state == WEIR_BREAKER_CLOSED;
}

static weir_nsec model_next(struct model *model, weir_nsec now)
{
	if (model_allows(model))
		return now;
	return model->state == WEIR_BREAKER_OPEN ? model->changed_at + model->open_time
						 : model->busy_since + model->opts.half_open;
}

static void do_allow(struct model *model, struct weir_breaker *breaker, weir_nsec now)
{
	struct given given = {.change = model->changes};
	bool allowed = model_allows(model);
	if (model->n_given == PERMITS)
		return;
	quick_assert(weir_breaker_allow(breaker, now, &given.permit) == (allowed ? 0 : WEIR_EOPEN));
	model->refused += !allowed;
	if (!allowed)
		return;
	if (!model_under_way(model))
		model->busy_since = now;
	model->given[model->n_given++] = given;
}

static void do_end(struct model *model, struct weir_breaker *breaker, uint64_t *random, unsigned bad, weir_nsec now)
{
	if (!model->n_given)
		return;
	struct given *place = &model->given[weir_random_below(random, (uint64_t)model->n_given)], given = *place;
	*place = model->given[--model->n_given];
	enum weir_outcome outcome = WEIR_OUTCOME_GOOD;
	if (weir_random_below(random, 100) < bad)
		outcome = (enum weir_outcome)weir_random_below(random, 5);
	struct result result = {now, outcome == WEIR_OUTCOME_FAILED || outcome == WEIR_OUTCOME_TIMED_OUT,
				weir_random_below(random, 100) < bad};
	weir_breaker_end(breaker, given.permit, outcome, model->opts.slow + result.slow, now);
	if (outcome == WEIR_OUTCOME_RELEASED || outcome == WEIR_OUTCOME_THROTTLED)
		return;
	if (given.change != model->changes) {
		model->stale++;
		return;
	}
	model->results[model->n_results++] = result;
	if (model->state == WEIR_BREAKER_CLOSED) {
		model->window[model->n_window++] = result;
		model_judge_calls(model, now);
	} else {
		model_judge_probes(model, now);
	}
}

static void assert_same(struct model *model, const struct weir_breaker *breaker, weir_nsec now)
{
	struct weir_breaker_stats stats;
	unsigned all, failed, slow;
	weir_breaker_stats(breaker, now, &stats);
	model_window(model, now, &all, &failed, &slow);
	quick_assert(stats.state == model->state && weir_breaker_state(breaker, now) == model->state);
	quick_assert(stats.calls == all && stats.failed == failed && stats.slow == slow);
	quick_assert(stats.opened == (uint64_t)model->opened && stats.refused == (uint64_t)model->refused);
	quick_assert(stats.stale == (uint64_t)model->stale);
	quick_assert(weir_breaker_next(breaker, now) == model_next(model, now));
}

static weir_nsec any_step(uint64_t *random, const struct model *model, const struct weir_breaker *breaker,
			  weir_nsec now)
{
	weir_nsec next = weir_breaker_next(breaker, now);
	switch (weir_random_below(random, 40)) {
	case 0:
		return now + (weir_nsec)weir_random_below(random, 4 * (uint64_t)model->opts.window);
	case 1:
		return next - 1 > now ? next - 1 : now;
	case 2:
		return next;
	}
	return now + (weir_nsec)weir_random_below(random, (uint64_t)model->opts.window / 50);
}

static unsigned run_model(uint64_t seed)
{
	static struct model model;
	uint64_t random = seed;
	unsigned states = 0, bad = 0;
	weir_nsec now = 0;
	model = (struct model){.opts = {
				       .failure_rate = 0.25 * (double)(1 + weir_random_below(&random, 4)),
				       .slow_rate = 0.25 * (double)(1 + weir_random_below(&random, 4)),
				       .slow = 1000,
				       .calls_least = 1 + (unsigned)weir_random_below(&random, 30),
				       .in_row = (unsigned)weir_random_below(&random, 12),
				       .window_calls = (unsigned)weir_random_below(&random, 2) * 17,
				       .window = 10 + (weir_nsec)weir_random_below(&random, 100000),
				       .open = 1 + (weir_nsec)weir_random_below(&random, 3000),
				       .jitter = -1,
				       .probes = 1 + (unsigned)weir_random_below(&random, 8),
				       .half_open = 1 + (weir_nsec)weir_random_below(&random, 10000),
				       .seed = seed,
			       }};
	model.opts.open_most = model.opts.open + (weir_nsec)weir_random_below(&random, 20000);
	model.open_time = model.opts.open;
	struct weir_breaker *breaker;
	quick_assert(weir_breaker_new(&model.opts, &breaker) == 0);
	for (int i = 0; i < OPERATIONS; i++) {
		if (i % 100 == 0) /* outages and recoveries */
			bad = (unsigned)weir_random_below(&random, 3) * 45;
		now = any_step(&random, &model, breaker, now);
		model_pass_time(&model, now);
		assert_same(&model, breaker, now);
		if (weir_random_below(&random, 2))
			do_allow(&model, breaker, now);
		else
			do_end(&model, breaker, &random, bad, now);
		assert_same(&model, breaker, now);
		states |= 1u << model.state;
	}
	weir_breaker_free(breaker);
	return states;
}

TEST(breaker_does_as_the_naive_model)
{
	int all_states = 0;
	for (uint64_t seed = 1; seed <= 60; seed++)
		all_states += run_model(seed) == 7;
	ck_assert_int_ge(all_states, 40);
}
