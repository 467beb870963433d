/* SPDX-License-Identifier: MIT */
/*
 * Sending an answer wrong.  When a fault is played, conn->out holds this answer and nothing else; its head was made
 * with the fault in mind (answer.c).  Half of a body is half of it rounded down: never all.
 */
#include "conn.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 16 * 1024, CONTINUE_BATCH = 64 };
static const weir_nsec slow_tick = 20 * WEIR_MSEC;

struct play {
	struct mock_conn *conn;
	const struct mock_answer *answer;
	const char *head, *body;
	size_t head_bytes, body_bytes;
};

static int send_whole(struct play *play)
{
	return mock_conn_send(play->conn, play->head, play->head_bytes + play->body_bytes);
}

static int send_half(struct play *play)
{
	return mock_conn_send(play->conn, play->head, play->head_bytes + play->body_bytes / 2);
}

static int send_chunk_cut(struct play *play)
{
	char size[24];
	int n = play->answer->is_http10 ? 0 : snprintf(size, sizeof size, "%zx\r\n", play->body_bytes);
	mock_conn_send(play->conn, play->head, play->head_bytes);
	mock_conn_send(play->conn, size, (size_t)n);
	return mock_conn_send(play->conn, play->body, play->body_bytes / 2);
}

/* A tick's share at a time; below one byte a tick, a byte at a time. */
static int send_slowly(struct play *play)
{
	uint64_t rate = play->answer->fault.argument;
	uint64_t piece = rate * (uint64_t)slow_tick / (uint64_t)WEIR_SEC;
	weir_nsec pause = piece ? slow_tick : WEIR_SEC / (weir_nsec)rate;
	int result = mock_conn_send(play->conn, play->head, play->head_bytes);
	if (!piece)
		piece = 1;
	for (size_t sent = 0; !result && sent < play->body_bytes;) {
		size_t n = play->body_bytes - sent < piece ? play->body_bytes - sent : (size_t)piece;
		result = mock_conn_sleep(play->conn, pause);
		if (!result)
			result = mock_conn_send(play->conn, play->body + sent, n);
		sent += n;
	}
	return result;
}

static int send_chunk(struct play *play, const char *bytes, size_t n, uint64_t fill)
{
	char size[24];
	if (!n && !fill)
		return 0;
	int length = snprintf(size, sizeof size, "%" PRIx64 "\r\n", n + fill);
	bool bare = play->answer->is_http10;
	mock_conn_send(play->conn, size, bare ? 0 : (size_t)length);
	mock_conn_send(play->conn, bytes, n);
	mock_conn_send_fill(play->conn, fill);
	return mock_conn_send(play->conn, "\r\n", bare ? 0 : 2);
}

static int send_huge(struct play *play)
{
	uint64_t left = play->answer->pad;
	int result = mock_conn_send(play->conn, play->head, play->head_bytes);
	if (play->answer->is_head)
		return result;
	send_chunk(play, play->body, play->body_bytes, 0);
	while (left && !play->conn->failed) {
		uint64_t n = left < CHUNK_BYTES ? left : CHUNK_BYTES;
		send_chunk(play, "", 0, n);
		left -= n;
	}
	send_chunk(play, play->answer->tail, strlen(play->answer->tail), 0);
	return mock_conn_send(play->conn, "0\r\n\r\n", play->answer->is_http10 ? 0 : 5);
}

static int send_garbage(struct play *play)
{
	static const char garbage[] = "\x01\x02\xff\xfe this is not the protocol you are looking for\n\n\0\0";
	return mock_conn_send(play->conn, garbage, sizeof garbage - 1);
}

static int send_big_header(struct play *play)
{
	const char *line_end = memchr(play->head, '\n', play->head_bytes);
	size_t first = (size_t)(line_end + 1 - play->head);
	mock_conn_send(play->conn, play->head, first);
	mock_conn_send(play->conn, "X-Big: ", 7);
	mock_conn_send_fill(play->conn, play->answer->fault.argument);
	mock_conn_send(play->conn, "\r\n", 2);
	return mock_conn_send(play->conn, play->head + first, play->head_bytes - first + play->body_bytes);
}

static int send_continues(struct play *play)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct buf batch = {0};
	for (int i = 0; i < CONTINUE_BATCH; i++)
		buf_add_str(&batch, line);
	for (uint64_t left = play->answer->fault.argument; left && !batch.failed && !play->conn->failed;) {
		uint64_t n = left < CONTINUE_BATCH ? left : CONTINUE_BATCH;
		mock_conn_send(play->conn, batch.data, (size_t)n * (sizeof line - 1));
		left -= n;
	}
	buf_fini(&batch);
	return send_whole(play);
}

static int send_with_fault(struct play *play)
{
	switch (play->answer->fault.kind) {
	case MOCK_FAULT_RESET_BODY:
	case MOCK_FAULT_STALL_BODY:
	case MOCK_FAULT_HALF:
	case MOCK_FAULT_CLOSE_CUT:
		return send_half(play);
	case MOCK_FAULT_CHUNK_CUT:
		return send_chunk_cut(play);
	case MOCK_FAULT_SLOW:
		return send_slowly(play);
	case MOCK_FAULT_TOO_LONG:
	case MOCK_FAULT_TOO_SHORT:
		return send_whole(play);
	case MOCK_FAULT_HUGE_BODY:
		return send_huge(play);
	case MOCK_FAULT_GARBAGE:
		return send_garbage(play);
	case MOCK_FAULT_BIG_HEADER:
		return send_big_header(play);
	case MOCK_FAULT_CONTINUE:
		return send_continues(play);
	default: /* reset, close, stall: not a byte */
		return 0;
	}
}

static bool ends_connection(enum mock_fault_kind kind)
{
	return !(kind == MOCK_FAULT_SLOW || kind == MOCK_FAULT_HUGE_BODY || kind == MOCK_FAULT_BIG_HEADER ||
		 kind == MOCK_FAULT_CONTINUE);
}

bool mock_play(struct mock_conn *conn, const struct mock_answer *answer, size_t head_bytes)
{
	/* The text is taken away from the connection: sending may make it flush, and it must find nothing. */
	struct buf text = conn->out;
	enum mock_fault_kind kind = answer->fault.kind;
	conn->out = (struct buf){0};
	conn->ready = 0;
	struct play play = {.conn = conn,
			    .answer = answer,
			    .head = text.data,
			    .head_bytes = head_bytes,
			    .body = text.data + head_bytes,
			    .body_bytes = text.len - head_bytes};
	int result = send_with_fault(&play);
	buf_fini(&text);
	conn->reset = kind == MOCK_FAULT_RESET || kind == MOCK_FAULT_RESET_BODY;
	if (!result && (kind == MOCK_FAULT_STALL || kind == MOCK_FAULT_STALL_BODY))
		mock_conn_wait_gone(conn);
	return !result && answer->keep_alive && !ends_connection(kind);
}
