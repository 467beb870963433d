/* SPDX-License-Identifier: MIT */
/*
 * The engine, its brokers and the gates of the step http before a simulated upstream, on the virtual clock and with the
 * settings that a pipeline has by default: what is bad about an item, and what about its upstream.
 */
#include "http/exchange.h"
#include "port/adapters.h"
#include "unit/engine_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REFUSED = 0 /* no connection */ };

/* Told and seen. */
static struct {
	int (*status)(int number);
	weir_nsec latency, retry_after;
	weir_nsec began;
	int calls, calls_of[4096];
	int dead_with_own, dead;
	bool is_other; /* the one that is asked for its status is where a redirect leads */
} upstream;

static weir_nsec now(void)
{
	return weir_now() - upstream.began;
}

/* ---- the step */

static int step_open(const void *config, const struct step_env *env, struct step **ret_step, struct weir_error *err)
{
	static const struct step_http_config http = {.expect = STEP_HTTP_JSON, .follow = 3};
	(void)config, (void)env, (void)err;
	*ret_step = calloc(1, sizeof(struct http_step));
	((struct http_step *)*ret_step)->config = &http;
	world.open_things++;
	return 0;
}

static void step_close(struct step *step)
{
	world.open_things--;
	free(step);
}

static int fetch(struct step_call *call, int number, struct http_response *ret_response)
{
	int status = upstream.status(number);
	upstream.calls++;
	upstream.calls_of[number]++;
	if (weir_sleep(status == REFUSED ? WEIR_MSEC : upstream.latency))
		return WEIR_ECANCELED;
	*ret_response = (struct http_response){.sent = true, .took = upstream.latency, .status = status};
	if (status == REFUSED) {
		ret_response->failure = HTTP_CONNECT;
		strcpy(ret_response->detail, "refused");
	}
	if (status == 429)
		ret_response->hint.retry_after = upstream.retry_after;
	ret_response->location = status == 307 ? strdup("http://other/") : NULL;
	ret_response->body = strndup(call->input->data, call->input->len);
	ret_response->body_bytes = call->input->len;
	return 0;
}

static enum step_verdict ask(const struct http_step *step, struct step_call *call, struct exchange *x)
{
	if (call->permit->cut)
		return step_http_turned_away(call);
	int error = fetch(call, (int)call->item->position, &x->response);
	step_http_decide(step, call, x);
	step_http_leave(call, x, error);
	if (error)
		return STEP_CANCELED;
	x->request = (struct http_request){.url = "http://upstream/", .origin = &x->origin, .method = "GET"};
	http_origin_parse(x->request.url, &x->origin);
	return step_http_is_followed(step, call, x) ? step_http_follow(step, call, x)
						    : step_http_excuse(call, step_http_judge(step, call, x));
}

static enum step_verdict exchange(const struct http_step *step, struct step_call *call)
{
	struct exchange x = {.hop = *call->leg};
	*call->leg = NULL;
	upstream.is_other = x.hop;
	enum step_verdict verdict = ask(step, call, &x);
	http_response_fini(&x.response);
	free(x.hop);
	return verdict;
}

static enum step_verdict step_run(struct step *step, struct step_call *call)
{
	enum step_verdict verdict = exchange((const struct http_step *)step, call);
	bool dies = verdict == STEP_DEAD || (verdict == STEP_RETRY && call->last_attempt);
	upstream.dead += dies;
	upstream.dead_with_own += dies && !strncmp(call->why, "status: ", 8);
	return verdict;
}

static const char *step_upstream(const struct step *step, const struct step_call *call, char room[STEP_UPSTREAM_BYTES])
{
	const struct http_hop *hop = call->leg ? *call->leg : NULL;
	(void)step, (void)room;
	return hop ? hop->origin.name : "http://upstream:80";
}

static const struct step_ops step_ops = {
	.open = step_open, .run = step_run, .close = step_close, .upstream = step_upstream};
static const struct adapter step_adapter = {.kind = ADAPTER_STEP, .step = &step_ops};

/* ---- runs */

