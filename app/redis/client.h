/* SPDX-License-Identifier: MIT */
/*
 * A connection to a Redis server, which any number of fibers use at the same time: their commands go out together and
 * are answered in their order.  It is made again when it broke, with growing waits; meanwhile each call fails at once.
 *
 * A command that fails was either not done, or nobody knows:
 *
 *     WEIR_EBUSY      surely not done: no connection, or the server has no time for it; try again later
 *     WEIR_ENOSPC     surely not done: the server has no memory or disk left
 *     WEIR_EDATA      the server refuses it, as it will the next time
 *     WEIR_EIO        the connection broke: perhaps it was done
 *     WEIR_ETIMEDOUT, WEIR_ECANCELED   nobody waits for the answer any more: perhaps it was done, or still will be
 *     WEIR_ENOMEM     not done
 *
 * All calls of one belong on fibers of one loop.  No message has a password.
 */
#ifndef REDIS_CLIENT_H
#define REDIS_CLIENT_H

#include "redis/command.h"

#include <hiredis.h>
#include <weir/base.h>

struct redis; /* a connection */

struct redis_options {
	const char *url;      /* see url.h */
	size_t most_bytes;    /* of an answer: a larger one breaks the connection; 0: 64 MiB */
	size_t most_elements; /* of an array in an answer, likewise; 0: 1 Mi */
	weir_nsec patience;   /* a server that answers nothing for so long is taken for gone; 0: 10 s */
	weir_nsec connect;    /* longest time to connect and log in; 0: 5 s */
	bool replica;         /* a server that only reads will do */
};

/* Connects and logs in, in opts->connect at most.  WEIR_EINVAL: the URL; WEIR_EDATA: a server with which it will never
 * work, for its version, the login, or since it is a replica; else what the system says.  err->text says more. */
int redis_open(const struct redis_options *opts, struct redis **ret_redis, struct weir_error *err, weir_nsec deadline);

/* The same for a source or a sink that opens, with its codes: WEIR_EAGAIN: the server has no time yet; WEIR_EBUSY: it
 * cannot be reached; WEIR_EINVAL: it will not do. */
int redis_open_end(const char *url, struct redis **ret_redis, struct weir_error *err);

/* Contract: no call is under way.  May suspend for a moment.  NULL is fine. */
void redis_close(struct redis *redis);

/* Sends the command and waits for the answer, which is the caller's (freeReplyObject()) and no error.  The command may
 * be changed when this returns.  With WEIR_EDATA err->text is what the server says. */
int redis_call(struct redis *redis, const struct redis_command *command, redisReply **ret_reply, struct weir_error *err,
	       weir_nsec deadline);

/* The same with a script: `rest` is the number of its keys, the keys, the arguments.  Sends the script itself only if
 * the server does not have it. */
int redis_eval(struct redis *redis, const struct redis_script *script, const struct redis_command *rest,
	       redisReply **ret_reply, struct weir_error *err, weir_nsec deadline);

/* How often it has connected: 1 after redis_open(); another number than before says that calls may have got lost. */
uint64_t redis_connections(const struct redis *redis);

/* For messages: "host:port", or the path of the socket. */
const char *redis_name(const struct redis *redis);

#endif
