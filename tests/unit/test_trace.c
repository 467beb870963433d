/* SPDX-License-Identifier: MIT */
/* What is recorded of items, and of which of them it is handed on. */
#include "unit/traces.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define RUN "0123456789abcdeffedcba9876543210"

static struct item item_of(uint64_t id)
{
	return (struct item){.id = id, .position = id, .born = 10, .stay.queued = 20};
}

static void begin(struct tracer *tracer, struct item *item)
{
	tracer_attempt(tracer, item, weir_clock());
}

static void step(struct tracer *tracer, struct item *item, const char *error)
{
	trace_step(&(struct tracing){tracer, item}, "jq", 1, 20, error);
}

static void attempt(struct tracer *tracer, struct item *item, const char *error)
{
	begin(tracer, item);
	step(tracer, item, error);
	tracer_attempt_ended(tracer, item, true, error, weir_clock());
	item->attempts++;
}

static void leave(struct tracer *tracer, struct item *item, bool is_taken)
{
	tracer_left(tracer, tracer_leave(tracer, item), is_taken);
}

static void settle_item(struct tracer *tracer, struct item *item, enum fate fate)
{
	struct item *items[] = {item};
	item->fate = fate;
	tracer_settled(tracer, tracer_settle(tracer, items, 1, weir_clock()));
	item->trace = NULL; /* as its broker frees it */
}

/* The first of a trace. */
static const struct trace_span *find_span(size_t trace, enum trace_kind kind)
{
	for (size_t i = 0; i < taken.all[trace]->n; i++)
		if (taken.all[trace]->spans[i].kind == kind)
			return &taken.all[trace]->spans[i];
	ck_abort_msg("trace %zu has no span of kind %d", trace, kind);
}

TEST(trace_ids_follow_from_the_run_and_the_item)
{
	char parents[2][TRACE_PARENT_BYTES];
	struct tracer *tracers[] = {new_tracer(1, 1), new_tracer(1, 2)};
	for (size_t i = 0; i < 2; i++) {
		struct item item = item_of(7);
		tracer_set_run(tracers[i], RUN);
		begin(tracers[i], &item);
		trace_put_parent(&(struct tracing){tracers[i], &item}, parents[i]);
		tracer_attempt_ended(tracers[i], &item, true, NULL, weir_clock());
		item.attempts++;
		leave(tracers[i], &item, true);
	}
	ck_assert_uint_eq(strlen(parents[0]), 55);
	ck_assert_int_eq(memcmp(parents[0], parents[1], 35), 0);
	ck_assert_str_eq(parents[0] + 52, "-01");
	ck_assert_str_ne(parents[0], parents[1]);
	/* It outlives releases: workers of several share a queue. */
	ck_assert_msg(!strncmp(parents[0], "00-7ffb32ec46e23bc1bb60eebd55304eef-", 36), "%s", parents[0]);
	tracer_free(tracers[0]);
	tracer_free(tracers[1]);
	forget_taken();
}

TEST(trace_samples_its_share_and_all_trouble)
{
	struct tracer *tracer = new_tracer(0.1, 1);
	tracer_set_run(tracer, RUN);
	for (uint64_t id = 1; id <= 3000; id++) {
		struct item item = item_of(id);
		attempt(tracer, &item, NULL);
		settle_item(tracer, &item, FATE_SUCCEEDED);
	}
	ck_assert_uint_gt(taken.n, 240);
	ck_assert_uint_lt(taken.n, 360);
	ck_assert_uint_eq(check_trees(), taken.n);
	forget_taken();
	tracer_free(tracer);
	tracer = new_tracer(0, 1);
	tracer_set_run(tracer, RUN);
	for (uint64_t id = 1; id <= 3; id++) {
		struct item item = item_of(id);
		attempt(tracer, &item, id == 1 ? "status: 503" : NULL);
		if (id == 1) {
			leave(tracer, &item, true);
			attempt(tracer, &item, NULL);
		}
		settle_item(tracer, &item, id == 2 ? FATE_DEAD : FATE_SUCCEEDED);
	}
	ck_assert_uint_eq(taken.n, 3);
	ck_assert_uint_eq(check_trees(), 2);
	ck_assert_uint_eq(spans_of(TRACE_SEND), 2);
	ck_assert_uint_eq(spans_of(TRACE_WAIT), 3);
	ck_assert_uint_eq(spans_of(TRACE_ATTEMPT), 3);
	ck_assert_str_eq(trace_text(taken.all[0], find_span(0, TRACE_ATTEMPT)->error), "status: 503");
	ck_assert_uint_eq(find_span(1, TRACE_ATTEMPT)->link, find_span(0, TRACE_ATTEMPT)->id);
	forget_taken();
	tracer_free(tracer);
}

