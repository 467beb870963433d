/* SPDX-License-Identifier: MIT */
/*
 * The port of brokers: where accepted items wait, for a worker, for their next attempt, for the sink's commit.
 *
 *     put -> ready -> lease -> leased -> ack             gone: succeeded, dropped, or a dead letter kept elsewhere
 *              ^                  |----> bury            gone: a dead letter that the broker keeps
 *              |                  |----> nack(due, why)  waits until due, then ready again
 *              '------------------'
 *
 * An item is the broker's from put to lease, the caller's from lease to ack, bury or nack, by pointer; a broker that
 * stores items elsewhere makes a new struct at lease.  A durable broker has stored what put() and ack() were given when
 * they return; nack() and bury() return before that, and what they were given is stored, in order, with the next.
 *
 * A durable broker also remembers the run: where its source stands, where its sinks stand, its accounts.  Between
 * open() and start() nothing is handed out and nothing taken; recall() says what is known of an earlier run, start()
 * begins or goes on.  All calls belong on fibers of one loop.
 */
#ifndef PORT_BROKER_H
#define PORT_BROKER_H

#include "port/buf.h"
#include "port/item.h"
#include "port/source.h"

struct broker; /* an adapter's own */

/* Most items of a put. */
#define BROKER_PUT_MAX ((size_t)256)

/* The lanes to sinks; each has a position of its own. */
enum broker_lane { LANE_SINK, LANE_DEAD, LANES };

/* Items of the source, over all runs of this pipeline since it was begun.  unfinished = read - the others. */
struct broker_accounts {
	uint64_t read, succeeded, dropped, dead;
};

/* What is inside at this moment. */
struct broker_counts {
	uint64_t ready, leased, waiting; /* waiting: for the time of their next attempt */
	uint64_t letters;                /* dead letters that it keeps */
	uint64_t stored_bytes;           /* on disk, as far as it is bounded by max_size; 0: nothing is stored */
	bool degraded;                   /* the disk is full: nothing is taken until there is room */
};

struct broker_options {
	const char *folder;    /* the state folder; NULL: there is none */
	size_t capacity_items; /* most items in memory, of any kind; to begin with … */
	size_t most_items;     /* … and at most, see grow(); 0: it stays */
	size_t capacity_bytes; /* most bytes of their sources in memory; one item may always be there */

	/* How urgent an item is: its class, 0 is the most urgent.  NULL: they are handed out as they came.  Else those
	 * in memory are handed out by class, and every `aging` of waiting makes an item one class more urgent. */
	int64_t (*class_of)(void *arg, const struct item *item);
	void *arg;
	weir_nsec aging; /* 0: 5 s */
};

/* What is known of an earlier run.  Strings end with a NUL and may be empty. */
struct broker_past {
	bool begun;          /* there was one */
	bool sealed;         /* its source was read to the end */
	bool done;           /* sealed, and nothing is unfinished */
	char run[33];        /* its name: 32 hexadecimal digits */
	struct value plan;   /* as given to start() */
	struct value source; /* as given to start() */
	struct source_cursor cursor;
	struct value positions[LANES]; /* as given to start() or ack() last */
	struct broker_accounts accounts;
	uint64_t unfinished, letters;
};

void broker_past_fini(struct broker_past *past);

struct broker_start {
	const char *run;                      /* 32 hexadecimal digits: a new name, or that of the run that goes on */
	const char *plan;                     /* its meaning, for recall() */
	const char *source;                   /* the source's identity, for recall(); empty: it cannot be read again */
	const struct value *positions[LANES]; /* NULL: none */
	const uint64_t *written[LANES];       /* ids of items that are in the sink already: as if acked now, as
						 succeeded (LANE_DEAD: dead); those that are settled are passed over */
	size_t n[LANES];
};

/* Which dead letters.  All zero: all. */
struct letter_query {
	const char *reason; /* those whose reason contains it; NULL: any */
	uint64_t id;        /* this one; 0: any */
	uint64_t after;     /* only later ones; for going through them page by page */
	size_t limit;       /* 0: no limit */
};

