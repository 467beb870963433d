/* SPDX-License-Identifier: MIT */
/*
 * `auto`: looks at the first attempts, has weir__choose() choose, and goes on from there.
 *
 * Until then its gates are in their slow start.  What is chosen is where they go on from, no more: the limits and the
 * rate are found on.  With several gates each is left to what it has found by itself.
 */
#include "policy/choose.h"
#include "sync/policy.h"

#include <stdlib.h>

/* A known small number of jobs leaves no time for a long look. */
static unsigned attempts_wanted(const struct weir_policy *policy)
{
	enum { AT_LEAST = 20 };
	if (!policy->jobs || policy->jobs / 2 >= WEIR__PROFILE_ATTEMPTS)
		return WEIR__PROFILE_ATTEMPTS;
	return policy->jobs / 2 < AT_LEAST ? AT_LEAST : (unsigned)(policy->jobs / 2);
}

/* What is shut for several at once is shut once. */
static void note_shut(struct weir__profiler *profiler, weir_nsec now, weir_nsec until)
{
	weir_nsec from = profiler->shut_until > now ? profiler->shut_until : now;
	if (until <= from)
		return;
	profiler->shut += until - from;
	profiler->shut_until = until;
}

/* The time in which calls could be made, s. */
static double time_open(const struct weir__profiler *profiler)
{
	weir_nsec now = weir_now(), rest = profiler->shut_until > now ? profiler->shut_until - now : 0;
	return (double)(now - profiler->since - (profiler->shut - rest)) / (double)WEIR_SEC;
}

/* Later it is the gate that holds back. */
static void note_passed(struct weir__profiler *profiler)
{
	double open = time_open(profiler), per_sec = open > 0 ? profiler->good / open : 0;
	if (per_sec > profiler->passed_per_sec)
		profiler->passed_per_sec = per_sec;
}

static void note(struct weir__profiler *profiler, const struct weir_attempt *attempt, enum weir_outcome outcome,
		 weir_nsec took)
{
	const struct weir_hint *hint = &attempt->hint;
	if (profiler->seen++ == 0)
		profiler->since = weir_now() - took;
	if (outcome == WEIR_OUTCOME_GOOD) {
		profiler->took[profiler->good++] = took;
	} else if (outcome == WEIR_OUTCOME_THROTTLED) {
		profiler->throttled++;
		note_passed(profiler);
	} else {
		profiler->failed++;
	}
	if (outcome != WEIR_OUTCOME_GOOD)
		note_shut(profiler, weir_now(), weir_after(hint->retry_after));
	if (hint->quota && hint->window > 0)
		profiler->hinted_per_sec = (double)hint->quota * (double)WEIR_SEC / (double)hint->window;
}

static int compare(const void *a, const void *b)
{
	weir_nsec x = *(const weir_nsec *)a, y = *(const weir_nsec *)b;
	return (x > y) - (x < y);
}

static void fill_in(struct weir_policy *policy, struct weir_profile *ret_profile)
{
	struct weir__profiler *profiler = policy->profiler;
	double seen = profiler->seen, hint = weir__policy_hint(policy);
	unsigned good = profiler->good;
	size_t found = weir__policy_sum(policy);
	qsort(profiler->took, good, sizeof profiler->took[0], compare);
	*ret_profile = (struct weir_profile){
		.jobs = policy->jobs,
		.seen = profiler->seen,
		.p50 = good ? profiler->took[good / 2] : 0,
		.p95 = good ? profiler->took[(size_t)good * 95 / 100] : 0,
		.failed = profiler->failed / seen,
		.throttled = profiler->throttled / seen,
		.hinted_per_sec = profiler->hinted_per_sec > 0 ? profiler->hinted_per_sec : hint,
		.passed_per_sec = profiler->passed_per_sec,
		/* What memory has held back tells nothing of the server. */
		.concurrency = found < weir__policy_memory_limit(policy, policy->job_bytes) ? found : 0,
		.memory_bytes = policy->options.memory_bytes,
		.job_bytes = weir__policy_job_bytes(policy->job_bytes),
	};
}

static void choose(struct weir_policy *policy)
{
	struct weir_profile profile;
	fill_in(policy, &profile);
	weir__choose(&profile, &policy->choice);
	policy->chosen = true;
	free(policy->profiler);
	policy->profiler = NULL;
	weir__policy_go_on_from(policy, &policy->choice);
}

bool weir__auto_add(struct weir_policy *policy, const struct weir_attempt *attempt, enum weir_outcome outcome,
		    weir_nsec took)
{
	if (weir__likely(!policy->profiler) || outcome == WEIR_OUTCOME_RELEASED)
		return false;
	note(policy->profiler, attempt, outcome, took);
	if (policy->profiler->seen < attempts_wanted(policy))
		return false;
	choose(policy);
	return true;
}
