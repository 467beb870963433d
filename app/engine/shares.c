/* SPDX-License-Identifier: MIT */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Units of the rate in one call a second; and the most of it that a limiter counts. */
enum { RATE_UNITS = 1000000, RATE_COUNT_MOST = 1000000000 };

#define MEASURE_LEAST (WEIR_SEC / 3)

enum limit_name { LIMIT_RATE, LIMIT_CALLS, LIMITS };
static const char *const limit_names[LIMITS] = {"rate", "concurrency"};

struct engine_shares {
	struct engine *engine;
	struct fleet_limit limits[LIMITS]; /* those that there are */
	size_t limit_count;
	struct weir_event *changed; /* a share has a new end */
	/* what the policy holds to */
	uint64_t rate, calls; /* rate: UINT64_MAX: no share came yet */
	bool forgot;          /* what was saved up of the burst */
	enum engine_why holds;
	/* calls: so many had entered then, and so fast they came before */
	uint64_t entered;
	weir_nsec measured_at;
	double per_sec;
};

/* ---- what is used, and what would be */

struct use {
	uint64_t entered, in_flight, waiting;
	bool held_by[WEIR_HELD_BY_PAUSE + 1];
};

static int add_use(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	struct use *use = arg;
	(void)key;
	use->entered += stats->calls;
	use->waiting += stats->waiting;
	use->in_flight = stats->in_flight > use->in_flight ? stats->in_flight : use->in_flight;
	use->held_by[stats->held_by] = true;
	return 0;
}

/* All of it, for who uses what it has, or could use more; else a little more than what is used. */
static uint64_t needs_of(uint64_t capacity, uint64_t share, uint64_t used, uint64_t least, bool waits)
{
	uint64_t needs = used + used / 4 + least;
	return waits || (share && used >= share - share / 5) || needs > capacity ? capacity : needs;
}

static uint64_t rate_capacity(const struct key_rate *rate)
{
	double per_sec = (double)rate->count * (double)WEIR_SEC / (double)rate->period;
	return per_sec * RATE_UNITS < 1 ? 1 : (uint64_t)(per_sec * RATE_UNITS);
}

static void fill_rate(const struct engine_shares *self, struct fleet_limit *limit, bool could)
{
	uint64_t share = fleet_share_now(&limit->share, weir_now()), used = (uint64_t)(self->per_sec * RATE_UNITS);
	bool runs = self->engine->life.state == ENGINE_RUNNING;
	limit->share.capacity = rate_capacity(&self->engine->pace.rate);
	limit->share.needs = runs ? needs_of(limit->share.capacity, share, used, RATE_UNITS, could) : 0;
}

static void fill_calls(struct engine_shares *self, struct fleet_limit *limit, const struct use *use, bool could)
{
	uint64_t share = fleet_share_now(&limit->share, weir_now());
	bool runs = self->engine->life.state == ENGINE_RUNNING;
	limit->in_use = use->in_flight;
	limit->share.capacity = self->engine->pace.wanted;
	limit->share.needs = runs ? needs_of(limit->share.capacity, share, use->in_flight, 1, could) : use->in_flight;
}

static struct fleet_limit *find_limit(struct engine_shares *self, enum limit_name name)
{
	for (size_t i = 0; i < self->limit_count; i++)
		if (!strcmp(self->limits[i].name, limit_names[name]))
			return &self->limits[i];
	return NULL;
}

/* Whether there is such a limit, of which it may have no share yet. */
static bool is_limited(const struct engine_shares *self, enum limit_name name)
{
	const struct engine_pace *pace = &self->engine->pace;
	if (!engine_has_role(&self->engine->life, ENGINE_WORK))
		return false;
	return name == LIMIT_RATE ? pace->rate.count : pace->wanted;
}

/* Those that there are now; one that was there keeps its share. */
static void choose_limits(struct engine_shares *self)
{
	struct fleet_limit chosen[LIMITS] = {0};
	size_t n = 0;
	for (int i = 0; i < LIMITS; i++) {
		const struct fleet_limit *old = find_limit(self, (enum limit_name)i);
		if (!is_limited(self, (enum limit_name)i))
			continue;
		if (old)
			chosen[n] = *old;
		snprintf(chosen[n++].name, sizeof chosen->name, "%s", limit_names[i]);
	}
	memcpy(self->limits, chosen, sizeof chosen);
	self->limit_count = n;
}

/* Whether there is more to do than is in flight. */
static bool could_work(const struct engine_shares *self, const struct use *use)
{
	struct broker_counts counts;
	if (!self->engine->store.broker)
		return true;
	engine_counts(&self->engine->store, &counts);
	return use->waiting || self->engine->load.under_way > use->in_flight || counts.ready;
}

/* Meetings may follow one another at once: then there is nothing to be measured. */
static void measure_calls(struct engine_shares *self, uint64_t entered)
{
	weir_nsec now = weir_now(), passed = now - self->measured_at;
	if (passed < MEASURE_LEAST)
		return;
	self->per_sec = (double)(entered - self->entered) * (double)WEIR_SEC / (double)passed;
	self->entered = entered;
	self->measured_at = now;
}

