/* SPDX-License-Identifier: MIT */
/*
 * Transfers: the part of the client that knows the library.  A transfer carries one request at a time and is used again
 * and again; it belongs for life to one of several independent shards, since a request costs more the more connections
 * a shard has.  Nothing here suspends; all calls belong on the driver fiber, which needs a large stack.
 */
#ifndef HTTP_TRANSFER_H
#define HTTP_TRANSFER_H

#include "http/client.h"
#include <sys/queue.h>

struct http_transfers;
struct http_proxy;
struct http_flow;

struct http_transfer {
	TAILQ_ENTRY(http_transfer) same_host, idle; /* the owner's lists */
	void *host;                                 /* the owner's: whom it spoke to last */
	void *job;                                  /* the owner's: what it carries; NULL: idle */
	bool sent;   /* its request, or it is about to be: there is a connection to the host */
	bool shares; /* that connection speaks HTTP/2 */
	bool closed; /* when it is idle: its connection did not survive its last request */
};
TAILQ_HEAD(http_transfer_list, http_transfer);

/* What the owner is told, from inside http_transfers_run(). */
struct http_transfer_events {
	void (*heard)(struct http_transfer *transfer);   /* it is connected, or bytes came */
	void (*moved)(struct http_transfer *transfer);   /* bytes of the request go out */
	void (*stalled)(struct http_transfer *transfer); /* it waits, as its flow says, for http_transfer_resume() */
	/* The answer is whole or has failed; the response was filled, the transfer is idle. */
	void (*done)(struct http_transfer *transfer, struct http_response *response);
};

/* `opts` has its defaults filled in; it and `events` are borrowed for the life of the transfers. */
int http_transfers_new(const struct http_client_options *opts, const struct http_transfer_events *events,
		       struct http_transfers **ret_transfers);
void http_transfers_free(struct http_transfers *transfers); /* all of them; NULL is fine */

/* A descriptor that is readable when http_transfers_run() has something to do. */
int http_transfers_fd(const struct http_transfers *transfers);

/* Does what is due: events, timers, completions. */
void http_transfers_run(struct http_transfers *transfers);

/* When it must be called at the latest; WEIR_FOREVER. */
weir_nsec http_transfers_deadline(const struct http_transfers *transfers);

void http_transfers_figures(const struct http_transfers *transfers, struct http_figures *figures);

/* A new idle one.  WEIR_ENOMEM, WEIR_EMFILE. */
int http_transfer_new(struct http_transfers *transfers, struct http_transfer **ret_transfer);

/* Whether their requests, if they are for the same host, can be on the same connection of HTTP/2. */
bool http_transfer_is_beside(const struct http_transfer *a, const struct http_transfer *b);

/* How a request gets to its host.  All borrowed. */
struct http_route {
	const struct http_origin *dialled; /* what is connected to: the proxy, or the request's origin */
	const char *addresses;             /* of that if it is a name, else NULL; for the call only */
	const struct http_proxy *proxy;    /* NULL: none */
	bool fresh;                        /* on a new connection */
	bool alone;                        /* … which is used for nothing else */
	bool offers_2;                     /* HTTP/2, or only 1.1 */
};

/* Begins a request, which is borrowed until done() or http_transfer_stop(), as are its route, its flow and the
 * response.  WEIR_ENOMEM. */
int http_transfer_start(struct http_transfer *transfer, const struct http_request *request,
			const struct http_route *route, struct http_flow *flow, struct http_response *response);

/* Lets one that has stalled go on, after its flow was served. */
void http_transfer_resume(struct http_transfer *transfer);

/* Sends the request that was begun, if there is a connection for it; else one is being opened.  May call heard() for
 * any transfer. */
void http_transfer_push(struct http_transfer *transfer);

/* Ends the request, and its connection if no other is on it, without done(); the response is filled with what had come,
 * and with the given failure. */
void http_transfer_stop(struct http_transfer *transfer, enum http_failure failure, const char *detail);

#endif
