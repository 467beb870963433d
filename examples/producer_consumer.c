/* SPDX-License-Identifier: MIT */
/* One fiber makes, another uses, a queue of ten between them.  Closing it is how the consumer learns of the end. */
#include <stdio.h>
#include <weir/weir.h>

static struct weir_queue *queue;
static weir_nsec began;

static int elapsed_ms(void)
{
	return (int)((weir_now() - began) / WEIR_MSEC);
}

/* All fibers of a loop share one thread and change only in calls that take a deadline, or sleep: printf is safe. */
static int produce(void *arg)
{
	(void)arg;
	int code = 0;
	for (int item = 1; item <= 5 && code == 0; item++) {
		weir_sleep(10 * WEIR_MSEC);
		code = weir_queue_put(queue, &item, WEIR_FOREVER);
		printf("%3d ms  put %d\n", elapsed_ms(), item);
	}
	weir_queue_close(queue, 0); /* what is in it can still be got */
	return code;
}

static int consume(void *arg)
{
	(void)arg;
	int item, code;
	while ((code = weir_queue_get(queue, &item, WEIR_FOREVER)) == 0) {
		printf("%3d ms          got %d\n", elapsed_ms(), item);
		weir_sleep(20 * WEIR_MSEC);
		weir_queue_task_done(queue);
	}
	return code == WEIR_ECLOSED ? 0 : code; /* closed and drained is the good end; anything else is an error */
}

/* Both are one TaskGroup: it is left when the last of them has ended, and a failure of one cancels the other. */
static int run(void *arg)
{
	(void)arg;
	static const struct weir_group_part both[] = {{.fn = produce}, {.fn = consume}};
	began = weir_now();
	int code = weir_queue_new(sizeof(int), 10, &queue);
	if (code == 0)
		code = weir_group_run(both, 2, WEIR_FOREVER);
	weir_queue_free(queue); /* freeing NULL is fine: one clean-up for all paths */
	return code;
}

int main(void)
{
	int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, NULL);
	if (code < 0)
		fprintf(stderr, "producer_consumer: %s\n", weir_strerror(code));
	return code < 0;
}
