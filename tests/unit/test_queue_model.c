/* SPDX-License-Identifier: MIT */
/*
 * The queue against a naive model: a crowd of fibers does random things to both, and whenever a call returns the model
 * must have foretold how.
 *
 * The model keeps its waiters in plain arrays and decides at once who gets what; it learns of deadlines by looking at
 * the (virtual) clock, because all timers that are due fire before any fiber runs.  Cancels are made through it.
 */
#include "unit/fibers.h"

#include <string.h>
#include <weir/queue.h>
#include <weir/random.h>

enum { WORKERS = 12, OPERATIONS = 250, CAPACITY_MOST = 7, ITEM_MOST = 4096 };

/* What a waiting call was foretold; OPEN: nothing yet. */
enum { OPEN = UNANSWERED };

struct worker {
	struct model *model;
	struct weir_group *group; /* of this one alone, to cancel it */
	int index, in_hand;       /* items got and not yet settled */
	weir_nsec deadline;
	int foretold;
	uint64_t item; /* that it puts, or that the model gave it */
	bool canceled;
};

struct line {
	struct worker *workers[WORKERS];
	size_t n;
};

struct model {
	struct weir_queue *queue;
	size_t item_bytes, capacity;
	uint64_t items[CAPACITY_MOST], next_item, random;
	size_t n, unsettled;
	bool closed;
	struct line getters, putters, joiners;
	struct worker workers[WORKERS];
	size_t outcomes[4]; /* of waits: won, timed out, cancelled, closed */
};

static struct worker *leave_line(struct line *line, size_t at)
{
	struct worker *worker = line->workers[at];
	line->n--;
	for (size_t i = at; i < line->n; i++)
		line->workers[i] = line->workers[i + 1];
	return worker;
}

static void prune_line(struct line *line)
{
	for (size_t i = 0; i < line->n;)
		if (line->workers[i]->deadline != WEIR_FOREVER && line->workers[i]->deadline <= weir_now())
			leave_line(line, i)->foretold = WEIR_ETIMEDOUT;
		else
			i++;
}

/* Those whose deadline has passed are no longer in line. */
static void prune(struct model *model)
{
	prune_line(&model->getters);
	prune_line(&model->putters);
	prune_line(&model->joiners);
}

static void foretell_all(struct line *line, int answer)
{
	while (line->n)
		leave_line(line, 0)->foretold = answer;
}

static void settled(struct model *model, size_t n)
{
	model->unsettled -= n;
	if (n && !model->unsettled)
		foretell_all(&model->joiners, 0);
}

/* ---- what each operation does to the model; the answer foretold, or OPEN if the call has to wait */

static int wait_in(struct line *line, struct worker *worker)
{
	if (worker->deadline == WEIR_TRY)
		return WEIR_EAGAIN;
	if (worker->deadline != WEIR_FOREVER && worker->deadline <= weir_now())
		return WEIR_ETIMEDOUT;
	line->workers[line->n++] = worker;
	return OPEN;
}

static int model_put(struct model *model, struct worker *worker)
{
	if (model->closed)
		return WEIR_ECLOSED;
	if (model->getters.n) {
		struct worker *getter = leave_line(&model->getters, 0);
		getter->item = worker->item;
		getter->foretold = 0;
	} else if (model->n < model->capacity) {
		model->items[model->n++] = worker->item;
	} else {
		return wait_in(&model->putters, worker);
	}
	model->unsettled++;
	return 0;
}

static int model_get(struct model *model, struct worker *worker)
{
	if (!model->n)
		return model->closed ? WEIR_ECLOSED : wait_in(&model->getters, worker);
	worker->item = model->items[0];
	model->n--;
	for (size_t i = 0; i < model->n; i++)
		model->items[i] = model->items[i + 1];
	if (model->putters.n) {
		struct worker *putter = leave_line(&model->putters, 0);
		putter->foretold = 0;
		model->items[model->n++] = putter->item;
		model->unsettled++;
	}
	return 0;
}

