/* SPDX-License-Identifier: MIT */
/*
 * Trying again: how long to wait before, how often, and when not at all.  Pure: no call suspends, the random state is
 * an argument.
 *
 * Backoff is exponential with jitter (M. Brooker, "Exponential Backoff And Jitter", 2015).  With base b, cap c and n
 * failures so far (n >= 1), w = min(c, b * 2^(n-1)):
 *
 *     full           U(0, w)
 *     equal          w/2 + U(0, w/2)
 *     decorrelated   min(c, U(b, 3 * the last wait))
 *     none           w
 *
 * A budget keeps retries from making an outage worse: one may start while fewer than `least` retries are in flight, or
 * they are at most `share` of all that is in flight (as Envoy's and failsafe-go's budgets).
 */
#ifndef WEIR_BACKOFF_H
#define WEIR_BACKOFF_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_jitter { WEIR_JITTER_FULL, WEIR_JITTER_EQUAL, WEIR_JITTER_DECORRELATED, WEIR_JITTER_NONE };

struct weir_backoff {
	weir_nsec base; /* 0: 200 ms */
	weir_nsec cap;  /* 0: 30 s; below the base it counts as the base */
	enum weir_jitter jitter;
};

/* How long to wait after `failures` (1 or more) in a row.  last: what the wait before was; 0: there was none. */
WEIR_API weir_nsec weir_backoff_wait(const struct weir_backoff *backoff, unsigned failures, weir_nsec last,
				     uint64_t *random);

/* Of the retries among the calls in flight. */
struct weir_retry_budget {
	double share;   /* 0: 0.2 */
	unsigned least; /* 0: 3 */
};

/* Whether another retry may start, with `retries` of the `in_flight` calls (which count them) being retries. */
WEIR_API bool weir_retry_budget_allows(const struct weir_retry_budget *budget, size_t retries, size_t in_flight);

/* What the attempts of one job may cost. */
struct weir_retry {
	unsigned attempts; /* in all; 0: 5; 1: no retry */
	weir_nsec elapsed; /* no retry begins later than this after the first attempt did; 0: no such limit */
	struct weir_backoff backoff;
	struct weir_retry_budget budget;
};

/* Whether an attempt may begin at `at`, after `attempts` that counted, the first of which began at `first`. */
WEIR_API bool weir_retry_allows(const struct weir_retry *retry, unsigned attempts, weir_nsec first, weir_nsec at);

#ifdef __cplusplus
}
#endif
#endif
