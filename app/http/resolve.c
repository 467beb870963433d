/* SPDX-License-Identifier: MIT */
/*
 * One getaddrinfo() on the loop's pool of threads.
 *
 * A lookup can last half a minute and cannot be stopped, so it is shared between the fiber and the thread by a count:
 * who is last frees it, and a fiber that is cancelled need not wait.
 */
#include "http/resolve.h"

#include "http/origin.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/offload.h>

struct lookup {
	atomic_int owners; /* fiber and pool; released by both, the last one (acquire-release) frees */
	bool public_only;
	char host[254];
	struct http_addresses found; /* written on the thread, read by the fiber after the call returned */
};

static void release_lookup(void *arg)
{
	struct lookup *lookup = arg;
	if (atomic_fetch_sub_explicit(&lookup->owners, 1, memory_order_acq_rel) == 1)
		free(lookup);
}

static void add_text(struct http_addresses *found, const char *text)
{
	size_t n = strlen(found->text);
	if (n + strlen(text) + 2 <= sizeof found->text)
		snprintf(found->text + n, sizeof found->text - n, "%s%s", n ? "," : "", text);
}

/* A server for this machine listens on either, and which of them the name stands for differs. */
static void add_localhost(struct http_addresses *found)
{
	if (!strstr(found->text, "127.0.0.1"))
		add_text(found, "127.0.0.1");
	if (!strstr(found->text, "[::1]"))
		add_text(found, "[::1]");
}

/* Appends one address; those that do not fit are left out, there are enough. */
static void add_address(struct http_addresses *found, const struct sockaddr *address)
{
	char text[INET6_ADDRSTRLEN], bracketed[INET6_ADDRSTRLEN + 2];
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	if (address->sa_family == AF_INET6) {
		memcpy(&v6, address, sizeof v6);
		inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
		snprintf(bracketed, sizeof bracketed, "[%s]", text);
		add_text(found, bracketed);
	} else if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof v4);
		inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
		add_text(found, text);
	}
}

static int look_up(void *arg)
{
	struct lookup *lookup = arg;
	struct http_addresses *found = &lookup->found;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	bool is_own = !lookup->public_only && !strcmp(lookup->host, "localhost");
	int error = getaddrinfo(lookup->host, NULL, &hints, &list);
	if (error && !is_own) {
		found->failure = HTTP_DNS;
		snprintf(found->text, sizeof found->text, "%s", gai_strerror(error));
		return 0;
	}
	for (const struct addrinfo *at = list; at; at = at->ai_next)
		if (!lookup->public_only || http_address_is_public(at->ai_addr))
			add_address(found, at->ai_addr);
	if (list)
		freeaddrinfo(list);
	if (is_own)
		add_localhost(found);
	if (!found->text[0]) {
		found->failure = HTTP_NOT_ALLOWED;
		snprintf(found->text, sizeof found->text, "%s", HTTP_PRIVATE);
	}
	return 0;
}

int http_resolve(const char *host, bool public_only, struct http_addresses *ret_addresses, weir_nsec deadline)
{
	struct lookup *lookup = calloc(1, sizeof *lookup);
	if (!lookup)
		return WEIR_ENOMEM;
	atomic_init(&lookup->owners, 2);
	lookup->public_only = public_only;
	snprintf(lookup->host, sizeof lookup->host, "%s", host);
	int error = weir_offload_owned(look_up, lookup, release_lookup, deadline);
	if (error == WEIR_ENOMEM) { /* the pool never took its share */
		free(lookup);
		return error;
	}
	if (error >= 0)
		*ret_addresses = lookup->found;
	release_lookup(lookup);
	return error;
}
