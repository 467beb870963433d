/* SPDX-License-Identifier: MIT */
/* What it costs to ask: rates, the rate limiter, the circuit breaker; and what a job of weir_process() costs. */
#include "core.h"

/* A take each ten nanoseconds of a clock that is only counted, at a rate that lets all of them through. */
static void measure_rate(const char *name, const struct weir_rate_options *opts)
{
	struct weir_rate rate;
	uint64_t n = 20000000 / share;
	must(weir_rate_init(&rate, opts), name);
	weir_nsec start = weir_clock(), now = 0;
	for (uint64_t i = 0; i < n; i++) {
		now = weir_rate_next(&rate, 1, now + 10);
		weir_rate_take(&rate, 1, now);
	}
	figure(name, seconds_since(start) * 1e9 / (double)n, "ns");
	weir_rate_fini(&rate);
}

static void measure_breaker(const char *name, const struct weir_breaker_options *opts)
{
	struct weir_breaker *breaker;
	uint64_t n = 20000000 / share;
	must(weir_breaker_new(opts, &breaker), name);
	weir_nsec start = weir_clock(), now = 0;
	for (uint64_t i = 0; i < n; i++) {
		struct weir_breaker_permit permit;
		now += 1000;
		must(weir_breaker_allow(breaker, now, &permit), name);
		weir_breaker_end(breaker, permit, i % 8 ? WEIR_OUTCOME_GOOD : WEIR_OUTCOME_FAILED, 500, now);
	}
	figure(name, seconds_since(start) * 1e9 / (double)n, "ns");
	weir_breaker_free(breaker);
}

static void measure_limiter(const char *name)
{
	struct weir_rate_limiter *limiter;
	uint64_t n = 5000000 / share;
	must(weir_rate_limiter_new(&(struct weir_rate_options){.count = 1000000000, .burst = 1000000}, &limiter), name);
	weir_nsec start = weir_clock();
	for (uint64_t i = 0; i < n; i++)
		must(weir_rate_limiter_acquire(limiter, 1, WEIR_FOREVER), name);
	figure(name, seconds_since(start) * 1e9 / (double)n, "ns");
	weir_rate_limiter_free(limiter);
}

static uint64_t jobs_left;

static int next_job(void *arg, void *ret_job, weir_nsec deadline)
{
	(void)arg, (void)deadline;
	*(uint64_t *)ret_job = jobs_left;
	return jobs_left-- ? 0 : WEIR_ECLOSED;
}

static int do_nothing(void *job, struct weir_attempt *attempt, void *arg)
{
	(void)job, (void)attempt, (void)arg;
	return 0;
}

static void measure_process(const char *name)
{
	struct weir_policy *policy;
	struct weir_process_stats stats;
	jobs_left = 5000000 / share;
	must(weir_policy_new(&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE, .concurrency = 100}, &policy,
			     NULL),
	     name);
	weir_nsec start = weir_clock();
	must(weir_process(
		     &(struct weir_process){
			     .policy = policy, .job_bytes = sizeof(uint64_t), .produce = next_job, .work = do_nothing},
		     &stats, WEIR_FOREVER),
	     name);
	figure(name, (double)stats.jobs / seconds_since(start), "jobs/s");
	weir_policy_free(policy);
}

void bench_flow(void)
{
	measure_process("flow_process_per_s");
	measure_rate("flow_gcra_ns", &(struct weir_rate_options){.count = 300000000, .burst = 10});
	measure_rate("flow_bucket_ns",
		     &(struct weir_rate_options){.count = 300000000, .burst = 10, .kind = WEIR_RATE_BUCKET});
	measure_rate("flow_log_ns", &(struct weir_rate_options){.count = 1000, .period = 10000, .kind = WEIR_RATE_LOG});
	measure_limiter("flow_rate_limiter_ns");
	measure_breaker("flow_breaker_ns", &(struct weir_breaker_options){0});
	measure_breaker("flow_breaker_calls_ns", &(struct weir_breaker_options){.window_calls = 100});
}
