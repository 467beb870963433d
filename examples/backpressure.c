/* SPDX-License-Identifier: MIT */
/*
 * 100,000 jobs of 100 to 200 ms, 500 at once, in four ways.  500 in flight of 150 ms each cannot take less than
 * 100,000 * 0.150 / 500 = 30.0 s.  Batches take longer: each waits for its slowest.  A semaphore inside the task is as
 * fast as a permit before it, but all tasks exist before the first is done: `backpressure -m` shows bytes above idle.
 */
#include <malloc.h>
#include <stdio.h>
#include <weir/weir.h>

enum { JOBS = 100000, AT_ONCE = 500 };

static struct weir_sem *permits;
static uint64_t random_state;
static long done, bytes;

/* The heap, and the one page that a fiber such as these touches of its stack. */
static long bytes_in_use(void)
{
	struct weir_run_stats stats;
	weir_run_stats(&stats);
	struct mallinfo2 heap = mallinfo2();
	return (long)(heap.uordblks + heap.hblkhd + stats.stacks * 4096);
}

static int job(void *arg)
{
	(void)arg;
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	int code = weir_sleep(100 * WEIR_MSEC + (weir_nsec)((random_state >> 33) % 100001) * WEIR_USEC);
	if (++done == JOBS / 2)
		bytes += bytes_in_use();
	return code;
}

static int job_with_permit(void *arg)
{
	int code = weir_sem_acquire(permits, 1, WEIR_FOREVER);
	if (code < 0)
		return code;
	code = job(arg);
	weir_sem_release(permits, 1);
	return code;
}

/* add_done_callback(): what is to be called in the end comes with the task. */
struct callback {
	void (*call)(struct weir_sem *sem, size_t n);
	struct weir_sem *sem;
};

static int job_with_callback(void *arg)
{
	struct callback *at_end = arg;
	int code = job(NULL);
	at_end->call(at_end->sem, 1);
	return code;
}

static const struct variant {
	const char *name;
	weir_fiber_fn task;
	int batch;         /* wait for all after so many */
	bool permit_first; /* take the permit before the task is made */
	size_t limit;      /* of the group: its spawn waits; nothing to take, nothing to give back */
} variants[] = {
	{"batches of 500", job, .batch = AT_ONCE},
	{"permit before the task, released by a callback", job_with_callback, .permit_first = true},
	{"permit before the task: weir's group with a limit", job, .limit = AT_ONCE},
	{"semaphore inside the task", job_with_permit},
};

static int spawn_all(const struct variant *variant, struct weir_group *group)
{
	struct callback release = {weir_sem_release, permits};
	int code = 0;
	for (int i = 1; i <= JOBS && code == 0; i++) {
		if (variant->permit_first && (code = weir_sem_acquire(permits, 1, WEIR_FOREVER)) < 0)
			break;
		code = weir_group_spawn(group, variant->task, &release, WEIR_FOREVER);
		if (code == 0 && variant->batch && i % variant->batch == 0)
			code = weir_group_wait(group, WEIR_FOREVER);
	}
	int result = weir_group_wait(group, WEIR_FOREVER);
	return code < 0 ? code : result;
}

static int run(void *arg)
{
	const struct variant *variant = arg;
	struct weir_group *group = NULL;
	weir_nsec began = weir_now();
	random_state = 1;
	done = 0;
	bytes = -bytes_in_use();
	int code = weir_sem_new(AT_ONCE, &permits);
	if (code == 0 && (code = weir_group_new(&(struct weir_group_options){.limit = variant->limit}, &group)) == 0)
		code = spawn_all(variant, group);
	printf("%-50s %6ld jobs  %5.2f s", variant->name, done, (double)(weir_now() - began) / 1e9);
	weir_group_free(group);
	weir_sem_free(permits);
	return code;
}

int main(int argc, char **argv)
{
	(void)argv;
	for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
		int code = weir_run(&(struct weir_options){.flags = WEIR_VIRTUAL_CLOCK}, run, (void *)&variants[i]);
		if (code < 0)
			return fprintf(stderr, "backpressure: %s\n", weir_strerror(code)), 1;
		if (argc > 1)
			printf("  %11ld bytes", bytes);
		putchar('\n');
	}
	return 0;
}
