/* SPDX-License-Identifier: MIT */
/*
 * Shares of a limit, on the virtual clock: workers that meet at a broker over a network that takes its time, and join,
 * die, stop, go on, and need more or less.  At no moment may all together use more than the limit; 3 s after a change
 * they may use 95 % of it, or of what they need.
 */
#include "unit/fibers.h"

#include "fleet/shares.h"
#include "fleet/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

static struct fleet_claim claim(const char *name, uint64_t needs)
{
	return (struct fleet_claim){.name = name, .needs = needs};
}

static uint64_t fair(uint64_t capacity, uint64_t needs, const char *name, const struct fleet_claim *others, size_t n)
{
	struct fleet_share share = {.capacity = capacity, .needs = needs};
	fleet_share_plan(&share, name, others, n, 0);
	return share.wants;
}

TEST(fleet_share_is_what_is_needed_or_an_equal_part)
{
	const struct fleet_claim others[] = {claim("b", 10), claim("c", 500), claim("d", 500)};
	ck_assert_uint_eq(fair(500, 100, "a", others, 1), 100);
	ck_assert_uint_eq(fair(500, 500, "a", others, 0), 500);
	ck_assert_uint_eq(fair(500, 900, "a", others, 0), 500);
	ck_assert_uint_eq(fair(500, 500, "a", others, 1), 490);
	ck_assert_uint_eq(fair(500, 500, "a", others, 3), 164); /* the rest of 490 / 3 goes by name */
	ck_assert_uint_eq(fair(500, 500, "z", others, 3), 163);
	ck_assert_uint_eq(fair(1, 1, "a", others, 3), 1);
	ck_assert_uint_eq(fair(1, 1, "z", others, 3), 0);
	ck_assert_uint_eq(fair(500, 0, "z", others, 3), 0);
}

TEST(fleet_share_says_when_to_meet_again)
{
	const struct fleet_claim hungry = {"b", 500, 500}, modest = {"b", 100, 100};
	struct fleet_share share = {.capacity = 500, .needs = 500, .holds = 500};
	ck_assert_int_eq(fleet_share_plan(&share, "a", &modest, 1, 0), 0); /* it holds too much */
	ck_assert_uint_eq(share.wants, 400);
	fleet_share_ask(&share, 0);
	fleet_share_hear(&share, 400, 0);
	ck_assert_int_eq(fleet_share_plan(&share, "a", &modest, 1, 0), FLEET_MEETING);
	ck_assert_uint_eq(fleet_share_now(&share, FLEET_SHARE_LIFE - 1), 400);
	ck_assert_uint_eq(fleet_share_now(&share, FLEET_SHARE_LIFE), 0);
	share.holds = 0;
	ck_assert_int_eq(fleet_share_plan(&share, "a", &modest, 1, 0), 0);                 /* it could get more */
	ck_assert_int_eq(fleet_share_plan(&share, "a", &hungry, 1, 0), FLEET_MEETING / 4); /* it soon can */
	fleet_share_connected(&share, 0);
	ck_assert_int_eq(fleet_share_plan(&share, "a", &modest, 1, 0), FLEET_MEETING); /* not yet */
	ck_assert_int_eq(fleet_share_plan(&share, "a", &modest, 1, WEIR_SEC), FLEET_SHARE_LIFE - WEIR_SEC);
}

TEST(fleet_shares_add_up_to_the_limit)
{
	uint64_t random = 1;
	for (int run = 0; run < 2000; run++) {
		char names[40][8];
		uint64_t needs[40], total = 0, sum = 0, capacity = 1 + weir_random_below(&random, 1000);
		size_t n = 1 + weir_random_below(&random, 40);
		for (size_t i = 0; i < n; i++) {
			snprintf(names[i], sizeof names[i], "w%zu", i);
			needs[i] =
				weir_random_below(&random, 2) ? capacity : weir_random_below(&random, 1 + capacity / 8);
			total += needs[i];
		}
		for (size_t i = 0; i < n; i++) {
			struct fleet_claim others[40];
			size_t m = 0;
			for (size_t k = 0; k < n; k++)
				if (k != i)
					others[m++] = claim(names[k], needs[k]);
			uint64_t part = fair(capacity, needs[i], names[i], others, m);
			quick_assert(part <= needs[i]);
			sum += part;
		}
		quick_assert(sum == (total < capacity ? total : capacity));
	}
}

/* ---- a fleet */

enum { MOST = 1000 };

struct row { /* what the broker has of a worker */
	uint64_t number, holds, needs;
};

struct worker {
	char name[8];
	bool running, stopped; /* stopped: as by SIGSTOP */
	struct fleet_share share;
	struct fleet_watch *watch;
	struct fleet_claim *claims; /* of the last answer */
	size_t claim_count;
	uint64_t number;
};

