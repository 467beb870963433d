/* SPDX-License-Identifier: MIT */
#include "engine/fleet.h"

#include "engine/fleet_record.h"
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/table.h>

/* Units of the rate in one call a second; and the most of it that a limiter counts. */
enum { RATE_UNITS = 1000000, RATE_COUNT_MOST = 1000000000 };

#define LOOK_PERIOD   WEIR_SEC
#define TELL_TIME     (2 * WEIR_SEC)
#define JOIN_TIME     (5 * WEIR_SEC)
#define MEASURE_LEAST (WEIR_SEC / 3)

enum { MANY_WORKERS = 50 }; /* with more of them each one looks less often */

enum limit_name { LIMIT_RATE, LIMIT_CALLS, LIMITS };
static const char *const limit_names[LIMITS] = {"rate", "concurrency"};

struct engine_fleet {
	struct engine *engine;
	struct fleet_listener listener;
	struct fleet_limit limits[LIMITS]; /* those that there are */
	size_t limit_count;
	struct record_meter record;
	struct weir_event *changed; /* a share has a new end */
	size_t workers;
	bool has_met;
	char *settings; /* that were applied last */
	char stop[200]; /* why all were told to stop */
	/* what the policy holds to */
	uint64_t rate, calls;
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
	if (stats->waiting)
		use->held_by[stats->held_by] = true;
	return 0;
}

/* All of it, for who uses what it has, or has none and could use some; else a little more than what is used. */
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

static void fill_rate(struct engine_fleet *fleet, struct fleet_limit *limit, const struct use *use, bool could)
{
	uint64_t share = fleet_share_now(&limit->share, weir_now()), used = (uint64_t)(fleet->per_sec * RATE_UNITS);
	bool runs = fleet->engine->life.state == ENGINE_RUNNING;
	limit->share.capacity = rate_capacity(&fleet->engine->pace.rate);
	limit->share.needs = runs ? needs_of(limit->share.capacity, share, used, RATE_UNITS,
					     use->held_by[WEIR_HELD_BY_RATE] || (!share && could))
				  : 0;
}

static void fill_calls(struct engine_fleet *fleet, struct fleet_limit *limit, const struct use *use, bool could)
{
	uint64_t share = fleet_share_now(&limit->share, weir_now());
	bool runs = fleet->engine->life.state == ENGINE_RUNNING;
	limit->in_use = use->in_flight;
	limit->share.capacity = fleet->engine->pace.wanted;
	limit->share.needs = runs ? needs_of(limit->share.capacity, share, use->in_flight, 1,
					     use->held_by[WEIR_HELD_BY_CONCURRENCY] || (!share && could))
				  : use->in_flight;
}

static struct fleet_limit *find_limit(struct engine_fleet *fleet, enum limit_name name)
{
	for (size_t i = 0; i < fleet->limit_count; i++)
		if (!strcmp(fleet->limits[i].name, limit_names[name]))
			return &fleet->limits[i];
	return NULL;
}

/* Those that there are now; one that was there keeps its share. */
static void choose_limits(struct engine_fleet *fleet)
{
	const struct engine_pace *pace = &fleet->engine->pace;
	bool works = engine_has_role(&fleet->engine->life, ENGINE_WORK);
	const bool wanted[LIMITS] = {works && pace->rate.count, works && pace->wanted};
	struct fleet_limit chosen[LIMITS] = {0};
	size_t n = 0;
	for (int i = 0; i < LIMITS; i++) {
		const struct fleet_limit *old = find_limit(fleet, (enum limit_name)i);
		if (!wanted[i])
			continue;
		if (old)
			chosen[n] = *old;
		snprintf(chosen[n++].name, sizeof chosen->name, "%s", limit_names[i]);
	}
	memcpy(fleet->limits, chosen, sizeof chosen);
	fleet->limit_count = n;
}

/* Whether there would be something to do: before anything is known, there is. */
static bool could_work(const struct engine_fleet *fleet, const struct use *use)
{
	struct broker_counts counts;
	if (!fleet->has_met || !fleet->engine->store.broker)
		return true;
	engine_counts(&fleet->engine->store, &counts);
	return use->waiting || fleet->engine->load.under_way || counts.ready;
}

