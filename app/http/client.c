/* SPDX-License-Identifier: MIT */
/*
 * The client: requests of many fibers, one driver fiber.
 *
 *     fetch() --> pending --> connecting --> silent ... --> done: the caller's event
 *                    \            \_____________/
 *                     host->waiting    running (all that were started)
 *
 * A job lives on its caller's stack.  The driver takes pending jobs in order; one whose host has no room for it
 * (lanes.c) waits at the host.
 *
 * A caller that is cancelled asks the driver to drop its job and waits, shielded, until it did: libcurl has pointers
 * into the caller's memory.
 */
#include "http/client.h"

#include "data/array.h"
#include "http/job.h"
#include "http/origin.h"
#include "http/proxy.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/event.h>
#include <weir/group.h>
#include <weir/io.h>

#define DRIVER_STACK    ((size_t)256 * 1024)
#define MOST_CONNECTING 1000 /* a quarter of what a listening socket queues */

const char *http_failure_name(enum http_failure failure)
{
	static const char *const names[] = {
#define HTTP_X(name, text) [name] = (text),
		HTTP_FAILURES(HTTP_X)
#undef HTTP_X
	};
	return names[failure];
}

void http_response_fini(struct http_response *response)
{
	free(response->body);
	free(response->headers);
	free(response->location);
	response->body = response->headers = response->location = NULL;
	response->body_bytes = 0;
}

/* ---- jobs, on the driver fiber ---- */

static void fail_unsent(struct http_response *response, const struct http_addresses *addresses,
			const struct http_proxy *proxy)
{
	*response = (struct http_response){.failure = addresses->failure};
	snprintf(response->detail, sizeof response->detail, "%s%.80s%s%.60s", proxy ? "proxy " : "",
		 proxy ? proxy->name : "", proxy ? ": " : "", addresses->text);
}

static void start_job(struct http_client *client, struct http_job *job)
{
	const struct http_addresses *addresses = job->route.dialled->numeric ? NULL : job->dialled->addresses;
	if (addresses && addresses->failure != HTTP_ANSWERED) { /* looked up again while the job waited */
		fail_unsent(job->response, addresses, job->route.proxy);
		http_job_done(job);
		return;
	}
	struct http_transfer *transfer = http_lanes_take(client, job->host);
	if (!transfer) {
		job->error = WEIR_ENOMEM;
		http_job_done(job);
		return;
	}
	job->route.addresses = addresses ? addresses->text : NULL;
	job->route.alone = job->host->is_messy;
	job->route.offers_2 =
		client->opts.version != HTTP_VERSION_1_1 && job->request->origin->tls && !job->host->is_1_1;
	job->error = http_transfer_start(transfer, job->request, &job->route, &job->flow, job->response);
	if (job->error < 0) {
		http_lanes_give(client, transfer);
		http_job_done(job);
		return;
	}
	job->transfer = transfer;
	transfer->job = job;
	job->state = JOB_RUNNING;
	job->started = weir_now();
	TAILQ_INSERT_TAIL(&client->running, job, age);
	TAILQ_INSERT_TAIL(&client->connecting, job, quiet);
	client->running_count++;
	client->connecting_count++;
	job->host->in_flight++;
	if (job->route.offers_2) {
		http_transfer_push(transfer);
		http_lanes_pushed(job);
	}
}

static bool can_start(const struct http_client *client)
{
	return !TAILQ_EMPTY(&client->pending) && client->connecting_count < MOST_CONNECTING &&
	       client->running_count < client->opts.in_flight;
}

/* A job that did not have to wait yet does not pass those that do. */
static bool may_start(const struct http_client *client, const struct http_job *job)
{
	const struct http_host *host = job->host;
	return (TAILQ_EMPTY(&host->waiting) || host->next == job) && http_lanes_have_room(client, host);
}

static void start_pending(struct http_client *client)
{
	while (can_start(client)) {
		struct http_job *job = TAILQ_FIRST(&client->pending);
		struct http_host *host = job->host;
		bool was_next = host->next == job, starts = may_start(client, job);
		TAILQ_REMOVE(&client->pending, job, queue);
		if (was_next)
			host->next = NULL;
		if (starts) {
			client->waiting_count--;
			start_job(client, job);
			http_lanes_next(client, host);
			continue;
		}
		job->state = JOB_WAITING;
		if (was_next)
			TAILQ_INSERT_HEAD(&host->waiting, job, queue);
		else
			TAILQ_INSERT_TAIL(&host->waiting, job, queue);
	}
}

