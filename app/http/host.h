/* SPDX-License-Identifier: MIT */
/* What the client knows of a host: its addresses, the transfers that last spoke to it, the requests it must wait for.
 */
#ifndef HTTP_HOST_H
#define HTTP_HOST_H

#include "http/resolve.h"
#include "http/transfer.h"

#include <weir/table.h>

struct http_job; /* job.h */
TAILQ_HEAD(http_jobs, http_job);

struct http_host {
	struct weir_table_node node; /* first */
	TAILQ_ENTRY(http_host) age;
	size_t users; /* callers; while there are any it is not forgotten */
	size_t in_flight;
	struct http_jobs waiting, opening; /* opening: jobs for which a connection is made that others may share */
	struct http_job *next;             /* taken out of waiting to be started */
	struct http_transfer_list idle;    /* last used first */
	struct http_addresses *addresses;  /* NULL until looked up */
	weir_nsec fresh_until, looked_up;
	bool resolving;
	bool is_1_1;                 /* it does nothing over HTTP/2, or has not chosen it: it is not offered again */
	bool is_messy;               /* it sends more than its answers have: a connection for each request */
	struct weir_event *resolved; /* of those who wait for the one that looks up */
	char name[];
};

struct http_hosts {
	struct weir_table table;
	uint64_t seed;                              /* of its hashes: names come from outside */
	TAILQ_HEAD(http_host_ages, http_host) ages; /* the one used longest ago first */
	struct http_transfer_list spare;            /* idle transfers of hosts that were forgotten */
};

int http_hosts_init(struct http_hosts *hosts);  /* errors of getrandom() */
void http_hosts_fini(struct http_hosts *hosts); /* contract: no users */

/* Finds or makes the host of an origin's name; to be held by `users` across anything that suspends.  NULL if out of
 * memory. */
struct http_host *http_hosts_find(struct http_hosts *hosts, const char *name);

/* Sees to it that host->addresses (or the reason why there are none) is there and fresh.  Suspends: one caller looks
 * up, the others wait for it; when that one is cancelled the next takes over.  With public_only, which must be the same
 * for all requests to a host, other addresses are none. */
int http_host_resolve(struct http_host *host, const char *name, bool public_only, weir_nsec deadline);

#endif
