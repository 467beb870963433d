/* SPDX-License-Identifier: MIT */
/* The section `flow` of a config, and what belongs to it in a step. */
#include "spec/plan.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#define ENDS "source: {range: 1-3}\nsink: {stdout: {}}\n"

static struct plan *load_flow(const char *text)
{
	struct plan *plan = NULL;
	struct weir_error err = {0};
	int code = spec_parse(text, strlen(text), "t.yaml", test_folder(), &(struct spec_options){0}, &plan, &err);
	ck_assert_msg(code == 0, "%s\n%d:%d: %s", text, err.line, err.column, err.text);
	return plan;
}

static void expect_refused(const char *text, int line, int column, const char *part)
{
	struct plan *plan;
	struct weir_error err = {0};
	int code = spec_parse(text, strlen(text), "t.yaml", test_folder(), &(struct spec_options){0}, &plan, &err);
	ck_assert_msg(code == WEIR_EINVAL, "%s\n%d", text, code);
	ck_assert_msg(strstr(err.text, part), "%s\n%d:%d: %s", text, err.line, err.column, err.text);
	ck_assert_msg(err.line == line && err.column == column, "%s\n%d:%d: %s", text, err.line, err.column, err.text);
}

TEST(flow_reads_every_key)
{
	struct plan *plan = load_flow(
		ENDS "flow:\n"
		     "  pattern: queue\n"
		     "  concurrency: 20\n"
		     "  rate: 60/m\n"
		     "  burst: 5\n"
		     "  retry: { attempts: 7, backoff: 1s..2s, jitter: decorrelated, budget: 10%, elapsed: 1h, "
		     "max_retry_after: 2m }\n"
		     "  breaker: { failure_rate: 40%, window: 10s, calls: 9, open: 1s..4s, probes: 2, "
		     "when_open: reject, slow: 3s, slow_rate: 80% }\n"
		     "  priority: { field: .urgency, aging: 7s }\n"
		     "  order_by: .customer.id\n"
		     "  max_memory: 256MiB\n"
		     "  timeout: { attempt: 30s, queue: 1m, total: 2m }\n");
	const struct plan_settings *s = &plan->settings;
	ck_assert_int_eq(s->pattern, WEIR_PATTERN_QUEUE);
	ck_assert_int_eq(s->concurrency, 20);
	ck_assert_uint_eq(s->rate.count, 60);
	ck_assert_int_eq(s->rate.period, 60 * WEIR_SEC);
	ck_assert_int_eq(s->burst, 5);
	ck_assert_int_eq(s->retry_attempts, 7);
	ck_assert_int_eq(s->retry_jitter, WEIR_JITTER_DECORRELATED);
	ck_assert_double_eq_tol(s->retry_budget, 0.1, 1e-9);
	ck_assert_int_eq(s->retry_elapsed, 3600 * WEIR_SEC);
	ck_assert(!s->breaker_off);
	ck_assert_double_eq_tol(s->breaker_failure_rate, 0.4, 1e-9);
	ck_assert_int_eq(s->breaker_window, 10 * WEIR_SEC);
	ck_assert_int_eq(s->breaker_calls, 9);
	ck_assert_int_eq(s->breaker_open[0], WEIR_SEC);
	ck_assert_int_eq(s->breaker_open[1], 4 * WEIR_SEC);
	ck_assert_int_eq(s->breaker_probes, 2);
	ck_assert_int_eq(s->breaker_when_open, WHEN_OPEN_REJECT);
	ck_assert_int_eq(s->breaker_slow, 3 * WEIR_SEC);
	ck_assert_double_eq_tol(s->breaker_slow_rate, 0.8, 1e-9);
	ck_assert_str_eq(s->priority_field, ".urgency");
	ck_assert_int_eq(s->priority_aging, 7 * WEIR_SEC);
	ck_assert_str_eq(s->order_by, ".customer.id");
	ck_assert_uint_eq(s->max_memory, 256 << 20);
	ck_assert_int_eq(s->timeout_attempt, 30 * WEIR_SEC);
	ck_assert_int_eq(s->timeout_queue, 60 * WEIR_SEC);
	ck_assert_int_eq(s->timeout_total, 120 * WEIR_SEC);
	plan_free(plan);
}

TEST(flow_defaults_follow_from_the_pattern)
{
	static const struct {
		const char *pattern;
		int64_t concurrency;
		uint64_t rate;
	} presets[] = {{"auto", 0, 0},      {"queue", 50, 0},   {"semaphore", 100, 0},
		       {"chunked", 100, 0}, {"rate", 200, 100}, {"naive", 0, 0}};
	for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
		struct plan *plan = load_flow(test_format(ENDS "flow: { pattern: %s }\n", presets[i].pattern));
		ck_assert_int_eq(plan->settings.pattern, i);
		ck_assert_int_eq(plan->settings.concurrency, presets[i].concurrency);
		ck_assert_uint_eq(plan->settings.rate.count, presets[i].rate);
		plan_free(plan);
	}
	struct plan *plan = load_flow(ENDS "flow: { pattern: rate, rate: 5/h, concurrency: auto }\n");
	ck_assert_int_eq(plan->settings.concurrency, 0);
	ck_assert_uint_eq(plan->settings.rate.count, 5);
	ck_assert_int_eq(plan->settings.rate.period, 3600 * WEIR_SEC);
	plan_free(plan);
}