/* What is known of it then: the attempt, and what came before that. */
TEST(trace_of_an_item_that_is_not_sampled_begins_when_it_fails)
{
	struct tracer *tracer = new_tracer(0, 1);
	struct item item = item_of(1), *items[] = {&item};
	struct tracing tracing = {tracer, &item};
	tracer_set_run(tracer, RUN);
	begin(tracer, &item);
	trace_request(&tracing, &(struct trace_request){.method = "GET", .url = "http://a/", .status = 200});
	step(tracer, &item, NULL);
	tracer_attempt_ended(tracer, &item, true, NULL, weir_clock());
	item.attempts++;
	tracer_write(tracer, &item, &(struct trace_write){.sink = "sqlite", .items = 1, .begun = 30, .ended = 40});
	ck_assert_ptr_null(item.trace);
	ck_assert_ptr_null(tracer_settle(tracer, items, 1, 50));
	tracer_write(tracer, &item,
		     &(struct trace_write){.sink = "sqlite", .begun = 30, .ended = 40, .error = "sink: no such row"});
	ck_assert_ptr_nonnull(item.trace);
	settle_item(tracer, &item, FATE_DEAD);
	ck_assert_uint_eq(check_trees(), 1);
	ck_assert_uint_eq(taken.all[0]->n, 4);
	ck_assert_uint_eq(find_span(0, TRACE_WAIT)->begun, 20);
	ck_assert_uint_eq(find_span(0, TRACE_ATTEMPT)->number, 1);
	ck_assert_uint_eq(find_span(0, TRACE_WRITE)->parent, taken.all[0]->root);
	forget_taken();

	struct item other = item_of(2);
	tracing.item = &other;
	begin(tracer, &other);
	trace_request(&tracing, &(struct trace_request){.id = 7, .method = "GET", .url = "http://a/", .status = 503});
	step(tracer, &other, "no");
	tracer_attempt_ended(tracer, &other, true, "no", weir_clock());
	other.attempts++;
	settle_item(tracer, &other, FATE_DEAD);
	ck_assert_uint_eq(check_trees(), 1);
	ck_assert_uint_eq(find_span(0, TRACE_REQUEST)->id, 7);
	ck_assert_uint_eq(find_span(0, TRACE_REQUEST)->parent, find_span(0, TRACE_ATTEMPT)->id);
	ck_assert_uint_eq(find_span(0, TRACE_STEP)->parent, find_span(0, TRACE_ATTEMPT)->id);
	forget_taken();
	tracer_free(tracer);
}

/* Nobody has heard of the first, so another process makes it again. */
TEST(trace_of_an_attempt_that_is_made_twice_has_two_ids)
{
	struct tracer *tracers[] = {new_tracer(1, 1), new_tracer(1, 1000000)};
	for (size_t i = 0; i < 2; i++) {
		struct item item = item_of(7);
		tracer_set_run(tracers[i], RUN);
		attempt(tracers[i], &item, "status: 503");
		leave(tracers[i], &item, i);
		if (i) {
			attempt(tracers[i], &item, NULL);
			settle_item(tracers[i], &item, FATE_SUCCEEDED);
		}
	}
	ck_assert_uint_eq(taken.n, 3);
	ck_assert_uint_eq(check_trees(), 1);
	ck_assert_uint_eq(find_span(2, TRACE_ATTEMPT)->link, find_span(1, TRACE_ATTEMPT)->id);
	forget_taken();
	for (size_t i = 0; i < 2; i++)
		tracer_free(tracers[i]);
	/* Where it is not sampled, whoever settles it does not know that it was tried twice. */
	struct tracer *tracer = new_tracer(0, 1);
	struct item item = item_of(7);
	attempt(tracer, &item, "status: 503");
	leave(tracer, &item, false);
	ck_assert_uint_eq(taken.n, 0);
	tracer_free(tracer);
}

