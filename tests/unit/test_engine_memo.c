/* SPDX-License-Identifier: MIT */
/*
 * No call that succeeded is made again: pipelines of several steps that call upstreams, with each broker, whatever
 * happens to the later ones.
 */
#include "port/adapters.h"
#include "sqlite/store/store.h"
#include "unit/parties.h"
#include "unit/shared_broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

enum { STAGES = 3, ITEMS = 60 };

/* A step; it calls an upstream of its own. */
struct stage {
	int number;
	bool forgets, local;
	enum step_verdict (*run)(struct step_call *call, int number, int times); /* NULL: passes its input on */
};

struct step {
	const struct stage *stage;
};

/* Calls, by stage, item, and the first digit of the value that it is for. */
static int calls[STAGES][ITEMS + 1][10];

static int calls_of(int stage, int item)
{
	int n = 0;
	for (int digit = 0; digit < 10; digit++)
		n += calls[stage][item][digit];
	return n;
}

static int stage_open(const void *config, const struct step_env *env, struct step **ret_step, struct weir_error *err)
{
	(void)env, (void)err;
	*ret_step = calloc(1, sizeof **ret_step);
	(*ret_step)->stage = config;
	world.open_things++;
	return 0;
}

static void stage_close(struct step *step)
{
	world.open_things--;
	free(step);
}

static enum step_verdict stage_run(struct step *step, struct step_call *call)
{
	const struct stage *stage = step->stage;
	int number = (int)call->item->position;
	if (call->permit->cut)
		return step_say(call, STEP_RETRY, "upstream: it is down");
	size_t before = call->outputs->n;
	int times = ++calls[stage->number][number][call->input->data[0] - '0'];
	if (weir_sleep(WEIR_MSEC))
		return STEP_CANCELED;
	enum step_verdict verdict = stage->run ? stage->run(call, number, times) : STEP_OK;
	if (!stage->local) {
		bool went_well = verdict == STEP_OK || verdict == STEP_WAIT;
		call->permit->outcome = went_well ? WEIR_OUTCOME_GOOD : WEIR_OUTCOME_ERROR;
		weir_attempt_leave(call->permit);
	}
	if (verdict == STEP_OK && call->outputs->n == before && !call->permit->next)
		put_out(call, call->input->data);
	return verdict;
}

static const char *stage_upstream(const struct step *step, const struct step_call *call, char room[STEP_UPSTREAM_BYTES])
{
	(void)call;
	sprintf(room, "http://stage%d", step->stage->number);
	return room;
}

static bool stage_forgets(const void *config)
{
	return ((const struct stage *)config)->forgets;
}

static const struct step_ops caller_ops = {.open = stage_open,
					   .run = stage_run,
					   .close = stage_close,
					   .upstream = stage_upstream,
					   .forgets = stage_forgets},
			     local_ops = {.open = stage_open, .run = stage_run, .close = stage_close};
static const struct adapter caller = {.kind = ADAPTER_STEP, .name = "caller", .step = &caller_ops},
			    local = {.kind = ADAPTER_STEP, .name = "local", .step = &local_ops};

/* ---- runs */

static struct stage stages[STAGES];
static struct plan_adapter steps[STAGES];
static weir_nsec queue_timeout; /* 0: none */

static struct plan staged(struct plan plan, size_t n)
{
	memset(calls, 0, sizeof calls);
	for (size_t i = 0; i < n; i++) {
		stages[i].number = (int)i;
		steps[i] = (struct plan_adapter){.adapter = stages[i].local ? &local : &caller, .config = &stages[i]};
	}
	plan.steps = steps;
	plan.step_count = n;
	plan.settings.retry_attempts = 5;
	plan.settings.timeout_queue = queue_timeout;
	return plan;
}

/* Both a broker in memory or like a server (by the seed), and the durable one. */
static void run_both(size_t n, void (*check)(void), const char *order_by)
{
	for (int durable = 0; durable < 2; durable++) {
		struct plan_adapter unused;
		struct engine_stats stats;
		world = (struct world){.items = ITEMS};
		struct plan plan = staged(durable ? durable_plan_of(&unused) : plan_of(&unused), n);
		plan.settings.order_by = (char *)(uintptr_t)order_by;
		ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DONE);
		check();
	}
}

static enum step_verdict fail_three_times(struct step_call *call, int number, int times)
{
	return times <= 3 ? step_say(call, STEP_RETRY, "status: 500 for %d", number) : STEP_OK;
}