static struct world {
	struct worker workers[MOST];
	struct row rows[MOST];
	struct weir_group *group;
	size_t n;
	uint64_t capacity, random;
	unsigned lost; /* of 100 calls */
	bool away;     /* the broker */
} world;

static uint64_t below(uint64_t n)
{
	return weir_random_below(&world.random, n);
}

static void travel(const struct worker *worker)
{
	weir_sleep((weir_nsec)below(50) * WEIR_MSEC);
	while (worker->stopped && !weir_canceled())
		weir_sleep(10 * WEIR_MSEC);
}

struct message {
	size_t from;
	uint64_t number, holds, wants, needs;
	size_t ended_count, ended[MOST];
	uint64_t numbers[MOST];
};

/* At the broker: what is granted; -1: it was late. */
static int64_t answer(const struct message *message)
{
	struct row *row = &world.rows[message->from];
	if (message->number <= row->number)
		return -1;
	row->number = message->number;
	for (size_t i = 0; i < message->ended_count; i++)
		if (world.rows[message->ended[i]].number == message->numbers[i])
			world.rows[message->ended[i]].holds = world.rows[message->ended[i]].needs = 0;
	uint64_t others = 0;
	for (size_t i = 0; i < world.n; i++)
		others += i == message->from ? 0 : world.rows[i].holds;
	uint64_t granted = fleet_share_grant(world.capacity, others, message->wants);
	row->holds = granted > message->holds ? granted : message->holds;
	row->needs = message->needs;
	return (int64_t)granted;
}

static void note_claims(struct worker *self)
{
	static struct fleet_seen seen[MOST];
	size_t n = 0;
	self->claim_count = 0;
	for (size_t i = 0; i < world.n; i++) {
		const struct row *row = &world.rows[i];
		if (!row->number)
			continue;
		const char *name = world.workers[i].name;
		seen[n++] = (struct fleet_seen){name, row->number};
		if (self != &world.workers[i] && (row->holds || row->needs))
			self->claims[self->claim_count++] = (struct fleet_claim){name, row->holds, row->needs};
	}
	ck_assert_int_eq(fleet_watch_round(self->watch, seen, n, weir_now()), 0);
}

static void write_message(struct worker *self, struct message *message)
{
	const void *at = NULL;
	struct fleet_seen silent;
	while (fleet_watch_silent(self->watch, FLEET_SHARE_LIFE, weir_now(), &at, &silent)) {
		message->numbers[message->ended_count] = silent.number;
		message->ended[message->ended_count++] = (size_t)atoi(silent.name + 1);
	}
	self->share.capacity = world.capacity;
	fleet_share_plan(&self->share, self->name, self->claims, self->claim_count, weir_now());
	fleet_share_ask(&self->share, weir_now());
	message->number = ++self->number;
	message->holds = self->share.holds;
	message->wants = self->share.wants;
	message->needs = self->share.needs;
}

/* In how long to meet again. */
static weir_nsec meet(struct worker *self)
{
	struct message *message = calloc(1, sizeof *message);
	message->from = (size_t)(self - world.workers);
	weir_nsec sent = weir_now();
	write_message(self, message);
	travel(self);
	bool lost = below(100) < world.lost || world.away;
	int64_t granted = lost ? -1 : answer(message);
	free(message);
	if (granted >= 0 && below(100) >= world.lost) {
		note_claims(self);
		travel(self);
		fleet_share_hear(&self->share, (uint64_t)granted, sent);
		weir_nsec wait =
			fleet_share_plan(&self->share, self->name, self->claims, self->claim_count, weir_now());
		weir_nsec next = fleet_watch_next_silence(self->watch, FLEET_SHARE_LIFE, weir_now());
		return next != WEIR_FOREVER && next - weir_now() < wait ? next - weir_now() : wait;
	}
	return FLEET_MEETING;
}

static int work(void *arg)
{
	struct worker *self = arg;
	while (self->running && !weir_canceled()) {
		if (self->stopped) {
			weir_sleep(10 * WEIR_MSEC);
			continue;
		}
		weir_nsec began = weir_now(), wait = meet(self);
		weir_sleep_until(wait < FLEET_MEETING ? weir_now() + wait : began + wait);
	}
	return 0;
}

static void join(size_t i)
{
	struct worker *worker = &world.workers[i];
	snprintf(worker->name, sizeof worker->name, "w%zu", i);
	worker->running = true;
	worker->share = (struct fleet_share){.needs = world.capacity};
	fleet_share_connected(&worker->share, weir_now());
	worker->claims = calloc(MOST, sizeof *worker->claims);
	ck_assert_int_eq(fleet_watch_new(worker->name, 60 * WEIR_SEC, &worker->watch), 0);
	spawn(world.group, work, worker);
}

