/* SPDX-License-Identifier: MIT */
/* Who is alive, as seen by many at once: each with a clock of its own, a broker that is away for a while, and processes
 * that die, stop for longer than a lease and come back. */
#include "unit/fibers.h"

#include "fleet/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

static const weir_nsec a_minute = 60 * WEIR_SEC;

static struct fleet_watch *new_watch(void)
{
	struct fleet_watch *watch;
	ck_assert_int_eq(fleet_watch_new("me", a_minute, &watch), 0);
	return watch;
}

/* A round with the workers me and other. */
static void look(struct fleet_watch *watch, uint64_t other, weir_nsec now)
{
	const struct fleet_seen seen[] = {{"me", 7}, {"other", other}};
	ck_assert_int_eq(fleet_watch_round(watch, seen, 2, now), 0);
}

TEST(fleet_worker_that_does_not_move_for_a_lease_is_taken_out)
{
	struct fleet_watch *watch = new_watch();
	struct fleet_seen victim;
	for (int i = 0; i < 60; i++) {
		look(watch, 5, i * WEIR_SEC);
		ck_assert(!fleet_watch_victim(watch, &victim));
	}
	look(watch, 5, a_minute);
	ck_assert(fleet_watch_victim(watch, &victim));
	ck_assert_str_eq(victim.name, "other");
	ck_assert_uint_eq(victim.number, 5);
	ck_assert(!fleet_watch_victim(watch, &victim)); /* nor does it take out itself */
	look(watch, 4, a_minute + WEIR_SEC);            /* a failover has forgotten some: that is a movement, too */
	ck_assert(!fleet_watch_victim(watch, &victim));
	fleet_watch_free(watch);
}

TEST(fleet_nobody_ages_while_nobody_looks)
{
	struct fleet_watch *watch = new_watch();
	struct fleet_seen victim, silent;
	const void *at = NULL;
	look(watch, 5, 0);
	for (unsigned i = 1; i < 20; i++)
		look(watch, 5, i * WEIR_SEC);
	look(watch, 5, 3600 * WEIR_SEC);
	for (unsigned i = 0; i < FLEET_ROUNDS; i++) {
		ck_assert(!fleet_watch_victim(watch, &victim));
		look(watch, 5, 3600 * WEIR_SEC + i);
	}
	ck_assert(fleet_watch_victim(watch, &victim));
	ck_assert_int_eq(fleet_watch_next_silence(watch, 3600 * WEIR_SEC, 3599 * WEIR_SEC), 3600 * WEIR_SEC);
	ck_assert_int_eq(fleet_watch_next_silence(watch, 3600 * WEIR_SEC, 3600 * WEIR_SEC), WEIR_FOREVER);
	ck_assert(!fleet_watch_silent(watch, 3600 * WEIR_SEC, 3599 * WEIR_SEC, &at, &silent));
	ck_assert(fleet_watch_silent(watch, 3600 * WEIR_SEC, 3600 * WEIR_SEC, &at, &silent));
	ck_assert_str_eq(silent.name, "other");
	ck_assert_uint_eq(silent.number, 5);
	ck_assert(!fleet_watch_silent(watch, 3600 * WEIR_SEC, 3600 * WEIR_SEC, &at, &silent)); /* nor itself */
	fleet_watch_free(watch);
}

TEST(fleet_worker_that_is_gone_is_forgotten)
{
	struct fleet_watch *watch = new_watch();
	look(watch, 5, 0);
	ck_assert_uint_eq(fleet_watch_count(watch), 2);
	ck_assert_int_eq(fleet_watch_round(watch, &(struct fleet_seen){"me", 8}, 1, WEIR_SEC), 0);
	ck_assert_uint_eq(fleet_watch_count(watch), 1);
	fleet_watch_free(watch);
}

/* ---- many */

enum { FLEET_MOST = 1000 };

struct worker {
	char name[16];
	uint64_t number; /* at the broker; 0: it was taken out */
	struct fleet_watch *watch;
	weir_nsec next, stopped_until, epoch; /* epoch: what its clock shows at 0 */
	bool dead, fenced;
	weir_nsec last; /* when it counted up */
};

