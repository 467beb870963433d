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
	enum weir_outcome outcome;
	bool failed, slow, again, suspect;
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
	struct result window[OPERATIONS]; /* since it last closed; of suspects the good ones, which only end a row */
	int n_window;
	struct result answers[OPERATIONS]; /* since it last closed, or opened for denied ones */
	int n_answers, block, reopened;
	bool denied, by_errors;
	unsigned doubt;
	weir_nsec closed_at, denied_since;
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
	model->reopened++;
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

/* Answered errors, and what is known to be denied for itself, leave their probe to others. */
static bool gives_place_back(const struct model *model, const struct result *result)
{
	bool denied = result->outcome == WEIR_OUTCOME_DENIED && model->opts.denied_rate > 0;
	return result->outcome == WEIR_OUTCOME_ERROR || (denied && result->suspect);
}

/* Probes that have ended and keep their place. */
static unsigned model_used(const struct model *model)
{
	unsigned n = 0;
	for (int i = 0; i < model->n_results; i++)
		n += !gives_place_back(model, &model->results[i]);
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
			 unsigned *ret_slow, unsigned *ret_errors)
{
	weir_nsec width = model->opts.window / 10;
	unsigned newer = 0;
	*ret_calls = *ret_failed = *ret_slow = *ret_errors = 0;
	for (int i = model->n_window; i-- > 0;) {
		const struct result *result = &model->window[i];
		bool counts = model->opts.window_calls ? newer < model->opts.window_calls
						       : result->at / width > now / width - 10;
		if (result->suspect)
			continue;
		newer++;
		*ret_calls += counts;
		*ret_failed += counts && result->failed;
		*ret_slow += counts && result->slow;
		*ret_errors += counts && result->outcome == WEIR_OUTCOME_ERROR;
	}
}

static bool model_is_down(const struct model *model, unsigned least)
{
	unsigned row = 0;
	for (int i = model->n_window; i > 0 && model->window[i - 1].failed; i--)
		row++;
	return row >= (model->opts.in_row ? model->opts.in_row : least);
}

static bool model_is_denied(const struct model *model)
{
	int row = 0, denied = 0, first = model->n_answers - model->n_answers % model->block;
	for (int i = model->n_answers; i > 0 && model->answers[i - 1].outcome == WEIR_OUTCOME_DENIED; i--)
		row++;
	if (first == model->n_answers)
		first -= model->block;
	for (int i = first; i >= 0 && i < model->n_answers; i++)
		denied += model->answers[i].outcome == WEIR_OUTCOME_DENIED;
	bool is_whole = model->n_answers && model->n_answers % model->block == 0;
	return row >= 20 || (is_whole && denied >= model->opts.denied_rate * model->block);
}

static unsigned model_least(const struct model *model)
{
	unsigned least = model->opts.calls_least, most = model->opts.window_calls;
	return most && least > most ? most : least;
}

static void model_judge_calls(struct model *model, const struct result *result, weir_nsec now)
{
	unsigned all, failed, slow, errors, least = model_least(model), needed = least;
	bool answered = result->outcome != WEIR_OUTCOME_FAILED && result->outcome != WEIR_OUTCOME_TIMED_OUT;
	if (!result->suspect || !result->failed)
		model->window[model->n_window++] = *result;
	bool denied = result->outcome == WEIR_OUTCOME_DENIED;
	if (answered && model->opts.denied_rate > 0 && !(denied && result->suspect)) {
		model->answers[model->n_answers++] = *result;
		model->denied = model_is_denied(model);
		model->denied_since = now;
	}
	model_window(model, now, &all, &failed, &slow, &errors);
	bool by_errors = 2 * errors > failed, too_many, too_slow = all >= least && slow >= model->opts.slow_rate * all;
	if (by_errors && now - model->closed_at < model->opts.window)
		needed = least * model->doubt;
	if (model->opts.window_calls && needed > model->opts.window_calls)
		needed = model->opts.window_calls;
	too_many = all >= needed && failed >= model->opts.failure_rate * all;
	if (!result->suspect)
		model->by_errors = by_errors && too_many && !too_slow && !model_is_down(model, least);
	if (model->denied || (!result->suspect && (model_is_down(model, least) || too_many || too_slow)))
		model_change(model, WEIR_BREAKER_OPEN, now);
}

static void model_close(struct model *model, weir_nsec now)
{
	if (model->denied && now - model->denied_since <= 2 * model->opts.open_most && model->block < 1280)
		model->block *= 2;
	if (!model->by_errors || model->reopened)
		model->doubt = 1;
	else if (model->doubt < 16)
		model->doubt *= 2;
	model->closed_at = now;
	model_change(model, WEIR_BREAKER_CLOSED, now);
	model->open_time = model->opts.open;
	model->n_window = model->n_answers = model->reopened = 0;
	model->denied = false;
}

/* Whether the share of failed, or slow, ones reaches its rate if all probes to come are such; or if none is. */
static bool reaches(unsigned part, unsigned all, double rate)
{
	return part && part >= rate * all;
}

