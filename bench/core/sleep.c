/* SPDX-License-Identifier: MIT */
/* What sleeps: memory of a sleeping fiber, a million that sleep at once, and 20,000 of which 500 do. */
#include "core.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A line of /proc/self/status, in bytes: VmRSS is what is resident, VmHWM the most that ever was. */
static double status_bytes(const char *key)
{
	char line[256];
	double kib = -1;
	FILE *file = fopen("/proc/self/status", "re");
	while (file && kib < 0 && fgets(line, sizeof line, file))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			kib = strtod(line + strlen(key) + 1, NULL);
	if (file)
		fclose(file);
	must(kib < 0 ? WEIR_EIO : 0, "/proc/self/status");
	return kib * 1024;
}

/* ---- bytes of a sleeper */

static int sleep_long(void *arg)
{
	++*(uint64_t *)arg;
	return weir_sleep(3600 * WEIR_SEC) == WEIR_ECANCELED ? 0 : WEIR_EDATA;
}

static void measure_bytes(const char *name, uint64_t fibers)
{
	uint64_t asleep = 0;
	struct weir_group *group;
	fibers /= share;
	must(weir_group_new(NULL, &group), "group");
	double before = status_bytes("VmRSS");
	for (uint64_t i = 0; i < fibers; i++)
		must(weir_group_spawn(group, sleep_long, &asleep, WEIR_FOREVER), "spawn");
	while (asleep < fibers)
		must(weir_sleep(10 * WEIR_MSEC), "sleep");
	figure(name, (status_bytes("VmRSS") - before) / (double)fibers, "bytes");
	struct weir_run_stats stats;
	weir_run_stats(&stats);
	if (stats.stacks_unguarded)
		fprintf(stderr, "bench-core: %zu of %zu stacks had no guard page\n", stats.stacks_unguarded,
			stats.stacks);
	weir_group_cancel(group);
	must(weir_group_wait(group, WEIR_FOREVER), "wait");
	weir_group_free(group);
}

void bench_sleeper_bytes_10k(void)
{
	measure_bytes("sleeper_bytes_10k", 10000);
}

void bench_sleeper_bytes_100k(void)
{
	measure_bytes("sleeper_bytes_100k", 100000);
}

void bench_sleeper_bytes_1m(void)
{
	measure_bytes("sleeper_bytes_1m", 1000000);
}

/* ---- a million at once
 *
 * Lateness counts from the moment a fiber asked for to its first instruction after it, for those that were due when all
 * had begun to sleep.  Where beginning takes longer than a sleep the first are due while others still begin; they do
 * not count themselves, but what they left behind does: who is due next waits for them.
 *
 * The fibers are due as they began, one every 1 to 3 microseconds.  A wake costs a third of a microsecond, so a loop
 * keeps up, and its lateness is how long it was kept from running.  Were all due in one moment, the last would be late
 * by a million wakes, 300 ms or more, whatever the loop did.
 */

struct dormitory {
	uint64_t fibers, asleep;
	weir_nsec duration, all_asleep, latest;
};

static int sleep_once(void *arg)
{
	struct dormitory *all = arg;
	weir_nsec due = weir_clock() + all->duration;
	if (++all->asleep == all->fibers)
		all->all_asleep = weir_clock();
	int result = weir_sleep_until(due);
	weir_nsec late = weir_clock() - due;
	if (all->all_asleep && due >= all->all_asleep && late > all->latest)
		all->latest = late;
	return result;
}

void bench_sleepers_1m(void)
{
	struct dormitory all = {.fibers = 1000000 / share, .duration = 2 * WEIR_SEC / (weir_nsec)share};
	struct weir_group *group;
	must(weir_group_new(NULL, &group), "group");
	weir_nsec start = weir_clock();
	for (uint64_t i = 0; i < all.fibers; i++)
		must(weir_group_spawn(group, sleep_once, &all, WEIR_FOREVER), "spawn");
	must(weir_group_wait(group, WEIR_FOREVER), "wait");
	figure("sleepers_1m_wall_s", seconds_since(start), "s");
	figure("sleepers_1m_late_ms", (double)all.latest / 1e6, "ms");
	weir_group_free(group);
}

/* ---- 500 of 20,000 */

static int sleep_for(void *arg)
{
	return weir_sleep((weir_nsec)(intptr_t)arg);
}

weir_nsec sleep500_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return 100 * WEIR_MSEC + (weir_nsec)((*state >> 32) * 100000000 >> 32);
}

static double sleep_through(void)
{
	struct weir_group_options options = {.limit = 500};
	uint64_t jobs = 20000 / share, state = SLEEP500_SEED;
	struct weir_group *group;
	must(weir_group_new(&options, &group), "group");
	weir_nsec start = weir_clock();
	for (uint64_t i = 0; i < jobs; i++) {
		void *duration = (void *)(intptr_t)sleep500_next(&state);
		must(weir_group_spawn(group, sleep_for, duration, WEIR_FOREVER), "spawn");
	}
	must(weir_group_wait(group, WEIR_FOREVER), "wait");
	double took = seconds_since(start);
	weir_group_free(group);
	return took;
}

double cpu_seconds(void)
{
	struct rusage usage;
	must(getrusage(RUSAGE_SELF, &usage), "getrusage");
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void bench_sleep500(void)
{
	double before = cpu_seconds();
	figure("sleep500_wall_s", sleep_through(), "s");
	figure("sleep500_cpu_s", cpu_seconds() - before, "s");
	figure("sleep500_rss_bytes", status_bytes("VmHWM"), "bytes");
}

void bench_sleep500_bound(void)
{
	figure("sleep500_bound_s", sleep_through(), "s");
}