static enum step_verdict refuse_three_times(struct step_call *call, int number, int times)
{
	return times <= 3 ? step_say(call, STEP_REFUSED, "status: 429 for %d", number) : STEP_OK;
}

static void check_first_was_called_once(void)
{
	for (int i = 1; i <= ITEMS; i++) {
		ck_assert_int_eq(calls_of(0, i), 1);
		ck_assert_int_eq(calls_of(1, i), 4);
		ck_assert_int_eq(world.seen[i], 1);
	}
}

FIBER_TEST(engine_calls_no_upstream_again_when_a_later_one_fails)
{
	memset(stages, 0, sizeof stages);
	stages[1].run = fail_three_times;
	run_both(2, check_first_was_called_once, NULL);
}

FIBER_TEST(engine_calls_no_upstream_again_when_a_later_one_is_throttled)
{
	memset(stages, 0, sizeof stages);
	stages[1].run = refuse_three_times;
	run_both(2, check_first_was_called_once, NULL);
}

FIBER_TEST(engine_calls_no_upstream_again_for_an_item_that_has_an_order)
{
	memset(stages, 0, sizeof stages);
	stages[1].run = fail_three_times;
	run_both(2, check_first_was_called_once, ".");
}

FIBER_TEST(engine_calls_no_upstream_again_when_a_step_on_this_machine_fails)
{
	memset(stages, 0, sizeof stages);
	stages[1].run = fail_three_times;
	stages[1].local = true;
	run_both(2, check_first_was_called_once, NULL);
}

/* As a redirect does. */
static enum step_verdict call_two_upstreams(struct step_call *call, int number, int times)
{
	bool is_first = !*call->leg;
	ck_assert_msg(!call->item->record.data, "half of call %d of item %d is kept", times, number);
	free(*call->leg);
	*call->leg = is_first ? strdup("to the other") : NULL;
	call->permit->next = is_first ? "http://other" : NULL;
	return STEP_OK;
}

static void check_both_were_called_once(void)
{
	for (int i = 1; i <= ITEMS; i++) {
		ck_assert_int_eq(calls_of(0, i), 2);
		ck_assert_int_eq(calls_of(1, i), 4);
		ck_assert_int_eq(world.seen[i], 1);
	}
}

FIBER_TEST(engine_keeps_nothing_of_a_call_that_has_another_leg)
{
	memset(stages, 0, sizeof stages);
	stages[0].run = call_two_upstreams;
	stages[1].run = fail_three_times;
	run_both(2, check_both_were_called_once, NULL);
	run_both(2, check_both_were_called_once, ".");
}

/* As a jq program that asks for that; and now and then fails for another reason before it does. */
static enum step_verdict reject_three_times(struct step_call *call, int number, int times)
{
	call->rejects = times <= 3 && times > number % 2;
	return fail_three_times(call, number, times);
}

static void check_rejected_answer_was_replaced(void)
{
	for (int i = 1; i <= ITEMS; i++) {
		/* Rejected from the record, it takes all that is in there with it. */
		ck_assert_int_eq(calls_of(0, i), i % 2 ? 2 : 1);
		ck_assert_int_eq(calls_of(1, i), i % 2 ? 3 : 4);
		ck_assert_int_eq(calls_of(2, i), 4);
		ck_assert_int_eq(world.seen[i], 1);
	}
}

FIBER_TEST(engine_calls_an_upstream_again_whose_answer_a_step_rejects)
{
	memset(stages, 0, sizeof stages);
	stages[2].run = reject_three_times;
	stages[2].local = true;
	run_both(3, check_rejected_answer_was_replaced, NULL);
}

static void check_second_was_repeated(void)
{
	for (int i = 1; i <= ITEMS; i++) {
		ck_assert_int_eq(calls_of(0, i), 1);
		ck_assert_int_eq(calls_of(1, i), 4);
		ck_assert_int_eq(calls_of(2, i), 4);
		ck_assert_int_eq(world.seen[i], 1);
	}
}

FIBER_TEST(engine_calls_again_from_the_step_whose_answer_it_is_to_forget)
{
	memset(stages, 0, sizeof stages);
	stages[1].forgets = true;
	stages[2].run = fail_three_times;
	run_both(3, check_second_was_repeated, NULL);
}

/* ---- several values */

static enum step_verdict multiply(struct step_call *call, int number, int times)
{
	(void)number, (void)times;
	for (int i = 1; i <= 5; i++)
		put_out(call, test_format("%d", i));
	return STEP_OK;
}

