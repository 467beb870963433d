/* SPDX-License-Identifier: MIT */
/* Select, case by case; test_queue_model.c has selects among its crowd. */
#include "unit/queues.h"

#include <weir/select.h>

enum { CASES = 4 };

struct selector {
	struct weir_select_case cases[CASES];
	uint64_t item;
	weir_nsec deadline; /* 0: none */
	int won;
};

static int select_fiber(void *arg)
{
	struct selector *self = arg;
	for (int i = 0; i < CASES; i++)
		self->cases[i].item = self->cases[i].get || self->cases[i].put ? &self->item : NULL;
	self->won = UNANSWERED;
	self->won = weir_select(self->cases, CASES, self->deadline ? self->deadline : WEIR_FOREVER);
	return 0;
}

static void line_up_selector(struct weir_group *group, struct selector *selector)
{
	spawn(group, select_fiber, selector);
	settle();
	ck_assert_int_eq(selector->won, UNANSWERED);
}

static struct weir_event *new_event(void)
{
	struct weir_event *event;
	ck_assert_int_eq(weir_event_new(&event), 0);
	return event;
}

FIBER_TEST(select_takes_the_first_that_is_ready)
{
	struct weir_queue *empty = new_queue(1), *one = new_queue(1), *two = new_queue(1);
	struct weir_event *event = new_event();
	uint64_t item = 9;
	struct weir_select_case cases[] = {{.event = event},
					   {.get = empty, .item = &item},
					   {.get = one, .item = &item},
					   {.get = two, .item = &item}};
	ck_assert_int_eq(weir_select(cases, 4, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_select(cases, 4, weir_now() + 5), WEIR_ETIMEDOUT);
	put(one, 1);
	put(two, 2);
	ck_assert_int_eq(weir_select(cases, 4, WEIR_TRY), 2);
	ck_assert_int_eq(cases[2].code, 0);
	ck_assert_uint_eq(item, 1);
	ck_assert_int_eq(weir_select(cases, 4, WEIR_TRY), 3);
	weir_event_set(event);
	put(one, 3);
	ck_assert_int_eq(weir_select(cases, 4, WEIR_TRY), 0);
	ck_assert_uint_eq(weir_queue_size(one), 1); /* the others did not happen */
	weir_event_free(event);
	weir_queue_free(empty);
	weir_queue_free(one);
	weir_queue_free(two);
}

FIBER_TEST(select_that_waits_wins_exactly_once)
{
	struct weir_queue *in = new_queue(1), *out = new_queue(1);
	struct weir_event *event = new_event();
	for (int winner = 0; winner < 3; winner++) {
		struct weir_group *group = new_group();
		struct selector selector = {{{.get = in}, {.put = out}, {.event = event}}, .item = 5};
		put(out, 1);
		line_up_selector(group, &selector);
		if (winner == 0)
			put(in, 77);
		else if (winner == 1)
			ck_assert_uint_eq(get(out), 1);
		else
			weir_event_set(event);
		weir_group_cancel(group); /* too late: it has won */
		weir_event_set(event);    /* all the others now come true, in vain */
		if (winner != 0)
			put(in, 88);
		if (winner != 1)
			ck_assert_uint_eq(get(out), 1);
		finish(group);
		ck_assert_int_eq(selector.won, winner);
		ck_assert_int_eq(selector.cases[winner].code, 0);
		ck_assert_uint_eq(selector.item, winner == 0 ? 77 : 5);
		ck_assert_uint_eq(weir_queue_size(in), winner == 0 ? 0 : 1);
		ck_assert_uint_eq(weir_queue_size(out), winner == 1 ? 1 : 0);
		uint64_t left;
		weir_queue_get(in, &left, WEIR_TRY);
		weir_queue_get(out, &left, WEIR_TRY);
		weir_event_clear(event);
	}
	weir_event_free(event);
	weir_queue_free(in);
	weir_queue_free(out);
}

FIBER_TEST(select_stands_in_line_like_everyone)
{
	struct weir_queue *queue = new_queue(1), *other = new_queue(1);
	struct weir_group *group = new_group();
	struct call first = {.queue = queue}, last = {.queue = queue};
	struct selector selector = {{{.get = other}, {.get = queue}}};
	line_up(group, get_fiber, &first);
	line_up_selector(group, &selector);
	line_up(group, get_fiber, &last);
	for (uint64_t i = 1; i <= 3; i++)
		put(queue, i);
	finish(group);
	ck_assert_uint_eq(first.item, 1);
	ck_assert_int_eq(selector.won, 1);
	ck_assert_uint_eq(selector.item, 2);
	ck_assert_uint_eq(last.item, 3);
	weir_queue_free(queue);
	weir_queue_free(other);
}

FIBER_TEST(select_cancelled_or_timed_out_leaves_no_trace)
{
	struct weir_queue *in = new_queue(1), *out = new_queue(1);
	struct weir_event *event = new_event();
	put(out, 1);
	for (int timed_out = 0; timed_out < 2; timed_out++) {
		struct weir_group *group = new_group(), *others = new_group();
		struct call getter = {.queue = in}, putter = {.queue = out, .item = 2};
		struct selector selector = {{{.get = in}, {.put = out}, {.event = event}},
					    .item = 5,
					    .deadline = timed_out ? weir_now() + 10 : 0};
		line_up_selector(group, &selector);
		line_up(others, get_fiber, &getter);
		line_up(others, put_fiber, &putter);
		if (timed_out)
			weir_sleep(20);
		else
			weir_group_cancel(group);
		put(in, 3);
		ck_assert_uint_eq(get(out), timed_out ? 2 : 1);
		weir_event_set(event);
		finish(group);
		finish(others);
		ck_assert_int_eq(selector.won, timed_out ? WEIR_ETIMEDOUT : WEIR_ECANCELED);
		ck_assert_uint_eq(selector.item, 5);
		ck_assert_uint_eq(getter.item, 3);
		ck_assert_int_eq(putter.answer, 0);
		weir_event_clear(event);
	}
	weir_event_free(event);
	weir_queue_free(in); /* would abort if somebody stood in line */
	weir_queue_free(out);
}

FIBER_TEST(select_is_told_of_a_close)
{
	struct weir_queue *in = new_queue(1), *out = new_queue(1);
	struct weir_group *group = new_group();
	struct selector getter = {{{.get = in}}}, putter = {{{.get = in}, {.put = out}}};
	put(out, 1);
	line_up_selector(group, &getter);
	line_up_selector(group, &putter);
	weir_queue_close(out, 0);
	settle();
	ck_assert_int_eq(putter.won, 1);
	ck_assert_int_eq(putter.cases[1].code, WEIR_ECLOSED);
	weir_queue_close(in, 0);
	finish(group);
	ck_assert_int_eq(getter.won, 0);
	ck_assert_int_eq(getter.cases[0].code, WEIR_ECLOSED);
	ck_assert_int_eq(weir_select(putter.cases, 2, WEIR_TRY), 0);
	weir_queue_free(in);
	weir_queue_free(out);
}

FIBER_TEST(select_of_nothing_waits_for_its_deadline)
{
	struct weir_select_case cases[WEIR_SELECT_MOST + 1] = {{.code = 7}};
	weir_nsec start = weir_now();
	ck_assert_int_eq(weir_select(NULL, 0, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_select(cases, WEIR_SELECT_MOST, start + 10), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_select(NULL, 0, start + 20), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now() - start, 20);
	ck_assert_int_eq(cases[0].code, 7);
	ck_assert_int_eq(weir_select(cases, WEIR_SELECT_MOST + 1, WEIR_FOREVER), WEIR_EINVAL);
	struct weir_queue *queue = new_queue_with((struct weir_queue_options){.capacity = 1, .order = WEIR_PRIORITY});
	cases[0] = (struct weir_select_case){.get = queue, .put = queue};
	ck_assert_int_eq(weir_select(cases, 1, WEIR_FOREVER), WEIR_EINVAL);
	cases[0] = (struct weir_select_case){.put = queue, .rank = -1};
	ck_assert_int_eq(weir_select(cases, 1, WEIR_FOREVER), WEIR_EINVAL);
	weir_queue_free(queue);
}