static void begin(int items, int (*status)(int number))
{
	world = (struct world){.items = items, .most = 10000};
	memset(&upstream, 0, sizeof upstream);
	upstream.status = status;
	upstream.latency = 100 * WEIR_MSEC;
	upstream.began = weir_now();
}

static int run_for(const char *more, bool durable, weir_nsec stop_after, struct engine_stats *ret_stats)
{
	struct plan_adapter step;
	struct plan *parsed = settings_of(more), plan = durable ? durable_plan_of(&step) : memory_plan_of(&step);
	step.adapter = &step_adapter;
	plan.settings = parsed->settings;
	int code = run_plan(&plan, stop_after, ret_stats);
	plan_free(parsed);
	return code;
}

static int run(const char *more, bool durable, struct engine_stats *ret_stats)
{
	return run_for(more, durable, 0, ret_stats);
}

/* ---- bad items among good ones */

enum where { FIRST, ALTERNATING, IN_THE_MIDDLE, LAST, WHERES };
static enum where where;
static int bad_status;

static bool is_bad(int number)
{
	switch (where) {
	case FIRST:
		return number <= 30;
	case ALTERNATING:
		return number <= 60 && number % 2;
	case IN_THE_MIDDLE:
		return number > 50 && number <= 80;
	default:
		return number > 100;
	}
}

static int some_bad(int number)
{
	return is_bad(number) ? bad_status : 200;
}

FIBER_TEST(upstream_that_answers_500_to_some_items_serves_the_others_within_half_a_minute)
{
	for (int durable = 0; durable < 2; durable++)
		for (where = FIRST; where < WHERES; where++) {
			struct engine_stats stats;
			begin(130, some_bad);
			bad_status = 500;
			ck_assert_int_eq(run("", durable, &stats), EXIT_DEAD_LETTERS);
			ck_assert_uint_eq(stats.succeeded, 100);
			ck_assert_uint_eq(stats.dead, 30);
			ck_assert_int_eq(upstream.dead_with_own, 30);
			ck_assert_msg(now() <= 30 * WEIR_SEC, "where %d, durable %d: %lld ms", (int)where, durable,
				      (long long)(now() / WEIR_MSEC));
		}
}

/* ---- an upstream that is down */

static weir_nsec down_from, down_until;
static int down_status, calls_when_down;

static bool is_down(void)
{
	return now() >= down_from && now() < down_until;
}

static int down_for_a_while(int number)
{
	(void)number;
	calls_when_down += is_down();
	return is_down() ? down_status : 200;
}

static void go_down(weir_nsec from, weir_nsec length, int status)
{
	down_from = from;
	down_until = from + length;
	down_status = status;
	calls_when_down = 0;
}

FIBER_TEST(upstream_that_is_down_costs_no_item_and_is_asked_little)
{
	static const int statuses[] = {503, REFUSED, 500};
	for (size_t i = 0; i < 3; i++) {
		struct engine_stats stats;
		struct engine_flow flow;
		int items = i == 0 ? 1200 : 3000;
		begin(items, down_for_a_while);
		go_down(WEIR_SEC, 60 * WEIR_SEC, statuses[i]);
		world.flow = &flow;
		ck_assert_int_eq(run("flow: { rate: 1000/s }", i == 0, &stats), EXIT_DONE);
		ck_assert_int_eq((int)stats.succeeded, items);
		ck_assert_uint_ge(flow.breaker_opened, 3);
		/* 20 failures, and what was under way then; then 3 probes each time; 20 of an upstream that answers. */
		int probes = statuses[i] == 500 ? 20 : 3;
		ck_assert_int_le(calls_when_down, 20 + 150 + (int)flow.breaker_opened * probes);
		ck_assert_int_le(now(), 61 * WEIR_SEC + 45 * WEIR_SEC);
	}
}

FIBER_TEST(upstream_that_is_down_from_the_beginning_is_waited_for)
{
	struct engine_stats stats;
	begin(500, down_for_a_while);
	go_down(0, 3600 * WEIR_SEC, REFUSED);
	ck_assert_int_eq(run("", false, &stats), EXIT_DONE);
	ck_assert_uint_eq(stats.succeeded, 500);
	/* Of an hour with a round each half a minute. */
	ck_assert_int_le(calls_when_down, 20 + 50 + 3 * 150);
}