struct broker_ops {
	bool durable; /* what it holds outlives the process */

	int (*open)(const void *config, const struct broker_options *opts, struct broker **ret_broker,
		    struct weir_error *err);

	/* After start(): what it has made of that.  Does not suspend.  WEIR_ENOMEM. */
	int (*recall)(const struct broker *broker, struct broker_past *ret_past);

	/* Before start(), of a broker that is durable: forgets the earlier run, and stores that before it returns.  A
	 * new run does this before it empties its sinks: the old state must not vouch for rows that are gone. */
	int (*forget)(struct broker *broker, struct weir_error *err, weir_nsec deadline);

	/* Begins, or goes on where an earlier run was, and stores that before it returns. */
	int (*start)(struct broker *broker, const struct broker_start *start, struct weir_error *err,
		     weir_nsec deadline);

	/* Takes all n items (at most BROKER_PUT_MAX) over, together with the source's cursor after the last of them, or
	 * none of them.  Suspends while it is full.  WEIR_ECANCELED, WEIR_ECLOSED; WEIR_ENOSPC, WEIR_EBUSY: try again
	 * later; other failures of the store are for good.  err->text says more unless cancelled or closed. */
	int (*put)(struct broker *broker, struct item *const *items, size_t n, const struct source_cursor *cursor,
		   struct weir_error *err, weir_nsec deadline);

	/* Nothing more will be put: once all is settled, lease answers WEIR_ECLOSED. */
	int (*seal)(struct broker *broker, struct weir_error *err, weir_nsec deadline);

	/* Hands out up to max items that are ready or due, oldest (most urgent) first, 1 at least: their number.
	 * Suspends. WEIR_ECLOSED when sealed and empty, or after stop(); WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED;
	 * or a failure of the store, with err. */
	int (*lease)(struct broker *broker, struct item **ret_items, size_t max, struct weir_error *err,
		     weir_nsec deadline);

	/* What became of these items (item->fate) is durable elsewhere: accounts for them, forgets and frees them, and
	 * keeps the lane's position (NULL: as it was).  Failures as those of put(): then they are still the caller's.
	 */
	int (*ack)(struct broker *broker, struct item *const *items, size_t n, enum broker_lane lane,
		   const struct value *position, struct weir_error *err, weir_nsec deadline);

	/* Takes the item back until `due` on weir_now()'s clock (attempts and why as they stand in the item). */
	void (*nack)(struct broker *broker, struct item *item, weir_nsec due);

	/* The item stays the caller's, but its attempts and why have changed: after a kill it is back with these. NULL:
	 * nothing outlives a kill. */
	void (*note)(struct broker *broker, struct item *item);

	/* The item is a dead letter (item->why): keeps it as one.  NULL: it cannot keep any. */
	void (*bury)(struct broker *broker, struct item *item);

	/* From now on lease answers WEIR_ECLOSED and put, too; what is leased can still be settled.  Does not suspend.
	 */
	void (*stop)(struct broker *broker);

	/* From now on so many items may be in memory, most_items at most; never fewer than before.  Does not suspend.
	 */
	void (*grow)(struct broker *broker, size_t capacity_items);

	void (*counts)(const struct broker *broker, struct broker_counts *ret_counts);

	/* Of a broker that has bury: appends the letters as JSON lines (port/letter.h), oldest first; puts them back
	 * among the ready, with their history; forgets them.  *ret_n: how many. */
	int (*letters)(struct broker *broker, const struct letter_query *query, struct buf *out, uint64_t *ret_last_id,
		       struct weir_error *err, weir_nsec deadline);
	int (*replay)(struct broker *broker, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err,
		      weir_nsec deadline);
	int (*purge)(struct broker *broker, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err,
		     weir_nsec deadline);

	/* Contract: nothing is leased, no call under way.  Stores what is not yet, shielded; what is left in a broker
	 * without durability is freed.  0 or the failure; the broker is gone in both cases. */
	int (*close)(struct broker *broker, struct weir_error *err);
};

#endif
