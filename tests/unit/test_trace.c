/* SPDX-License-Identifier: MIT */
/* What is recorded of items, and of which of them it is handed on. */
#include "unit/traces.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define RUN "0123456789abcdeffedcba9876543210"

static struct item item_of(uint64_t id)
{
	return (struct item){.id = id, .position = id, .born = 10};
}

static void attempt(struct tracer *tracer, struct item *item, const char *error)
{
	tracer_attempt(tracer, item, weir_clock());
	trace_step(item->trace, "jq", 1, 20, error);
	tracer_attempt_ended(tracer, item, true, error);
	item->attempts++;
}

static void settle_item(struct tracer *tracer, struct item *item, enum fate fate)
{
	struct item *items[] = {item};
	item->fate = fate;
	tracer_settled(tracer, tracer_settle(tracer, items, 1, weir_clock()));
	item->trace = NULL; /* as its broker frees it */
}

TEST(trace_ids_follow_from_the_run_and_the_item)
{
	char parents[2][TRACE_PARENT_BYTES];
	struct tracer *tracers[] = {new_tracer(1, 1), new_tracer(1, 2)};
	for (size_t i = 0; i < 2; i++) {
		struct item item = item_of(7);
		tracer_set_run(tracers[i], RUN);
		tracer_attempt(tracers[i], &item, weir_clock());
		trace_put_parent(item.trace, &item, parents[i]);
		tracer_attempt_ended(tracers[i], &item, true, NULL);
		tracer_leave(tracers[i], &item);
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
			tracer_leave(tracer, &item);
			attempt(tracer, &item, NULL);
		}
		settle_item(tracer, &item, id == 2 ? FATE_DEAD : FATE_SUCCEEDED);
	}
	ck_assert_uint_eq(taken.n, 3);
	ck_assert_uint_eq(check_trees(), 2);
	ck_assert_uint_eq(spans_of(TRACE_ATTEMPT), 3);
	ck_assert_uint_eq(spans_of(TRACE_WAIT), 3);
	ck_assert_str_eq(trace_text(taken.all[0], taken.all[0]->spans[1].error), "status: 503");
	forget_taken();
	tracer_free(tracer);
}

TEST(trace_of_an_attempt_that_uses_up_none_is_sampled_like_others)
{
	struct tracer *tracer = new_tracer(0, 1);
	struct item item = item_of(1);
	tracer_set_run(tracer, RUN);
	tracer_attempt(tracer, &item, weir_clock());
	tracer_attempt_ended(tracer, &item, false, "status: 429");
	tracer_leave(tracer, &item);
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
	ck_assert_int_eq(tracer_new(&(struct tracer_options){.most = 1}, &tracer), 0);
	struct item item = item_of(1), other = item_of(2);
	tracer_attempt(tracer, &item, weir_clock());
	tracer_attempt(tracer, &other, weir_clock());
	ck_assert_ptr_null(other.trace);
	trace_step(other.trace, "jq", 1, 20, NULL);
	tracer_leave(tracer, &other);
	ck_assert_uint_eq(tracer_losses(tracer).items, 1);
	tracer_leave(tracer, &item);
	tracer_free(tracer);
	tracer = new_tracer(1, 1);
	tracer_attempt(tracer, &item, weir_clock());
	for (int i = 0; i < 100; i++)
		trace_step(item.trace, "jq", 1, 20, NULL);
	item.trace->lost = 0; /* which `taken` does not expect */
	ck_assert_uint_eq(item.trace->n, TRACE_SPANS_MOST);
	tracer_attempt_ended(tracer, &item, true, NULL);
	settle_item(tracer, &item, FATE_SUCCEEDED);
	ck_assert_uint_eq(check_trees(), 1);
	forget_taken();
	tracer_free(tracer);
}
