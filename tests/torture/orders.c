/* SPDX-License-Identifier: MIT */
/*
 * Random orders of operations against naive models: `weir-orders [--seconds N] [--seed N] [--object NAME]`.
 *
 * An order and its object are drawn from a seed (order.h).  Orders run in child processes, many in each; when one
 * fails, it is made smaller for as long as it still fails: operations are taken out of its list, the object loses its
 * special features, the schedule its shuffling.  What is left is printed.
 */
#include "torture/order.h"
#include "torture/orders_engine.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CASES_A_CHILD = 2000, SECONDS_OF_A_CASE = 20 };

/* Drawn from with equal chance: the queue has the most to it. */
static const struct order_object *const objects[] = {
	&order_sem,    &order_event, &order_group, &order_queue, &order_queue, &order_queue, &order_flow,
#ifdef ORDERS_OF_THE_COMMAND
	&order_engine,
#endif
};

static const struct order_object *only; /* NULL: any of them */

static void draw_order(uint64_t seed, struct order *ret_order)
{
	uint64_t random = seed;
	order_draw(ret_order, only ? only : objects[order_random(&random, sizeof objects / sizeof objects[0])], seed);
}

static const struct order_object *find_object(const char *name)
{
	for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
		if (!strcmp(objects[i]->name, name))
			return objects[i];
	return NULL;
}

static void run_order(struct order *order)
{
	alarm(SECONDS_OF_A_CASE);
	check(!order_run(order));
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

static bool replace_if_it_fails(struct order *order, struct order *less)
{
	if (!memcmp(order, less, sizeof *order) || !order_fails(less, true))
		return false;
	*order = *less;
	return true;
}

/* Whether it could make anything simpler. */
static bool simplify(struct order *order)
{
	struct order less = *order;
	less.schedule = 0;
	bool simpler = replace_if_it_fails(order, &less);
	for (unsigned step = 0;; step++) {
		less = *order;
		if (!order->object->simplify || !order->object->simplify(&less, step))
			return simpler;
		simpler |= replace_if_it_fails(order, &less);
	}
}

static void shrink(struct order *order)
{
	for (size_t piece = order->n; piece > 1; piece /= 2)
		take_out(order, piece);
	do
		while (take_out(order, 1))
			;
	while (simplify(order));
}

static void print_order(const struct order *order)
{
	printf("a %s of %u", order->object->name, order->limit);
	if (order->object->print)
		order->object->print(order);
	printf(", schedule %llu:\n", (unsigned long long)order->schedule);
	for (size_t i = 0; i < order->n; i++) {
		printf("  fiber %u ", order->ops[i].worker);
		order->object->print_op(order, &order->ops[i]);
		printf("\n");
	}
}

/* Many cases in one process: whether one failed; *seed is the next one, or that of the failure. */
static bool run_many(uint64_t *seed, time_t end)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < CASES_A_CHILD && time(NULL) < end; i++, ++*seed) {
			struct order order;
			draw_order(*seed, &order);
			run_order(&order);
		}
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid);
	return status != 0;
}

static void report(uint64_t seed)
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
}

int main(int argc, char **argv)
{
	time_t seconds = 5, end;
	bool failed;
	uint64_t first = (uint64_t)time(NULL) << 20;
	uint64_t *seed = mmap(NULL, sizeof *seed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(seed != MAP_FAILED);
	for (int i = 1; i + 1 < argc; i += 2)
		if (!strcmp(argv[i], "--seconds"))
			seconds = strtol(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--seed"))
			first = strtoull(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--object"))
			check(only = find_object(argv[i + 1]));
	*seed = first;
#ifdef ORDERS_OF_THE_COMMAND
	order_engine_begin();
#endif
	printf("orders: seed %llu\n", (unsigned long long)first);
	end = time(NULL) + seconds;
	do
		failed = run_many(seed, end);
	while (!failed && time(NULL) < end);
	if (failed)
		report(*seed);
	else
		printf("ok   %llu orders\n1 passed, 0 failed\n", (unsigned long long)(*seed - first));
#ifdef ORDERS_OF_THE_COMMAND
	order_engine_end();
#endif
	return failed;
}
