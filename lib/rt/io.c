/* SPDX-License-Identifier: MIT */
/*
 * Waiting on a descriptor: a uv_poll_t that stays registered from wait to wait.
 *
 * `registered` is what epoll reports.  A wait that needs more adds to it; an event that nobody waits for takes it away,
 * or a level-triggered descriptor would keep the loop spinning.
 */
#include "rt/loop.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/io.h>

struct weir_io {
	uv_poll_t poll; /* first: the handle is the object */
	int fd;
	unsigned registered; /* WEIR_READABLE | WEIR_WRITABLE */
	bool woken, is_socket;
	struct weir__waitlist waiters;
};

struct io_waiter {
	struct weir__waiter waiter;
	unsigned events;
};

static int to_uv(unsigned events)
{
	return (events & WEIR_READABLE ? UV_READABLE : 0) | (events & WEIR_WRITABLE ? UV_WRITABLE : 0);
}

static void on_event(uv_poll_t *poll, int status, int uv_events);

static int set_registered(struct weir_io *io, unsigned events)
{
	int code = events ? uv_poll_start(&io->poll, to_uv(events), on_event) : uv_poll_stop(&io->poll);
	if (code)
		return code;
	io->registered = events;
	weir__loop->uv_dirty = true;
	return 0;
}

static void on_event(uv_poll_t *poll, int status, int uv_events)
{
	struct weir_io *io = (struct weir_io *)poll;
	unsigned events = (uv_events & UV_READABLE ? WEIR_READABLE : 0) | (uv_events & UV_WRITABLE ? WEIR_WRITABLE : 0);
	unsigned wanted = 0;
	if (status < 0) /* EPOLLERR: reading or writing tells what it is */
		events = WEIR_READABLE | WEIR_WRITABLE;
	for (struct weir__waiter *next, *waiter = io->waiters.head; waiter; waiter = next) {
		struct io_waiter *self = (struct io_waiter *)waiter;
		next = waiter->next;
		wanted |= self->events;
		if (self->events & events)
			weir__wake(waiter, (int)(self->events & events));
	}
	if (status < 0) {
		io->registered = 0; /* libuv has stopped the handle */
		return;
	}
	if (events & ~wanted)
		set_registered(io, wanted);
}

int weir_io_open(int fd, struct weir_io **ret_io)
{
	weir__require(weir__loop, "weir_io_open() belongs on a fiber");
	struct weir_io *io = calloc(1, sizeof *io);
	if (!io)
		return WEIR_ENOMEM;
	int code = uv_poll_init(&weir__loop->uv, &io->poll, fd);
	if (code) {
		free(io);
		return code;
	}
	int type;
	socklen_t n = sizeof type;
	io->is_socket = !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n);
	io->fd = fd;
	*ret_io = io;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void weir_io_close(struct weir_io *io)
{
	if (!io)
		return;
	weir__wake_all(&io->waiters, WEIR_ECLOSED);
	uv_close((uv_handle_t *)&io->poll, on_closed);
	weir__loop->uv_dirty = true;
}

int weir_io_wait(struct weir_io *io, unsigned events, weir_nsec deadline)
{
	struct io_waiter self = {.events = events & (WEIR_READABLE | WEIR_WRITABLE)};
	weir__require(self.events, "weir_io_wait() for no event");
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (io->woken) {
		io->woken = false;
		return 0;
	}
	if (self.events & ~io->registered) {
		int code = set_registered(io, io->registered | self.events);
		if (code)
			return code;
	}
	weir__outside_enter();
	int code = weir__wait(&io->waiters, &self.waiter, deadline);
	weir__outside_leave();
	return code;
}

void weir_io_wake(struct weir_io *io)
{
	if (io->waiters.head)
		weir__wake(io->waiters.head, 0);
	else
		io->woken = true;
}

ssize_t weir_io_read(struct weir_io *io, void *buf, size_t n, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	for (;;) {
		ssize_t got = read(io->fd, buf, n);
		if (got >= 0)
			return got;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		int code = weir_io_wait(io, WEIR_READABLE, deadline);
		if (code < 0)
			return code;
	}
}

int weir_io_write(struct weir_io *io, const void *buf, size_t n, weir_nsec deadline)
{
	const char *at = buf;
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	while (n) {
		ssize_t put = io->is_socket ? send(io->fd, at, n, MSG_NOSIGNAL) : write(io->fd, at, n);
		if (put >= 0) {
			at += put;
			n -= (size_t)put;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		int code = weir_io_wait(io, WEIR_WRITABLE, deadline);
		if (code < 0)
			return code;
	}
	return 0;
}
