/* SPDX-License-Identifier: MIT */
/*
 * The library's own speed on one loop: `bench-core [-s SHARE] [CASE ...]` measures each case once and prints its
 * figures, one a line, "name value unit".  -s divides the amount of work, for a quick look.
 *
 *   switch_ns            two fibers yield to each other: nanoseconds from one to the other
 *   switch_1000_ns       a thousand fibers do
 *   queue_1x1_per_s      8-byte items through a queue of 100, one producer, one consumer, each item settled, then join
 *   queue_cap1_per_s     the same through a queue of 1
 *   queue_4x50_per_s     the same through a queue of 100 with 4 producers and 50 consumers
 *   spawn_per_s          1,000 fibers are spawned and waited for, again and again
 *   sleeper_bytes_10k    resident bytes for each of 10,000 fibers that sleep: record, stack and timer together
 *   sleeper_bytes_100k, sleeper_bytes_1m
 *   sleepers_1m          _wall_s: 1,000,000 fibers are spawned, each sleeps 2 s, and waited for
 *                        _late_ms: how late the latest woke, of those that were due when all slept
 *   sleep500             20,000 sleeps of 0.1 to 0.2 s, 500 in flight, the permit taken before the fiber is made
 *                        _wall_s, _cpu_s: user and system, _rss_bytes: most that was resident, of the whole process
 *   sleep500_bound       sleep500_bound_s: what these sleeps take on a machine that wakes in no time
 *   sleep500_bare        sleep500_bare_wall_s, _cpu_s: the same by a bare loop over epoll, without fibers
 *   flow                 what it costs to ask, weir alone.  _gcra_ns, _bucket_ns, _log_ns: a rate, and to take one
 *                        _rate_limiter_ns: the same by a limiter, which looks at the clock
 *                        _breaker_ns, _breaker_calls_ns: a permit and its end, window of time and of calls
 *
 * bench/peers does the same things with others, under the same names.  To add a figure: a function here and a row in
 * the table below, a function in each peer, a line in bench/targets.txt.
 */
#include "core.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

uint64_t share = 1;

static const struct bench_case {
	const char *name;
	void (*measure)(void);
	struct weir_options options;
} cases[] = {
	{"switch_ns", bench_switch, {0}},
	{"switch_1000_ns", bench_switch_1000, {0}},
	{"queue_1x1_per_s", bench_queue_1x1, {0}},
	{"queue_cap1_per_s", bench_queue_cap1, {0}},
	{"queue_4x50_per_s", bench_queue_4x50, {0}},
	{"spawn_per_s", bench_spawn, {0}},
	{"sleeper_bytes_10k", bench_sleeper_bytes_10k, {0}},
	{"sleeper_bytes_100k", bench_sleeper_bytes_100k, {0}},
	{"sleeper_bytes_1m", bench_sleeper_bytes_1m, {0}},
	{"sleepers_1m", bench_sleepers_1m, {0}},
	{"sleep500", bench_sleep500, {0}},
	{"sleep500_bare", bench_sleep500_bare, {0}},
	{"flow", bench_flow, {0}},
	{"sleep500_bound", bench_sleep500_bound, {.flags = WEIR_VIRTUAL_CLOCK}},
};

void must(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "bench-core: %s: %s\n", what, weir_strerror(result));
	exit(1);
}

double seconds_since(weir_nsec start)
{
	return (double)(weir_clock() - start) / 1e9;
}

void figure(const char *name, double value, const char *unit)
{
	printf("%s %.*f %s\n", name, value < 1000 ? 4 : 0, value, unit);
}

static int measure_on_fiber(void *arg)
{
	const struct bench_case *chosen = arg;
	chosen->measure();
	return 0;
}

/* In a process of its own: no case profits or suffers from the one before. */
static void run(const struct bench_case *chosen)
{
	int status;
	pid_t pid = fork();
	must(pid < 0 ? -errno : 0, "fork");
	if (pid == 0) {
		struct bench_case mine = *chosen;
		must(weir_run(&mine.options, measure_on_fiber, &mine), mine.name);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		must(WEIR_EDIED, chosen->name);
}

int main(int argc, char **argv)
{
	int option;
	while ((option = getopt(argc, argv, "s:")) != -1) {
		if (option != 's')
			return 64;
		share = strtoull(optarg, NULL, 10);
	}
	if (share < 1 || share > 1000) {
		fprintf(stderr, "bench-core: -s takes 1 to 1000\n");
		return 64;
	}
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool wanted = optind == argc;
		for (int k = optind; k < argc; k++)
			wanted = wanted || !strcmp(argv[k], cases[i].name);
		if (wanted)
			run(&cases[i]);
	}
	return 0;
}
