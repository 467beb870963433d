/* SPDX-License-Identifier: MIT */
/*
 * Policies: options, filled in by their pattern and checked; the retry budget.
 *
 * To add a pattern: its row in `presets`, its name, and its line in weir/process.h.
 */
#include "sync/policy.h"

#include <stdlib.h>

static const struct preset {
	const char *name;
	enum weir_permit permit;
	size_t concurrency; /* 0: found */
	uint64_t per_sec;
} presets[] = {
	[WEIR_PATTERN_AUTO] = {"auto", WEIR_PERMIT_BEFORE, 0, 0},
	[WEIR_PATTERN_QUEUE] = {"queue", WEIR_PERMIT_BEFORE, 50, 0},
	[WEIR_PATTERN_SEMAPHORE] = {"semaphore", WEIR_PERMIT_IN_TASK, 100, 0},
	[WEIR_PATTERN_CHUNKED] = {"chunked", WEIR_PERMIT_PER_BATCH, 100, 0},
	[WEIR_PATTERN_RATE] = {"rate", WEIR_PERMIT_BEFORE, 200, 100},
	[WEIR_PATTERN_NAIVE] = {"naive", WEIR_PERMIT_NEVER, 0, 0},
};
enum { PRESETS = sizeof presets / sizeof presets[0] };

/* What stands for "all of them". */
#define ALL_AT_ONCE ((size_t)1 << 40)

const char *weir_pattern_name(enum weir_pattern pattern)
{
	return (unsigned)pattern < PRESETS ? presets[pattern].name : "?";
}

/* ---- what excludes what */

static int check_numbers(const struct weir_policy_options *o, struct weir_error *err)
{
	if ((unsigned)o->pattern >= PRESETS || (unsigned)o->permit > WEIR_PERMIT_NEVER)
		return weir_error_set(err, WEIR_EINVAL, "unknown pattern or permit");
	if (o->timeout < 0 || o->queue_timeout < 0 || o->total_timeout < 0 || o->longest < 0 || o->aging < 0 ||
	    o->throttled < 0 || o->give_up < 0)
		return weir_error_set(err, WEIR_EINVAL, "a time-out or another length of time is negative");
	if (o->most > WEIR__ADAPT_MOST)
		return weir_error_set(err, WEIR_EINVAL, "`most` is over %zu", WEIR__ADAPT_MOST);
	if (o->total_timeout && o->timeout > o->total_timeout)
		return weir_error_set(err, WEIR_EINVAL,
				      "the time-out of an attempt is longer than total_timeout, that of the job");
	if (o->total_timeout && o->queue_timeout > o->total_timeout)
		return weir_error_set(err, WEIR_EINVAL,
				      "queue_timeout is longer than total_timeout, which includes it");
	if (o->retry.elapsed < 0 || o->retry.backoff.base < 0 || o->retry.backoff.cap < 0)
		return weir_error_set(err, WEIR_EINVAL, "a retry time is negative");
	if (!(o->retry.budget.share >= 0 && o->retry.budget.share <= 1))
		return weir_error_set(err, WEIR_EINVAL, "the retry budget is not between 0 and 1");
	if ((o->gate_flags & WEIR_GATE_REJECT) && (o->gate_flags & WEIR_GATE_NO_BREAKER))
		return weir_error_set(err, WEIR_EINVAL, "rejecting while the breaker is open requires a breaker");
	return 0;
}

/* o is as given; the permit is known. */
static int check_choices(const struct weir_policy_options *o, enum weir_permit permit, struct weir_error *err)
{
	bool all = permit == WEIR_PERMIT_IN_TASK || permit == WEIR_PERMIT_NEVER;
	if (permit == WEIR_PERMIT_NEVER && (o->concurrency || o->most))
		return weir_error_set(err, WEIR_EINVAL,
				      "without permits all jobs run concurrently: a concurrency cannot be set");
	if (permit == WEIR_PERMIT_NEVER && o->rate.count)
		return weir_error_set(err, WEIR_EINVAL,
				      "without permits all jobs run concurrently: a rate cannot be set");
	if (all && o->capacity)
		return weir_error_set(err, WEIR_EINVAL,
				      "with the permit %s all jobs start as they come: a capacity cannot be set",
				      permit == WEIR_PERMIT_NEVER ? "\"never\"" : "\"in the task\"");
	if (all && o->memory_bytes)
		return weir_error_set(err, WEIR_EINVAL,
				      "with the permit %s all jobs are in memory: a memory limit cannot be set",
				      permit == WEIR_PERMIT_NEVER ? "\"never\"" : "\"in the task\"");
	if (permit == WEIR_PERMIT_PER_BATCH && o->capacity)
		return weir_error_set(err, WEIR_EINVAL,
				      "the capacity of batches is their size: a capacity cannot be set");
	if (permit == WEIR_PERMIT_PER_BATCH && !o->concurrency && !presets[o->pattern].concurrency)
		return weir_error_set(err, WEIR_EINVAL, "batches need a size: set a concurrency");
	if (o->most && o->concurrency > o->most)
		return weir_error_set(err, WEIR_EINVAL, "a concurrency of %zu is over `most`, %zu", o->concurrency,
				      o->most);
	return 0;
}

