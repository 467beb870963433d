/* SPDX-License-Identifier: MIT */
/* What keeps the processor busy: switches, queues, spawning. */
#include "core.h"

/* ---- switch */

static int yield_often(void *arg)
{
	uint64_t n = *(uint64_t *)arg;
	while (n--)
		weir_yield();
	return 0;
}

static void measure_switch(const char *name, uint64_t fibers)
{
	uint64_t each = 10000000 / share / fibers;
	struct weir_group *group;
	must(weir_group_new(NULL, &group), "group");
	for (uint64_t i = 0; i < fibers; i++)
		must(weir_group_spawn(group, yield_often, &each, WEIR_FOREVER), "spawn");
	weir_nsec start = weir_clock();
	must(weir_group_wait(group, WEIR_FOREVER), "wait");
	figure(name, seconds_since(start) * 1e9 / (double)(fibers * each), "ns");
	weir_group_free(group);
}

void bench_switch(void)
{
	measure_switch("switch_ns", 2);
}

void bench_switch_1000(void)
{
	measure_switch("switch_1000_ns", 1000);
}

/* ---- queue */

struct flow {
	struct weir_queue *queue;
	uint64_t each, sum;
};

static int produce(void *arg)
{
	struct flow *flow = arg;
	for (uint64_t i = 0; i < flow->each; i++)
		if (weir_queue_put(flow->queue, &i, WEIR_FOREVER) < 0)
			return WEIR_ECLOSED;
	return 0;
}

static int consume(void *arg)
{
	struct flow *flow = arg;
	uint64_t item, sum = 0;
	while (weir_queue_get(flow->queue, &item, WEIR_FOREVER) == 0) {
		sum += item;
		weir_queue_task_done(flow->queue);
	}
	flow->sum += sum;
	return 0;
}

static void measure_queue(const char *name, size_t capacity, unsigned producers, unsigned consumers)
{
	struct flow flow = {.each = 8000000 / share / producers};
	struct weir_group *makers, *takers;
	must(weir_queue_new(sizeof(uint64_t), capacity, &flow.queue), "queue");
	must(weir_group_new(NULL, &makers), "group");
	must(weir_group_new(NULL, &takers), "group");
	weir_nsec start = weir_clock();
	for (unsigned i = 0; i < consumers; i++)
		must(weir_group_spawn(takers, consume, &flow, WEIR_FOREVER), "spawn");
	for (unsigned i = 0; i < producers; i++)
		must(weir_group_spawn(makers, produce, &flow, WEIR_FOREVER), "spawn");
	must(weir_group_wait(makers, WEIR_FOREVER), "wait");
	must(weir_queue_join(flow.queue, WEIR_FOREVER), "join");
	double took = seconds_since(start);
	weir_queue_close(flow.queue, 0);
	must(weir_group_wait(takers, WEIR_FOREVER), "wait");
	if (flow.sum != producers * (flow.each * (flow.each - 1) / 2))
		must(WEIR_EDATA, "queue: items were lost");
	weir_group_free(makers);
	weir_group_free(takers);
	weir_queue_free(flow.queue);
	figure(name, (double)(flow.each * producers) / took, "items/s");
}

void bench_queue_1x1(void)
{
	measure_queue("queue_1x1_per_s", 100, 1, 1);
}

void bench_queue_cap1(void)
{
	measure_queue("queue_cap1_per_s", 1, 1, 1);
}

void bench_queue_4x50(void)
{
	measure_queue("queue_4x50_per_s", 100, 4, 50);
}

/* ---- spawn */

static int count_up(void *arg)
{
	++*(uint64_t *)arg;
	return 0;
}

void bench_spawn(void)
{
	enum { ALIVE = 1000 };
	uint64_t rounds = 5000 / share, ran = 0;
	struct weir_group *group;
	must(weir_group_new(NULL, &group), "group");
	weir_nsec start = weir_clock();
	for (uint64_t r = 0; r < rounds; r++) {
		for (int i = 0; i < ALIVE; i++)
			must(weir_group_spawn(group, count_up, &ran, WEIR_FOREVER), "spawn");
		must(weir_group_wait(group, WEIR_FOREVER), "wait");
	}
	double took = seconds_since(start);
	weir_group_free(group);
	if (ran != rounds * ALIVE)
		must(WEIR_EDATA, "spawn: fibers did not run");
	figure("spawn_per_s", (double)ran / took, "fibers/s");
}