/* Meetings may follow one another at once: then there is nothing to be measured. */
static void measure_calls(struct engine_fleet *fleet, uint64_t entered)
{
	weir_nsec now = weir_now(), passed = now - fleet->measured_at;
	if (passed < MEASURE_LEAST)
		return;
	fleet->per_sec = (double)(entered - fleet->entered) * (double)WEIR_SEC / (double)passed;
	fleet->entered = entered;
	fleet->measured_at = now;
}

static struct fleet_limit *say(void *arg, struct buf *record, size_t *ret_n)
{
	struct engine_fleet *fleet = arg;
	struct use use = {0};
	weir_policy_gates(fleet->engine->pace.policy, add_use, &use);
	measure_calls(fleet, use.entered);
	bool could = could_work(fleet, &use);
	record_write(fleet->engine, &fleet->record, record);
	choose_limits(fleet);
	for (int i = 0; i < LIMITS; i++) {
		struct fleet_limit *limit = find_limit(fleet, (enum limit_name)i);
		if (limit)
			(i == LIMIT_RATE ? fill_rate : fill_calls)(fleet, limit, &use, could);
	}
	*ret_n = fleet->limit_count;
	return fleet->limits;
}

/* ---- holding to it */

/* The share in one of the forms that a limiter takes.  What may go at once is divided, too. */
static struct weir_rate_options rate_of(const struct engine_fleet *fleet, uint64_t share, uint64_t capacity)
{
	double burst = (double)fleet->engine->life.plan->settings.burst;
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

static void hold_to_rate(struct engine_fleet *fleet, const struct fleet_limit *limit, uint64_t share)
{
	struct engine_pace *pace = &fleet->engine->pace;
	struct weir_rate_options rate = {0};
	if (share == fleet->rate)
		return;
	if (limit)
		rate = rate_of(fleet, share, limit->share.capacity > share ? limit->share.capacity : share);
	fleet->rate = share;
	pace->own_per_sec = (double)share / RATE_UNITS;
	weir_policy_set_rate(pace->policy, &rate);
}

static void hold_to_calls(struct engine_fleet *fleet, uint64_t share)
{
	struct engine_pace *pace = &fleet->engine->pace;
	size_t calls = share < pace->most ? (size_t)share : pace->most;
	if (calls == fleet->calls)
		return;
	fleet->calls = calls;
	pace->concurrency = calls;
	weir_policy_set_concurrency(pace->policy, calls);
	engine_make_places(fleet->engine, calls);
}

void engine_fleet_apply(struct engine_fleet *fleet)
{
	if (!fleet)
		return;
	struct engine_pace *pace = &fleet->engine->pace;
	const struct fleet_limit *rate = find_limit(fleet, LIMIT_RATE), *calls = find_limit(fleet, LIMIT_CALLS);
	weir_nsec now = weir_now();
	uint64_t rate_share = rate ? fleet_share_now(&rate->share, now) : 0;
	uint64_t calls_share = calls ? fleet_share_now(&calls->share, now) : 0;
	fleet->holds = rate && !rate_share ? WHY_RATE_OWN : calls && !calls_share ? WHY_CONCURRENCY : WHY_END;
	if (rate_share || !rate)
		hold_to_rate(fleet, rate, rate_share);
	if (calls_share)
		hold_to_calls(fleet, calls_share);
	weir_policy_pause(pace->policy, pace->paused || fleet->holds != WHY_END);
	if (fleet->holds == WHY_END && fleet->engine->load.has_room)
		weir_event_set(fleet->engine->load.has_room);
}

enum engine_why engine_fleet_holds(const struct engine_fleet *fleet)
{
	return fleet ? fleet->holds : WHY_END;
}

/* When the first of the shares that there are ends. */
static weir_nsec next_end(const struct engine_fleet *fleet)
{
	weir_nsec end = WEIR_FOREVER;
	for (size_t i = 0; i < fleet->limit_count; i++) {
		const struct fleet_share *share = &fleet->limits[i].share;
		if (fleet_share_now(share, weir_now()) && (end == WEIR_FOREVER || share->until < end))
			end = share->until;
	}
	return end;
}

int engine_fleet_keep_shares(void *arg)
{
	struct engine_fleet *fleet = arg;
	while (weir_event_wait(fleet->changed, next_end(fleet)) != WEIR_ECANCELED) {
		weir_event_clear(fleet->changed);
		engine_fleet_apply(fleet);
	}
	return 0;
}

/* ---- what is told to all */

static void take_settings(struct engine_fleet *fleet, const char *text)
{
	struct engine_changes changes;
	struct weir_error err = {0};
	char *copy = !fleet->settings || strcmp(fleet->settings, text) != 0 ? strdup(text) : NULL;
	if (!copy)
		return;
	free(fleet->settings);
	fleet->settings = copy;
	int code = engine_changes_read(text, &changes, &err);
	if (!code)
		code = engine_change(fleet->engine, &changes, &err);
	if (code)
		engine_note(&fleet->engine->life, "weir set: %s", err.text);
}

static void stop(struct engine_fleet *fleet, const char *reason)
{
	struct engine_life *life = &fleet->engine->life;
	if (fleet->stop[0])
		return;
	snprintf(fleet->stop, sizeof fleet->stop, "%s", reason);
	if (engine_is_giving_up(reason))
		engine_give_up(life, "%s", reason);
	else
		engine_end(life, fleet->stop);
}

static void hear(void *arg, const struct fleet_news *news)
{
	struct engine_fleet *fleet = arg;
	struct engine_life *life = &fleet->engine->life;
	fleet->has_met = true;
	fleet->workers = news->workers;
	if (news->is_new)
		engine_note(life, "this worker was taken for dead; what it held went to the others");
	if (news->settings)
		take_settings(fleet, news->settings);
	if (news->stop)
		stop(fleet, news->stop);
	if (news->failed)
		engine_fail(life, engine_exit_of(news->failed->code), news->failed);
	engine_fleet_apply(fleet);
	weir_event_set(fleet->changed);
}

static int tell_stop(struct engine_fleet *fleet, const char *reason, struct weir_error *err, weir_nsec deadline)
{
	const struct engine_store *store = &fleet->engine->store;
	return store->ops->fleet->tell(store->broker, &(struct fleet_order){.stop = reason}, err, deadline);
}

void engine_fleet_give_up(struct engine_fleet *fleet)
{
	struct weir_error err;
	if (!fleet || !fleet->engine->life.gave_up[0] || fleet->stop[0])
		return;
	snprintf(fleet->stop, sizeof fleet->stop, "%s", fleet->engine->life.gave_up);
	weir_nsec deadline = weir_after(TELL_TIME);
	while (tell_stop(fleet, fleet->stop, &err, deadline) == WEIR_EBUSY && weir_now() < deadline)
		if (weir_sleep(WEIR_SEC / 10))
			return;
}

int engine_fleet_replace(struct engine_fleet *fleet, struct weir_error *err)
{
	return tell_stop(fleet, "the pipeline was changed with --adopt", err, WEIR_FOREVER);
}

/* ---- what the others say of the upstreams */

enum { OTHERS_MOST = 64 }; /* of whom what they have found out is compared */

/* An upstream, as the others see it. */
struct opinion {
	struct weir_table_node node; /* first */
	unsigned callers;
	weir_nsec shut_until; /* 0: it is not */
	size_t n;
	double limits[OTHERS_MOST], rates[OTHERS_MOST], latencies[OTHERS_MOST];
	char key[];
};

struct opinions {
	struct weir_table all;
	weir_nsec silent; /* the worker whose record is read */
};

static struct opinion *find_opinion(const struct opinions *opinions, const char *key)
{
	struct weir_table_node *node = weir_table_find(&opinions->all, weir_hash_text(0, key));
	while (node && strcmp(((struct opinion *)node)->key, key) != 0)
		node = weir_table_again(node);
	return (struct opinion *)node;
}

/* Finds or makes it; NULL: there is no memory. */
static struct opinion *opinion_of(struct opinions *opinions, const char *key)
{
	struct opinion *opinion = find_opinion(opinions, key);
	size_t bytes = strlen(key) + 1;
	if (opinion || weir_table_reserve(&opinions->all) || !(opinion = calloc(1, sizeof *opinion + bytes)))
		return opinion;
	memcpy(opinion->key, key, bytes);
	weir_table_add(&opinions->all, &opinion->node, weir_hash_text(0, key));
	return opinion;
}

static void add_opinion(void *arg, const char *key, const struct record_upstream *upstream)
{
	struct opinions *opinions = arg;
	struct opinion *opinion = opinion_of(opinions, key);
	if (!opinion)
		return;
	weir_nsec until = weir_now() + upstream->shut - (opinions->silent > 0 ? opinions->silent : 0);
	opinion->callers += upstream->is_called;
	if (upstream->shut && until > opinion->shut_until)
		opinion->shut_until = until;
	if (opinion->n == OTHERS_MOST)
		return;
	opinion->limits[opinion->n] = upstream->known.limit;
	opinion->rates[opinion->n] = upstream->known.per_sec;
	opinion->latencies[opinion->n++] = (double)upstream->known.min_latency;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Of those that know it, which are not 0; 0: none does. */
static double median(double *values, size_t n)
{
	size_t first = 0;
	qsort(values, n, sizeof *values, compare);
	while (first < n && values[first] <= 0)
		first++;
	return first < n ? values[first + (n - first) / 2] : 0;
}

/* What the others have said last; empty if that is not to be had. */
static void read_opinions(const struct engine_fleet *fleet, struct opinions *opinions, weir_nsec deadline)
{
	const struct engine_store *store = &fleet->engine->store;
	struct fleet_view view = {0};
	struct weir_error err;
	if (store->ops->fleet->look(store->broker, &view, &err, deadline))
		return;
	for (size_t i = 0; i < view.n; i++) {
		opinions->silent = view.workers[i].silent;
		record_read(view.workers[i].record, store->owner, add_opinion, opinions);
	}
	fleet_view_fini(&view);
}

static struct opinion *next_opinion(const struct opinions *opinions, const struct opinion *before)
{
	return (struct opinion *)weir_table_next(&opinions->all, before ? &before->node : NULL);
}

static void forget_opinions(struct opinions *opinions)
{
	for (struct opinion *opinion = next_opinion(opinions, NULL), *next; opinion; opinion = next) {
		next = next_opinion(opinions, opinion);
		free(opinion);
	}
	weir_table_fini(&opinions->all);
}

void engine_fleet_join(struct engine_fleet *fleet)
{
	struct opinions opinions = {0};
	struct opinion *opinion = NULL;
	if (!fleet)
		return;
	read_opinions(fleet, &opinions, weir_after(JOIN_TIME));
	while ((opinion = next_opinion(&opinions, opinion))) {
		const struct weir_snapshot known = {.limit = median(opinion->limits, opinion->n),
						    .per_sec = median(opinion->rates, opinion->n),
						    .min_latency = (weir_nsec)median(opinion->latencies, opinion->n)};
		weir_policy_recall(fleet->engine->pace.policy, opinion->key, &known);
	}
	forget_opinions(&opinions);
}

struct heeding {
	struct weir_policy *policy;
	const struct opinions *opinions;
};

static int heed(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	const struct heeding *heeding = arg;
	const struct opinion *opinion = find_opinion(heeding->opinions, key);
	(void)stats;
	weir_policy_share(heeding->policy, key, opinion ? opinion->callers + 1 : 1);
	if (opinion && opinion->shut_until > weir_now())
		weir_policy_shut(heeding->policy, key, opinion->shut_until);
	return 0;
}

int engine_fleet_keep_looking(void *arg)
{
	struct engine_fleet *fleet = arg;
	struct weir_policy *policy = fleet->engine->pace.policy;
	weir_nsec period = LOOK_PERIOD;
	while (!weir_sleep(period)) {
		struct opinions opinions = {0};
		read_opinions(fleet, &opinions, WEIR_FOREVER);
		weir_policy_gates(policy, heed, &(struct heeding){policy, &opinions});
		forget_opinions(&opinions);
		period = LOOK_PERIOD + LOOK_PERIOD * (weir_nsec)fleet->workers / MANY_WORKERS;
	}
	return 0;
}

/* ---- life */

int engine_fleet_open(struct engine *engine)
{
	struct engine_fleet *fleet = engine->store.ops->fleet ? calloc(1, sizeof *fleet) : NULL;
	if (!engine->store.ops->fleet)
		return 0;
	engine->fleet = fleet;
	if (!fleet || weir_event_new(&fleet->changed))
		return WEIR_ENOMEM;
	fleet->engine = engine;
	fleet->listener = (struct fleet_listener){.say = say, .hear = hear, .arg = fleet};
	fleet->rate = UINT64_MAX; /* the policy was made with all of it */
	choose_limits(fleet);
	engine_fleet_apply(fleet);
	return 0;
}

const struct fleet_listener *engine_fleet_listener(const struct engine_fleet *fleet)
{
	return fleet ? &fleet->listener : NULL;
}

void engine_fleet_free(struct engine_fleet *fleet)
{
	if (!fleet)
		return;
	weir_event_free(fleet->changed);
	free(fleet->settings);
	free(fleet);
}
