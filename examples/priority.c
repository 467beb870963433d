/* SPDX-License-Identifier: MIT */
/*
 * Priorities.  A worker needs 1 s for a job.  For a minute an urgent job (class 0) comes every second, a normal one (1)
 * every ten; three reports (2) were there before.  By class alone the rest starves meanwhile.  With aging an item gets
 * one class more urgent every 5 s.  An EDF queue knows no classes: the earliest deadline goes first.
 */
#include <stdio.h>
#include <weir/weir.h>

struct job {
	int class;
	weir_nsec put_at, deadline; /* the latest it should begin */
};

static struct weir_queue *queue;
static int longest[3], late; /* the longest wait of each class, in seconds, and jobs that began late */

static int put(int class, bool edf)
{
	struct job job = {class, weir_now(), weir_after((class + 1) * 10 * WEIR_SEC)};
	return weir_queue_put_at(queue, &job, edf ? job.deadline : class, WEIR_FOREVER);
}

static int produce(void *arg)
{
	bool edf = *(enum weir_queue_order *)arg == WEIR_EDF;
	int code = 0;
	for (int report = 0; report < 3 && code == 0; report++)
		code = put(2, edf);
	for (int second = 0; second < 60 && code == 0; second++) {
		if ((code = put(0, edf)) == 0 && second % 10 == 0)
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
		int waited = (int)((weir_now() - job.put_at) / WEIR_SEC);
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
	struct weir_group_part parts[] = {{.fn = produce, .arg = &options->order}, {.fn = work}};
	queue = NULL, late = longest[0] = longest[1] = longest[2] = 0;
	int code = weir_queue_new_with(options, &queue);
	if (code == 0)
		code = weir_group_run(parts, 2, WEIR_FOREVER);
	printf("%-12s  longest wait: urgent %2d s, normal %2d s, report %2d s; %2d began late\n", options->name,
	       longest[0], longest[1], longest[2], late);
	weir_queue_free(queue);
	return code;
}

int main(void)
{
	struct weir_queue_options ways[] = {
		{sizeof(struct job), 100, WEIR_PRIORITY, .aging = 3600 * WEIR_SEC, .name = "class alone"},
		{sizeof(struct job), 100, WEIR_PRIORITY, .name = "with aging"}, /* 5 s by default */
		{sizeof(struct job), 100, WEIR_EDF, .name = "by deadline"},
	};
	for (int i = 0; i < 3; i++)
		if (weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, &ways[i]) < 0)
			return 1;
	return 0;
}