static int check_parts(const struct weir_policy_options *o, struct weir_error *err)
{
	struct weir_breaker *breaker;
	if (o->rate.count) {
		struct weir_rate rate = {0};
		int code = weir_rate_init(&rate, &o->rate);
		if (code == WEIR_EINVAL)
			return weir_error_set(err, code, "invalid rate: see the bounds in weir/rate.h");
		if (code)
			return code;
		weir_rate_fini(&rate);
	}
	int code = weir_breaker_new(&o->breaker, &breaker);
	if (code == WEIR_EINVAL)
		return weir_error_set(err, code, "breaker options out of bounds: see weir/breaker.h");
	if (code == 0)
		weir_breaker_free(breaker);
	return code;
}

static void fill_in(struct weir_policy_options *o, enum weir_permit permit)
{
	const struct preset *preset = &presets[o->pattern];
	o->permit = permit;
	if (!o->concurrency)
		o->concurrency = permit == WEIR_PERMIT_NEVER ? ALL_AT_ONCE : preset->concurrency;
	if (!o->rate.count && preset->per_sec)
		o->rate = (struct weir_rate_options){.count = preset->per_sec};
	if (!o->most)
		o->most = 10000;
	if (!o->aging)
		o->aging = 5 * WEIR_SEC;
	if (!o->gates_most)
		o->gates_most = 1000;
	if (!o->longest)
		o->longest = 300 * WEIR_SEC;
}

/* ---- making one */

int weir_policy_new(const struct weir_policy_options *opts, struct weir_policy **ret_policy, struct weir_error *err)
{
	static const struct weir_policy_options none;
	const struct weir_policy_options *o = opts ? opts : &none;
	int code = check_numbers(o, err);
	if (code)
		return code;
	enum weir_permit permit = o->permit ? o->permit : presets[o->pattern].permit;
	if ((code = check_choices(o, permit, err)) || (code = check_parts(o, err)))
		return code;
	struct weir_policy *policy = calloc(1, sizeof *policy);
	if (!policy)
		return WEIR_ENOMEM;
	policy->options = *o;
	fill_in(&policy->options, permit);
	policy->random = o->seed;
	policy->pause_from = WEIR_FOREVER;
	TAILQ_INIT(&policy->idle);
	TAILQ_INIT(&policy->waiters);
	if (o->pattern == WEIR_PATTERN_AUTO && !policy->options.concurrency) {
		policy->profiler = calloc(1, sizeof *policy->profiler);
		if (!policy->profiler)
			goto fail;
	}
	*ret_policy = policy;
	return 0;
fail:
	weir_policy_free(policy);
	return WEIR_ENOMEM;
}

void weir__policy_free(const char *here, struct weir_policy *policy)
{
	if (!policy)
		return;
	weir__require(!policy->users, here, "weir_policy_free: a weir_call() or weir_process() is still running");
	weir__policy_gates_fini(policy);
	free(policy->profiler);
	free(policy);
}

weir__function(policy_free, struct weir_policy *);

/* ---- the budget */

bool weir__budget_allows(const struct weir_policy *policy)
{
	return weir_retry_budget_allows(&policy->options.retry.budget, policy->retrying, policy->in_flight);
}

bool weir_policy_may_retry(const struct weir_policy *policy)
{
	return weir_retry_budget_allows(&policy->options.retry.budget, policy->retrying + policy->due,
					policy->in_flight);
}

void weir__budget_wait(struct weir_policy *policy, struct weir__budget_waiter *waiter)
{
	if (waiter->waits)
		return;
	policy->budget_waits++;
	waiter->waits = true;
	TAILQ_INSERT_HEAD(&policy->waiters, waiter, others);
}

void weir__budget_leave(struct weir_policy *policy, struct weir__budget_waiter *waiter)
{
	if (!waiter->waits)
		return;
	TAILQ_REMOVE(&policy->waiters, waiter, others);
	waiter->waits = false;
}

void weir__budget_take(struct weir_policy *policy, const struct weir_attempts *attempts)
{
	policy->in_flight++;
	policy->retrying += attempts->counted > 0;
}

void weir__budget_give_back(struct weir_policy *policy, const struct weir_attempts *attempts)
{
	policy->in_flight--;
	policy->retrying -= attempts->counted > 0;
	while (weir__unlikely(!TAILQ_EMPTY(&policy->waiters)) && weir__budget_allows(policy)) {
		struct weir__budget_waiter *waiter = TAILQ_FIRST(&policy->waiters);
		weir__budget_leave(policy, waiter);
		waiter->tell(waiter);
	}
}

/* ---- looking at it */

void weir_policy_stats(const struct weir_policy *policy, struct weir_policy_stats *ret_stats)
{
	*ret_stats = (struct weir_policy_stats){
		.permit = policy->options.permit,
		.concurrency = weir__policy_sum(policy),
		.capacity = policy->capacity,
		.chosen = policy->chosen,
		.choice = policy->choice,
		.attempts = policy->attempts,
		.retries = policy->retries,
		.refunded = policy->refunded,
		.budget_waits = policy->budget_waits,
		.in_flight = policy->in_flight,
		.waiting = policy->waiting,
	};
}