struct fleet_limit *engine_shares_say(struct engine_shares *self, bool has_others, size_t *ret_n)
{
	struct use use = {0};
	weir_policy_gates(self->engine->pace.policy, add_use, &use);
	measure_calls(self, use.entered);
	bool could = !has_others || could_work(self, &use);
	choose_limits(self);
	for (int i = 0; i < LIMITS; i++) {
		struct fleet_limit *limit = find_limit(self, (enum limit_name)i);
		bool is_held =
			has_others && use.held_by[i == LIMIT_RATE ? WEIR_HELD_BY_CONCURRENCY : WEIR_HELD_BY_RATE];
		if (limit && i == LIMIT_RATE)
			fill_rate(self, limit, could && !is_held);
		else if (limit)
			fill_calls(self, limit, &use, could && !is_held);
	}
	*ret_n = self->limit_count;
	/* What the broker gives up now is not used from here on, whether an answer comes or not. */
	weir_event_set(self->changed);
	return self->limits;
}

/* ---- holding to it */

/* The share in one of the forms that a limiter takes.  What may go at once is divided, too. */
static struct weir_rate_options rate_of(const struct engine_shares *self, uint64_t share, uint64_t capacity)
{
	double burst = (double)self->engine->life.plan->settings.burst;
	uint64_t units = RATE_UNITS;
	while (share > RATE_COUNT_MOST && units > 1) {
		share /= 10;
		units /= 10;
		capacity /= 10;
	}
	return (struct weir_rate_options){.count = share,
					  .period = (weir_nsec)units * WEIR_SEC,
					  .burst = (uint64_t)(burst * (double)share / (double)capacity)};
}

static void hold_to_rate(struct engine_shares *self, const struct fleet_limit *limit, uint64_t share)
{
	struct engine_pace *pace = &self->engine->pace;
	struct weir_rate_options rate = {0};
	if (share == self->rate && !self->forgot)
		return;
	self->forgot = false;
	if (limit)
		rate = rate_of(self, share, limit->share.capacity > share ? limit->share.capacity : share);
	self->rate = share;
	pace->own_per_sec = (double)share / RATE_UNITS;
	weir_policy_set_rate(pace->policy, &rate);
}

/* What was saved up of the burst was part of a share that another one has now: who comes back begins with one call.  So
 * does who joins a run. */
static void forget_burst(struct engine_shares *self)
{
	const struct key_rate *rate = &self->engine->pace.rate;
	if (self->forgot || !rate->count)
		return;
	self->forgot = true;
	weir_policy_set_rate(self->engine->pace.policy,
			     &(struct weir_rate_options){.count = rate->count, .period = rate->period, .burst = 1});
}

static void hold_to_calls(struct engine_shares *self, uint64_t share)
{
	struct engine_pace *pace = &self->engine->pace;
	size_t calls = share < pace->most ? (size_t)share : pace->most;
	if (calls == self->calls)
		return;
	self->calls = calls;
	pace->concurrency = calls;
	weir_policy_set_concurrency(pace->policy, calls);
}

/* When the first of the shares that there are ends. */
static weir_nsec next_end(const struct engine_shares *self)
{
	weir_nsec end = WEIR_FOREVER;
	for (size_t i = 0; i < self->limit_count; i++) {
		const struct fleet_share *share = &self->limits[i].share;
		if (fleet_share_now(share, weir_now()) && (end == WEIR_FOREVER || share->until < end))
			end = share->until;
	}
	return end;
}

void engine_shares_apply(struct engine_shares *self)
{
	if (!self)
		return;
	struct engine_pace *pace = &self->engine->pace;
	const struct fleet_limit *rate = find_limit(self, LIMIT_RATE), *calls = find_limit(self, LIMIT_CALLS);
	weir_nsec now = weir_now();
	uint64_t rate_share = rate ? fleet_share_now(&rate->share, now) : 0;
	uint64_t calls_share = calls ? fleet_share_now(&calls->share, now) : 0;
	bool has_no_rate = !rate_share && (rate || is_limited(self, LIMIT_RATE));
	bool has_no_calls = !calls_share && (calls || is_limited(self, LIMIT_CALLS));
	self->holds = has_no_rate ? WHY_RATE_OWN : has_no_calls ? WHY_CONCURRENCY : WHY_END;
	bool begins = self->rate == UINT64_MAX && !self->engine->past.resumed;
	if (rate && !begins && (!rate_share || self->rate == UINT64_MAX))
		forget_burst(self);
	if (rate_share || !rate)
		hold_to_rate(self, rate, rate_share);
	if (calls_share)
		hold_to_calls(self, calls_share);
	/* A process that was stopped makes no call with a share that ended meanwhile. */
	weir_policy_pause_from(pace->policy, next_end(self));
	weir_policy_pause(pace->policy, pace->paused || self->holds != WHY_END);
	if (self->holds == WHY_END && self->engine->load.has_room)
		weir_event_set(self->engine->load.has_room);
}

enum engine_why engine_shares_hold(const struct engine_shares *self)
{
	return self ? self->holds : WHY_END;
}

int engine_shares_keep(void *arg)
{
	struct engine_shares *self = arg;
	while (weir_event_wait(self->changed, next_end(self)) != WEIR_ECANCELED) {
		weir_event_clear(self->changed);
		engine_shares_apply(self);
	}
	return 0;
}

void engine_shares_hear(struct engine_shares *self)
{
	engine_shares_apply(self);
	weir_event_set(self->changed);
}

/* ---- life */

int engine_shares_open(struct engine *engine)
{
	struct engine_shares *self = calloc(1, sizeof *self);
	engine->shares = self;
	if (!self || weir_event_new(&self->changed))
		return WEIR_ENOMEM;
	self->engine = engine;
	self->rate = UINT64_MAX; /* the policy was made with all of it */
	choose_limits(self);
	engine_shares_apply(self);
	return 0;
}

void engine_shares_free(struct engine_shares *self)
{
	if (!self)
		return;
	weir_event_free(self->changed);
	free(self);
}
