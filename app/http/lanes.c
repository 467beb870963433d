/* SPDX-License-Identifier: MIT */
/*
 * Which transfer carries a request, and when it may: as few connections as the requests to a host need.
 *
 * A request goes to the transfer that last spoke to its host, last in first out: its shard has a connection to that
 * host.  One whose connection was closed after its answer comes last of them: a server that refuses new connections
 * closes them, and would be asked by nobody else while the good ones lie idle and fill it up.  Next best is one that
 * belongs to no host, a new one, then the one that has been idle longest.
 *
 * A connection of HTTP/2 carries the requests of many transfers of its shard.  libcurl 7.88 makes mistakes when
 * requests come while it is made: they are sent before it is ready, or more of them than the server will say it takes.
 * So each is pushed to libcurl by itself, and one that was not sent immediately is opening a connection:
 *
 *     push --> not sent: opening --> connected: settling --> first byte, or SETTLE_TIME: others of the shard may go
 *                                             \--> it speaks 1.1: HTTP/2 is not offered to this host any more
 *
 * Meanwhile a request to that host goes only to an idle transfer of another shard, or waits.  The server's limit comes
 * before its first answer; with that libcurl opens a further connection where the first is full, and does so for one
 * that the server wants to close.  A host that has not been asked yet is asked once.
 */
#include "http/job.h"

#include <weir/run.h>

#define SETTLE_TIME (100 * WEIR_MSEC)

static bool is_beside_opening(const struct http_host *host, const struct http_transfer *transfer)
{
	const struct http_job *job = TAILQ_FIRST(&host->opening);
	while (job && !http_transfer_is_beside(job->transfer, transfer))
		job = TAILQ_NEXT(job, lane);
	return job;
}

static struct http_transfer *find_idle(const struct http_host *host)
{
	struct http_transfer *transfer = TAILQ_FIRST(&host->idle);
	if (TAILQ_EMPTY(&host->opening))
		return transfer;
	while (transfer && is_beside_opening(host, transfer))
		transfer = TAILQ_NEXT(transfer, same_host);
	return transfer;
}

bool http_lanes_have_room(const struct http_client *client, const struct http_host *host)
{
	return host->in_flight < client->opts.per_host && (TAILQ_EMPTY(&host->opening) || find_idle(host));
}

struct http_transfer *http_lanes_take(struct http_client *client, struct http_host *host)
{
	struct http_transfer *transfer = find_idle(host);
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

void http_lanes_give(struct http_client *client, struct http_transfer *transfer)
{
	struct http_host *host = transfer->host;
	transfer->job = NULL;
	if (transfer->closed)
		TAILQ_INSERT_TAIL(&host->idle, transfer, same_host);
	else
		TAILQ_INSERT_HEAD(&host->idle, transfer, same_host);
	TAILQ_INSERT_TAIL(&client->idle, transfer, idle);
}

void http_lanes_next(struct http_client *client, struct http_host *host)
{
	struct http_job *job = TAILQ_FIRST(&host->waiting);
	if (!job || host->next || !http_lanes_have_room(client, host))
		return;
	TAILQ_REMOVE(&host->waiting, job, queue);
	job->state = JOB_PENDING;
	TAILQ_INSERT_HEAD(&client->pending, job, queue);
	host->next = job;
}

/* ---- connections that others may share */

static void end_opening(struct http_job *job)
{
	if (!job->opening)
		return;
	job->opening = false;
	TAILQ_REMOVE(&job->host->opening, job, lane);
	if (job->settling)
		TAILQ_REMOVE(&job->client->settling, job, settle);
	http_lanes_next(job->client, job->host);
}

void http_lanes_pushed(struct http_job *job)
{
	if (!job->route.offers_2 || job->transfer->sent)
		return;
	job->opening = true;
	TAILQ_INSERT_TAIL(&job->host->opening, job, lane);
}

void http_lanes_heard(struct http_job *job)
{
	if (job->route.offers_2 && !job->transfer->shares)
		job->host->is_1_1 = true;
	if (!job->opening)
		return;
	if (job->answering || !job->transfer->shares) {
		end_opening(job);
	} else if (!job->settling) {
		job->settling = true;
		TAILQ_INSERT_TAIL(&job->client->settling, job, settle);
	}
}

void http_lanes_left(struct http_job *job)
{
	end_opening(job);
	http_lanes_next(job->client, job->host);
}

weir_nsec http_lanes_settle(struct http_client *client)
{
	struct http_job *job;
	while ((job = TAILQ_FIRST(&client->settling)) && job->heard + SETTLE_TIME <= weir_now())
		end_opening(job);
	return job ? job->heard + SETTLE_TIME : WEIR_FOREVER;
}
