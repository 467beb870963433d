/* SPDX-License-Identifier: MIT */
/* What shard.c, transfer.c, handle.c, head.c, failure.c and transfers.c share: the only files that know libcurl, but
 * for those that take URLs and dates apart with it. */
#ifndef HTTP_SHARD_H
#define HTTP_SHARD_H

#include "data/buf.h"
#include "http/limits.h"
#include "http/transfer.h"
#include <curl/curl.h>
#include <sys/epoll.h>

#define HTTP_EVENTS        256
#define HTTP_ALL_BYTES     16384 /* of all headers, where all are wanted; likewise */
#define HTTP_TELLING_BYTES 1024  /* of such headers in one answer; more are left out */

struct http_shard {
	struct http_transfers *all;
	CURLM *multi;
	weir_nsec due; /* of libcurl's timer; WEIR_FOREVER: none */
	unsigned transfers;
	bool touched; /* may have completed something */
};

struct http_watch { /* of a descriptor, at its index */
	struct http_shard *shard;
	uint32_t generation;
	uint8_t registered, wanted; /* EPOLLIN, EPOLLOUT */
};

struct transfer {
	struct http_transfer base; /* first */
	TAILQ_ENTRY(transfer) all;
	struct http_shard *shard;
	CURL *easy;
	struct curl_slist *headers; /* an array, chained; it ends in those of every request */
	size_t header_room;
	const struct curl_slist *headers_set; /* what libcurl was told last */
	struct curl_slist *connect_to;        /* with tls.server_name: the one origin that it stands for */
	struct curl_slist *resolved;          /* libcurl reads it when the request begins */
	char method[16];                      /* likewise */
	bool posts;

	struct http_response *response; /* NULL: idle */
	const struct http_request *request;
	struct http_flow *flow;
	weir_nsec started;
	enum http_failure failure; /* found by a callback */
	const char *detail;
	size_t header_bytes;
	size_t room;    /* of response->body */
	size_t taken;   /* of the body, as it came */
	int64_t length; /* Content-Length; -1: none */
	bool chunked, head, public_only, certified;
	bool fresh, alone, offers_2; /* what libcurl was told last */
	enum http_again again;
	const struct http_origin *origin; /* of the request; borrowed as long as the response */
	const struct http_proxy *proxy;   /* what libcurl was told last */
	bool framed;                      /* by HTTP/2, in which no body ends unnoticed */
	bool has_head;                    /* the header of the answer is complete */
	struct http_limits *limits;       /* of the answer that is coming; NULL: none is */
	struct buf location;
	struct buf telling; /* header lines that explain a failure, each with a "\n" */
	int socket_errno;
	char error[CURL_ERROR_SIZE];
};

struct http_transfers {
	const struct http_client_options *opts;
	const struct http_transfer_events *events;
	int epoll_fd;
	CURLSH *share;
	struct curl_slist *headers; /* of every request */
	struct http_shard **shards;
	size_t shard_count;
	struct http_watch *watches;
	size_t watch_room;
	TAILQ_HEAD(transfers_all, transfer) list;
	size_t connections;
	uint64_t requests, connects;
	struct epoll_event ready[HTTP_EVENTS];
};

/* The shard for a new transfer.  WEIR_ENOMEM. */
int http_shard_pick(struct http_transfers *all, struct http_shard **ret_shard);

/* What has been added to the shard, and its timers that are due. */
void http_shard_run(struct http_shard *shard);

/* Timers and events that are due; frees what shards are made of, when there are no transfers any more. */
void http_shards_run(struct http_transfers *all);
void http_shards_free(struct http_transfers *all);

/* CURLOPT_CLOSESOCKETFUNCTION, with the http_transfers as its argument. */
int http_socket_close(void *arg, curl_socket_t fd);

/* Notes why the request fails; the callback that does it then lets libcurl fail. */
static inline void http_transfer_refuse(struct transfer *self, enum http_failure failure, const char *detail)
{
	self->failure = failure;
	self->detail = detail;
}

/* Tells libcurl what all requests of a transfer have in common; and what this one wants.  WEIR_ENOMEM. */
void http_handle_init(struct transfer *self);
int http_handle_set(struct transfer *self, const struct http_request *request, const struct http_route *route);

/* CURLOPT_HEADERFUNCTION, with the transfer as its argument. */
size_t http_head_line(char *line, size_t one, size_t n, void *arg);

#define HTTP_UNANSWERED "connection closed without an answer"

/* Of a request that has failed with that code: failure and detail of the response. */
void http_transfer_describe(const struct transfer *self, CURLcode code, struct http_response *response);

/* Fills the response and forgets the request, after libcurl let go of it. */
void http_transfer_finish(struct transfer *self, CURLcode code);
void http_transfer_free(struct transfer *self);

#endif