static int every_other_second(int number)
{
	(void)number;
	return now() / WEIR_SEC % 2 ? 200 : 503;
}

/* Each call has an even chance, so that one in 32 items fails five times. */
FIBER_TEST(upstream_that_flaps_each_second_comes_to_an_end)
{
	struct engine_stats stats;
	begin(2000, every_other_second);
	run("stop_when: { dead: 0% }", false, &stats);
	ck_assert_uint_eq(stats.unfinished, 0);
	ck_assert_uint_le(stats.dead, 200);
	ck_assert_int_le(now(), 5000 * WEIR_SEC);
}

/* ---- an upstream that redirects to another */

static int calls_of_first;

static int other_is_down_for_a_while(int number)
{
	calls_of_first += !upstream.is_other;
	return upstream.is_other ? down_for_a_while(number) : 307;
}

FIBER_TEST(upstream_behind_a_redirect_has_a_breaker_and_a_rate_of_its_own)
{
	for (int durable = 0; durable < 2; durable++) {
		struct engine_stats stats;
		begin(600, other_is_down_for_a_while);
		go_down(WEIR_SEC, 60 * WEIR_SEC, 503);
		calls_of_first = 0;
		ck_assert_int_eq(run("flow: { rate: 100/s }", durable, &stats), EXIT_DONE);
		ck_assert_uint_eq(stats.succeeded, 600);
		ck_assert_int_le(calls_when_down, 20 + 150 + 40 * 3);
		ck_assert_int_ge(now(), 61 * WEIR_SEC);
		ck_assert_int_ge(calls_of_first, 600);
		ck_assert_int_eq(world.open_things, 0);
	}
}

/* Wherever an item is when the run ends, what its step has kept for the next leg is freed. */
FIBER_TEST(upstream_behind_a_redirect_that_stays_down_leaves_its_items)
{
	for (int durable = 0; durable < 2; durable++) {
		struct engine_stats stats;
		begin(300, other_is_down_for_a_while);
		go_down(0, 24 * 3600 * WEIR_SEC, REFUSED);
		ck_assert_int_eq(run_for("", durable, 30 * WEIR_SEC, &stats), EXIT_STOPPED);
		ck_assert_uint_eq(stats.succeeded + stats.dead, 0);
		ck_assert_uint_eq(stats.unfinished, 300);
	}
}

/* ---- an upstream that denies calls */

static weir_nsec denies_until;

static int deny_in_the_middle(int number)
{
	(void)number;
	return upstream.calls > 300 && now() < denies_until ? 401 : 200;
}

FIBER_TEST(upstream_that_denies_all_calls_makes_its_items_wait)
{
	static const char *const flows[] = {"flow: { concurrency: 10 }", "flow: { concurrency: 100 }", ""};
	for (size_t i = 0; i < 3; i++) {
		struct engine_stats stats;
		begin(700, deny_in_the_middle);
		denies_until = 300 * WEIR_SEC;
		ck_assert_int_eq(run(flows[i], i == 0, &stats), EXIT_DEAD_LETTERS);
		ck_assert_uint_ge(stats.dead, 1);
		ck_assert_uint_le(stats.dead, 40); /* two blocks, when some good answers come between */
		ck_assert_uint_eq(stats.succeeded + stats.dead, 700);
		/* What was under way, and a few probes each half a minute. */
		ck_assert_int_le(upstream.calls, 700 + 400 + 3 * 20);
		ck_assert_int_le(now(), 300 * WEIR_SEC + 60 * WEIR_SEC);
	}
}

FIBER_TEST(upstream_that_denies_all_calls_for_ever_ends_the_run)
{
	struct engine_stats stats;
	begin(600, deny_in_the_middle);
	denies_until = 1000000 * WEIR_SEC;
	ck_assert_int_eq(run("", true, &stats), EXIT_GAVE_UP);
	ck_assert_uint_le(stats.dead, 40);
	ck_assert_uint_ge(stats.unfinished, 200);
	ck_assert_ptr_nonnull(strstr(stats.reason, "http://upstream:80 denies every call (stop_when: denied)"));
	ck_assert_int_ge(now(), 600 * WEIR_SEC);
	ck_assert_int_le(now(), 660 * WEIR_SEC);
}

