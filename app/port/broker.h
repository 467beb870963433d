/* SPDX-License-Identifier: MIT */
/*
 * The port of brokers: where accepted items wait, for a worker, for their next attempt, for the sink's commit.
 *
 *     put -> ready -> lease -> leased -> ack            gone, done
 *              ^                  |----> nack(due, why) waits until due, then ready again
 *              |------------------|----> dead(why)      gone, a dead letter (the engine has written it before)
 *
 * An item is the broker's from put to lease, the caller's from lease to ack, nack or dead, by pointer; a broker that
 * stores items elsewhere makes a new struct at lease.  All calls belong on fibers of one loop.
 */
#ifndef PORT_BROKER_H
#define PORT_BROKER_H

#include "port/item.h"

struct broker; /* an adapter's own */

/* What is inside at this moment. */
struct broker_counts {
	uint64_t ready, leased, waiting; /* waiting: for the time of their next attempt */
};

struct broker_options {
	size_t capacity; /* most items inside, of any kind; put waits when it is reached */
};

struct broker_ops {
	int (*open)(const void *config, const struct broker_options *opts, struct broker **ret_broker,
		    struct weir_error *err);

	/* Takes all n items over (sets their ids) together with the source's cursor after the last of them, or none of
	 * them. Suspends while it is full.  WEIR_ECANCELED, WEIR_ECLOSED, or a failure of the store. */
	int (*put)(struct broker *broker, struct item *const *items, size_t n, uint64_t cursor, weir_nsec deadline);

	/* Nothing more will be put: once all is settled, lease answers WEIR_ECLOSED. */
	int (*seal)(struct broker *broker, weir_nsec deadline);

	/* Hands out up to max items that are ready or due, oldest first, 1 at least: their number.  Suspends.
	 * WEIR_ECLOSED when sealed and empty, or after stop(); WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED. */
	int (*lease)(struct broker *broker, struct item **ret_items, size_t max, weir_nsec deadline);

	/* The outputs of these items are durable: forgets and frees them. */
	int (*ack)(struct broker *broker, struct item *const *items, size_t n, weir_nsec deadline);

	/* Takes the item back until `due` (its attempts as they stand in the item; why kept). */
	int (*nack)(struct broker *broker, struct item *item, weir_nsec due, weir_nsec deadline);

	/* The item is a dead letter, durably written: forgets and frees it. */
	int (*dead)(struct broker *broker, struct item *item, weir_nsec deadline);

	/* From now on lease answers WEIR_ECLOSED and put, too; what is leased can still be settled.  Does not suspend.
	 */
	void (*stop)(struct broker *broker);

	void (*counts)(const struct broker *broker, struct broker_counts *ret_counts);

	/* Contract: nothing is leased, no call under way.  What is left in a broker without durability is freed. */
	void (*close)(struct broker *broker);
};

#endif