static void on_heard(struct http_transfer *transfer)
{
	struct http_job *job = transfer->job;
	struct http_client *client = job->client;
	if (job->connected && job->heard == weir_now())
		return;
	TAILQ_REMOVE(job->connected ? &client->silent : &client->connecting, job, quiet);
	client->connecting_count -= !job->connected;
	job->answering = job->connected;
	job->connected = true;
	job->heard = weir_now();
	TAILQ_INSERT_TAIL(&client->silent, job, quiet);
	http_lanes_heard(job);
}

/* The server is not silent: it is our turn. */
static void on_moved(struct http_transfer *transfer)
{
	struct http_job *job = transfer->job;
	struct http_client *client = job->client;
	if (!job->connected || job->heard == weir_now())
		return;
	TAILQ_REMOVE(&client->silent, job, quiet);
	job->heard = weir_now();
	TAILQ_INSERT_TAIL(&client->silent, job, quiet);
}

static void on_stalled(struct http_transfer *transfer)
{
	struct http_job *job = transfer->job;
	weir_event_set(job->done);
}

static void on_done(struct http_transfer *transfer, struct http_response *response)
{
	struct http_job *job = transfer->job;
	struct http_host *dialled = job->dialled;
	/* Some servers answer a HEAD with a body, and it comes when the connection carries the next request: from now
	 * on each request has its own. */
	job->host->is_messy = job->host->is_messy || response->is_stray;
	job->host->is_1_1 = job->host->is_1_1 || response->again == HTTP_AGAIN_BY_1_1;
	/* Its addresses may have changed. */
	if (response->failure == HTTP_CONNECT && dialled->looked_up + WEIR_SEC < weir_now())
		dialled->fresh_until = 0;
	http_job_leave(job);
}

/* ---- the driver ---- */

static void drop_canceled(struct http_client *client)
{
	struct http_job *job;
	while ((job = TAILQ_FIRST(&client->drops))) {
		TAILQ_REMOVE(&client->drops, job, queue);
		if (job->state != JOB_RUNNING)
			continue;
		http_transfer_stop(job->transfer, HTTP_RESET, "dropped");
		http_job_leave(job);
	}
}

static void resume_served(struct http_client *client)
{
	struct http_job *job;
	while ((job = TAILQ_FIRST(&client->served))) {
		TAILQ_REMOVE(&client->served, job, ready);
		job->is_served = false;
		on_moved(job->transfer);
		http_transfer_resume(job->transfer);
	}
}

static int drive(void *arg)
{
	struct http_client *client = arg;
	while (!client->closing) {
		drop_canceled(client);
		resume_served(client);
		start_pending(client);
		http_transfers_run(client->transfers);
		weir_nsec clocks = http_clocks_check(client), due = http_transfers_deadline(client->transfers);
		if (due == WEIR_FOREVER || (clocks != WEIR_FOREVER && clocks < due))
			due = clocks;
		/* With work left the others have one turn; a wait with a past deadline would not suspend at all. */
		if (can_start(client) || (due != WEIR_FOREVER && due <= weir_now()))
			weir_yield();
		else
			weir_io_wait(client->io, WEIR_READABLE, due);
	}
	return 0;
}

/* ---- the callers ---- */

static int take_event(struct http_client *client, struct weir_event **ret_event)
{
	if (client->spare_event_count == 0)
		return weir_event_new(ret_event);
	*ret_event = client->spare_events[--client->spare_event_count];
	weir_event_clear(*ret_event);
	return 0;
}

static void give_event(struct http_client *client, struct weir_event *event)
{
	if (array_reserve(&client->spare_events, &client->spare_event_room, client->spare_event_count + 1,
			  sizeof event)) {
		weir_event_free(event);
		return;
	}
	client->spare_events[client->spare_event_count++] = event;
}