static int model_join(struct model *model, struct worker *worker)
{
	return model->unsettled ? wait_in(&model->joiners, worker) : 0;
}

static size_t model_close(struct model *model, bool drop)
{
	size_t dropped = drop ? model->n : 0;
	model->closed = true;
	foretell_all(&model->putters, WEIR_ECLOSED);
	foretell_all(&model->getters, WEIR_ECLOSED);
	model->n -= dropped;
	settled(model, dropped);
	return dropped;
}

static void model_cancel(struct model *model, struct worker *worker)
{
	struct line *lines[] = {&model->getters, &model->putters, &model->joiners};
	for (int l = 0; l < 3; l++)
		for (size_t i = 0; i < lines[l]->n; i++)
			if (lines[l]->workers[i] == worker)
				leave_line(lines[l], i)->foretold = WEIR_ECANCELED;
	worker->canceled = true;
}

/* ---- the same to both */

static uint64_t draw(struct model *model, uint64_t n)
{
	return weir_random(&model->random) % n;
}

static weir_nsec draw_deadline(struct model *model)
{
	switch (draw(model, 4)) {
	case 0:
		return WEIR_TRY;
	case 1:
		return weir_now() - 1 + (weir_nsec)draw(model, 3);
	default:
		return weir_now() + 1 + (weir_nsec)draw(model, 40);
	}
}

static void fill_item(const struct model *model, unsigned char *bytes, uint64_t item)
{
	for (size_t i = 0; i < model->item_bytes; i++)
		bytes[i] = (unsigned char)(item * 31 + i * (item | 1));
}

static void assert_same(const struct model *model)
{
	quick_assert(weir_queue_size(model->queue) == model->n);
	quick_assert(weir_queue_empty(model->queue) == (model->n == 0));
	quick_assert(weir_queue_full(model->queue) == (model->n == model->capacity));
}

/* A worker that was cancelled is told so before anything else. */
static int foretell(struct worker *worker, int (*operation)(struct model *, struct worker *))
{
	prune(worker->model);
	if (worker->canceled)
		return WEIR_ECANCELED;
	return operation(worker->model, worker);
}

static void assert_foretold(struct worker *worker, int answer, bool waited)
{
	struct model *model = worker->model;
	prune(model);
	quick_assert(answer == worker->foretold);
	if (waited)
		model->outcomes[answer == 0 ? 0 : answer == WEIR_ETIMEDOUT ? 1 : answer == WEIR_ECANCELED ? 2 : 3]++;
	assert_same(model);
}

static void do_put(struct worker *worker)
{
	unsigned char bytes[ITEM_MOST];
	struct model *model = worker->model;
	worker->item = ++model->next_item;
	fill_item(model, bytes, worker->item);
	worker->foretold = OPEN;
	int at_once = foretell(worker, model_put);
	if (at_once != OPEN)
		worker->foretold = at_once;
	assert_foretold(worker, weir_queue_put(model->queue, bytes, worker->deadline), at_once == OPEN);
}

static void do_get(struct worker *worker)
{
	unsigned char bytes[ITEM_MOST], expected[ITEM_MOST];
	struct model *model = worker->model;
	memset(bytes, 0xa5, model->item_bytes);
	memset(expected, 0xa5, model->item_bytes);
	worker->foretold = OPEN;
	int at_once = foretell(worker, model_get);
	if (at_once != OPEN)
		worker->foretold = at_once;
	int answer = weir_queue_get(model->queue, bytes, worker->deadline);
	assert_foretold(worker, answer, at_once == OPEN);
	if (!answer) {
		fill_item(model, expected, worker->item);
		worker->in_hand++;
	}
	quick_assert(!memcmp(bytes, expected, model->item_bytes));
}

