/* SPDX-License-Identifier: MIT */
/*
 * Waits between attempts (the formulas are in the header) and who may retry at all.  Times are at most 2^63 ns: what
 * would be more is cut off before it is computed.
 */
#include <weir/backoff.h>
#include <weir/random.h>

#define BASE ((weir_nsec)200 * WEIR_MSEC)
#define CAP  ((weir_nsec)30 * WEIR_SEC)

enum { ATTEMPTS = 5, RETRIES_LEAST = 3 };
static const double retries_share = 0.2;

/* From low to high, both included. */
static weir_nsec between(weir_nsec low, weir_nsec high, uint64_t *random)
{
	return low + (weir_nsec)weir_random_below(random, (uint64_t)(high - low) + 1);
}

static weir_nsec exponential(weir_nsec base, weir_nsec cap, unsigned failures)
{
	unsigned doublings = failures ? failures - 1 : 0;
	return doublings > 62 || base > cap >> doublings ? cap : base << doublings;
}

static weir_nsec decorrelated(weir_nsec base, weir_nsec cap, weir_nsec last, uint64_t *random)
{
	weir_nsec most;
	if (last < base)
		last = base;
	if (__builtin_mul_overflow(last, 3, &most))
		most = INT64_MAX;
	weir_nsec wait = between(base, most, random);
	return wait < cap ? wait : cap;
}

weir_nsec weir_backoff_wait(const struct weir_backoff *backoff, unsigned failures, weir_nsec last, uint64_t *random)
{
	weir_nsec base = backoff->base > 0 ? backoff->base : BASE;
	weir_nsec cap = backoff->cap > 0 ? backoff->cap : CAP;
	if (cap < base)
		cap = base;
	weir_nsec wait = exponential(base, cap, failures);
	switch (backoff->jitter) {
	case WEIR_JITTER_FULL:
		return between(0, wait, random);
	case WEIR_JITTER_EQUAL:
		return between(wait / 2, wait, random);
	case WEIR_JITTER_DECORRELATED:
		return decorrelated(base, cap, last, random);
	case WEIR_JITTER_NONE:
		break;
	}
	return wait;
}

bool weir_retry_budget_allows(const struct weir_retry_budget *budget, size_t retries, size_t in_flight)
{
	double share = budget->share > 0 ? budget->share : retries_share;
	unsigned least = budget->least ? budget->least : RETRIES_LEAST;
	/* 29 % of 100 is 28.999999999999996 to a machine. */
	return retries < least || (double)retries <= share * (double)in_flight * (1 + 1e-12);
}

bool weir_retry_allows(const struct weir_retry *retry, unsigned attempts, weir_nsec first, weir_nsec at)
{
	weir_nsec latest;
	if (!attempts)
		return true;
	if (attempts >= (retry->attempts ? retry->attempts : ATTEMPTS))
		return false;
	if (retry->elapsed <= 0 || __builtin_add_overflow(first, retry->elapsed, &latest))
		return true;
	return at <= latest;
}
