/* SPDX-License-Identifier: MIT */
/* A single call through a policy, on the caller's own fiber: enter the gate, try, leave, wait, again. */
#include "sync/policy.h"

struct budget_fiber {
	struct weir__budget_waiter line;
	struct weir__waiter waiter;
};

static void tell_fiber(struct weir__budget_waiter *line)
{
	struct budget_fiber *self = (struct budget_fiber *)line;
	if (weir__waits(&self->waiter))
		weir__wake(&self->waiter, 0);
}

/* A retry waits until the budget allows it. */
static int wait_for_budget(struct weir__call *call, weir_nsec deadline)
{
	struct weir_policy *policy = call->policy;
	int code = 0;
	while (code == 0 && call->attempts->counted && !weir__budget_allows(policy)) {
		struct budget_fiber self = {.line.tell = tell_fiber, .waiter.what = "retry budget"};
		weir__budget_wait(policy, &self.line);
		code = weir__wait(NULL, &self.waiter, deadline);
		weir__budget_leave(policy, &self.line);
		if (code == 0)
			code = weir__check_cancel(); /* since it was woken */
	}
	return code;
}

/* One attempt: its result, or why there was none; then *ret_again is false. */
static int attempt_once(struct weir__call *call, weir_job_fn fn, void *job, weir_nsec deadline, bool *ret_again,
			weir_nsec *ret_at)
{
	struct weir_attempt attempt;
	enum weir_cut cut;
	weir_nsec expire = weir__attempts_expire(call->policy, call->attempts, &cut);
	weir_nsec until = deadline != WEIR_TRY && weir__earlier(expire, deadline) ? expire : deadline;
	*ret_again = false;
	int code = wait_for_budget(call, until);
	if (code == 0)
		code = weir__gate_enter(call->gate, &call->pass, until);
	if (code)
		return code;
	call->has_pass = true;
	weir__budget_take(call->policy, call->attempts);
	weir__attempt_begin(call, &attempt);
	if (weir__earlier(deadline, attempt.deadline))
		attempt.deadline = deadline;
	int result = weir__attempt_run(fn, job, &attempt, NULL);
	weir__attempt_leave(&attempt, result);
	weir__auto_add(call->policy, &attempt, attempt.outcome, weir_now() - call->attempts->began);
	*ret_again = weir__attempt_end(&attempt, result, ret_at);
	return result;
}

static int try_until_done(struct weir__call *call, weir_job_fn fn, void *job, weir_nsec deadline)
{
	for (;;) {
		weir_nsec at;
		bool again;
		int result = attempt_once(call, fn, job, deadline, &again, &at);
		/* With no time left for another one the last answer tells more than a time-out. */
		if (!again || deadline == WEIR_TRY || !weir__earlier(at, weir__deadline(deadline)))
			return result;
		call->policy->waiting++;
		int code = weir_sleep_until(at);
		call->policy->waiting--;
		if (code)
			return code;
	}
}

int weir_call_to(struct weir_policy *policy, const char *key, weir_job_fn fn, void *job, weir_nsec deadline)
{
	struct weir_attempts attempts = {0};
	struct weir__call call = {.policy = policy, .attempts = &attempts, .key = key};
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	int code = weir__policy_gate(policy, key, &call.gate);
	if (code)
		return code;
	policy->users++;
	weir__attempts_take(&attempts);
	code = try_until_done(&call, fn, job, deadline);
	policy->users--;
	weir__policy_unref(policy, call.gate);
	return code;
}

int weir_call(struct weir_policy *policy, weir_job_fn fn, void *job, weir_nsec deadline)
{
	return weir_call_to(policy, "", fn, job, deadline);
}
