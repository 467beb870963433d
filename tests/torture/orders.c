/* SPDX-License-Identifier: MIT */
/*
 * Random orders of operations on a semaphore, an event and a group, against naive models: `weir-orders [--seconds N]
 * [--seed N]`.
 *
 * A case is drawn from its seed: an object, a schedule, and a list of operations spread over a few fibers.  The models
 * keep who waits in plain arrays and foretell each answer at once; of deadlines they learn by looking at the virtual
 * clock, because all timers that are due fire before any fiber runs.  Cases run in child processes, many in each; when
 * one fails, operations are taken out of its list for as long as it still fails, and what is left is printed.
 */
#include "torture/faults.h" /* check() */

#include <weir/random.h>

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weir/weir.h>

enum { WORKERS = 6, OPS_MOST = 160, CASES_A_CHILD = 2000, SECONDS_OF_A_CASE = 20 };

enum object { SEM, EVENT, GROUP, OBJECTS };

enum kind { SLEEP, YIELD, CANCEL, TAKE, GIVE, AWAIT, SET, CLEAR, SPAWN, JOIN, STOP };

static const char *const object_names[] = {"semaphore", "event", "group"};
static const char *const kind_names[] = {
	"sleeps", "yields", "cancels fiber", "acquires",           "releases",         "waits",
	"sets",   "clears", "spawns",        "waits for the last", "cancels the group"};

/* Drawn from with equal chance. */
static const enum kind kinds_of[OBJECTS][10] = {
	[SEM] = {TAKE, TAKE, TAKE, TAKE, GIVE, GIVE, GIVE, SLEEP, YIELD, CANCEL},
	[EVENT] = {AWAIT, AWAIT, AWAIT, AWAIT, SET, CLEAR, CLEAR, SLEEP, YIELD, CANCEL},
	[GROUP] = {SPAWN, SPAWN, SPAWN, SPAWN, JOIN, SPAWN, SLEEP, SLEEP, YIELD, CANCEL},
};

struct op {
	enum kind kind;
	unsigned worker, n; /* n: permits, whom to cancel, how long a child sleeps */
	int wait;           /* the deadline, from now; TRY below all */
};

enum { WAIT_TRY = -1000 };

static bool may_wait(const struct op *op)
{
	return op->kind == TAKE || op->kind == AWAIT || op->kind == SPAWN || op->kind == JOIN;
}

struct order {
	enum object object;
	unsigned limit; /* permits at first, or the limit of the group */
	uint64_t schedule;
	size_t n;
	struct op ops[OPS_MOST];
};

/* ---- the models */

enum { OPEN = 1 }; /* an answer that was not foretold yet */

struct worker {
	struct weir_group *group; /* of this one alone, to cancel it */
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
	struct worker workers[WORKERS];
	struct worker *line[WORKERS]; /* who waits: for permits, the event, a place in the group */
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

static int call(struct worker *worker, const struct op *op)
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

static void do_foretold(struct worker *worker, const struct op *op, int (*foretell)(struct worker *))
{
	prune();
	worker->n = op->n;
	worker->foretold = OPEN;
	bool was_canceled = worker->canceled;
	int at_once = was_canceled ? WEIR_ECANCELED : foretell(worker);
	if (at_once != OPEN)
		worker->foretold = at_once;
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

static void do_at_once(const struct op *op)
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
		weir_group_cancel(model.workers[op->n].group);
		break;
	default:
		weir_group_cancel(model.group);
	}
}

/* A sleep that had ended when the cancel came has ended well. */
static void do_sleep(struct worker *worker, unsigned duration)
{
	bool was_canceled = worker->canceled;
	weir_nsec end = weir_now() + duration;
	int code = weir_sleep(duration);
	check(code == 0 ? !was_canceled && weir_now() >= end : code == WEIR_ECANCELED && worker->canceled);
}

static void do_op(struct worker *worker, const struct op *op)
{
	worker->deadline = op->wait == WAIT_TRY ? WEIR_TRY : weir_now() + op->wait;
	if (op->kind == SLEEP)
		do_sleep(worker, op->n);
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
		do_at_once(op);
	prune();
	check(weir_sem_available(model.sem) == model.available);
	check(weir_event_is_set(model.event) == model.set);
	check(weir_group_alive(model.group) == model.children && model.children <= model.taken);
	check(model.order->object != GROUP || model.taken <= model.order->limit);
}

static int work(void *arg)
{
	struct worker *worker = arg;
	for (size_t i = 0; i < model.order->n; i++)
		if (model.order->ops[i].worker == worker->index)
			do_op(worker, &model.order->ops[i]);
	return 0;
}

