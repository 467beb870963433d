/* SPDX-License-Identifier: MIT */
/*
 * One request and its answer: a libcurl easy handle, its options, its callbacks, and what its errors are called.
 *
 * A callback that finds something wrong (too large, not allowed, lengths that contradict each other) notes it and makes
 * libcurl fail; the note is more telling than libcurl's code and wins.  Header lines are read here as far as they
 * decide: libcurl accepts two Content-Lengths, and one beside Transfer-Encoding, and its own limit on header bytes
 * reports "out of memory".
 */
#include "http/transfer.h"

#include "data/array.h"
#include "http/origin.h"
#include "http/shard.h"
#include "http/telling.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <weir/run.h>

static const char closed_unanswered[] = "connection closed without an answer";

static void refuse(struct transfer *self, enum http_failure failure, const char *detail)
{
	self->failure = failure;
	self->detail = detail;
}

/*
 * When a connection that was used before ends without a byte of an answer, libcurl sends the request once more on
 * another one, up to five times, and says nothing of it.  The server may have acted, and those who count calls would
 * count too few: so that ends the request instead, and whether there is another attempt the caller decides.
 */
static bool is_sent_again(struct transfer *self)
{
	if (self->was_sent)
		refuse(self, HTTP_RESET, closed_unanswered);
	return self->was_sent;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)purpose;
	struct transfer *self = arg;
	struct http_transfers *all = self->shard->all;
	if (is_sent_again(self))
		return CURL_SOCKET_BAD;
	if (all->opts->public_only && !http_address_is_public(&address->addr)) {
		refuse(self, HTTP_NOT_ALLOWED, "the host has a private address; --allow-private permits it");
		return CURL_SOCKET_BAD;
	}
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
	if (fd < 0) {
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

/* The value of a header line if its name is that one, without the white space around it; else NULL. */
static const char *header_value(const char *line, size_t n, const char *name, size_t *ret_n)
{
	size_t name_bytes = strlen(name);
	if (n <= name_bytes || line[name_bytes] != ':' || strncasecmp(line, name, name_bytes) != 0)
		return NULL;
	const char *from = line + name_bytes + 1, *end = line + n;
	while (from < end && (*from == ' ' || *from == '\t'))
		from++;
	while (end > from && (unsigned char)end[-1] <= ' ')
		end--;
	*ret_n = (size_t)(end - from);
	return from;
}

static void take_length(struct transfer *self, const char *value, size_t n)
{
	int64_t length = 0;
	for (size_t i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9' || length > INT64_MAX / 16)
			return refuse(self, HTTP_PROTOCOL, "Content-Length is not a number");
		length = length * 10 + (value[i] - '0');
	}
	if (self->length >= 0 && self->length != length)
		return refuse(self, HTTP_PROTOCOL, "two different Content-Lengths");
	if (!self->head && length > (int64_t)self->shard->all->opts->body_bytes)
		return refuse(self, HTTP_TOO_LARGE, "body");
	self->length = length;
}

static void take_encoding(struct transfer *self, const char *value, size_t n)
{
	char *to = self->response->encoding;
	size_t most = sizeof self->response->encoding - 1, i = 0;
	if (n == 8 && !strncasecmp(value, "identity", n))
		return;
	for (; i < n && i < most; i++)
		to[i] = (char)(value[i] > ' ' && value[i] < 0x7f ? value[i] : '?');
	to[i] = 0;
}

/* Without the white space at its end. */
static void keep_telling(struct transfer *self, const char *line, size_t n)
{
	while (n && (unsigned char)line[n - 1] <= ' ')
		n--;
	size_t most = self->shard->all->opts->all_headers ? HTTP_ALL_BYTES : HTTP_TELLING_BYTES;
	if (n >= most - self->telling.len)
		return;
	buf_add(&self->telling, line, n);
	buf_add_char(&self->telling, '\n');
}

static size_t on_header(char *line, size_t one, size_t n, void *arg)
{
	(void)one;
	struct transfer *self = arg;
	const struct http_transfers *all = self->shard->all;
	size_t value_bytes;
	const char *value;
	all->events->heard(&self->base);
	self->header_bytes += n;
	if (self->header_bytes > HTTP_HEADER_BYTES) {
		refuse(self, HTTP_TOO_LARGE, "headers");
		return 0;
	}
	switch (line[0] | 0x20) {
	case 'h':
		if (n > 5 && !memcmp(line, "HTTP/", 5)) { /* an interim answer was before */
			self->length = -1;
			self->chunked = false;
			self->response->encoding[0] = 0;
			self->limits = (struct http_limits){0};
			buf_clear(&self->telling);
		}
		break;
	case 'c':
		if ((value = header_value(line, n, "content-length", &value_bytes)))
			take_length(self, value, value_bytes);
		else if ((value = header_value(line, n, "connection", &value_bytes)))
			self->base.closed = value_bytes == 5 && !strncasecmp(value, "close", 5);
		else if ((value = header_value(line, n, "content-encoding", &value_bytes)))
			take_encoding(self, value, value_bytes);
		break;
	case 't':
		if (header_value(line, n, "transfer-encoding", &value_bytes))
			self->chunked = true;
		break;
	default:
		http_limits_line(&self->limits, line, n);
		break;
	}
	if (http_header_is_telling(line, n) || all->opts->all_headers)
		keep_telling(self, line, n);
	if (self->chunked && self->length >= 0 && self->failure == HTTP_ANSWERED)
		refuse(self, HTTP_PROTOCOL, "Content-Length and Transfer-Encoding together");
	return self->failure == HTTP_ANSWERED ? n : 0;
}

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	(void)one;
	struct transfer *self = arg;
	struct http_response *response = self->response;
	const struct http_transfers *all = self->shard->all;
	all->events->heard(&self->base);
	if (n > all->opts->body_bytes - response->body_bytes) {
		refuse(self, HTTP_TOO_LARGE, "body");
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

static enum http_failure failure_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_COULDNT_CONNECT:
		return HTTP_CONNECT;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_TIMEOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
		return HTTP_DNS;
	case CURLE_URL_MALFORMAT:
		return HTTP_BAD_URL;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		return HTTP_RESET;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_ENGINE_NOTFOUND:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_SHUTDOWN_FAILED:
		return HTTP_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return HTTP_CERTIFICATE;
	default:
		return HTTP_PROTOCOL;
	}
}

