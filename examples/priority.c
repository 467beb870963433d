/* SPDX-License-Identifier: MIT */
/*
 * Priorities, and what they do to those at the end of the line.  A worker needs 1 s for a job.  For a minute an urgent
 * job (class 0) comes every second, a normal one (class 1) every ten; three reports (class 2) were there before.
 *
 * By class alone the rest starves while urgent jobs keep coming.  With aging an item becomes one class more urgent
 * every 5 s, so after 10 s a report stands in line like an urgent job that comes then.  An EDF queue knows no classes:
 * each item has a deadline of its own, and the earliest goes first.
 */
#include <stdio.h>
#include <weir/weir.h>

struct job {
	int class;
	weir_nsec put_at, deadline; /* the latest it should begin */
};

static struct weir_queue *queue;
static weir_nsec longest[3];
static int late;

static int put(int class, bool edf)
{
	static const weir_nsec patience[] = {10 * WEIR_SEC, 20 * WEIR_SEC, 30 * WEIR_SEC};
	struct job job = {class, weir_now(), weir_now() + patience[class]};
	return weir_queue_put_at(queue, &job, edf ? job.deadline : class, WEIR_FOREVER);
}

static int produce(void *arg)
{
	bool edf = *(enum weir_queue_order *)arg == WEIR_EDF;
	int code = 0;
	for (int i = 0; i < 3 && code == 0; i++)
		code = put(2, edf);
	for (int second = 0; second < 60 && code == 0; second++) {
		code = put(0, edf);
		if (code == 0 && second % 10 == 0)
			code = put(1, edf);
		weir_sleep(WEIR_SEC);
	}
	weir_queue_close(queue, 0);
	return code;
}

static int work(void *arg)
{
	(void)arg;
	struct job job;
	int code;
	while ((code = weir_queue_get(queue, &job, WEIR_FOREVER)) == 0) {
		weir_nsec waited = weir_now() - job.put_at;
		longest[job.class] = waited > longest[job.class] ? waited : longest[job.class];
		late += weir_now() > job.deadline;
		weir_sleep(WEIR_SEC);
		weir_queue_task_done(queue);
	}
	return code == WEIR_ECLOSED ? 0 : code;
}

static int run(void *arg)
{
	struct weir_queue_options *options = arg;
	struct weir_group *group = NULL;
	int code = weir_queue_new_with(options, &queue);
	if (code == 0 && (code = weir_group_new(NULL, &group)) == 0) {
		code = weir_group_spawn(group, produce, &options->order, WEIR_FOREVER);
		if (code < 0 || (code = weir_group_spawn(group, work, NULL, WEIR_FOREVER)) < 0)
			weir_group_cancel(group);
		int result = weir_group_wait(group, WEIR_FOREVER);
		code = code < 0 ? code : result;
	}
	printf("%-12s  longest wait: urgent %2d s, normal %2d s, report %2d s; %2d began late\n", options->name,
	       (int)(longest[0] / WEIR_SEC), (int)(longest[1] / WEIR_SEC), (int)(longest[2] / WEIR_SEC), late);
	weir_group_free(group);
	weir_queue_free(queue);
	return code;
}

int main(void)
{
	struct weir_queue_options ways[] = {
		{.name = "class alone", .order = WEIR_PRIORITY, .aging = 3600 * WEIR_SEC},
		{.name = "with aging", .order = WEIR_PRIORITY}, /* 5 s, unless said otherwise */
		{.name = "by deadline", .order = WEIR_EDF},
	};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		ways[i].item_bytes = sizeof(struct job);
		ways[i].capacity = 100;
		queue = NULL, late = 0, longest[0] = longest[1] = longest[2] = 0;
		int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, &ways[i]);
		if (code < 0)
			return fprintf(stderr, "priority: %s\n", weir_strerror(code)), 1;
	}
	return 0;
}
