/* SPDX-License-Identifier: MIT */
/*
 * What comes after an attempt: the one place where that is decided, for weir_call() and weir_process().
 *
 *     succeeded, cancelled, permanent                              the end
 *     throttled, or the gate is shut or its breaker not closed     again, refunded: when the gate opens
 *     denied, like all calls of late, be it permanent or not       the same
 *     failed                                                       again, if attempts and time are left: after backoff
 *
 * What its upstream is not to blame for counts: a failed probe if it is to count (probes_count), since an upstream that
 * never comes back would keep its jobs for ever, or if the upstream answered it; and what is known to be the job's own
 * (policy/history.c).
 *
 * Who waits for a gate to open comes up to a tenth of that time later, so that not all come at once.  What the server
 * told counts instead of the backoff, and is never shortened.
 */
#include "sync/policy.h"

#include <string.h>
#include <weir/random.h>

#define LONGEST_PAUSE (30 * WEIR_SEC)

weir_nsec weir__spread(struct weir_policy *policy, weir_nsec wait)
{
	return weir__later_by(wait, (weir_nsec)((double)wait / 10 * weir_random_unit(&policy->random)));
}

void weir__attempts_take(struct weir_attempts *attempts)
{
	attempts->streak = attempts->counted;
	if (attempts->taken)
		return;
	attempts->taken = weir_now();
	attempts->first = attempts->excused = WEIR_FOREVER;
}

/* ---- limits */

static unsigned attempts_most(const struct weir_policy *policy)
{
	unsigned attempts = policy->options.retry.attempts;
	return attempts ? attempts : 5;
}

static weir_nsec end_of_total(const struct weir_policy *policy, const struct weir_attempts *attempts)
{
	weir_nsec total = policy->options.total_timeout;
	return total ? weir__later_by(attempts->taken, total) : WEIR_FOREVER;
}

static weir_nsec end_of_elapsed(const struct weir_policy *policy, const struct weir_attempts *attempts)
{
	weir_nsec elapsed = policy->options.retry.elapsed;
	return elapsed ? weir__later_by(attempts->first, elapsed) : WEIR_FOREVER;
}

weir_nsec weir__attempts_expire(const struct weir_policy *policy, const struct weir_attempts *attempts,
				enum weir_cut *ret_cut)
{
	weir_nsec at = end_of_total(policy, attempts), queue_timeout = policy->options.queue_timeout;
	*ret_cut = WEIR_CUT_TOTAL;
	if (queue_timeout && attempts->first == WEIR_FOREVER) {
		weir_nsec queue = weir__later_by(attempts->taken, queue_timeout);
		*ret_cut = weir__earlier(at, queue) ? WEIR_CUT_TOTAL : WEIR_CUT_QUEUE;
		at = weir__earlier(at, queue) ? at : queue;
	}
	return at;
}

/* Which limit forbids another attempt at `at`: of two limits of time the one that comes first. */
static enum weir_cut find_cut(const struct weir_policy *policy, const struct weir_attempts *attempts, bool refunded,
			      weir_nsec at)
{
	enum weir_cut cut;
	weir_nsec expire = weir__attempts_expire(policy, attempts, &cut);
	if (refunded || weir_retry_allows(&policy->options.retry, attempts->counted, attempts->first, at))
		return expire != WEIR_FOREVER && at >= expire ? cut : WEIR_CUT_NONE;
	if (attempts->counted >= attempts_most(policy))
		return WEIR_CUT_ATTEMPTS;
	return weir__earlier(end_of_elapsed(policy, attempts), expire) ? WEIR_CUT_ELAPSED : cut;
}

bool weir__gives_up(const struct weir_policy *policy, const struct weir_gate *gate, weir_nsec word)
{
	weir_nsec most = policy->options.give_up, now = weir_now();
	struct weir_gate_stats stats;
	if (!most || word > now)
		return false;
	weir_gate_stats(gate, &stats);
	return stats.well_at && now - stats.well_at >= most;
}

/* ---- an attempt */

/* Whether the attempt after this one may be beyond a limit of time. */
static bool is_near_its_end(const struct weir_policy *policy, const struct weir_attempts *attempts)
{
	const struct weir_policy_options *o = &policy->options;
	weir_nsec next = weir__later_by(weir_now() + WEIR_SEC, o->longest);
	next = weir__later_by(next, o->retry.backoff.cap ? o->retry.backoff.cap : LONGEST_PAUSE);
	return weir__earlier(end_of_elapsed(policy, attempts), next) ||
	       weir__earlier(end_of_total(policy, attempts), next);
}

