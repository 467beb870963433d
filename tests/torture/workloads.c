/* SPDX-License-Identifier: MIT */
/*
 * What the faults are thrown into: small programs over the public interface that take every failure for granted, and
 * hold the library to its headers: a code they name, outputs untouched, and the same call again once all is well.
 */
#include "torture/faults.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <weir/weir.h>

#define ALL_MEMORY (1u << FAULT_MEMORY | 1u << FAULT_SYSTEM | 1u << FAULT_OLD)
#define TRANSFERS  (1u << FAULT_INTERRUPT | 1u << FAULT_AGAIN | 1u << FAULT_SHORT | 1u << FAULT_HARD)

/* Makes *ret: the constructor is called at most twice, since a fault may strike it once.  It may fail with one of two
 * codes; then the output is untouched.  NULL if it failed twice. */
#define MAKE(ret, other, call)                                                                                         \
	do {                                                                                                           \
		static char untouched;                                                                                 \
		int make_code = -1;                                                                                    \
		for (int attempt = 0; attempt < 2 && make_code; attempt++) {                                           \
			(ret) = (void *)&untouched;                                                                    \
			make_code = (call);                                                                            \
			check(make_code == 0 || make_code == WEIR_ENOMEM || make_code == (other));                     \
			check(!make_code == ((void *)(ret) != (void *)&untouched));                                    \
		}                                                                                                      \
		if (make_code)                                                                                         \
			(ret) = NULL;                                                                                  \
	} while (0)

static int spawn_twice(struct weir_group *group, const struct weir_spawn_options *opts, weir_fiber_fn fn, void *arg)
{
	int code = weir_group_spawn_with(group, opts, fn, arg, WEIR_FOREVER);
	if (code) {
		check(code == WEIR_ENOMEM);
		code = weir_group_spawn_with(group, opts, fn, arg, WEIR_FOREVER);
	}
	check(code == 0 || code == WEIR_ENOMEM);
	return code;
}

/* A group that collects: its fibers that found no memory are its failures. */
static struct weir_group *new_group(size_t limit)
{
	struct weir_group *group;
	struct weir_group_options opts = {.flags = WEIR_GROUP_COLLECT, .limit = limit};
	MAKE(group, 0, weir_group_new(&opts, &group));
	return group;
}

static void end_group(struct weir_group *group)
{
	int code = weir_group_wait(group, WEIR_FOREVER);
	check(code == (weir_group_failures(group) ? WEIR_ENOMEM : 0));
	weir_group_free(group);
}

/* ---- objects */

static int use_objects(void *arg)
{
	struct weir_queue *queue;
	struct weir_sem *sem;
	struct weir_event *event;
	struct weir_histogram *histogram;
	struct weir_heap heap = {0};
	(void)arg;
	MAKE(queue, 0, weir_queue_new(24, 10, &queue));
	MAKE(sem, 0, weir_sem_new(3, &sem));
	MAKE(event, 0, weir_event_new(&event));
	MAKE(histogram, 0, weir_histogram_new(&histogram));
	for (size_t n = 1; n < 300; n *= 2) {
		int code = weir_heap_reserve(&heap, n);
		check(code == 0 || code == WEIR_ENOMEM);
		check(code || heap.room > n);
	}
	weir_queue_free(queue);
	weir_sem_free(sem);
	weir_event_free(event);
	weir_histogram_free(histogram);
	weir_heap_fini(&heap);
	return 0;
}

/* ---- fibers: more than a slab of records, than the heap's first room, than two slabs of stacks */

enum { FIBERS = 150 };

static int sleep_and_count(void *arg)
{
	check(weir_sleep(WEIR_MSEC) == 0);
	++*(size_t *)arg;
	return 0;
}

static int use_fibers(void *arg)
{
	static const struct weir_spawn_options large = {.name = "large", .stack_bytes = 256 * 1024};
	struct weir_group *group = new_group(0);
	size_t started = 0, ran = 0;
	(void)arg;
	if (!group)
		return WEIR_ENOMEM;
	for (int i = 0; i < FIBERS; i++)
		started += !spawn_twice(group, i % 8 ? NULL : &large, sleep_and_count, &ran);
	check(weir_group_alive(group) == started);
	check(weir_group_wait(group, WEIR_FOREVER) == (ran < started ? WEIR_ENOMEM : 0));
	check(ran + weir_group_failures(group) == started);
	weir_group_free(group);
	return 0;
}

/* ---- a queue between producers and consumers, under a limit */

