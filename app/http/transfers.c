/* SPDX-License-Identifier: MIT */
/* All transfers of a client: what they share, and their turn.  Over shard.c and transfer.c. */
#include "http/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void collect(struct http_transfers *all)
{
	for (size_t i = 0; i < all->shard_count; i++) {
		struct http_shard *shard = all->shards[i];
		if (!shard->touched)
			continue;
		shard->touched = false;
		int left;
		for (const CURLMsg *msg; (msg = curl_multi_info_read(shard->multi, &left));) {
			struct transfer *self = NULL;
			CURLcode code = msg->data.result;
			curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &self);
			struct http_response *response = self->response;
			curl_multi_remove_handle(shard->multi, self->easy);
			http_transfer_finish(self, code);
			all->events->done(&self->base, response);
		}
	}
}

void http_transfers_run(struct http_transfers *all)
{
	http_shards_run(all);
	collect(all);
}

/* ---- life ---- */

/* What libcurl 7.88 and OpenSSL 3 read, and what it would do:
 *   SSLKEYLOGFILE          libcurl writes the keys of every TLS session there
 *   OPENSSL_CONF           OpenSSL takes its settings from there: weaker checks, modules to load
 *   OPENSSL_CONF_INCLUDE   where that file looks for more of them
 *   OPENSSL_MODULES        OpenSSL loads code from there
 *   OPENSSL_ENGINES        the same, for engines
 * The variables of proxies (http_proxy, ...) have no effect: CURLOPT_PROXY and CURLOPT_NOPROXY are set.  HOME is read
 * for .netrc only, which is off.  SSL_CERT_FILE and SSL_CERT_DIR are not read by libcurl; weir passes on the first one
 * itself. */
static const char *const unwanted[] = {"SSLKEYLOGFILE", "OPENSSL_CONF", "OPENSSL_CONF_INCLUDE", "OPENSSL_MODULES",
				       "OPENSSL_ENGINES"};

int http_global_init(void)
{
	for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++)
		unsetenv(unwanted[i]);
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : WEIR_ENOMEM;
}

void http_version(char text[80])
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
	snprintf(text, 80, "libcurl %s (%s)", info->version, info->ssl_version ? info->ssl_version : "without TLS");
}

static int add_header(struct http_transfers *all, const char *line)
{
	struct curl_slist *longer = curl_slist_append(all->headers, line);
	if (!longer)
		return WEIR_ENOMEM;
	all->headers = longer;
	return 0;
}

int http_transfers_new(const struct http_client_options *opts, const struct http_transfer_events *events,
		       struct http_transfers **ret_transfers)
{
	struct http_transfers *all = calloc(1, sizeof *all);
	if (!all)
		return WEIR_ENOMEM;
	int error = WEIR_ENOMEM;
	all->opts = opts;
	all->events = events;
	TAILQ_INIT(&all->list);
	all->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (all->epoll_fd < 0) {
		error = -errno;
		goto fail;
	}
	all->share = curl_share_init();
	if (!all->share || curl_share_setopt(all->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK)
		goto fail;
	/* Never ask before sending a body, and say nothing of a body that is not there, as libcurl does of a POST. */
	if (add_header(all, "Expect:") < 0 || add_header(all, "Content-Type:") < 0)
		goto fail;
	for (size_t i = 0; i < opts->header_count; i++)
		if (add_header(all, opts->headers[i]) < 0)
			goto fail;
	*ret_transfers = all;
	return 0;
fail:
	http_transfers_free(all);
	return error;
}

void http_transfers_free(struct http_transfers *all)
{
	if (!all)
		return;
	struct transfer *self;
	while ((self = TAILQ_FIRST(&all->list))) {
		TAILQ_REMOVE(&all->list, self, all);
		http_transfer_free(self);
	}
	http_shards_free(all);
	if (all->share)
		curl_share_cleanup(all->share);
	curl_slist_free_all(all->headers);
	if (all->epoll_fd >= 0)
		close(all->epoll_fd);
	free(all);
}
