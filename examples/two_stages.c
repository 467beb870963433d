/* SPDX-License-Identifier: MIT */
/*
 * Two stages over two queues, scaled apart: ten fibers fetch (100 ms each), two parse (20 ms).  The last fiber of a
 * stage to leave closes the queue it fed, so the end runs through the pipeline as the work does.
 */
#include <stdio.h>
#include <weir/weir.h>

struct page {
	int number, bytes;
};

static struct weir_queue *urls, *pages;
static size_t deepest;
static int fetchers = 10, parsers = 2;
static long parsed, bytes;

static int feed(void *arg)
{
	(void)arg;
	int code = 0;
	for (int number = 1; number <= 100 && code == 0; number++)
		code = weir_queue_put(urls, &number, WEIR_FOREVER);
	weir_queue_close(urls, 0);
	return code;
}

static int fetch(void *arg)
{
	(void)arg;
	struct page page;
	int code;
	while ((code = weir_queue_get(urls, &page.number, WEIR_FOREVER)) == 0) {
		weir_sleep(100 * WEIR_MSEC);
		page.bytes = 1000 + page.number;
		code = weir_queue_put(pages, &page, WEIR_FOREVER); /* waits while parsing is behind */
		deepest = weir_queue_size(pages) > deepest ? weir_queue_size(pages) : deepest;
		weir_queue_task_done(urls);
		if (code < 0)
			break;
	}
	if (--fetchers == 0) /* one thread: no lock, no atomic */
		weir_queue_close(pages, 0);
	return code == WEIR_ECLOSED ? 0 : code;
}

static int parse(void *arg)
{
	(void)arg;
	struct page page;
	int code;
	while ((code = weir_queue_get(pages, &page, WEIR_FOREVER)) == 0) {
		weir_sleep(20 * WEIR_MSEC);
		parsed++;
		bytes += page.bytes;
		weir_queue_task_done(pages);
	}
	return code == WEIR_ECLOSED ? 0 : code;
}

/* All stages are one group: when one fails the others are cancelled, and nobody waits for a stage that is gone. */
static int run_stages(struct weir_group *group)
{
	int to_fetch = fetchers, to_parse = parsers;
	int code = weir_group_spawn(group, feed, NULL, WEIR_FOREVER);
	while (code == 0 && to_fetch-- > 0)
		code = weir_group_spawn(group, fetch, NULL, WEIR_FOREVER);
	while (code == 0 && to_parse-- > 0)
		code = weir_group_spawn(group, parse, NULL, WEIR_FOREVER);
	if (code < 0)
		weir_group_cancel(group);
	int result = weir_group_wait(group, WEIR_FOREVER);
	return code < 0 ? code : result;
}

static int run(void *arg)
{
	(void)arg;
	struct weir_group *group = NULL;
	weir_nsec began = weir_now();
	int code = weir_queue_new(sizeof(int), 20, &urls);
	if (code == 0 && (code = weir_queue_new(sizeof(struct page), 20, &pages)) == 0 &&
	    (code = weir_group_new(NULL, &group)) == 0)
		code = run_stages(group);
	printf("%ld pages, %ld bytes in %d ms; at most %zu waited to be parsed\n", parsed, bytes,
	       (int)((weir_now() - began) / WEIR_MSEC), deepest);
	weir_group_free(group);
	weir_queue_free(pages);
	weir_queue_free(urls);
	return code;
}

int main(void)
{
	int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, NULL);
	if (code < 0)
		fprintf(stderr, "two_stages: %s\n", weir_strerror(code));
	return code < 0;
}
