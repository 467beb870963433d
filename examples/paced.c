/* SPDX-License-Identifier: MIT */
/*
 * Five workers call an upstream that takes ten calls a second, up to three back to back after a pause.  The seventh
 * call is asked to come back later, and then all five wait; after the fourteenth the limit is raised.
 */
#include <stdio.h>
#include <weir/weir.h>

static struct weir_rate_limiter *limiter;
static weir_nsec began;
static int asked, calls;

/* What stands for the call: it prints when it was made. */
static void call_upstream(void)
{
	printf(" %d", (int)((weir_now() - began) / WEIR_MSEC));
	calls++;
	if (calls == 7) { /* 429, Retry-After: 2 */
		weir_rate_limiter_close(limiter, weir_after(2 * WEIR_SEC));
		printf("\ncome back in 2 s:");
	} else if (calls == 14) {
		weir_rate_limiter_set(limiter, &(struct weir_rate_options){.count = 50, .burst = 3});
		printf("\n50 a second:");
	}
}

static int work(void *arg)
{
	(void)arg;
	while (asked++ < 21) {
		int code = weir_rate_limiter_acquire(limiter, 1, WEIR_FOREVER);
		if (code < 0)
			return code; /* given up in line: nothing was taken from the others */
		call_upstream();
	}
	return 0;
}

static int run(void *arg)
{
	struct weir_group_part workers = {.fn = work, .fibers = 5};
	(void)arg;
	int code = weir_rate_limiter_new(&(struct weir_rate_options){.count = 10, .burst = 3}, &limiter);
	if (code < 0)
		return code;
	began = weir_now();
	printf("10 a second:");
	code = weir_group_run(&workers, 1, WEIR_FOREVER);
	printf("\n");
	weir_rate_limiter_free(limiter);
	return code;
}

int main(void)
{
	int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, NULL);
	if (code < 0)
		return fprintf(stderr, "paced: %s\n", weir_strerror(code)), 1;
	return 0;
}
