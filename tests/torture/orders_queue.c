/* SPDX-License-Identifier: MIT */
/*
 * Random orders on a queue: each call of queue.h, and select, against the model (support/queue_model.h).
 *
 * To add an operation: its kind, a function do_x(), its row in the table.
 */
#include "torture/orders_queue.h"

#include "support/queue_model.h"

#include <stdlib.h>
#include <string.h>

enum { ITEM_MOST = 100, CAPACITY_MOST = 7, RANKS = 60 };

enum kind {
	SLEEP,
	YIELD,
	CANCEL,
	PUT,
	PUT_AT,
	GET,
	SELECT_PUT,
	SELECT_GET,
	TASK_DONE,
	JOIN,
	RESIZE,
	CLOSE,
	DROP,
	KINDS,
};

struct worker {
	struct model_worker in_model;
	unsigned index, in_hand; /* items got and not yet settled */
};

static struct {
	const struct order *order;
	struct weir_queue *queue;
	struct worker workers[ORDER_WORKERS];
	struct weir_group *groups[ORDER_WORKERS]; /* of each alone, to cancel it */
	uint64_t next_item;
} run;

static struct queue_model model;
size_t order_queue_waits[4];

static void fill_item(unsigned char *bytes, uint64_t item)
{
	for (size_t i = 0; i < model.options.item_bytes; i++)
		bytes[i] = (unsigned char)(item * 31 + i * (item | 1));
}

static void check_item(const unsigned char *bytes, uint64_t item)
{
	unsigned char expected[ITEM_MOST];
	memset(expected, 0xa5, model.options.item_bytes);
	if (item)
		fill_item(expected, item);
	check(!memcmp(bytes, expected, model.options.item_bytes));
}

static int64_t default_rank(void)
{
	return model.options.order == WEIR_EDF ? WEIR_FOREVER : 0;
}

static int64_t rank_of(const struct order_op *op)
{
	if (model.options.order == WEIR_PRIORITY)
		return op->rank % (MODEL_CLASSES + 2);
	return op->rank % 5 ? weir_now() - 10 + (weir_nsec)op->rank : WEIR_FOREVER;
}

static void make_item(struct worker *worker, unsigned char *bytes, int64_t rank)
{
	struct model_worker *in_model = &worker->in_model;
	in_model->item = ++run.next_item;
	in_model->rank = rank;
	fill_item(bytes, in_model->item);
}

/* Whether the call has to wait.  A worker that was cancelled is told so before anything else. */
static bool foretell(struct worker *worker, int (*operation)(struct queue_model *, struct model_worker *))
{
	struct model_worker *in_model = &worker->in_model;
	model_prune(&model);
	in_model->foretold = OPEN;
	int immediately = in_model->canceled ? WEIR_ECANCELED : operation(&model, in_model);
	if (immediately != OPEN)
		in_model->foretold = immediately;
	return immediately == OPEN;
}

static void check_foretold(struct worker *worker, int answer, bool waited)
{
	model_prune(&model);
	check(answer == worker->in_model.foretold);
	if (waited)
		order_queue_waits[answer == 0 ? 0 : answer == WEIR_ETIMEDOUT ? 1 : answer == WEIR_ECANCELED ? 2 : 3]++;
}

/* The same of a wait that the queue counts. */
static void check_wait(struct worker *worker, int answer, bool waited, struct model_times *times)
{
	if (waited)
		model_count_wait(times, &worker->in_model);
	check_foretold(worker, answer, waited);
}

/* ---- the operations */

static void do_put(struct worker *worker, const struct order_op *op)
{
	unsigned char bytes[ITEM_MOST];
	weir_nsec deadline = worker->in_model.deadline;
	int answer;
	make_item(worker, bytes, op->kind == PUT_AT ? rank_of(op) : default_rank());
	bool waits = foretell(worker, model_put);
	if (op->kind == PUT_AT)
		answer = weir_queue_put_at(run.queue, bytes, worker->in_model.rank, deadline);
	else
		answer = weir_queue_put(run.queue, bytes, deadline);
	check_wait(worker, answer, waits, &model.puts);
}

