/* SPDX-License-Identifier: MIT */
#include "torture/flow.h"
#include "torture/trouble.h"

#include <string.h>

static double pick(uint64_t *random, const double *values, size_t n)
{
	return values[order_random(random, (unsigned)n)];
}

/* One of these. */
#define PICK(random, ...)                                                                                              \
	pick(random, (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static bool takes_all(const struct weir_policy_options *o)
{
	return o->pattern == WEIR_PATTERN_SEMAPHORE || o->pattern == WEIR_PATTERN_NAIVE;
}

static struct weir_breaker_options draw_breaker(uint64_t *random)
{
	return (struct weir_breaker_options){
		.failure_rate = PICK(random, 0.0, 0.1, 0.9),
		.slow_rate = PICK(random, 0.0, 0.5),
		.slow = PICK(random, 0, 0, 50 * WEIR_MSEC),
		.calls_least = PICK(random, 0, 0, 1, 5),
		.in_row = PICK(random, 0, 1, 5, 1000000, 1000000),
		.window_calls = PICK(random, 0, 0, 10),
		.window = PICK(random, 0, 0, WEIR_SEC),
		.open = PICK(random, 0, 10 * WEIR_MSEC, WEIR_SEC),
		.open_most = PICK(random, 0, 2 * WEIR_SEC),
		.half_open = PICK(random, 0, WEIR_SEC),
		.jitter = PICK(random, 0.0, -1.0),
		.probes = PICK(random, 0, 1, 5),
		.denied_rate = PICK(random, 0.0, 0.5),
	};
}

static struct weir_retry draw_retry(uint64_t *random)
{
	return (struct weir_retry){
		.attempts = PICK(random, 0, 1, 3, 1000),
		.elapsed = PICK(random, 0, 0, 20 * WEIR_SEC),
		.backoff = {.base = PICK(random, 0, 10 * WEIR_MSEC, 2 * WEIR_SEC, 10 * WEIR_SEC),
			    .cap = PICK(random, 0, WEIR_SEC),
			    .jitter = (enum weir_jitter)order_random(random, 4)},
		.budget = {.share = PICK(random, 0.0, 1e-9, 1.0), .least = PICK(random, 0, 1)},
	};
}

static void draw_policy(struct weir_policy_options *o, uint64_t *random)
{
	*o = (struct weir_policy_options){
		.pattern = PICK(random, WEIR_PATTERN_AUTO, WEIR_PATTERN_AUTO, WEIR_PATTERN_QUEUE, WEIR_PATTERN_QUEUE,
				WEIR_PATTERN_SEMAPHORE, WEIR_PATTERN_CHUNKED, WEIR_PATTERN_RATE, WEIR_PATTERN_NAIVE),
		.retry = draw_retry(random),
		.breaker = draw_breaker(random),
		.timeout = PICK(random, 0, 0, 100 * WEIR_MSEC, WEIR_SEC),
		.queue_timeout = PICK(random, 0, 0, 0, 5 * WEIR_SEC),
		.total_timeout = PICK(random, 0, 0, 0, 30 * WEIR_SEC),
		.throttled = PICK(random, 0, 0, 20 * WEIR_SEC),
		.give_up = PICK(random, 0, 0, 40 * WEIR_SEC),
		.probes_count = order_random(random, 2),
		.together = order_random(random, 2),
		.gate_flags = PICK(random, 0, 0, 0, WEIR_GATE_NO_BREAKER, WEIR_GATE_REJECT, WEIR_GATE_UNPACED,
				   WEIR_GATE_UNPACED),
		.longest = PICK(random, 0, 0, 3 * WEIR_SEC),
		.gates_most = PICK(random, 0, 1, 2),
		.seed = weir_random(random),
	};
	if (o->pattern != WEIR_PATTERN_NAIVE) {
		o->concurrency = PICK(random, 0, 1, 2, 4, 20);
		o->most = PICK(random, 0, 0, 20);
		o->rate.count = PICK(random, 0, 0, 20, 500);
		o->rate.burst = PICK(random, 0, 10);
	}
	if (o->most && o->pattern == WEIR_PATTERN_AUTO && order_random(random, 2))
		o->concurrency = 0;
	if (!takes_all(o) && o->pattern != WEIR_PATTERN_CHUNKED)
		o->capacity = PICK(random, 0, 0, 1, 1, 5);
	if (!takes_all(o))
		o->memory_bytes = PICK(random, 0, 0, 0, 100000);
}

/* A few at once, and many that wait for the end of an outage: more than there may be. */
static void draw_crowd(struct order *order, uint64_t *random)
{
	struct order_flow *flow = &order->flow;
	struct weir_policy_options *o = &flow->policy;
	*o = (struct weir_policy_options){
		.pattern = WEIR_PATTERN_QUEUE,
		.concurrency = PICK(random, 1, 2, 4),
		.capacity = 1,
		.retry = {.attempts = 1000,
			  .backoff = {.base = PICK(random, 2 * WEIR_SEC, 10 * WEIR_SEC),
				      .cap = PICK(random, WEIR_SEC, 10 * WEIR_SEC),
				      .jitter = WEIR_JITTER_NONE},
			  .budget = {.share = 1}},
		.breaker = {.in_row = 1000000, .failure_rate = PICK(random, 0, 2)},
		.seed = weir_random(random),
	};
	order->ops[order->n++] = (struct order_op){
		.kind = TROUBLE_OUTAGE, .wait = 200, .n = 20000 + order_random(random, 60000), .rank = 2};
	flow->jobs = (unsigned)(80 * o->concurrency) + order_random(random, 1000);
	if (!order_random(random, 4)) { /* found: then there are 16 at once at least */
		o->pattern = WEIR_PATTERN_AUTO;
		o->concurrency = 0;
		flow->jobs = 1200 + order_random(random, 700);
	}
	flow->tells = order_random(random, 2);
	flow->postpones = true;
	flow->runs = 1;
	flow->grain = 10 * WEIR_MSEC;
	flow->latency = 5;
	order->limit = flow->jobs;
}

static void draw_any(struct order *order, uint64_t *random)
{
	struct order_flow *flow = &order->flow;
	draw_policy(&flow->policy, random);
	flow->jobs = 10 + order_random(random, order_random(random, 4) ? 200 : 1900);
	flow->found = !order_random(random, 3) && flow->policy.pattern != WEIR_PATTERN_CHUNKED &&
		      flow->policy.pattern != WEIR_PATTERN_NAIVE;
	flow->flags = PICK(random, 0, 0, WEIR_PROCESS_ORDERED);
	flow->tells = order_random(random, 2);
	flow->legs = PICK(random, 1, 1, 2, 3);
	flow->runs = 1 + !order_random(random, 4);
	flow->callers = PICK(random, 0, 0, 1, 5);
	flow->keys = PICK(random, 0, 0, 2, 3, 40);
	flow->orderings = PICK(random, 0, 0, 1, 7);
	flow->classes = PICK(random, 0, 0, 3);
	flow->postpones = order_random(random, 3);
	flow->grain = PICK(random, 1, WEIR_MSEC, 10 * WEIR_MSEC);
	flow->latency = flow->grain == 1 ? 50000000 : (unsigned)(50 * WEIR_MSEC / flow->grain);
	order->limit = flow->jobs;
}

void flow_draw(struct order *order, uint64_t *random)
{
	if (order_random(random, 6))
		draw_any(order, random);
	else
		draw_crowd(order, random);
}

/* ---- simpler */

#define SIMPLER(field)                                                                                                 \
	if (step-- == 0) {                                                                                             \
		memset(&(field), 0, sizeof(field));                                                                    \
		return true;                                                                                           \
	}

static bool simplify_policy(struct weir_policy_options *o, unsigned step)
{
	SIMPLER(o->breaker)
	SIMPLER(o->breaker.failure_rate)
	SIMPLER(o->breaker.slow)
	SIMPLER(o->breaker.calls_least)
	SIMPLER(o->breaker.in_row)
	SIMPLER(o->breaker.window_calls)
	SIMPLER(o->breaker.window)
	SIMPLER(o->breaker.open)
	SIMPLER(o->breaker.open_most)
	SIMPLER(o->breaker.half_open)
	SIMPLER(o->breaker.jitter)
	SIMPLER(o->breaker.probes)
	SIMPLER(o->breaker.denied_rate)
	SIMPLER(o->retry.attempts)
	SIMPLER(o->retry.elapsed)
	SIMPLER(o->retry.backoff)
	SIMPLER(o->retry.budget)
	SIMPLER(o->timeout)
	SIMPLER(o->queue_timeout)
	SIMPLER(o->total_timeout)
	SIMPLER(o->throttled)
	SIMPLER(o->give_up)
	SIMPLER(o->probes_count)
	SIMPLER(o->together)
	SIMPLER(o->gate_flags)
	SIMPLER(o->longest)
	SIMPLER(o->gates_most)
	SIMPLER(o->rate)
	SIMPLER(o->most)
	SIMPLER(o->capacity)
	SIMPLER(o->memory_bytes)
	return false;
}

enum { POLICY_STEPS = 31 };

bool flow_simplify(struct order *order, unsigned step)
{
	struct order_flow *flow = &order->flow;
	if (step < POLICY_STEPS)
		return simplify_policy(&flow->policy, step);
	step -= POLICY_STEPS;
	SIMPLER(flow->found)
	SIMPLER(flow->callers)
	SIMPLER(flow->keys)
	SIMPLER(flow->orderings)
	SIMPLER(flow->classes)
	SIMPLER(flow->postpones)
	SIMPLER(flow->tells)
	SIMPLER(flow->legs)
	if (step-- == 0)
		flow->flags &= ~(unsigned)WEIR_PROCESS_ORDERED;
	else if (step-- == 0)
		flow->runs = 1;
	else if (step-- == 0)
		flow->jobs -= flow->jobs / 2;
	else if (step-- == 0)
		flow->jobs -= flow->jobs > 1;
	else
		return false;
	order->limit = flow->jobs;
	return true;
}

void flow_print(const struct order *order)
{
	const struct order_flow *flow = &order->flow;
	const struct weir_policy_options *o = &flow->policy;
	printf(" jobs, %s%s", weir_pattern_name(o->pattern), flow->found ? ", found" : "");
	printf(", %u runs, %u callers, %u keys, %u orderings, %u classes, %u legs%s%s%s", flow->runs, flow->callers,
	       flow->keys, flow->orderings, flow->classes, flow->legs, flow->postpones ? ", postponed" : "",
	       flow->tells ? ", told" : "", flow->flags & WEIR_PROCESS_ORDERED ? ", ordered" : "");
	printf(", %u x %lld ns; at once %zu of %zu, ahead %zu, memory %zu, rate %llu", flow->latency,
	       (long long)flow->grain, o->concurrency, o->most, o->capacity, o->memory_bytes,
	       (unsigned long long)o->rate.count);
	printf("; attempts %u in %lld ns, backoff %lld to %lld ns %d, budget %g and %u", o->retry.attempts,
	       (long long)o->retry.elapsed, (long long)o->retry.backoff.base, (long long)o->retry.backoff.cap,
	       (int)o->retry.backoff.jitter, o->retry.budget.share, o->retry.budget.least);
	printf("; throttled %lld, give up %lld ns, probes count %d, together %d", (long long)o->throttled,
	       (long long)o->give_up, o->probes_count, o->together);
	printf("; timeouts %lld, %lld, %lld ns; gate flags %u, longest %lld ns, gates %zu", (long long)o->timeout,
	       (long long)o->queue_timeout, (long long)o->total_timeout, o->gate_flags, (long long)o->longest,
	       o->gates_most);
	printf("; breaker %g, slow %lld ns, calls %u, row %u, window %u, %lld ns, open %lld to %lld ns, half-open %lld "
	       "ns, jitter %g, probes %u, denied %g",
	       o->breaker.failure_rate, (long long)o->breaker.slow, o->breaker.calls_least, o->breaker.in_row,
	       o->breaker.window_calls, (long long)o->breaker.window, (long long)o->breaker.open,
	       (long long)o->breaker.open_most, (long long)o->breaker.half_open, o->breaker.jitter, o->breaker.probes,
	       o->breaker.denied_rate);
}
