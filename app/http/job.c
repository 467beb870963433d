/* SPDX-License-Identifier: MIT */
#include "http/job.h"

#include <weir/event.h>

void http_job_done(struct http_job *job)
{
	job->state = JOB_DONE;
	weir_event_set(job->done);
}

void http_job_leave(struct http_job *job)
{
	struct http_client *client = job->client;
	TAILQ_REMOVE(&client->running, job, age);
	TAILQ_REMOVE(job->connected ? &client->silent : &client->connecting, job, quiet);
	if (job->is_served)
		TAILQ_REMOVE(&client->served, job, ready);
	client->running_count--;
	client->connecting_count -= !job->connected;
	http_lanes_give(client, job->transfer);
	job->host->in_flight--;
	http_lanes_left(job);
	http_job_done(job);
}
