/* SPDX-License-Identifier: MIT */
/*
 * The queue of a broker: where accepted items wait, for a worker, for their next attempt, for the sink's commit.
 *
 *     put -> ready -> lease -> leased -> ack             gone: succeeded, dropped, or a dead letter kept elsewhere
 *              ^                  |----> bury            gone: a dead letter that the broker keeps
 *              |                  |----> nack(wait)      waits so long, then ready again
 *              '------------------'
 *
 * An item is the broker's from put to lease, the caller's from lease to ack, bury or nack, by pointer; a broker that
 * stores items elsewhere makes a new struct at lease.  Its id is the one it was given at put, also in another process,
 * and never names another item of the run.
 *
 * A lease belongs to the owner that the broker was opened for (broker.h), and the broker keeps it as long as that one
 * lives.  It can be lost all the same: another process may take this one for dead.  Then holds() says so, and whatever
 * is said of the item has no effect and succeeds: who removes an item from the queue has decided what became of it.
 *
 * Each call with a deadline may suspend and may fail.  WEIR_ENOSPC, WEIR_EBUSY, WEIR_EAGAIN: try again later; what was
 * given is still the caller's after any failure, and err->text says more unless cancelled or closed.  A durable broker
 * has stored what put(), extend() and ack() were given when they return; the others may return before that, and what
 * they were given is stored, in order, with the next.
 */
#ifndef PORT_QUEUE_H
#define PORT_QUEUE_H

#include "port/item.h"
#include "port/source.h"

struct broker; /* a handle: each adapter casts it to its own struct */

/* Most items of a put, of any broker. */
#define BROKER_PUT_MAX ((size_t)4096)

/* Where what becomes of items goes: the sinks; each has a position of its own. */
enum broker_outlet { OUTLET_SINK, OUTLET_DEAD, OUTLETS };

/* Items of the source, over all runs of this pipeline since it was begun.  unfinished = read - the others. */
struct broker_accounts {
	uint64_t read, succeeded, dropped, dead;
};

static inline uint64_t broker_unfinished_of(const struct broker_accounts *accounts)
{
	return accounts->read - accounts->succeeded - accounts->dropped - accounts->dead;
}

/* Counts what became of n items. */
static inline void broker_count(struct broker_accounts *accounts, enum fate fate, uint64_t n)
{
	*(fate == FATE_SUCCEEDED ? &accounts->succeeded
	  : fate == FATE_DROPPED ? &accounts->dropped
				 : &accounts->dead) += n;
}

/* What is inside, as far as this process has heard. */
struct broker_counts {
	struct broker_accounts accounts;
	uint64_t ready, leased, waiting; /* waiting: for the time of their next attempt */
	uint64_t letters;                /* dead letters that it keeps */
	uint64_t stored_bytes;           /* on disk, as far as it is bounded by max_size; 0: nothing is stored */
	double filled;                   /* the share of its room that is in use, 0 to 1; 0: it has no bound */
	uint64_t reaped;                 /* leases of workers that were dead, which this one gave back to all */
	uint64_t fenced;                 /* leases that this one lost, since others took it for dead */
	bool degraded;                   /* the disk is full: nothing is taken until there is room */
	bool sealed;                     /* of a broker that is shared: nothing more is put */
	bool ended;                      /* nothing more is put, and all is settled */
};

/* What came of put(), seal() and begin(), other than 0 and failure. */
enum { BROKER_MOVED = 1 };

struct queue_ops {
	size_t put_most; /* items of a put: BROKER_PUT_MAX or less */

	/* Takes all n items over, together with the source's cursor after the last of them, or
	 * none of them.  Suspends while it is full.  WEIR_ECANCELED, WEIR_ECLOSED.  BROKER_MOVED, of a broker that
	 * several put to: the cursor is not `was` any more, recall() says where it is. */
	int (*put)(struct broker *broker, struct item *const *items, size_t n, const struct source_cursor *was,
		   const struct source_cursor *cursor, struct weir_error *err, weir_nsec deadline);

	/* Nothing more will be put: once all is settled, lease answers WEIR_ECLOSED.  BROKER_MOVED as of put(). */
	int (*seal)(struct broker *broker, struct weir_error *err, weir_nsec deadline);

	/* Hands out up to max items that are ready or due, oldest (most urgent) first, 1 at least: their number.  One
	 * that came back keeps the place that it had, and has its attempts, why, record and times, on this process'
	 * clock (item_set_ages()): it has aged meanwhile.  WEIR_ECLOSED when sealed and empty, or after stop();
	 * WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED. */
	int (*lease)(struct broker *broker, struct item **ret_items, size_t max, struct weir_error *err,
		     weir_nsec deadline);

	/* The item stays the caller's; its attempts, why and record are kept: if this process dies, it comes back with
	 * these.  NULL: nothing outlives the process. */
	int (*extend)(struct broker *broker, struct item *item, struct weir_error *err, weir_nsec deadline);

	/* Whether the lease is still the caller's, as far as is known here.  Does not suspend.  NULL: always. */
	bool (*holds)(const struct broker *broker, const struct item *item);

	/* What became of these items (item->fate) is durable elsewhere: accounts for them, forgets and frees them, and
	 * keeps the outlet's position (NULL: as it was). */
	int (*ack)(struct broker *broker, struct item *const *items, size_t n, enum broker_outlet outlet,
		   const struct value *position, struct weir_error *err, weir_nsec deadline);

	/* Takes the item back for so long; 0 or less: it is ready.  What lease() gives with it is kept as it stands in
	 * the item. */
	int (*nack)(struct broker *broker, struct item *item, weir_nsec wait, struct weir_error *err,
		    weir_nsec deadline);

	/* The item is a dead letter (item->why, item->evidence): keeps it as one.  NULL: it cannot keep any. */
	int (*bury)(struct broker *broker, struct item *item, struct weir_error *err, weir_nsec deadline);

	/* From now on lease answers WEIR_ECLOSED and put, too; what is leased can still be settled.  Does not suspend.
	 */
	void (*stop)(struct broker *broker);

	/* From now on so many items may be in memory, most_items at most; never fewer than before.  Does not suspend.
	 */
	void (*grow)(struct broker *broker, size_t capacity_items);

	/* What broker_options.only answers may be another item now, or any: lease looks again.  Does not suspend. NULL,
	 * of a broker that is shared: it does not ask. */
	void (*look)(struct broker *broker);

	/* Does not suspend, and need not be exact; not for each item. */
	void (*counts)(const struct broker *broker, struct broker_counts *ret_counts);
};

#endif
