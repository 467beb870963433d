/* SPDX-License-Identifier: MIT */
/* A connection of the mock: what it reads and sends. */
#ifndef MOCK_CONN_H
#define MOCK_CONN_H

#include <weir/group.h>
#include <weir/io.h>

#include "answer.h"

#define MOCK_DRAIN_TIME (2 * WEIR_SEC) /* for what a client still sends */

enum { MOCK_SCRATCH_BYTES = 64 * 1024, MOCK_STREAK = 64 /* of requests, then others have their turn */ };

struct mock_server {
	const struct mock_config *config;
	struct mock_desk desk;
	struct weir_group *group; /* of the connections' fibers */
	int fd;
	struct address address; /* that fd is bound to */
	int log_fd;             /* -1: none */
	int reserve_fd;         /* given up for a moment when no descriptor is left; -1: none */
	size_t turned_away;     /* connections alive that are only told to go */
	/* What is read lands here first, whichever connection it is for: nothing in it outlives a suspension. */
	char scratch[MOCK_SCRATCH_BYTES];
};

/*
 * Input: data[at..len) is read but not yet used up; data points to the server's scratch, or to `in` where it must
 * outlive a suspension.  Output: out[0..ready) may be sent, what lies behind belongs to an answer that is not yet due.
 */
struct mock_conn {
	struct mock_server *server;
	struct weir_io *io;
	int fd;
	bool turned_away; /* over the limit of connections: one 503 and no more */
	bool reset;       /* close with RST */
	int failed;       /* the code of a send: what every further one returns */
	unsigned streak;  /* requests since it last suspended */
	const char *data;
	size_t at, len;
	struct buf in, out;
	size_t ready;
};

/* Sends all n bytes, which are not in the scratch: 0 or a negative code.  May suspend, as all that follow. */
int mock_conn_send(struct mock_conn *conn, const void *bytes, size_t n);
int mock_conn_send_fill(struct mock_conn *conn, uint64_t n); /* n times 'x' */
int mock_conn_yield(struct mock_conn *conn);
int mock_conn_sleep(struct mock_conn *conn, weir_nsec duration);
void mock_conn_wait_gone(struct mock_conn *conn); /* until the client closes, whatever it sends before */

int mock_conn_flush(struct mock_conn *conn); /* sends what may be sent */

/* Reads more: 1, 0 at the end of what the client sends, or a negative code. */
int mock_conn_fill(struct mock_conn *conn, weir_nsec deadline);

/* Sends the answer in conn->out (head_bytes of head, then the body) wrong, as answer->fault says.  False: the
 * connection is to be closed.  In play.c. */
bool mock_play(struct mock_conn *conn, const struct mock_answer *answer, size_t head_bytes);

/* The body of a connection's fiber, in service.c: reads requests and answers them; arg is a struct mock_conn from
 * malloc, which it frees. */
int mock_service_run(void *arg);

/* Says goodbye: sends what may be sent, and waits for the client to have sent its share. */
void mock_conn_linger(struct mock_conn *conn);

#endif
