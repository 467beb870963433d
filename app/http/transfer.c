/* SPDX-License-Identifier: MIT */
/*
 * One request and its answer: a libcurl easy handle, its options and its callbacks.
 *
 * A callback that finds something wrong (too large, not allowed, lengths that contradict each other) notes it and makes
 * libcurl fail; the note is more telling than libcurl's code and wins.
 */
#include "http/transfer.h"

#include "http/encoding.h"
#include "http/flow.h"
#include "http/origin.h"
#include "http/redirect.h"
#include "http/shard.h"
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/run.h>

/*
 * When a connection that was used before ends without a byte of an answer, libcurl sends the request once more on
 * another one, up to five times, and says nothing of it; likewise when a server of HTTP/2 has refused the stream, or
 * wants it by HTTP/1.1, of which nothing but libcurl's words tell.  The server may have acted, and those who count
 * calls would count too few: so that ends the request instead, and whether it is sent again the client decides.
 */
static bool is_sent_again(struct transfer *self)
{
	if (!self->base.sent)
		return false;
	self->again = strstr(self->error, "HTTP_1_1_REQUIRED") ? HTTP_AGAIN_BY_1_1 : HTTP_AGAIN_IF_REPEATABLE;
	http_transfer_refuse(self, HTTP_RESET, HTTP_UNANSWERED);
	return true;
}

static bool is_closed_to(struct transfer *self, bool is_public)
{
	if (self->public_only && !is_public)
		http_transfer_refuse(self, HTTP_NOT_ALLOWED, HTTP_PRIVATE);
	return self->public_only && !is_public;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)purpose;
	struct transfer *self = arg;
	struct http_transfers *all = self->shard->all;
	if (is_sent_again(self))
		return CURL_SOCKET_BAD;
	if (is_closed_to(self, http_address_is_public(&address->addr)))
		return CURL_SOCKET_BAD;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
	if (fd < 0) {
		if (errno != EAFNOSUPPORT) /* without IPv6 what counts is how the other address failed */
			self->socket_errno = errno;
		return CURL_SOCKET_BAD;
	}
	all->connections++;
	all->connects++;
	return fd;
}

/* Whether the connection speaks HTTP/2, as TLS has negotiated. */
static bool speaks_2(const struct transfer *self)
{
	const struct curl_tlssessioninfo *session = NULL;
	const unsigned char *name = NULL;
	unsigned n = 0;
	if (!self->offers_2)
		return false;
	curl_easy_getinfo(self->easy, CURLINFO_TLS_SSL_PTR, &session);
	if (session && session->backend == CURLSSLBACKEND_OPENSSL && session->internals)
		SSL_get0_alpn_selected(session->internals, &name, &n);
	return n == 2 && !memcmp(name, "h2", 2);
}

/* Before a request is sent, on a connection that was used before, too: it may have been opened for one that may go to
 * private addresses. */
static int on_connected(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	(void)local_ip, (void)port, (void)local_port;
	struct transfer *self = arg;
	if (is_sent_again(self) || is_closed_to(self, http_address_text_is_public(ip)))
		return CURL_PREREQFUNC_ABORT;
	self->base.shares = speaks_2(self);
	if (self->offers_2 && !self->base.shares && self->shard->all->opts->version == HTTP_VERSION_2) {
		http_transfer_refuse(self, HTTP_PROTOCOL,
				     "the server does not offer HTTP/2; http: auto takes 1.1, too");
		return CURL_PREREQFUNC_ABORT;
	}
	if (self->request->is_probe)
		return CURL_PREREQFUNC_ABORT;
	self->base.sent = true;
	self->shard->all->events->heard(&self->base);
	return CURL_PREREQFUNC_OK;
}