static void do_get(struct worker *worker, const struct order_op *op)
{
	(void)op;
	unsigned char bytes[ITEM_MOST];
	memset(bytes, 0xa5, sizeof bytes);
	bool waits = foretell(worker, model_get);
	int answer = weir_queue_get(run.queue, bytes, worker->in_model.deadline);
	check_wait(worker, answer, waits, &model.gets);
	worker->in_hand += !answer;
	check_item(bytes, answer ? 0 : worker->in_model.item);
}

/* Of a put and a get of the same queue; the case between them never happens. */
static void do_select(struct worker *worker, const struct order_op *op)
{
	unsigned char in[ITEM_MOST], out[ITEM_MOST];
	struct model_worker *in_model = &worker->in_model;
	make_item(worker, in, rank_of(op));
	uint64_t put = in_model->item;
	memset(out, 0xa5, sizeof out);
	in_model->puts_first = op->kind == SELECT_PUT;
	struct weir_select_case cases[3] = {{.code = 0}};
	cases[in_model->puts_first ? 0 : 2] =
		(struct weir_select_case){.put = run.queue, .item = in, .rank = in_model->rank};
	cases[in_model->puts_first ? 2 : 0] = (struct weir_select_case){.get = run.queue, .item = out};
	bool waits = foretell(worker, model_select);
	int won = weir_select(cases, 3, in_model->deadline);
	if (waits)
		model_count_wait(&model.puts, in_model);
	check_wait(worker, won < 0 ? won : cases[won].code, waits, &model.gets);
	in_model->selecting = false;
	bool got = won >= 0 && cases[won].get && !cases[won].code;
	check(won < 0 || (cases[won].put != NULL) == in_model->has_put);
	worker->in_hand += got;
	check_item(out, got ? in_model->item : 0);
	check(won < 0 || in_model->has_put || got || cases[won].code == WEIR_ECLOSED);
	check(!got || in_model->item != put);
}

static void do_task_done(struct worker *worker, const struct order_op *op)
{
	(void)op;
	if (!worker->in_hand)
		return;
	worker->in_hand--;
	model_settle(&model);
	weir_queue_task_done(run.queue);
}

static void do_join(struct worker *worker, const struct order_op *op)
{
	(void)op;
	bool waits = foretell(worker, model_join);
	check_foretold(worker, weir_queue_join(run.queue, worker->in_model.deadline), waits);
}

static void do_resize(struct worker *worker, const struct order_op *op)
{
	(void)worker;
	size_t capacity = op->n;
	if (model.capacity == SIZE_MAX) {
		check(weir_queue_resize(run.queue, capacity) == WEIR_EINVAL);
		return;
	}
	model_resize(&model, capacity);
	check(weir_queue_resize(run.queue, capacity) == 0);
}

static void do_close(struct worker *worker, const struct order_op *op)
{
	bool drop = op->kind == DROP;
	(void)worker;
	size_t dropped = model_close(&model, drop);
	check(weir_queue_close(run.queue, drop ? WEIR_QUEUE_DROP : 0) == dropped);
}

static void do_cancel(struct worker *worker, const struct order_op *op)
{
	(void)worker;
	model_cancel(&model, &run.workers[op->n].in_model);
	weir_group_cancel(run.groups[op->n]);
}

static void do_sleep(struct worker *worker, const struct order_op *op)
{
	order_sleep(op->n, &worker->in_model.canceled);
}

static void do_yield(struct worker *worker, const struct order_op *op)
{
	(void)worker, (void)op;
	weir_yield();
}

