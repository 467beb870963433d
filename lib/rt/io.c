/* SPDX-License-Identifier: MIT */
/*
 * Waiting on a descriptor: a uv_poll_t that stays registered from wait to wait.
 *
 * `registered` is what epoll reports.  A wait that needs more adds to it; an event that nobody waits for takes it away,
 * or a level-triggered descriptor would keep the loop spinning.
 *
 * A fiber may be woken and, before it runs, the weir_io closed by another.  So calls under way are counted in `users`,
 * and the memory is given back by the last of them and libuv.
 */
#include "rt/loop.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/io.h>

struct weir_io {
	uv_poll_t poll; /* first: the handle is the object */
	int fd;
	unsigned registered; /* WEIR_READABLE | WEIR_WRITABLE */
	unsigned users;
	bool woken, is_socket;
	bool closed, forgotten; /* by its owner, by libuv */
	struct weir__waitlist waiters;
};

struct io_waiter {
	struct weir__waiter waiter;
	unsigned events;
	bool wakeable; /* by weir_io_wake() */
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
	for (struct weir__waiter *next, *waiter = TAILQ_FIRST(&io->waiters); waiter; waiter = next) {
		struct io_waiter *self = (struct io_waiter *)waiter;
		next = TAILQ_NEXT(waiter, others);
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
	weir__require_fiber(weir__loop);
	struct weir_io *io = calloc(1, sizeof *io);
	if (!io)
		return WEIR_ENOMEM;
	TAILQ_INIT(&io->waiters);
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
	struct weir_io *io = (struct weir_io *)handle;
	io->forgotten = true;
	if (!io->users)
		free(io);
}

static void end_use(struct weir_io *io)
{
	if (--io->users == 0 && io->forgotten)
		free(io);
}

void weir_io_close(struct weir_io *io)
{
	if (!io)
		return;
	io->closed = true;
	weir__wake_all(&io->waiters, WEIR_ECLOSED);
	uv_close((uv_handle_t *)&io->poll, on_closed);
	weir__loop->uv_dirty = true;
}

static bool passed(weir_nsec deadline)
{
	deadline = weir__deadline(deadline);
	return deadline != WEIR_FOREVER && deadline <= weir_now();
}

/* With io in use.  The events, 0 for a wake, or a negative code. */
static int wait_for(struct weir_io *io, unsigned events, bool wakeable, weir_nsec deadline)
{
	struct io_waiter self = {.waiter.what = "io", .events = events, .wakeable = wakeable};
	if (weir__check_cancel()) /* also between two waits of one read */
		return WEIR_ECANCELED;
	if (events & ~io->registered && !passed(deadline)) {
		int code = set_registered(io, io->registered | events);
		if (code)
			return code;
	}
	weir__outside_enter();
	int code = weir__wait(&io->waiters, &self.waiter, deadline);
	weir__outside_leave();
	return io->closed ? WEIR_ECLOSED : code;
}

static unsigned look(const struct weir_io *io, unsigned events)
{
	struct pollfd seen = {.fd = io->fd};
	seen.events = (short)((events & WEIR_READABLE ? POLLIN : 0) | (events & WEIR_WRITABLE ? POLLOUT : 0));
	if (poll(&seen, 1, 0) <= 0)
		return 0;
	if (seen.revents & (POLLERR | POLLHUP | POLLNVAL))
		return events;
	return (seen.revents & POLLIN ? WEIR_READABLE : 0u) | (seen.revents & POLLOUT ? WEIR_WRITABLE : 0u);
}

int weir_io_wait(struct weir_io *io, unsigned events, weir_nsec deadline)
{
	events &= WEIR_READABLE | WEIR_WRITABLE;
	if (!events)
		return WEIR_EINVAL;
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (io->woken) {
		io->woken = false;
		return 0;
	}
	unsigned held = passed(deadline) ? look(io, events) : 0;
	if (held)
		return (int)held;
	io->users++;
	int code = wait_for(io, events, true, deadline);
	end_use(io);
	return code;
}

void weir_io_wake(struct weir_io *io)
{
	struct weir__waiter *waiter = TAILQ_FIRST(&io->waiters);
	while (waiter && !((struct io_waiter *)waiter)->wakeable)
		waiter = TAILQ_NEXT(waiter, others);
	if (waiter)
		weir__wake(waiter, 0);
	else
		io->woken = true;
}

static ssize_t read_some(struct weir_io *io, void *buf, size_t n, weir_nsec deadline)
{
	for (;;) {
		ssize_t got = read(io->fd, buf, n);
		if (got >= 0)
			return got;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		int code = wait_for(io, WEIR_READABLE, false, deadline);
		if (code < 0)
			return code;
	}
}

ssize_t weir_io_read(struct weir_io *io, void *buf, size_t n, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	io->users++;
	ssize_t got = read_some(io, buf, n, deadline);
	end_use(io);
	return got;
}

static int write_all(struct weir_io *io, const char *at, size_t n, weir_nsec deadline)
{
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
		int code = wait_for(io, WEIR_WRITABLE, false, deadline);
		if (code < 0)
			return code;
	}
	return 0;
}

int weir_io_write(struct weir_io *io, const void *buf, size_t n, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	io->users++;
	int code = write_all(io, buf, n, deadline);
	end_use(io);
	return code;
}