struct fleet {
	struct worker workers[FLEET_MOST];
	size_t n;
	uint64_t random;
	unsigned killed, killed_alive;
	weir_nsec away_until, lease;
};

static void meet(struct fleet *fleet, struct worker *self, weir_nsec now)
{
	static struct fleet_seen seen[FLEET_MOST];
	struct fleet_seen victim;
	size_t n = 0;
	self->fenced = !self->number;
	if (self->fenced)
		return;
	self->number++;
	self->last = now;
	for (size_t i = 0; i < fleet->n; i++)
		if (fleet->workers[i].number)
			seen[n++] = (struct fleet_seen){fleet->workers[i].name, fleet->workers[i].number};
	ck_assert_int_eq(fleet_watch_round(self->watch, seen, n, self->epoch + now), 0);
	while (fleet_watch_victim(self->watch, &victim)) {
		struct worker *other = &fleet->workers[atoi(victim.name)];
		if (other->number != victim.number)
			continue; /* another was faster */
		other->number = 0;
		fleet->killed++;
		fleet->killed_alive += !other->dead && other->stopped_until < now - fleet->lease;
		quick_assert(now - other->last >= fleet->lease);
	}
}

/* Minutes of a fleet in which some die, some stop for a while, and the broker is away at times. */
static void run_fleet(size_t n, weir_nsec lease, weir_nsec duration, uint64_t seed)
{
	static struct fleet fleet;
	fleet = (struct fleet){.n = n, .random = seed, .lease = lease};
	for (size_t i = 0; i < n; i++) {
		struct worker *worker = &fleet.workers[i];
		snprintf(worker->name, sizeof worker->name, "%zu", i);
		worker->number = 1;
		worker->next = (weir_nsec)weir_random_below(&fleet.random, WEIR_SEC);
		worker->epoch = (weir_nsec)weir_random_below(&fleet.random, 1000000 * WEIR_SEC);
		ck_assert_int_eq(fleet_watch_new(worker->name, lease, &worker->watch), 0);
	}
	size_t died = 0, stopped = 0;
	for (weir_nsec now = 0; now < duration; now += 100 * WEIR_MSEC) {
		struct worker *chosen = &fleet.workers[1 + weir_random_below(&fleet.random, n - 1)];
		uint64_t chance = weir_random_below(&fleet.random, 1000);
		if (chance < 2 && died < n / 2 && now < duration / 2 && !chosen->dead)
			chosen->dead = ++died;
		else if (chance < 6 && now < duration / 2 && chosen->stopped_until < now && ++stopped)
			chosen->stopped_until = now + (weir_nsec)weir_random_below(&fleet.random, 2 * lease);
		else if (chance == 7 && now < duration / 2 && fleet.away_until < now)
			fleet.away_until = now + (weir_nsec)weir_random_below(&fleet.random, 3 * lease);
		for (size_t i = 0; i < n && now >= fleet.away_until; i++) {
			struct worker *worker = &fleet.workers[i];
			if (worker->dead || now < worker->stopped_until || now < worker->next)
				continue;
			worker->next = now + WEIR_SEC;
			meet(&fleet, worker, now);
		}
	}
	for (size_t i = 0; i < n; i++) { /* all who died were taken out, and nobody who did not stop */
		const struct worker *worker = &fleet.workers[i];
		quick_assert(!worker->dead || !worker->number);
		quick_assert(worker->number || worker->dead || worker->fenced);
		fleet_watch_free(worker->watch);
	}
	ck_assert_uint_eq(fleet.killed_alive, 0);
	ck_assert_uint_ge(fleet.killed, died);
	ck_assert_uint_gt(died + stopped, 0);
}

TEST(fleet_of_a_few_takes_out_the_dead_and_nobody_else)
{
	for (uint64_t seed = 1; seed <= 20; seed++)
		run_fleet(2 + seed % 7, a_minute, 20 * a_minute, seed);
}

TEST(fleet_of_a_thousand_takes_out_the_dead_and_nobody_else)
{
	run_fleet(FLEET_MOST, 5 * WEIR_SEC, 36 * WEIR_SEC, 7);
}
