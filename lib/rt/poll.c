/* SPDX-License-Identifier: MIT */
/*
 * Asking the system for events, and the way in for other threads: libuv keeps the descriptors and calls back, the
 * waiting itself is ours.
 *
 * libuv's timers count milliseconds and its uv_run() costs 180 ns, so the loop waits with epoll_pwait2(), to the
 * nanosecond, on libuv's own epoll descriptor and calls uv_run(NOWAIT) only when there is something for it.  A handle
 * that was started or closed reaches epoll only inside uv_run(): `uv_dirty` remembers that.
 */
#include "rt/loop.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void weir__outside_enter(void)
{
	weir__loop->outside++;
}

void weir__outside_leave(void)
{
	weir__loop->outside--;
}

/* The receiver empties the whole box at once, so only the message that finds it empty has to ring.  Once pushed a
 * message is the receiver's: it may be gone before the bell rings, and the loop may be about to end. */
void weir__post(struct weir__loop *loop, struct weir__message *message)
{
	struct weir__message *newest = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);
	atomic_fetch_add_explicit(&loop->posting, 1, memory_order_relaxed);
	do
		message->next = newest;
	while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &newest, message, memory_order_release,
						      memory_order_relaxed));
	if (!newest)
		uv_async_send(&loop->wakeup);
	atomic_fetch_sub_explicit(&loop->posting, 1, memory_order_release);
}

static void empty_mailbox(uv_async_t *wakeup)
{
	struct weir__loop *loop = wakeup->data;
	struct weir__message *message = atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
	struct weir__message *in_order = NULL;
	while (message) {
		struct weir__message *next = message->next;
		message->next = in_order;
		in_order = message;
		message = next;
	}
	while (in_order) {
		struct weir__message *next = in_order->next;
		in_order->deliver(in_order);
		in_order = next;
	}
}

/* ---- libuv */

/* libuv aborts when it has no descriptor for its pipes; it needs an epoll, an eventfd and two pipes. */
static int check_descriptors(void)
{
	int fds[6], code = 0;
	size_t n = 0;
	while (n < sizeof fds / sizeof fds[0] && !code) {
		fds[n] = eventfd(0, EFD_CLOEXEC);
		code = fds[n] < 0 ? -errno : 0;
		n += !code;
	}
	while (n)
		close(fds[--n]);
	return code;
}

int weir__poll_init(struct weir__loop *loop)
{
	int code = check_descriptors();
	if (!code)
		code = uv_loop_init(&loop->uv);
	if (code)
		return code;
	loop->wakeup.data = loop;
	code = uv_async_init(&loop->uv, &loop->wakeup, empty_mailbox);
	if (code)
		uv_loop_close(&loop->uv);
	loop->uv_dirty = true;
	loop->no_pwait2 = weir__on_valgrind();
	return code;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void weir__poll_fini(struct weir__loop *loop)
{
	while (atomic_load_explicit(&loop->posting, memory_order_acquire))
		sched_yield();
	uv_walk(&loop->uv, close_handle, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
}

/* ---- events */

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
