/* SPDX-License-Identifier: MIT */
/*
 * Two stages over two queues, scaled apart: ten fibers fetch (100 ms each), two parse (20 ms).  The last fiber of a
 * stage to leave closes the queue it fed, so the end runs through the pipeline as the work does.
 */
#include <stdio.h>
#include <weir/weir.h>

static struct weir_queue *urls, *pages;
static size_t fetchers = 10, parsers = 2, deepest;
static long parsed, bytes;

static int feed(void *arg)
{
	(void)arg;
	int code = 0;
	for (int url = 1; url <= 100 && code == 0; url++)
		code = weir_queue_put(urls, &url, WEIR_FOREVER);
	weir_queue_close(urls, 0);
	return code;
}

static int fetch(void *arg)
{
	(void)arg;
	int url, code;
	while ((code = weir_queue_get(urls, &url, WEIR_FOREVER)) == 0) {
		weir_sleep(100 * WEIR_MSEC);
		int page = 1000 + url;                             /* so many bytes */
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
	int page, code;
	while ((code = weir_queue_get(pages, &page, WEIR_FOREVER)) == 0) {
		weir_sleep(20 * WEIR_MSEC);
		parsed++;
		bytes += page;
		weir_queue_task_done(pages);
	}
	return code == WEIR_ECLOSED ? 0 : code;
}

static int run(void *arg)
{
	(void)arg;
	/* All stages are one group: when one fails the others are cancelled, and nobody waits for one that is gone. */
	struct weir_group_part stages[] = {
		{.fn = feed}, {.fn = fetch, .fibers = fetchers}, {.fn = parse, .fibers = parsers}};
	weir_nsec began = weir_now();
	int code = weir_queue_new(sizeof(int), 20, &urls);
	if (code == 0)
		code = weir_queue_new(sizeof(int), 20, &pages);
	if (code == 0)
		code = weir_group_run(stages, 3, WEIR_FOREVER);
	printf("%ld pages, %ld bytes in %d ms; at most %zu waited to be parsed\n", parsed, bytes,
	       (int)((weir_now() - began) / WEIR_MSEC), deepest);
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
