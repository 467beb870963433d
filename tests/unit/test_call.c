/* SPDX-License-Identifier: MIT */
/* A single call through a policy: attempts, deadlines, the breaker, the budget. */
#include "sync/policy.h"
#include "unit/death.h"
#include "unit/fibers.h"

#include <stdlib.h>
#include <weir/process.h>
#include <weir/random.h>

static struct weir_policy *new_policy(const struct weir_policy_options *opts)
{
	struct weir_policy *policy;
	struct weir_error err = {0};
	ck_assert_msg(weir_policy_new(opts, &policy, &err) == 0, "%s", err.text);
	return policy;
}

/* A job that answers by a script. */
struct job {
	const int *answers;
	unsigned calls;
	weir_nsec takes, began[32];
	struct weir_attempt seen[32];
	enum weir_outcome outcome;
	bool permanent;
	struct weir_hint hint;
};

static int work(void *arg, struct weir_attempt *attempt, void *unused)
{
	struct job *job = arg;
	(void)unused;
	unsigned n = job->calls++;
	quick_assert(n < 32);
	job->began[n] = weir_now();
	job->seen[n] = *attempt;
	int code = job->takes ? weir_sleep(job->takes) : 0;
	if (code < 0)
		return code;
	if (job->outcome)
		attempt->outcome = job->outcome;
	attempt->permanent = job->permanent;
	attempt->hint = job->hint;
	return job->answers[n];
}

static const int fails[32] = {WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO,
			      WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO,
			      WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO,
			      WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO};

#define NO_JITTER                                                                                                      \
	{                                                                                                              \
		.base = 100 * WEIR_MSEC, .cap = WEIR_SEC, .jitter = WEIR_JITTER_NONE                                   \
	}

FIBER_TEST(call_returns_the_last_answer_of_its_attempts)
{
	struct weir_policy *policy =
		new_policy(&(struct weir_policy_options){.retry = {.attempts = 3, .backoff = NO_JITTER}});
	struct job good = {.answers = (const int[]){WEIR_EIO, WEIR_EPIPE, 7}}, bad = {.answers = fails};
	weir_nsec began = weir_now();
	struct weir_policy_stats stats;
	ck_assert_int_eq(weir_call(policy, work, &good, WEIR_FOREVER), 7);
	ck_assert_uint_eq(good.calls, 3);
	ck_assert_int_eq(good.began[2] - began, 300 * WEIR_MSEC);
	ck_assert_uint_eq(good.seen[0].number, 1);
	ck_assert(!good.seen[1].last);
	ck_assert(good.seen[2].last);
	ck_assert_int_eq(good.seen[2].deadline, WEIR_FOREVER);
	ck_assert_int_eq(weir_call_to(policy, "other", work, &bad, WEIR_FOREVER), WEIR_EIO);
	ck_assert_uint_eq(bad.calls, 3);
	weir_policy_stats(policy, &stats);
	ck_assert_uint_eq(stats.attempts, 6);
	ck_assert_uint_eq(stats.retries, 4);
	ck_assert_uint_eq(stats.in_flight, 0);
	weir_policy_free(policy);
}

FIBER_TEST(call_that_is_permanent_is_not_tried_again)
{
	struct weir_policy *policy = new_policy(NULL);
	struct job job = {.answers = fails, .permanent = true};
	ck_assert_int_eq(weir_call(policy, work, &job, WEIR_FOREVER), WEIR_EIO);
	ck_assert_uint_eq(job.calls, 1);
	weir_policy_free(policy);
}

FIBER_TEST(call_attempts_have_a_deadline_of_their_own)
{
	struct weir_policy *policy = new_policy(&(struct weir_policy_options){
		.timeout = 50 * WEIR_MSEC, .retry = {.attempts = 2, .backoff = NO_JITTER}});
	struct job job = {.answers = fails, .takes = WEIR_SEC};
	struct weir_gate *gate;
	struct weir_gate_stats stats;
	weir_nsec began = weir_now();
	ck_assert_int_eq(weir_call(policy, work, &job, WEIR_FOREVER), WEIR_ETIMEDOUT);
	ck_assert_uint_eq(job.calls, 2);
	ck_assert_int_eq(weir_now() - began, 200 * WEIR_MSEC);
	ck_assert_int_eq(job.seen[0].deadline - job.began[0], 50 * WEIR_MSEC);
	weir__policy_gate(policy, "", &gate);
	weir_gate_stats(gate, &stats);
	ck_assert_uint_eq(stats.timed_out, 2);
	weir__policy_unref(policy, gate);
	weir_policy_free(policy);
}