/* The caller gives up: true when the job was dropped, false when it had been done already. */
static bool give_up(struct http_client *client, struct http_job *job)
{
	switch (job->state) {
	case JOB_DONE:
		return false;
	case JOB_PENDING:
	case JOB_WAITING:
		client->waiting_count--;
		if (job->state == JOB_PENDING)
			TAILQ_REMOVE(&client->pending, job, queue);
		else
			TAILQ_REMOVE(&job->host->waiting, job, queue);
		if (job->host->next == job) {
			job->host->next = NULL;
			http_lanes_next(client, job->host);
			weir_io_wake(client->io);
		}
		return true;
	case JOB_RUNNING:
		TAILQ_INSERT_TAIL(&client->drops, job, queue);
		weir_io_wake(client->io);
		weir_shield_enter();
		weir_event_wait(job->done, WEIR_FOREVER);
		weir_shield_leave();
		return true;
	}
	return true;
}

/* Who a request concerns: held while it lasts. */
struct parties {
	struct http_host *host, *dialled;
	const struct http_proxy *proxy;
};

/* Until it is done, or source or sink want no more of it. */
static int await(struct http_client *client, struct http_job *job, weir_nsec deadline)
{
	int error = weir_event_wait(job->done, deadline);
	while (error == 0 && job->state != JOB_DONE) {
		weir_event_clear(job->done);
		error = http_flow_serve(&job->flow, job->request, job->response);
		if (error < 0 || job->state == JOB_DONE) /* meanwhile, by a time limit */
			break;
		TAILQ_INSERT_TAIL(&client->served, job, ready);
		job->is_served = true;
		weir_io_wake(client->io);
		error = weir_event_wait(job->done, deadline);
	}
	return error;
}

/* With the hosts held and known. */
static int run_job(struct http_client *client, const struct http_request *request, const struct parties *parties,
		   struct http_response *ret_response, weir_nsec deadline)
{
	struct http_response response = {0};
	struct http_job job = {.client = client, .request = request, .response = &response};
	job.host = parties->host;
	job.dialled = parties->dialled;
	job.route.proxy = parties->proxy;
	job.route.fresh = request->is_fresh;
	job.route.dialled = parties->proxy ? &parties->proxy->origin : request->origin;
	int error = http_flow_begin(&job.flow, request);
	if (error == 0)
		error = take_event(client, &job.done);
	if (error < 0) {
		http_flow_end(&job.flow);
		return error;
	}
	TAILQ_INSERT_TAIL(&client->pending, &job, queue);
	client->waiting_count++;
	weir_io_wake(client->io);
	error = await(client, &job, deadline);
	bool is_late = error == WEIR_ECANCELED || error == WEIR_ETIMEDOUT; /* and not what source or sink say */
	if (error < 0 && !give_up(client, &job) && is_late)
		error = 0;
	give_event(client, job.done);
	http_flow_end(&job.flow);
	if (error == 0)
		error = job.error;
	if (error < 0)
		http_response_fini(&response);
	else
		*ret_response = response;
	return error;
}

/* With the hosts held. */
static int fetch(struct http_client *client, const struct http_request *request, const struct parties *parties,
		 bool public_only, struct http_response *ret_response, weir_nsec deadline)
{
	const struct http_origin *to = parties->proxy ? &parties->proxy->origin : request->origin;
	struct http_host *dialled = parties->dialled;
	int error = to->numeric ? 0 : http_host_resolve(dialled, to->host, public_only && !parties->proxy, deadline);
	if (error == 0 && dialled->addresses && dialled->addresses->failure != HTTP_ANSWERED) {
		fail_unsent(ret_response, dialled->addresses, parties->proxy);
		return 0;
	}
	return error ? error : run_job(client, request, parties, ret_response, deadline);
}

/* Whose addresses are connected to.  Where only some requests may go to private ones, the public ones of a host have an
 * entry of their own. */
static struct http_host *find_dialled(struct http_client *client, const struct parties *parties, bool public_only)
{
	char key[sizeof "public " + sizeof(struct http_origin){0}.name];
	if (parties->proxy)
		return http_hosts_find(&client->hosts, parties->proxy->key);
	if (!public_only || client->opts.public_only)
		return parties->host;
	snprintf(key, sizeof key, "public %s", parties->host->name);
	return http_hosts_find(&client->hosts, key);
}

