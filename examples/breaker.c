/* SPDX-License-Identifier: MIT */
/*
 * A circuit breaker around a call that fails: five failures open it for thirty seconds, in which calls fail immediately
 * and the server is not called.  Then a probe decides.
 */
#include <stdio.h>
#include <weir/weir.h>

static int reached;
static weir_nsec began, well_from;

/* The server is down for the first 45 seconds. */
static int ask_server(void *job, struct weir_attempt *attempt, void *arg)
{
	(void)job, (void)attempt, (void)arg;
	reached++;
	return weir_now() < well_from ? WEIR_EIO : 200;
}

static int print_state(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	(void)arg, (void)key;
	printf("%s", weir_breaker_state_name(stats->breaker));
	return 0;
}

static int run(void *arg)
{
	struct weir_policy *policy;
	(void)arg;
	began = weir_now(), well_from = began + 45 * WEIR_SEC;
	int code = weir_policy_new(
		&(struct weir_policy_options){
			.pattern = WEIR_PATTERN_QUEUE,
			.retry = {.attempts = 1},
			.gate_flags = WEIR_GATE_REJECT, /* without it a call waits until the breaker lets it through */
			.breaker = {.calls_least = 5,
				    .window_calls = 5,
				    .open = 30 * WEIR_SEC,
				    .jitter = -1,
				    .probes = 1}},
		&policy, NULL);
	if (code < 0)
		return code;
	const char *before = "";
	for (int second = 0; second < 70; second++) {
		int answer = weir_call(policy, ask_server, NULL, WEIR_FOREVER);
		const char *now = answer >= 0 ? "answered" : answer == WEIR_EOPEN ? "refused" : "failed";
		if (now != before) {
			printf("%2d s: %-15s  the breaker is ", second, now);
			weir_policy_gates(policy, print_state, NULL);
			printf("\n");
		}
		before = now;
		weir_sleep(WEIR_SEC);
	}
	printf("70 calls, of which %d reached the server\n", reached);
	weir_policy_free(policy);
	return 0;
}

int main(void)
{
	int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, NULL);
	if (code < 0)
		fprintf(stderr, "breaker: %s\n", weir_strerror(code));
	return code < 0;
}
