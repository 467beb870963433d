/* SPDX-License-Identifier: MIT */
/*
 * Where to connect to.  libpq looks up names where it stands and for as long as it takes; so it is given addresses
 * (`hostaddr`) beside the names, which it still needs for certificates and ~/.pgpass.
 *
 * A lookup cannot be stopped: it is shared between the fiber and the thread by a count, the last one frees it.
 */
#include "postgres/client/internal.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pg_lookup {
	atomic_int owners; /* fiber and thread; released by both, the last one (acquire-release) frees */
	char host[256];
	const char *failed; /* what the resolver says; static */
	char addresses[PG_TARGETS_MAX][64];
	size_t n; /* these are written on the thread and read by the fiber after the call */
};

static void release_lookup(void *arg)
{
	struct pg_lookup *lookup = arg;
	if (atomic_fetch_sub_explicit(&lookup->owners, 1, memory_order_acq_rel) == 1)
		free(lookup);
}

static int look_up(void *arg)
{
	struct pg_lookup *lookup = arg;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	int error = getaddrinfo(lookup->host, NULL, &hints, &list);
	lookup->failed = error ? gai_strerror(error) : NULL;
	for (const struct addrinfo *at = list; at && lookup->n < PG_TARGETS_MAX; at = at->ai_next)
		if (!getnameinfo(at->ai_addr, at->ai_addrlen, lookup->addresses[lookup->n], sizeof lookup->addresses[0],
				 NULL, 0, NI_NUMERICHOST))
			lookup->n++;
	if (list)
		freeaddrinfo(list);
	return 0;
}

static void add_target(struct pg_targets *targets, const char *host, const char *address, const char *port)
{
	if (targets->n == PG_TARGETS_MAX)
		return;
	struct pg_target *target = &targets->all[targets->n++];
	snprintf(target->host, sizeof target->host, "%s", host);
	snprintf(target->address, sizeof target->address, "%s", address);
	snprintf(target->port, sizeof target->port, "%s", port);
}

/* The addresses of a name become targets; *ret_failed says why there are none. */
static int add_name(struct pg_targets *targets, const char *host, const char *port, const char **ret_failed,
		    weir_nsec deadline)
{
	struct pg_lookup *lookup = calloc(1, sizeof *lookup);
	if (!lookup)
		return WEIR_ENOMEM;
	atomic_init(&lookup->owners, 2);
	snprintf(lookup->host, sizeof lookup->host, "%s", host);
	int code = weir_offload_owned(look_up, lookup, release_lookup, deadline);
	if (code == WEIR_ENOMEM) { /* the thread never took its share */
		free(lookup);
		return code;
	}
	for (size_t i = 0; !code && i < lookup->n; i++)
		add_target(targets, host, lookup->addresses[i], port);
	if (!code && !lookup->n)
		*ret_failed = lookup->failed ? lookup->failed : "it has no address";
	release_lookup(lookup);
	return code;
}

static bool is_address(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;
	return inet_pton(AF_INET, host, &v4) == 1 || inet_pton(AF_INET6, host, &v6) == 1;
}

/* ---- lists with commas */

static size_t count_parts(const char *list)
{
	size_t n = list && *list ? 1 : 0;
	for (; n && *list; list++)
		n += *list == ',';
	return n;
}

static void copy_part(const char *list, size_t at, char *part, size_t room)
{
	while (at-- && list)
		list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL;
	size_t n = list ? strcspn(list, ",") : 0;
	snprintf(part, room, "%.*s", (int)(n < room ? n : room), list ? list : "");
}

/* ---- the URL's parameters */

static const char *find_value(const PQconninfoOption *options, const char *name)
{
	for (; options && options->keyword; options++)
		if (strcmp(options->keyword, name) == 0)
			return options->val;
	return NULL;
}

char *pg__parameter(const char *url, const char *name)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	const char *value = find_value(options, name);
	char *copy = value ? strdup(value) : NULL;
	PQconninfoFree(options);
	return copy;
}

struct lists {
	const char *host, *address, *port;
};

static int add_targets(const struct lists *lists, struct pg_targets *targets, struct pg_error *err, weir_nsec deadline)
{
	size_t names = count_parts(lists->host), addresses = count_parts(lists->address),
	       ports = count_parts(lists->port);
	size_t n = names > addresses ? names : addresses;
	const char *failed = NULL;
	char host[256] = "", unknown[256] = "", address[64], port[16];
	int code = 0;
	n = n ? n : 1;
	if ((ports > 1 && ports != n) || (names && addresses && names != addresses))
		return pg__fail(err, PG_FILE, NULL, "the URL has %zu hosts, %zu addresses and %zu ports", names,
				addresses, ports);
	for (size_t i = 0; i < n && !code; i++) {
		copy_part(lists->host, i, host, sizeof host);
		copy_part(lists->address, i, address, sizeof address);
		copy_part(lists->port, ports > 1 ? i : 0, port, sizeof port);
		if (!*host || *host == '/' || *host == '@' || *address)
			add_target(targets, host, address, port);
		else if (is_address(host))
			add_target(targets, host, host, port);
		else if (!(code = add_name(targets, host, port, &failed, deadline)) && failed)
			memcpy(unknown, host, sizeof unknown);
	}
	if (code == WEIR_ETIMEDOUT)
		return pg__fail(err, PG_AWAY, NULL, "host %s: looking it up takes too long", host);
	if (code)
		return pg__fail_here(err, code);
	return targets->n ? 0 : pg__fail(err, PG_AWAY, NULL, "host %s: %s", unknown, failed);
}

int pg__find_targets(const char *url, struct pg_targets *ret_targets, struct pg_error *err, weir_nsec deadline)
{
	char *wrong = NULL;
	PQconninfoOption *own = PQconninfoParse(url, &wrong), *defaults = own ? PQconndefaults() : NULL;
	struct lists lists = {find_value(own, "host"), find_value(own, "hostaddr"), find_value(own, "port")};
	if (!lists.host && !lists.address) {
		lists.host = find_value(defaults, "host");
		lists.address = find_value(defaults, "hostaddr");
	}
	if (!lists.port)
		lists.port = find_value(defaults, "port");
	*ret_targets = (struct pg_targets){0};
	int code = own ? add_targets(&lists, ret_targets, err, deadline)
		       : pg__fail(err, PG_FILE, NULL, "%s", wrong ? wrong : "out of memory");
	PQconninfoFree(own);
	PQconninfoFree(defaults);
	PQfreemem(wrong);
	return code;
}
