/* SPDX-License-Identifier: MIT */
/*
 * A queue that tells what goes on in it: spans of put and get, depth, latencies.  What travels is an envelope: the item
 * and the correlation id of the request it belongs to, so the consumer's span has the same id as the producer's.
 */
#include <stdio.h>
#include <weir/weir.h>

struct envelope {
	unsigned correlation;
	int item;
	weir_nsec put_at;
};

enum latency { PUT, GET, IN_QUEUE, LATENCIES };
static const char *const names[LATENCIES] = {"put", "get", "in the queue"};
static struct weir_histogram *latency[LATENCIES]; /* exact to 1.6 %, nothing sampled, 32 KiB each */
static struct weir_queue *queue;

static void span(const char *name, const struct envelope *envelope, weir_nsec began)
{
	printf("%s  id %u  took %2d ms  depth %zu\n", name, envelope->correlation,
	       (int)((weir_now() - began) / WEIR_MSEC), weir_queue_size(queue));
}

static int traced_put(unsigned correlation, int item, weir_nsec deadline)
{
	struct envelope envelope = {correlation, item, weir_now()};
	int code = weir_queue_put(queue, &envelope, deadline);
	if (code < 0)
		return code;
	weir_histogram_record(latency[PUT], weir_now() - envelope.put_at);
	span("queue.put", &envelope, envelope.put_at);
	return 0;
}

static int traced_get(struct envelope *ret_envelope, weir_nsec deadline)
{
	weir_nsec began = weir_now();
	int code = weir_queue_get(queue, ret_envelope, deadline);
	if (code < 0)
		return code;
	weir_histogram_record(latency[GET], weir_now() - began);
	weir_histogram_record(latency[IN_QUEUE], weir_now() - ret_envelope->put_at);
	span("queue.get", ret_envelope, began);
	return 0;
}

static int produce(void *arg)
{
	(void)arg;
	int code = 0;
	for (int item = 1; item <= 5 && code == 0; item++) {
		weir_sleep(10 * WEIR_MSEC);
		code = traced_put(7000 + (unsigned)item, item, WEIR_FOREVER);
	}
	weir_queue_close(queue, 0);
	return code;
}

static int consume(void *arg)
{
	(void)arg;
	struct envelope envelope;
	int code;
	while ((code = traced_get(&envelope, WEIR_FOREVER)) == 0) {
		weir_sleep(30 * WEIR_MSEC);
		weir_queue_task_done(queue);
	}
	return code == WEIR_ECLOSED ? 0 : code;
}

static int run(void *arg)
{
	(void)arg;
	struct weir_group *group = NULL;
	int code = weir_queue_new(sizeof(struct envelope), 2, &queue);
	for (int i = 0; i < LATENCIES && code == 0; i++)
		code = weir_histogram_new(&latency[i]);
	if (code == 0 && (code = weir_group_new(NULL, &group)) == 0) {
		code = weir_group_spawn(group, produce, NULL, WEIR_FOREVER);
		if (code < 0 || (code = weir_group_spawn(group, consume, NULL, WEIR_FOREVER)) < 0)
			weir_group_cancel(group);
		int result = weir_group_wait(group, WEIR_FOREVER);
		code = code < 0 ? code : result;
	}
	for (int i = 0; i < LATENCIES; i++) {
		if (code == 0)
			printf("%-12s  p50 %2d ms, longest %2d ms\n", names[i],
			       (int)(weir_histogram_quantile(latency[i], 0.5) / WEIR_MSEC),
			       (int)(weir_histogram_max(latency[i]) / WEIR_MSEC));
		weir_histogram_free(latency[i]);
	}
	weir_group_free(group);
	weir_queue_free(queue);
	return code;
}

int main(void)
{
	int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, NULL);
	if (code < 0)
		fprintf(stderr, "instrumented: %s\n", weir_strerror(code));
	return code < 0;
}
