/* SPDX-License-Identifier: MIT */
/*
 * A client of an API that allows ten requests a second: a hundred end points, five in flight, fifty read ahead.
 * Concurrency and rate are two limits: five requests of 300 ms could be 16 a second, and are ten.
 */
#include <stdio.h>
#include <weir/weir.h>

enum { END_POINTS = 100, SECONDS = 11 };

static int produced, answers, sent_in[SECONDS];
static weir_nsec began;

static int next_end_point(void *arg, void *ret_job, weir_nsec deadline)
{
	(void)arg, (void)deadline;
	if (produced == END_POINTS)
		return WEIR_ECLOSED;
	*(int *)ret_job = produced++;
	return 0;
}

static int request(void *job, struct weir_attempt *attempt, void *arg)
{
	(void)job, (void)attempt, (void)arg;
	sent_in[(weir_now() - began) / WEIR_SEC]++;
	return weir_sleep(300 * WEIR_MSEC); /* here: the request */
}

static int keep(void *arg, void *job, int result, const struct weir_attempt *last)
{
	(void)arg, (void)job, (void)last;
	answers += result >= 0;
	return 0;
}

static int run(void *arg)
{
	struct weir_policy *policy;
	struct weir_process_stats stats;
	(void)arg;
	began = weir_now();
	int code = weir_policy_new(
		&(struct weir_policy_options){
			.pattern = WEIR_PATTERN_RATE, .rate = {.count = 10}, .concurrency = 5, .capacity = 50},
		&policy, NULL);
	if (code < 0)
		return code;
	code = weir_process(&(struct weir_process){.policy = policy,
						   .job_bytes = sizeof(int),
						   .produce = next_end_point,
						   .work = request,
						   .done = keep},
			    &stats, WEIR_FOREVER);
	printf("%d answers in %.1f s; sent in each second:", answers, (double)stats.took / 1e9);
	for (int i = 0; i < SECONDS; i++)
		printf(" %d", sent_in[i]);
	printf("\n");
	weir_policy_free(policy);
	return code;
}

int main(void)
{
	int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, NULL);
	if (code < 0)
		fprintf(stderr, "rate_limited: %s\n", weir_strerror(code));
	return code < 0;
}