static int deny_some(int number)
{
	return number % 3 ? 403 : 200;
}

FIBER_TEST(upstream_that_denies_some_items_for_ever_serves_the_others)
{
	struct engine_stats stats;
	begin(4000, deny_some);
	upstream.latency = 10 * WEIR_MSEC;
	int code = run("stop_when: { dead: 0% }", false, &stats);
	ck_assert_uint_eq(stats.succeeded, 4000 / 3);
	/* If an alarm comes when only such items are left, they cannot be told from an upstream that denies everything.
	 */
	ck_assert(code == EXIT_DEAD_LETTERS || (code == EXIT_GAVE_UP && stats.unfinished < 20));
	/* False alarms at 20, 40, ... 1,280 calls, and the last items. */
	ck_assert_int_le(now(), 700 * WEIR_SEC);
	begin(500, deny_some);
	ck_assert_int_eq(run("flow: { breaker: { denied: 0% } }\nstop_when: { dead: 0% }", false, &stats),
			 EXIT_DEAD_LETTERS);
	ck_assert_int_le(now(), 10 * WEIR_SEC);
}

/* ---- an upstream that throttles */

static int throttled_items;

/* Some, among the others. */
static int throttle_some(int number)
{
	return number % 40 == 3 && number / 40 < throttled_items ? 429 : 200;
}

FIBER_TEST(upstream_that_throttles_some_items_for_ever_ends_with_dead_letters_that_say_so)
{
	static const weir_nsec after[] = {0, WEIR_SEC};
	for (size_t i = 0; i < 2; i++)
		for (throttled_items = 1; throttled_items <= 5; throttled_items += 4) {
			struct engine_stats stats;
			begin(200, throttle_some);
			upstream.retry_after = after[i];
			ck_assert_int_eq(run("", false, &stats), EXIT_DEAD_LETTERS);
			ck_assert_int_eq((int)stats.dead, throttled_items);
			ck_assert_uint_eq(stats.succeeded, (uint64_t)(200 - throttled_items));
			ck_assert_ptr_nonnull(strstr(world.last_letter, "status: 429; throttled for 1"));
			ck_assert_ptr_nonnull(strstr(world.last_letter, "while http://upstream:80 served others"));
			ck_assert_int_ge(now(), 600 * WEIR_SEC);
			/* One that is refused first when all others are done is not known to be alone with it. */
			ck_assert_int_le(now(), (throttled_items == 1 ? 780 : 1300) * WEIR_SEC);
		}
}

static int throttle_the_last(int number)
{
	return number == world.items ? 429 : 200;
}

FIBER_TEST(upstream_that_throttles_the_last_item_for_ever_ends)
{
	for (int durable = 0; durable < 2; durable++) {
		struct engine_stats stats;
		begin(31, throttle_the_last);
		ck_assert_int_eq(run("flow: { retry: { throttled: 30s } }", durable, &stats), EXIT_DEAD_LETTERS);
		ck_assert_uint_eq(stats.succeeded, 30);
		ck_assert_int_le(now(), 90 * WEIR_SEC);
	}
}

FIBER_TEST(upstream_that_throttles_an_item_for_ever_is_waited_for_when_told_to)
{
	struct engine_stats stats;
	begin(31, throttle_the_last);
	ck_assert_int_eq(run_for("flow: { retry: { throttled: 0 } }", false, 7200 * WEIR_SEC, &stats), EXIT_STOPPED);
	ck_assert_uint_eq(stats.unfinished, 1);
}

static weir_nsec used_up_from;

/* After a few calls the quota is used up, for an hour. */
static int throttle_all_for_an_hour(int number)
{
	(void)number;
	return now() >= used_up_from && now() < used_up_from + 3600 * WEIR_SEC ? 429 : 200;
}

