/* SPDX-License-Identifier: MIT */
/*
 * What holds a run back, and what it says of that, for bottlenecks that are known, on the virtual clock.  And whether
 * what it foretells of a change is so: a second run makes the change at that moment.
 */
#include "cmd/bottleneck.h"
#include "engine/internal.h"
#include "port/adapters.h"
#include "unit/engine_world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- an upstream, and a step that calls it */

enum mood { WELL, DOWN, DENIES, BUSY, SHUT, FAILS_FIRST };

static struct {
	weir_nsec latency, local; /* of a call; and of the work of a step behind it, that calls nobody */
	weir_nsec burns;          /* processor time of that work */
	double quota;             /* calls a second; 0: any number */
	bool states_quota;        /* in its answers */
	enum mood mood;
	double burst, tokens;
	weir_nsec filled;
} upstream;

static bool is_in_quota(void)
{
	weir_nsec now = weir_now();
	upstream.tokens += upstream.quota * (double)(now - upstream.filled) / (double)WEIR_SEC;
	upstream.tokens = fmin(upstream.tokens, fmax(1, upstream.burst));
	upstream.filled = now;
	if (upstream.tokens < 1)
		return false;
	upstream.tokens--;
	return true;
}

static enum step_verdict answer(struct step_call *call, enum weir_outcome outcome, enum step_verdict verdict,
				const char *why)
{
	call->permit->outcome = outcome;
	if (upstream.states_quota)
		call->permit->hint = (struct weir_hint){.quota = (uint64_t)upstream.quota, .window = WEIR_SEC};
	if (upstream.mood == SHUT)
		call->permit->hint.retry_after = 100 * WEIR_SEC;
	strcpy(call->why, why);
	weir_attempt_leave(call->permit);
	return verdict;
}

static enum step_verdict ask(struct step_call *call)
{
	bool throttles = upstream.quota > 0 && !is_in_quota();
	if (weir_sleep(upstream.latency))
		return STEP_CANCELED;
	if (throttles || upstream.mood == BUSY || upstream.mood == SHUT)
		return answer(call, WEIR_OUTCOME_THROTTLED, STEP_REFUSED, "status: 429");
	if (upstream.mood == DOWN)
		return answer(call, WEIR_OUTCOME_FAILED, STEP_RETRY, "connect: refused");
	if (upstream.mood == DENIES)
		return answer(call, WEIR_OUTCOME_DENIED, STEP_DEAD, "status: 401");
	if (upstream.mood == FAILS_FIRST && call->attempt == 1)
		return answer(call, WEIR_OUTCOME_ERROR, STEP_RETRY, "status: 500");
	return answer(call, WEIR_OUTCOME_GOOD, STEP_OK, "");
}

static enum step_verdict run_call(struct step *step, struct step_call *call)
{
	(void)step;
	if (call->permit->cut) {
		strcpy(call->why, "turned away");
		return STEP_RETRY;
	}
	enum step_verdict verdict = ask(call);
	if (verdict == STEP_OK)
		put_out(call, call->input->data);
	return verdict;
}

static void burn(weir_nsec ns)
{
	struct timespec begun, now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while ((now.tv_sec - begun.tv_sec) * WEIR_SEC + now.tv_nsec - begun.tv_nsec < ns);
}

static enum step_verdict run_local(struct step *step, struct step_call *call)
{
	(void)step;
	burn(upstream.burns);
	if (upstream.local && weir_sleep(upstream.local))
		return STEP_CANCELED;
	put_out(call, call->input->data);
	return STEP_OK;
}

static int step_open(const void *config, const struct step_env *env, struct step **ret_step, struct weir_error *err)
{
	(void)config, (void)env, (void)err;
	*ret_step = NULL;
	return 0;
}

static void step_close(struct step *step)
{
	(void)step;
}

static const char *name_upstream(const struct step *step, const struct step_call *call, char room[STEP_UPSTREAM_BYTES])
{
	(void)step, (void)call, (void)room;
	return "http://upstream:80";
}

static const struct step_ops call_ops = {
	.open = step_open, .run = run_call, .close = step_close, .upstream = name_upstream};
