/* SPDX-License-Identifier: MIT */
/*
 * Gated consumers: N workers take from a queue, and a semaphore lets five of them call the upstream concurrently.  With
 * four workers the semaphore never makes one wait, with eight it does.
 */
#include <stdio.h>
#include <weir/weir.h>

static struct weir_queue *queue;
static struct weir_sem *gate;
static int inside, most_inside, done;

static int work(void *arg)
{
	(void)arg;
	int item, code;
	while ((code = weir_queue_get(queue, &item, WEIR_FOREVER)) == 0) {
		code = weir_sem_acquire(gate, 1, WEIR_FOREVER);
		if (code == 0) { /* `async with gate:`, by hand: what was taken is given back on every path */
			most_inside = ++inside > most_inside ? inside : most_inside;
			weir_sleep(100 * WEIR_MSEC);
			inside--;
			weir_sem_release(gate, 1);
			done++;
		}
		weir_queue_task_done(queue); /* also when it failed, or join() would wait for ever */
	}
	return code == WEIR_ECLOSED ? 0 : code;
}

static int feed(void *arg)
{
	(void)arg;
	int code = 0;
	for (int item = 1; item <= 100 && code == 0; item++)
		code = weir_queue_put(queue, &item, WEIR_FOREVER);
	weir_queue_close(queue, 0);
	return code;
}

static int run(void *arg)
{
	const size_t *workers = arg;
	struct weir_group_part parts[] = {{.fn = feed}, {.fn = work, .fibers = *workers}};
	weir_nsec began = weir_now();
	int code = weir_queue_new(sizeof(int), 20, &queue);
	if (code == 0)
		code = weir_sem_new(5, &gate);
	if (code == 0)
		code = weir_group_run(parts, 2, WEIR_FOREVER);
	printf("%zu workers, 5 permits: %d done in %d ms, at most %d inside\n", *workers, done,
	       (int)((weir_now() - began) / WEIR_MSEC), most_inside);
	weir_sem_free(gate);
	weir_queue_free(queue);
	return code;
}

int main(void)
{
	for (size_t workers = 4; workers <= 8; workers += 4) {
		queue = NULL, gate = NULL, most_inside = done = 0;
		int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, &workers);
		if (code < 0)
			return fprintf(stderr, "gated: %s\n", weir_strerror(code)), 1;
	}
	return 0;
}
