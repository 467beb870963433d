/* SPDX-License-Identifier: MIT */
/*
 * What comes after an attempt: the one place where that is decided, for weir_call() and weir_process().
 *
 *     succeeded, cancelled, permanent                              the end
 *     throttled, or the gate is shut or its breaker not closed     again, refunded: when the gate opens
 *     failed                                                       again, if attempts and time are left: after backoff
 *
 * Who waits for a gate to open comes up to a tenth of that time later, so that not all come at once.  What the server
 * told counts instead of the backoff, and is never shortened.
 */
#include "sync/policy.h"

#include <weir/random.h>

static weir_nsec with_jitter(struct weir_policy *policy, weir_nsec wait)
{
	return weir__later_by(wait, (weir_nsec)((double)wait / 10 * weir_random_unit(&policy->random)));
}

void weir__tries_init(struct weir__tries *tries, unsigned counted)
{
	*tries = (struct weir__tries){.taken = weir_now(),
				      .first = WEIR_FOREVER,
				      .excused = WEIR_FOREVER,
				      .counted = counted,
				      .streak = counted};
}

static unsigned attempts_most(const struct weir_policy *policy)
{
	unsigned attempts = policy->options.retry.attempts;
	return attempts ? attempts : 5;
}

void weir__tries_begin(struct weir_policy *policy, struct weir__tries *tries, struct weir_attempt *ret_attempt)
{
	const struct weir_policy_options *o = &policy->options;
	weir_nsec now = weir_now(), deadline = o->timeout ? weir__later_by(now, o->timeout) : WEIR_FOREVER;
	if (tries->first == WEIR_FOREVER)
		tries->first = now;
	else if (tries->excused != WEIR_FOREVER)
		tries->first += now - tries->excused;
	tries->excused = WEIR_FOREVER;
	tries->began = now;
	if (o->total_timeout) {
		weir_nsec total = weir__later_by(tries->taken, o->total_timeout);
		deadline = weir__earlier(total, deadline) ? total : deadline;
	}
	*ret_attempt = (struct weir_attempt){
		.number = tries->counted + 1,
		.last = tries->counted + 1 >= attempts_most(policy),
		.deadline = deadline,
		.outcome = WEIR_OUTCOME_FAILED,
	};
}

int weir__attempt_run(weir_job_fn fn, void *job, struct weir_attempt *attempt, void *arg)
{
	if (attempt->deadline == WEIR_FOREVER)
		return fn(job, attempt, arg);
	struct weir_deadline scope;
	weir_deadline_enter(&scope, attempt->deadline);
	int result = fn(job, attempt, arg);
	weir_deadline_leave(&scope);
	return result;
}

enum weir_outcome weir__outcome_of(const struct weir_attempt *attempt, int result)
{
	if (result >= 0)
		return WEIR_OUTCOME_GOOD;
	if (result == WEIR_ECANCELED)
		return WEIR_OUTCOME_RELEASED;
	if (result == WEIR_ETIMEDOUT && attempt->outcome == WEIR_OUTCOME_FAILED)
		return WEIR_OUTCOME_TIMED_OUT;
	return attempt->outcome;
}

weir_nsec weir__tries_expire(const struct weir_policy *policy, const struct weir__tries *tries)
{
	const struct weir_policy_options *o = &policy->options;
	weir_nsec at = o->total_timeout ? weir__later_by(tries->taken, o->total_timeout) : WEIR_FOREVER;
	if (o->queue_timeout && tries->first == WEIR_FOREVER) {
		weir_nsec queue = weir__later_by(tries->taken, o->queue_timeout);
		at = weir__earlier(queue, at) ? queue : at;
	}
	return at;
}

bool weir_attempt_excuse(struct weir_attempt *attempt, const struct weir_gate *gate)
{
	weir_nsec opens;
	if (!weir__gate_excuses(gate, &opens))
		return false;
	attempt->refund = true;
	if (opens > attempt->not_before)
		attempt->not_before = opens;
	return true;
}

/* When the next attempt may begin, not asking whether it may. */
static weir_nsec next_at(struct weir_policy *policy, struct weir__tries *tries, const struct weir_attempt *attempt,
			 weir_nsec opens)
{
	const struct weir_policy_options *o = &policy->options;
	weir_nsec now = weir_now(), told = attempt->told.retry_after;
	weir_nsec wait = weir_backoff_wait(&o->retry.backoff, tries->streak ? tries->streak : 1, tries->last_wait,
					   &policy->random);
	tries->last_wait = wait;
	if (told > 0)
		wait = with_jitter(policy, told < o->longest ? told : o->longest);
	weir_nsec at = weir__later_by(now, wait);
	if (opens < attempt->not_before)
		opens = attempt->not_before;
	if (opens > now && opens + (opens - now) / 10 > at) {
		weir_nsec opened = weir__later_by(now, with_jitter(policy, opens - now));
		at = opened > at ? opened : at;
	}
	return at;
}

static bool is_worth_it(const struct weir_policy *policy, const struct weir__tries *tries, bool refunded, weir_nsec at)
{
	const struct weir_policy_options *o = &policy->options;
	if (o->total_timeout && at >= weir__later_by(tries->taken, o->total_timeout))
		return false;
	return refunded || weir_retry_allows(&o->retry, tries->counted, tries->first, at);
}

/* Whether the attempt is to use up nothing; *ret_opens: when its gate lets somebody in again, 0 if that is not known.
 */
static bool is_refunded(const struct weir_attempt *attempt, const struct weir_gate *gate, int result,
			weir_nsec *ret_opens)
{
	if (attempt->permanent || result == WEIR_ECANCELED || attempt->outcome == WEIR_OUTCOME_GOOD)
		return false;
	bool excused = gate && weir__gate_excuses(gate, ret_opens);
	return excused || attempt->refund || attempt->outcome == WEIR_OUTCOME_THROTTLED;
}

static void count(struct weir_policy *policy, struct weir__tries *tries, bool refunded)
{
	tries->streak++;
	if (refunded) {
		policy->refunded++;
		tries->excused = tries->began;
		return;
	}
	policy->attempts++;
	policy->retries += tries->counted > 0;
	tries->counted++;
}

bool weir__tries_end(struct weir_policy *policy, struct weir__tries *tries, struct weir_attempt *attempt,
		     const struct weir_gate *gate, int result, weir_nsec *ret_at)
{
	weir_nsec opens = 0;
	weir__budget_give_back(policy, tries);
	attempt->outcome = weir__outcome_of(attempt, result);
	bool refunded = result < 0 && is_refunded(attempt, gate, result, &opens);
	if (result != WEIR_ECANCELED)
		count(policy, tries, refunded);
	attempt->number = tries->counted; /* which goes with the job, wherever its next attempt waits */
	if (result >= 0 || result == WEIR_ECANCELED || attempt->permanent)
		return false;
	*ret_at = next_at(policy, tries, attempt, opens);
	return is_worth_it(policy, tries, refunded, *ret_at);
}