static const struct step_ops local_ops = {.open = step_open, .run = run_local, .close = step_close};
static const struct adapter call_adapter = {.kind = ADAPTER_STEP, .name = "call", .step = &call_ops};
static const struct adapter local_adapter = {.kind = ADAPTER_STEP, .name = "local", .step = &local_ops};

/* ---- a broker that takes its time */

static struct broker_ops slow_broker;
static struct adapter slow_adapter;
static weir_nsec put_time;

static int put_slowly(struct broker *broker, struct item *const *items, size_t n, const struct source_cursor *before,
		      const struct source_cursor *after, struct weir_error *err, weir_nsec deadline)
{
	int code = weir_sleep(put_time);
	return code ? code : broker_memory_adapter.broker->queue.put(broker, items, n, before, after, err, deadline);
}

static const struct adapter *broker_that_is_slow(void)
{
	slow_broker = *broker_memory_adapter.broker;
	slow_broker.queue.put = put_slowly;
	slow_adapter = broker_memory_adapter;
	slow_adapter.broker = &slow_broker;
	return &slow_adapter;
}

/* ---- runs */

static struct report report;
static void (*change)(struct engine *engine); /* NULL: none */
static weir_nsec looked_at, look_after;
static bool stops;
static int batch;           /* rows; 0: as usual */
static uint64_t max_memory; /* 0: any */

/* As the progress does, a look a second; then what is to change changes. */
static void look_on(struct engine *engine)
{
	report = (struct report){.name = "test", .engine = engine};
	for (weir_nsec until = weir_now() + look_after; weir_now() < until;) {
		report_look(&report);
		if (weir_sleep(WEIR_SEC))
			return;
	}
	report_look(&report);
	looked_at = weir_now();
	if (change)
		change(engine);
	if (stops)
		engine_stop(engine, "the test has seen it");
}

/* What the last look has it say. */
static const char *sentence(void)
{
	static struct buf text;
	buf_clear(&text);
	bottleneck_say(&report, &text);
	return text.data ? text.data : "";
}

enum kind { CALLS, LOCAL_ONLY, CALLS_AND_LOCAL };

/* Seconds from the look to the end. */
static double run_through(const char *more, enum kind kind, const struct adapter *broker)
{
	struct plan_adapter steps[2];
	struct plan *parsed = settings_of(more), plan = memory_plan_of(steps);
	struct engine_stats stats;
	steps[0] = (struct plan_adapter){.adapter = kind == LOCAL_ONLY ? &local_adapter : &call_adapter};
	steps[1] = (struct plan_adapter){.adapter = &local_adapter};
	plan.step_count = kind == CALLS_AND_LOCAL ? 2 : 1;
	plan.settings = parsed->settings;
	if (batch)
		plan.settings.batch_items = batch;
	if (max_memory)
		plan.settings.max_memory = max_memory;
	if (broker)
		plan.broker.adapter = broker;
	upstream.filled = weir_now();
	run_plan(&plan, WEIR_MSEC, &stats);
	plan_free(parsed);
	return (double)(weir_now() - looked_at) / (double)WEIR_SEC;
}

static void begin(int items, weir_nsec look)
{
	memset(&upstream, 0, sizeof upstream);
	upstream.latency = 100 * WEIR_MSEC;
	world = (struct world){.items = items, .most = 10000, .meanwhile = look_on};
	change = NULL;
	put_time = 0;
	batch = 0;
	max_memory = 0;
	look_after = look;
	stops = true;
}

static void expect_why(const char *more, enum kind kind, enum engine_why why, const char *words)
{
	run_through(more, kind, put_time ? broker_that_is_slow() : NULL);
	ck_assert_msg(report.flow.why == why, "%s: it is %s: %s", more, engine_why_name(report.flow.why), sentence());
	ck_assert_msg(strstr(sentence(), words), "%s: %s", more, sentence());
}

/* ---- the bottlenecks */

FIBER_TEST(why_is_your_rate)
{
	begin(4000, 10 * WEIR_SEC);
	expect_why("flow: { rate: 20/s }", CALLS, WHY_RATE_OWN,
		   "limited by your rate (20/s), 100 % of the time; done in ");
	ck_assert_ptr_nonnull(strstr(sentence(), "with twice the rate in "));
	ck_assert_ptr_nonnull(strstr(sentence(), "more concurrency: no difference"));
}