static void model_judge_probes(struct model *model, weir_nsec now)
{
	unsigned good = 0, failed = 0, slow = 0, denied = 0, errors = 0, used = model_used(model);
	unsigned rest = model->opts.probes - used;
	for (int i = 0; i < model->n_results; i++) {
		const struct result *result = &model->results[i];
		bool is_error = result->outcome == WEIR_OUTCOME_ERROR, counts = !result->failed || !result->suspect;
		bool is_denied = result->outcome == WEIR_OUTCOME_DENIED && model->opts.denied_rate > 0;
		if (gives_place_back(model, result) && !is_error)
			continue;
		errors += is_error && !result->again;
		denied += is_denied;
		failed += !is_error && counts && (result->failed || is_denied);
		good += !result->failed && !is_denied;
		slow += !is_error && counts && result->slow;
	}
	double rate = model->denied ? 1 : model->opts.failure_rate;
	bool fails = reaches(failed, good + failed + rest, rate) || errors >= model_least(model);
	bool may_fail = rest && reaches(failed + rest, good + failed + rest, rate);
	bool may_slow = rest && reaches(slow + rest, model->opts.probes, model->opts.slow_rate);
	if (fails || reaches(slow, model->opts.probes, model->opts.slow_rate)) {
		if (fails && !model->denied)
			model->denied_since = now;
		if (fails)
			model->denied = denied && 2 * denied >= failed;
		model_reopen(model, now);
	} else if ((model->denied && good) || (good + failed && !may_fail && !may_slow)) {
		model_close(model, now);
	} else if (!good && !failed && !rest) {
		model_change(model, WEIR_BREAKER_OPEN, now);
	}
}

static bool model_allows(struct model *model)
{
	if (model->state == WEIR_BREAKER_HALF_OPEN)
		return model_under_way(model) + model_used(model) < model->opts.probes;
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

static void do_end(struct model *model, struct weir_breaker *breaker, uint64_t *random, unsigned bad, unsigned denied,
		   weir_nsec now)
{
	if (!model->n_given)
		return;
	struct given *place = &model->given[weir_random_below(random, (uint64_t)model->n_given)], given = *place;
	*place = model->given[--model->n_given];
	enum weir_outcome outcome = WEIR_OUTCOME_GOOD;
	if (weir_random_below(random, 100) < bad) /* at times most of them are answered */
		outcome = denied && weir_random_below(random, 4)
				  ? WEIR_OUTCOME_ERROR
				  : (enum weir_outcome)weir_random_below(random, WEIR_OUTCOMES);
	else if (weir_random_below(random, 100) < denied)
		outcome = WEIR_OUTCOME_DENIED;
	struct result result = {
		.at = now,
		.outcome = outcome,
		.failed = outcome == WEIR_OUTCOME_FAILED || outcome == WEIR_OUTCOME_TIMED_OUT ||
			  outcome == WEIR_OUTCOME_ERROR,
		.slow = weir_random_below(random, 100) < bad,
		.again = weir_random_below(random, 3) == 0,
	};
	result.suspect = result.again && weir_random_below(random, 2);
	given.permit.again = result.again;
	given.permit.suspect = result.suspect;
	weir_breaker_end(breaker, given.permit, outcome, model->opts.slow + result.slow, now);
	if (outcome == WEIR_OUTCOME_RELEASED || outcome == WEIR_OUTCOME_THROTTLED)
		return;
	if (given.change != model->changes) {
		model->stale++;
		return;
	}
	model->results[model->n_results++] = result;
	if (model->state == WEIR_BREAKER_CLOSED)
		model_judge_calls(model, &result, now);
	else
		model_judge_probes(model, now);
}

static void assert_same(struct model *model, const struct weir_breaker *breaker, weir_nsec now)
{
	struct weir_breaker_stats stats;
	unsigned all, failed, slow, errors;
	weir_breaker_stats(breaker, now, &stats);
	model_window(model, now, &all, &failed, &slow, &errors);
	quick_assert(stats.state == model->state && weir_breaker_state(breaker, now) == model->state);
	quick_assert(stats.calls == all && stats.failed == failed && stats.slow == slow);
	quick_assert(stats.opened == (uint64_t)model->opened && stats.refused == (uint64_t)model->refused);
	quick_assert(stats.stale == (uint64_t)model->stale);
	quick_assert((stats.denied_of > 0) == model->denied);
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
	unsigned states = 0, bad = 0, denied = 0;
	weir_nsec now = 0;
	model = (struct model){.opts =
				       {
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
					       .denied_rate = 0.25 * (double)weir_random_below(&random, 5),
					       .seed = seed,
				       },
			       .block = 20,
			       .doubt = 1};
	model.opts.open_most = model.opts.open + (weir_nsec)weir_random_below(&random, 20000);
	model.open_time = model.opts.open;
	struct weir_breaker *breaker;
	quick_assert(weir_breaker_new(&model.opts, &breaker) == 0);
	for (int i = 0; i < OPERATIONS; i++) {
		if (i % 100 == 0) /* outages and recoveries */
			bad = (unsigned)weir_random_below(&random, 3) * 45,
			denied = (unsigned)weir_random_below(&random, 3) * 45;
		now = any_step(&random, &model, breaker, now);
		model_pass_time(&model, now);
		assert_same(&model, breaker, now);
		if (weir_random_below(&random, 2))
			do_allow(&model, breaker, now);
		else
			do_end(&model, breaker, &random, bad, denied, now);
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
