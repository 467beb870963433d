/* SPDX-License-Identifier: MIT */
/*
 * A limit that holds for all workers together, divided among them by need.  Pure.
 *
 * The broker has one rule: who asks gets what it wants, but never more than what the others do not hold.  What a worker
 * wants is for it to find: it knows what all others need, and wants what is fair: each one's need, or where that is too
 * much the same for all, and the rest to those that come first by name.  So the limit is never passed, whoever is
 * mistaken, and all is used as soon as all have heard of each other.
 *
 *     before a meeting:    fleet_share_ask(), and tell the broker
 *     its answer:          fleet_share_hear(), then fleet_share_plan(): when to meet again
 *     at any time:         fleet_share_now(): what may be used
 *
 * A share that was not renewed for FLEET_SHARE_LIFE is worth nothing.  The broker need not know: whoever has seen a
 * worker's number (watch.h) stand still for as long tells it, with the next meeting, that the share has ended, by
 * compare-and-set.  That is after the share's end on its holder's clock, since the count runs from the sending there
 * and from the receiving here.
 *
 * Units are the caller's: calls in flight, thousandths of a call a second.
 */
#ifndef FLEET_SHARES_H
#define FLEET_SHARES_H

#include <weir/base.h>

#define FLEET_MEETING    (900 * WEIR_MSEC)  /* from one to the next */
#define FLEET_SHARE_LIFE (1500 * WEIR_MSEC) /* so an answer may take 600 ms */

struct fleet_share {
	uint64_t capacity; /* of the limit; the caller's */
	uint64_t needs;    /* what this worker would use; capacity if it would use whatever it gets; the caller's */
	uint64_t holds;    /* the last grant, or what was kept of it */
	weir_nsec until;   /* its end */
	uint64_t wants;
	weir_nsec steady; /* until then it wants no more than it holds */
};

/* What somebody else says of itself. */
struct fleet_claim {
	const char *name;
	uint64_t holds, needs;
};

/* What may be used now. */
uint64_t fleet_share_now(const struct fleet_share *share, weir_nsec now);

/* Finds what the worker of that name is to want, as far as it has heard of the n others.  After an answer: in how long
 * to meet again, FLEET_MEETING at most.  Less, if others wait for what this worker holds, or have what it waits for. */
weir_nsec fleet_share_plan(struct fleet_share *share, const char *own_name, const struct fleet_claim *others, size_t n,
			   weir_nsec now);

/* The connection to the broker is new: a failover may have made it forget what others hold.  So until that has ended,
 * this worker wants no more than it has.  Also when it joins a run; not when it has begun it. */
void fleet_share_connected(struct fleet_share *share, weir_nsec now);

/* Before share->wants is told to the broker: gives up what is over it.  share->holds is told, too, or what is still in
 * use of an earlier share, if that is more. */
void fleet_share_ask(struct fleet_share *share, weir_nsec now);

/* What was granted to what was asked at `sent`. */
void fleet_share_hear(struct fleet_share *share, uint64_t granted, weir_nsec sent);

/* The broker's rule: what to grant, where all others together hold that much. */
uint64_t fleet_share_grant(uint64_t capacity, uint64_t others, uint64_t wants);

#endif