static enum step_verdict fail_at_the_third(struct step_call *call, int number, int times)
{
	if (call->input->data[0] == '3' && times <= 3)
		return step_say(call, STEP_RETRY, "status: 500 for %d", number);
	put_out(call, call->input->data);
	return STEP_OK;
}

static void check_each_value_was_got_once(void)
{
	for (int i = 1; i <= ITEMS; i++) {
		for (int value = 1; value <= 5; value++)
			ck_assert_int_eq(calls[1][i][value], value == 3 ? 4 : 1);
		ck_assert_int_eq(world.seen[i], 5);
	}
}

FIBER_TEST(engine_keeps_what_a_step_made_of_the_values_before_the_one_that_failed)
{
	for (int is_local = 0; is_local < 2; is_local++) {
		memset(stages, 0, sizeof stages);
		stages[0].run = multiply;
		stages[0].local = is_local;
		stages[1].run = fail_at_the_third;
		run_both(2, check_each_value_was_got_once, NULL);
	}
}

static enum step_verdict make_too_much(struct step_call *call, int number, int times)
{
	(void)times;
	char *text = malloc((2 << 20) + 1);
	memset(text, '1', 2 << 20);
	text[2 << 20] = 0;
	put_out(call, number == 7 ? text : call->input->data);
	free(text);
	return STEP_OK;
}

static void check_large_one_was_made_again(void)
{
	for (int i = 1; i <= ITEMS; i++) {
		ck_assert_int_eq(calls_of(0, i), i == 7 ? 4 : 1);
		ck_assert_int_eq(world.seen[i], 1);
	}
}

FIBER_TEST(engine_makes_again_what_is_too_large_to_be_kept)
{
	memset(stages, 0, sizeof stages);
	stages[0].run = make_too_much;
	stages[1].run = fail_three_times;
	run_both(2, check_large_one_was_made_again, NULL);
}

/* ---- from one process to the next */

static enum step_verdict hang_at_first(struct step_call *call, int number, int times)
{
	(void)call, (void)number;
	return times == 1 && weir_sleep(3600 * WEIR_SEC) ? STEP_CANCELED : STEP_OK;
}

FIBER_TEST(engine_calls_no_upstream_again_in_the_next_process)
{
	struct plan_adapter unused;
	struct engine_stats stats;
	memset(stages, 0, sizeof stages);
	stages[1].run = hang_at_first;
	world = (struct world){.items = ITEMS};
	struct plan plan = staged(durable_plan_of(&unused), 2);
	ck_assert_int_eq(run_plan(&plan, WEIR_SEC, &stats), EXIT_STOPPED);
	ck_assert_uint_eq(stats.unfinished, ITEMS);
	int hung = 0;
	for (int i = 1; i <= ITEMS; i++)
		hung += calls_of(1, i);
	ck_assert_int_ge(hung, 10);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DONE);
	for (int i = 1; i <= ITEMS; i++)
		ck_assert_int_eq(calls_of(0, i), 1);
}

static enum step_verdict lose_at_first(struct step_call *call, int number, int times)
{
	(void)call, (void)number;
	if (times == 1)
		shared_take_away(1);
	return STEP_OK;
}

FIBER_TEST(engine_makes_no_further_call_for_an_item_that_went_to_another)
{
	struct plan_adapter unused;
	memset(stages, 0, sizeof stages);
	stages[0].run = lose_at_first;
	world = (struct world){.items = 1};
	struct plan plan = staged(plan_of(&unused), 2);
	plan.broker = (struct plan_adapter){.adapter = &shared_broker_adapter};
	shared = (struct shared){.slow = 2 * WEIR_MSEC};
	shared_init();
	struct party party = {.plan = &plan};
	run_parties(&party, 1);
	ck_assert_int_eq(party.exit_code, EXIT_DONE);
	ck_assert_int_eq(calls_of(0, 1), 2);
	ck_assert_int_eq(calls_of(1, 1), 1);
	shared_fini();
}

/* ---- jobs that a call begins */

static int begun[ITEMS + 1];

/* Is done when it was asked for three times. */
static enum step_verdict begin_and_ask(struct step_call *call, int number, int times)
{
	if (!*call->note) {
		begun[number]++;
		*call->note = strdup("1");
	} else if (times == 2 && call->attempt == 1) {
		return step_say(call, STEP_RETRY, "status: 503");
	} else {
		ck_assert_str_eq(*call->note, "1");
	}
	call->after = 20 * WEIR_SEC;
	return times < 5 ? step_say(call, STEP_WAIT, "not done yet") : STEP_OK;
}

