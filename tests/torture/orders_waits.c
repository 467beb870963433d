/* SPDX-License-Identifier: MIT */
/*
 * Random orders on what only wakes: a semaphore, an event, a group.
 *
 * The models keep who waits in plain arrays and foretell each answer at once; of deadlines they learn by looking at the
 * virtual clock, because all timers that are due fire before any fiber runs.
 */
#include "torture/order.h"

#include <string.h>

enum kind { SLEEP, YIELD, CANCEL, TAKE, GIVE, AWAIT, SET, CLEAR, SPAWN, JOIN, STOP };

static const char *const kind_names[] = {
	"sleeps", "yields", "cancels fiber", "acquires",           "releases",         "waits",
	"sets",   "clears", "spawns",        "waits for the last", "cancels the group"};

static bool may_wait(const struct order_op *op)
{
	return op->kind == TAKE || op->kind == AWAIT || op->kind == SPAWN || op->kind == JOIN;
}

/* ---- the models */

enum { OPEN = 1 }; /* an answer that was not foretold yet */

struct worker {
	unsigned index, n;
	weir_nsec deadline;
	int foretold;
	bool canceled;
};

static struct {
	const struct order *order;
	struct weir_sem *sem;
	struct weir_event *event;
	struct weir_group *group;
	struct worker workers[ORDER_WORKERS];
	struct weir_group *groups[ORDER_WORKERS]; /* of each alone, to cancel it */
	struct worker *line[ORDER_WORKERS];       /* who waits: for permits, the event, a place in the group */
	size_t in_line;
	size_t available; /* permits */
	bool set;
	size_t taken, children; /* places of the group, and the children in them that have not ended */
} model;

static struct worker *leave_line(size_t at)
{
	struct worker *worker = model.line[at];
	model.in_line--;
	for (size_t i = at; i < model.in_line; i++)
		model.line[i] = model.line[i + 1];
	return worker;
}

/* Those whose deadline has passed are no longer in line. */
static void prune(void)
{
	for (size_t i = 0; i < model.in_line;)
		if (model.line[i]->deadline <= weir_now())
			leave_line(i)->foretold = WEIR_ETIMEDOUT;
		else
			i++;
}

static int get_in_line(struct worker *worker)
{
	if (worker->deadline == WEIR_TRY)
		return WEIR_EAGAIN;
	if (worker->deadline <= weir_now())
		return WEIR_ETIMEDOUT;
	model.line[model.in_line++] = worker;
	return OPEN;
}

static void hand_out_permits(void)
{
	while (model.in_line && model.line[0]->n <= model.available) {
		struct worker *first = leave_line(0);
		model.available -= first->n;
		first->foretold = 0;
	}
}

static int foretell_take(struct worker *worker)
{
	if (model.in_line || model.available < worker->n)
		return get_in_line(worker);
	model.available -= worker->n;
	return 0;
}

static int foretell_await(struct worker *worker)
{
	return model.set ? 0 : get_in_line(worker);
}

static int foretell_spawn(struct worker *worker)
{
	if (model.taken >= model.order->limit || model.in_line)
		return get_in_line(worker);
	model.taken++;
	return 0;
}

static void foretell_cancel(struct worker *worker)
{
	worker->canceled = true;
	for (size_t i = 0; i < model.in_line; i++)
		if (model.line[i] == worker)
			leave_line(i)->foretold = WEIR_ECANCELED;
}

/* ---- the same to both */

static int run_child(void *arg)
{
	int code = weir_sleep((weir_nsec)(uintptr_t)arg);
	prune();
	model.children--;
	if (model.in_line)
		leave_line(0)->foretold = 0; /* its place, at once */
	else
		model.taken--;
	return code;
}

static int call(struct worker *worker, const struct order_op *op)
{
	switch (op->kind) {
	case TAKE:
		return weir_sem_acquire(model.sem, op->n, worker->deadline);
	case AWAIT:
		return weir_event_wait(model.event, worker->deadline);
	default:
		return weir_group_spawn(model.group, run_child, (void *)(uintptr_t)op->n, worker->deadline);
	}
}

static void do_foretold(struct worker *worker, const struct order_op *op, int (*foretell)(struct worker *))
{
	prune();
	worker->n = op->n;
	worker->foretold = OPEN;
	bool was_canceled = worker->canceled;
	int immediately = was_canceled ? WEIR_ECANCELED : foretell(worker);
	if (immediately != OPEN)
		worker->foretold = immediately;
	int code = call(worker, op);
	prune();
	check(code == worker->foretold);
	if (op->kind == TAKE && code && !was_canceled)
		hand_out_permits(); /* who gives up may have held the others back */
	if (op->kind == SPAWN && !code)
		model.children++;
}

/* Woken waiters look again, so only what must hold at the end can be said. */
static void do_join(struct worker *worker)
{
	bool was_canceled = worker->canceled;
	int code = weir_group_wait(model.group, worker->deadline);
	prune();
	if (code == WEIR_EAGAIN)
		check(worker->deadline == WEIR_TRY && model.taken);
	else if (code == WEIR_ETIMEDOUT)
		check(worker->deadline <= weir_now());
	else
		check(!model.taken && (code == 0 || (code == WEIR_ECANCELED && worker->canceled)));
	check(!was_canceled || code == WEIR_ECANCELED);
}