static int run_workers(void *arg)
{
	memset(&model, 0, sizeof model);
	model.order = arg;
	model.available = model.order->limit;
	struct weir_group_options opts = {.flags = WEIR_GROUP_COLLECT, .limit = model.order->limit};
	check(!weir_sem_new(model.order->limit, &model.sem) && !weir_event_new(&model.event));
	check(!weir_group_new(&opts, &model.group));
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *worker = &model.workers[i];
		worker->index = i;
		check(!weir_group_new(NULL, &worker->group));
		check(!weir_group_spawn(worker->group, work, worker, WEIR_FOREVER));
	}
	for (unsigned i = 0; i < WORKERS; i++)
		check(!weir_group_wait(model.workers[i].group, WEIR_FOREVER));
	for (unsigned i = 0; i < WORKERS; i++) /* not before: they cancel one another */
		weir_group_free(model.workers[i].group);
	check(!weir_group_wait(model.group, WEIR_FOREVER) && !model.taken && !model.children && !model.in_line);
	weir_group_free(model.group);
	weir_event_free(model.event);
	weir_sem_free(model.sem);
	return 0;
}

static void run_order(struct order *order)
{
	alarm(SECONDS_OF_A_CASE);
	check(!weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK, .seed = order->schedule}, run_workers,
			order));
}

/* ---- drawing, running and shrinking cases */

static void draw_order(uint64_t seed, struct order *ret_order)
{
	uint64_t random = seed;
	struct order order = {.object = weir_random(&random) % OBJECTS, .limit = 1 + weir_random(&random) % 4};
	order.schedule = weir_random(&random) % 4 ? weir_random(&random) : 0;
	order.n = 10 + weir_random(&random) % (OPS_MOST - 10);
	for (size_t i = 0; i < order.n; i++) {
		struct op *op = &order.ops[i];
		op->worker = weir_random(&random) % WORKERS;
		op->kind = kinds_of[order.object][weir_random(&random) % 10];
		op->n = 1 + weir_random(&random) % (order.object == SEM ? 4 : 20);
		if (op->kind == CANCEL)
			op->n = weir_random(&random) % WORKERS;
		if (op->kind == CANCEL && weir_random(&random) % 8)
			op->kind = order.object == GROUP && weir_random(&random) % 8 == 0 ? STOP : YIELD;
		op->wait = weir_random(&random) % 4 ? (int)(weir_random(&random) % 30) - 1 : WAIT_TRY;
	}
	*ret_order = order;
}

/* In a process of its own; quiet: its last words are not wanted. */
static bool order_fails(struct order *order, bool quiet)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		if (quiet)
			dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
		run_order(order);
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid);
	return status != 0;
}

/* Takes out what it can in pieces of this size: whether it could. */
static bool take_out(struct order *order, size_t piece)
{
	size_t before = order->n;
	for (size_t at = 0; at < order->n;) {
		struct order less = *order;
		size_t end = at + piece < order->n ? at + piece : order->n;
		memmove(&less.ops[at], &order->ops[end], (order->n - end) * sizeof less.ops[0]);
		less.n = order->n - (end - at);
		if (order_fails(&less, true))
			*order = less;
		else
			at = end;
	}
	return order->n < before;
}

static void shrink(struct order *order)
{
	for (size_t piece = order->n; piece > 1; piece /= 2)
		take_out(order, piece);
	while (take_out(order, 1))
		;
}

static void print_order(const struct order *order)
{
	printf("a %s of %u, schedule %llu:\n", object_names[order->object], order->limit,
	       (unsigned long long)order->schedule);
	for (size_t i = 0; i < order->n; i++) {
		const struct op *op = &order->ops[i];
		printf("  fiber %u %s %u", op->worker, kind_names[op->kind], op->n);
		if (!may_wait(op))
			printf("\n");
		else if (op->wait == WAIT_TRY)
			printf(", deadline try\n");
		else
			printf(", deadline now%+d ns\n", op->wait);
	}
}

/* Many cases in one process: whether one failed; *seed is the next one, or that of the failure. */
static bool run_many(uint64_t *seed)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < CASES_A_CHILD; i++, ++*seed) {
			struct order order;
			draw_order(*seed, &order);
			run_order(&order);
		}
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid);
	return status != 0;
}

static int report(uint64_t seed)
{
	struct order order;
	draw_order(seed, &order);
	printf("FAIL orders: seed %llu, of %zu operations ", (unsigned long long)seed, order.n);
	if (order_fails(&order, true))
		shrink(&order);
	printf("%zu are left: ", order.n);
	print_order(&order);
	order_fails(&order, false);
	printf("0 passed, 1 failed\n");
	return 1;
}

int main(int argc, char **argv)
{
	time_t seconds = 5, end;
	uint64_t first = (uint64_t)time(NULL) << 20;
	uint64_t *seed = mmap(NULL, sizeof *seed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(seed != MAP_FAILED);
	for (int i = 1; i + 1 < argc; i += 2)
		if (!strcmp(argv[i], "--seconds"))
			seconds = strtol(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--seed"))
			first = strtoull(argv[i + 1], NULL, 10);
	*seed = first;
	printf("orders: seed %llu\n", (unsigned long long)first);
	end = time(NULL) + seconds;
	do
		if (run_many(seed))
			return report(*seed);
	while (time(NULL) < end);
	printf("ok   %llu orders\n1 passed, 0 failed\n", (unsigned long long)(*seed - first));
	return 0;
}
