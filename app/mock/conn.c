/* SPDX-License-Identifier: MIT */
/*
 * A connection costs little while it waits: everything is read into one scratch buffer that all connections share, and
 * what is left of it is copied to the connection only when the fiber is about to suspend (own_input).  So every call
 * that suspends goes through one of the functions here, which see to that.
 *
 * Answers are gathered in `out` and sent when no complete request is left to read, or an answer has to wait: a
 * pipelining client gets many answers with one system call.
 */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_AT_LEAST = 4096, OUT_BYTES = 64 * 1024, STREAK = 64, KEPT_BODY_BYTES = 64 * 1024, DRAIN_BYTES = 1 << 20 };
static const weir_nsec write_limit = 300 * WEIR_SEC, drain_limit = 2 * WEIR_SEC, watch_from = WEIR_SEC / 2;

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

int mock_conn_send(struct mock_conn *conn, const void *bytes, size_t n)
{
	const char *next = bytes;
	while (n) {
		ssize_t sent = send(conn->fd, next, n, MSG_NOSIGNAL);
		int error = errno;
		if (sent >= 0) {
			next += sent;
			n -= (size_t)sent;
			continue;
		}
		if (error == EINTR)
			continue;
		if (error != EAGAIN)
			return -error;
		int result = wait_for(conn, WEIR_WRITABLE, weir_after(write_limit));
		if (result < 0)
			return result;
	}
	return 0;
}

int mock_conn_send_fill(struct mock_conn *conn, uint64_t n)
{
	static char fill[16 * 1024];
	int result = 0;
	if (!fill[0])
		memset(fill, 'x', sizeof fill);
	while (!result && n) {
		size_t piece = n < sizeof fill ? (size_t)n : sizeof fill;
		result = mock_conn_send(conn, fill, piece);
		n -= piece;
		/* A client that reads as fast as we write must not keep the loop to itself. */
		if (!result && ++conn->streak % STREAK == 0 && !(result = own_input(conn)))
			result = weir_yield();
	}
	return result;
}

static int flush(struct mock_conn *conn)
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

/* Reads more: 1, 0 at the end of what the client sends, or a negative code. */
static int fill(struct mock_conn *conn, weir_nsec deadline)
{
	int result = flush(conn);
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
	while (fill(conn, WEIR_FOREVER) > 0);
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

/* The client may still be sending: closing now would make a reset of it, and that could overtake our last answer. */
static void linger(struct mock_conn *conn)
{
	weir_nsec until = weir_after(drain_limit);
	size_t drained = 0;
	if (flush(conn) < 0)
		return;
	shutdown(conn->fd, SHUT_WR);
	do {
		drained += conn->len - conn->at;
		conn->at = conn->len;
	} while (drained < DRAIN_BYTES && fill(conn, until) > 0);
}

static void refuse(struct mock_conn *conn, int status)
{
	struct mock_answer answer;
	struct mock_desk *desk = &conn->server->desk;
	mock_answer_refuse(desk, status, &answer);
	mock_answer_encode(&answer, &desk->body, &conn->out);
	conn->ready = conn->out.len;
	linger(conn);
}

/* 1: a complete head lies at data + at.  0: the connection is over. */
static int read_head(struct mock_conn *conn, struct mock_request *request)
{
	int result;
	while (!(result = mock_request_feed(request, conn->data + conn->at, conn->len - conn->at)))
		if (fill(conn, WEIR_FOREVER) <= 0)
			return 0;
	if (result > 0)
		return 1;
	refuse(conn, -result);
	return 0;
}

/* 1: read, and used up.  0: the connection is over. */
static int read_body(struct mock_conn *conn, const struct mock_request *request, struct buf *content,
		     struct mock_body *body)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	int result = mock_body_start(body, request);
	bool asked = !request->expects_continue || request->is_http10;
	while (!result) {
		size_t used;
		result = mock_body_feed(body, conn->data + conn->at, conn->len - conn->at, &used, content,
					KEPT_BODY_BYTES);
		conn->at += used;
		if (result)
			break;
		if (!asked && (flush(conn) < 0 || mock_conn_send(conn, go_on, sizeof go_on - 1) < 0))
			return 0;
		asked = true;
		if (fill(conn, WEIR_FOREVER) <= 0)
			return 0;
	}
	if (result > 0)
		return 1;
	refuse(conn, -result);
	return 0;
}