/* As a broker hands it to another process. */
TEST(trace_has_the_wait_at_a_broker_that_several_share)
{
	struct tracer *tracer = new_tracer(1, 1);
	struct item item = item_of(7);
	tracer_set_run(tracer, RUN);
	for (weir_nsec taken_before = -1; taken_before <= WEIR_SEC; taken_before += 1 + WEIR_SEC) {
		item.trace = NULL;
		item_set_ages(&item, &(struct item_ages){.born = 5 * WEIR_SEC, .taken = taken_before, .attempted = -1},
			      2 * WEIR_SEC);
		attempt(tracer, &item, NULL);
		settle_item(tracer, &item, FATE_SUCCEEDED);
		const struct trace_span *wait = find_span(taken.n - 1, TRACE_WAIT);
		ck_assert_int_ge(wait->ended - wait->begun, 2 * WEIR_SEC);
		ck_assert_int_lt(wait->ended - wait->begun, 7 * WEIR_SEC);
		ck_assert_uint_eq(spans_of(TRACE_SEND), 1);
	}
	ck_assert_int_eq(find_span(0, TRACE_SEND)->ended - find_span(0, TRACE_SEND)->begun, 5 * WEIR_SEC);
	forget_taken();
	tracer_free(tracer);
}

TEST(trace_of_an_attempt_that_uses_up_none_is_sampled_like_others)
{
	struct tracer *tracer = new_tracer(0, 1);
	struct item item = item_of(1);
	tracer_set_run(tracer, RUN);
	begin(tracer, &item);
	tracer_attempt_ended(tracer, &item, false, "status: 429", weir_clock());
	leave(tracer, &item, true);
	ck_assert_uint_eq(taken.n, 0);
	attempt(tracer, &item, NULL);
	settle_item(tracer, &item, FATE_SUCCEEDED);
	ck_assert_uint_eq(taken.n, 0);
	tracer_free(tracer);
}

TEST(trace_of_a_replayed_letter_is_linked_to_the_first)
{
	struct tracer *tracer = new_tracer(1, 1);
	struct item first = item_of(1), again = item_of(9);
	tracer_set_run(tracer, RUN);
	again.number = 1;
	attempt(tracer, &first, "status: 422");
	settle_item(tracer, &first, FATE_DEAD);
	attempt(tracer, &again, NULL);
	settle_item(tracer, &again, FATE_SUCCEEDED);
	ck_assert_uint_eq(check_trees(), 2);
	ck_assert_uint_eq(taken.all[0]->linked.high, 0);
	ck_assert_mem_eq(&taken.all[1]->linked, &taken.all[0]->id, sizeof taken.all[0]->id);
	forget_taken();
	tracer_free(tracer);
}

TEST(trace_has_a_bound_and_counts_what_is_beyond)
{
	struct tracer *tracer;
	ck_assert_int_eq(tracer_new(&(struct tracer_options){.ratio = 1, .most = 1}, &tracer), 0);
	struct item item = item_of(1), other = item_of(2);
	begin(tracer, &item);
	begin(tracer, &other);
	ck_assert_ptr_null(other.trace);
	step(tracer, &other, NULL);
	ck_assert_uint_eq(tracer_losses(tracer).items, 1);
	leave(tracer, &other, true);
	trace_free(tracer_leave(tracer, &item));
	tracer_free(tracer);
	tracer = new_tracer(1, 1);
	item = item_of(1);
	begin(tracer, &item);
	for (int i = 0; i < 100; i++)
		step(tracer, &item, NULL);
	item.trace->lost = 0; /* which `taken` does not expect */
	ck_assert_uint_eq(item.trace->n, TRACE_SPANS_MOST);
	tracer_attempt_ended(tracer, &item, true, NULL, weir_clock());
	settle_item(tracer, &item, FATE_SUCCEEDED);
	ck_assert_uint_eq(check_trees(), 1);
	forget_taken();
	tracer_free(tracer);
}