struct traffic {
	struct weir_queue *queue;
	struct weir_sem *sem;
	struct weir_event *event;
	long put, got;
};

static int produce(void *arg)
{
	struct traffic *traffic = arg;
	check(weir_event_wait(traffic->event, WEIR_FOREVER) == 0);
	for (int i = 0; i < 10; i++) {
		int code = weir_queue_put(traffic->queue, &i, weir_after(WEIR_SEC));
		check(code == 0 || code == WEIR_ETIMEDOUT);
		traffic->put += !code;
	}
	return 0;
}

static int consume(void *arg)
{
	struct traffic *traffic = arg;
	int item, code;
	while (!(code = weir_queue_get(traffic->queue, &item, WEIR_FOREVER))) {
		check(weir_sem_acquire(traffic->sem, 1, WEIR_FOREVER) == 0);
		check(weir_sleep(WEIR_USEC) == 0);
		weir_sem_release(traffic->sem, 1);
		weir_queue_task_done(traffic->queue);
		traffic->got++;
	}
	check(code == WEIR_ECLOSED);
	return 0;
}

static void run_traffic(struct traffic *traffic)
{
	struct weir_group *producers = new_group(3), *consumers = new_group(0);
	for (int i = 0; consumers && i < 5; i++)
		spawn_twice(consumers, NULL, consume, traffic);
	weir_event_set(traffic->event);
	for (int i = 0; producers && i < 8; i++)
		spawn_twice(producers, NULL, produce, traffic);
	if (producers)
		end_group(producers);
	int code = weir_queue_join(traffic->queue, weir_after(WEIR_SEC));
	check(code == (traffic->got < traffic->put ? WEIR_ETIMEDOUT : 0));
	long dropped = (long)weir_queue_close(traffic->queue, WEIR_QUEUE_DROP);
	if (consumers)
		end_group(consumers);
	check(traffic->got + dropped == traffic->put);
	check(weir_queue_join(traffic->queue, WEIR_TRY) == 0);
}

static int use_queue(void *arg)
{
	struct traffic traffic = {0};
	(void)arg;
	MAKE(traffic.queue, 0, weir_queue_new(sizeof(int), 3, &traffic.queue));
	MAKE(traffic.sem, 0, weir_sem_new(2, &traffic.sem));
	MAKE(traffic.event, 0, weir_event_new(&traffic.event));
	if (traffic.queue && traffic.sem && traffic.event)
		run_traffic(&traffic);
	weir_event_free(traffic.event);
	weir_sem_free(traffic.sem);
	weir_queue_free(traffic.queue);
	return 0;
}

static int make_named_queues(void *arg)
{
	struct weir_queue *queue;
	(void)arg;
	struct weir_queue_options opts = {
		.item_bytes = 8, .capacity = 3, .order = WEIR_PRIORITY, .classes = 2, .name = "jobs"};
	MAKE(queue, 0, weir_queue_new_with(&opts, &queue));
	weir_queue_free(queue);
	return 0;
}

/* ---- rates and breakers */

/* A log that may grow or not: what passes within a second is never more than the count that was answered. */
struct paced {
	struct weir_rate_limiter *limiter;
	size_t passed;
};

static int pass_paced(void *arg)
{
	struct paced *paced = arg;
	int code = weir_rate_limiter_acquire(paced->limiter, 2, WEIR_FOREVER);
	check(code == 0);
	paced->passed += 2;
	return code;
}

static void run_paced(struct paced *paced)
{
	const struct weir_rate_options log = {.count = 4, .kind = WEIR_RATE_LOG};
	const struct weir_rate_options longer = {.count = 6, .kind = WEIR_RATE_LOG};
	struct weir_group *group = new_group(0);
	size_t started = 0, count = log.count;
	for (int i = 0; group && i < 6; i++)
		started += !spawn_twice(group, NULL, pass_paced, paced);
	weir_yield();
	check(paced->passed <= count);
	int code = weir_rate_limiter_set(paced->limiter, &longer);
	check(code == 0 || code == WEIR_ENOMEM);
	if (code == 0)
		count = longer.count;
	check(weir_sleep(WEIR_MSEC) == 0);
	check(paced->passed <= count);
	if (group)
		end_group(group);
	check(paced->passed <= 2 * started);
}