TEST(flow_explains_what_a_preset_stands_for)
{
	struct plan *plan = load_flow(ENDS "flow: { pattern: rate }\n");
	ck_assert_ptr_nonnull(strstr(plan->explained, "  concurrency: 200 # default\n  rate: 100/s # default\n"));
	ck_assert_ptr_nonnull(strstr(plan->explained, "# rate: a permit is taken before the item"));
	plan_free(plan);
	plan = load_flow(ENDS);
	ck_assert_ptr_nonnull(strstr(plan->explained, "  pattern: auto # default\n  concurrency: auto # default\n"));
	plan_free(plan);
}

TEST(flow_breaker_can_be_off)
{
	struct plan *plan = load_flow(ENDS "flow: { breaker: off }\n");
	ck_assert(plan->settings.breaker_off);
	ck_assert_ptr_nonnull(strstr(plan->explained, "  breaker: off\n"));
	struct plan *again = load_flow(plan->explained);
	ck_assert(again->settings.breaker_off);
	plan_free(again);
	plan_free(plan);
	expect_refused(ENDS "flow: { breaker: no }\n", 3, 18, "expected off, or a map");
}

TEST(flow_refuses_what_contradicts_itself)
{
	expect_refused(ENDS "flow: {pattern: naive, concurrency: 5}\n", 3, 24, "both concurrency and pattern: naive");
	expect_refused(ENDS "flow: {rate: 5/s, pattern: naive}\n", 3, 8, "both rate and pattern: naive");
	expect_refused(ENDS "flow: {pattern: naive, order_by: .x}\n", 3, 24, "both order_by and pattern: naive");
	expect_refused(ENDS "flow: {pattern: naive, max_memory: 1GiB}\n", 3, 24, "both max_memory and pattern: naive");
	expect_refused(ENDS "flow:\n  pattern: chunked\n  concurrency: auto\n", 5, 3, "batches have a fixed size");
	expect_refused(ENDS "flow: {pattern: semaphore, priority: {field: .x}}\n", 3, 28, "nothing to prefer");
	expect_refused(ENDS "flow: {burst: 5}\n", 3, 8, "burst without rate");
	expect_refused(ENDS "flow: {breaker: {slow_rate: 50%}}\n", 3, 18, "slow_rate without slow");
	expect_refused(ENDS "flow: {timeout: {queue: 2m, total: 1m}}\n", 3, 18, "longer than timeout.total");
	expect_refused(ENDS "flow: {timeout: {attempt: 2m, total: 1m}}\n", 3, 18, "longer than timeout.total");
}

TEST(flow_errors_say_what_a_value_may_be)
{
	expect_refused(ENDS "flow: {concurrency: atuo}\n", 3, 21, "expected auto, or a whole number, from 1 to 100000");
	expect_refused(ENDS "flow: {rate: 1000}\n", 3, 14, "such as 1000/s");
	expect_refused(ENDS "flow: {rate: 0/s}\n", 3, 14, "such as 1000/s");
	expect_refused(ENDS "flow: {pattern: qeue}\n", 3, 17, "did you mean \"queue\"?");
	expect_refused(ENDS "flow: {order_by: customer}\n", 3, 18, "a path into the item");
	expect_refused(ENDS "flow: {priority: {aging: 1s}}\n", 3, 8, "priority: \"field\" is required");
	expect_refused(ENDS "flow: {max_memory: 16MiB}\n", 3, 20, "from 32MiB");
	expect_refused(ENDS "flow: {retry: {jitter: fulll}}\n", 3, 24, "did you mean \"full\"?");
	expect_refused(ENDS "flow: {breaker: {when_open: wait}}\n", 3, 29, "defer, reject");
	expect_refused(ENDS "flow: [1]\n", 3, 7, "flow is a list");
	expect_refused(ENDS "rate: 5/s\n", 3, 1, "it belongs under flow");
	expect_refused(ENDS "steps:\n  - jq: .\n    concurrency: 0\n", 5, 18, "from 1 to 100000");
}

TEST(flow_concurrency_of_a_step_stands_beside_its_name)
{
	struct plan *plan = load_flow(ENDS "steps:\n  - jq: .a\n    concurrency: 9\n  - jq: .b\n");
	ck_assert_int_eq(plan->steps[0].concurrency, 9);
	ck_assert_int_eq(plan->steps[1].concurrency, 0);
	plan_free(plan);
}
