/* SPDX-License-Identifier: MIT */
/*
 * Back-pressure: a producer that makes an item every 10 ms, three consumers that need 50 ms each, a queue of ten.
 * The queue fills, and from then on the producer goes at the pace of the consumers: put() waits.  Memory stays bounded.
 */
#include <stdio.h>
#include <weir/weir.h>

static struct weir_queue *queue;
static size_t deepest, stalls;
static weir_nsec longest_stall;

static int produce(void *arg)
{
	(void)arg;
	int code = 0;
	for (int item = 1; item <= 50 && code == 0; item++) {
		weir_sleep(10 * WEIR_MSEC);
		weir_nsec began = weir_now();
		code = weir_queue_put(queue, &item, WEIR_FOREVER);
		weir_nsec stall = weir_now() - began;
		stalls += stall > 0; /* in production: a signal, when it is over what you promised */
		longest_stall = stall > longest_stall ? stall : longest_stall;
		deepest = weir_queue_size(queue) > deepest ? weir_queue_size(queue) : deepest;
	}
	weir_queue_close(queue, 0);
	return code;
}

/* A fiber's argument is a pointer of the caller's, here to where it counts. */
static int consume(void *arg)
{
	int item, code, *count = arg;
	while ((code = weir_queue_get(queue, &item, WEIR_FOREVER)) == 0) {
		weir_sleep(50 * WEIR_MSEC);
		weir_queue_task_done(queue);
		++*count;
	}
	return code == WEIR_ECLOSED ? 0 : code;
}

static int run(void *arg)
{
	(void)arg;
	weir_nsec began = weir_now();
	int counts[3] = {0}; /* on this fiber's stack: it outlives the fibers that count there, for we wait for them */
	struct weir_group_part parts[] = {{.fn = produce},
					  {.fn = consume, .arg = &counts[0]},
					  {.fn = consume, .arg = &counts[1]},
					  {.fn = consume, .arg = &counts[2]}};
	int code = weir_queue_new(sizeof(int), 10, &queue);
	if (code == 0)
		code = weir_group_run(parts, 4, WEIR_FOREVER);
	printf("consumed %d + %d + %d in %d ms\n", counts[0], counts[1], counts[2],
	       (int)((weir_now() - began) / WEIR_MSEC));
	printf("deepest %zu, %zu puts waited, the longest %d ms\n", deepest, stalls, (int)(longest_stall / WEIR_MSEC));
	weir_queue_free(queue);
	return code;
}

int main(void)
{
	int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, NULL);
	if (code < 0)
		fprintf(stderr, "bounded: %s\n", weir_strerror(code));
	return code < 0;
}
