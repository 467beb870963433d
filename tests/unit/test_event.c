/* SPDX-License-Identifier: MIT */
/* The event. */
#include "unit/death.h"
#include "unit/fibers.h"

#include <signal.h>
#include <weir/event.h>

struct waiting {
	struct weir_event *event;
	weir_nsec deadline;
	int answer;
};

static int wait_for_it(void *arg)
{
	struct waiting *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_event_wait(self->event, self->deadline ? self->deadline : WEIR_FOREVER);
	return 0;
}

static struct weir_event *new_event(void)
{
	struct weir_event *event;
	ck_assert_int_eq(weir_event_new(&event), 0);
	return event;
}

FIBER_TEST(event_stays_set_until_it_is_cleared)
{
	struct weir_event *event = new_event();
	ck_assert(!weir_event_is_set(event));
	ck_assert_int_eq(weir_event_wait(event, WEIR_TRY), WEIR_EAGAIN);
	weir_event_set(event);
	weir_event_set(event);
	ck_assert(weir_event_is_set(event));
	ck_assert_int_eq(weir_event_wait(event, WEIR_TRY), 0);
	ck_assert_int_eq(weir_event_wait(event, weir_now() - 1), 0);
	weir_event_clear(event);
	ck_assert_int_eq(weir_event_wait(event, weir_after(5)), WEIR_ETIMEDOUT);
	weir_event_free(event);
	weir_event_free(NULL);
}

FIBER_TEST(event_set_wakes_all_also_when_it_is_cleared_immediately)
{
	struct waiting waits[10];
	struct weir_event *event = new_event();
	struct weir_group *group = new_group();
	for (int i = 0; i < 10; i++) {
		waits[i] = (struct waiting){.event = event};
		spawn(group, wait_for_it, &waits[i]);
	}
	settle();
	weir_event_set(event);
	weir_event_clear(event);
	finish(group);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(waits[i].answer, 0);
	weir_event_free(event);
}

FIBER_TEST(event_wait_has_a_deadline_and_can_be_cancelled)
{
	struct weir_event *event = new_event();
	struct weir_group *group = new_group(), *canceled = new_group();
	struct waiting timed = {event, weir_after(10), 0}, gone = {event, 0, 0}, stays = {event, 0, 0};
	spawn(group, wait_for_it, &timed);
	spawn(canceled, wait_for_it, &gone);
	spawn(group, wait_for_it, &stays);
	settle();
	weir_group_cancel(canceled);
	finish(canceled);
	weir_sleep(10);
	settle();
	ck_assert_int_eq(gone.answer, WEIR_ECANCELED);
	ck_assert_int_eq(timed.answer, WEIR_ETIMEDOUT);
	ck_assert_int_eq(stays.answer, UNANSWERED);
	weir_event_set(event);
	finish(group);
	ck_assert_int_eq(stays.answer, 0);
	weir_event_free(event);
}

FIBER_TEST(event_and_cancel_in_the_same_turn)
{
	struct weir_event *event = new_event();
	struct weir_group *set_first = new_group(), *canceled_first = new_group();
	struct waiting won = {event, 0, 0}, lost = {event, 0, 0};
	spawn(set_first, wait_for_it, &won);
	spawn(canceled_first, wait_for_it, &lost);
	settle();
	weir_group_cancel(canceled_first);
	weir_event_set(event);
	weir_group_cancel(set_first);
	finish(set_first);
	finish(canceled_first);
	ck_assert_int_eq(won.answer, 0);
	ck_assert_int_eq(lost.answer, WEIR_ECANCELED);
	weir_event_free(event);
}

static int free_awaited(void *arg)
{
	(void)arg;
	static struct waiting waiting;
	struct weir_group *group = new_group();
	waiting.event = new_event();
	spawn(group, wait_for_it, &waiting);
	settle();
	breaks(weir_event_free(waiting.event));
	return 0;
}

static void run_free_awaited(void)
{
	weir_run(NULL, free_awaited, NULL);
}

/* By way of a pointer the call passes no place. */
static int free_awaited_by_pointer(void *arg)
{
	(void)arg;
	static struct waiting waiting;
	static void (*volatile free_event)(struct weir_event * event) = weir_event_free;
	waiting.event = new_event();
	spawn(new_group(), wait_for_it, &waiting);
	settle();
	free_event(waiting.event);
	return 0;
}

static void run_free_awaited_by_pointer(void)
{
	weir_run(NULL, free_awaited_by_pointer, NULL);
}

TEST(event_freed_while_awaited_is_a_broken_contract)
{
	assert_breaks(run_free_awaited, "weir_event_free: a fiber waits on it");
	assert_aborts(run_free_awaited_by_pointer, ": weir_event_free: a fiber waits on it\n");
}

FIBER_TEST(event_may_be_freed_before_those_it_woke_have_run)
{
	for (int canceled = 0; canceled < 2; canceled++) {
		struct waiting waiting = {.event = new_event()};
		struct weir_group *group = new_group();
		spawn(group, wait_for_it, &waiting);
		settle();
		if (canceled)
			weir_group_cancel(group);
		else
			weir_event_set(waiting.event);
		weir_event_free(waiting.event);
		finish(group);
		ck_assert_int_eq(waiting.answer, canceled ? WEIR_ECANCELED : 0);
	}
}