/* A piece of the answer is full, and somebody wants it. */
static bool is_full(const struct transfer *self, size_t n)
{
	const struct http_response *response = self->response;
	const struct http_sink *sink = self->request->sink;
	long status = 0;
	enum codec codec;
	if (!sink || !response->body_bytes || response->body_bytes + n <= HTTP_PIECE_BYTES)
		return false;
	curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
	return response->is_handed_on ||
	       (http_codec(response->encoding, &codec) && sink->wants(sink->arg, (int)status));
}

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	(void)one;
	struct transfer *self = arg;
	struct http_response *response = self->response;
	const struct http_transfers *all = self->shard->all;
	all->events->heard(&self->base);
	if (n > all->opts->body_bytes - self->taken) {
		http_transfer_refuse(self, HTTP_TOO_LARGE, "body");
		return 0;
	}
	if (is_full(self, n)) {
		self->flow->is_full = true;
		all->events->stalled(&self->base);
		return CURL_WRITEFUNC_PAUSE;
	}
	if (self->request->sink && n > HTTP_KEPT_BYTES - response->body_bytes) {
		http_transfer_refuse(self, HTTP_TOO_LARGE, "kept");
		return 0;
	}
	if (response->body_bytes + n + 1 > self->room) {
		/* The announced length is only believed as far as memory is cheap. */
		size_t room = self->length > 0 && self->length < 65536 ? (size_t)self->length + 1 : 2 * self->room;
		if (room < response->body_bytes + n + 1)
			room = response->body_bytes + n + 1;
		char *body = realloc(response->body, room);
		if (!body)
			return 0;
		response->body = body;
		self->room = room;
	}
	memcpy(response->body + response->body_bytes, data, n);
	response->body_bytes += n;
	self->taken += n;
	response->body[response->body_bytes] = '\0';
	return n;
}

static size_t on_read(char *to, size_t one, size_t room, void *arg)
{
	struct transfer *self = arg;
	struct http_flow *flow = self->flow;
	const struct http_transfer_events *events = self->shard->all->events;
	size_t n = flow->n - flow->at < one * room ? flow->n - flow->at : one * room;
	if (!n && flow->next < self->request->source->bytes) {
		flow->is_empty = true;
		events->stalled(&self->base);
		return CURL_READFUNC_PAUSE;
	}
	memcpy(to, flow->piece + flow->at, n);
	flow->at += n;
	events->moved(&self->base);
	return n;
}

/* libcurl wants to begin again, on another connection: as long as nothing but the first piece was read. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *self = arg;
	struct http_flow *flow = self->flow;
	if (origin != SEEK_SET || offset != 0 || flow->next != flow->n)
		return CURL_SEEKFUNC_FAIL;
	flow->at = 0;
	return CURL_SEEKFUNC_OK;
}

/* libcurl's names for it over HTTP/2: the connection has ended, or the server takes no streams any more (GOAWAY). */
static bool is_unanswered(const struct transfer *self, CURLcode code)
{
	return !self->header_bytes && (code == CURLE_PARTIAL_FILE || (code == CURLE_HTTP2 && !self->error[0]));
}

static long connects_of(const struct transfer *self)
{
	long connects = 1;
	curl_easy_getinfo(self->easy, CURLINFO_NUM_CONNECTS, &connects);
	return connects;
}

static enum http_again again_of(const struct transfer *self, long status)
{
	if (status == 408 && connects_of(self) == 0)
		return HTTP_AGAIN_IF_REPEATABLE;
	return status == 421 ? HTTP_AGAIN_ELSEWHERE : self->again;
}

/* Fills the response's rest and forgets the request. */
void http_transfer_finish(struct transfer *self, CURLcode code)
{
	struct http_response *response = self->response;
	long status = 0;
	curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OUT_OF_MEMORY && self->header_bytes && !response->body_bytes)
		http_transfer_refuse(self, HTTP_TOO_LARGE, "header"); /* what it says of one over HTTP_LINE_BYTES */
	if (is_unanswered(self, code)) {
		if (code == CURLE_HTTP2 || connects_of(self) == 0)
			self->again = HTTP_AGAIN_IF_REPEATABLE;
		code = CURLE_GOT_NOTHING;
	}
	if (code == CURLE_OK && !self->has_head) { /* which libcurl takes for a whole one without a body */
		code = CURLE_PARTIAL_FILE;
		http_transfer_refuse(self, HTTP_RESET, "header truncated");
	}
	response->status = (int)status;
	if (self->location.len && http_is_redirect(response->status))
		response->location = buf_take(&self->location, NULL);
	response->headers = self->telling.len ? buf_take(&self->telling, NULL) : NULL;
	response->sent = true;
	response->length_known = self->length >= 0 || self->chunked || self->head || self->framed;
	response->took = weir_clock() - self->started;
	if (self->limits) {
		response->date = status >= 400 ? http_limits_date(self->limits) : 0;
		http_limits_hint(self->limits, (int64_t)time(NULL), &response->hint);
	}
	free(self->limits);
	self->limits = NULL;
	response->retry_after = response->hint.retry_after;
	if (status < 400)
		response->hint.retry_after = 0; /* of a 202 or a 301 it means something else */
	response->is_stray = code == CURLE_UNSUPPORTED_PROTOCOL && connects_of(self) == 0;
	response->again = again_of(self, status);
	response->shared = self->base.shares;
	self->base.closed = self->base.closed || code != CURLE_OK;
	if (code != CURLE_OK)
		http_transfer_describe(self, code, response);
	else if (!self->head && !response->is_handed_on)
		http_decode(response, self->shard->all->opts->body_bytes);
	self->response = NULL;
	self->request = NULL;
	self->flow = NULL;
}

