/* SPDX-License-Identifier: MIT */
/*
 * Policies: options, filled in by their pattern and checked; the retry budget.
 *
 * To add a pattern: its row in `presets`, its name, and its line in weir/process.h.
 */
#include "sync/policy.h"

#include <stdlib.h>
#include <string.h>

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
		return weir_error_set(err, WEIR_EINVAL, "there is no such pattern or permit");
	if (o->timeout < 0 || o->queue_timeout < 0 || o->total_timeout < 0 || o->longest < 0 || o->aging < 0)
		return weir_error_set(err, WEIR_EINVAL, "a time-out, `longest` or `aging` is negative");
	if (o->most > WEIR_ADAPT_MOST)
		return weir_error_set(err, WEIR_EINVAL, "`most` is over %zu", WEIR_ADAPT_MOST);
	if (o->total_timeout && o->timeout > o->total_timeout)
		return weir_error_set(err, WEIR_EINVAL,
				      "the time-out of an attempt is longer than total_timeout, that of the job");
	if (o->total_timeout && o->queue_timeout > o->total_timeout)
		return weir_error_set(err, WEIR_EINVAL,
				      "queue_timeout is longer than total_timeout, in which it is contained");
	if (o->retry.elapsed < 0 || o->retry.backoff.base < 0 || o->retry.backoff.cap < 0)
		return weir_error_set(err, WEIR_EINVAL, "a time of the retries is negative");
	if (!(o->retry.budget.share >= 0 && o->retry.budget.share <= 1))
		return weir_error_set(err, WEIR_EINVAL, "the share of the retry budget is not between 0 and 1");
	if ((o->gate_flags & WEIR_GATE_REJECT) && (o->gate_flags & WEIR_GATE_NO_BREAKER))
		return weir_error_set(err, WEIR_EINVAL, "to reject while the breaker is open there must be a breaker");
	return 0;
}

/* o is as given; the permit is known. */
static int check_choices(const struct weir_policy_options *o, enum weir_permit permit, struct weir_error *err)
{
	bool all = permit == WEIR_PERMIT_IN_TASK || permit == WEIR_PERMIT_NEVER;
	if (permit == WEIR_PERMIT_NEVER && (o->concurrency || o->most))
		return weir_error_set(err, WEIR_EINVAL,
				      "without a permit all jobs run at once: that excludes a concurrency");
	if (permit == WEIR_PERMIT_NEVER && o->rate.count)
		return weir_error_set(err, WEIR_EINVAL, "without a permit all jobs run at once: that excludes a rate");
	if (all && o->capacity)
		return weir_error_set(err, WEIR_EINVAL,
				      "with the permit %s all jobs are started as they come: that excludes a capacity",
				      permit == WEIR_PERMIT_NEVER ? "\"never\"" : "\"in the task\"");
	if (all && o->memory_bytes)
		return weir_error_set(err, WEIR_EINVAL,
				      "with the permit %s all jobs are in memory: that excludes a limit of memory",
				      permit == WEIR_PERMIT_NEVER ? "\"never\"" : "\"in the task\"");
	if (permit == WEIR_PERMIT_PER_BATCH && o->capacity)
		return weir_error_set(err, WEIR_EINVAL,
				      "what is read ahead of a batch is the batch: that excludes a capacity");
	if (permit == WEIR_PERMIT_PER_BATCH && !o->concurrency && !presets[o->pattern].concurrency)
		return weir_error_set(err, WEIR_EINVAL, "batches need a size: a concurrency");
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
			return weir_error_set(err, code, "the rate is none: see the bounds in weir/rate.h");
		if (code)
			return code;
		weir_rate_fini(&rate);
	}
	int code = weir_breaker_new(&o->breaker, &breaker);
	if (code == WEIR_EINVAL)
		return weir_error_set(err, code, "the options of the breaker are out of the bounds in weir/breaker.h");
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
	if (o->name && !(policy->name = strdup(o->name)))
		goto fail;
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

void weir_policy_free(struct weir_policy *policy)
{
	if (!policy)
		return;
	weir__require(!policy->users, "weir_policy_free() while a call or a process is under way");
	weir__policy_gates_fini(policy);
	free(policy->profiler);
	free(policy->name);
	free(policy);
}

/* ---- the budget */

bool weir__budget_allows(const struct weir_policy *policy)
{
	return weir_retry_budget_allows(&policy->options.retry.budget, policy->retrying, policy->in_flight);
}

void weir__budget_wait(struct weir_policy *policy, struct weir__budget_waiter *waiter)
{
	if (waiter->waits)
		return;
	policy->budget_waits++;
	waiter->waits = true;
	waiter->prev = NULL;
	waiter->next = policy->first_waiter;
	if (waiter->next)
		waiter->next->prev = waiter;
	policy->first_waiter = waiter;
}

void weir__budget_leave(struct weir_policy *policy, struct weir__budget_waiter *waiter)
{
	if (!waiter->waits)
		return;
	if (waiter->prev)
		waiter->prev->next = waiter->next;
	else
		policy->first_waiter = waiter->next;
	if (waiter->next)
		waiter->next->prev = waiter->prev;
	waiter->waits = false;
}

void weir__budget_take(struct weir_policy *policy, const struct weir__tries *tries)
{
	policy->in_flight++;
	policy->retrying += tries->counted > 0;
}

void weir__budget_give_back(struct weir_policy *policy, const struct weir__tries *tries)
{
	policy->in_flight--;
	policy->retrying -= tries->counted > 0;
	while (weir__unlikely(policy->first_waiter != NULL) && weir__budget_allows(policy)) {
		struct weir__budget_waiter *waiter = policy->first_waiter;
		weir__budget_leave(policy, waiter);
		waiter->tell(waiter);
	}
}

/* ---- looking at it */

void weir_policy_stats(const struct weir_policy *policy, struct weir_policy_stats *ret_stats)
{
	*ret_stats = (struct weir_policy_stats){
		.permit = policy->options.permit,
		.concurrency = weir__policy_sum(policy, false),
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
