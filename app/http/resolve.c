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

/* Appends one address; those that do not fit are left out, there are enough. */
static void add_address(struct http_addresses *found, const struct sockaddr *address)
{
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	const bool is_v6 = address->sa_family == AF_INET6;
	if (is_v6) {
		memcpy(&v6, address, sizeof v6);
		inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
	} else if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof v4);
		inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
	} else {
		return;
	}
	size_t n = strlen(found->text);
	if (n + strlen(text) + 4 <= sizeof found->text)
		snprintf(found->text + n, sizeof found->text - n, "%s%s%s%s", n ? "," : "", is_v6 ? "[" : "", text,
			 is_v6 ? "]" : "");
}

static int look_up(void *arg)
{
	struct lookup *lookup = arg;
	struct http_addresses *found = &lookup->found;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	int error = getaddrinfo(lookup->host, NULL, &hints, &list);
	if (error) {
		found->failure = HTTP_DNS;
		snprintf(found->text, sizeof found->text, "%s", gai_strerror(error));
		return 0;
	}
	for (const struct addrinfo *at = list; at; at = at->ai_next)
		if (!lookup->public_only || http_address_is_public(at->ai_addr))
			add_address(found, at->ai_addr);
	freeaddrinfo(list);
	if (!found->text[0]) {
		found->failure = HTTP_NOT_ALLOWED;
		snprintf(found->text, sizeof found->text, "the host has a private address; --allow-private permits it");
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
