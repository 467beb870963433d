/* SPDX-License-Identifier: MIT */
/* Cancellation: every call of a cancelled fiber says so, what was won is kept, shields hold. */
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

/* Every object is such that the call would not have to wait. */
static void call_everything(int expected)
{
	struct weir_queue *queue;
	struct weir_sem *sem;
	struct weir_event *event;
	uint64_t item = 0;
	ck_assert_int_eq(weir_queue_new(sizeof item, 2, &queue), 0);
	ck_assert_int_eq(weir_sem_new(1, &sem), 0);
	ck_assert_int_eq(weir_event_new(&event), 0);
	weir_event_set(event);
	for (int deadline = -1; deadline <= 0; deadline++) {
		ck_assert_int_eq(weir_queue_put(queue, &item, deadline), expected);
		ck_assert_int_eq(weir_queue_get(queue, &item, deadline), expected);
		if (!expected)
			weir_queue_task_done(queue);
		ck_assert_int_eq(weir_queue_join(queue, deadline), expected);
		ck_assert_int_eq(weir_sem_acquire(sem, 1, deadline), expected);
		if (!expected)
			weir_sem_release(sem, 1);
		ck_assert_int_eq(weir_event_wait(event, deadline), expected);
	}
	ck_assert_int_eq(weir_yield(), expected);
	ck_assert_int_eq(weir_sleep(0), expected);
	ck_assert_int_eq(weir_sleep(1), expected);
	ck_assert_int_eq(weir_sleep_until(weir_now() - 1), expected);
	ck_assert_uint_eq(weir_sem_available(sem), 1);
	ck_assert(weir_queue_empty(queue));
	weir_queue_free(queue);
	weir_sem_free(sem);
	weir_event_free(event);
}

static void call_what_spawns_and_watches(void)
{
	int fds[2];
	char c;
	struct weir_io *io;
	struct weir_group *group = new_group();
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(weir_io_open(fds[0], &io), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert_int_eq(weir_io_read(io, &c, 1, WEIR_TRY), WEIR_ECANCELED);
	ck_assert_int_eq(weir_io_write(io, &c, 1, WEIR_TRY), WEIR_ECANCELED);
	ck_assert_int_eq(weir_io_wait(io, WEIR_READABLE, WEIR_FOREVER), WEIR_ECANCELED);
	weir_io_close(io);
	close(fds[0]);
	close(fds[1]);
	ck_assert_int_eq(weir_group_spawn(group, never_run, NULL, WEIR_FOREVER), WEIR_ECANCELED);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), WEIR_ECANCELED);
	weir_group_free(group);
	ck_assert_int_eq(weir_offload(never_run, NULL, WEIR_FOREVER), WEIR_ECANCELED);
}

static int be_canceled(void *arg)
{
	struct weir_event *event = arg;
	call_everything(0);
	ck_assert(!weir_canceled());
	ck_assert_int_eq(weir_event_wait(event, WEIR_FOREVER), WEIR_ECANCELED);
	for (int i = 0; i < 3; i++) {
		ck_assert(weir_canceled());
		call_everything(WEIR_ECANCELED);
		call_what_spawns_and_watches();
	}
	return WEIR_ECANCELED;
}

FIBER_TEST(cancel_shows_at_every_later_call)
{
	struct weir_event *event;
	struct weir_group *group = new_group();
	ck_assert_int_eq(weir_event_new(&event), 0);
	spawn(group, be_canceled, event);
	weir_sleep(WEIR_SEC);
	weir_group_cancel(group);
	finish(group);
	weir_event_free(event);
}

static int be_shielded(void *arg)
{
	struct weir_event *event = arg;
	weir_shield_enter();
	ck_assert_int_eq(weir_event_wait(event, WEIR_FOREVER), 0); /* the cancel came meanwhile, and waited */
	ck_assert(!weir_canceled());
	weir_shield_enter();
	call_everything(0);
	weir_shield_leave();
	ck_assert(!weir_canceled());
	call_everything(0);
	weir_shield_leave();
	ck_assert(weir_canceled());
	call_everything(WEIR_ECANCELED);
	weir_shield_enter();
	ck_assert(!weir_canceled());
	call_everything(0);
	ck_assert_int_eq(weir_sleep(10), 0);
	weir_shield_leave();
	call_everything(WEIR_ECANCELED);
	return 0;
}

FIBER_TEST(cancel_waits_for_the_end_of_nested_shields)
{
	struct weir_event *event;
	struct weir_group *group = new_group();
	ck_assert_int_eq(weir_event_new(&event), 0);
	spawn(group, be_shielded, event);
	settle();
	weir_group_cancel(group);
	settle();
	weir_event_set(event);
	finish(group);
	weir_event_free(event);
}

static int never_canceled(void *arg)
{
	(void)arg;
	weir_shield_enter();
	call_everything(0);
	weir_shield_leave();
	call_everything(0);
	ck_assert(!weir_canceled());
	return 0;
}

FIBER_TEST(cancel_shield_without_a_cancel_changes_nothing)
{
	struct weir_group *group = new_group();
	spawn(group, never_canceled, NULL);
	finish(group);
}

static int start_canceled(void *arg)
{
	*(bool *)arg = true;
	ck_assert(weir_canceled());
	call_everything(WEIR_ECANCELED);
	return 0;
}

FIBER_TEST(cancel_before_its_first_step_lets_a_fiber_run_all_the_same)
{
	bool ran = false;
	struct weir_group *group = new_group();
	spawn(group, start_canceled, &ran);
	weir_group_cancel(group);
	finish(group);
	ck_assert(ran);
}

struct sleeper {
	weir_nsec deadline;
	int answer;
};

static int sleep_until(void *arg)
{
	struct sleeper *self = arg;
	self->answer = weir_sleep_until(self->deadline);
	return 0;
}

/* Whoever comes first has it: of a deadline and a cancel in one turn only one can be the answer. */
FIBER_TEST(cancel_and_deadline_in_one_turn)
{
	struct sleeper first = {.deadline = weir_after(10)}, second = {.deadline = weir_after(11)};
	struct weir_group *group = new_group();
	spawn(group, sleep_until, &first);
	spawn(group, sleep_until, &second);
	settle();
	weir_sleep_until(first.deadline); /* its timer fired in the turn in which we cancel it */
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(first.answer, 0);
	ck_assert_int_eq(second.answer, WEIR_ECANCELED);
}

static int cancel_own_group(void *arg)
{
	weir_group_cancel(arg);
	ck_assert(weir_canceled());
	ck_assert_int_eq(weir_yield(), WEIR_ECANCELED);
	return 0;
}

FIBER_TEST(cancel_of_ones_own_group)
{
	struct weir_group *group = new_group();
	spawn(group, cancel_own_group, group);
	finish(group);
}
