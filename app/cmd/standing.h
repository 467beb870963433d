/* SPDX-License-Identifier: MIT */
/* Where a run stands, alive or not: asks the run, or looks at what it has left. */
#ifndef CMD_STANDING_H
#define CMD_STANDING_H

#include "data/buf.h"
#include "port/queue.h"

#include <time.h>

/* Of a running pipeline the state is that of its figures (figures.h), or paused.  Of others:
 *
 *     done, stopped, failed   it has ended so
 *     killed                  it has not ended in order
 *     new                     nothing was begun
 *     suspended, silent       it is alive and does not answer
 *     busy, unreadable        its state cannot be looked at, now or at all
 */
struct standing {
	char *who;        /* what other verbs call it: RUN, or its state folder */
	char name[80];    /* of its pipeline */
	char state[16];   /* above */
	char reason[256]; /* why it ended before all was done; empty: not known, or it did not */
	char note[512];   /* of the last four states: a sentence */
	char next[256];   /* what to type; empty: nothing */
	const char *does; /* what that does; NULL: it says so itself */
	time_t ended;     /* 0: not known, or it has not */
	int64_t total;    /* items in all; -1: not known */
	bool is_estimate; /* it is one */
	uint64_t letters; /* dead letters that are kept */
	struct broker_accounts accounts;
	struct buf answer; /* of a running pipeline (ask.h); else empty */
};

/* -ENOENT with err: there is no run.  All else that is wrong is a state. */
int standing_read(const char *folder, struct standing *ret_standing, struct weir_error *err);
void standing_fini(struct standing *standing);

#endif
