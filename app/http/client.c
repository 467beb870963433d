/* SPDX-License-Identifier: MIT */
/*
 * The client: requests of many fibers, one driver fiber.
 *
 *     fetch() --> pending --> connecting --> silent ... --> done: the caller's event
 *                    \            \_____________/
 *                     host->waiting    running (all that were started)
 *
 * A job lives on its caller's stack.  The driver takes pending jobs in order; one whose host is at its limit waits at
 * the host.  Every list is in the order of the time that matters to it (start, last byte), so that each limit is
 * checked at the head of one list and costs nothing per request.
 *
 * A request goes to the transfer that last spoke to its host, last in first out: its shard has an idle connection to
 * that host.  One whose connection was closed after its answer comes last of them: a server that refuses new
 * connections closes them, and would be asked by nobody else while the good ones lie idle and fill it up.  Next best is
 * one that belongs to no host, a new one, then the one that has been idle longest.
 *
 * A caller that is cancelled asks the driver to drop its job and waits, shielded, until it did: libcurl has pointers
 * into the caller's memory.
 */
#include "http/client.h"

#include "data/array.h"
#include "http/host.h"
#include "http/origin.h"
#include "http/proxy.h"
#include "http/transfer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/event.h>
#include <weir/group.h>
#include <weir/io.h>

#define DRIVER_STACK    ((size_t)256 * 1024)
#define MOST_CONNECTING 1000 /* a quarter of what a listening socket queues */

enum http_job_state { JOB_PENDING, JOB_WAITING, JOB_RUNNING, JOB_DONE };

struct http_job {
	TAILQ_ENTRY(http_job) queue; /* pending, the host's waiting, or the client's drops */
	TAILQ_ENTRY(http_job) quiet; /* connecting or silent */
	TAILQ_ENTRY(http_job) age;   /* running */
	struct http_client *client;
	enum http_job_state state;
	bool connected;
	bool answering; /* a byte of the answer has come */
	int error;      /* WEIR_ENOMEM: the run could not be started */
	weir_nsec started, heard;
	const struct http_request *request;
	struct http_response *response;
	struct http_host *host,
		*dialled; /* whose it is, and whose addresses are connected to: a proxy's, or the same */
	struct http_route route;
	struct http_transfer *transfer;
	struct weir_event *done;
};

TAILQ_HEAD(http_jobs, http_job);

struct http_client {
	struct http_client_options opts;
	struct http_transfers *transfers;
	struct weir_io *io;
	struct weir_group *group;
	bool closing;
	struct http_hosts hosts;
	struct http_jobs pending, drops, connecting, silent, running;
	size_t waiting_count, running_count, connecting_count, transfer_count;
	struct http_transfer_list idle; /* all that are idle, longest first */
	struct weir_event **spare_events;
	size_t spare_event_count, spare_event_room;
};

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

static struct http_transfer *take_transfer(struct http_client *client, struct http_host *host)
{
	struct http_transfer *transfer = TAILQ_FIRST(&host->idle);
	if (!transfer && !(transfer = TAILQ_FIRST(&client->hosts.spare)) &&
	    client->transfer_count < client->opts.in_flight) {
		if (http_transfer_new(client->transfers, &transfer) < 0)
			return NULL;
		client->transfer_count++;
		transfer->host = host;
		return transfer;
	}
	if (!transfer)
		transfer = TAILQ_FIRST(&client->idle);
	struct http_host *last = transfer->host;
	TAILQ_REMOVE(last ? &last->idle : &client->hosts.spare, transfer, same_host);
	TAILQ_REMOVE(&client->idle, transfer, idle);
	transfer->host = host;
	return transfer;
}

static void give_transfer(struct http_client *client, struct http_transfer *transfer)
{
	struct http_host *host = transfer->host;
	transfer->job = NULL;
	if (transfer->closed)
		TAILQ_INSERT_TAIL(&host->idle, transfer, same_host);
	else
		TAILQ_INSERT_HEAD(&host->idle, transfer, same_host);
	TAILQ_INSERT_TAIL(&client->idle, transfer, idle);
}

static void job_done(struct http_job *job)
{
	job->state = JOB_DONE;
	weir_event_set(job->done);
}

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
		job_done(job);
		return;
	}
	struct http_transfer *transfer = take_transfer(client, job->host);
	if (!transfer) {
		job->error = WEIR_ENOMEM;
		job_done(job);
		return;
	}
	job->route.addresses = addresses ? addresses->text : NULL;
	job->route.alone = job->host->is_messy;
	job->route.offers_2 = client->opts.http2 && !job->host->is_1_1;
	job->error = http_transfer_start(transfer, job->request, &job->route, job->response);
	if (job->error < 0) {
		give_transfer(client, transfer);
		job_done(job);
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
}

static bool can_start(const struct http_client *client)
{
	return !TAILQ_EMPTY(&client->pending) && client->connecting_count < MOST_CONNECTING &&
	       client->running_count < client->opts.in_flight;
}

static void start_pending(struct http_client *client)
{
	while (can_start(client)) {
		struct http_job *job = TAILQ_FIRST(&client->pending);
		TAILQ_REMOVE(&client->pending, job, queue);
		if (job->host->in_flight < client->opts.per_host) {
			client->waiting_count--;
			start_job(client, job);
			continue;
		}
		job->state = JOB_WAITING;
		TAILQ_INSERT_TAIL(&job->host->waiting, job, queue);
	}
}

