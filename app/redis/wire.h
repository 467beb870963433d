/* SPDX-License-Identifier: MIT */
/*
 * The socket of a connection to Redis, logged in, for one fiber: bytes out, answers in.  Whatever fails says why in
 * `trouble`, and the only thing to do with the wire is to close it.
 */
#ifndef REDIS_WIRE_H
#define REDIS_WIRE_H

#include "data/buf.h"
#include "redis/tls.h"

#include <hiredis.h>

struct redis_wire {
	const struct redis_url *url; /* borrowed; this and the next three are set before it is opened */
	size_t most_bytes;           /* of an answer */
	size_t most_elements;        /* of an array in an answer */
	bool replica;                /* a server that only reads will do */

	int fd;             /* -1: none */
	struct weir_io *io; /* NULL: it is not open */
	redisReader *reader;
	redisReplyObjectFunctions functions; /* hiredis' own, but for arrays */
	void *(*make_array)(const redisReadTask *, int);
	struct buf out; /* to be sent: from out_at on */
	struct redis_tls
		*tls; /* NULL: the bytes of `out` are sent as they are; else those of `sealed`, from out_at on */
	struct buf sealed;
	size_t out_at;
	uint64_t sent;     /* bytes of `out`, since it was opened; those that are sealed count */
	size_t unfinished; /* bytes that came for the answer that is not complete */
	weir_nsec heard;   /* when anything came last */
	struct weir_error trouble;
	char in[64 << 10];
};

/* Connects and logs in.  On failure it is closed. */
int redis_wire_open(struct redis_wire *wire, weir_nsec deadline);
void redis_wire_close(struct redis_wire *wire);

/* Sends of `out` what the socket takes; *ret_more: there is more.  Does not suspend. */
int redis_wire_flush(struct redis_wire *wire, bool *ret_more);

/* Reads once, more or nothing (WEIR_TRY): 0. */
int redis_wire_read(struct redis_wire *wire, bool *ret_more, weir_nsec deadline);

/* 1 with an answer, the caller's; 0: none is complete. */
int redis_wire_next(struct redis_wire *wire, redisReply **ret_reply);

/* Note why the connection is lost, and return the code: what the server did; what the system says. */
int redis_wire_lose(struct redis_wire *wire, int code, const char *what);
int redis_wire_lose_to(struct redis_wire *wire, int code);

#endif