static int use_rates(void *arg)
{
	const struct weir_rate_options log = {.count = 4, .kind = WEIR_RATE_LOG};
	const struct weir_breaker_options ring = {.window_calls = 50};
	struct paced paced = {0};
	struct weir_breaker *breaker;
	struct weir_breaker_permit permit;
	(void)arg;
	MAKE(paced.limiter, 0, weir_rate_limiter_new(&log, &paced.limiter));
	MAKE(breaker, 0, weir_breaker_new(&ring, &breaker));
	if (paced.limiter)
		run_paced(&paced);
	if (breaker) {
		check(weir_breaker_allow(breaker, weir_now(), &permit) == 0);
		weir_breaker_end(breaker, permit, WEIR_OUTCOME_GOOD, 0, weir_now());
	}
	weir_rate_limiter_free(paced.limiter);
	weir_breaker_free(breaker);
	return 0;
}

/* ---- threads */

static int add_one(void *arg)
{
	++*(atomic_int *)arg;
	return 7;
}

static int wait_a_little(void *arg)
{
	usleep(2000);
	return add_one(arg);
}

static void add_ten(void *arg)
{
	*(atomic_int *)arg += 10;
}

/* WEIR_ENOMEM means that neither was called. */
static int offload_owned(void *arg)
{
	atomic_int n = 0;
	(void)arg;
	int code = weir_offload_owned(add_one, &n, add_ten, WEIR_FOREVER);
	check(code == 7 ? n == 11 : code == WEIR_ENOMEM && n == 0);
	return code < 0 ? code : 0;
}

static int offload(void *arg)
{
	atomic_int n = 0;
	int code = weir_offload(wait_a_little, &n, WEIR_FOREVER);
	check(code == 7 ? n == 1 : code == WEIR_ENOMEM && n == 0);
	n = 0;
	code = weir_offload(wait_a_little, &n, weir_after(WEIR_MSEC)); /* ends later, or never began */
	check(code == 7 || (code == WEIR_ETIMEDOUT && n <= 1) || (code == WEIR_ENOMEM && n == 0));
	return offload_owned(arg);
}

static void use_pool_of_ones_own(void)
{
	struct weir_pool *pool;
	atomic_int n = 0;
	MAKE(pool, 0, weir_pool_new(1, &pool));
	if (!pool)
		return;
	int code = weir_pool_call(pool, add_one, &n, WEIR_FOREVER);
	if (code != 7) {
		check(code == WEIR_ENOMEM && n == 0);
		code = weir_pool_call(pool, add_one, &n, WEIR_FOREVER);
		check(code == 7 || code == WEIR_ENOMEM);
	}
	check(n == (code == 7));
	weir_pool_free(pool);
}

static int use_threads(void *arg)
{
	struct weir_group *group = new_group(0);
	(void)arg;
	for (int i = 0; group && i < 6; i++)
		spawn_twice(group, NULL, offload, NULL);
	if (group)
		end_group(group);
	use_pool_of_ones_own();
	return 0;
}

/* ---- descriptors */

enum { BYTES = 300 };

struct pipe_end {
	struct weir_io *io;
	char bytes[BYTES];
	bool is_writer, failed;
};

static int transfer(void *arg)
{
	struct pipe_end *end = arg;
	weir_nsec deadline = weir_after(200 * WEIR_MSEC); /* the other side may have failed */
	size_t n = end->is_writer ? 0 : BYTES;
	if (end->is_writer && weir_io_write(end->io, end->bytes, BYTES, deadline))
		end->failed = true;
	while (n) {
		ssize_t got = weir_io_read(end->io, end->bytes + BYTES - n, n, deadline);
		end->failed |= got <= 0;
		if (got <= 0)
			break;
		n -= (size_t)got;
	}
	int held = weir_io_wait(end->io, end->is_writer ? WEIR_WRITABLE : WEIR_READABLE, WEIR_TRY);
	check(held == WEIR_EAGAIN || held > 0);
	return 0;
}

static void run_pair(const int fds[2])
{
	struct pipe_end reader = {0}, writer = {.is_writer = true};
	struct weir_group *group = new_group(0);
	int started = 0;
	memset(writer.bytes, 'x', BYTES);
	MAKE(reader.io, WEIR_EMFILE, weir_io_open(fds[0], &reader.io));
	MAKE(writer.io, WEIR_EMFILE, weir_io_open(fds[1], &writer.io));
	if (group && reader.io && writer.io) {
		started += !spawn_twice(group, NULL, transfer, &reader);
		weir_yield(); /* the reader waits */
		started += !spawn_twice(group, NULL, transfer, &writer);
	}
	if (group) {
		weir_group_wait(group, WEIR_FOREVER);
		if (started == 2 && !weir_group_failures(group) && !reader.failed && !writer.failed)
			check(!memcmp(reader.bytes, writer.bytes, BYTES));
		weir_group_free(group);
	}
	weir_io_close(reader.io);
	weir_io_close(writer.io);
}

