/* SPDX-License-Identifier: MIT */
/*
 * The port of brokers: a queue of items (queue.h), and the journal of the run that they belong to (journal.h).  Several
 * processes may have the same broker open, one that reads the source and others that work, if it says that it can be
 * shared.  All calls of one belong on fibers of one loop.
 */
#ifndef PORT_BROKER_H
#define PORT_BROKER_H

#include "port/fleet.h"
#include "port/journal.h"
#include "port/queue.h"

/* How exact it is when processes die. */
enum broker_exactness {
	BROKER_FORGETS, /* what it holds goes with the process */
	BROKER_ALONE,   /* one process at a time has it: what is not settled is there again, and nothing else */
	BROKER_SHARED,  /* several have it: an item may go to another one while who held it still writes its outputs */
};

struct broker_options {
	const char *name;      /* of the pipeline */
	const char *folder;    /* the state folder; NULL: there is none */
	const char *owner;     /* of the leases: a name that no other process has */
	size_t capacity_items; /* most items in memory, of any kind; to begin with … */
	size_t most_items;     /* … and at most, see grow(); 0: it stays */
	size_t capacity_bytes; /* most bytes of their sources in memory; one item may always be there */

	/* How urgent an item is: its class, 0 is the most urgent.  NULL: they are handed out as they came.  Else those
	 * in memory are handed out by class, and every `aging` of waiting makes an item one class more urgent. */
	int64_t (*class_of)(void *arg, const struct item *item);
	void *arg;
	weir_nsec aging; /* 0: 5 s */

	/* Whether there is no room for retries at the moment: then what is fresh goes before items that have used up an
	 * attempt.  NULL: there always is. */
	bool (*fresh_first)(void *arg);

	/* For who keeps the order of the items, NULL: nobody does.  came: the item is in memory from now on; items come
	 * in the order in which they were put.  only: the one item that may be handed out now; NULL: any.  When that
	 * has changed look() (queue.h) is called. */
	void (*came)(void *arg, struct item *item);
	const struct item *(*only)(void *arg);

	const struct fleet_listener *fleet; /* NULL: nobody says or hears anything; also where nobody else is */

	/* Where a broker outside of memory records how long each of its round trips takes: a transaction, a call.
	 * NULL: nobody wants to know. */
	struct weir_histogram *trip_ns;
};

struct broker_ops {
	enum broker_exactness exactness;
	struct queue_ops queue;
	struct journal_ops journal;
	const struct fleet_ops *fleet; /* NULL: it is not shared */

	/* Of a broker with a server: WEIR_EBUSY: it answers, and has no time yet, as when it reads its data after a
	 * start; WEIR_ENOENT: nobody is there.  Suspends. */
	int (*open)(const void *config, const struct broker_options *opts, struct broker **ret_broker,
		    struct weir_error *err);

	/* What open() and then recall() would answer, without writing; the folder, which is held by the caller, may be
	 * NULL: there is none yet.  May suspend.  NULL: they need nothing. */
	int (*probe)(const void *config, const char *folder, struct broker_past *ret_past, struct weir_error *err);

	/* Contract: nothing is leased, no call under way.  Stores what is not yet, shielded; what is left in a broker
	 * that forgets is freed.  0 or the failure; the broker is gone in both cases. */
	int (*close)(struct broker *broker, struct weir_error *err);
};

#endif
