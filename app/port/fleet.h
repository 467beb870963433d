/* SPDX-License-Identifier: MIT */
/*
 * What the workers at one queue say to each other.  Their broker, which is shared, meets all others about once a second
 * for each of them, whatever the worker does meanwhile; it sees who is dead (fleet/watch.h) and divides what is limited
 * (fleet/shares.h).
 *
 *     fleet_listener, the worker's, which the broker calls:   say()    its record, what it needs of each limit
 *                                                             hear()   what it is told
 *     fleet_ops, the broker's:                                look()   what all have said last, for who asks
 *                                                             tell()   settings for all, or that all shall stop
 *
 * The accounts of the run, and whether it has ended, are in counts() (queue.h), as of the last meeting.
 */
#ifndef PORT_FLEET_H
#define PORT_FLEET_H

#include "data/buf.h"
#include "fleet/shares.h"

#include <stdbool.h>
#include <stdint.h>
#include <weir/base.h>

struct broker;

/* A limit that holds for all workers together.  The worker sets the name, which is the same for all, what is in use,
 * and of the share capacity and needs, at any time; what it may use is fleet_share_now().  All else of the share is the
 * broker's, which ends all shares before it leaves the others. */
struct fleet_limit {
	char name[128];
	uint64_t in_use; /* of what it had before, where that is more than the share: the others may not have it yet */
	struct fleet_share share;
};

struct fleet_news {
	size_t workers;       /* that are alive, with this one */
	const char *settings; /* of tell(): a JSON object; NULL: as they were at the last meeting */
	const char *stop;     /* all shall stop, for this reason; NULL: no */
	bool is_new;          /* this worker was taken for dead, lost what it held, and has joined under another name */
	const struct weir_error *failed; /* the run is not there any more, which every call says from now on; NULL */
	const struct weir_error *away;   /* the broker has not answered for a while, for this reason, and knows nothing
					    else; NULL: it answers */
};

/* Neither call suspends.  The first ones come before begin() returns, the last ones before close() does. */
struct fleet_listener {
	/* Appends a JSON object to the record, and answers its limits (*ret_n: how many), which stay where they are
	 * until the next call.  Limits that are not among them any more are given up. */
	struct fleet_limit *(*say)(void *arg, struct buf *record, size_t *ret_n);
	void (*hear)(void *arg, const struct fleet_news *news);
	void *arg;
};

/* A worker as others see it. */
struct fleet_worker {
	char *name;
	char *record;     /* as it said last */
	weir_nsec silent; /* since then; on the broker's clock, so only for people */
};

struct fleet_view {
	struct fleet_worker *workers; /* by name, which says the order in which they came */
	size_t n;
	char *settings; /* NULL: none */
	char *stop;     /* why all were last told to stop; NULL: they were not */
};

void fleet_view_fini(struct fleet_view *view); /* all zero is fine */

/* What is told to all workers; NULL: nothing of that. */
struct fleet_order {
	const char *settings; /* a JSON object in place of the last; also for workers that join later */
	const char *stop;     /* a reason, for those that are there now */
};

/* Both also before begin().  With WEIR_EBUSY try again later. */
struct fleet_ops {
	int (*look)(struct broker *broker, struct fleet_view *ret_view, struct weir_error *err, weir_nsec deadline);

	/* WEIR_ENOENT: there is no run. */
	int (*tell)(struct broker *broker, const struct fleet_order *order, struct weir_error *err, weir_nsec deadline);
};

#endif
