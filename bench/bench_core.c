/* SPDX-License-Identifier: MIT */
/*
 * The library's own speed: `bench-core [-r RUNS] [-s SHARE] [NAME ...]` prints one figure a line, "name value unit",
 * each the median of RUNS runs (5).  -s divides the amount of work, for a quick look.
 *
 *   switch_ns            two fibers yield to each other: nanoseconds from one to the other
 *   queue_1x1_per_s      8-byte items through a queue of 100, one producer, one consumer, each item settled, then join
 *   queue_4x50_per_s     the same with 4 producers and 50 consumers
 *   spawn_per_s          1,000 fibers are spawned and waited for, again and again
 *   sleeper_bytes_10k    resident bytes for each of 10,000 fibers that sleep, record and page of stack together;
 *   sleeper_bytes_100k   in a process of its own, so that nothing is re-used
 *
 * bench/go/core.go does the same things in Go, under the same names.  To add a figure: a function and a row in the
 * table, there and here.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/weir.h>

#define RUNS_MAX 101

static uint64_t share = 1;

static void must(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "bench-core: %s: %s\n", what, weir_strerror(result));
	exit(1);
}

static double seconds_since(weir_nsec start)
{
	return (double)(weir_clock() - start) / 1e9;
}

/* ---- switch */

static int yield_often(void *arg)
{
	uint64_t n = *(uint64_t *)arg;
	while (n--)
		weir_yield();
	return 0;
}

static double bench_switch(void)
{
	uint64_t each = 5000000 / share;
	struct weir_group *group;
	must(weir_group_new(NULL, &group), "group");
	must(weir_group_spawn(group, yield_often, &each, WEIR_FOREVER), "spawn");
	must(weir_group_spawn(group, yield_often, &each, WEIR_FOREVER), "spawn");
	weir_nsec start = weir_clock();
	must(weir_group_wait(group, WEIR_FOREVER), "wait");
	double ns = seconds_since(start) * 1e9 / (2.0 * (double)each);
	weir_group_free(group);
	return ns;
}

/* ---- queue */

struct flow {
	struct weir_queue *queue;
	uint64_t each, sum;
};

static int produce(void *arg)
{
	struct flow *flow = arg;
	for (uint64_t i = 0; i < flow->each; i++)
		if (weir_queue_put(flow->queue, &i, WEIR_FOREVER) < 0)
			return WEIR_ECLOSED;
	return 0;
}

static int consume(void *arg)
{
	struct flow *flow = arg;
	uint64_t item, sum = 0;
	while (weir_queue_get(flow->queue, &item, WEIR_FOREVER) == 0) {
		sum += item;
		weir_queue_task_done(flow->queue);
	}
	flow->sum += sum;
	return 0;
}

static double bench_queue(unsigned producers, unsigned consumers)
{
	struct flow flow = {.each = 8000000 / share / producers};
	struct weir_group *group;
	must(weir_queue_new(sizeof(uint64_t), 100, &flow.queue), "queue");
	must(weir_group_new(NULL, &group), "group");
	weir_nsec start = weir_clock();
	for (unsigned i = 0; i < consumers; i++)
		must(weir_group_spawn(group, consume, &flow, WEIR_FOREVER), "spawn");
	struct weir_group *makers;
	must(weir_group_new(NULL, &makers), "group");
	for (unsigned i = 0; i < producers; i++)
		must(weir_group_spawn(makers, produce, &flow, WEIR_FOREVER), "spawn");
	must(weir_group_wait(makers, WEIR_FOREVER), "wait");
	must(weir_queue_join(flow.queue, WEIR_FOREVER), "join");
	double took = seconds_since(start);
	weir_queue_close(flow.queue, 0);
	must(weir_group_wait(group, WEIR_FOREVER), "wait");
	if (flow.sum != producers * (flow.each * (flow.each - 1) / 2))
		must(WEIR_EDATA, "queue: items were lost");
	weir_group_free(makers);
	weir_group_free(group);
	weir_queue_free(flow.queue);
	return (double)(flow.each * producers) / took;
}

static double bench_queue_1x1(void)
{
	return bench_queue(1, 1);
}

static double bench_queue_4x50(void)
{
	return bench_queue(4, 50);
}

/* ---- spawn */

static int count_up(void *arg)
{
	++*(uint64_t *)arg;
	return 0;
}

