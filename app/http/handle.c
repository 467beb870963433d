/* SPDX-License-Identifier: MIT */
/* What libcurl is told of a transfer's requests.  Telling it costs, so what is as it was last time is not told again.
 */
#include "http/shard.h"

#include "data/array.h"
#include "http/origin.h"
#include "http/proxy.h"
#include "http/redirect.h"
#include <stdio.h>
#include <string.h>

/* Every request under way holds a buffer: 10,000 of them would take 160 MB with libcurl's default.  Less than 1 KiB it
 * does not allow. */
static long buffer_bytes(size_t expected)
{
	enum { ALL_BYTES = 1 << 20, LEAST_BYTES = 1024, MOST_BYTES = 16384 };
	long share = (long)(ALL_BYTES / expected);
	return share < LEAST_BYTES ? LEAST_BYTES : share > MOST_BYTES ? MOST_BYTES : share;
}

void http_handle_init(struct transfer *self)
{
	const struct http_transfers *all = self->shard->all;
	CURL *easy = self->easy;
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
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, buffer_bytes(all->opts->expected));
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
}

/* Method and body. */
static void set_method(struct transfer *self, const struct http_request *request)
{
	const char *method = request->method;
	const struct http_source *source = request->source;
	bool posts = request->body || source || !strcmp(method, "POST") || !strcmp(method, "PUT") ||
		     !strcmp(method, "PATCH");
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
		uint64_t bytes = source ? source->bytes : request->body_bytes;
		curl_easy_setopt(self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)bytes);
		curl_easy_setopt(self->easy, CURLOPT_POSTFIELDS, source ? NULL : request->body ? request->body : "");
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

int http_handle_set(struct transfer *self, const struct http_request *request, const struct http_route *route)
{
	if ((route->addresses || self->resolved) && set_addresses(self, route->dialled, route->addresses) < 0)
		return WEIR_ENOMEM;
	if (set_proxy(self, route->proxy) < 0 || set_headers(self, request) < 0 || set_url(self, request) < 0)
		return WEIR_ENOMEM;
	set_method(self, request);
	set_connection(self, route);
	set_offer(self, route->offers_2);
	return 0;
}
