/* SPDX-License-Identifier: MIT */
/*
 * The figures of bench/core with State Threads 1.9 (Debian: libst-dev), under the same names: `st-core [-s SHARE]
 * CASE`.
 *
 * State Threads offers threads, condition variables and sleeps.  It has no yield: to switch, a thread signals the next
 * one's condition and waits for its own, the shortest way there is.  It has no queue: here one is a ring with two
 * conditions, and a third for join, as one would write it; single-threaded, so without a lock.  Ends of threads are
 * counted, which costs less than a joinable thread.  Stacks are of its default size and have no guards.
 */
#include <st.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t share = 1;

static int64_t clock_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static double seconds_since(int64_t start)
{
	return (double)(clock_ns() - start) / 1e9;
}

static void figure(const char *name, double value, const char *unit)
{
	printf("%s %.*f %s\n", name, value < 1000 ? 4 : 0, value, unit);
}

static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

/* Threads that have not ended, and who waits for that. */
static uint64_t alive;
static st_cond_t all_ended;

static void start_thread(void *(*body)(void *), void *arg)
{
	alive++;
	if (!st_thread_create(body, arg, 0, 0))
		give_up("st_thread_create");
}

static void *end_thread(void)
{
	if (!--alive)
		st_cond_signal(all_ended);
	return NULL;
}

static void wait_for_all(void)
{
	while (alive)
		st_cond_wait(all_ended);
}

/* ---- switch */

struct runner {
	st_cond_t turn;
	struct runner *next;
	uint64_t laps;
};

static void *hand_over(void *arg)
{
	struct runner *self = arg;
	for (uint64_t i = 0; i < self->laps; i++) {
		st_cond_signal(self->next->turn);
		st_cond_wait(self->turn);
	}
	st_cond_signal(self->next->turn);
	return end_thread();
}

static void measure_switch(const char *name, uint64_t threads)
{
	struct runner *runners = calloc(threads, sizeof *runners);
	uint64_t laps = 10000000 / share / threads;
	for (uint64_t i = 0; i < threads; i++)
		runners[i] = (struct runner){st_cond_new(), &runners[(i + 1) % threads], laps};
	int64_t start = clock_ns();
	for (uint64_t i = 0; i < threads; i++)
		start_thread(hand_over, &runners[i]);
	wait_for_all();
	figure(name, seconds_since(start) * 1e9 / (double)(threads * laps), "ns");
}

/* ---- queue */

struct queue {
	uint64_t *items;
	size_t capacity, first, n, unsettled;
	bool closed;
	st_cond_t not_full, not_empty, settled;
};

static void queue_put(struct queue *queue, uint64_t item)
{
	while (queue->n == queue->capacity)
		st_cond_wait(queue->not_full);
	size_t at = queue->first + queue->n;
	queue->items[at < queue->capacity ? at : at - queue->capacity] = item;
	queue->n++;
	queue->unsettled++;
	st_cond_signal(queue->not_empty);
}

static bool queue_get(struct queue *queue, uint64_t *ret_item)
{
	while (!queue->n && !queue->closed)
		st_cond_wait(queue->not_empty);
	if (!queue->n)
		return false;
	*ret_item = queue->items[queue->first];
	if (++queue->first == queue->capacity)
		queue->first = 0;
	queue->n--;
	st_cond_signal(queue->not_full);
	return true;
}

static void queue_task_done(struct queue *queue)
{
	if (!--queue->unsettled)
		st_cond_broadcast(queue->settled);
}

static void queue_join(struct queue *queue)
{
	while (queue->unsettled)
		st_cond_wait(queue->settled);
}

static void queue_close(struct queue *queue)
{
	queue->closed = true;
	st_cond_broadcast(queue->not_empty);
}

struct flow {
	struct queue queue;
	uint64_t each, sum, makers;
	st_cond_t all_made;
};

static void *produce(void *arg)
{
	struct flow *flow = arg;
	for (uint64_t i = 0; i < flow->each; i++)
		queue_put(&flow->queue, i);
	if (!--flow->makers)
		st_cond_signal(flow->all_made);
	return end_thread();
}

static void *consume(void *arg)
{
	struct flow *flow = arg;
	uint64_t item, sum = 0;
	while (queue_get(&flow->queue, &item)) {
		sum += item;
		queue_task_done(&flow->queue);
	}
	flow->sum += sum;
	return end_thread();
}

static void measure_queue(const char *name, size_t capacity, unsigned producers, unsigned consumers)
{
	struct flow flow = {
		.queue = {.items = calloc(capacity, sizeof(uint64_t)),
			  .capacity = capacity,
			  .not_full = st_cond_new(),
			  .not_empty = st_cond_new(),
			  .settled = st_cond_new()},
		.each = 8000000 / share / producers,
		.makers = producers,
		.all_made = st_cond_new(),
	};
	int64_t start = clock_ns();
	for (unsigned i = 0; i < consumers; i++)
		start_thread(consume, &flow);
	for (unsigned i = 0; i < producers; i++)
		start_thread(produce, &flow);
	while (flow.makers)
		st_cond_wait(flow.all_made);
	queue_join(&flow.queue);
	double took = seconds_since(start);
	queue_close(&flow.queue);
	wait_for_all();
	if (flow.sum != producers * (flow.each * (flow.each - 1) / 2)) {
		fprintf(stderr, "st-core: items were lost\n");
		exit(1);
	}
	figure(name, (double)(flow.each * producers) / took, "items/s");
}