static void do_immediately(const struct order_op *op)
{
	prune();
	switch (op->kind) {
	case GIVE:
		model.available += op->n;
		hand_out_permits();
		weir_sem_release(model.sem, op->n);
		break;
	case SET:
		model.set = true;
		while (model.in_line)
			leave_line(0)->foretold = 0;
		weir_event_set(model.event);
		break;
	case CLEAR:
		model.set = false;
		weir_event_clear(model.event);
		break;
	case CANCEL:
		foretell_cancel(&model.workers[op->n]);
		weir_group_cancel(model.groups[op->n]);
		break;
	default:
		weir_group_cancel(model.group);
	}
}

static void do_op(struct worker *worker, const struct order_op *op)
{
	worker->deadline = order_deadline(op);
	if (op->kind == SLEEP)
		order_sleep(op->n, &worker->canceled);
	else if (op->kind == YIELD)
		weir_yield();
	else if (op->kind == JOIN)
		do_join(worker);
	else if (may_wait(op))
		do_foretold(worker, op,
			    op->kind == TAKE    ? foretell_take
			    : op->kind == AWAIT ? foretell_await
						: foretell_spawn);
	else
		do_immediately(op);
	prune();
	check(weir_sem_available(model.sem) == model.available);
	check(weir_event_is_set(model.event) == model.set);
	check(weir_group_alive(model.group) == model.children && model.children <= model.taken);
	check(model.order->object != &order_group || model.taken <= model.order->limit);
}

static int work(void *arg)
{
	struct worker *worker = arg;
	for (size_t i = 0; i < model.order->n; i++)
		if (model.order->ops[i].worker == worker->index)
			do_op(worker, &model.order->ops[i]);
	return 0;
}

static int run(void *arg)
{
	memset(&model, 0, sizeof model);
	model.order = arg;
	model.available = model.order->limit;
	struct weir_group_options opts = {.flags = WEIR_GROUP_COLLECT, .limit = model.order->limit};
	check(!weir_sem_new(model.order->limit, &model.sem) && !weir_event_new(&model.event));
	check(!weir_group_new(&opts, &model.group));
	for (unsigned i = 0; i < ORDER_WORKERS; i++)
		model.workers[i].index = i;
	order_run_workers(work, model.workers, sizeof model.workers[0], model.groups);
	check(!weir_group_wait(model.group, WEIR_FOREVER) && !model.taken && !model.children && !model.in_line);
	weir_group_free(model.group);
	weir_event_free(model.event);
	weir_sem_free(model.sem);
	return 0;
}

/* ---- drawing */

/* Each kind of the ten with equal chance. */
static void draw(struct order *order, uint64_t *random, const enum kind *kinds)
{
	for (size_t i = 0; i < order->n; i++) {
		struct order_op *op = &order->ops[i];
		op->worker = order_random(random, ORDER_WORKERS);
		op->kind = kinds[order_random(random, 10)];
		op->n = 1 + order_random(random, order->object == &order_sem ? 4 : 20);
		if (op->kind == CANCEL)
			op->n = order_random(random, ORDER_WORKERS);
		if (op->kind == CANCEL && order_random(random, 8))
			op->kind = order->object == &order_group && order_random(random, 8) == 0 ? STOP : YIELD;
		op->wait = order_random(random, 4) ? (int)order_random(random, 30) - 1 : ORDER_TRY;
	}
}

static void draw_sem(struct order *order, uint64_t *random)
{
	static const enum kind kinds[] = {TAKE, TAKE, TAKE, TAKE, GIVE, GIVE, GIVE, SLEEP, YIELD, CANCEL};
	draw(order, random, kinds);
}

static void draw_event(struct order *order, uint64_t *random)
{
	static const enum kind kinds[] = {AWAIT, AWAIT, AWAIT, AWAIT, SET, CLEAR, CLEAR, SLEEP, YIELD, CANCEL};
	draw(order, random, kinds);
}

static void draw_group(struct order *order, uint64_t *random)
{
	static const enum kind kinds[] = {SPAWN, SPAWN, SPAWN, SPAWN, JOIN, SPAWN, SLEEP, SLEEP, YIELD, CANCEL};
	draw(order, random, kinds);
}

static void print_op(const struct order *order, const struct order_op *op)
{
	(void)order;
	printf("%s %u", kind_names[op->kind], op->n);
	if (may_wait(op))
		order_print_deadline(op);
}

const struct order_object order_sem = {.name = "semaphore", .draw = draw_sem, .run = run, .print_op = print_op};
const struct order_object order_event = {.name = "event", .draw = draw_event, .run = run, .print_op = print_op};
const struct order_object order_group = {.name = "group", .draw = draw_group, .run = run, .print_op = print_op};
