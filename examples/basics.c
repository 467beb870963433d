/* SPDX-License-Identifier: MIT */
/* The words of a queue, on one fiber: asyncio.Queue(maxsize=10) and what one does with it. */
#include <stdio.h>
#include <weir/weir.h>

static void show(const char *when, const struct weir_queue *queue)
{
	printf("%-20s size %2zu of %zu%s%s\n", when, weir_queue_size(queue), weir_queue_capacity(queue),
	       weir_queue_empty(queue) ? ", empty" : "", weir_queue_full(queue) ? ", full" : "");
}

static int use(struct weir_queue *queue)
{
	int code, item;
	show("new", queue);
	for (item = 1; item <= 10; item++) /* items are copied: no pointers, nobody to free them */
		if ((code = weir_queue_put(queue, &item, WEIR_FOREVER)) < 0)
			return code;
	show("after ten puts", queue);

	/* The last argument says how long a call may wait.  put_nowait() is a put that may not wait at all ... */
	code = weir_queue_put(queue, &item, WEIR_TRY);
	printf("an eleventh, now:    %s\n", weir_errname(code));

	/* ... and wait_for(queue.put(item), 0.1) one that has a deadline: a point in time, not a duration. */
	code = weir_queue_put(queue, &item, weir_after(100 * WEIR_MSEC));
	printf("within 100 ms:       %s (%s)\n", weir_errname(code), weir_strerror(code));

	if ((code = weir_queue_get(queue, &item, WEIR_FOREVER)) < 0)
		return code;
	printf("the first out:       %d\n", item);
	weir_queue_task_done(queue); /* once for each item that was got, no more and no less */

	code = weir_queue_join(queue, WEIR_TRY);
	printf("all settled?         %s\n", code == 0 ? "yes" : "no, nine are left");
	while (weir_queue_get(queue, &item, WEIR_TRY) == 0)
		weir_queue_task_done(queue);
	show("after ten gets", queue);
	code = weir_queue_join(queue, WEIR_TRY);
	printf("all settled?         %s\n", code == 0 ? "yes" : "no");

	weir_queue_close(queue, 0); /* instead of a sentinel: consumers get what is left, and then this */
	printf("closed, a get:       %s\n", weir_errname(weir_queue_get(queue, &item, WEIR_FOREVER)));
	return 0;
}

static int run(void *arg)
{
	(void)arg;
	struct weir_queue *queue;
	int code = weir_queue_new(sizeof(int), 10, &queue);
	if (code < 0)
		return code;
	code = use(queue);
	weir_queue_free(queue);
	return code;
}

int main(void)
{
	const struct weir_options options = {.flags = WEIR_VIRTUAL_CLOCK}; /* the 100 ms take no time */
	int code = weir_run(&options, run, NULL);
	if (code < 0)
		fprintf(stderr, "basics: %s\n", weir_strerror(code));
	return code < 0;
}