int http_client_fetch(struct http_client *client, const struct http_request *request,
		      struct http_response *ret_response, weir_nsec deadline)
{
	static const struct http_addresses closed = {.failure = HTTP_NOT_ALLOWED, .text = HTTP_PRIVATE};
	bool public_only = client->opts.public_only || (request->is_foreign && client->opts.public_foreign);
	struct parties parties = {.proxy = http_proxies_find(client->opts.proxies, request->origin)};
	/* Of a name that a proxy looks up nothing else is known. */
	if (public_only && !http_host_may_be_public(request->origin->host)) {
		fail_unsent(ret_response, &closed, NULL);
		return 0;
	}
	parties.host = http_hosts_find(&client->hosts, request->origin->name);
	if (!parties.host)
		return WEIR_ENOMEM;
	parties.host->users++;
	parties.dialled = find_dialled(client, &parties, public_only);
	int error = WEIR_ENOMEM;
	if (parties.dialled) {
		parties.dialled->users++;
		error = fetch(client, request, &parties, public_only, ret_response, deadline);
		parties.dialled->users--;
	}
	parties.host->users--;
	return error;
}

void http_client_figures(const struct http_client *client, struct http_figures *ret_figures)
{
	*ret_figures = (struct http_figures){.in_flight = client->running_count, .waiting = client->waiting_count};
	http_transfers_figures(client->transfers, ret_figures);
}

/* ---- life ---- */

static weir_nsec longer(weir_nsec a, weir_nsec b)
{
	return a > b ? a : b;
}

void http_client_defaults(struct http_client_options *opts)
{
	opts->in_flight = opts->in_flight ? opts->in_flight : 50;
	opts->expected = opts->expected ? opts->expected : opts->in_flight;
	opts->per_host = opts->per_host ? opts->per_host : opts->in_flight;
	opts->timeout = opts->timeout ? opts->timeout : 30 * WEIR_SEC;
	if (!opts->connect_timeout)
		opts->connect_timeout = longer(5 * WEIR_SEC, opts->timeout / 6);
	if (!opts->silence_timeout)
		opts->silence_timeout = longer(30 * WEIR_SEC, opts->timeout);
	opts->body_bytes = opts->body_bytes ? opts->body_bytes : (size_t)10 << 20;
	opts->header_bytes = opts->header_bytes ? opts->header_bytes : HTTP_HEADER_BYTES;
}

int http_client_new(const struct http_client_options *opts, struct http_client **ret_client)
{
	static const struct http_transfer_events events = {
		.heard = on_heard, .moved = on_moved, .stalled = on_stalled, .done = on_done};
	static const struct weir_spawn_options driver = {.name = "http", .stack_bytes = DRIVER_STACK};
	struct http_client *client = calloc(1, sizeof *client);
	if (!client)
		return WEIR_ENOMEM;
	client->opts = *opts;
	http_client_defaults(&client->opts);
	TAILQ_INIT(&client->pending);
	TAILQ_INIT(&client->drops);
	TAILQ_INIT(&client->connecting);
	TAILQ_INIT(&client->silent);
	TAILQ_INIT(&client->running);
	TAILQ_INIT(&client->settling);
	TAILQ_INIT(&client->served);
	TAILQ_INIT(&client->idle);
	int error = http_hosts_init(&client->hosts);
	if (error == 0)
		error = http_transfers_new(&client->opts, &events, &client->transfers);
	if (error == 0)
		error = weir_io_open(http_transfers_fd(client->transfers), &client->io);
	if (error == 0)
		error = weir_group_new(NULL, &client->group);
	if (error == 0)
		error = weir_group_spawn_with(client->group, &driver, drive, client, WEIR_FOREVER);
	if (error < 0) {
		http_client_free(client);
		return error;
	}
	client->opts.headers = NULL; /* copied, and not ours */
	*ret_client = client;
	return 0;
}

void http_client_free(struct http_client *client)
{
	if (!client)
		return;
	client->closing = true;
	if (client->group) {
		weir_io_wake(client->io);
		weir_shield_enter();
		weir_group_wait(client->group, WEIR_FOREVER);
		weir_shield_leave();
		weir_group_free(client->group);
	}
	http_hosts_fini(&client->hosts);
	weir_io_close(client->io);
	http_transfers_free(client->transfers); /* its descriptor after the weir_io */
	while (client->spare_event_count)
		weir_event_free(client->spare_events[--client->spare_event_count]);
	free(client->spare_events);
	free(client);
}
