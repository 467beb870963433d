/* SPDX-License-Identifier: MIT */
/* Functions on threads.  The real clock, because threads live on it; short waits only for what is to happen later. */
#include "unit/fibers.h"

#include "unit/death.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <weir/event.h>
#include <weir/group.h>
#include <weir/offload.h>

/* A function that says when it runs and ends when it is told to. */
struct task {
	sem_t begun, go;
	atomic_int runs, destroyed;
	int result;
	pthread_t thread;
	weir_nsec deadline;
	int answer;
};

static void task_init(struct task *task, int result)
{
	*task = (struct task){.result = result, .deadline = WEIR_FOREVER, .answer = UNANSWERED};
	sem_init(&task->begun, 0, 0);
	sem_init(&task->go, 0, 0);
}

static int run_task(void *arg)
{
	struct task *task = arg;
	task->runs++;
	task->thread = pthread_self();
	sem_post(&task->begun);
	sem_wait(&task->go);
	return task->result;
}

static int run_immediately(void *arg)
{
	struct task *task = arg;
	task->runs++;
	task->thread = pthread_self();
	return task->result;
}

static void destroy_task(void *arg)
{
	struct task *task = arg;
	task->destroyed++;
}

static int offload_fiber(void *arg)
{
	struct task *task = arg;
	task->answer = weir_offload(run_task, task, task->deadline);
	return 0;
}

static int offload_owned_fiber(void *arg)
{
	struct task *task = arg;
	task->answer = weir_offload_owned(run_task, task, destroy_task, task->deadline);
	return 0;
}

static void wait_until(atomic_int *value, int wanted)
{
	while (atomic_load(value) != wanted)
		weir_sleep(WEIR_MSEC / 10);
}

/* Waits until the function has begun, letting the fibers run meanwhile. */
static void wait_for_begin(struct task *task)
{
	while (sem_trywait(&task->begun))
		weir_sleep(WEIR_MSEC / 10);
}

/* Starts fn on the task so that its function does begin before the deadline, however slow the machine is. */
static void begin_with_deadline(struct weir_group *group, weir_fiber_fn fn, struct task *task)
{
	for (weir_nsec patience = 4 * WEIR_MSEC;; patience *= 2) {
		task_init(task, 7);
		task->deadline = weir_after(patience);
		spawn(group, fn, task);
		while (task->answer == UNANSWERED) {
			if (!sem_trywait(&task->begun))
				return;
			weir_sleep(WEIR_MSEC / 10);
		}
		/* Its deadline passed first.  What was taken back is destroyed, or was not owned; else a thread has it.
		 */
		if (fn == offload_owned_fiber && !task->destroyed) {
			wait_for_begin(task);
			return;
		}
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	}
}

LOOP_TEST(offload_returns_what_the_function_returned)
{
	struct task task;
	int results[] = {0, 42, -42, WEIR_ECLOSED};
	for (int i = 0; i < 4; i++) {
		task_init(&task, results[i]);
		ck_assert_int_eq(weir_offload(run_immediately, &task, WEIR_FOREVER), results[i]);
		ck_assert_int_eq(task.runs, 1);
		ck_assert(!pthread_equal(task.thread, pthread_self()));
		ck_assert_int_eq(weir_offload_owned(run_immediately, &task, destroy_task, weir_after(WEIR_SEC)),
				 results[i]);
		ck_assert_int_eq(task.destroyed, 1);
	}
}

static int offload_when_cancelled(void *arg)
{
	struct task *tasks = arg;
	while (!weir_canceled())
		weir_yield();
	tasks[0].answer = weir_offload(run_task, &tasks[0], WEIR_FOREVER);
	tasks[1].answer = weir_offload_owned(run_task, &tasks[1], destroy_task, WEIR_FOREVER);
	return 0;
}

