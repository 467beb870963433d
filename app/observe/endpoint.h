/* SPDX-License-Identifier: MIT */
/*
 * The HTTP endpoint of a run: pages that the loop has published, served by a thread of its own.  So it answers while
 * the loop is stalled, and no reader, slow or silent, slows the run.
 *
 *     GET /metrics          Prometheus text or, if asked for by Accept, OpenMetrics
 *     GET /api/v1/status    the figures of the run, as JSON
 *     GET /api/v1/history   what it has done: ?step=1s, 1m (default) or 1h, and ?since=SECONDS since 1970
 *     GET /events           the same as server-sent events, one each time they are published
 *     GET /healthz          200 while the process lives
 *     GET /readyz           200, or 503 with the reason
 *
 * A reader that is slower than the run skips what it missed.  At most ENDPOINT_CONNECTIONS are open at a time; one more
 * closes the one that has been silent for longest.  access.h says who may read.
 */
#ifndef OBSERVE_ENDPOINT_H
#define OBSERVE_ENDPOINT_H

#include "observe/history.h"

#include <stddef.h>
#include <weir/base.h>

enum { ENDPOINT_CONNECTIONS = 64, ENDPOINT_STREAMS = 32 };

enum endpoint_page {
	ENDPOINT_TEXT,        /* of /metrics */
	ENDPOINT_OPENMETRICS, /* of /metrics */
	ENDPOINT_STATUS,      /* of /api/v1/status and /events: one line */
	ENDPOINT_PAGES
};

struct endpoint;

struct endpoint_options {
	const char *listen;            /* "127.0.0.1:9464", "[::1]:0": an address and a port; 0: any */
	const char *token;             /* borrowed; NULL: none is asked for */
	const struct history *history; /* borrowed; NULL: none is kept */
	weir_nsec stall;               /* the loop counts as stalled when it has published nothing for so long */
};

/* Starts listening and answering.  If the port is taken another one is used (see endpoint_url()).  Until the first
 * publication /readyz says "starting" and the pages are empty.  Signals that the caller has blocked stay blocked in the
 * thread.  WEIR_EINVAL for what is no address, WEIR_ENOMEM, or what the system says.  Does not suspend. */
int endpoint_start(const struct endpoint_options *opts, struct endpoint **ret_endpoint, struct weir_error *err);

/* "http://127.0.0.1:40123", valid as long as the endpoint. */
const char *endpoint_url(const struct endpoint *endpoint);

/* Replaces a page by a copy of the text.  From one thread.  Waits for no reader and does not suspend.  WEIR_ENOMEM: the
 * page stays as it was. */
int endpoint_publish(struct endpoint *endpoint, enum endpoint_page page, const char *text, size_t n);

/* Says that the loop turns; and why the run is not ready, NULL: it is.  The text is copied and cut at 200 bytes. */
void endpoint_beat(struct endpoint *endpoint, const char *not_ready);

/* Ends the connections and the thread, and frees it all.  Blocks for a moment.  NULL is fine. */
void endpoint_stop(struct endpoint *endpoint);

#endif