static const struct {
	const char *verb;
	void (*act)(struct worker *worker, const struct order_op *op);
	unsigned chance;
	unsigned least, most; /* of n; both 0: it makes no use of it */
	bool rank, deadline;  /* makes use of it */
} kinds[KINDS] = {
	[SLEEP] = {"sleeps", do_sleep, 70, 0, 29},
	[YIELD] = {"yields", do_yield, 40},
	[CANCEL] = {"cancels fiber", do_cancel, 8, 0, ORDER_WORKERS - 1},
	[PUT] = {"puts", do_put, 110, .deadline = true},
	[PUT_AT] = {"puts with a rank", do_put, 120, .rank = true, .deadline = true},
	[GET] = {"gets", do_get, 210, .deadline = true},
	[SELECT_PUT] = {"selects put or get", do_select, 20, .rank = true, .deadline = true},
	[SELECT_GET] = {"selects get or put", do_select, 20, .rank = true, .deadline = true},
	[TASK_DONE] = {"settles", do_task_done, 100},
	[JOIN] = {"joins", do_join, 30, .deadline = true},
	[RESIZE] = {"resizes", do_resize, 12, 1, 2 * CAPACITY_MOST},
	[CLOSE] = {"closes", do_close, 3},
	[DROP] = {"closes and drops", do_close, 3},
};

/* ---- what the queue says of itself */

static void check_state(void)
{
	struct weir_queue_stats stats;
	weir_queue_stats(run.queue, &stats);
	check(weir_queue_size(run.queue) == model.n && stats.size == model.n);
	check(weir_queue_capacity(run.queue) == model.capacity);
	check(weir_queue_empty(run.queue) == (model.n == 0));
	check(weir_queue_full(run.queue) == !model_has_place(&model));
	check(stats.put == model.put && stats.got == model.got && stats.dropped == model.dropped);
	check(stats.settled == model.put - model.unsettled);
}

static void check_histogram(const struct weir_histogram *histogram, const struct model_times *times)
{
	check(weir_histogram_count(histogram) == times->n);
	check(weir_histogram_sum(histogram) == times->total);
	check(weir_histogram_max(histogram) == times->most);
}

static void check_waits(const struct weir_queue_waits *waits, const struct model_times *times)
{
	check(!waits->times == !model_is_timed(&model));
	if (!waits->times)
		return;
	check(waits->n == times->n && (uint64_t)waits->total == times->total);
	check_histogram(waits->times, times);
}

static void check_stats(void)
{
	struct weir_queue_stats stats;
	struct model_times all = {0};
	weir_queue_stats(run.queue, &stats);
	check_waits(&stats.puts, &model.puts);
	check_waits(&stats.gets, &model.gets);
	bool is_priority = model.options.order == WEIR_PRIORITY;
	check(stats.classes == (!model_has_classes(&model) ? 0 : is_priority ? MODEL_CLASSES : 1));
	for (unsigned i = 0; i < stats.classes; i++) {
		const struct model_class *expected = &model.classes[i];
		struct weir_queue_class_stats class;
		check(!weir_queue_class_stats(run.queue, i, &class));
		check(class.got == expected->got && class.overtook == expected->overtook);
		check(class.breaches == expected->breaches);
		check_histogram(class.times, &expected->waits);
		check_histogram(class.tasks, &expected->tasks);
		all.n += expected->tasks.n;
		all.total += expected->tasks.total;
		all.most = expected->tasks.most > all.most ? expected->tasks.most : all.most;
	}
	if (!stats.classes)
		return;
	check_histogram(stats.tasks, &all);
	check(!stats.untimed && (uint64_t)stats.in_hand == all.total);
}

/* ---- running, drawing, printing */

static int work(void *arg)
{
	struct worker *worker = arg;
	for (size_t i = 0; i < run.order->n; i++) {
		const struct order_op *op = &run.order->ops[i];
		if (op->worker != worker->index)
			continue;
		worker->in_model.deadline = order_deadline(op);
		model_prune(&model);
		kinds[op->kind].act(worker, op);
		model_prune(&model);
		check_state();
	}
	while (worker->in_hand)
		do_task_done(worker, NULL);
	return 0;
}

static int run_order(void *arg)
{
	memset(&run, 0, sizeof run);
	run.order = arg;
	model_init(&model, &run.order->queue);
	check(!weir_queue_new_with(&run.order->queue, &run.queue));
	for (unsigned i = 0; i < ORDER_WORKERS; i++)
		run.workers[i].index = i;
	order_run_workers(work, run.workers, sizeof run.workers[0], run.groups);
	check(!model.getters.n && !model.putters.n && !model.joiners.n);
	do_close(NULL, &(struct order_op){.kind = DROP});
	check_state();
	check(!model.unsettled && !weir_queue_join(run.queue, WEIR_TRY));
	check_stats();
	weir_queue_free(run.queue);
	return 0;
}

