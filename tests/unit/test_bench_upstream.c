/* SPDX-License-Identifier: MIT */
/* The model that jobs call, taken away and brought back; and what the meter makes of jobs. */
#include "bench/meter.h"
#include "bench/upstream.h"

#include <math.h>
#include <stdlib.h>
#include <weir/group.h>

#include "support/test.h"

static const struct bench_load load = {.jobs = 1000, .low = 10 * WEIR_MSEC, .high = 300 * WEIR_MSEC, .errors = 0.05};

TEST(bench_model_draws_the_same_jobs_for_the_same_seed)
{
	double sum = 0;
	unsigned failures = 0, retried_well = 0, different = 0;
	enum { N = 100000 };
	for (uint64_t i = 0; i < N; i++) {
		weir_nsec time = bench_model_time(&load, 1, i);
		quick_assert(time == bench_model_time(&load, 1, i));
		quick_assert(time >= load.low && time <= load.high);
		different += time != bench_model_time(&load, 2, i);
		sum += (double)time;
		if (bench_model_fails(&load, 1, i, 1)) {
			failures++;
			retried_well += !bench_model_fails(&load, 1, i, 2);
		}
	}
	ck_assert(fabs(sum / N - 155e6) < 1e6);
	ck_assert(failures > N / 20 - 400 && failures < N / 20 + 400);
	ck_assert(retried_well > failures * 9 / 10); /* a second attempt is a second throw */
	ck_assert(different > N - 10);
}

struct call {
	struct bench_upstream *upstream;
	uint64_t index;
	weir_nsec deadline, took, ended;
	enum bench_cause cause;
	int code;
};

static int do_call(void *arg)
{
	struct call *call = arg;
	call->code = bench_upstream_call(call->upstream, call->index, 1, &call->took, &call->cause, call->deadline);
	call->ended = weir_now();
	return 0;
}

/* Jobs that do not fail by themselves. */
static uint64_t good_job(uint64_t from)
{
	while (bench_model_fails(&load, 1, from, 1) || bench_model_time(&load, 1, from) < 100 * WEIR_MSEC)
		from++;
	return from;
}

FIBER_TEST(bench_upstream_takes_the_time_that_the_model_says)
{
	const struct bench_upstream_options opts = {.load = load, .seed = 1};
	struct call call = {.index = good_job(0), .deadline = WEIR_FOREVER};
	ck_assert_int_eq(bench_upstream_open(&opts, &call.upstream, NULL), 0);
	do_call(&call);
	ck_assert_int_eq(call.code, 0);
	ck_assert_int_eq(call.took, bench_model_time(&load, 1, call.index));
	call.deadline = weir_now() + 50 * WEIR_MSEC;
	do_call(&call);
	ck_assert_int_eq(call.code, WEIR_ETIMEDOUT);
	ck_assert_int_eq(call.cause, BENCH_CAUSE_TIMEOUT);
	ck_assert_int_eq(call.took, 50 * WEIR_MSEC);
	struct weir_deadline scope;
	weir_deadline_enter(&scope, weir_now() + 20 * WEIR_MSEC);
	call.deadline = WEIR_FOREVER;
	do_call(&call);
	weir_deadline_leave(&scope);
	ck_assert_int_eq(call.code, WEIR_ETIMEDOUT);
	ck_assert_int_eq(call.cause, BENCH_CAUSE_TIMEOUT);
	for (call.index = 0; !bench_model_fails(&load, 1, call.index, 1); call.index++)
		;
	do_call(&call);
	ck_assert_int_eq(call.code, WEIR_EIO);
	ck_assert_int_eq(call.cause, BENCH_CAUSE_SERVER);
	bench_upstream_close(call.upstream);
}

FIBER_TEST(bench_upstream_that_goes_away_cuts_calls_off_and_refuses_new_ones)
{
	const struct bench_upstream_options opts = {.load = load, .seed = 1};
	struct call early = {.index = good_job(0), .deadline = WEIR_FOREVER}, late = early, after = early;
	struct weir_group *group;
	ck_assert_int_eq(bench_upstream_open(&opts, &early.upstream, NULL), 0);
	late.upstream = after.upstream = early.upstream;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	weir_nsec start = weir_now();
	weir_group_spawn(group, do_call, &early, WEIR_FOREVER);
	weir_sleep(50 * WEIR_MSEC);
	bench_upstream_down(early.upstream);
	weir_group_wait(group, WEIR_FOREVER);
	ck_assert_int_eq(early.code, WEIR_EIO);
	ck_assert_int_eq(early.cause, BENCH_CAUSE_RESET);
	ck_assert_int_eq(early.ended - start, 50 * WEIR_MSEC);
	do_call(&late);
	ck_assert_int_eq(late.code, WEIR_EIO);
	ck_assert_int_eq(late.cause, BENCH_CAUSE_CONNECT);
	ck_assert_int_eq(bench_upstream_up(early.upstream), 0);
	do_call(&after);
	ck_assert_int_eq(after.code, 0);
	weir_group_free(group);
	bench_upstream_close(early.upstream);
}

FIBER_TEST(bench_meter_counts_the_wait_for_the_pattern_as_response)
{
	static struct bench_result result;
	struct bench_meter meter;
	result = (struct bench_result){0};
	ck_assert_int_eq(bench_meter_start(&meter, 10, 20 * WEIR_MSEC, &result), 0); /* one each 100 ms */
	weir_sleep(WEIR_SEC);
	weir_nsec began = bench_meter_now(&meter);
	bench_meter_begin(&meter);
	weir_sleep(100 * WEIR_MSEC);
	bench_meter_end(&meter, 100 * WEIR_MSEC, 0, BENCH_CAUSE_OTHER);
	bench_meter_job(&meter, 2, began, -1, true); /* was due at 200 ms */
	bench_meter_begin(&meter);
	bench_meter_begin(&meter);
	bench_meter_end(&meter, 100 * WEIR_MSEC, WEIR_EIO, BENCH_CAUSE_RESET);
	bench_meter_end(&meter, 100 * WEIR_MSEC, WEIR_EIO, BENCH_CAUSE_RESET);
	bench_meter_job(&meter, 100, began, -1, false); /* was due at 10 s: it began before */
	bench_meter_stop(&meter);
	ck_assert_int_eq(result.response.most, 900 * WEIR_MSEC);
	ck_assert(llabs(result.response.p50 - 100 * WEIR_MSEC) < 3 * WEIR_MSEC);
	ck_assert_int_eq(result.service.most, 100 * WEIR_MSEC);
	ck_assert_int_eq(result.took, 1100 * WEIR_MSEC);
	ck_assert_uint_eq(result.in_flight, 2);
	ck_assert_uint_eq(result.errors[BENCH_CAUSE_RESET], 2);
	ck_assert(result.succeeded == 1 && result.failed == 1 && result.jobs == 2 && result.attempts == 3);
	ck_assert(result.ended.value[110] == 1);
}