static uint64_t used_now(uint64_t *ret_needed)
{
	uint64_t used = 0, needed = 0;
	for (size_t i = 0; i < world.n; i++) {
		const struct worker *worker = &world.workers[i];
		if (!worker->running || worker->stopped)
			continue;
		uint64_t may = fleet_share_now(&worker->share, weir_now());
		used += may < worker->share.needs ? may : worker->share.needs;
		needed += worker->share.needs;
		quick_assert(may <= world.capacity);
	}
	*ret_needed = needed < world.capacity ? needed : world.capacity;
	return used;
}

/* Watches for so long: never over, and after 3 s nearly all is used. */
static void watch(weir_nsec duration)
{
	weir_nsec began = weir_now(), until = began + duration;
	while (weir_now() < until) {
		uint64_t needed, used = used_now(&needed), all = 0;
		for (size_t i = 0; i < world.n; i++)
			if (world.workers[i].running && !world.workers[i].stopped)
				all += fleet_share_now(&world.workers[i].share, weir_now());
		if (all > world.capacity)
			ck_abort_msg("%ju of %ju are used", (uintmax_t)all, (uintmax_t)world.capacity);
		bool calm = !world.lost && !world.away && weir_now() >= began + 3 * WEIR_SEC;
		if (calm && used * 100 < needed * 95)
			ck_abort_msg("%.3f s after a change %ju of %ju are used",
				     (double)(weir_now() - began) / WEIR_SEC, (uintmax_t)used, (uintmax_t)needed);
		weir_sleep(world.n > 50 ? 50 * WEIR_MSEC : 10 * WEIR_MSEC);
	}
}

/* Something happens to a worker, or to so many. */
static void change(size_t many)
{
	uint64_t what = below(5);
	for (size_t k = 0; k < many; k++) {
		struct worker *worker = &world.workers[below(world.n)];
		if (!worker->running)
			continue;
		if (what == 0 && worker != world.workers)
			worker->running = false;
		else if (what == 1 && worker != world.workers)
			worker->stopped = true;
		else if (what == 2)
			worker->stopped = false;
		else if (what == 3)
			worker->share.needs = below(1 + 3 * world.capacity / world.n);
		else
			worker->share.needs = world.capacity;
	}
}

struct plan {
	size_t n, joining; /* at first, and one after the other */
	uint64_t capacity;
	unsigned lost, changes;
	bool outage; /* of the broker, at the end */
};

/* Without its broker nobody has a share. */
static void have_outage(void)
{
	world.away = true;
	watch(3 * WEIR_SEC);
	uint64_t needed;
	ck_assert_uint_eq(used_now(&needed), 0);
	world.away = false;
	watch(5 * WEIR_SEC);
}

static void run_plan(const struct plan *plan, uint64_t seed)
{
	memset(&world, 0, sizeof world);
	world.n = plan->n + plan->joining;
	world.capacity = plan->capacity;
	world.lost = plan->lost;
	world.random = seed + 1;
	world.group = new_group();
	for (size_t i = 0; i < plan->n; i++)
		join(i);
	watch(5 * WEIR_SEC);
	for (size_t i = plan->n; i < world.n; i++) {
		join(i);
		watch(5 * WEIR_SEC);
	}
	for (unsigned i = 0; i < plan->changes; i++) {
		change(1 + world.n / 20);
		watch(5 * WEIR_SEC);
	}
	if (plan->outage)
		have_outage();
	for (size_t i = 0; i < world.n; i++)
		world.workers[i].running = world.workers[i].stopped = false;
	weir_group_cancel(world.group);
	finish(world.group);
	for (size_t i = 0; i < world.n; i++) {
		free(world.workers[i].claims);
		fleet_watch_free(world.workers[i].watch);
	}
}

FIBER_TEST(fleet_shares_of_two_are_never_over_and_soon_used)
{
	run_plan(&(struct plan){.n = 2, .joining = 1, .capacity = 500, .changes = 10, .outage = true}, test_seed());
}

FIBER_TEST(fleet_shares_of_fifteen_are_never_over_and_soon_used)
{
	run_plan(&(struct plan){.n = 12, .joining = 3, .capacity = 500, .changes = 10, .outage = true}, test_seed());
}

FIBER_TEST(fleet_shares_of_a_small_limit_are_never_over_and_soon_used)
{
	run_plan(&(struct plan){.n = 9, .joining = 1, .capacity = 4, .changes = 20, .outage = true}, test_seed());
}

FIBER_TEST(fleet_shares_are_never_over_when_calls_are_lost)
{
	run_plan(&(struct plan){.n = 6, .joining = 2, .capacity = 100, .changes = 30, .lost = 20, .outage = true},
		 test_seed());
}

static int run_thousand(void *arg)
{
	(void)arg;
	run_plan(&(struct plan){.n = MOST - 1, .joining = 1, .capacity = 10000, .changes = 1}, 1);
	return 0;
}

TEST(fleet_shares_of_a_thousand_are_never_over_and_soon_used)
{
	ck_assert_int_eq(run_virtual(1, run_thousand, NULL), 0);
}
