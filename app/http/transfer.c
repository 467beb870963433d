/* SPDX-License-Identifier: MIT */
/*
 * One request and its answer: a libcurl easy handle, its options and its callbacks.
 *
 * A callback that finds something wrong (too large, not allowed, lengths that contradict each other) notes it and makes
 * libcurl fail; the note is more telling than libcurl's code and wins.
 */
#include "http/transfer.h"

#include "data/array.h"
#include "http/encoding.h"
#include "http/origin.h"
#include "http/proxy.h"
#include "http/redirect.h"
#include "http/shard.h"
#include <errno.h>
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
	if (!self->was_sent)
		return false;
	self->again = strstr(self->error, "HTTP_1_1_REQUIRED") ? HTTP_AGAIN_BY_1_1 : HTTP_AGAIN_IF_REPEATABLE;
	http_transfer_refuse(self, HTTP_RESET, HTTP_UNANSWERED);
	return true;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)purpose;
	struct transfer *self = arg;
	struct http_transfers *all = self->shard->all;
	if (is_sent_again(self))
		return CURL_SOCKET_BAD;
	if (self->public_only && !http_address_is_public(&address->addr)) {
		http_transfer_refuse(self, HTTP_NOT_ALLOWED,
				     "the host has a private address; --allow-private permits it");
		return CURL_SOCKET_BAD;
	}
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

static int on_connected(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	(void)ip, (void)local_ip, (void)port, (void)local_port;
	struct transfer *self = arg;
	if (is_sent_again(self))
		return CURL_PREREQFUNC_ABORT;
	self->was_sent = true;
	self->shard->all->events->heard(&self->base);
	return CURL_PREREQFUNC_OK;
}

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	(void)one;
	struct transfer *self = arg;
	struct http_response *response = self->response;
	const struct http_transfers *all = self->shard->all;
	all->events->heard(&self->base);
	if (n > all->opts->body_bytes - response->body_bytes) {
		http_transfer_refuse(self, HTTP_TOO_LARGE, "body");
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
	response->body[response->body_bytes] = '\0';
	return n;
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
	http_limits_hint(&self->limits, (int64_t)time(NULL), &response->hint);
	response->retry_after = response->hint.retry_after;
	if (status < 400)
		response->hint.retry_after = 0; /* of a 202 or a 301 it means something else */
	response->is_stray = code == CURLE_UNSUPPORTED_PROTOCOL && connects_of(self) == 0;
	response->again = again_of(self, status);
	self->base.closed = self->base.closed || code != CURLE_OK;
	if (code != CURLE_OK)
		http_transfer_describe(self, code, response);
	else if (!self->head)
		http_decode(response, self->shard->all->opts->body_bytes);
	self->response = NULL;
}

/* ---- a transfer ---- */

static void set_safety(CURL *easy, const struct http_transfers *all)
{
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, ""); /* or libcurl would read the environment */
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (all->opts->tls.ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, all->opts->tls.ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "weir");
	curl_easy_setopt(easy, CURLOPT_SHARE, all->share);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 5L);
	/* Held by every request under way: 10,000 of them would take 160 MB with the default. */
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, all->opts->expected > 100 ? 4096L : 16384L);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
}

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
	set_safety(self->easy, all);
	set_callbacks(self, all);
	TAILQ_INSERT_TAIL(&all->list, self, all);
	*ret_transfer = &self->base;
	return 0;
}

void http_transfer_free(struct transfer *self)
{
	if (self->response)
		curl_multi_remove_handle(self->shard->multi, self->easy);
	curl_easy_cleanup(self->easy);
	curl_slist_free_all(self->resolved);
	curl_slist_free_all(self->connect_to);
	free(self->headers);
	buf_fini(&self->telling);
	buf_fini(&self->location);
	free(self);
}