/* libcurl's words may quote the server: one line, no control bytes. */
static void copy_clean(char *to, size_t room, const char *from)
{
	size_t i = 0;
	for (; from[i] && i + 1 < room; i++)
		to[i] = (char)((unsigned char)from[i] < ' ' || (unsigned char)from[i] >= 0x7f ? '?' : from[i]);
	to[i] = '\0';
}

/* Of a certificate that nobody known has signed; the numbers are OpenSSL's. */
static bool lacks_authority(const struct transfer *self, CURLcode code)
{
	enum { SELF_SIGNED = 18, SELF_SIGNED_IN_CHAIN, NO_ISSUER };
	long result = 0;
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		curl_easy_getinfo(self->easy, CURLINFO_SSL_VERIFYRESULT, &result);
	return result >= SELF_SIGNED && result <= NO_ISSUER;
}

static void describe_failure(const struct transfer *self, CURLcode code, struct http_response *response)
{
	long os_error = self->socket_errno;
	if (!os_error)
		curl_easy_getinfo(self->easy, CURLINFO_OS_ERRNO, &os_error);
	const char *text = self->error[0] ? self->error : curl_easy_strerror(code);
	if (code == CURLE_GOT_NOTHING)
		text = closed_unanswered;
	else if (code == CURLE_PARTIAL_FILE)
		text = "body truncated";
	else if (code == CURLE_UNSUPPORTED_PROTOCOL)
		text = "the answer is not HTTP/1.x";
	else if (code == CURLE_COULDNT_CONNECT && os_error)
		text = os_error == ECONNREFUSED ? "refused" : weir_strerror(-(int)os_error);
	else if ((code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) && os_error == ECONNRESET)
		text = "connection reset";
	copy_clean(response->detail, sizeof response->detail, text);
	size_t n = strlen(response->detail);
	if (lacks_authority(self, code))
		snprintf(response->detail + n, sizeof response->detail - n,
			 "; tls.ca, or --ca of weir get, names the authority to trust");
}