/* Sends, or gathers for sending, the answer that lies in out behind `ready`. */
static bool deliver(struct mock_conn *conn, const struct mock_answer *answer, size_t head_bytes)
{
	bool special = answer->fault.kind || (answer->pad && !answer->is_head);
	if ((special || answer->delay) && flush(conn) < 0)
		return false;
	if (answer->delay && mock_conn_sleep(conn, answer->delay) < 0)
		return false;
	if (answer->fault.kind)
		return mock_play(conn, answer, head_bytes);
	conn->ready = conn->out.len;
	if (special) {
		if (flush(conn) < 0 || mock_conn_send_fill(conn, answer->pad) < 0)
			return false;
		buf_add_str(&conn->out, answer->tail);
		conn->ready = conn->out.len;
	}
	if (!answer->keep_alive) {
		if (conn->at < conn->len)
			linger(conn);
		else
			flush(conn);
		return false;
	}
	return conn->ready < OUT_BYTES || flush(conn) == 0;
}

static bool answer_body_request(struct mock_conn *conn, const struct mock_request *request,
				struct mock_answer *ret_answer)
{
	struct mock_body body;
	struct buf head = {0}, content = {0};
	bool good = buf_add(&head, conn->data + conn->at, request->head_bytes) == 0;
	conn->at += request->head_bytes;
	good = good && read_body(conn, request, &content, &body);
	if (good)
		mock_answer_make(&conn->server->desk, request, head.data, &content, body.total, ret_answer);
	buf_fini(&head);
	buf_fini(&content);
	return good;
}

static bool answer(struct mock_conn *conn, const struct mock_request *request)
{
	struct mock_desk *desk = &conn->server->desk;
	struct mock_answer answer;
	if (request->chunked || request->content_length) {
		if (!answer_body_request(conn, request, &answer))
			return false;
	} else {
		mock_answer_make(desk, request, conn->data + conn->at, NULL, 0, &answer);
		conn->at += request->head_bytes;
	}
	size_t head_bytes = mock_answer_encode(&answer, &desk->body, &conn->out);
	if (conn->out.failed || desk->body.failed)
		return false;
	if (answer.taken)
		mock_capacity_enter(&desk->capacity);
	bool good = deliver(conn, &answer, head_bytes);
	if (answer.taken)
		mock_capacity_leave(&desk->capacity);
	if (!good)
		return false;
	if (++conn->streak % STREAK)
		return true;
	return flush(conn) == 0 && own_input(conn) == 0 && weir_yield() == 0;
}

static void serve(struct mock_conn *conn)
{
	if (conn->turned_away) {
		if (fill(conn, weir_after(drain_limit)) > 0)
			refuse(conn, 503);
		return;
	}
	for (;;) {
		struct mock_request request = {0};
		if (!read_head(conn, &request) || !answer(conn, &request))
			return;
	}
}

static void leave(struct mock_conn *conn)
{
	struct mock_server *server = conn->server;
	if (conn->reset)
		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
	weir_io_close(conn->io);
	close(conn->fd);
	buf_fini(&conn->in);
	buf_fini(&conn->out);
	if (conn->turned_away)
		server->turned_away--;
	else
		server->desk.stats.connections--;
	free(conn);
}

int mock_conn_run(void *arg)
{
	struct mock_conn *conn = arg;
	conn->data = conn->server->scratch;
	int result = weir_io_open(conn->fd, &conn->io);
	if (!result)
		serve(conn);
	leave(conn);
	return result;
}
