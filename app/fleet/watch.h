/* SPDX-License-Identifier: MIT */
/*
 * Who of the workers at one queue is alive: observed, not dated.  Pure.
 *
 * Each worker has a number at the broker, and counts it up about once a second.  Whoever looks at the numbers notes how
 * long, on the clock of this process, each one has not moved.  Nothing depends on the clocks of the broker or of other
 * machines, and while the broker is away nobody looks, so nobody ages.
 *
 *     each second:  count up, get the numbers of all; fleet_watch_round()
 *     then:         for each fleet_watch_victim(): take it out, if its number at the broker is still this one
 *
 * A worker that was taken out hears of it with its next call to the broker, drops what it holds, and joins under
 * another name; its own name never comes back.
 */
#ifndef FLEET_WATCH_H
#define FLEET_WATCH_H

#include <weir/base.h>

#define FLEET_ROUNDS 6 /* so often in a row at least a number did not move, before its worker is taken out */

/* A worker, as the broker shows it. */
struct fleet_seen {
	const char *name;
	uint64_t number;
};

struct fleet_watch;

/* lease: how long a number may stand still.  WEIR_ENOMEM. */
int fleet_watch_new(const char *own_name, weir_nsec lease, struct fleet_watch **ret_watch);
void fleet_watch_free(struct fleet_watch *watch); /* NULL is fine */

/* The n workers that the broker has, from an answer that came `now`; those that are not among them are forgotten.
 * WEIR_ENOMEM: some were not noted; look again in the next round. */
int fleet_watch_round(struct fleet_watch *watch, const struct fleet_seen *seen, size_t n, weir_nsec now);

/* Workers, but for this process itself, whose number has not moved for so long, one after the other: *at is NULL before
 * the first.  false: there is none (left).  The name is borrowed until the next round. */
bool fleet_watch_silent(const struct fleet_watch *watch, weir_nsec duration, weir_nsec now, const void **at,
			struct fleet_seen *ret_silent);

/* When the next worker will be silent for so long, if its number does not move; WEIR_FOREVER: all others already are.
 */
weir_nsec fleet_watch_next_silence(const struct fleet_watch *watch, weir_nsec duration, weir_nsec now);

/* A worker that is to be taken out, with the number that it has then; each one once a round, and not this process
 * itself.  false: there is none (left).  The name is borrowed until the next round.  Watchers begin with different
 * ones. */
bool fleet_watch_victim(struct fleet_watch *watch, struct fleet_seen *ret_victim);

size_t fleet_watch_count(const struct fleet_watch *watch);

#endif
