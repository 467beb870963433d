/* SPDX-License-Identifier: MIT */
/*
 * The semaphore against a naive model: a crowd acquires, releases, cancels and changes the number of permits at random,
 * and each answer must be the one foretold.
 */
#include "unit/fibers.h"

#include <weir/random.h>
#include <weir/sem.h>

/* The model: a limit, what is in use, and an array of those who wait. */

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
	struct weir_sem *sem;
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
	quick_assert(weir_sem_available(model->sem) == unused);
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
	int answer = weir_sem_acquire(model->sem, worker->n, worker->deadline);
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
	weir_sem_release(model->sem, n);
	assert_same(model);
}

static void do_resize(struct model *model)
{
	prune(model);
	size_t limit = draw(model, LIMIT_MOST + 1), before = model->limit;
	model->limit = limit;
	if (limit > before) {
		admit(model);
		weir_sem_release(model->sem, limit - before);
	} else {
		weir_sem_withdraw(model->sem, before - limit);
	}
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

static void run_model(uint64_t seed, uint64_t totals[4])
{
	static struct model model;
	model = (struct model){.random = seed, .limit = LIMIT_MOST / 2};
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
	for (int i = 0; i < 3; i++)
		totals[i] += model.outcomes[i];
	totals[3] += model.resizes;
}

FIBER_TEST(sem_does_what_the_model_foretells)
{
	uint64_t totals[4] = {0};
	for (uint64_t round = 0; round < 60; round++)
		run_model(test_seed() * 1000 + round, totals);
	for (int i = 0; i < 4; i++) /* the crowd did come into every situation */
		ck_assert_msg(totals[i] > 5, "waits that were given, timed out, cancelled; resizes (%d): %d", i,
			      (int)totals[i]);
}
