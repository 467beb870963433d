/* SPDX-License-Identifier: MIT */
/*
 * A processor: a thousand items, a hundred in flight; each attempt may take 400 ms, a failure is retried after a
 * backoff, with three attempts at most, and the output is a result or an error, exactly one for each item.
 */
#include <stdio.h>
#include <weir/weir.h>

enum { ITEMS = 1000 };
static int produced, results, errors, most_attempts;
static uint64_t random_state = 1;

static int next_item(void *arg, void *ret_job, weir_nsec deadline)
{
	(void)arg, (void)deadline;
	if (produced == ITEMS)
		return WEIR_ECLOSED;
	*(int *)ret_job = produced++;
	return 0;
}

/* One item in fifty is wrong, one call in ten fails, one in twenty hangs. */
static int process_item(void *job, struct weir_attempt *attempt, void *arg)
{
	(void)arg;
	int item = *(int *)job;
	uint64_t luck = weir_random_below(&random_state, 20);
	int code = weir_sleep(luck == 0 ? 3600 * WEIR_SEC : 100 * WEIR_MSEC);
	if (code < 0)
		return code; /* WEIR_ETIMEDOUT, when the deadline of this attempt has come */
	if (item % 50 == 0) {
		attempt->permanent = true;            /* trying again would not help … */
		attempt->outcome = WEIR_OUTCOME_GOOD; /* … and it is not the server's fault */
		return WEIR_EDATA;
	}
	return luck <= 2 ? WEIR_EIO : item * item;
}

static int keep(void *arg, void *job, int result, const struct weir_attempt *last)
{
	(void)arg, (void)job;
	results += result >= 0;
	errors += result < 0;
	most_attempts = (int)last->number > most_attempts ? (int)last->number : most_attempts;
	return 0;
}

static int run(void *arg)
{
	struct weir_policy *policy;
	struct weir_policy_stats stats;
	(void)arg;
	int code = weir_policy_new(
		&(struct weir_policy_options){.pattern = WEIR_PATTERN_QUEUE,
					      .concurrency = 100,
					      .timeout = 400 * WEIR_MSEC,
					      .retry = {.attempts = 3, .backoff = {.base = 100 * WEIR_MSEC}}},
		&policy, NULL);
	if (code < 0)
		return code;
	code = weir_process(&(struct weir_process){.policy = policy,
						   .job_bytes = sizeof(int),
						   .produce = next_item,
						   .work = process_item,
						   .done = keep},
			    NULL, WEIR_FOREVER);
	weir_policy_stats(policy, &stats);
	printf("%d results, %d errors; %d attempts, %d of them retries, %d at most for one item\n", results, errors,
	       (int)stats.attempts, (int)stats.retries, most_attempts);
	weir_policy_free(policy);
	return code;
}

int main(void)
{
	int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, NULL);
	if (code < 0)
		fprintf(stderr, "processor: %s\n", weir_strerror(code));
	return code < 0;
}