static void do_join(struct worker *worker)
{
	worker->foretold = OPEN;
	int at_once = foretell(worker, model_join);
	if (at_once != OPEN)
		worker->foretold = at_once;
	assert_foretold(worker, weir_queue_join(worker->model->queue, worker->deadline), at_once == OPEN);
}

static void do_task_done(struct worker *worker)
{
	if (!worker->in_hand)
		return;
	prune(worker->model);
	worker->in_hand--;
	settled(worker->model, 1);
	weir_queue_task_done(worker->model->queue);
}

static void do_close(struct model *model, bool drop)
{
	prune(model);
	size_t dropped = model_close(model, drop);
	quick_assert(weir_queue_close(model->queue, drop ? WEIR_QUEUE_DROP : 0) == dropped);
	assert_same(model);
}

static void do_cancel(struct model *model)
{
	struct worker *worker = &model->workers[draw(model, WORKERS)];
	prune(model);
	model_cancel(model, worker);
	weir_group_cancel(worker->group);
}

static void do_something(struct worker *worker)
{
	struct model *model = worker->model;
	worker->deadline = draw_deadline(model);
	uint64_t what = draw(model, 1000);
	if (what < 350)
		do_put(worker);
	else if (what < 700)
		do_get(worker);
	else if (what < 850)
		do_task_done(worker);
	else if (what < 880)
		do_join(worker);
	else if (what < 930)
		weir_yield();
	else if (what < 997)
		weir_sleep((weir_nsec)draw(model, 30));
	else
		do_cancel(model);
}

static int work(void *arg)
{
	struct worker *worker = arg;
	for (int i = 0; i < OPERATIONS; i++)
		do_something(worker);
	while (worker->in_hand)
		do_task_done(worker);
	return 0;
}

/* Sooner or later somebody closes it, some of the time while most are still at work. */
static void run_model(size_t item_bytes, size_t capacity, uint64_t seed, size_t outcomes[4])
{
	static struct model model;
	struct weir_run_stats stats;
	model = (struct model){.item_bytes = item_bytes, .capacity = capacity, .random = seed};
	ck_assert_int_eq(weir_queue_new(item_bytes, capacity, &model.queue), 0);
	for (int i = 0; i < WORKERS; i++) {
		struct worker *worker = &model.workers[i];
		*worker = (struct worker){.model = &model, .group = new_group(), .index = i};
		struct weir_spawn_options opts = {.stack_bytes = 128 * 1024};
		ck_assert_int_eq(weir_group_spawn_with(worker->group, &opts, work, worker, WEIR_FOREVER), 0);
	}
	weir_sleep((weir_nsec)(100 + draw(&model, 400)));
	do_close(&model, false);
	weir_sleep((weir_nsec)draw(&model, 20));
	do_close(&model, true);
	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_eq(weir_group_wait(model.workers[i].group, WEIR_FOREVER), 0);
	for (int i = 0; i < WORKERS; i++) /* not before: they cancel one another */
		weir_group_free(model.workers[i].group);
	ck_assert_uint_eq(model.unsettled, 0);
	ck_assert_int_eq(weir_queue_join(model.queue, WEIR_TRY), 0);
	weir_queue_free(model.queue);
	weir_run_stats(&stats);
	ck_assert_uint_eq(stats.fibers, 1);
	for (int i = 0; i < 4; i++)
		outcomes[i] += model.outcomes[i];
}

FIBER_TEST(queue_does_what_the_model_foretells)
{
	static const size_t sizes[] = {1, 8, 16, 24, 4096};
	size_t outcomes[4] = {0};
	for (uint64_t round = 0; round < 15; round++)
		run_model(sizes[round % 5], 1 + (size_t)round % CAPACITY_MOST, test_seed() * 1000 + round, outcomes);
	for (int i = 0; i < 4; i++) /* the crowd did come into every situation */
		ck_assert_msg(outcomes[i] > 5, "waits that ended so (%d): %zu", i, outcomes[i]);
}
