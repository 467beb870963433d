/* SPDX-License-Identifier: MIT */
/*
 * The client's limits of time.  Every list of jobs is in the order of the time that matters to it (start, last byte),
 * so each limit is checked at the head of one list and costs nothing per request.
 */
#include "http/job.h"

#include "http/proxy.h"
#include <stdio.h>
#include <weir/run.h>

static void stop_late(struct http_job *job, enum http_clock clock, weir_nsec limit)
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
	http_job_leave(job);
}

static weir_nsec earlier(weir_nsec a, weir_nsec b)
{
	return a == WEIR_FOREVER || (b != WEIR_FOREVER && b < a) ? b : a;
}

weir_nsec http_clocks_check(struct http_client *client)
{
	const struct http_client_options *opts = &client->opts;
	const weir_nsec now = weir_now();
	weir_nsec next = http_lanes_settle(client);
	struct http_job *job;
	while ((job = TAILQ_FIRST(&client->connecting)) && job->started + opts->connect_timeout <= now)
		stop_late(job, HTTP_CLOCK_CONNECT, opts->connect_timeout);
	if (job)
		next = earlier(next, job->started + opts->connect_timeout);
	while ((job = TAILQ_FIRST(&client->silent)) && job->heard + opts->silence_timeout <= now)
		stop_late(job, HTTP_CLOCK_SILENCE, opts->silence_timeout);
	if (job)
		next = earlier(next, job->heard + opts->silence_timeout);
	while ((job = TAILQ_FIRST(&client->running)) && job->started + opts->timeout <= now)
		stop_late(job, HTTP_CLOCK_TOTAL, opts->timeout);
	if (job)
		next = earlier(next, job->started + opts->timeout);
	return next;
}
