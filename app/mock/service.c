/* SPDX-License-Identifier: MIT */
/*
 * Requests are read and answered one after the other.  Answers are gathered in `out` and sent when no complete request
 * is left to read, or an answer has to wait: a pipelining client gets many answers with one system call.
 */
#include "conn.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "content.h"

enum { OUT_BYTES = 64 * 1024, KEPT_BODY_BYTES = 64 * 1024 };

static void refuse(struct mock_conn *conn, int status)
{
	struct mock_answer answer;
	struct mock_desk *desk = &conn->server->desk;
	mock_answer_refuse(desk, status, &answer);
	mock_answer_encode(&answer, &desk->body, &conn->out);
	conn->ready = conn->out.len;
	mock_conn_linger(conn);
}

/* 1: a complete head lies at data + at.  0: the connection is over. */
static int read_head(struct mock_conn *conn, struct mock_request *request)
{
	int result;
	while (!(result = mock_request_feed(request, conn->data + conn->at, conn->len - conn->at)))
		if (mock_conn_fill(conn, WEIR_FOREVER) <= 0)
			return 0;
	if (result > 0)
		return 1;
	refuse(conn, -result);
	return 0;
}

/* Takes the body off; what is kept of it is its beginning.  False: the connection is over. */
static bool read_body(struct mock_conn *conn, const struct mock_request *request, struct buf *content)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	bool asked = !request->expects_continue || request->is_http10;
	for (uint64_t left = request->content_length;;) {
		size_t n = conn->len - conn->at < left ? conn->len - conn->at : (size_t)left;
		size_t room = KEPT_BODY_BYTES - content->len;
		buf_add(content, conn->data + conn->at, n < room ? n : room);
		conn->at += n;
		left -= n;
		if (!left)
			return true;
		if (!asked && (mock_conn_flush(conn) < 0 || mock_conn_send(conn, go_on, sizeof go_on - 1) < 0))
			return false;
		asked = true;
		if (mock_conn_fill(conn, WEIR_FOREVER) <= 0)
			return false;
	}
}

/* Sends, or gathers for sending, the answer that lies in out behind `ready`. */
static bool deliver(struct mock_conn *conn, const struct mock_answer *answer, size_t head_bytes)
{
	bool special = answer->fault.kind || (answer->pad && !answer->is_head);
	if ((special || answer->delay) && mock_conn_flush(conn) < 0)
		return false;
	if (answer->delay && mock_conn_sleep(conn, answer->delay) < 0)
		return false;
	if (answer->fault.kind)
		return mock_play(conn, answer, head_bytes);
	conn->ready = conn->out.len;
	if (special) {
		if (mock_conn_flush(conn) < 0 || mock_conn_send_fill(conn, answer->pad) < 0)
			return false;
		buf_add_str(&conn->out, answer->tail);
		conn->ready = conn->out.len;
	}
	if (!answer->keep_alive) {
		if (conn->at < conn->len)
			mock_conn_linger(conn);
		else
			mock_conn_flush(conn);
		return false;
	}
	return conn->ready < OUT_BYTES || mock_conn_flush(conn) == 0;
}

/* Notes the request and decides on its answer; false: it cannot be noted. */
static bool take(struct mock_conn *conn, const struct mock_request *request, const char *text,
		 const struct buf *content, struct mock_answer *ret_answer)
{
	struct mock_server *server = conn->server;
	struct buf line = {0};
	bool noted = true;
	if (server->log_fd >= 0) {
		mock_content_echo(&line, request, text, content);
		noted = !line.failed && write(server->log_fd, line.data, line.len) == (ssize_t)line.len;
		buf_fini(&line);
	}
	if (noted)
		mock_answer_make(&server->desk, request, text, content, ret_answer);
	return noted;
}

static bool answer_body_request(struct mock_conn *conn, const struct mock_request *request,
				struct mock_answer *ret_answer)
{
	struct buf head = {0}, content = {0};
	bool good = buf_add(&head, conn->data + conn->at, request->head_bytes) == 0;
	conn->at += request->head_bytes;
	good = good && read_body(conn, request, &content);
	good = good && take(conn, request, head.data, &content, ret_answer);
	buf_fini(&head);
	buf_fini(&content);
	return good;
}

static bool answer(struct mock_conn *conn, const struct mock_request *request)
{
	struct mock_desk *desk = &conn->server->desk;
	struct mock_answer answer;
	if (request->content_length) {
		if (!answer_body_request(conn, request, &answer))
			return false;
	} else {
		if (!take(conn, request, conn->data + conn->at, NULL, &answer))
			return false;
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
	if (++conn->streak % MOCK_STREAK)
		return true;
	return mock_conn_flush(conn) == 0 && mock_conn_yield(conn) == 0;
}

static void serve(struct mock_conn *conn)
{
	if (conn->turned_away) {
		if (mock_conn_fill(conn, weir_after(MOCK_DRAIN_TIME)) > 0)
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

int mock_service_run(void *arg)
{
	struct mock_conn *conn = arg;
	conn->data = conn->server->scratch;
	int result = weir_io_open(conn->fd, &conn->io);
	if (!result)
		serve(conn);
	leave(conn);
	return result;
}