FIBER_TEST(why_is_your_concurrency)
{
	begin(4000, 10 * WEIR_SEC);
	expect_why("flow: { concurrency: 5 }", CALLS, WHY_CONCURRENCY, "limited by your concurrency (5), ");
	ck_assert_ptr_nonnull(strstr(sentence(), "with twice the concurrency in "));
}

FIBER_TEST(why_is_the_concurrency_of_steps_that_call_nobody)
{
	begin(4000, 10 * WEIR_SEC);
	upstream.local = 100 * WEIR_MSEC;
	expect_why("flow: { concurrency: 5 }", LOCAL_ONLY, WHY_CONCURRENCY, "limited by your concurrency (5), ");
}

FIBER_TEST(why_is_the_latency_of_the_upstream)
{
	begin(4000, 30 * WEIR_SEC);
	upstream.latency = 60 * WEIR_SEC;
	expect_why("flow: { concurrency: auto, timeout: { attempt: 100s } }", CALLS, WHY_UPSTREAM,
		   "limited by the latency of the upstream (auto: ");
}

FIBER_TEST(why_is_a_quota_that_the_server_states)
{
	begin(4000, 20 * WEIR_SEC);
	upstream.quota = 50;
	upstream.states_quota = true;
	expect_why("", CALLS, WHY_RATE_HINT, "limited by the rate limit of the upstream (");
	ck_assert_ptr_nonnull(strstr(sentence(), "from its answers"));
	ck_assert_ptr_nonnull(strstr(sentence(), "with twice the quota in "));
}

FIBER_TEST(why_is_a_quota_that_was_found)
{
	begin(4000, 20 * WEIR_SEC);
	upstream.quota = 100;
	upstream.burst = 100;
	upstream.latency = 5 * WEIR_MSEC; /* else it might as well be a limit of the calls in flight */
	expect_why("", CALLS, WHY_RATE_FOUND, "limited by the rate limit of the upstream (");
	ck_assert_ptr_nonnull(strstr(sentence(), "found"));
}

FIBER_TEST(why_is_a_server_that_said_when_to_come_back)
{
	begin(400, 10 * WEIR_SEC);
	upstream.mood = SHUT;
	expect_why("", CALLS, WHY_SHUT, "upstream");
}

FIBER_TEST(why_is_a_server_that_is_busy)
{
	begin(400, 10 * WEIR_SEC);
	upstream.mood = BUSY;
	expect_why("", CALLS, WHY_THROTTLED, "upstream");
}

FIBER_TEST(why_is_an_upstream_that_is_down)
{
	begin(400, 10 * WEIR_SEC);
	upstream.mood = DOWN;
	expect_why("", CALLS, WHY_BREAKER, "upstream");
}

FIBER_TEST(why_is_an_upstream_that_denies_all)
{
	begin(400, 10 * WEIR_SEC);
	upstream.mood = DENIES;
	expect_why("stop_when: { dead: 0 }", CALLS, WHY_DENIED, "check the credentials");
}

FIBER_TEST(why_is_that_all_wait_to_retry)
{
	begin(10, 10 * WEIR_SEC);
	upstream.mood = FAILS_FIRST;
	expect_why("flow: { retry: { backoff: 100s..100s, jitter: none } }", CALLS, WHY_RETRIES,
		   "limited by items that wait for their next attempt");
}

static void pause(struct engine *engine)
{
	engine_change(engine, &(struct engine_changes){.has_pause = true, .paused = true}, NULL);
	report_look(&report);
}

FIBER_TEST(why_is_a_pause)
{
	begin(4000, 5 * WEIR_SEC);
	change = pause;
	expect_why("flow: { concurrency: 5 }", CALLS, WHY_PAUSED, "paused; weir resume test continues");
}

FIBER_TEST(why_is_the_source)
{
	begin(4000, 10 * WEIR_SEC);
	world.source_pause = 50 * WEIR_MSEC;
	expect_why("flow: { concurrency: 50 }", CALLS, WHY_SOURCE, "limited by the source, ");
	ck_assert_ptr_nonnull(strstr(sentence(), "more concurrency: no difference"));
}