void weir__attempt_begin(struct weir__call *call, struct weir_attempt *ret_attempt)
{
	struct weir_policy *policy = call->policy;
	struct weir_attempts *attempts = call->attempts;
	weir_nsec now = weir_now(), timeout = policy->options.timeout;
	weir_nsec deadline = timeout ? weir__later_by(now, timeout) : WEIR_FOREVER,
		  total = end_of_total(policy, attempts);
	call->first = attempts->first;
	if (attempts->first == WEIR_FOREVER)
		attempts->first = now;
	else if (attempts->excused != WEIR_FOREVER)
		attempts->first += now - attempts->excused;
	attempts->excused = WEIR_FOREVER;
	attempts->began = now;
	bool is_last = attempts->counted + 1 >= attempts_most(policy);
	*ret_attempt = (struct weir_attempt){
		.number = attempts->counted + 1,
		.last = is_last,
		.may_be_last = is_last || is_near_its_end(policy, attempts),
		.deadline = weir__earlier(total, deadline) ? total : deadline,
		.gate = call->gate,
		.upstream = call->key,
		.call = call,
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

bool weir_attempt_may_call(const struct weir_attempt *attempt, const char *key)
{
	return attempt->call && attempt->call->has_pass && !strcmp(attempt->upstream, key);
}

static enum weir_outcome outcome_of(const struct weir_attempt *attempt, int result)
{
	if (result >= 0)
		return WEIR_OUTCOME_GOOD;
	if (result == WEIR_ECANCELED)
		return WEIR_OUTCOME_RELEASED;
	if (result == WEIR_ETIMEDOUT && attempt->outcome == WEIR_OUTCOME_FAILED)
		return WEIR_OUTCOME_TIMED_OUT;
	return attempt->outcome;
}

/* A job that is known to fail, that was asked to show that the upstream is well, that was answered: two of these are
 * no outage. */
static bool is_blamed(const struct weir__call *call, bool suspect, enum weir_outcome outcome)
{
	bool answered = outcome == WEIR_OUTCOME_ERROR;
	if (!call->pass.permit.probe)
		return suspect && answered;
	return suspect || answered || (call->policy->options.probes_count && outcome != WEIR_OUTCOME_DENIED);
}

/* word: until when the server had said to stay away before this call. */
static enum weir_cut cut_by_upstream(const struct weir__call *call, enum weir_outcome outcome, weir_nsec word)
{
	const struct weir_history *history = call->attempts->history;
	weir_nsec most = call->policy->options.throttled;
	if (outcome == WEIR_OUTCOME_THROTTLED && most && history && history->throttled >= most)
		return WEIR_CUT_THROTTLED;
	bool failed = outcome != WEIR_OUTCOME_GOOD && outcome != WEIR_OUTCOME_RELEASED;
	bool is_out = outcome == WEIR_OUTCOME_THROTTLED || weir__gate_probes(call->gate);
	return failed && is_out && weir__gives_up(call->policy, call->gate, word) ? WEIR_CUT_GIVEN_UP : WEIR_CUT_NONE;
}

void weir_attempt_leave(struct weir_attempt *attempt)
{
	struct weir__call *call = attempt->call;
	if (!call || !call->has_pass)
		return;
	struct weir_attempts *attempts = call->attempts;
	struct weir_history brief = {.gate = weir__gate_number(call->gate), .failed = attempts->failed};
	struct weir_history *history = attempts->history ? attempts->history : &brief;
	struct weir_gate_stats before = {0};
	if (attempt->outcome != WEIR_OUTCOME_GOOD && call->policy->options.give_up)
		weir_gate_stats(call->gate, &before);
	call->has_pass = false;
	call->pass.history = history;
	weir__gate_leave(call->gate, &call->pass, attempt->outcome, &attempt->hint);
	attempts->failed = history->failed;
	attempts->suspect = history->suspect;
	attempts->is_blamed = is_blamed(call, history->suspect, attempt->outcome);
	attempt->cut = cut_by_upstream(call, attempt->outcome, before.word);
}

/* *ret_opens: when its gate lets somebody in again, 0 if that is not known. */
static bool is_excused(const struct weir_attempt *attempt, bool permanent, weir_nsec *ret_opens)
{
	const struct weir__call *call = attempt->call;
	struct weir_gate_stats stats;
	if (!call || !call->gate || attempt->outcome == WEIR_OUTCOME_GOOD)
		return false;
	if (!permanent)
		return !call->attempts->is_blamed && weir__gate_excuses(call->gate, ret_opens);
	if (attempt->outcome != WEIR_OUTCOME_DENIED || call->attempts->suspect)
		return false;
	weir_gate_stats(call->gate, &stats);
	return stats.denied_of && weir__gate_excuses(call->gate, ret_opens);
}

bool weir_attempt_excused(const struct weir_attempt *attempt, bool permanent)
{
	weir_nsec opens;
	return is_excused(attempt, permanent, &opens);
}

/* ---- after it */

weir_nsec weir__attempts_knock(const struct weir_attempts *attempts, struct weir_gate *gate)
{
	return attempts->history ? weir__gate_knock(gate, attempts->history) : weir__gate_shut_until(gate);
}

/* A job that is throttled for itself lowers no rate, so that it must go slow by itself: it waits a quarter longer each
 * time. */
static weir_nsec end_of_throttling(const struct weir_attempts *attempts, const struct weir_attempt *attempt)
{
	weir_nsec pause = 0;
	if (attempt->outcome == WEIR_OUTCOME_THROTTLED && attempts->history)
		pause = attempts->history->throttled / 4;
	return weir_now() + (pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE);
}

/* When the next attempt may begin, not asking whether it may. */
static weir_nsec next_at(const struct weir__call *call, const struct weir_attempt *attempt, weir_nsec opens)
{
	struct weir_policy *policy = call->policy;
	struct weir_attempts *attempts = call->attempts;
	const struct weir_policy_options *o = &policy->options;
	weir_nsec now = weir_now(), hint = attempt->hint.retry_after, pause = end_of_throttling(attempts, attempt);
	weir_nsec wait = weir_backoff_wait(&o->retry.backoff, attempts->streak ? attempts->streak : 1,
					   attempts->last_wait, &policy->random);
	attempts->last_wait = wait;
	if (hint > 0)
		wait = weir__spread(policy, hint < o->longest ? hint : o->longest);
	weir_nsec at = weir__later_by(now, wait);
	opens = opens < attempt->not_before ? attempt->not_before : opens;
	opens = opens < pause ? pause : opens;
	if (opens > now && opens + (opens - now) / 10 > at) {
		weir_nsec opened = weir__later_by(now, weir__spread(policy, opens - now));
		at = opened > at ? opened : at;
	}
	return at;
}

/* Whether the attempt is to use up nothing; *ret_opens: as of is_excused(), and later for one that has failed. */
static bool is_refunded(const struct weir_attempt *attempt, weir_nsec *ret_opens)
{
	const struct weir__call *call = attempt->call;
	bool excused = is_excused(attempt, attempt->permanent, ret_opens);
	bool is_own = attempt->outcome == WEIR_OUTCOME_GOOD && !attempt->refund;
	if (is_own || (attempt->permanent && !excused))
		return false;
	if (excused || attempt->outcome == WEIR_OUTCOME_THROTTLED) {
		weir_nsec until = call->gate ? weir__attempts_knock(call->attempts, call->gate) : 0;
		if (until != WEIR_FOREVER && until > *ret_opens)
			*ret_opens = until;
	}
	return excused || attempt->refund || attempt->outcome == WEIR_OUTCOME_THROTTLED;
}

static void count(struct weir_policy *policy, struct weir_attempts *attempts, bool refunded)
{
	attempts->streak++;
	if (refunded) {
		policy->refunded++;
		attempts->excused = attempts->began;
		return;
	}
	policy->attempts++;
	policy->retries += attempts->counted > 0;
	attempts->counted++;
}

void weir__attempt_leave(struct weir_attempt *attempt, int result)
{
	attempt->outcome = outcome_of(attempt, result);
	weir_attempt_leave(attempt);
}

bool weir__attempt_end(struct weir_attempt *attempt, int result, weir_nsec *ret_at)
{
	struct weir__call *call = attempt->call;
	weir_nsec opens = 0;
	weir__budget_give_back(call->policy, call->attempts);
	bool refunded = result < 0 && result != WEIR_ECANCELED && is_refunded(attempt, &opens);
	if (result != WEIR_ECANCELED)
		count(call->policy, call->attempts, refunded);
	if (refunded && attempt->outcome == WEIR_OUTCOME_RELEASED) /* nobody was called */
		call->attempts->first = call->first;
	attempt->number = call->attempts->counted; /* which goes with the job, wherever its next attempt waits */
	if (result >= 0 || result == WEIR_ECANCELED)
		attempt->cut = WEIR_CUT_NONE;
	if (result >= 0 || result == WEIR_ECANCELED || attempt->cut == WEIR_CUT_THROTTLED ||
	    attempt->cut == WEIR_CUT_GIVEN_UP || (attempt->permanent && !refunded))
		return false;
	*ret_at = next_at(call, attempt, opens);
	attempt->cut = find_cut(call->policy, call->attempts, refunded, *ret_at);
	return attempt->cut == WEIR_CUT_NONE;
}

void weir__attempt_undo(struct weir_attempt *attempt)
{
	struct weir__call *call = attempt->call;
	attempt->outcome = WEIR_OUTCOME_RELEASED;
	weir_attempt_leave(attempt);
	weir__budget_give_back(call->policy, call->attempts);
	call->attempts->first = call->first;
}
