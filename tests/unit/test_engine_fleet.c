/* SPDX-License-Identifier: MIT */
/* Engines at one broker (shared_broker.h) that hear of each other: limits of all, settings for all, the end of all. */
#include "unit/engine_world.h"
#include "unit/fibers.h"
#include "unit/shared_broker.h"

#include "engine/fleet_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MOST = 4096 };

static struct {
	weir_nsec at[CALLS_MOST];
	int n;
} sent;

static enum step_verdict note_and_pass(struct step_call *call, int number)
{
	sent.at[sent.n++ % CALLS_MOST] = weir_now();
	return pass(call, number);
}

/* One of the engines. */
struct party {
	const struct plan *plan;
	unsigned roles;
	bool detach;
	weir_nsec begins;
	int exit_code;
	struct engine_stats stats;
	char reason[200];
};

static int run_party(void *arg)
{
	struct party *party = arg;
	struct engine_options opts = options_of_world();
	struct weir_error err = {0};
	struct engine *engine;
	opts.roles = party->roles;
	opts.detach = party->detach;
	weir_sleep(party->begins);
	ck_assert_msg(engine_open(party->plan, &opts, &engine, &party->exit_code, &err) == 0, "%s", err.text);
	party->exit_code = engine_run(engine, &err);
	ck_assert_msg(!err.code, "%s", err.text);
	engine_stats(engine, &party->stats);
	snprintf(party->reason, sizeof party->reason, "%s", party->stats.reason ? party->stats.reason : "");
	engine_free(engine);
	return 0;
}

static struct weir_group *start_parties(struct party *parties, size_t n)
{
	struct weir_group *group = new_group();
	for (size_t i = 0; i < n; i++)
		spawn(group, run_party, &parties[i]);
	return group;
}

static struct plan fleet_plan_of(struct plan_adapter *step)
{
	struct plan plan = plan_of(step);
	plan.broker = (struct plan_adapter){.adapter = &shared_broker_adapter};
	shared = (struct shared){.slow = 2 * WEIR_MSEC, .lost = 5};
	shared_init();
	sent.n = 0;
	return plan;
}

/* Most calls in any window of that length. */
static int most_in(weir_nsec window)
{
	int most = 0;
	for (int from = 0, to = 0; to < sent.n; to++) {
		while (sent.at[to] - sent.at[from] >= window)
			from++;
		most = to - from + 1 > most ? to - from + 1 : most;
	}
	return most;
}

FIBER_TEST(rate_holds_for_all_engines_together)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan}, {.plan = &plan, .begins = 5 * WEIR_SEC}};
	world = (struct world){.items = 600, .step = note_and_pass};
	plan.settings.rate = (struct key_rate){50, WEIR_SEC};
	plan.settings.burst = 10;
	weir_nsec begun = weir_now();
	finish(start_parties(parties, 3));
	weir_nsec took = weir_now() - begun;
	ck_assert_int_eq(sent.n, 600);
	ck_assert_int_le(most_in(WEIR_SEC), 50 + 10 + 2); /* who joins begins with a call */
	ck_assert_int_ge(took, 11 * WEIR_SEC);
	ck_assert_int_le(took, 17 * WEIR_SEC);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(parties[i].exit_code, EXIT_DONE);
		ck_assert_uint_gt(parties[i].stats.attempts, 60);
	}
	shared_fini();
}

FIBER_TEST(concurrency_holds_for_all_engines_together)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan, .begins = WEIR_SEC}, {.plan = &plan}};
	world = (struct world){.items = 2000, .step = note_and_pass};
	plan.settings.concurrency = 8;
	finish(start_parties(parties, 3));
	ck_assert_int_le(world.most_in_flight, 8);
	ck_assert_int_ge(world.most_in_flight, 7);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_gt(parties[i].stats.attempts, 50);
	shared_fini();
}

FIBER_TEST(engine_whose_share_has_ended_calls_nobody)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step);
	struct party parties[] = {{.plan = &plan}};
	world = (struct world){.items = 300, .step = note_and_pass};
	plan.settings.rate = (struct key_rate){20, WEIR_SEC};
	struct weir_group *group = start_parties(parties, 1);
	weir_sleep(3 * WEIR_SEC);
	shared.lost = 100;
	weir_sleep(FLEET_SHARE_LIFE + 10 * WEIR_MSEC);
	int before = sent.n;
	weir_sleep(10 * WEIR_SEC);
	ck_assert_int_gt(before, 0);
	ck_assert_int_eq(sent.n, before);
	shared.lost = 0;
	finish(group);
	ck_assert_int_eq(parties[0].exit_code, EXIT_DONE);
	ck_assert_int_eq(sent.n, 300);
	shared_fini();
}

static void tell(const struct engine_changes *changes)
{
	struct buf text = {0};
	struct weir_error err;
	const struct fleet_ops *fleet = shared_broker_adapter.broker->fleet;
	engine_changes_write(changes, &text);
	while (fleet->tell(NULL, &(struct fleet_order){.settings = text.data}, &err, WEIR_FOREVER))
		;
	buf_fini(&text);
}

