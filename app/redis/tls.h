/* SPDX-License-Identifier: MIT */
/*
 * TLS of a connection to Redis, as a transformation of bytes: whoever has the socket feeds what comes from it, and
 * sends what is drained.  Suspends nowhere.  The server's certificate must be of an authority that is trusted, and for
 * its name.
 */
#ifndef REDIS_TLS_H
#define REDIS_TLS_H

#include "data/buf.h"
#include "redis/url.h"

#include <sys/types.h>

struct redis_tls;

/* Reads the files that the URL names; without `ca` the system's authorities are trusted.  WEIR_EDATA with err->text;
 * WEIR_ENOMEM. */
int redis_tls_new(const struct redis_url *url, struct redis_tls **ret_tls, struct weir_error *err);
void redis_tls_free(struct redis_tls *tls); /* NULL is fine */

/* What came from the socket.  WEIR_ENOMEM. */
int redis_tls_feed(struct redis_tls *tls, const void *bytes, size_t n);

/* Moves what is to be sent to the end of `out`.  WEIR_ENOMEM. */
int redis_tls_drain(struct redis_tls *tls, struct buf *out);

/* 1: the handshake is done; 0: it needs more from the socket, once that has what was drained.  WEIR_EDATA with
 * err->text. */
int redis_tls_shake(struct redis_tls *tls, struct weir_error *err);

/* After the handshake.  The number of bytes that were read, 0: more must be fed.  WEIR_ECLOSED: the server has ended
 * it; WEIR_EDATA with err->text. */
ssize_t redis_tls_read(struct redis_tls *tls, void *bytes, size_t n, struct weir_error *err);
int redis_tls_write(struct redis_tls *tls, const void *bytes, size_t n, struct weir_error *err);

#endif
