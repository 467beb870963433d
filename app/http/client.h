/* SPDX-License-Identifier: MIT */
/*
 * The one HTTP client.  Any fiber of the loop that made a client may fetch with it; each call is one request and
 * suspends until its answer is whole or has failed.
 *
 * A client keeps connections open and uses them again, resolves a host once a minute on a thread, decodes bodies that
 * come compressed (encoding.h), and bounds all that a server decides: time, header bytes, body bytes.  It follows no
 * redirect (redirect.h says where one leads), obeys no environment variable, verifies certificates, and speaks HTTP/1.1
 * or HTTP/2.  Nothing here tells which library does it: another client with these calls may stand in for it.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <weir/outcome.h>

/* The library that does the work, for people: "libcurl 7.88.1 (OpenSSL/3.0.15)". */
void http_version(char text[80]);

struct http_client;
struct http_origin;
struct http_proxies;

#define HTTP_HEADER_BYTES ((size_t)256 << 10) /* most of an answer's header lines together; libcurl takes 300 KiB */
#define HTTP_LINE_BYTES   ((size_t)100 << 10) /* most of one of them, which is libcurl's limit */

/* PEM files and more, borrowed for the life of the client.  The certificate goes to no foreign origin. */
struct http_tls {
	const char *ca_file;      /* the only certificates that are trusted; NULL: the system's */
	const char *cert_file;    /* one's own, with its chain; NULL: none */
	const char *key_file;     /* of that; NULL: none */
	const char *key_password; /* of an encrypted key; NULL: it is not */
	const char
		*server_name; /* that the certificate must be for and that is asked for, instead of the URL's host,
			       * in  requests that are not foreign; all of those go to one origin.  NULL: the URL's */
};

/* With http servers it is always 1.1. */
enum http_version {
	HTTP_VERSION_1_1,
	HTTP_VERSION_2,    /* https servers must offer it */
	HTTP_VERSION_AUTO, /* HTTP/2 if they offer it, else 1.1 */
};

struct http_client_options {
	size_t in_flight;           /* most requests at once; more of them wait; 0: 50 */
	size_t expected;            /* that are usual, for the size of buffers; 0: as in_flight */
	size_t per_host;            /* most at once to one host; 0: as in_flight */
	weir_nsec timeout;          /* from the sending of a request to its last byte; 0: 30 s */
	weir_nsec connect_timeout;  /* TLS included; 0: 5 s, or a sixth of timeout if that is longer */
	weir_nsec silence_timeout;  /* longest time without a byte from the server; 0: 30 s, or timeout if longer */
	size_t body_bytes;          /* longest body, decoded; 0: 10 MiB */
	size_t header_bytes;        /* longest sum of header lines; 0: HTTP_HEADER_BYTES, which is the most */
	bool all_headers;           /* give those that explain nothing, too */
	bool public_only;           /* refuse loopback, private and other special addresses (see origin.h) */
	bool public_foreign;        /* the same for requests that are foreign */
	const char *const *headers; /* "Name: value" for every request; copied */
	size_t header_count;
	enum http_version version;
	struct http_tls tls;
	const struct http_proxies *proxies; /* borrowed for the life of the client; NULL: none */
};

struct http_response;

/* A body of a request that is read while it is sent.  fill() reads n bytes from `at` on, all of them: they are there.
 * It runs on the fiber that fetches and may suspend; a negative code ends the request, and is what the fetch returns.
 */
struct http_source {
	uint64_t bytes;
	int (*fill)(void *arg, uint64_t at, char *to, size_t n);
	void *arg;
};

#define HTTP_KEPT_BYTES ((size_t)10 << 20) /* longest body that is kept where a sink does not want it */

/* Where a body goes that is longer than a piece, instead of to memory: as it comes, still encoded.  wants() says it by
 * the status, and does not suspend; take() is as fill() is.  The last piece, or all of a body that is short, is in the
 * response. */
struct http_sink {
	bool (*wants)(const void *arg, int status);
	int (*take)(void *arg, const struct http_response *response, const char *bytes, size_t n);
	void *arg;
};

/* All borrowed for the call. */
struct http_request {
	const char *method; /* "GET" …; in capitals */
	const char *url;
	const struct http_origin *origin; /* http_origin_parse() of the url */
	const char *const *headers;       /* "Name: value", in front of the client's own */
	size_t header_count;
	const char *body; /* NULL: none */
	size_t body_bytes;
	const struct http_source *source; /* of the body, instead; NULL: none */
	const struct http_sink *sink;     /* for a long answer; NULL: none */
	bool is_foreign; /* a server has named the URL, not the user: of the headers, the client's too, go only those
			  * that say what may come (transfers.c), and with public_foreign the address must be public */
	bool is_emptied; /* there is no body any more, and no header Content-Type */
	bool is_fresh;   /* on a new connection */
	bool is_probe;   /* nothing is sent: HTTP_ANSWERED, with status 0, once there is a connection */
};