FIBER_TEST(why_is_the_sink)
{
	begin(4000, 30 * WEIR_SEC);
	world.write_time = 10 * WEIR_SEC;
	batch = 100;
	upstream.latency = WEIR_MSEC;
	expect_why("flow: { concurrency: 50 }", CALLS, WHY_SINK, "limited by the sink, ");
	ck_assert_ptr_nonnull(strstr(sentence(), "more concurrency: no difference"));
}

FIBER_TEST(why_is_the_broker)
{
	begin(4000, 10 * WEIR_SEC);
	put_time = WEIR_SEC;
	upstream.latency = WEIR_MSEC;
	expect_why("flow: { concurrency: 50 }", CALLS, WHY_BROKER, "limited by the writes of the state, ");
}

FIBER_TEST(why_is_a_transform)
{
	begin(4000, 10 * WEIR_SEC);
	upstream.local = WEIR_SEC;
	expect_why("", LOCAL_ONLY, WHY_STEPS, "limited by the steps on this machine, ");
}

FIBER_TEST(why_is_a_transform_behind_the_calls)
{
	begin(4000, 10 * WEIR_SEC);
	upstream.local = 2 * WEIR_SEC;
	expect_why("flow: { concurrency: 50 }", CALLS_AND_LOCAL, WHY_STEPS, "limited by the steps on this machine, ");
}

/* The process itself has more than that. */
FIBER_TEST(why_is_the_memory_that_a_run_may_take)
{
	begin(4000, 10 * WEIR_SEC);
	max_memory = 1 << 20;
	expect_why("flow: { concurrency: 50 }", CALLS, WHY_MEMORY, "limited by flow.max_memory, ");
}

FIBER_TEST(why_is_the_cpu)
{
	if (test_seed()) /* it takes a second of the processor */
		return;
	begin(4000, WEIR_SEC);
	upstream.local = 10 * WEIR_MSEC;
	upstream.burns = 11 * WEIR_MSEC;
	expect_why("flow: { concurrency: 1 }", LOCAL_ONLY, WHY_CPU, "limited by the CPU: one core is busy, ");
}

static int disk_is_full(const struct sink_item *items, size_t n)
{
	(void)items, (void)n;
	return world.engine->life.state == ENGINE_RUNNING ? WEIR_ENOSPC : 0;
}

FIBER_TEST(why_is_a_full_disk)
{
	begin(4000, 10 * WEIR_SEC);
	world.write = disk_is_full;
	expect_why("flow: { concurrency: 50 }", CALLS, WHY_DISK, "disk full: ");
}

/* ---- what a change makes of it */

static void set_rate_40(struct engine *engine)
{
	const struct engine_changes changes = {.has_rate = true, .rate = {.count = 40, .period = WEIR_SEC}};
	ck_assert_int_eq(engine_change(engine, &changes, NULL), 0);
}

static void set_concurrency_10(struct engine *engine)
{
	const struct engine_changes changes = {.has_concurrency = true, .concurrency = 10};
	ck_assert_int_eq(engine_change(engine, &changes, NULL), 0);
}

static void double_quota(struct engine *engine)
{
	(void)engine;
	upstream.quota *= 2;
}

static void halve_latency(struct engine *engine)
{
	(void)engine;
	upstream.latency /= 2;
}

static void halve_write_time(struct engine *engine)
{
	(void)engine;
	world.write_time /= 2;
}

static double faster_with(enum why_use twice)
{
	for (size_t i = 0; i < report.why.if_count; i++)
		if (report.why.ifs[i].twice == twice)
			return report.why.ifs[i].faster;
	ck_abort_msg("it says nothing of that: %s", sentence());
}

/* What prepare() has made runs twice: as it is, and with the change. */
static void expect_foretold(void (*prepare)(void), const char *more, enum why_use twice,
			    void (*then)(struct engine *engine))
{
	prepare();
	stops = false;
	double took = run_through(more, CALLS, NULL), eta = report_eta(&report), faster = faster_with(twice);
	ck_assert_msg(fabs(eta - took) < took / 10, "%s: %.1f s, and it took %.1f", sentence(), eta, took);
	prepare();
	stops = false;
	change = then;
	double then_took = run_through(more, CALLS, NULL);
	ck_assert_msg(fabs(eta / faster - then_took) < then_took / 10, "%s: %.1f s (of %.1f), and it took %.1f",
		      sentence(), eta / faster, eta, then_took);
}