static int use_descriptors(void *arg)
{
	int fds[2];
	(void)arg;
	check(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
	run_pair(fds);
	close(fds[0]);
	close(fds[1]);
	check(faults_socketpair(fds) == 0);
	run_pair(fds);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* ---- child processes */

static const char script[] = "while read -r a; do case $a in die) exit 1;; *) echo \"$a\";; esac; done";
static const char *const argv_of_script[] = {"/bin/sh", "-c", script, NULL};
static const char *const envp_of_script[] = {"PATH=/usr/bin:/bin", NULL};

/* The system's own words for: not now. */
static int is_shortage(int code)
{
	return code == WEIR_EMFILE || code == WEIR_EAGAIN ? code : 0;
}

/* A line that is answered is answered with itself.  Only a fault that cuts the connection may blame it. */
static int call_child(struct weir_child *pool, const char *line)
{
	char untouched, *answer = &untouched;
	size_t n = 12345;
	/* A pool that is short of something tries for ever to start its children again. */
	weir_nsec deadline = weir_after(faults_last() ? 50 * WEIR_MSEC : 20 * WEIR_SEC);
	int code = weir_child_call(pool, line, strlen(line), &answer, &n, NULL, deadline);
	if (code) {
		check(code == WEIR_ENOMEM || code == WEIR_EDIED || (code == WEIR_ETIMEDOUT && faults_last()));
		check(answer == &untouched && n == 12345);
		check(code != WEIR_EDIED || faults_last() || !faults_are(FAULT_MEMORY) || !strcmp(line, "die"));
		return code;
	}
	check(n == strlen(line) && !memcmp(answer, line, n + 1));
	free(answer);
	return 0;
}

static int call_twice(void *arg)
{
	if (call_child(arg, "a line"))
		call_child(arg, "another line");
	return 0;
}

static int use_children(void *arg)
{
	struct weir_child *pool;
	struct weir_child_options opts = {.argv = argv_of_script, .envp = envp_of_script, .processes = 2, .batch = 2};
	struct weir_group *group = new_group(0);
	(void)arg;
	MAKE(pool, is_shortage(make_code), weir_child_new(&opts, &pool));
	for (int i = 0; group && pool && i < 6; i++)
		spawn_twice(group, NULL, call_twice, pool);
	if (group)
		end_group(group);
	if (pool) {
		check(call_child(pool, "die") < 0);
		call_twice(pool);
	}
	weir_child_free(pool);
	return 0;
}

static int run_program(void *arg)
{
	static const char *const argv[] = {"/bin/sh", "-c", "echo out; echo error >&2; exit 3", NULL};
	char untouched;
	struct weir_child_end end = {.output = &untouched};
	int code = weir_child_run(&(struct weir_child_options){.argv = argv}, &end, WEIR_FOREVER);
	(void)arg;
	if (code) {
		check(code == WEIR_ENOMEM || is_shortage(code) || faults_are(FAULT_HARD));
		check(end.output == &untouched);
		return 0;
	}
	check(!strcmp(end.output, "out\n") && !strcmp(end.complaint, "error\n") && end.exit_code == 3);
	free(end.output);
	free(end.complaint);
	return 0;
}

/* Most of the first 128 records and stacks are in use: the fibers of the pool are the first to need more. */
static int wait_for_event(void *arg)
{
	return weir_event_wait(arg, WEIR_FOREVER);
}

static int use_children_in_a_crowd(void *arg)
{
	struct weir_event *event;
	struct weir_group *crowd = new_group(0);
	MAKE(event, 0, weir_event_new(&event));
	for (int i = 0; crowd && event && i < 126; i++)
		spawn_twice(crowd, NULL, wait_for_event, event);
	weir_yield();
	int code = use_children(arg);
	if (event)
		weir_event_set(event);
	if (crowd)
		end_group(crowd);
	weir_event_free(event);
	return code;
}

/* ---- jobs through a policy: several gates, orderings, priorities, retries, in order */

enum { FLOW_JOBS = 150 };

struct flow {
	unsigned produced, ended;
	bool has_ended[FLOW_JOBS];
};

static int flow_produce(void *arg, void *ret_job, weir_nsec deadline)
{
	struct flow *flow = arg;
	(void)deadline;
	if (flow->produced == FLOW_JOBS)
		return WEIR_ECLOSED;
	*(unsigned *)ret_job = flow->produced++;
	return 0;
}

static int flow_work(void *job, struct weir_attempt *attempt, void *arg)
{
	(void)arg;
	int code = weir_sleep(WEIR_MSEC);
	return code ? code : *(unsigned *)job % 5 == 0 && attempt->number == 1 ? WEIR_EIO : 0;
}

static int flow_done(void *arg, void *job, int result, const struct weir_attempt *last)
{
	struct flow *flow = arg;
	(void)last;
	check(result == 0 || result == WEIR_ECANCELED || result == WEIR_ENOMEM);
	check(!flow->has_ended[*(unsigned *)job]);
	flow->has_ended[*(unsigned *)job] = true;
	flow->ended++;
	return 0;
}

static const char *flow_key(void *arg, const void *job)
{
	static const char *const keys[] = {"", "a", "b"};
	(void)arg;
	return keys[*(const unsigned *)job % 3];
}

static uint64_t flow_ordering(void *arg, const void *job)
{
	(void)arg;
	return *(const unsigned *)job % 7;
}

static int64_t flow_class(void *arg, const void *job)
{
	(void)arg;
	return *(const unsigned *)job % 2;
}

static int call_job(void *job, struct weir_attempt *attempt, void *arg)
{
	(void)job, (void)arg;
	return attempt->number < 3 ? WEIR_EIO : 7;
}

/* A job for which there was no gate ends with WEIR_ENOMEM; one without a fiber cancels them all. */
static void process_jobs(struct weir_policy *policy, unsigned flags)
{
	struct flow flow = {0};
	struct weir_process_stats stats;
	int code = weir_process(&(struct weir_process){.policy = policy,
						       .job_bytes = sizeof(unsigned),
						       .arg = &flow,
						       .flags = flags,
						       .jobs = FLOW_JOBS,
						       .produce = flow_produce,
						       .work = flow_work,
						       .done = flow_done,
						       .key = flow_key,
						       .priority = flow_class,
						       .ordering_key = flow_ordering},
				&stats, WEIR_FOREVER);
	check(code == 0 || code == WEIR_ENOMEM);
	check(flow.ended == flow.produced && stats.jobs == flow.produced);
	check(code || flow.produced == FLOW_JOBS);
}

static int use_policies(void *arg)
{
	struct weir_policy *policy;
	struct weir_policy_options opts = {.concurrency = 20, .gate_flags = WEIR_GATE_NO_BREAKER};
	(void)arg;
	for (unsigned i = 0; i < 3; i++) {
		opts.concurrency = i == 1 ? 0 : 20; /* found: with a profile */
		opts.permit = i == 2 ? WEIR_PERMIT_IN_TASK : WEIR_PERMIT_BEFORE;
		MAKE(policy, 0, weir_policy_new(&opts, &policy, NULL));
		if (!policy)
			continue;
		process_jobs(policy, i == 0 ? WEIR_PROCESS_ORDERED : 0);
		int code = weir_call(policy, call_job, NULL, WEIR_FOREVER);
		check(code == 7 || code == WEIR_ENOMEM);
		weir_policy_free(policy);
	}
	return 0;
}

const struct workload workloads[] = {
	{"objects", use_objects, ALL_MEMORY, WEIR_VIRTUAL_CLOCK},
	{"fibers", use_fibers, ALL_MEMORY, WEIR_VIRTUAL_CLOCK},
	{"queue", use_queue, ALL_MEMORY, WEIR_VIRTUAL_CLOCK},
	{"named queue", make_named_queues, ALL_MEMORY, WEIR_VIRTUAL_CLOCK},
	{"rates", use_rates, ALL_MEMORY, WEIR_VIRTUAL_CLOCK},
	{"policies", use_policies, ALL_MEMORY, WEIR_VIRTUAL_CLOCK},
	{"threads", use_threads, ALL_MEMORY | 1u << FAULT_INTERRUPT, 0},
	{"descriptors", use_descriptors, ALL_MEMORY | TRANSFERS, 0},
	{"children", use_children, ALL_MEMORY | TRANSFERS, 0},
	{"program", run_program, ALL_MEMORY | TRANSFERS, 0},
	{"crowd", use_children_in_a_crowd, 1u << FAULT_MEMORY, 0},
	{0},
};
