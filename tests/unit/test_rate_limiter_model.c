/* SPDX-License-Identifier: MIT */
/*
 * The rate limiter against a model: a crowd acquires, gives up, is cancelled, and has the rate changed and closed under
 * it, and each answer must be the one foretold, to the nanosecond when.
 */
#include "unit/fibers.h"

#include <weir/random.h>
#include <weir/rate.h>

enum { WORKERS = 8, OPERATIONS = 600 };

struct worker {
	struct model *model;
	struct weir_group *group;
	uint64_t n;
	weir_nsec deadline, foretold_at;
	int foretold;
};

/* The law, and an array of those who wait. */
struct model {
	struct weir_rate_limiter *limiter;
	struct weir_rate rate;
	weir_nsec now, closed_until;
	struct worker workers[WORKERS], *line[WORKERS];
	size_t line_length;
	uint64_t random, answers[5];
	bool ends;
};

static uint64_t draw(struct model *model, uint64_t n)
{
	return weir_random_below(&model->random, n);
}

static void answer(struct model *model, size_t at, int code)
{
	model->line[at]->foretold = code;
	model->line[at]->foretold_at = model->now;
	model->line_length--;
	for (size_t i = at; i < model->line_length; i++)
		model->line[i] = model->line[i + 1];
}

/* When the first in line is let through, or is told that it never will be: at once. */
static weir_nsec time_of_head(const struct model *model)
{
	uint64_t n = model->line[0]->n;
	if (n > model->rate.options.burst)
		return model->now;
	weir_nsec at = weir_rate_next(&model->rate, n, model->now);
	return at > model->closed_until ? at : model->closed_until > model->now ? model->closed_until : model->now;
}

static void answer_head(struct model *model)
{
	uint64_t n = model->line[0]->n;
	bool possible = n <= model->rate.options.burst;
	if (possible)
		weir_rate_take(&model->rate, n, model->now);
	answer(model, 0, possible ? 0 : WEIR_EINVAL);
}

/* All that happens by itself until now, one after the other.  The times are such that no two are the same. */
static void pass_time(struct model *model, weir_nsec now)
{
	while (model->line_length) {
		weir_nsec first = time_of_head(model);
		size_t late = WORKERS;
		for (size_t i = 0; i < model->line_length; i++)
			if (model->line[i]->deadline != WEIR_FOREVER && model->line[i]->deadline < first) {
				first = model->line[i]->deadline;
				late = i;
			}
		if (first > now)
			break;
		model->now = first;
		if (late < WORKERS)
			answer(model, late, WEIR_ETIMEDOUT);
		else
			answer_head(model);
	}
	model->now = now;
}

/* What the call that begins now is answered at once, or UNANSWERED: it waits. */
static int answer_now(struct model *model, struct worker *worker)
{
	if (worker->n > model->rate.options.burst)
		return WEIR_EINVAL;
	if (!model->line_length && model->closed_until <= model->now &&
	    weir_rate_next(&model->rate, worker->n, model->now) == model->now) {
		weir_rate_take(&model->rate, worker->n, model->now);
		return 0;
	}
	if (worker->deadline == WEIR_TRY)
		return WEIR_EAGAIN;
	return worker->deadline != WEIR_FOREVER && worker->deadline <= model->now ? WEIR_ETIMEDOUT : UNANSWERED;
}

static void count_answer(struct model *model, int code)
{
	static const int codes[] = {0, WEIR_EINVAL, WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED};
	for (int i = 0; i < 5; i++)
		model->answers[i] += code == codes[i];
}

static int do_acquire(struct worker *worker)
{
	struct model *model = worker->model;
	worker->n = 1 + draw(model, draw(model, 2) ? 1 : 5);
	uint64_t kind = draw(model, 6);
	worker->deadline = kind == 0   ? WEIR_TRY
			   : kind == 1 ? weir_now()
			   : kind < 4  ? WEIR_FOREVER
				       : weir_now() + 1 + (weir_nsec)draw(model, WEIR_SEC);
	pass_time(model, weir_now());
	worker->foretold_at = model->now;
	worker->foretold = answer_now(model, worker);
	if (worker->foretold == UNANSWERED)
		model->line[model->line_length++] = worker;
	int code = weir_rate_limiter_acquire(model->limiter, worker->n, worker->deadline);
	pass_time(model, weir_now());
	quick_assert(code == worker->foretold);
	quick_assert(weir_now() == worker->foretold_at);
	count_answer(model, code);
	return code;
}

static int work(void *arg)
{
	struct worker *worker = arg;
	while (!worker->model->ends && weir_sleep(1 + (weir_nsec)draw(worker->model, WEIR_SEC / 2)) == 0)
		if (do_acquire(worker) == WEIR_ECANCELED)
			break;
	return 0;
}

static void start_worker(struct worker *worker)
{
	worker->group = new_group();
	spawn(worker->group, work, worker);
}

static void cancel_one(struct model *model)
{
	struct worker *worker = &model->workers[draw(model, WORKERS)];
	for (size_t i = 0; i < model->line_length; i++)
		if (model->line[i] == worker)
			answer(model, i--, WEIR_ECANCELED);
	weir_group_cancel(worker->group);
	finish(worker->group);
	start_worker(worker);
}

static void change_rate(struct model *model)
{
	struct weir_rate_options opts = {.kind = model->rate.options.kind};
	opts.count = 1 + draw(model, 30);
	opts.period = 1 + (weir_nsec)draw(model, 2 * WEIR_SEC);
	opts.burst = 1 + draw(model, 6);
	ck_assert_int_eq(weir_rate_set(&model->rate, &opts, model->now), 0);
	ck_assert_int_eq(weir_rate_limiter_set(model->limiter, &opts), 0);
}

static void operate(struct model *model)
{
	for (int i = 0; i < OPERATIONS; i++) {
		quick_assert(weir_sleep(1 + (weir_nsec)draw(model, WEIR_SEC)) == 0);
		pass_time(model, weir_now());
		switch (draw(model, 4)) {
		case 0:
			cancel_one(model);
			break;
		case 1:
			model->closed_until = weir_now() - WEIR_SEC + (weir_nsec)draw(model, 2 * WEIR_SEC);
			weir_rate_limiter_close(model->limiter, model->closed_until);
			break;
		default:
			change_rate(model);
		}
	}
}

static void run_model(enum weir_rate_kind kind)
{
	static struct model model;
	struct weir_rate_options opts = {.count = 10, .burst = 3, .kind = kind};
	model = (struct model){.random = test_seed(), .now = weir_now()};
	ck_assert_int_eq(weir_rate_limiter_new(&opts, &model.limiter), 0);
	ck_assert_int_eq(weir_rate_init(&model.rate, &opts), 0);
	for (int i = 0; i < WORKERS; i++) {
		model.workers[i].model = &model;
		start_worker(&model.workers[i]);
	}
	operate(&model);
	model.ends = true;
	for (int i = 0; i < WORKERS; i++)
		finish(model.workers[i].group);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_gt(model.answers[i], 20);
	weir_rate_limiter_free(model.limiter);
}

FIBER_TEST(rate_limiter_answers_as_foretold_and_when_foretold)
{
	run_model(WEIR_RATE_GCRA);
	run_model(WEIR_RATE_BUCKET);
}
