/* SPDX-License-Identifier: MIT */
/* Deadlines over several calls. */
#include "unit/death.h"
#include "unit/fibers.h"

#include <fcntl.h>
#include <unistd.h>
#include <weir/event.h>
#include <weir/io.h>
#include <weir/offload.h>
#include <weir/queue.h>
#include <weir/sem.h>

static int never_run(void *arg)
{
	(void)arg;
	ck_abort_msg("ran");
	return 0;
}

static int sleep_for(void *arg)
{
	return weir_sleep(*(weir_nsec *)arg);
}

FIBER_TEST(deadline_ends_what_would_wait_longer)
{
	struct weir_deadline scope;
	weir_nsec start = weir_now();
	ck_assert_int_eq(weir_deadline_now(), WEIR_FOREVER);
	weir_deadline_enter(&scope, start + 100);
	ck_assert_int_eq(weir_deadline_now(), start + 100);
	ck_assert_int_eq(weir_sleep(60), 0);
	ck_assert_int_eq(weir_sleep(60), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now(), start + 100);
	ck_assert_int_eq(weir_sleep(1), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_sleep_until(WEIR_FOREVER), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_sleep_until(start), 0); /* nothing to wait for */
	ck_assert_int_eq(weir_sleep_until(WEIR_TRY), 0);
	ck_assert_int_eq(weir_yield(), 0);
	weir_deadline_leave(&scope);
	ck_assert_int_eq(weir_deadline_now(), WEIR_FOREVER);
	ck_assert_int_eq(weir_sleep(60), 0);
	ck_assert_int_eq(weir_now(), start + 160);
}

FIBER_TEST(deadline_that_is_the_sleeps_own_is_no_timeout)
{
	struct weir_deadline scope;
	weir_nsec start = weir_now();
	weir_deadline_enter(&scope, start + 50);
	ck_assert_int_eq(weir_sleep(50), 0);
	ck_assert_int_eq(weir_now(), start + 50);
	weir_deadline_leave(&scope);
}

/* Every call that waits: as with a deadline of its own, in the future and in the past. */
FIBER_TEST(deadline_reaches_every_call_that_waits)
{
	uint64_t item = 0;
	weir_nsec hour = 3600 * WEIR_SEC;
	struct weir_queue *queue;
	struct weir_sem *sem;
	struct weir_event *event;
	struct weir_group *group;
	ck_assert_int_eq(weir_queue_new(sizeof item, 1, &queue), 0);
	ck_assert_int_eq(weir_sem_new(1, &sem), 0);
	ck_assert_int_eq(weir_event_new(&event), 0);
	ck_assert_int_eq(weir_group_new(&(struct weir_group_options){.limit = 1}, &group), 0);
	spawn(group, sleep_for, &hour);
	for (int round = 0; round < 2; round++) {
		struct weir_deadline scope;
		weir_deadline_enter(&scope, weir_now() + 10);
		ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_FOREVER), WEIR_ETIMEDOUT);
		ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_TRY), WEIR_EAGAIN);
		ck_assert_int_eq(weir_queue_put(queue, &item, WEIR_FOREVER), 0); /* need not wait */
		ck_assert_int_eq(weir_queue_put(queue, &item, weir_after(hour)), WEIR_ETIMEDOUT);
		ck_assert_int_eq(weir_queue_join(queue, WEIR_FOREVER), WEIR_ETIMEDOUT);
		ck_assert_int_eq(weir_queue_get(queue, &item, WEIR_FOREVER), 0);
		weir_queue_task_done(queue);
		ck_assert_int_eq(weir_sem_acquire(sem, 2, WEIR_FOREVER), WEIR_ETIMEDOUT);
		ck_assert_int_eq(weir_sem_acquire(sem, 1, WEIR_FOREVER), 0);
		weir_sem_release(sem, 1);
		ck_assert_int_eq(weir_event_wait(event, WEIR_FOREVER), WEIR_ETIMEDOUT);
		ck_assert_int_eq(weir_group_spawn(group, never_run, NULL, WEIR_FOREVER), WEIR_ETIMEDOUT);
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), WEIR_ETIMEDOUT);
		ck_assert_int_eq(weir_offload(never_run, NULL, WEIR_FOREVER), WEIR_ETIMEDOUT);
		weir_deadline_leave(&scope);
	}
	weir_group_cancel(group);
	finish(group);
	weir_queue_free(queue);
	weir_sem_free(sem);
	weir_event_free(event);
}

FIBER_TEST(deadlines_nest_and_the_earliest_counts)
{
	struct weir_deadline outer, later, earlier, none;
	weir_nsec start = weir_now();
	weir_deadline_enter(&outer, start + 100);
	weir_deadline_enter(&later, start + 200);
	ck_assert_int_eq(weir_deadline_now(), start + 100);
	weir_deadline_enter(&none, WEIR_FOREVER);
	ck_assert_int_eq(weir_deadline_now(), start + 100);
	weir_deadline_enter(&earlier, start + 50);
	ck_assert_int_eq(weir_deadline_now(), start + 50);
	ck_assert_int_eq(weir_sleep(1000), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now(), start + 50);
	weir_deadline_leave(&earlier);
	ck_assert_int_eq(weir_sleep(20), 0);
	weir_deadline_leave(&none);
	weir_deadline_leave(&later);
	ck_assert_int_eq(weir_sleep(1000), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now(), start + 100);
	weir_deadline_leave(&outer);
}