static void check_jobs_were_begun_once(void)
{
	for (int i = 1; i <= ITEMS; i++) {
		ck_assert_int_eq(begun[i], 1);
		ck_assert_int_eq(calls_of(0, i), 5);
		ck_assert_int_eq(world.seen[i], 1);
	}
	memset(begun, 0, sizeof begun);
}

FIBER_TEST(engine_asks_for_a_job_until_it_is_done_and_begins_it_once)
{
	for (int orders = 0; orders < 2; orders++) {
		weir_nsec start = weir_now();
		memset(stages, 0, sizeof stages);
		stages[0].run = begin_and_ask;
		queue_timeout = 15 * WEIR_SEC; /* who has begun a job does not wait for its first attempt */
		run_both(1, check_jobs_were_begun_once, orders ? "." : NULL);
		queue_timeout = 0;
		ck_assert_int_ge(weir_now() - start, 2 * 60 * WEIR_SEC);
		ck_assert_int_lt(weir_now() - start, 2 * 120 * WEIR_SEC);
	}
}

FIBER_TEST(engine_asks_for_a_job_with_the_value_that_it_was_begun_with)
{
	memset(stages, 0, sizeof stages);
	stages[0].forgets = true; /* its answer is a part of what was begun */
	stages[1].run = begin_and_ask;
	for (int is_durable = 0; is_durable < 2; is_durable++) {
		struct plan_adapter unused;
		struct engine_stats stats;
		world = (struct world){.items = ITEMS};
		struct plan plan = staged(is_durable ? durable_plan_of(&unused) : plan_of(&unused), 2);
		ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DONE);
		ck_assert_uint_eq(stats.attempts, 2 * ITEMS); /* one of each has failed */
		for (int i = 1; i <= ITEMS; i++) {
			ck_assert_int_eq(begun[i], 1);
			ck_assert_int_eq(calls_of(0, i), 1);
			ck_assert_int_eq(calls_of(1, i), 5);
		}
		memset(begun, 0, sizeof begun);
	}
}

FIBER_TEST(engine_asks_for_a_job_that_an_earlier_process_has_begun)
{
	struct plan_adapter unused;
	struct engine_stats stats;
	memset(stages, 0, sizeof stages);
	memset(begun, 0, sizeof begun);
	stages[0].run = begin_and_ask;
	world = (struct world){.items = ITEMS};
	struct plan plan = staged(durable_plan_of(&unused), 1);
	ck_assert_int_eq(run_plan(&plan, 10 * WEIR_SEC, &stats), EXIT_STOPPED);
	ck_assert_uint_eq(stats.unfinished, ITEMS);
	ck_assert_int_eq(run_plan(&plan, 30 * WEIR_SEC, &stats), EXIT_STOPPED);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DONE);
	check_jobs_were_begun_once();
}

FIBER_TEST(engine_does_not_let_a_job_wait_that_cannot_be_kept)
{
	struct plan_adapter unused;
	struct engine_stats stats;
	memset(stages, 0, sizeof stages);
	memset(begun, 0, sizeof begun);
	stages[0].run = make_too_much;
	stages[1].run = begin_and_ask;
	world = (struct world){.items = 10};
	struct plan plan = staged(memory_plan_of(&unused), 2);
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DEAD_LETTERS);
	ck_assert_int_eq(world.letters[7], 1);
	ck_assert_uint_eq(stats.succeeded, 9);
	ck_assert_int_eq(begun[7], 1);
}

/* As after --adopt. */
FIBER_TEST(engine_starts_an_item_over_whose_steps_are_others)
{
	struct plan_adapter unused;
	struct engine_stats stats;
	memset(stages, 0, sizeof stages);
	stages[1].run = hang_at_first;
	world = (struct world){.items = ITEMS};
	struct plan plan = staged(durable_plan_of(&unused), 2);
	plan.meaning = (char *)(uintptr_t) "steps.1 = a\nsteps.2 = b\n";
	ck_assert_int_eq(run_plan(&plan, WEIR_SEC, &stats), EXIT_STOPPED);
	int called = 0;
	for (int i = 1; i <= ITEMS; i++)
		called += calls_of(0, i);
	ck_assert_int_ge(called, 10);
	plan.step_count = test_seed() % 2; /* or has none any more */
	plan.meaning = (char *)(uintptr_t) "steps.1 = c\n";
	world.adopts = true;
	ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DONE);
	ck_assert_uint_eq(stats.succeeded, ITEMS);
	for (int i = 1; i <= ITEMS; i++)
		called -= calls_of(0, i);
	ck_assert_int_eq(called, plan.step_count ? -ITEMS : 0);
}

