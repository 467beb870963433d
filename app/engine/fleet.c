/* SPDX-License-Identifier: MIT */
#include "engine/fleet.h"

#include "engine/fleet_record.h"
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/table.h>

#define LOOK_PERIOD (800 * WEIR_MSEC) /* with a meeting, which says it, under two seconds */
#define TELL_TIME   (2 * WEIR_SEC)
#define JOIN_TIME   (5 * WEIR_SEC)

enum { MANY_WORKERS = 50 }; /* with more of them each one looks less often */

struct engine_fleet {
	struct engine *engine;
	struct fleet_listener listener;
	struct record_meter record;
	size_t workers;
	char *settings; /* that were applied last */
	char stop[200]; /* why all were told to stop */
};

static struct fleet_limit *say(void *arg, struct buf *record, size_t *ret_n)
{
	struct engine_fleet *fleet = arg;
	record_write(fleet->engine, &fleet->record, record);
	return engine_shares_say(fleet->engine->shares, fleet->workers > 1, ret_n);
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
	engine_broker_away(&fleet->engine->store, news->away ? news->away->text : "");
	if (news->away)
		return;
	fleet->workers = news->workers;
	if (news->is_new)
		engine_note(life, "this worker was taken for dead; what it held went to the others");
	if (news->settings)
		take_settings(fleet, news->settings);
	if (news->stop)
		stop(fleet, news->stop);
	if (news->failed)
		engine_fail(life, engine_exit_of(news->failed->code), news->failed);
	engine_shares_hear(fleet->engine->shares);
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
	if (!fleet)
		return WEIR_ENOMEM;
	fleet->engine = engine;
	fleet->listener = (struct fleet_listener){.say = say, .hear = hear, .arg = fleet};
	return engine_shares_open(engine);
}

const struct fleet_listener *engine_fleet_listener(const struct engine_fleet *fleet)
{
	return fleet ? &fleet->listener : NULL;
}

void engine_fleet_free(struct engine_fleet *fleet)
{
	if (!fleet)
		return;
	free(fleet->settings);
	free(fleet);
}