/* Why there is no whole answer: name in messages. */
#define HTTP_FAILURES(X)                                                                                               \
	X(HTTP_ANSWERED, "")                                                                                           \
	X(HTTP_CONNECT, "connect")                                                                                     \
	X(HTTP_TIMEOUT, "timeout")                                                                                     \
	X(HTTP_RESET, "reset")                                                                                         \
	X(HTTP_TLS, "tls")                                                                                             \
	X(HTTP_CERTIFICATE, "tls") /* it will not get better by itself */                                              \
	X(HTTP_PROXY, "proxy")                                                                                         \
	X(HTTP_PROXY_DENIED, "proxy") /* it wants something else */                                                    \
	X(HTTP_DNS, "dns")                                                                                             \
	X(HTTP_PROTOCOL, "protocol")                                                                                   \
	X(HTTP_TOO_LARGE, "too large")                                                                                 \
	X(HTTP_NOT_ALLOWED, "not allowed")                                                                             \
	X(HTTP_BAD_URL, "url")

#define HTTP_PRIVATE "the host has a private address; --allow-private permits it" /* detail of HTTP_NOT_ALLOWED */

enum http_failure {
#define HTTP_X(name, text) name,
	HTTP_FAILURES(HTTP_X)
#undef HTTP_X
};

const char *http_failure_name(enum http_failure failure);

/* Which time limit ended a request with HTTP_TIMEOUT: that of the options. */
enum http_clock { HTTP_CLOCK_NONE, HTTP_CLOCK_CONNECT, HTTP_CLOCK_SILENCE, HTTP_CLOCK_TOTAL };

/* Whether a request that was not done, or most likely not, is worth sending once more on a new connection. */
enum http_again {
	HTTP_NOT_AGAIN,
	HTTP_AGAIN_IF_REPEATABLE, /* a connection that was used before ended without a byte of the answer, or with a
				   * 408, as its server closed it in that moment; or a server of HTTP/2 has refused
				   * the stream */
	HTTP_AGAIN_ELSEWHERE,     /* 421: this connection is the wrong one */
	HTTP_AGAIN_BY_1_1,        /* the server does not do it over HTTP/2 */
};

struct http_response {
	enum http_failure failure;
	char detail[160];      /* of a failure: one line without control bytes */
	enum http_clock clock; /* of HTTP_TIMEOUT: what ran out */
	int status;            /* 0: none came */
	bool sent;             /* an attempt was made, at least to connect */
	bool is_stray;     /* with HTTP_PROTOCOL: what came may be the rest of the answer before, as it was the first
			    * on a connection that was used again */
	char encoding[32]; /* Content-Encoding, a list, cut; empty: none, or identity */
	enum http_again again;
	bool shared;           /* it came, or would have, on a connection that others can share: HTTP/2 */
	int should_retry;      /* 1, -1: a header says that it should be tried again, or not; 0: none does */
	size_t encoded_bytes;  /* so many came of a body that was decoded, or could not be; 0: it is as it came */
	bool length_known;     /* by Content-Length or chunks; else a cut body cannot be told from a whole one */
	char *body;            /* malloc'ed, NUL-terminated; NULL: empty.  http_response_fini() or take it */
	size_t body_bytes;     /* bytes in body; with a failure what had come */
	bool is_handed_on;     /* most of the body went to the sink: this is the rest, as it came */
	weir_nsec took;        /* from sending (or connecting) to the end */
	char *location;        /* of a redirect that has one; malloc'ed */
	char *headers;         /* those that help to explain a failure (telling.h), "Name: value\n" each; NULL: none */
	weir_nsec retry_after; /* as stated, whatever the status; 0: it was not */
	int64_t date;          /* of an error (400 and up): the server's time when it answered, Unix; 0: not stated */
	struct weir_hint hint; /* of the server's limits (limits.h); retry_after of an error (400 and up) only */
};

void http_response_fini(struct http_response *response);

/* Once, before any thread is started.  Takes variables out of the environment that would make the libraries below write
 * secrets or load code (shard.c has the list).  WEIR_ENOMEM. */
int http_global_init(void);

/* Fills in what is 0 but has another default. */
void http_client_defaults(struct http_client_options *opts);

/* On a fiber.  WEIR_ENOMEM, WEIR_EMFILE. */
int http_client_new(const struct http_client_options *opts, struct http_client **ret_client);

/* Contract: no fetch is under way.  Suspends, shielded.  NULL is fine. */
void http_client_free(struct http_client *client);

/* 0 with *ret_response filled, also when the request failed (failure and detail say how); WEIR_ECANCELED,
 * WEIR_ETIMEDOUT (the deadline), WEIR_ENOMEM, or what source or sink said.  Then the request is dropped and
 * *ret_response untouched. */
int http_client_fetch(struct http_client *client, const struct http_request *request,
		      struct http_response *ret_response, weir_nsec deadline);

struct http_figures {
	size_t in_flight, waiting, connections, shards;
	uint64_t requests, connects;
};
void http_client_figures(const struct http_client *client, struct http_figures *ret_figures);

#endif
