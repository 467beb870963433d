/* SPDX-License-Identifier: MIT */
/* Names to addresses, on a thread: the system's resolver blocks and wants a large stack. */
#ifndef HTTP_RESOLVE_H
#define HTTP_RESOLVE_H

#include "http/client.h"

struct http_addresses {
	enum http_failure failure; /* HTTP_ANSWERED, HTTP_DNS or HTTP_NOT_ALLOWED */
	char text[512];            /* "10.0.0.1,[fe80::1]"; of a failure: the detail */
};

/* 0 with *ret_addresses filled; WEIR_ECANCELED, WEIR_ETIMEDOUT at once when asked for, although the thread goes on;
 * WEIR_ENOMEM.  With public_only other addresses are left out. */
int http_resolve(const char *host, bool public_only, struct http_addresses *ret_addresses, weir_nsec deadline);

#endif