/* Method and body.  Most requests of a transfer have the same method, and telling libcurl again costs. */
static void set_method(struct transfer *self, const struct http_request *request)
{
	const char *method = request->method;
	bool posts = request->body || !strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH");
	self->head = !strcmp(method, "HEAD");
	if (posts != self->posts || strcmp(method, self->method) != 0) {
		snprintf(self->method, sizeof self->method, "%s", method);
		self->posts = posts;
		curl_easy_setopt(self->easy, CURLOPT_NOBODY, 0L);
		curl_easy_setopt(self->easy, posts ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
		if (self->head)
			curl_easy_setopt(self->easy, CURLOPT_NOBODY, 1L);
		bool usual = self->head || !strcmp(method, posts ? "POST" : "GET");
		curl_easy_setopt(self->easy, CURLOPT_CUSTOMREQUEST, usual ? NULL : self->method);
	}
	if (posts) {
		curl_easy_setopt(self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
		curl_easy_setopt(self->easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
	}
}

/* Those of a request that does not send all of them, as few do. */
static int set_some_headers(struct transfer *self, const struct http_request *request)
{
	const struct curl_slist *common = self->shard->all->headers;
	size_t n = 0, most = request->header_count;
	for (const struct curl_slist *at = common; at; at = at->next)
		most++;
	if (array_reserve(&self->headers, &self->header_room, most, sizeof *self->headers))
		return WEIR_ENOMEM;
	for (size_t i = 0; i < most; i++) {
		bool own = i < request->header_count;
		const char *line = own ? request->headers[i] : common->data;
		common = own ? common : common->next;
		if (http_header_may_go(line, request->is_foreign, request->is_emptied))
			self->headers[n++].data = (char *)(uintptr_t)line; /* libcurl only reads it */
	}
	for (size_t i = 0; i < n; i++)
		self->headers[i].next = i + 1 < n ? &self->headers[i + 1] : NULL;
	self->headers_set = n ? self->headers : NULL;
	curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, self->headers_set);
	return 0;
}

static int set_headers(struct transfer *self, const struct http_request *request)
{
	struct curl_slist *list = self->shard->all->headers;
	if (request->is_foreign || request->is_emptied)
		return set_some_headers(self, request);
	if (array_reserve(&self->headers, &self->header_room, request->header_count, sizeof *self->headers))
		return WEIR_ENOMEM;
	for (size_t i = request->header_count; i-- > 0;) {
		self->headers[i].data = (char *)(uintptr_t)request->headers[i]; /* libcurl only reads it */
		self->headers[i].next = list;
		list = &self->headers[i];
	}
	if (list != self->headers_set)
		curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, list);
	self->headers_set = list;
	return 0;
}

static int set_proxy(struct transfer *self, const struct http_proxy *proxy)
{
	if (proxy == self->proxy)
		return 0;
	self->proxy = proxy;
	return curl_easy_setopt(self->easy, CURLOPT_PROXY, proxy ? proxy->url : "") == CURLE_OK ? 0 : WEIR_ENOMEM;
}

/* The certificate is a credential.  An encrypted key without a password would be asked for on the terminal. */
static void set_certificate(struct transfer *self, bool shown)
{
	const struct http_tls *tls = &self->shard->all->opts->tls;
	if (!tls->cert_file || shown == self->certified)
		return;
	self->certified = shown;
	curl_easy_setopt(self->easy, CURLOPT_SSLCERT, shown ? tls->cert_file : NULL);
	curl_easy_setopt(self->easy, CURLOPT_SSLKEY, shown ? tls->key_file : NULL);
	curl_easy_setopt(self->easy, CURLOPT_KEYPASSWD, tls->key_password ? tls->key_password : "");
}

/* libcurl verifies the host of the URL: so the name stands there, and the connection goes to the real one. */
static int set_named_url(struct transfer *self, const struct http_request *request)
{
	const struct http_origin *origin = request->origin;
	const char *name = self->shard->all->opts->tls.server_name, *rest = strstr(request->url, "://") + 3;
	bool v6 = strchr(origin->host, ':');
	struct buf text = {0};
	if (!self->connect_to) {
		buf_addf(&text, v6 ? "%s:%u:[%s]:%u" : "%s:%u:%s:%u", name, (unsigned)origin->port, origin->host,
			 (unsigned)origin->port);
		self->connect_to = text.failed ? NULL : curl_slist_append(NULL, text.data);
	}
	buf_clear(&text);
	buf_addf(&text, "https://%s:%u", name, (unsigned)origin->port);
	buf_add_str(&text, rest + strcspn(rest, "/?#"));
	bool done = self->connect_to && !text.failed &&
		    curl_easy_setopt(self->easy, CURLOPT_URL, text.data) == CURLE_OK &&
		    curl_easy_setopt(self->easy, CURLOPT_CONNECT_TO, self->connect_to) == CURLE_OK;
	buf_fini(&text);
	return done ? 0 : WEIR_ENOMEM;
}

static int set_url(struct transfer *self, const struct http_request *request)
{
	set_certificate(self, !request->is_foreign);
	if (self->shard->all->opts->tls.server_name && !request->is_foreign)
		return set_named_url(self, request);
	if (self->connect_to)
		curl_easy_setopt(self->easy, CURLOPT_CONNECT_TO, NULL);
	return curl_easy_setopt(self->easy, CURLOPT_URL, request->url) == CURLE_OK ? 0 : WEIR_ENOMEM;
}

/* Telling libcurl costs, and it is nearly always so for the same host. */
static void set_connection(struct transfer *self, const struct http_route *route)
{
	bool fresh = route->fresh || route->alone;
	if (fresh != self->fresh)
		curl_easy_setopt(self->easy, CURLOPT_FRESH_CONNECT, (long)fresh);
	if (route->alone != self->alone)
		curl_easy_setopt(self->easy, CURLOPT_FORBID_REUSE, (long)route->alone);
	self->fresh = fresh;
	self->alone = route->alone;
}

static void set_offer(struct transfer *self, bool offers_2)
{
	if (offers_2 == self->offers_2)
		return;
	self->offers_2 = offers_2;
	curl_easy_setopt(self->easy, CURLOPT_HTTP_VERSION,
			 offers_2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
}

/* The entry lives for seconds only in libcurl's cache ("+"), which scans it per request, so each request brings its
 * own. */
static int set_addresses(struct transfer *self, const struct http_origin *origin, const char *addresses)
{
	curl_slist_free_all(self->resolved);
	self->resolved = NULL;
	if (addresses) {
		char entry[800];
		snprintf(entry, sizeof entry, "+%s:%u:%s", origin->host, (unsigned)origin->port, addresses);
		self->resolved = curl_slist_append(NULL, entry);
		if (!self->resolved)
			return WEIR_ENOMEM;
	}
	curl_easy_setopt(self->easy, CURLOPT_RESOLVE, self->resolved);
	return 0;
}

int http_transfer_start(struct http_transfer *transfer, const struct http_request *request,
			const struct http_route *route, struct http_response *response)
{
	struct transfer *self = (struct transfer *)transfer;
	if ((route->addresses || self->resolved) && set_addresses(self, route->dialled, route->addresses) < 0)
		return WEIR_ENOMEM;
	if (set_proxy(self, route->proxy) < 0)
		return WEIR_ENOMEM;
	if (set_headers(self, request) < 0 || set_url(self, request) < 0)
		return WEIR_ENOMEM;
	set_method(self, request);
	set_connection(self, route);
	set_offer(self, route->offers_2);
	*response = (struct http_response){0};
	const struct http_client_options *opts = self->shard->all->opts;
	self->public_only = !route->proxy && (opts->public_only || (request->is_foreign && opts->public_foreign));
	self->origin = request->origin;
	self->failure = HTTP_ANSWERED;
	self->again = HTTP_NOT_AGAIN;
	self->header_bytes = self->room = 0;
	self->length = -1;
	self->chunked = self->base.closed = self->was_sent = self->has_head = self->framed = false;
	self->limits = (struct http_limits){0};
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

void http_transfer_stop(struct http_transfer *transfer, enum http_failure failure, const char *detail)
{
	struct transfer *self = (struct transfer *)transfer;
	curl_multi_remove_handle(self->shard->multi, self->easy);
	http_transfer_refuse(self, failure, detail);
	http_transfer_finish(self, CURLE_OPERATION_TIMEDOUT);
}