static double bench_spawn(void)
{
	enum { ALIVE = 1000 };
	uint64_t rounds = 5000 / share, ran = 0;
	struct weir_group *group;
	must(weir_group_new(NULL, &group), "group");
	weir_nsec start = weir_clock();
	for (uint64_t r = 0; r < rounds; r++) {
		for (int i = 0; i < ALIVE; i++)
			must(weir_group_spawn(group, count_up, &ran, WEIR_FOREVER), "spawn");
		must(weir_group_wait(group, WEIR_FOREVER), "wait");
	}
	double took = seconds_since(start);
	weir_group_free(group);
	if (ran != rounds * ALIVE)
		must(WEIR_EDATA, "spawn: fibers did not run");
	return (double)ran / took;
}

/* ---- sleepers */

static double resident_bytes(void)
{
	long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
		must(WEIR_EIO, "/proc/self/statm");
	fclose(file);
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static int sleep_long(void *arg)
{
	(void)arg;
	return weir_sleep(3600 * WEIR_SEC) == WEIR_ECANCELED ? 0 : WEIR_EDATA;
}

static double bench_sleepers(uint64_t fibers)
{
	struct weir_group *group;
	must(weir_group_new(NULL, &group), "group");
	double before = resident_bytes();
	for (uint64_t i = 0; i < fibers; i++)
		must(weir_group_spawn(group, sleep_long, NULL, WEIR_FOREVER), "spawn");
	must(weir_sleep(50 * WEIR_MSEC), "sleep");
	double bytes = (resident_bytes() - before) / (double)fibers;
	struct weir_run_stats stats;
	weir_run_stats(&stats);
	if (stats.stacks_unguarded)
		fprintf(stderr, "bench-core: %zu of %zu stacks had no guard page\n", stats.stacks_unguarded,
			stats.stacks);
	weir_group_cancel(group);
	must(weir_group_wait(group, WEIR_FOREVER), "wait");
	weir_group_free(group);
	return bytes;
}

static double bench_sleepers_10k(void)
{
	return bench_sleepers(10000);
}

static double bench_sleepers_100k(void)
{
	return bench_sleepers(100000);
}

/* ---- the table */

static const struct figure {
	const char *name, *unit;
	double (*measure)(void);
	int decimals;
} figures[] = {
	{"switch_ns", "ns", bench_switch, 2},
	{"queue_1x1_per_s", "items/s", bench_queue_1x1, 0},
	{"queue_4x50_per_s", "items/s", bench_queue_4x50, 0},
	{"spawn_per_s", "fibers/s", bench_spawn, 0},
	{"sleeper_bytes_10k", "bytes", bench_sleepers_10k, 0},
	{"sleeper_bytes_100k", "bytes", bench_sleepers_100k, 0},
};

static const struct figure *current;
static double measured;

static int measure_on_fiber(void *arg)
{
	(void)arg;
	measured = current->measure();
	return 0;
}

/* One run, in a process of its own: no figure profits or suffers from the one before. */
static double run_once(const struct figure *figure)
{
	int pipe_fds[2], status;
	double value = 0;
	must(pipe(pipe_fds) ? -errno : 0, "pipe");
	pid_t pid = fork();
	must(pid < 0 ? -errno : 0, "fork");
	if (pid == 0) {
		current = figure;
		must(weir_run(NULL, measure_on_fiber, NULL), figure->name);
		_exit(write(pipe_fds[1], &measured, sizeof measured) == sizeof measured ? 0 : 1);
	}
	close(pipe_fds[1]);
	ssize_t got = read(pipe_fds[0], &value, sizeof value);
	close(pipe_fds[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0 || got != sizeof value)
		must(WEIR_EDIED, figure->name);
	return value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print_median(const struct figure *figure, int runs)
{
	double values[RUNS_MAX];
	for (int i = 0; i < runs; i++)
		values[i] = run_once(figure);
	qsort(values, (size_t)runs, sizeof values[0], compare);
	printf("%s %.*f %s\n", figure->name, figure->decimals, values[runs / 2], figure->unit);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int option, runs = 5;
	while ((option = getopt(argc, argv, "r:s:")) != -1) {
		if (option == 'r')
			runs = atoi(optarg);
		else if (option == 's')
			share = strtoull(optarg, NULL, 10);
		else
			return 64;
	}
	if (runs < 1 || runs > RUNS_MAX || share < 1 || share > 1000) {
		fprintf(stderr, "bench-core: -r takes 1 to %d, -s 1 to 1000\n", RUNS_MAX);
		return 64;
	}
	for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
		bool wanted = optind == argc;
		for (int k = optind; k < argc; k++)
			wanted = wanted || !strcmp(argv[k], figures[i].name);
		if (wanted)
			print_median(&figures[i], runs);
	}
	return 0;
}
