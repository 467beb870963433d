/* SPDX-License-Identifier: MIT */
/*
 * Random orders of operations: a list of them, spread over a few fibers, on one object, against a model of it.
 *
 * An order is drawn from its seed and then run, as often as one likes, to the same end.  It stays an order when
 * operations are taken out of it, which is how a failing one is shrunk (orders.c): an operation that has lost what it
 * needs (a commit without its reservation) does nothing.
 *
 * To add an object: its file with a struct order_object, a row in orders.c.
 */
#ifndef TORTURE_ORDER_H
#define TORTURE_ORDER_H

#include "torture/faults.h" /* check() */

#include <weir/process.h>
#include <weir/random.h>
#include <weir/weir.h>

enum { ORDER_WORKERS = 6, ORDER_OPS_MOST = 160 };
enum { ORDER_TRY = -1000 };

struct order_op {
	int kind;
	unsigned worker, n; /* n: how many or how long, by kind */
	int wait;           /* the deadline, from now; ORDER_TRY below all */
	unsigned rank;      /* of an item */
};

/* Jobs through a policy (orders_flow.c), items through the engine (orders_engine.c). */
struct order_flow {
	struct weir_policy_options policy;
	bool found;     /* the number at once is found, also where the pattern has one */
	unsigned flags; /* of weir_process() */
	unsigned jobs, runs, callers;
	unsigned keys, orderings, classes; /* 0: none */
	bool postpones;                    /* or: the broker is a durable one */
	bool tells;                        /* WEIR_PROCESS_TELL, and histories are kept */
	unsigned legs;                     /* a job names so many upstreams, one after the other; 0: 1 */
	weir_nsec grain;                   /* all that takes time takes a multiple of it: so things coincide */
	unsigned latency;                  /* most, in grains */
};

struct order {
	const struct order_object *object;
	unsigned limit; /* permits at first, limit of the group, capacity of the queue */
	uint64_t schedule;
	struct weir_queue_options queue;
	struct order_flow flow;
	size_t n;
	struct order_op ops[ORDER_OPS_MOST];
};

struct order_object {
	const char *name;
	/* Fills in what the object needs, and the ops. */
	void (*draw)(struct order *order, uint64_t *random);
	weir_fiber_fn run; /* the first fiber, of an order; aborts when it goes otherwise than foretold */
	/* Makes the order simpler in its step-th way, from 0; false: there are no more ways.  NULL: none. */
	bool (*simplify)(struct order *order, unsigned step);
	void (*print_op)(const struct order *order, const struct order_op *op);
	void (*print)(const struct order *order); /* what else there is to say of the object; NULL: nothing */
};

extern const struct order_object order_sem, order_event, order_group, order_queue, order_flow;

static inline unsigned order_random(uint64_t *random, unsigned n)
{
	return (unsigned)(weir_random(random) % n);
}

static inline void order_draw(struct order *order, const struct order_object *object, uint64_t seed)
{
	uint64_t random = seed;
	*order = (struct order){.object = object, .limit = 1 + order_random(&random, 4)};
	order->schedule = order_random(&random, 4) ? weir_random(&random) : 0;
	order->n = 10 + order_random(&random, ORDER_OPS_MOST - 10);
	object->draw(order, &random);
}

static inline int order_run(struct order *order)
{
	return weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK, .seed = order->schedule},
			order->object->run, order);
}

static inline void order_print_deadline(const struct order_op *op)
{
	if (op->wait == ORDER_TRY)
		printf(", deadline try");
	else
		printf(", deadline now%+d ns", op->wait);
}

static inline weir_nsec order_deadline(const struct order_op *op)
{
	return op->wait == ORDER_TRY ? WEIR_TRY : weir_now() + op->wait;
}

/* Each worker does its part of the list: `work` is given an element of `workers`, of that size.  groups: one for each,
 * to cancel it. */
static inline void order_run_workers(weir_fiber_fn work, void *workers, size_t bytes, struct weir_group **groups)
{
	for (unsigned i = 0; i < ORDER_WORKERS; i++) {
		check(!weir_group_new(NULL, &groups[i]));
		check(!weir_group_spawn(groups[i], work, (char *)workers + i * bytes, WEIR_FOREVER));
	}
	for (unsigned i = 0; i < ORDER_WORKERS; i++)
		check(!weir_group_wait(groups[i], WEIR_FOREVER));
	for (unsigned i = 0; i < ORDER_WORKERS; i++) /* not before: they cancel one another */
		weir_group_free(groups[i]);
}

/* A sleep that had ended when the cancel came has ended well. */
static inline void order_sleep(unsigned duration, const bool *canceled)
{
	bool was_canceled = *canceled;
	weir_nsec end = weir_now() + duration;
	int code = weir_sleep(duration);
	check(code == 0 ? !was_canceled && weir_now() >= end : code == WEIR_ECANCELED && *canceled);
}

#endif