FIBER_TEST(call_ends_at_its_deadline_whatever_it_does)
{
	struct weir_policy *policy =
		new_policy(&(struct weir_policy_options){.concurrency = 1, .retry = {.backoff = NO_JITTER}});
	struct job slow = {.answers = fails, .takes = WEIR_SEC}, failing = {.answers = fails};
	struct weir_gate *gate;
	struct weir__pass pass;
	weir_nsec began = weir_now();
	ck_assert_int_eq(weir_call(policy, work, &slow, weir_after(30 * WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now() - began, 30 * WEIR_MSEC);
	/* No time is left for another attempt: the last answer, at once. */
	ck_assert_int_eq(weir_call(policy, work, &failing, weir_after(250 * WEIR_MSEC)), WEIR_EIO);
	ck_assert_uint_eq(failing.calls, 2);
	ck_assert_int_eq(weir_now() - began, 130 * WEIR_MSEC);
	weir__policy_gate(policy, "", &gate);
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), 0);
	ck_assert_int_eq(weir_call(policy, work, &failing, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_call(policy, work, &failing, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	weir__gate_leave(gate, &pass, WEIR_OUTCOME_GOOD, NULL);
	weir__policy_unref(policy, gate);
	weir_policy_free(policy);
}

FIBER_TEST(call_has_time_outs_for_waiting_and_for_all_of_it)
{
	struct weir_policy *policy = new_policy(&(struct weir_policy_options){.concurrency = 1,
									      .queue_timeout = 20 * WEIR_MSEC,
									      .total_timeout = 250 * WEIR_MSEC,
									      .retry = {.backoff = NO_JITTER}});
	struct job slow = {.answers = fails, .takes = WEIR_SEC}, failing = {.answers = fails};
	struct weir_gate *gate;
	struct weir__pass pass;
	weir_nsec began = weir_now();
	ck_assert_int_eq(weir_call(policy, work, &slow, WEIR_FOREVER), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now() - began, 250 * WEIR_MSEC);
	ck_assert_int_eq(weir_call(policy, work, &failing, WEIR_FOREVER), WEIR_EIO);
	ck_assert_uint_eq(failing.calls, 2);
	weir__policy_gate(policy, "", &gate);
	ck_assert_int_eq(weir__gate_enter(gate, &pass, WEIR_TRY), 0);
	began = weir_now();
	ck_assert_int_eq(weir_call(policy, work, &failing, WEIR_FOREVER), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now() - began, 20 * WEIR_MSEC);
	weir__gate_leave(gate, &pass, WEIR_OUTCOME_GOOD, NULL);
	weir__policy_unref(policy, gate);
	weir_policy_free(policy);
}

FIBER_TEST(call_that_was_throttled_uses_up_no_attempt_and_waits_as_hinted)
{
	struct weir_policy *policy = new_policy(&(struct weir_policy_options){
		.concurrency = 5, .retry = {.attempts = 2, .elapsed = WEIR_SEC, .backoff = NO_JITTER}});
	const int answers[] = {WEIR_EIO, WEIR_EIO, WEIR_EIO, WEIR_EIO, 3};
	struct job job = {.answers = answers, .outcome = WEIR_OUTCOME_THROTTLED, .hint.retry_after = 10 * WEIR_SEC};
	struct weir_policy_stats stats;
	ck_assert_int_eq(weir_call(policy, work, &job, WEIR_FOREVER), 3);
	for (int i = 1; i < 5; i++) {
		ck_assert_int_ge(job.began[i] - job.began[i - 1], 10 * WEIR_SEC);
		ck_assert_int_le(job.began[i] - job.began[i - 1], 12 * WEIR_SEC); /* the gate has its own jitter */
		ck_assert_uint_eq(job.seen[i].number, 1);
	}
	weir_policy_stats(policy, &stats);
	ck_assert_uint_eq(stats.refunded, 4);
	ck_assert_uint_eq(stats.attempts, 1);
	weir_policy_free(policy);
}

static int throttle_then_fail(void *arg, struct weir_attempt *attempt, void *unused)
{
	struct job *job = arg;
	(void)unused;
	switch (++job->calls) {
	case 1:
		attempt->outcome = WEIR_OUTCOME_THROTTLED;
		attempt->hint.retry_after = 10 * WEIR_SEC;
		return WEIR_EIO;
	case 2:
		return WEIR_EIO;
	default:
		return 3;
	}
}

FIBER_TEST(call_time_that_was_refunded_is_not_elapsed)
{
	struct weir_policy *policy =
		new_policy(&(struct weir_policy_options){.retry = {.elapsed = WEIR_SEC, .backoff = NO_JITTER}});
	struct job job = {0};
	ck_assert_int_eq(weir_call(policy, throttle_then_fail, &job, WEIR_FOREVER), 3);
	weir_policy_free(policy);
}

FIBER_TEST(call_waits_while_the_breaker_is_open_or_is_rejected)
{
	for (int rejects = 0; rejects < 2; rejects++) {
		struct weir_policy *policy = new_policy(&(struct weir_policy_options){
			.concurrency = 5,
			.retry.attempts = 1,
			.gate_flags = rejects ? WEIR_GATE_REJECT : 0,
			.breaker = {.calls_least = 3, .open = 5 * WEIR_SEC, .jitter = -1}});
		struct job bad = {.answers = fails}, good = {.answers = (const int[]){0}};
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(weir_call(policy, work, &bad, WEIR_FOREVER), WEIR_EIO);
		weir_nsec began = weir_now();
		/* The third opens it, so it is refunded; it comes again as a probe, which opens it again. */
		if (rejects) {
			ck_assert_int_eq(weir_call(policy, work, &bad, weir_after(WEIR_SEC)), WEIR_EIO);
			ck_assert_int_eq(weir_call(policy, work, &good, WEIR_FOREVER), WEIR_EOPEN);
			ck_assert_int_eq(weir_now(), began);
		} else {
			ck_assert_int_eq(weir_call(policy, work, &bad, weir_after(WEIR_SEC)), WEIR_EIO);
			ck_assert_int_eq(weir_call(policy, work, &good, WEIR_FOREVER), 0);
			ck_assert_int_eq(weir_now() - began, 5 * WEIR_SEC);
		}
		weir_policy_free(policy);
	}
}

struct fellow {
	struct weir_policy *policy;
	struct job job;
	int answer;
};

static int call(void *arg)
{
	struct fellow *self = arg;
	self->answer = weir_call(self->policy, work, &self->job, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(call_canceled_ends_where_it_waits)
{
	struct weir_policy *policy =
		new_policy(&(struct weir_policy_options){.concurrency = 1, .retry = {.backoff = NO_JITTER}});
	struct weir_group *group = new_group();
	struct fellow fellows[3] = {
		{.policy = policy, .job = {.answers = fails}},                    /* waits for its retry */
		{.policy = policy, .job = {.answers = fails, .takes = WEIR_SEC}}, /* is inside */
		{.policy = policy, .job = {.answers = fails}},                    /* waits for the gate */
	};
	struct weir_policy_stats stats;
	for (int i = 0; i < 3; i++) {
		spawn(group, call, &fellows[i]);
		settle();
	}
	weir_group_cancel(group);
	finish(group);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fellows[i].answer, WEIR_ECANCELED);
	weir_policy_stats(policy, &stats);
	ck_assert_uint_eq(stats.in_flight + stats.waiting, 0);
	weir_policy_free(policy);
}

/* ---- the budget */

struct load {
	struct weir_policy *policy;
	size_t retrying, in_flight, most_retrying;
	double worst_share;
};

static int work_under_load(void *arg, struct weir_attempt *attempt, void *unused)
{
	struct load *load = arg;
	(void)unused;
	load->in_flight++;
	load->retrying += attempt->number > 1;
	if (attempt->number > 1 && load->retrying > load->most_retrying)
		load->most_retrying = load->retrying;
	if (attempt->number > 1 && load->retrying > 3 && (double)load->retrying > 0.2 * (double)load->in_flight + 1)
		load->worst_share = (double)load->retrying / (double)load->in_flight;
	int code = weir_sleep(50 * WEIR_MSEC);
	load->in_flight--;
	load->retrying -= attempt->number > 1;
	return code ? code : attempt->number < 3 ? WEIR_EIO : 0;
}

static int call_under_load(void *arg)
{
	struct load *load = arg;
	return weir_call(load->policy, work_under_load, load, WEIR_FOREVER);
}

FIBER_TEST(call_retries_wait_until_the_budget_allows_them)
{
	struct load load = {.policy =
				    new_policy(&(struct weir_policy_options){.concurrency = 1000,
									     .gate_flags = WEIR_GATE_NO_BREAKER,
									     .retry.backoff = {.base = 1, .cap = 1}})};
	struct weir_group *group = new_group();
	struct weir_policy_stats stats;
	for (int i = 0; i < 100; i++)
		spawn(group, call_under_load, &load);
	finish(group); /* all succeed at their third attempt */
	weir_policy_stats(load.policy, &stats);
	ck_assert_uint_gt(stats.budget_waits, 0);
	ck_assert_uint_eq(stats.retries, 200);
	ck_assert_uint_ge(load.most_retrying, 3);
	ck_assert_double_eq(load.worst_share, 0);
	weir_policy_free(load.policy);
}

/* ---- woken, and cancelled before it has run */

struct retrier {
	struct weir_policy *policy;
	struct job job;
	struct weir_group *cancels; /* when its call has ended */
	int code;
	weir_nsec ended;
};

static int retry_aside(void *arg)
{
	struct retrier *self = arg;
	self->code = weir_call(self->policy, work, &self->job, WEIR_FOREVER);
	self->ended = weir_now();
	if (self->cancels)
		weir_group_cancel(self->cancels);
	return 0;
}

/* The first has the one retry that there may be; when it ends the others are told, and one of them is cancelled. */
FIBER_TEST(call_that_waits_for_the_budget_is_canceled_immediately)
{
	struct weir_policy *policy = new_policy(&(struct weir_policy_options){
		.pattern = WEIR_PATTERN_QUEUE,
		.concurrency = 10,
		.retry = {.attempts = 2, .backoff = NO_JITTER, .budget = {.share = 1e-9, .least = 1}}});
	struct weir_group *group = new_group(), *canceled = new_group();
	struct retrier callers[3];
	for (int i = 0; i < 3; i++) {
		callers[i] = (struct retrier){.policy = policy, .job = {.answers = fails, .takes = WEIR_SEC}};
		spawn(i == 1 ? canceled : group, retry_aside, &callers[i]);
		weir_sleep(WEIR_MSEC);
	}
	callers[0].cancels = canceled;
	ck_assert_int_eq(weir_group_wait(canceled, WEIR_FOREVER), 0);
	ck_assert_int_eq(callers[1].code, WEIR_ECANCELED);
	ck_assert_int_eq(callers[1].ended, callers[0].ended);
	weir_group_free(canceled);
	finish(group);
	weir_policy_free(policy);
}

static struct weir_policy *volatile in_use;

static int free_policy(void *job, struct weir_attempt *attempt, void *arg)
{
	(void)job, (void)attempt, (void)arg;
	breaks(weir_policy_free(in_use));
	return 0;
}

static int free_in_a_call(void *arg)
{
	(void)arg;
	in_use = new_policy(&(struct weir_policy_options){.concurrency = 1});
	return weir_call(in_use, free_policy, NULL, WEIR_FOREVER);
}

static void run_free_in_a_call(void)
{
	weir_run(NULL, free_in_a_call, NULL);
}

TEST(call_in_which_its_policy_is_freed_is_a_broken_contract)
{
	assert_breaks(run_free_in_a_call, "weir_policy_free: a weir_call() or weir_process() is still running");
}