FIBER_TEST(upstream_that_throttles_everybody_for_an_hour_costs_no_item)
{
	static const weir_nsec after[] = {0, WEIR_SEC, 60 * WEIR_SEC, 3600 * WEIR_SEC};
	static const weir_nsec from[] = {0, WEIR_SEC, 2200 * WEIR_MSEC};
	for (size_t i = 0; i < 4; i++)
		for (size_t k = (i + test_seed()) % 3; k < 3; k += 3) {
			struct engine_stats stats;
			int items = after[i] == WEIR_SEC ? 200 : 2000; /* all of them come each second, for an hour */
			begin(items, throttle_all_for_an_hour);
			upstream.retry_after = after[i];
			used_up_from = from[k];
			int code = run("flow: { concurrency: 100 }", false, &stats);
			ck_assert_msg(code == EXIT_DONE, "retry after %lld s, from %lld: exit code %d",
				      (long long)(after[i] / WEIR_SEC), (long long)from[k], code);
			ck_assert_int_eq((int)stats.succeeded, items);
		}
}

/* ---- several upstreams in one pipeline */

static struct {
	int calls[2], in_flight, most_in_flight;
	bool had_none;
} relay;

/* Makes two values of what it is given, and calls nobody. */
static enum step_verdict double_it(struct step *step, struct step_call *call)
{
	(void)step;
	put_out(call, call->input->data);
	put_out(call, call->input->data);
	return STEP_OK;
}

static enum step_verdict relay_run(struct step_call *call, int which)
{
	static const char *const keys[] = {"first", "second"};
	relay.had_none = relay.had_none || !weir_attempt_may_call(call->permit, keys[which]);
	relay.calls[which]++;
	if (++relay.in_flight > relay.most_in_flight)
		relay.most_in_flight = relay.in_flight;
	int code = weir_sleep(10 * WEIR_MSEC);
	relay.in_flight--;
	call->permit->outcome = WEIR_OUTCOME_GOOD;
	weir_attempt_leave(call->permit);
	put_out(call, call->input->data);
	return code ? STEP_CANCELED : STEP_OK;
}

static enum step_verdict run_first(struct step *step, struct step_call *call)
{
	(void)step;
	return relay_run(call, 0);
}

static enum step_verdict run_second(struct step *step, struct step_call *call)
{
	(void)step;
	return relay_run(call, 1);
}

static const char *first_upstream(const struct step *step, const struct step_call *call, char room[STEP_UPSTREAM_BYTES])
{
	(void)step, (void)call, (void)room;
	return "first";
}

static const char *second_upstream(const struct step *step, const struct step_call *call,
				   char room[STEP_UPSTREAM_BYTES])
{
	(void)step, (void)call, (void)room;
	return "second";
}

static const struct step_ops double_ops = {.open = step_open, .run = double_it, .close = step_close};
static const struct step_ops first_ops = {
	.open = step_open, .run = run_first, .close = step_close, .upstream = first_upstream};
static const struct step_ops second_ops = {
	.open = step_open, .run = run_second, .close = step_close, .upstream = second_upstream};
static const struct adapter relay_adapters[] = {{.kind = ADAPTER_STEP, .step = &double_ops},
						{.kind = ADAPTER_STEP, .step = &first_ops},
						{.kind = ADAPTER_STEP, .step = &second_ops}};

/* Each of the two values of an item is one call to each, under a permit of its own. */
FIBER_TEST(upstreams_of_one_pipeline_are_called_in_turn_and_once_for_each_value)
{
	struct plan_adapter steps[3];
	struct engine_stats stats;
	struct plan plan = plan_of(&steps[0]);
	for (size_t i = 0; i < 3; i++)
		steps[i] = (struct plan_adapter){.adapter = &relay_adapters[i]};
	plan.step_count = 3;
	memset(&relay, 0, sizeof relay);
	begin(100, some_bad);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DONE);
	ck_assert_uint_eq(stats.succeeded, 100);
	ck_assert_uint_eq(stats.attempts, 100);
	ck_assert_int_eq(relay.calls[0], 200);
	ck_assert_int_eq(relay.calls[1], 200);
	ck_assert(!relay.had_none);
	ck_assert_int_eq(relay.most_in_flight, 10); /* of both together */
	ck_assert_int_eq(world.seen[7], 2);
}
