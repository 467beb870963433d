/* SPDX-License-Identifier: MIT */
/*
 * Asking the system for events: libuv keeps the descriptors and calls back, the waiting itself is ours.
 *
 * libuv's timers count milliseconds and its uv_run() costs 180 ns, so the loop waits with epoll_pwait2(), to the
 * nanosecond, on libuv's own epoll descriptor and calls uv_run(NOWAIT) only when there is something for it.  A handle
 * that was started or closed reaches epoll only inside uv_run(): `uv_dirty` remembers that.
 */
#include "rt/loop.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void run_callbacks(struct weir__loop *loop)
{
	loop->uv_dirty = false;
	uv_run(&loop->uv, UV_RUN_NOWAIT);
}

static weir_nsec nsec_until(const struct weir__loop *loop, weir_nsec until)
{
	weir_nsec now = loop->is_virtual ? loop->now : weir_clock();
	return until > now ? until - now : 0;
}

/* Whether something is there, or may be. */
static bool wait_for_event(struct weir__loop *loop, weir_nsec until)
{
	struct epoll_event event;
	int fd = uv_backend_fd(&loop->uv);
	weir_nsec left = until == WEIR_FOREVER ? 0 : nsec_until(loop, until);
#ifdef SYS_epoll_pwait2
	if (!loop->no_pwait2) {
		struct timespec ts = {.tv_sec = left / WEIR_SEC, .tv_nsec = left % WEIR_SEC};
		long n = syscall(SYS_epoll_pwait2, fd, &event, 1, until == WEIR_FOREVER ? NULL : &ts, NULL, 0);
		if (n >= 0 || errno == EINTR)
			return n > 0;
		loop->no_pwait2 = true; /* unknown to the kernel, or forbidden by a filter of system calls */
	}
#endif
	/* In milliseconds, rounded up: no timer fires early. */
	weir_nsec ms = left / WEIR_MSEC + (left % WEIR_MSEC != 0);
	return epoll_wait(fd, &event, 1, until == WEIR_FOREVER ? -1 : ms > 60000 ? 60000 : (int)ms) > 0;
}

/* A callback may leave the loop dirty anew, with descriptors that epoll does not know of just then. */
void weir__poll(struct weir__loop *loop, weir_nsec until)
{
	loop->polls++;
	if (until == WEIR_TRY)
		run_callbacks(loop);
	while (until != WEIR_TRY && loop->uv_dirty && !weir__has_ready(loop))
		run_callbacks(loop);
	if (until != WEIR_TRY && !weir__has_ready(loop) && wait_for_event(loop, until))
		run_callbacks(loop);
	loop->polled_at = loop->now;
}