static enum kind draw_kind(uint64_t *random)
{
	unsigned sum = 0, at = 0;
	for (unsigned i = 0; i < KINDS; i++)
		sum += kinds[i].chance;
	for (unsigned left = order_random(random, sum); left >= kinds[at].chance; at++)
		left -= kinds[at].chance;
	return (enum kind)at;
}

static void draw(struct order *order, uint64_t *random)
{
	static const size_t sizes[] = {8, 1, 16, 24, ITEM_MOST};
	static const weir_nsec sla[MODEL_CLASSES] = {5, 10, 20};
	order->limit = 1 + order_random(random, CAPACITY_MOST);
	order->queue = (struct weir_queue_options){
		.item_bytes = sizes[order_random(random, 5)],
		.capacity = order->limit,
		.order = (enum weir_queue_order)order_random(random, 4),
		.flags = (order_random(random, 8) ? 0 : WEIR_QUEUE_UNBOUNDED) |
			 (order_random(random, 4) ? 0 : WEIR_QUEUE_TIMED),
		.aging = MODEL_AGING,
		.name = order_random(random, 4) ? NULL : "jobs",
		.classes = MODEL_CLASSES,
		.sla = sla,
	};
	for (size_t i = 0; i < order->n; i++) {
		enum kind kind = draw_kind(random);
		order->ops[i] = (struct order_op){
			.kind = kind,
			.worker = order_random(random, ORDER_WORKERS),
			.n = kinds[kind].least + order_random(random, kinds[kind].most - kinds[kind].least + 1),
			.wait = order_random(random, 4) ? (int)order_random(random, 41) - 1 : ORDER_TRY,
			.rank = order_random(random, RANKS),
		};
	}
}

static bool simplify(struct order *order, unsigned step)
{
	switch (step) {
	case 0:
		order->queue.order = WEIR_FIFO;
		return true;
	case 1:
		order->queue.flags &= ~(unsigned)WEIR_QUEUE_TIMED;
		return true;
	case 2:
		order->queue.flags &= ~(unsigned)WEIR_QUEUE_UNBOUNDED;
		return true;
	case 3:
		order->queue.name = NULL;
		return true;
	case 4:
		order->queue.item_bytes = 8;
		return true;
	default: /* a capacity of 1, 2, ... */
		if (step - 4 >= order->limit)
			return false;
		order->queue.capacity = order->limit = step - 4;
		return true;
	}
}

static void print_op(const struct order *order, const struct order_op *op)
{
	enum weir_queue_order by = order->queue.order;
	bool ranked = kinds[op->kind].rank;
	printf("%s", kinds[op->kind].verb);
	if (kinds[op->kind].most)
		printf(" %u", op->n);
	if (ranked && by == WEIR_PRIORITY)
		printf(", class %u", op->rank % (MODEL_CLASSES + 2));
	if (ranked && by == WEIR_EDF && op->rank % 5)
		printf(", due now%+d ns", (int)op->rank - 10);
	if (kinds[op->kind].deadline)
		order_print_deadline(op);
}

static void print(const struct order *order)
{
	static const char *const orders[] = {"FIFO", "LIFO", "PRIORITY", "EDF"};
	const struct weir_queue_options *opts = &order->queue;
	printf(", %s%s%s%s, items of %zu bytes", orders[opts->order],
	       opts->flags & WEIR_QUEUE_UNBOUNDED ? ", unbounded" : "", opts->flags & WEIR_QUEUE_TIMED ? ", timed" : "",
	       opts->name ? ", named" : "", opts->item_bytes);
}

const struct order_object order_queue = {
	.name = "queue",
	.draw = draw,
	.run = run_order,
	.simplify = simplify,
	.print_op = print_op,
	.print = print,
};