FIBER_TEST(deadline_already_past_and_try)
{
	static const weir_nsec past[] = {1, WEIR_TRY};
	struct weir_event *event;
	ck_assert_int_eq(weir_event_new(&event), 0);
	for (int i = 0; i < 2; i++) {
		struct weir_deadline scope;
		weir_deadline_enter(&scope, past[i]);
		ck_assert_int_eq(weir_event_wait(event, WEIR_FOREVER), WEIR_ETIMEDOUT);
		ck_assert_int_eq(weir_event_wait(event, WEIR_TRY), WEIR_EAGAIN);
		weir_deadline_leave(&scope);
	}
	weir_event_free(event);
}

FIBER_TEST(deadline_does_not_reach_into_a_shield)
{
	struct weir_deadline outer, inner;
	weir_nsec start = weir_now();
	weir_deadline_enter(&outer, start + 10);
	ck_assert_int_eq(weir_sleep(20), WEIR_ETIMEDOUT);
	weir_shield_enter();
	ck_assert_int_eq(weir_deadline_now(), WEIR_FOREVER);
	ck_assert_int_eq(weir_sleep(20), 0);
	ck_assert_int_eq(weir_now(), start + 30);
	weir_deadline_enter(&inner, start + 40);
	ck_assert_int_eq(weir_deadline_now(), start + 40);
	ck_assert_int_eq(weir_sleep(20), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now(), start + 40);
	weir_shield_enter();
	ck_assert_int_eq(weir_sleep(20), 0);
	weir_shield_leave();
	weir_deadline_leave(&inner);
	weir_shield_leave();
	ck_assert_int_eq(weir_sleep(20), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now(), start + 60);
	weir_deadline_leave(&outer);
}

static int spawned_inside(void *arg)
{
	(void)arg;
	ck_assert_int_eq(weir_deadline_now(), WEIR_FOREVER);
	return weir_sleep(100);
}

FIBER_TEST(deadline_is_not_inherited)
{
	struct weir_deadline scope;
	struct weir_group *group = new_group();
	weir_deadline_enter(&scope, weir_now() + 10);
	spawn(group, spawned_inside, NULL);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), WEIR_ETIMEDOUT);
	weir_deadline_leave(&scope);
	finish(group);
}

static int wait_in_scope(void *arg)
{
	struct weir_deadline scope;
	weir_deadline_enter(&scope, weir_now() + WEIR_SEC);
	int code = weir_sleep(2 * WEIR_SEC);
	weir_deadline_leave(&scope);
	*(int *)arg = code;
	return 0;
}

FIBER_TEST(deadline_gives_way_to_a_cancel)
{
	int answer = UNANSWERED;
	weir_nsec start = weir_now();
	struct weir_group *group = new_group();
	spawn(group, wait_in_scope, &answer);
	weir_sleep(5);
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(answer, WEIR_ECANCELED);
	ck_assert_int_eq(weir_now(), start + 5);
}

LOOP_TEST(deadline_past_still_looks_at_the_descriptor)
{
	int fds[2];
	char c;
	struct weir_io *io;
	struct weir_deadline scope;
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(weir_io_open(fds[0], &io), 0);
	weir_deadline_enter(&scope, weir_now());
	ck_assert_int_eq(weir_io_wait(io, WEIR_READABLE, WEIR_FOREVER), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_io_read(io, &c, 1, WEIR_FOREVER), WEIR_ETIMEDOUT);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert_int_eq(weir_io_wait(io, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	ck_assert_int_eq(weir_io_read(io, &c, 1, WEIR_FOREVER), 1);
	weir_deadline_leave(&scope);
	weir_io_close(io);
	close(fds[0]);
	close(fds[1]);
}

static int block_a_while(void *arg)
{
	int *seen = arg;
	seen[0] = 1;
	usleep(30000);
	seen[1] = 1;
	return 0;
}

/* A thread cannot be stopped: the call is over when it has ended (or was never begun), also when the scope ended long
 * before. */
LOOP_TEST(deadline_leaves_no_thread_behind)
{
	int seen[2] = {0, 0};
	struct weir_deadline scope;
	weir_deadline_enter(&scope, weir_now() + 5 * WEIR_MSEC);
	int code = weir_offload(block_a_while, seen, WEIR_FOREVER);
	weir_deadline_leave(&scope);
	ck_assert_int_eq(code, WEIR_ETIMEDOUT);
	ck_assert_int_eq(seen[0], seen[1]);
}

/* ---- contracts */

static int leave_in_the_wrong_order(void *arg)
{
	struct weir_deadline outer, inner;
	(void)arg;
	weir_deadline_enter(&outer, WEIR_FOREVER);
	weir_deadline_enter(&inner, WEIR_FOREVER);
	breaks(weir_deadline_leave(&outer));
	return 0;
}

static int end_inside(void *arg)
{
	static struct weir_deadline scope;
	(void)arg;
	weir_deadline_enter(&scope, WEIR_FOREVER);
	return 0;
}

static void run_leave_in_the_wrong_order(void)
{
	weir_run(NULL, leave_in_the_wrong_order, NULL);
}

static void run_end_inside(void)
{
	weir_run(NULL, end_inside, NULL);
}

static void enter_on_no_fiber(void)
{
	struct weir_deadline scope;
	weir_deadline_enter(&scope, WEIR_FOREVER);
}

TEST(deadline_contracts)
{
	assert_breaks(run_leave_in_the_wrong_order,
		      "weir_deadline_leave: this fiber has entered another deadline or shield since");
	assert_aborts(run_end_inside, "this function of a fiber returned inside a shield or a deadline scope");
	assert_aborts(enter_on_no_fiber, "weir_deadline_enter: called outside of a fiber");
}
