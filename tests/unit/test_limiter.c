/* SPDX-License-Identifier: MIT */
/*
 * The limiter; and, since it shares the semaphore's waiting, both against a naive model: a crowd acquires, releases,
 * cancels and resizes at random, and each answer must be the one foretold.
 */
#include "unit/death.h"
#include "unit/exposition.h"
#include "unit/fibers.h"

#include <string.h>
#include <weir/limiter.h>
#include <weir/random.h>

static struct weir_limiter *new_limiter(size_t limit)
{
	struct weir_limiter *limiter;
	ck_assert_int_eq(weir_limiter_new(&(struct weir_limiter_options){.limit = limit}, &limiter), 0);
	return limiter;
}

struct taker {
	struct weir_limiter *limiter;
	size_t n;
	int answer;
};

static int take(void *arg)
{
	struct taker *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_limiter_acquire(self->limiter, self->n, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(limiter_growing_lets_those_who_wait_in_at_once)
{
	struct weir_limiter *limiter = new_limiter(0);
	struct weir_group *group = new_group();
	struct taker takers[3];
	for (int i = 0; i < 3; i++) {
		takers[i] = (struct taker){.limiter = limiter, .n = 2};
		spawn(group, take, &takers[i]);
		settle();
		ck_assert_int_eq(takers[i].answer, UNANSWERED);
	}
	ck_assert_int_eq(weir_limiter_resize(limiter, 5), 0);
	ck_assert_uint_eq(weir_limiter_in_use(limiter), 4);
	settle();
	ck_assert_int_eq(takers[1].answer, 0);
	ck_assert_int_eq(takers[2].answer, UNANSWERED);
	ck_assert_int_eq(weir_limiter_resize(limiter, 6), 0);
	finish(group);
	ck_assert_uint_eq(weir_limiter_in_use(limiter), 6);
	weir_limiter_free(limiter);
	weir_limiter_free(NULL);
}

FIBER_TEST(limiter_shrinking_admits_nobody_until_drained)
{
	struct weir_limiter *limiter = new_limiter(4);
	ck_assert_int_eq(weir_limiter_acquire(limiter, 4, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_limiter_resize(limiter, 2), 0);
	ck_assert_uint_eq(weir_limiter_in_use(limiter), 4);
	ck_assert_uint_eq(weir_limiter_limit(limiter), 2);
	for (size_t left = 3; left >= 2; left--) {
		weir_limiter_release(limiter, 1);
		ck_assert_int_eq(weir_limiter_acquire(limiter, 1, WEIR_TRY), WEIR_EAGAIN);
		ck_assert_uint_eq(weir_limiter_in_use(limiter), left);
	}
	weir_limiter_release(limiter, 1);
	ck_assert_int_eq(weir_limiter_acquire(limiter, 1, WEIR_TRY), 0);
	ck_assert_int_eq(weir_limiter_acquire(limiter, 1, weir_after(5)), WEIR_ETIMEDOUT);
	weir_limiter_free(limiter);
}

FIBER_TEST(limiter_with_a_name_reports_to_the_registry_of_its_thread)
{
	struct weir_metrics *metrics;
	struct weir_limiter *limiter;
	struct weir_sem_stats stats;
	char *text;
	size_t bytes;
	ck_assert_int_eq(weir_metrics_new(&metrics), 0);
	weir_metrics_use(metrics);
	ck_assert_int_eq(weir_limiter_new(&(struct weir_limiter_options){.limit = 3, .name = "api"}, &limiter), 0);
	ck_assert_int_eq(weir_limiter_acquire(limiter, 2, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_limiter_acquire(limiter, 2, WEIR_TRY), WEIR_EAGAIN);
	weir_limiter_stats(limiter, &stats);
	ck_assert_uint_eq(stats.calls, 2);
	ck_assert_uint_eq(stats.failed, 1);
	ck_assert_int_eq(weir_metrics_text(metrics, WEIR_METRICS_OPENMETRICS, &text, &bytes), 0);
	exposition_check(text, true);
	ck_assert(exposition_has(text, "weir_limiter_limit{name=\"api\"} 3"));
	ck_assert(exposition_has(text, "weir_limiter_in_use{name=\"api\"} 2"));
	ck_assert(exposition_has(text, "weir_limiter_failed_total{name=\"api\"} 1"));
	free(text);
	weir_metrics_free(metrics);
	weir_limiter_free(limiter); /* after its registry */
}

static int release_too_much(void *arg)
{
	(void)arg;
	static struct weir_limiter *volatile limiter; /* so that it is no leak of the aborted process */
	limiter = new_limiter(2);
	weir_limiter_acquire(limiter, 1, WEIR_TRY);
	weir_limiter_release(limiter, 2);
	return 0;
}

static void run_release_too_much(void)
{
	weir_run(NULL, release_too_much, NULL);
}

static int acquire_for_ever(void *arg)
{
	return weir_limiter_acquire(arg, 1, WEIR_FOREVER);
}

static int free_before_the_cancelled_ran(void *arg)
{
	(void)arg;
	static struct weir_limiter *volatile limiter;
	struct weir_group *group = new_group();
	limiter = new_limiter(0);
	spawn(group, acquire_for_ever, limiter);
	settle();
	weir_group_cancel(group);
	weir_limiter_free(limiter);
	return weir_group_wait(group, WEIR_FOREVER);
}

static void run_free_before_the_cancelled_ran(void)
{
	weir_run(NULL, free_before_the_cancelled_ran, NULL);
}

TEST(limiter_broken_contracts_abort)
{
	struct weir_limiter *limiter = new_limiter(0);
	ck_assert_int_eq(weir_limiter_resize(limiter, SIZE_MAX), WEIR_EINVAL);
	weir_limiter_free(limiter);
	assert_aborts(run_release_too_much);
	assert_aborts(run_free_before_the_cancelled_ran);
}

/* ---- the model: a limit, what is in use, and an array of those who wait */

enum { WORKERS = 10, OPERATIONS = 200, LIMIT_MOST = 8 };

struct worker {
	struct model *model;
	struct weir_group *group; /* of this one alone, to cancel it */
	size_t n, in_hand;
	weir_nsec deadline;
	int foretold;
	bool canceled;
};

struct model {
	struct weir_sem *sem; /* one of both */
	struct weir_limiter *limiter;
	size_t limit, in_use, line_length;
	struct worker *line[WORKERS], workers[WORKERS];
	uint64_t random, outcomes[3], resizes;
};

static uint64_t draw(struct model *model, uint64_t n)
{
	return weir_random(&model->random) % n;
}

static struct worker *leave_line(struct model *model, size_t at)
{
	struct worker *worker = model->line[at];
	model->line_length--;
	for (size_t i = at; i < model->line_length; i++)
		model->line[i] = model->line[i + 1];
	return worker;
}

/* Those whose deadline has passed are no longer in line; what they held back moves when they run. */
static void prune(struct model *model)
{
	for (size_t i = 0; i < model->line_length;)
		if (model->line[i]->deadline != WEIR_FOREVER && model->line[i]->deadline <= weir_now())
			leave_line(model, i)->foretold = WEIR_ETIMEDOUT;
		else
			i++;
}

static void admit(struct model *model)
{
	while (model->line_length && model->in_use + model->line[0]->n <= model->limit) {
		struct worker *worker = leave_line(model, 0);
		model->in_use += worker->n;
		worker->foretold = 0;
	}
}

static void assert_same(const struct model *model)
{
	size_t unused = model->limit > model->in_use ? model->limit - model->in_use : 0;
	if (model->sem) {
		quick_assert(weir_sem_available(model->sem) == unused);
		return;
	}
	quick_assert(weir_limiter_limit(model->limiter) == model->limit);
	quick_assert(weir_limiter_in_use(model->limiter) == model->in_use);
}

static void foretell(struct worker *worker)
{
	struct model *model = worker->model;
	prune(model);
	worker->foretold = UNANSWERED;
	if (worker->canceled) {
		worker->foretold = WEIR_ECANCELED;
	} else if (!model->line_length && model->in_use + worker->n <= model->limit) {
		model->in_use += worker->n;
		worker->foretold = 0;
	} else if (worker->deadline != WEIR_FOREVER && worker->deadline <= weir_now()) {
		worker->foretold = worker->deadline == WEIR_TRY ? WEIR_EAGAIN : WEIR_ETIMEDOUT;
		admit(model);
	} else {
		model->line[model->line_length++] = worker;
	}
}

static void do_acquire(struct worker *worker)
{
	struct model *model = worker->model;
	worker->n = 1 + draw(model, 4);
	uint64_t kind = draw(model, 5);
	worker->deadline = kind == 0 ? WEIR_TRY : kind == 1 ? weir_now() : weir_now() + 1 + (weir_nsec)draw(model, 30);
	foretell(worker);
	bool waits = worker->foretold == UNANSWERED;
	int answer = model->sem ? weir_sem_acquire(model->sem, worker->n, worker->deadline)
				: weir_limiter_acquire(model->limiter, worker->n, worker->deadline);
	prune(model);
	quick_assert(answer == worker->foretold);
	if (waits) {
		model->outcomes[answer == 0 ? 0 : answer == WEIR_ETIMEDOUT ? 1 : 2]++;
		if (answer)
			admit(model);
	}
	if (!answer)
		worker->in_hand += worker->n;
	assert_same(model);
}

static void do_release(struct worker *worker, size_t n)
{
	struct model *model = worker->model;
	if (!n)
		return;
	prune(model);
	worker->in_hand -= n;
	model->in_use -= n;
	admit(model);
	if (model->sem)
		weir_sem_release(model->sem, n);
	else
		weir_limiter_release(model->limiter, n);
	assert_same(model);
}

static void do_resize(struct model *model)
{
	if (model->sem)
		return;
	prune(model);
	model->limit = draw(model, LIMIT_MOST + 1);
	admit(model);
	ck_assert_int_eq(weir_limiter_resize(model->limiter, model->limit), 0);
	model->resizes++;
	assert_same(model);
}

static void do_cancel(struct model *model)
{
	struct worker *worker = &model->workers[draw(model, WORKERS)];
	prune(model);
	for (size_t i = 0; i < model->line_length; i++)
		if (model->line[i] == worker)
			leave_line(model, i)->foretold = WEIR_ECANCELED;
	worker->canceled = true;
	weir_group_cancel(worker->group);
	assert_same(model);
}

static int work(void *arg)
{
	struct worker *worker = arg;
	struct model *model = worker->model;
	for (int i = 0; i < OPERATIONS; i++) {
		uint64_t what = draw(model, 1000);
		if (what < 450)
			do_acquire(worker);
		else if (what < 750)
			do_release(worker, worker->in_hand ? 1 + draw(model, worker->in_hand) : 0);
		else if (what < 800)
			do_resize(model);
		else if (what < 850)
			weir_yield();
		else if (what < 997)
			weir_sleep((weir_nsec)draw(model, 20));
		else
			do_cancel(model);
	}
	do_release(worker, worker->in_hand);
	return 0;
}

static void run_model(uint64_t seed, bool limiter, uint64_t totals[4])
{
	static struct model model;
	model = (struct model){.random = seed, .limit = LIMIT_MOST / 2};
	if (limiter)
		model.limiter = new_limiter(model.limit);
	else
		ck_assert_int_eq(weir_sem_new(model.limit, &model.sem), 0);
	for (int i = 0; i < WORKERS; i++) {
		model.workers[i] = (struct worker){.model = &model, .group = new_group()};
		spawn(model.workers[i].group, work, &model.workers[i]);
	}
	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_eq(weir_group_wait(model.workers[i].group, WEIR_FOREVER), 0);
	for (int i = 0; i < WORKERS; i++) /* not before: they cancel one another */
		weir_group_free(model.workers[i].group);
	ck_assert_uint_eq(model.in_use, 0);
	assert_same(&model);
	weir_sem_free(model.sem);
	weir_limiter_free(model.limiter);
	for (int i = 0; i < 3; i++)
		totals[i] += model.outcomes[i];
	totals[3] += model.resizes;
}

FIBER_TEST(limiter_and_semaphore_do_what_the_model_foretells)
{
	uint64_t totals[4] = {0};
	for (uint64_t round = 0; round < 60; round++)
		run_model(test_seed() * 1000 + round, round % 2, totals);
	for (int i = 0; i < 4; i++) /* the crowd did come into every situation */
		ck_assert_msg(totals[i] > 5, "waits that were given, timed out, cancelled; resizes (%d): %d", i,
			      (int)totals[i]);
}
