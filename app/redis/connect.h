/* SPDX-License-Identifier: MIT */
#ifndef REDIS_CONNECT_H
#define REDIS_CONNECT_H

#include "redis/url.h"

/* A connected socket, non-blocking and closed on exec.  The system's code, or WEIR_ETIMEDOUT, WEIR_ECANCELED; all but
 * the last with err->text, which names the server. */
int redis_connect(const struct redis_url *url, int *ret_fd, struct weir_error *err, weir_nsec deadline);

#endif
