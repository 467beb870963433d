/* SPDX-License-Identifier: MIT */
/*
 * Hosts live in a bounded table; the one used longest ago goes first, and the transfers that last spoke to it become
 * spare.  Addresses are kept for a minute, the failure to find any for a second, so that many requests to a name that
 * does not exist make one lookup.
 */
#include "http/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <weir/event.h>

#define MOST_HOSTS      10000
#define ADDRESS_LIFE    (60 * WEIR_SEC)
#define NO_ADDRESS_LIFE WEIR_SEC
#define RESOLVE_TIMEOUT (10 * WEIR_SEC)

int http_hosts_init(struct http_hosts *hosts)
{
	TAILQ_INIT(&hosts->spare);
	TAILQ_INIT(&hosts->ages);
	return getrandom(&hosts->seed, sizeof hosts->seed, 0) < 0 ? -errno : 0;
}

static void forget_host(struct http_hosts *hosts, struct http_host *host)
{
	struct http_transfer *transfer;
	while ((transfer = TAILQ_FIRST(&host->idle))) {
		TAILQ_REMOVE(&host->idle, transfer, same_host);
		transfer->host = NULL;
		TAILQ_INSERT_HEAD(&hosts->spare, transfer, same_host);
	}
	TAILQ_REMOVE(&hosts->ages, host, age);
	weir_table_remove(&hosts->table, &host->node);
	weir_event_free(host->resolved);
	free(host->addresses);
	free(host);
}

void http_hosts_fini(struct http_hosts *hosts)
{
	while (!TAILQ_EMPTY(&hosts->ages))
		forget_host(hosts, TAILQ_FIRST(&hosts->ages));
	weir_table_fini(&hosts->table);
}

static void make_youngest(struct http_hosts *hosts, struct http_host *host)
{
	TAILQ_REMOVE(&hosts->ages, host, age);
	TAILQ_INSERT_TAIL(&hosts->ages, host, age);
}

/* Some of the oldest may be in use: they are made the youngest.  If all are, the table is a little larger for once. */
static void make_room(struct http_hosts *hosts)
{
	for (int i = 0; i < 16 && hosts->table.n >= MOST_HOSTS; i++) {
		struct http_host *oldest = TAILQ_FIRST(&hosts->ages);
		if (oldest->users == 0)
			forget_host(hosts, oldest);
		else
			make_youngest(hosts, oldest);
	}
}

struct http_host *http_hosts_find(struct http_hosts *hosts, const char *name)
{
	uint64_t hash = weir_hash_text(hosts->seed, name);
	struct weir_table_node *node = weir_table_find(&hosts->table, hash);
	while (node && strcmp(((struct http_host *)node)->name, name) != 0)
		node = weir_table_again(node);
	struct http_host *host = (struct http_host *)node;
	if (host) {
		make_youngest(hosts, host);
		return host;
	}
	make_room(hosts);
	size_t name_bytes = strlen(name) + 1;
	if (weir_table_reserve(&hosts->table) || !(host = calloc(1, sizeof *host + name_bytes)))
		return NULL;
	memcpy(host->name, name, name_bytes);
	weir_table_add(&hosts->table, &host->node, hash);
	TAILQ_INSERT_TAIL(&hosts->ages, host, age);
	TAILQ_INIT(&host->waiting);
	TAILQ_INIT(&host->opening);
	TAILQ_INIT(&host->idle);
	return host;
}

static int look_up(struct http_host *host, const char *name, bool public_only, weir_nsec deadline)
{
	struct http_addresses *found = calloc(1, sizeof *found);
	if (!found || (!host->resolved && weir_event_new(&host->resolved) < 0)) {
		free(found);
		return WEIR_ENOMEM;
	}
	host->resolving = true;
	weir_event_clear(host->resolved);
	weir_nsec limit = weir_after(RESOLVE_TIMEOUT);
	bool own = deadline == WEIR_FOREVER || deadline > limit;
	int error = http_resolve(name, public_only, found, own ? limit : deadline);
	if (error == WEIR_ETIMEDOUT && own) {
		*found = (struct http_addresses){.failure = HTTP_DNS, .text = "no answer in 10 s"};
		error = 0;
	}
	host->resolving = false;
	weir_event_set(host->resolved);
	if (error < 0) {
		free(found);
		return error;
	}
	free(host->addresses);
	host->addresses = found;
	host->looked_up = weir_now();
	host->fresh_until = host->looked_up + (found->failure == HTTP_ANSWERED ? ADDRESS_LIFE : NO_ADDRESS_LIFE);
	return 0;
}

int http_host_resolve(struct http_host *host, const char *name, bool public_only, weir_nsec deadline)
{
	while (!host->addresses || host->fresh_until <= weir_now()) {
		int error = host->resolving ? weir_event_wait(host->resolved, deadline)
					    : look_up(host, name, public_only, deadline);
		if (error < 0)
			return error;
	}
	return 0;
}