/* Fills the response's rest and forgets the request. */
void http_transfer_finish(struct transfer *self, CURLcode code)
{
	struct http_response *response = self->response;
	long status = 0;
	curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OUT_OF_MEMORY && self->header_bytes && !response->body_bytes)
		refuse(self, HTTP_TOO_LARGE, "headers"); /* what it says of a single line over 100 KB */
	response->status = (int)status;
	response->headers = self->telling.len ? buf_take(&self->telling, NULL) : NULL;
	response->sent = true;
	response->length_known = self->length >= 0 || self->chunked || self->head;
	response->took = weir_clock() - self->started;
	http_limits_hint(&self->limits, (int64_t)time(NULL), &response->hint);
	response->retry_after = response->hint.retry_after;
	if (status < 400)
		response->hint.retry_after = 0; /* of a 202 or a 301 it means something else */
	response->failure = self->failure != HTTP_ANSWERED && code != CURLE_OK ? self->failure : failure_of(code);
	if (code != CURLE_OK && self->failure != HTTP_ANSWERED)
		copy_clean(response->detail, sizeof response->detail, self->detail);
	else if (code != CURLE_OK)
		describe_failure(self, code, response);
	if (code != CURLE_OK)
		self->base.closed = true;
	self->response = NULL;
}

/* ---- a transfer ---- */

static void set_safety(CURL *easy, const struct http_transfers *all)
{
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (all->opts->ca_file) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, all->opts->ca_file);
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
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
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
	free(self->headers);
	buf_fini(&self->telling);
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

static int set_headers(struct transfer *self, const struct http_request *request)
{
	struct curl_slist *list = self->shard->all->headers;
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

/* The entry lives for seconds only in libcurl's cache ("+"), which scans it per request, so each request brings its
 * own. */
static int set_addresses(struct transfer *self, const struct http_request *request, const char *addresses)
{
	curl_slist_free_all(self->resolved);
	self->resolved = NULL;
	if (addresses) {
		char entry[800];
		snprintf(entry, sizeof entry, "+%s:%u:%s", request->origin->host, (unsigned)request->origin->port,
			 addresses);
		self->resolved = curl_slist_append(NULL, entry);
		if (!self->resolved)
			return WEIR_ENOMEM;
	}
	curl_easy_setopt(self->easy, CURLOPT_RESOLVE, self->resolved);
	return 0;
}

int http_transfer_start(struct http_transfer *transfer, const struct http_request *request, const char *addresses,
			struct http_response *response)
{
	struct transfer *self = (struct transfer *)transfer;
	if ((addresses || self->resolved) && set_addresses(self, request, addresses) < 0)
		return WEIR_ENOMEM;
	if (set_headers(self, request) < 0 || curl_easy_setopt(self->easy, CURLOPT_URL, request->url) != CURLE_OK)
		return WEIR_ENOMEM;
	set_method(self, request);
	*response = (struct http_response){0};
	self->failure = HTTP_ANSWERED;
	self->header_bytes = self->room = 0;
	self->length = -1;
	self->chunked = self->base.closed = self->was_sent = false;
	self->limits = (struct http_limits){0};
	buf_clear(&self->telling);
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
	refuse(self, failure, detail);
	http_transfer_finish(self, CURLE_OPERATION_TIMEDOUT);
}
