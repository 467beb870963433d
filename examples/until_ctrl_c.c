/* SPDX-License-Identifier: MIT */
/* Jobs through a bounded queue at a limited rate.  The program ends when they are done, or on Ctrl-C. */
#include <stdio.h>
#include <weir/weir.h>

static struct weir_rate_limiter *limiter;
static int done;

static int produce(void *queue)
{
	for (int job = 0; job < 200 && weir_queue_put(queue, &job, WEIR_FOREVER) == 0;)
		job++;
	weir_queue_close(queue, 0);
	return 0;
}

static int work(void *queue)
{
	int job;
	while (weir_queue_get(queue, &job, WEIR_FOREVER) == 0 &&
	       weir_rate_limiter_acquire(limiter, 1, WEIR_FOREVER) == 0)
		done++; /* call the upstream here */
	return 0;
}

static int run(void *arg)
{
	(void)arg;
	struct weir_queue *queue = NULL;
	int code = weir_queue_new(sizeof(int), 10, &queue);
	code = code ? code : weir_rate_limiter_new(&(struct weir_rate_options){.count = 100}, &limiter);
	const struct weir_group_part parts[] = {{.fn = produce, .arg = queue},
						{.fn = work, .arg = queue, .fibers = 5},
						{.fn = weir_signal_stop, .background = true}};
	code = code ? code : weir_group_run(parts, 3, WEIR_FOREVER);
	printf("%d done: %s\n", done, weir_strerror(code));
	weir_rate_limiter_free(limiter);
	weir_queue_free(queue);
	return code;
}

int main(void)
{
	return weir_run(NULL, run, NULL) < 0; /* the real clock: signals come from outside */
}