/* The job's transfer has let go of it. */
static void leave_running(struct http_client *client, struct http_job *job)
{
	TAILQ_REMOVE(&client->running, job, age);
	TAILQ_REMOVE(job->connected ? &client->silent : &client->connecting, job, quiet);
	client->running_count--;
	client->connecting_count -= !job->connected;
	give_transfer(client, job->transfer);

	struct http_host *host = job->host;
	host->in_flight--;
	struct http_job *next = TAILQ_FIRST(&host->waiting);
	if (next) {
		TAILQ_REMOVE(&host->waiting, next, queue);
		next->state = JOB_PENDING;
		TAILQ_INSERT_HEAD(&client->pending, next, queue);
	}
	job_done(job);
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
	leave_running(job->client, job);
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
		leave_running(client, job);
	}
}

static void stop_late(struct http_client *client, struct http_job *job, enum http_clock clock, weir_nsec limit)
{
	static const char *const words[] = {
		[HTTP_CLOCK_CONNECT] = "no connection in",
		[HTTP_CLOCK_SILENCE] = "no first byte in",
		[HTTP_CLOCK_TOTAL] = "no complete answer in",
	};
	const struct http_proxy *proxy = job->connected ? NULL : job->route.proxy;
	char detail[160];
	bool whole = limit % WEIR_SEC == 0, silent = clock == HTTP_CLOCK_SILENCE && job->answering;
	snprintf(detail, sizeof detail, "%s %lld %s%s%.80s", silent ? "no byte for" : words[clock],
		 (long long)(limit / (whole ? WEIR_SEC : WEIR_MSEC)), whole ? "s" : "ms",
		 proxy ? " through the proxy " : "", proxy ? proxy->name : "");
	http_transfer_stop(job->transfer, HTTP_TIMEOUT, detail);
	job->response->clock = clock;
	if (!job->connected)
		job->dialled->fresh_until = 0;
	leave_running(client, job);
}

/* Ends what is over one of its limits; returns when the next will be, or WEIR_FOREVER. */
static weir_nsec check_clocks(struct http_client *client)
{
	const struct http_client_options *opts = &client->opts;
	const weir_nsec now = weir_now();
	weir_nsec next = WEIR_FOREVER;
	struct http_job *job;
	while ((job = TAILQ_FIRST(&client->connecting)) && job->started + opts->connect_timeout <= now)
		stop_late(client, job, HTTP_CLOCK_CONNECT, opts->connect_timeout);
	if (job)
		next = job->started + opts->connect_timeout;
	while ((job = TAILQ_FIRST(&client->silent)) && job->heard + opts->silence_timeout <= now)
		stop_late(client, job, HTTP_CLOCK_SILENCE, opts->silence_timeout);
	if (job && (next == WEIR_FOREVER || job->heard + opts->silence_timeout < next))
		next = job->heard + opts->silence_timeout;
	while ((job = TAILQ_FIRST(&client->running)) && job->started + opts->timeout <= now)
		stop_late(client, job, HTTP_CLOCK_TOTAL, opts->timeout);
	if (job && (next == WEIR_FOREVER || job->started + opts->timeout < next))
		next = job->started + opts->timeout;
	return next;
}

static int drive(void *arg)
{
	struct http_client *client = arg;
	while (!client->closing) {
		drop_canceled(client);
		start_pending(client);
		http_transfers_run(client->transfers);
		weir_nsec clocks = check_clocks(client), due = http_transfers_deadline(client->transfers);
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
	int error = take_event(client, &job.done);
	if (error < 0)
		return error;
	TAILQ_INSERT_TAIL(&client->pending, &job, queue);
	client->waiting_count++;
	weir_io_wake(client->io);
	error = weir_event_wait(job.done, deadline);
	if (error < 0 && !give_up(client, &job))
		error = 0;
	give_event(client, job.done);
	if (error == 0)
		error = job.error;
	if (error < 0)
		http_response_fini(&response);
	else
		*ret_response = response;
	return error;
}

/* Through a proxy a name is the proxy's to look up: of those that are private only this one is known. */
static bool is_closed(const struct http_origin *origin, const struct http_proxy *proxy)
{
	const char *below = proxy ? strstr(origin->host, "localhost") : NULL;
	if (origin->numeric)
		return !http_address_text_is_public(origin->host);
	return below && !strcmp(below, "localhost") && (below == origin->host || below[-1] == '.');
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

int http_client_fetch(struct http_client *client, const struct http_request *request,
		      struct http_response *ret_response, weir_nsec deadline)
{
	static const struct http_addresses closed = {
		.failure = HTTP_NOT_ALLOWED, .text = "the host has a private address; --allow-private permits it"};
	bool public_only = client->opts.public_only || (request->is_foreign && client->opts.public_foreign);
	struct parties parties = {.proxy = http_proxies_find(client->opts.proxies, request->origin)};
	if (public_only && is_closed(request->origin, parties.proxy)) {
		fail_unsent(ret_response, &closed, NULL);
		return 0;
	}
	parties.host = http_hosts_find(&client->hosts, request->origin->name);
	if (!parties.host)
		return WEIR_ENOMEM;
	parties.host->users++;
	parties.dialled = parties.proxy ? http_hosts_find(&client->hosts, parties.proxy->key) : parties.host;
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
	static const struct http_transfer_events events = {.heard = on_heard, .done = on_done};
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
