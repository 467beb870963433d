/* SPDX-License-Identifier: MIT */
/*
 * A broker that stands for a server: engines of one process share it.  It is slow, and requests and answers get lost: a
 * call whose answer was lost has had its effect, and comes again.  What it holds are copies, and ages instead of times.
 * The engines meet there once a second (port/fleet.h).
 */
#ifndef UNIT_SHARED_BROKER_H
#define UNIT_SHARED_BROKER_H

#include "port/adapter.h"
#include "port/broker.h"

/* The server. */
struct shared {
	/* told */
	weir_nsec slow; /* that a way takes, there or back */
	unsigned lost;  /* ways of 100 that get lost */
	/* known */
	char run[33], plan[64], source[64], file[64];
	struct source_cursor cursor;
	bool sealed;
	struct broker_accounts accounts;
	struct entry *entries;
	size_t n, room;
	uint64_t last_id, random;
	weir_nsec last_lease;
	unsigned hops; /* items that were leased by another owner than before */
	struct weir_event *changed;
	TAILQ_HEAD(shared_workers, broker) workers; /* that meet, as they came */
	char *settings;                             /* of fleet_ops.tell() */
};
extern struct shared shared;

void shared_init(void); /* a new server, empty; what it is told stays */
void shared_fini(void);

/* Takes an owner for dead that may be alive: so many of its items are another one's to take. */
void shared_take_away(size_t n);

/* Loses what it has, but for the run itself, as a server does that goes back to an older state. */
void shared_forget_items(void);

extern const struct adapter shared_broker_adapter;

#endif
