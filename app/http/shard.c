/* SPDX-License-Identifier: MIT */
/*
 * Shards: libcurl multi handles, driven by the multi_socket interface.
 *
 *     transfer (easy handle) --\
 *     transfer ---------------- shard (multi handle, own connections) --\
 *     transfer ---------------- shard ---------------------------------- epoll descriptor --> the driver fiber
 *
 * A shard is filled up to SHARD_TRANSFERS, then the next is made: libcurl walks the connections to a host for each
 * request, and, where they share one (HTTP/2), all requests of a connection for each of its events.  TLS sessions are
 * shared by all.  Names are resolved elsewhere and handed over, so libcurl's own resolver, which starts a thread per
 * lookup, never runs.
 *
 * Sockets stay registered in epoll when libcurl loses interest in them and gains it again, which it does for every
 * request; only what it has no interest in and is ready all the same (a server closed an idle connection) is taken
 * out.  An event carries the generation of its descriptor, so one that was closed and given out again within a batch
 * is not taken for the old one.
 *
 * libcurl's time limits are not used: the client keeps lists in the order of time, which is cheaper and also bounds
 * the silence after the first byte.
 */
#include "http/shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/run.h>

#include "data/array.h"

#define SHARD_TRANSFERS 150
#define SHARD_STREAMS   100 /* requests that a connection of HTTP/2 usually takes in parallel */
#define EVENT_ROUNDS    8   /* batches of events before the other fibers have their turn */

static struct http_watch *watch_of(struct http_transfers *all, int fd)
{
	size_t index = (size_t)fd;
	if (index < all->watch_room)
		return &all->watches[index];
	size_t before = all->watch_room;
	if (array_reserve(&all->watches, &all->watch_room, index + 1, sizeof *all->watches))
		return NULL;
	memset(all->watches + before, 0, (all->watch_room - before) * sizeof *all->watches);
	return &all->watches[index];
}

static void register_watch(struct http_transfers *all, int fd, struct http_watch *watch, uint8_t events)
{
	if (watch->registered == events)
		return;
	struct epoll_event event = {.events = events, .data.u64 = (uint64_t)watch->generation << 32 | (uint32_t)fd};
	int op = !watch->registered ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
	if (epoll_ctl(all->epoll_fd, op, fd, &event) == 0)
		watch->registered = events;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	(void)easy, (void)socket_arg;
	struct http_shard *shard = arg;
	struct http_watch *watch = watch_of(shard->all, fd);
	if (!watch)
		return -1;
	watch->shard = shard;
	watch->wanted = (uint8_t)((what == CURL_POLL_IN || what == CURL_POLL_INOUT ? EPOLLIN : 0) |
				  (what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? EPOLLOUT : 0));
	/* What is registered beyond the wish is left, but for EPOLLOUT, which would fire at once. */
	if ((watch->wanted & ~watch->registered) || (watch->wanted && (watch->registered & ~watch->wanted & EPOLLOUT)))
		register_watch(shard->all, fd, watch, watch->wanted);
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	(void)multi;
	struct http_shard *shard = arg;
	shard->due = timeout_ms < 0 ? WEIR_FOREVER : weir_now() + timeout_ms * WEIR_MSEC;
	return 0;
}

static int make_shard(struct http_transfers *all, struct http_shard **ret_shard)
{
	struct http_shard **shards = realloc(all->shards, (all->shard_count + 1) * sizeof(void *));
	if (!shards)
		return WEIR_ENOMEM;
	all->shards = shards;
	struct http_shard *shard = calloc(1, sizeof *shard);
	if (!shard)
		return WEIR_ENOMEM;
	*shard = (struct http_shard){.all = all, .multi = curl_multi_init(), .due = WEIR_FOREVER};
	if (!shard->multi) {
		free(shard);
		return WEIR_ENOMEM;
	}
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
	bool shares = all->opts->version != HTTP_VERSION_1_1;
	curl_multi_setopt(shard->multi, CURLMOPT_PIPELINING, shares ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING);
	curl_multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS, (long)SHARD_TRANSFERS);
	shards[all->shard_count++] = shard;
	*ret_shard = shard;
	return 0;
}

