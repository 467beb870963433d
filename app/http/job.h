/* SPDX-License-Identifier: MIT */
/* A request in the client, and what client.c, lanes.c and clocks.c share.  All of it belongs to the driver fiber, but
 * that a caller queues its job. */
#ifndef HTTP_JOB_H
#define HTTP_JOB_H

#include "http/client.h"
#include "http/flow.h"
#include "http/host.h"
#include "http/transfer.h"

enum http_job_state {
	JOB_PENDING,
	JOB_WAITING, /* at its host */
	JOB_RUNNING,
	JOB_DONE
};

struct http_job {
	TAILQ_ENTRY(http_job) queue;  /* pending, the host's waiting, or the client's drops */
	TAILQ_ENTRY(http_job) quiet;  /* connecting or silent */
	TAILQ_ENTRY(http_job) age;    /* running */
	TAILQ_ENTRY(http_job) lane;   /* the host's opening */
	TAILQ_ENTRY(http_job) settle; /* settling */
	TAILQ_ENTRY(http_job) ready;  /* served: its flow, and to be resumed */
	struct http_client *client;
	enum http_job_state state;
	bool connected;
	bool answering; /* a byte of the answer has come */
	bool opening, settling;
	bool is_served; /* it is in that list */
	int error;      /* WEIR_ENOMEM: the run could not be started */
	weir_nsec started, heard;
	const struct http_request *request;
	struct http_response *response;
	struct http_flow flow;
	struct http_host *host,
		*dialled; /* whose it is, and whose addresses are connected to: a proxy's, or the same */
	struct http_route route;
	struct http_transfer *transfer;
	struct weir_event *done; /* or its flow is to be served */
};

struct http_client {
	struct http_client_options opts;
	struct http_transfers *transfers;
	struct weir_io *io;
	struct weir_group *group;
	bool closing;
	struct http_hosts hosts;
	struct http_jobs pending, drops, connecting, silent, running, served;
	struct http_jobs settling; /* those of all hosts' opening that are connected */
	size_t waiting_count, running_count, connecting_count, transfer_count;
	struct http_transfer_list idle; /* all that are idle, longest first */
	struct weir_event **spare_events;
	size_t spare_event_count, spare_event_room;
};

/* ---- job.c */

/* Wakes the caller, to whom the job belongs from now on. */
void http_job_done(struct http_job *job);

/* The job's transfer has let go of it: out of the lists, and done. */
void http_job_leave(struct http_job *job);

/* ---- lanes.c */

/* Whether the host has room for another request: it is not at its limit, and no connection is being made that this one
 * may share. */
bool http_lanes_have_room(const struct http_client *client, const struct http_host *host);

/* A transfer for a request to the host, out of the lists; NULL if out of memory.  Contract: there is room. */
struct http_transfer *http_lanes_take(struct http_client *client, struct http_host *host);
void http_lanes_give(struct http_client *client, struct http_transfer *transfer);

/* Moves the job that has waited longest at the host to the front of those to be started, if there is room for it. */
void http_lanes_next(struct http_client *client, struct http_host *host);

/* What has happened to a running job: it was pushed; it has heard something, for the first time of its connection; or
 * it leaves. */
void http_lanes_pushed(struct http_job *job);
void http_lanes_heard(struct http_job *job);
void http_lanes_left(struct http_job *job);

/* Ends the time in which connections settle, where it is over; returns when the next will be, or WEIR_FOREVER. */
weir_nsec http_lanes_settle(struct http_client *client);

/* ---- clocks.c */

/* Ends what is over one of its limits; returns when the next will be, or WEIR_FOREVER. */
weir_nsec http_clocks_check(struct http_client *client);

#endif