/* ---- spawn */

static void *count_up(void *arg)
{
	++*(uint64_t *)arg;
	return end_thread();
}

static void measure_spawn(void)
{
	uint64_t rounds = 5000 / share, ran = 0;
	int64_t start = clock_ns();
	for (uint64_t r = 0; r < rounds; r++) {
		for (int i = 0; i < 1000; i++)
			start_thread(count_up, &ran);
		wait_for_all();
	}
	figure("spawn_per_s", (double)ran / seconds_since(start), "fibers/s");
}

/* ---- sleepers */

static double status_bytes(const char *key)
{
	char line[256];
	double kib = 0;
	FILE *file = fopen("/proc/self/status", "re");
	if (!file)
		give_up("/proc/self/status");
	while (fgets(line, sizeof line, file))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			kib = strtod(line + strlen(key) + 1, NULL);
	fclose(file);
	return kib * 1024;
}

static void *sleep_long(void *arg)
{
	++*(uint64_t *)arg;
	st_sleep(3600);
	return end_thread();
}

static void measure_bytes(const char *name, uint64_t threads)
{
	uint64_t asleep = 0;
	threads /= share;
	double before = status_bytes("VmRSS");
	for (uint64_t i = 0; i < threads; i++)
		start_thread(sleep_long, &asleep);
	while (asleep < threads)
		st_usleep(10000);
	figure(name, (status_bytes("VmRSS") - before) / (double)threads, "bytes");
}

static struct {
	uint64_t threads, asleep;
	int64_t duration, all_asleep, latest;
} all;

static void *sleep_once(void *arg)
{
	(void)arg;
	int64_t due = clock_ns() + all.duration;
	if (++all.asleep == all.threads)
		all.all_asleep = clock_ns();
	st_usleep((st_utime_t)all.duration / 1000);
	int64_t late = clock_ns() - due;
	if (all.all_asleep && due >= all.all_asleep && late > all.latest)
		all.latest = late;
	return end_thread();
}

static void measure_million(void)
{
	all.threads = 1000000 / share;
	all.duration = INT64_C(2000000000) / (int64_t)share;
	int64_t start = clock_ns();
	for (uint64_t i = 0; i < all.threads; i++)
		start_thread(sleep_once, NULL);
	wait_for_all();
	figure("sleepers_1m_wall_s", seconds_since(start), "s");
	figure("sleepers_1m_late_ms", (double)all.latest / 1e6, "ms");
}

/* ---- 500 of 20,000 */

static uint64_t permits = 500;
static st_cond_t permit_free;

static void *sleep_for(void *arg)
{
	st_usleep((st_utime_t)(intptr_t)arg / 1000);
	permits++;
	st_cond_signal(permit_free);
	return end_thread();
}

static double cpu_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void measure_sleep500(void)
{
	uint64_t jobs = 20000 / share, state = 128;
	permit_free = st_cond_new();
	double before = cpu_seconds();
	int64_t start = clock_ns();
	for (uint64_t i = 0; i < jobs; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		while (!permits)
			st_cond_wait(permit_free);
		permits--;
		start_thread(sleep_for, (void *)(intptr_t)(100000000 + ((state >> 32) * 100000000 >> 32)));
	}
	wait_for_all();
	figure("sleep500_wall_s", seconds_since(start), "s");
	figure("sleep500_cpu_s", cpu_seconds() - before, "s");
	figure("sleep500_rss_bytes", status_bytes("VmHWM"), "bytes");
}

static void measure(const char *name)
{
	if (!strcmp(name, "switch_ns"))
		measure_switch(name, 2);
	else if (!strcmp(name, "switch_1000_ns"))
		measure_switch(name, 1000);
	else if (!strcmp(name, "queue_1x1_per_s"))
		measure_queue(name, 100, 1, 1);
	else if (!strcmp(name, "queue_cap1_per_s"))
		measure_queue(name, 1, 1, 1);
	else if (!strcmp(name, "queue_4x50_per_s"))
		measure_queue(name, 100, 4, 50);
	else if (!strcmp(name, "spawn_per_s"))
		measure_spawn();
	else if (!strcmp(name, "sleeper_bytes_10k"))
		measure_bytes(name, 10000);
	else if (!strcmp(name, "sleeper_bytes_100k"))
		measure_bytes(name, 100000);
	else if (!strcmp(name, "sleeper_bytes_1m"))
		measure_bytes(name, 1000000);
	else if (!strcmp(name, "sleepers_1m"))
		measure_million();
	else if (!strcmp(name, "sleep500"))
		measure_sleep500();
}

int main(int argc, char **argv)
{
	int option;
	while ((option = getopt(argc, argv, "s:")) != -1) {
		if (option != 's')
			return 64;
		share = strtoull(optarg, NULL, 10);
	}
	if (optind + 1 != argc || share < 1 || share > 1000)
		return 64;
	if (st_init())
		give_up("st_init");
	all_ended = st_cond_new();
	measure(argv[optind]);
	return 0;
}