/* ---- a transfer ---- */

static void set_callbacks(struct transfer *self, struct http_transfers *all)
{
	CURL *easy = self->easy;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, self);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->error);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, self);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, http_socket_close);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, all);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, self);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_head_line);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, self);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, self);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, self);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, self);
}

int http_transfer_new(struct http_transfers *all, struct http_transfer **ret_transfer)
{
	struct http_shard *shard;
	int error = http_shard_pick(all, &shard);
	if (error < 0)
		return error;
	struct transfer *self = calloc(1, sizeof *self);
	if (!self)
		return WEIR_ENOMEM;
	self->easy = curl_easy_init();
	if (!self->easy) {
		free(self);
		return WEIR_ENOMEM;
	}
	self->shard = shard;
	shard->transfers++;
	http_handle_init(self);
	set_callbacks(self, all);
	TAILQ_INSERT_TAIL(&all->list, self, all);
	*ret_transfer = &self->base;
	return 0;
}

bool http_transfer_is_beside(const struct http_transfer *a, const struct http_transfer *b)
{
	return ((const struct transfer *)a)->shard == ((const struct transfer *)b)->shard;
}

void http_transfer_free(struct transfer *self)
{
	if (self->response)
		curl_multi_remove_handle(self->shard->multi, self->easy);
	curl_easy_cleanup(self->easy);
	curl_slist_free_all(self->resolved);
	curl_slist_free_all(self->connect_to);
	free(self->limits);
	free(self->headers);
	buf_fini(&self->telling);
	buf_fini(&self->location);
	free(self);
}

int http_transfer_start(struct http_transfer *transfer, const struct http_request *request,
			const struct http_route *route, struct http_flow *flow, struct http_response *response)
{
	struct transfer *self = (struct transfer *)transfer;
	if (http_handle_set(self, request, route) < 0)
		return WEIR_ENOMEM;
	*response = (struct http_response){0};
	const struct http_client_options *opts = self->shard->all->opts;
	self->public_only = !route->proxy && (opts->public_only || (request->is_foreign && opts->public_foreign));
	self->origin = request->origin;
	self->request = request;
	self->flow = flow;
	self->failure = HTTP_ANSWERED;
	self->again = HTTP_NOT_AGAIN;
	self->header_bytes = self->room = self->taken = 0;
	self->length = -1;
	self->base.closed = self->base.sent = self->base.shares = false;
	self->chunked = self->has_head = self->framed = false;
	buf_clear(&self->telling);
	buf_clear(&self->location);
	self->socket_errno = 0;
	self->error[0] = '\0';
	self->started = weir_clock();
	if (curl_multi_add_handle(self->shard->multi, self->easy) != CURLM_OK)
		return WEIR_ENOMEM;
	self->response = response;
	self->shard->all->requests++;
	return 0;
}

void http_transfer_push(struct http_transfer *transfer)
{
	http_shard_run(((struct transfer *)transfer)->shard);
}

void http_transfer_stop(struct http_transfer *transfer, enum http_failure failure, const char *detail)
{
	struct transfer *self = (struct transfer *)transfer;
	curl_multi_remove_handle(self->shard->multi, self->easy);
	http_transfer_refuse(self, failure, detail);
	http_transfer_finish(self, CURLE_OPERATION_TIMEDOUT);
}

void http_transfer_resume(struct http_transfer *transfer)
{
	struct transfer *self = (struct transfer *)transfer;
	self->room = self->response->body ? self->room : 0;
	curl_easy_pause(self->easy, CURLPAUSE_CONT);
}
