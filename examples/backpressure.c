/* SPDX-License-Identifier: MIT */
/*
 * 100,000 jobs of 100 to 200 ms, 500 in flight, in four ways.  500 in flight of 150 ms each cannot take less than
 * 100,000 * 0.150 / 500 = 30.0 s.  Batches take longer: each waits for its slowest.  A semaphore inside the task is as
 * fast as a permit before it, but all tasks exist before the first is done.
 */
#include <stdio.h>
#include <weir/weir.h>

enum { JOBS = 100000, CONCURRENCY = 500 };

static struct weir_sem *permits;
static uint64_t random_state;
static size_t most_fibers;

static const struct way {
	const char *name;
	bool batches, permit_first, permit_inside;
	void (*at_end)(struct weir_sem *sem, size_t n); /* as by add_done_callback() */
	size_t limit; /* of the group: its spawn waits; nothing to take, nothing to give back */
} ways[] = {
	{"batches of 500", .batches = true},
	{"permit before the task, released by a callback", .permit_first = true, .at_end = weir_sem_release},
	{"permit before the task: weir's group with a limit", .limit = CONCURRENCY},
	{"semaphore inside the task", .permit_inside = true, .at_end = weir_sem_release},
};

static int job(void *arg)
{
	const struct way *way = arg;
	struct weir_run_stats stats;
	int code = way->permit_inside ? weir_sem_acquire(permits, 1, WEIR_FOREVER) : 0;
	if (code < 0)
		return code;
	weir_run_stats(&stats);
	most_fibers = stats.fibers > most_fibers ? stats.fibers : most_fibers;
	code = weir_sleep(100 * WEIR_MSEC + (weir_nsec)weir_random_below(&random_state, 100 * WEIR_MSEC));
	if (way->at_end)
		way->at_end(permits, 1);
	return code;
}

static int spawn_all(const struct way *way, struct weir_group *group)
{
	int code = 0;
	for (int i = 1; i <= JOBS && code == 0; i++) {
		if (way->permit_first && (code = weir_sem_acquire(permits, 1, WEIR_FOREVER)) < 0)
			break;
		code = weir_group_spawn(group, job, (void *)way, WEIR_FOREVER);
		if (code == 0 && way->batches && i % CONCURRENCY == 0)
			code = weir_group_wait(group, WEIR_FOREVER);
	}
	int result = weir_group_wait(group, WEIR_FOREVER);
	return code < 0 ? code : result;
}

static int run(void *arg)
{
	const struct way *way = arg;
	struct weir_group *group = NULL;
	weir_nsec began = weir_now();
	random_state = 1, most_fibers = 0;
	int code = weir_sem_new(CONCURRENCY, &permits);
	if (code == 0 && (code = weir_group_new(&(struct weir_group_options){.limit = way->limit}, &group)) == 0)
		code = spawn_all(way, group);
	printf("%-50s %5.2f s, %6zu fibers\n", way->name, (double)(weir_now() - began) / 1e9, most_fibers);
	weir_group_free(group);
	weir_sem_free(permits);
	return code;
}

int main(void)
{
	for (int i = 0; i < 4; i++)
		if (weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, (void *)&ways[i]) < 0)
			return 1;
	return 0;
}
