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

/* What is given up is not used from then on, also if the answer is lost; who joins brings no burst. */
FIBER_TEST(rate_holds_for_all_engines_also_when_calls_to_the_broker_are_lost)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step);
	struct party parties[] = {{.plan = &plan},
				  {.plan = &plan, .begins = 3 * WEIR_SEC},
				  {.plan = &plan, .begins = 6 * WEIR_SEC},
				  {.plan = &plan, .begins = 9 * WEIR_SEC}};
	world = (struct world){.items = 1500, .step = note_and_pass};
	shared.lost = 30;
	plan.settings.rate = (struct key_rate){100, WEIR_SEC};
	plan.settings.burst = 20;
	finish(start_parties(parties, 4));
	ck_assert_int_eq(sent.n, 1500);
	ck_assert_int_le(most_in(WEIR_SEC), 100 + 20);
	shared_fini();
}

FIBER_TEST(concurrency_holds_for_all_engines_together)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan, .begins = WEIR_SEC}, {.plan = &plan}};
	world = (struct world){.items = 4000, .step = note_and_pass};
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

/* The plan has no limit at all. */
FIBER_TEST(rate_that_is_set_holds_for_who_joins_from_its_first_call)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan, .begins = 6 * WEIR_SEC}};
	world = (struct world){.items = 3000, .step = note_and_pass, .most = 5};
	plan.settings.concurrency = 0;
	struct weir_group *group = start_parties(parties, 2);
	weir_sleep(WEIR_SEC);
	tell(&(struct engine_changes){.has_rate = true, .rate = {50, WEIR_SEC}});
	weir_sleep(4 * WEIR_SEC);
	ck_assert_int_lt(sent.n, 2000);
	sent.n = 0;
	weir_sleep(5 * WEIR_SEC);
	ck_assert_int_gt(sent.n, 100);
	ck_assert_int_le(most_in(WEIR_SEC), 50 + 2);
	tell(&(struct engine_changes){.has_rate = true});
	finish(group);
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

/* ---- what others say of an upstream */

/* Its first call, after a second, is asked to come back later. */
static weir_nsec refused_at, opens_at;

static enum step_verdict call_upstream(struct step_call *call, int number)
{
	struct weir_attempt *permit = call->permit;
	note_and_pass(call, number);
	permit->outcome = WEIR_OUTCOME_GOOD;
	if (opens_at && !refused_at && weir_now() > WEIR_SEC) {
		refused_at = weir_now();
		permit->outcome = WEIR_OUTCOME_THROTTLED;
		permit->hint.retry_after = opens_at;
		opens_at += refused_at;
	}
	weir_attempt_leave(permit);
	return permit->outcome == WEIR_OUTCOME_GOOD ? STEP_OK : step_say(call, STEP_REFUSED, "status: 429");
}

static const char *name_upstream(const struct step *step, const struct step_call *call, char room[STEP_UPSTREAM_BYTES])
{
	(void)step, (void)call, (void)room;
	return "http://h:80";
}

/* The plan's step calls an upstream. */
static void call_out(struct plan_adapter *step)
{
	static struct step_ops ops;
	static struct adapter adapter;
	adapter = *step->adapter;
	ops = *adapter.step;
	ops.upstream = name_upstream;
	adapter.step = &ops;
	step->adapter = &adapter;
	refused_at = opens_at = 0;
}

FIBER_TEST(come_back_later_that_one_engine_hears_counts_for_all_within_two_seconds)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step);
	struct party parties[] = {{.plan = &plan}, {.plan = &plan}, {.plan = &plan}};
	world = (struct world){.items = 2000, .step = call_upstream};
	shared.lost = 0;
	plan.settings.rate = (struct key_rate){100, WEIR_SEC};
	call_out(&step);
	opens_at = 6 * WEIR_SEC;
	finish(start_parties(parties, 3));
	int late = 0, after = 0;
	for (int i = 0; i < sent.n; i++) {
		late += sent.at[i] > refused_at + 2 * WEIR_SEC && sent.at[i] < opens_at;
		after += sent.at[i] >= opens_at;
	}
	ck_assert_int_gt(refused_at, 0);
	ck_assert_int_eq(late, 0);
	ck_assert_int_gt(after, 1000);
	shared_fini();
}

/* Three who know the upstream, and one who does not. */
static int look_at_four(struct broker *broker, struct fleet_view *ret_view, struct weir_error *err, weir_nsec deadline)
{
	static const char *const limits[] = {"12", "31", "500", "0"};
	(void)broker, (void)err, (void)deadline;
	*ret_view = (struct fleet_view){.workers = calloc(4, sizeof(struct fleet_worker)), .n = 4};
	for (size_t i = 0; i < 4; i++) {
		const char *record = test_format("{\"id\":\"%zu\",\"upstreams\":{\"http://h:80\":{\"limit\":%s,"
						 "\"min_latency_ms\":10,\"calls\":true}}}",
						 i, limits[i]);
		ret_view->workers[i].name = strdup("w");
		ret_view->workers[i].record = strdup(record);
	}
	return 0;
}

static int in_flight_at_first;

static enum step_verdict count_at_first(struct step_call *call, int number)
{
	enum step_verdict verdict = call_upstream(call, number);
	if (!in_flight_at_first)
		in_flight_at_first = world.most_in_flight;
	return verdict;
}

FIBER_TEST(engine_that_joins_begins_with_the_median_of_what_the_others_have_found)
{
	struct plan_adapter step;
	struct plan plan = fleet_plan_of(&step);
	struct fleet_ops fleet = *shared_broker_adapter.broker->fleet;
	struct broker_ops ops = *shared_broker_adapter.broker;
	struct adapter broker = shared_broker_adapter;
	struct party parties[] = {{.plan = &plan}};
	world = (struct world){.items = 300, .step = count_at_first, .most = 100};
	shared.slow = shared.lost = 0; /* or the first come one by one */
	fleet.look = look_at_four;
	ops.fleet = &fleet;
	broker.broker = &ops;
	plan.broker.adapter = &broker;
	plan.settings.concurrency = 0;
	call_out(&step);
	in_flight_at_first = 0;
	finish(start_parties(parties, 1));
	ck_assert_int_eq(in_flight_at_first, 31);
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
