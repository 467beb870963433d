/* SPDX-License-Identifier: MIT */
/* 10,000 slow jobs, 500 in flight: a bounded queue, 500 fibers that take from it, one that fills it. */
#include <stdio.h>
#include <weir/weir.h>

static struct weir_queue *jobs;
static long sum;

static int work(void *arg)
{
	(void)arg;
	long job;
	while (weir_queue_get(jobs, &job, WEIR_FOREVER) == 0) {
		weir_sleep(200 * WEIR_MSEC); /* a slow call */
		sum += job * job;            /* one thread: no lock */
		weir_queue_task_done(jobs);
	}
	return 0; /* the queue was closed */
}

static int run(void *arg)
{
	(void)arg;
	struct weir_group *workers;
	if (weir_queue_new(sizeof(long), 100, &jobs) < 0 || weir_group_new(NULL, &workers) < 0)
		return WEIR_ENOMEM;
	for (int i = 0; i < 500; i++)
		weir_group_spawn(workers, work, NULL, WEIR_FOREVER);
	for (long job = 1; job <= 10000; job++)
		weir_queue_put(jobs, &job, WEIR_FOREVER); /* waits while 100 are in the queue */
	weir_queue_join(jobs, WEIR_FOREVER);              /* until every job is done */
	weir_queue_close(jobs, 0);
	int result = weir_group_wait(workers, WEIR_FOREVER);
	printf("%ld\n", sum);
	weir_group_free(workers);
	weir_queue_free(jobs);
	return result;
}

int main(void)
{
	return weir_run(NULL, run, NULL) < 0; /* 4.0 s; with .flags = WEIR_VIRTUAL_CLOCK none at all */
}
