/* SPDX-License-Identifier: MIT */
/* Four tasks by priority, two consumers that leave after five idle seconds: a get with a deadline is all it takes. */
#include <stdio.h>
#include <weir/weir.h>

struct task {
	int priority; /* 0 is the most urgent */
	char name[20];
	int seconds;
};

static struct weir_queue *queue;
static weir_nsec began;

static double elapsed(void)
{
	return (double)(weir_now() - began) / 1e9;
}

static int consume(void *arg)
{
	const char *name = arg;
	struct task task;
	int code;
	while ((code = weir_queue_get(queue, &task, weir_after(5 * WEIR_SEC))) == 0) {
		printf("%4.1f s  %s begins %s (%d)\n", elapsed(), name, task.name, task.priority);
		code = weir_sleep(task.seconds * WEIR_SEC);
		weir_queue_task_done(queue);
	}
	printf("%4.1f s  %s leaves: %s\n", elapsed(), name, weir_strerror(code));
	return code == WEIR_ETIMEDOUT ? 0 : code; /* idle for long enough: here that is the good end */
}

static int put_all(void)
{
	static const struct task tasks[] = {
		{2, "newsletter", 1}, {1, "invoice", 2}, {0, "password mail", 1}, {1, "receipt", 2}};
	int code = 0;
	for (size_t i = 0; i < sizeof tasks / sizeof *tasks && code == 0; i++) /* the item, then its class */
		code = weir_queue_put_at(queue, &tasks[i], tasks[i].priority, WEIR_FOREVER);
	return code;
}

static int run(void *arg)
{
	(void)arg;
	static char names[2][2] = {"A", "B"};
	struct weir_queue_options options = {.item_bytes = sizeof(struct task), .capacity = 10, .order = WEIR_PRIORITY};
	struct weir_group_part parts[] = {{.fn = consume, .arg = names[0]}, {.fn = consume, .arg = names[1]}};
	began = weir_now();
	int code = weir_queue_new_with(&options, &queue);
	if (code == 0 && (code = put_all()) == 0)
		code = weir_group_run(parts, 2, WEIR_FOREVER);
	weir_queue_free(queue);
	return code;
}

int main(void)
{
	int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, NULL);
	if (code < 0)
		fprintf(stderr, "idle_consumers: %s\n", weir_strerror(code));
	return code < 0;
}
