/* SPDX-License-Identifier: MIT */
/*
 * A connection costs little while it waits: everything is read into one scratch buffer that all connections share, and
 * what is left of it is copied to the connection only when the fiber is about to suspend (own_input).  So every call
 * that suspends goes through one of the functions here, which see to that.
 */
#include "conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { READ_AT_LEAST = 4096, DRAIN_BYTES = 1 << 20 };
static const weir_nsec write_limit = 300 * WEIR_SEC, watch_from = WEIR_SEC / 2;

static int own_input(struct mock_conn *conn)
{
	conn->streak = 0;
	if (conn->data != conn->server->scratch || conn->at == conn->len)
		return 0;
	buf_clear(&conn->in);
	if (buf_add(&conn->in, conn->data + conn->at, conn->len - conn->at) < 0)
		return WEIR_ENOMEM;
	conn->data = conn->in.data;
	conn->len -= conn->at;
	conn->at = 0;
	return 0;
}

static int wait_for(struct mock_conn *conn, unsigned events, weir_nsec deadline)
{
	int result = own_input(conn);
	return result < 0 ? result : weir_io_wait(conn->io, events, deadline);
}

int mock_conn_yield(struct mock_conn *conn)
{
	int result = own_input(conn);
	return result < 0 ? result : weir_yield();
}

int mock_conn_send(struct mock_conn *conn, const void *bytes, size_t n)
{
	const char *next = bytes;
	while (n && !conn->failed) {
		ssize_t sent = send(conn->fd, next, n, MSG_NOSIGNAL);
		int error = errno;
		if (sent >= 0) {
			next += sent;
			n -= (size_t)sent;
			continue;
		}
		int result = error == EAGAIN  ? wait_for(conn, WEIR_WRITABLE, weir_after(write_limit))
			     : error == EINTR ? 0
					      : -error;
		if (result < 0)
			conn->failed = result;
	}
	return conn->failed;
}

int mock_conn_send_fill(struct mock_conn *conn, uint64_t n)
{
	static char fill[16 * 1024];
	if (!fill[0])
		memset(fill, 'x', sizeof fill);
	while (n && !conn->failed) {
		size_t piece = n < sizeof fill ? (size_t)n : sizeof fill;
		mock_conn_send(conn, fill, piece);
		n -= piece;
		/* A client that reads as fast as we write must not keep the loop to itself. */
		if (!conn->failed && ++conn->streak % MOCK_STREAK == 0)
			conn->failed = mock_conn_yield(conn);
	}
	return conn->failed;
}

int mock_conn_flush(struct mock_conn *conn)
{
	if (!conn->ready)
		return 0;
	int result = mock_conn_send(conn, conn->out.data, conn->ready);
	size_t rest = conn->out.len - conn->ready;
	if (rest)
		memmove(conn->out.data, conn->out.data + conn->ready, rest);
	conn->out.len = rest;
	conn->ready = 0;
	return result;
}

/* Where the next bytes go: scratch if nothing is left unused, else behind that. */
static char *make_room(struct mock_conn *conn, size_t *ret_room)
{
	if (conn->at == conn->len) {
		conn->data = conn->server->scratch;
		conn->at = conn->len = 0;
		*ret_room = MOCK_SCRATCH_BYTES;
		return conn->server->scratch;
	}
	if (own_input(conn) < 0)
		return NULL;
	if (conn->at) {
		memmove(conn->in.data, conn->in.data + conn->at, conn->len - conn->at);
		conn->len -= conn->at;
		conn->at = 0;
	}
	conn->in.len = conn->len;
	char *room = buf_reserve(&conn->in, READ_AT_LEAST);
	conn->data = conn->in.data;
	*ret_room = conn->in.room - conn->in.len - 1;
	return room;
}

static int wait_for_input(struct mock_conn *conn, weir_nsec deadline)
{
	if (!conn->out.len)
		buf_fini(&conn->out);
	if (conn->at == conn->len)
		buf_fini(&conn->in);
	int result = wait_for(conn, WEIR_READABLE, deadline);
	return result < 0 ? result : 0;
}

int mock_conn_fill(struct mock_conn *conn, weir_nsec deadline)
{
	int result = mock_conn_flush(conn);
	while (!result) {
		size_t room;
		char *to = make_room(conn, &room);
		if (!to)
			return WEIR_ENOMEM;
		ssize_t got = recv(conn->fd, to, room, 0);
		int error = errno;
		if (got > 0) {
			conn->len += (size_t)got;
			return 1;
		}
		if (!got)
			return 0;
		if (error == EAGAIN)
			result = wait_for_input(conn, deadline);
		else if (error != EINTR)
			result = -error;
	}
	return result;
}

void mock_conn_wait_gone(struct mock_conn *conn)
{
	do
		conn->at = conn->len;
	while (mock_conn_fill(conn, WEIR_FOREVER) > 0);
}

/* Waits for the client to close, or for the time to pass: 0 then. */
static int watch(struct mock_conn *conn, weir_nsec until)
{
	char byte;
	int result = wait_for(conn, WEIR_READABLE, until);
	if (result == WEIR_ETIMEDOUT)
		return 0;
	if (result < 0)
		return result;
	ssize_t got = recv(conn->fd, &byte, 1, MSG_PEEK);
	if (!got || (got < 0 && errno != EAGAIN))
		return WEIR_ECLOSED;
	return weir_sleep_until(until);
}

int mock_conn_sleep(struct mock_conn *conn, weir_nsec duration)
{
	weir_nsec until = weir_clock() + duration;
	int result = own_input(conn);
	if (result < 0)
		return result;
	/* Over a long time it is worth noticing that nobody waits for the answer any more. */
	return duration >= watch_from ? watch(conn, until) : weir_sleep_until(until);
}

/* Closing now would make a reset of what the client still sends, and that could overtake our last answer. */
void mock_conn_linger(struct mock_conn *conn)
{
	weir_nsec until = weir_after(MOCK_DRAIN_TIME);
	size_t drained = 0;
	if (mock_conn_flush(conn) < 0)
		return;
	shutdown(conn->fd, SHUT_WR);
	do {
		drained += conn->len - conn->at;
		conn->at = conn->len;
	} while (drained < DRAIN_BYTES && mock_conn_fill(conn, until) > 0);
}