static void prepare_usual(void)
{
	begin(2000, 20 * WEIR_SEC);
}

/* Calls take so long that soon the concurrency is used up, or the other way about. */
static void prepare_long_calls(void)
{
	begin(2000, 20 * WEIR_SEC);
	upstream.latency = 700 * WEIR_MSEC;
}

static void prepare_stated_quota(void)
{
	begin(4000, 20 * WEIR_SEC);
	upstream.quota = 40;
	upstream.states_quota = true;
}

static void prepare_latency(void)
{
	begin(2000, 20 * WEIR_SEC);
	upstream.latency = WEIR_SEC;
}

static void prepare_retries(void)
{
	begin(1000, 20 * WEIR_SEC);
	upstream.mood = FAILS_FIRST;
}

static void prepare_slow_sink(void)
{
	begin(4000, 30 * WEIR_SEC);
	world.write_time = WEIR_SEC;
	batch = 50;
}

/* Four fifths of the time at half the latency, and the rest as it was: 1 / (0.2 + 0.8 / 2). */
TEST(why_of_a_run_that_was_stopped_counts_the_rest_of_its_time)
{
	struct report stopped = {.now.state = ENGINE_STOPPED,
				 .whole = {.cause = WHY_UPSTREAM,
					   .share = 0.8,
					   .ifs = {{.twice = USE_CALLS, .faster = 2}},
					   .if_count = 1}};
	struct buf said = {0};
	bottleneck_add(&stopped, &said);
	ck_assert_str_eq(said.data,
			 "the latency of the upstream, 80 % of the time; with half the latency 1.7 times as fast");
	buf_fini(&said);
}

FIBER_TEST(why_foretells_twice_the_rate)
{
	expect_foretold(prepare_usual, "flow: { rate: 20/s }", USE_RATE, set_rate_40);
}

FIBER_TEST(why_foretells_twice_the_rate_where_concurrency_is_next)
{
	expect_foretold(prepare_long_calls, "flow: { rate: 20/s, concurrency: 20 }", USE_RATE, set_rate_40);
	ck_assert(faster_with(USE_RATE) > 1.3 && faster_with(USE_RATE) < 1.6);
}

FIBER_TEST(why_foretells_that_more_concurrency_makes_no_difference)
{
	expect_foretold(prepare_usual, "flow: { rate: 20/s, concurrency: 5 }", USE_CALLS, set_concurrency_10);
	ck_assert_double_eq(faster_with(USE_CALLS), 1);
}

FIBER_TEST(why_foretells_twice_the_concurrency)
{
	expect_foretold(prepare_long_calls, "flow: { concurrency: 5 }", USE_CALLS, set_concurrency_10);
}

FIBER_TEST(why_foretells_twice_the_concurrency_where_a_rate_is_next)
{
	expect_foretold(prepare_long_calls, "flow: { concurrency: 5, rate: 10/s }", USE_CALLS, set_concurrency_10);
	ck_assert(faster_with(USE_CALLS) > 1.2 && faster_with(USE_CALLS) < 1.6);
}

FIBER_TEST(why_foretells_twice_the_concurrency_with_retries)
{
	expect_foretold(prepare_retries, "flow: { concurrency: 5, breaker: off, retry: { budget: 100% } }", USE_CALLS,
			set_concurrency_10);
}

FIBER_TEST(why_foretells_twice_the_quota_of_a_server)
{
	expect_foretold(prepare_stated_quota, "", USE_RATE, double_quota);
}

FIBER_TEST(why_foretells_half_the_latency)
{
	expect_foretold(prepare_latency, "flow: { concurrency: 20 }", USE_CALLS, halve_latency);
}

FIBER_TEST(why_foretells_a_sink_twice_as_fast)
{
	expect_foretold(prepare_slow_sink, "flow: { concurrency: 100 }", USE_SINK, halve_write_time);
}
