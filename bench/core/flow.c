/* SPDX-License-Identifier: MIT */
/* What it costs to ask: rates, the rate limiter, the circuit breaker. */
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

void bench_flow(void)
{
	measure_rate("flow_gcra_ns", &(struct weir_rate_options){.count = 300000000, .burst = 10});
	measure_rate("flow_bucket_ns",
		     &(struct weir_rate_options){.count = 300000000, .burst = 10, .kind = WEIR_RATE_BUCKET});
	measure_rate("flow_log_ns", &(struct weir_rate_options){.count = 1000, .period = 10000, .kind = WEIR_RATE_LOG});
	measure_limiter("flow_rate_limiter_ns");
	measure_breaker("flow_breaker_ns", &(struct weir_breaker_options){0});
	measure_breaker("flow_breaker_calls_ns", &(struct weir_breaker_options){.window_calls = 100});
}