FIBER_TEST(settings_hold_for_all_engines_and_those_that_join)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan, .begins = 6 * WEIR_SEC}};
	world = (struct world){.items = 400, .step = note_and_pass};
	plan.settings.rate = (struct key_rate){20, WEIR_SEC};
	struct weir_group *group = start_parties(parties, 2);
	weir_sleep(3 * WEIR_SEC);
	tell(&(struct engine_changes){.has_pause = true, .paused = true});
	weir_sleep(2 * WEIR_SEC);
	int before = sent.n;
	weir_sleep(5 * WEIR_SEC);
	ck_assert_int_eq(sent.n, before);
	tell(&(struct engine_changes){.has_pause = true, .has_rate = true, .rate = {200, WEIR_SEC}});
	weir_nsec begun = weir_now();
	finish(group);
	ck_assert_int_eq(sent.n, 400);
	ck_assert_int_le(weir_now() - begun, 5 * WEIR_SEC);
	ck_assert_uint_gt(parties[1].stats.attempts, 20);
	shared_fini();
}

FIBER_TEST(engine_that_gives_up_stops_all)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step), patient = plan;
	struct party parties[] = {{.plan = &plan}, {.plan = &patient}};
	world = (struct world){.items = 4000, .step = fail_always};
	plan.settings.stop_dead = 0.5;
	plan.settings.stop_of_first = 40;
	finish(start_parties(parties, 2));
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(parties[i].exit_code, EXIT_GAVE_UP);
		ck_assert_msg(strstr(parties[i].reason, "(stop_when: dead, of_first)") != NULL, "%s",
			      parties[i].reason);
	}
	ck_assert_uint_gt(shared.n, 0);
	shared_fini();
}

FIBER_TEST(engine_that_is_detached_ends_when_all_is_read)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step);
	struct party parties[] = {{.plan = &plan, .roles = ENGINE_SUBMIT, .detach = true},
				  {.plan = &plan, .roles = ENGINE_WORK, .begins = 5 * WEIR_SEC}};
	world = (struct world){.items = 20, .step = note_and_pass};
	struct weir_group *group = start_parties(parties, 2);
	weir_sleep(4 * WEIR_SEC);
	ck_assert_int_eq(parties[0].exit_code, EXIT_DONE);
	ck_assert_int_eq(parties[0].stats.state, ENGINE_SUBMITTED);
	ck_assert_uint_eq(parties[0].stats.unfinished, 20);
	finish(group);
	ck_assert_int_eq(parties[1].exit_code, EXIT_DONE);
	ck_assert_int_eq(sent.n, 20);
	shared_fini();
}

/* ---- records */

struct heard {
	int n;
	char key[80];
	struct record_upstream upstream;
};

static void hear(void *arg, const char *key, const struct record_upstream *upstream)
{
	struct heard *heard = arg;
	heard->n++;
	heard->upstream = *upstream;
	snprintf(heard->key, sizeof heard->key, "%s", key);
}

TEST(fleet_record_of_another_says_what_it_knows_of_an_upstream)
{
	static const char record[] =
		"{\"id\":\"a\",\"upstreams\":{\"http://h:80\":{\"limit\":37.5,\"per_sec\":-1,\"min_latency_ms\":2,"
		"\"shut_ms\":1500,\"calls\":true}}}";
	struct heard heard = {0};
	record_read(record, "b", hear, &heard);
	ck_assert_int_eq(heard.n, 1);
	ck_assert_str_eq(heard.key, "http://h:80");
	ck_assert_double_eq(heard.upstream.known.limit, 37.5);
	ck_assert_double_eq(heard.upstream.known.per_sec, 0);
	ck_assert_int_eq(heard.upstream.known.min_latency, 2 * WEIR_MSEC);
	ck_assert_int_eq(heard.upstream.shut, 1500 * WEIR_MSEC);
	ck_assert(heard.upstream.is_called);
	record_read(record, "a", hear, &heard); /* its own */
	record_read("{\"upstreams\":7}", "b", hear, &heard);
	record_read("nonsense", "b", hear, &heard);
	ck_assert_int_eq(heard.n, 1);
}

TEST(changes_are_the_same_after_they_were_written)
{
	const struct engine_changes all[] = {
		{0},
		{.has_concurrency = true, .concurrency = 50},
		{.has_concurrency = true, .has_pause = true, .paused = true},
		{.has_rate = true, .rate = {3, 10 * WEIR_SEC}, .has_pause = true},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct buf text = {0};
		struct engine_changes again;
		engine_changes_write(&all[i], &text);
		ck_assert_int_eq(engine_changes_read(text.data, &again, NULL), 0);
		ck_assert(again.has_concurrency == all[i].has_concurrency && again.concurrency == all[i].concurrency);
		ck_assert(again.has_rate == all[i].has_rate && again.rate.count == all[i].rate.count);
		ck_assert_int_eq(again.rate.period, all[i].rate.period);
		ck_assert(again.has_pause == all[i].has_pause && again.paused == all[i].paused);
		buf_fini(&text);
	}
	struct engine_changes none;
	ck_assert_int_eq(engine_changes_read("nonsense", &none, NULL), WEIR_EDATA);
}
