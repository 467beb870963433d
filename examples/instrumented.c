/* SPDX-License-Identifier: MIT */
/*
 * A queue that reports what happens in it: spans of put and get, depth, latencies.  What travels is an envelope: the
 * item and the correlation id of its request, so the consumer's span has the same id as the producer's.  Latencies need
 * no code: a queue with WEIR_QUEUE_TIMED keeps histograms of them.
 */
#include <stdio.h>
#include <weir/weir.h>

struct envelope {
	unsigned correlation;
	int item;
};

static void span(const char *name, const struct weir_queue *queue, const struct envelope *envelope, weir_nsec began)
{
	printf("%s  id %u  took %2d ms  depth %zu\n", name, envelope->correlation,
	       (int)((weir_now() - began) / WEIR_MSEC), weir_queue_size(queue));
}

static int produce(void *arg)
{
	int code = 0;
	for (int item = 1; item <= 5 && code == 0; item++) {
		struct envelope envelope = {7000 + (unsigned)item, item};
		weir_sleep(10 * WEIR_MSEC);
		weir_nsec began = weir_now();
		if ((code = weir_queue_put(arg, &envelope, WEIR_FOREVER)) == 0)
			span("queue.put", arg, &envelope, began);
	}
	weir_queue_close(arg, 0);
	return code;
}

static int consume(void *arg)
{
	struct envelope envelope;
	weir_nsec began = weir_now();
	int code;
	while ((code = weir_queue_get(arg, &envelope, WEIR_FOREVER)) == 0) {
		span("queue.get", arg, &envelope, began);
		weir_sleep(30 * WEIR_MSEC);
		weir_queue_task_done(arg);
		began = weir_now();
	}
	return code == WEIR_ECLOSED ? 0 : code;
}

static void show(const char *name, uint64_t n, const struct weir_histogram *times)
{
	printf("%-16s  %d, p50 %2d ms, longest %2d ms\n", name, (int)n,
	       (int)(weir_histogram_quantile(times, 0.5) / WEIR_MSEC), (int)(weir_histogram_max(times) / WEIR_MSEC));
}

static int run(void *arg)
{
	struct weir_queue *queue;
	struct weir_queue_stats stats;
	struct weir_queue_class_stats items;
	int code = weir_queue_new_with(arg, &queue);
	if (code < 0)
		return code;
	struct weir_group_part both[] = {{.fn = produce, .arg = queue}, {.fn = consume, .arg = queue}};
	code = weir_group_run(both, 2, WEIR_FOREVER);
	weir_queue_stats(queue, &stats);
	weir_queue_class_stats(queue, 0, &items);
	show("puts that waited", stats.puts.n, stats.puts.times);
	show("gets that waited", stats.gets.n, stats.gets.times);
	show("in the queue", items.got, items.times);
	weir_queue_free(queue);
	return code;
}

int main(void)
{
	struct weir_queue_options options = {sizeof(struct envelope), .capacity = 2, .flags = WEIR_QUEUE_TIMED};
	return weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, &options) < 0;
}
