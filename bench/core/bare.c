/* SPDX-License-Identifier: MIT */
/*
 * What the 20,000 sleeps take without any library: a heap of 500 deadlines and epoll_pwait2(), no fiber, no group.
 * Nearly all of its processor time is the kernel's, for 15,000 times to sleep and back; it shows how the machine feels
 * today, and how little of sleep500_cpu_s is weir's own.
 */
#include "core.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

static void wait_until(int epoll, weir_nsec due)
{
	struct epoll_event event;
	weir_nsec left = due - weir_clock();
	if (left < 0)
		left = 0;
	struct timespec timeout = {left / WEIR_SEC, left % WEIR_SEC};
	must(epoll_pwait2(epoll, &event, 1, &timeout, NULL) < 0 ? -errno : 0, "epoll_pwait2");
}

static void replace_top(struct weir_heap *heap, weir_nsec due)
{
	struct weir_heap_node *node = weir_heap_top(heap).node;
	weir_heap_remove(heap, node);
	weir_heap_add(heap, due, node);
}

void bench_sleep500_bare(void)
{
	static struct weir_heap_node nodes[500];
	struct weir_heap heap = {0};
	uint64_t jobs = 20000 / share, started = 0, state = SLEEP500_SEED;
	must(weir_heap_reserve(&heap, 500), "heap");
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	must(epoll < 0 ? -errno : 0, "epoll_create1");
	double before = cpu_seconds();
	weir_nsec start = weir_clock(), now = start;
	for (; started < jobs && started < 500; started++)
		weir_heap_add(&heap, now + sleep500_next(&state), &nodes[started]);
	while (heap.n) {
		wait_until(epoll, weir_heap_top(&heap).key);
		now = weir_clock();
		while (heap.n && weir_heap_top(&heap).key <= now)
			if (started++ < jobs)
				replace_top(&heap, now + sleep500_next(&state));
			else
				weir_heap_remove(&heap, weir_heap_top(&heap).node);
	}
	figure("sleep500_bare_wall_s", seconds_since(start), "s");
	figure("sleep500_bare_cpu_s", cpu_seconds() - before, "s");
	weir_heap_fini(&heap);
	close(epoll);
}