/* ---- all of it, at random */

static uint64_t luck;
static int good[STAGES][ITEMS + 1][10];

/* Fails, is throttled, begins a job that takes a while, or works: once. */
static enum step_verdict try_luck(struct step_call *call, int number, int stage)
{
	int digit = call->input->data[0] - '0';
	switch (weir_random_below(&luck, 8)) {
	case 0:
		return step_say(call, STEP_RETRY, "status: 500");
	case 1:
		return step_say(call, STEP_REFUSED, "status: 429");
	case 2:
		begun[number] += !*call->note;
		*call->note = *call->note ? *call->note : strdup(test_format("%d %d", stage, digit));
		ck_assert_str_eq(*call->note, test_format("%d %d", stage, digit));
		call->after = (weir_nsec)weir_random_below(&luck, 1000) * WEIR_MSEC;
		return step_say(call, STEP_WAIT, "not done yet");
	default:
		ck_assert_int_eq(++good[stage][number][digit], 1);
		return STEP_OK;
	}
}

static enum step_verdict try_first(struct step_call *call, int number, int times)
{
	enum step_verdict verdict = try_luck(call, number, 0);
	return verdict == STEP_OK ? multiply(call, number, times) : verdict;
}

static enum step_verdict fail_now_and_then(struct step_call *call, int number, int times)
{
	(void)times;
	return weir_random_below(&luck, 4) ? STEP_OK : step_say(call, STEP_RETRY, "jq: no luck for %d", number);
}

static enum step_verdict try_last(struct step_call *call, int number, int times)
{
	(void)times;
	return try_luck(call, number, 2);
}

FIBER_TEST(engine_makes_each_call_that_succeeds_once_whatever_happens)
{
	for (int is_durable = 0; is_durable < 2; is_durable++) {
		struct plan_adapter unused;
		struct engine_stats stats;
		int code;
		memset(stages, 0, sizeof stages);
		memset(good, 0, sizeof good);
		memset(begun, 0, sizeof begun);
		stages[0].run = try_first;
		stages[1].run = fail_now_and_then;
		stages[1].local = true;
		stages[2].run = try_last;
		luck = test_seed() + 1;
		world = (struct world){.items = ITEMS};
		struct plan plan = staged(is_durable ? durable_plan_of(&unused) : plan_of(&unused), 3);
		plan.settings.retry_attempts = 10000;
		for (int i = 0; i < 8 && is_durable; i++) {
			code = run_plan(&plan, 200 * WEIR_MSEC, &stats);
			ck_assert(code == EXIT_STOPPED || i > 1);
		}
		ck_assert_int_eq(run_plan(&plan, 0, &stats), EXIT_DONE);
		for (int i = 1; i <= ITEMS; i++) {
			ck_assert_int_eq(world.seen[i], 5);
			ck_assert_int_le(begun[i], 6);
		}
	}
	memset(begun, 0, sizeof begun);
}

/* ---- with one call an item */

FIBER_TEST(engine_keeps_nothing_of_an_item_with_one_call)
{
	struct plan_adapter unused;
	struct engine_stats stats;
	memset(stages, 0, sizeof stages);
	stages[0].run = fail_three_times;
	world = (struct world){.items = ITEMS};
	struct plan plan = staged(durable_plan_of(&unused), 1);
	ck_assert_int_eq(run_plan(&plan, 50 * WEIR_MSEC, &stats), EXIT_STOPPED);
	struct weir_error err = {0};
	struct store *store;
	struct store_chunk *chunks;
	size_t n, seen = 0;
	ck_assert_int_eq(store_open(world.state, 0, &store, &err), 0);
	ck_assert_int_eq(store_chunks(store, &chunks, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		struct item *items[STORE_CHUNK_ITEMS];
		int loaded = store_load(store, chunks[i].id, items, &err);
		for (int k = 0; k < loaded; k++) {
			ck_assert_ptr_null(items[k]->record.data);
			seen += items[k]->attempts > 0;
			item_free(items[k]);
		}
	}
	ck_assert_uint_gt(seen, 0);
	free(chunks);
	store_close(store);
}