int http_shard_pick(struct http_transfers *all, struct http_shard **ret_shard)
{
	struct http_shard *last = all->shard_count ? all->shards[all->shard_count - 1] : NULL;
	unsigned most = all->opts->version == HTTP_VERSION_1_1 ? SHARD_TRANSFERS : SHARD_STREAMS;
	if (!last || last->transfers >= most)
		return make_shard(all, ret_shard);
	*ret_shard = last;
	return 0;
}

int http_socket_close(void *arg, curl_socket_t fd)
{
	struct http_transfers *all = arg;
	if ((size_t)fd < all->watch_room) /* closing takes it out of epoll */
		all->watches[fd] = (struct http_watch){.generation = all->watches[fd].generation + 1};
	all->connections--;
	return close(fd);
}

/* ---- running ---- */

void http_shard_run(struct http_shard *shard)
{
	int running;
	shard->due = WEIR_FOREVER;
	shard->touched = true;
	curl_multi_socket_action(shard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static void run_timers(struct http_transfers *all)
{
	weir_nsec now = weir_now();
	for (size_t i = 0; i < all->shard_count; i++) {
		struct http_shard *shard = all->shards[i];
		if (shard->due != WEIR_FOREVER && shard->due <= now)
			http_shard_run(shard);
	}
}

static void run_event(struct http_transfers *all, const struct epoll_event *event)
{
	int fd = (int)(uint32_t)event->data.u64, running;
	struct http_watch *watch = &all->watches[fd];
	if (watch->generation != (uint32_t)(event->data.u64 >> 32))
		return;
	if (!watch->wanted) {
		register_watch(all, fd, watch, 0);
		return;
	}
	/* Errors show when libcurl reads or writes, then with their cause. */
	bool broken = event->events & (EPOLLERR | EPOLLHUP);
	int mask = (watch->wanted & EPOLLIN && (broken || event->events & EPOLLIN) ? CURL_CSELECT_IN : 0) |
		   (watch->wanted & EPOLLOUT && (broken || event->events & EPOLLOUT) ? CURL_CSELECT_OUT : 0);
	if (!mask)
		return;
	struct http_shard *shard = watch->shard;
	shard->touched = true;
	curl_multi_socket_action(shard->multi, fd, mask, &running);
}

void http_shards_run(struct http_transfers *all)
{
	run_timers(all);
	int n = HTTP_EVENTS;
	for (int round = 0; round < EVENT_ROUNDS && n == HTTP_EVENTS; round++) {
		n = epoll_wait(all->epoll_fd, all->ready, HTTP_EVENTS, 0);
		for (int i = 0; i < n; i++)
			run_event(all, &all->ready[i]);
	}
}

weir_nsec http_transfers_deadline(const struct http_transfers *all)
{
	weir_nsec first = WEIR_FOREVER;
	for (size_t i = 0; i < all->shard_count; i++) {
		weir_nsec due = all->shards[i]->due;
		if (due != WEIR_FOREVER && (first == WEIR_FOREVER || due < first))
			first = due;
	}
	return first;
}

int http_transfers_fd(const struct http_transfers *all)
{
	return all->epoll_fd;
}

void http_transfers_figures(const struct http_transfers *all, struct http_figures *figures)
{
	figures->connections = all->connections;
	figures->shards = all->shard_count;
	figures->requests = all->requests;
	figures->connects = all->connects;
}

void http_shards_free(struct http_transfers *all)
{
	for (size_t i = 0; i < all->shard_count; i++) {
		curl_multi_cleanup(all->shards[i]->multi);
		free(all->shards[i]);
	}
	free(all->shards);
	free(all->watches);
}