LOOP_TEST(offload_by_a_cancelled_fiber_does_not_run)
{
	struct task tasks[2];
	struct weir_group *group = new_group();
	task_init(&tasks[0], 0);
	task_init(&tasks[1], 0);
	weir_group_cancel(group);
	spawn(group, offload_when_cancelled, tasks);
	finish(group);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(tasks[i].answer, WEIR_ECANCELED);
		ck_assert_int_eq(tasks[i].runs, 0);
		ck_assert_int_eq(tasks[i].destroyed, i);
	}
}

LOOP_TEST(offload_answers_early_without_running)
{
	struct task task;
	task_init(&task, 0);
	ck_assert_int_eq(weir_offload(run_task, &task, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_offload(run_task, &task, weir_now()), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_offload_owned(run_task, &task, destroy_task, weir_now() - 1), WEIR_ETIMEDOUT);
	ck_assert_int_eq(task.destroyed, 1);
	ck_assert_int_eq(task.runs, 0);
}

static int meet(void *arg)
{
	pthread_barrier_wait(arg);
	return 0;
}

static int offload_meet(void *arg)
{
	return weir_offload(meet, arg, WEIR_FOREVER);
}

/* Each waits for the others: with a thread too few they would wait for ever. */
LOOP_TEST(offload_runs_as_many_concurrently_as_there_are_threads)
{
	struct task task;
	task_init(&task, 0);
	ck_assert_int_eq(weir_offload(run_immediately, &task, WEIR_FOREVER), 0);
	weir_sleep(2 * WEIR_MSEC); /* one thread is there now, and idle */
	for (unsigned n = 2; n <= 4; n++) {
		pthread_barrier_t barrier;
		pthread_barrier_init(&barrier, NULL, n);
		struct weir_group *group = new_group();
		for (unsigned i = 0; i < n; i++)
			spawn(group, offload_meet, &barrier);
		finish(group);
		pthread_barrier_destroy(&barrier);
	}
}

struct numbered {
	struct weir_pool *pool;
	int number;
};

static int order[100], ordered;
static pthread_t only_thread;

static int note_number(void *arg)
{
	const struct numbered *self = arg;
	if (!ordered)
		only_thread = pthread_self();
	ck_assert(pthread_equal(only_thread, pthread_self()));
	order[ordered++] = self->number;
	return 0;
}

static int call_pool(void *arg)
{
	struct numbered *self = arg;
	return weir_pool_call(self->pool, note_number, self, WEIR_FOREVER);
}

LOOP_TEST(offload_pool_of_one_thread_runs_calls_in_their_order)
{
	static struct numbered calls[100];
	struct weir_pool *pool;
	struct weir_group *group = new_group();
	ck_assert_int_eq(weir_pool_new(1, &pool), 0);
	ordered = 0;
	for (int i = 0; i < 100; i++) {
		calls[i] = (struct numbered){pool, i};
		spawn(group, call_pool, &calls[i]);
	}
	finish(group);
	weir_pool_free(pool);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(order[i], i);
}

LOOP_TEST(offload_pools_of_no_or_too_many_threads_are_refused)
{
	struct weir_pool *pool;
	ck_assert_int_eq(weir_pool_new(0, &pool), WEIR_EINVAL);
	ck_assert_int_eq(weir_pool_new(257, &pool), WEIR_EINVAL);
	ck_assert_int_eq(weir_pool_new(256, &pool), 0);
	weir_pool_free(pool);
	weir_pool_free(NULL);
}

/* All four threads are busy, so that the next call has to queue. */
static void occupy(struct weir_group *group, struct task busy[4])
{
	for (int i = 0; i < 4; i++) {
		task_init(&busy[i], 0);
		spawn(group, offload_fiber, &busy[i]);
	}
	for (int i = 0; i < 4; i++)
		wait_for_begin(&busy[i]);
}

static void release_all(struct task busy[4])
{
	for (int i = 0; i < 4; i++)
		sem_post(&busy[i].go);
}

LOOP_TEST(offload_deadline_while_queued_means_it_never_runs)
{
	struct task busy[4], plain, owned;
	struct weir_group *group = new_group();
	occupy(group, busy);
	task_init(&plain, 0);
	task_init(&owned, 0);
	ck_assert_int_eq(weir_offload(run_task, &plain, weir_after(2 * WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_offload_owned(run_task, &owned, destroy_task, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(owned.destroyed, 1);
	release_all(busy);
	finish(group);
	weir_sleep(WEIR_MSEC);
	ck_assert_int_eq(plain.runs, 0);
	ck_assert_int_eq(owned.runs, 0);
}

LOOP_TEST(offload_cancel_while_queued_means_it_never_runs)
{
	struct task busy[4], plain, owned;
	struct weir_group *group = new_group(), *canceled = new_group();
	occupy(group, busy);
	task_init(&plain, 0);
	task_init(&owned, 0);
	spawn(canceled, offload_fiber, &plain);
	spawn(canceled, offload_owned_fiber, &owned);
	weir_sleep(WEIR_MSEC);
	weir_group_cancel(canceled);
	finish(canceled);
	ck_assert_int_eq(plain.answer, WEIR_ECANCELED);
	ck_assert_int_eq(owned.answer, WEIR_ECANCELED);
	ck_assert_int_eq(owned.destroyed, 1);
	release_all(busy);
	finish(group);
	ck_assert_int_eq(plain.runs, 0);
	ck_assert_int_eq(owned.runs, 0);
}

LOOP_TEST(offload_deadline_while_running_waits_for_the_end)
{
	struct task task;
	struct weir_group *group = new_group();
	begin_with_deadline(group, offload_fiber, &task);
	weir_sleep_until(task.deadline + WEIR_MSEC);
	ck_assert_int_eq(task.answer, UNANSWERED);
	sem_post(&task.go);
	finish(group);
	ck_assert_int_eq(task.answer, WEIR_ETIMEDOUT);
}

LOOP_TEST(offload_cancel_while_running_waits_for_the_end)
{
	struct task task;
	struct weir_group *group = new_group();
	task_init(&task, 7);
	spawn(group, offload_fiber, &task);
	wait_for_begin(&task);
	weir_group_cancel(group);
	weir_sleep(2 * WEIR_MSEC);
	ck_assert_int_eq(task.answer, UNANSWERED);
	sem_post(&task.go);
	finish(group);
	ck_assert_int_eq(task.answer, WEIR_ECANCELED);
}

LOOP_TEST(offload_owned_returns_immediately_and_destroys_once)
{
	struct task timed, canceled;
	struct weir_group *group = new_group(), *timing = new_group();
	task_init(&canceled, 0);
	spawn(group, offload_owned_fiber, &canceled);
	wait_for_begin(&canceled);
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(canceled.answer, WEIR_ECANCELED);
	ck_assert_int_eq(canceled.destroyed, 0);
	begin_with_deadline(timing, offload_owned_fiber, &timed);
	finish(timing);
	ck_assert_int_eq(timed.answer, WEIR_ETIMEDOUT);
	ck_assert_int_eq(timed.destroyed, 0);
	sem_post(&canceled.go);
	sem_post(&timed.go);
	wait_until(&canceled.destroyed, 1);
	wait_until(&timed.destroyed, 1);
	weir_sleep(WEIR_MSEC);
	ck_assert_int_eq(canceled.destroyed, 1);
	ck_assert_int_eq(timed.destroyed, 1);
}

static struct task outlives;

static int leave_it_running(void *arg)
{
	(void)arg;
	task_init(&outlives, 0);
	sem_post(&outlives.go);
	return weir_offload_owned(run_task, &outlives, destroy_task, weir_after(1));
}

TEST(offload_abandoned_function_ends_before_the_loop_does)
{
	for (int i = 0; i < 50; i++) {
		int code = weir_run(NULL, leave_it_running, NULL);
		ck_assert(code == 0 || code == WEIR_ETIMEDOUT);
		ck_assert_int_eq(outlives.destroyed, 1);
	}
}

/* ---- a deadline or a cancel that comes in the same turn as the end of the function */

static int sleep_on_thread(void *arg)
{
	weir_nsec until = *(weir_nsec *)arg;
	while (weir_clock() < until)
		;
	return 0;
}

static int race_deadline(void *arg)
{
	int *outcomes = arg;
	for (int i = 0; i < 300; i++) {
		weir_nsec deadline = weir_now() + 100 * WEIR_USEC,
			  until = deadline - i % 60 * WEIR_USEC + 10 * WEIR_USEC;
		int code = weir_offload(sleep_on_thread, &until, deadline);
		quick_assert(code == 0 || code == WEIR_ETIMEDOUT);
		outcomes[code == 0]++;
	}
	return 0;
}

/* Keeps the loop busy so that timers and messages are looked at in one turn. */
static int burn(void *arg)
{
	while (!*(volatile bool *)arg) {
		weir_nsec until = weir_clock() + 20 * WEIR_USEC;
		while (weir_clock() < until)
			;
		weir_yield();
	}
	return 0;
}

LOOP_TEST(offload_deadline_and_end_at_the_same_time)
{
	int outcomes[2] = {0, 0};
	bool stop = false;
	struct weir_group *group = new_group(), *burning = new_group();
	spawn(burning, burn, &stop);
	for (int i = 0; i < 3; i++)
		spawn(group, race_deadline, outcomes);
	finish(group);
	stop = true;
	finish(burning);
	ck_assert_int_eq(outcomes[0] + outcomes[1], 900);
}

/* The worst order, made to happen: the function ended and its message waits; then the deadline fires in this turn,
 * and the message is delivered before the fiber runs. */

LOOP_TEST(offload_end_is_delivered_to_a_fiber_that_was_just_woken)
{
	for (int i = 0; i < 5; i++) {
		struct task task;
		struct weir_group *group = new_group();
		begin_with_deadline(group, offload_fiber, &task);
		sem_post(&task.go);
		while (weir_clock() < task.deadline + WEIR_MSEC)
			;
		finish(group);
		ck_assert_int_eq(task.answer, WEIR_ETIMEDOUT);
		struct weir_run_stats stats;
		weir_run_stats(&stats);
		ck_assert_uint_eq(stats.fibers, 1);
	}
}

struct canceler {
	struct weir_group *group;
	struct task *task;
};

static int end_then_cancel(void *arg)
{
	struct canceler *self = arg;
	wait_for_begin(self->task);
	sem_post(&self->task->go);
	weir_nsec until = weir_clock() + 2 * WEIR_MSEC;
	while (weir_clock() < until)
		;
	weir_group_cancel(self->group);
	return 0;
}

LOOP_TEST(offload_end_is_delivered_to_a_fiber_that_was_just_cancelled)
{
	for (int i = 0; i < 5; i++) {
		struct task task;
		struct canceler canceler = {new_group(), &task};
		struct weir_group *group = new_group();
		task_init(&task, 0);
		spawn(canceler.group, offload_fiber, &task);
		spawn(group, end_then_cancel, &canceler);
		finish(group);
		finish(canceler.group);
		ck_assert_int_eq(task.answer, WEIR_ECANCELED);
	}
}

/* ---- the virtual clock */

static int block_for_ten_ms(void *arg)
{
	(void)arg;
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	return 0;
}

static int note_waking(void *arg)
{
	*(weir_nsec *)arg = 0;
	weir_sleep(WEIR_SEC);
	*(weir_nsec *)arg = weir_now();
	return 0;
}

FIBER_TEST(offload_virtual_time_stands_still_meanwhile)
{
	weir_nsec start = weir_now(), woken;
	struct weir_group *group = new_group();
	spawn(group, note_waking, &woken);
	ck_assert_int_eq(weir_offload(block_for_ten_ms, NULL, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_now(), start);
	ck_assert_int_eq(woken, 0);
	finish(group);
	ck_assert_int_eq(woken, start + WEIR_SEC);
}

/* ---- many */

static atomic_int sum;

static int add_one(void *arg)
{
	(void)arg;
	sum++;
	return 0;
}

static int offload_many(void *arg)
{
	for (int i = 0; i < 50; i++)
		quick_assert(weir_offload(add_one, arg, WEIR_FOREVER) == 0);
	return 0;
}

LOOP_TEST(offload_no_end_is_lost_among_thousands)
{
	struct weir_group *group = new_group();
	sum = 0;
	for (int i = 0; i < 100; i++)
		spawn(group, offload_many, NULL);
	finish(group);
	ck_assert_int_eq(sum, 5000);
}

static int all_signals_blocked(void *arg)
{
	(void)arg;
	sigset_t set;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	return sigismember(&set, SIGTERM) && sigismember(&set, SIGINT) && sigismember(&set, SIGUSR1);
}

LOOP_TEST(offload_threads_take_no_signals)
{
	sigset_t set;
	ck_assert_int_eq(weir_offload(all_signals_blocked, NULL, WEIR_FOREVER), 1);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	ck_assert(!sigismember(&set, SIGTERM));
}

static void offload_outside(void)
{
	weir_offload(add_one, NULL, WEIR_FOREVER);
}

TEST(offload_off_a_fiber_is_a_broken_contract)
{
	assert_aborts(offload_outside, "weir_offload: called outside of a fiber");
}

static int call_and_block(void *arg)
{
	return weir_pool_call(arg, block_for_ten_ms, NULL, WEIR_FOREVER);
}

static int free_pool_before_the_cancelled_ran(void *arg)
{
	static struct weir_pool *volatile pool;
	struct weir_pool *made;
	struct weir_group *group = new_group();
	(void)arg;
	quick_assert(weir_pool_new(1, &made) == 0);
	pool = made;
	spawn(group, call_and_block, pool);
	weir_sleep(WEIR_MSEC);
	weir_group_cancel(group);
	breaks(weir_pool_free(pool));
	return weir_group_wait(group, WEIR_FOREVER);
}

static void run_free_pool(void)
{
	weir_run(NULL, free_pool_before_the_cancelled_ran, NULL);
}

TEST(offload_pool_freed_before_a_cancelled_fiber_ran_is_a_broken_contract)
{
	assert_breaks(run_free_pool, "weir_pool_free: a call is running, or its fiber has not run since it ended");
}

/* ---- how many threads */

static int meet_all(void *arg)
{
	unsigned n = *(unsigned *)arg;
	pthread_barrier_t barrier;
	pthread_barrier_init(&barrier, NULL, n);
	struct weir_group_part part = {offload_meet, &barrier, .fibers = n};
	int code = weir_group_run(&part, 1, WEIR_FOREVER);
	pthread_barrier_destroy(&barrier);
	return code;
}

/* Two fill the pool; a third has to wait, and does not run before its deadline. */
static int fill_two(void *arg)
{
	struct task busy[2], third;
	struct weir_group *group = new_group();
	for (int i = 0; i < 2; i++) {
		task_init(&busy[i], 0);
		spawn(group, offload_fiber, &busy[i]);
		wait_for_begin(&busy[i]);
	}
	task_init(&third, 0);
	struct weir_deadline scope;
	weir_deadline_enter(&scope, weir_after(5 * WEIR_MSEC));
	int code = weir_offload(run_task, &third, WEIR_FOREVER);
	weir_deadline_leave(&scope);
	for (int i = 0; i < 2; i++)
		sem_post(&busy[i].go);
	finish(group);
	(void)arg;
	return third.runs ? -1 : code;
}

TEST(offload_has_as_many_threads_as_the_loop_was_given)
{
	unsigned n = 6;
	ck_assert_int_eq(weir_run(&(struct weir_options){.offload_threads = n}, meet_all, &n), 0);
	ck_assert_int_eq(weir_run(&(struct weir_options){.offload_threads = 2}, fill_two, NULL), WEIR_ETIMEDOUT);
}
