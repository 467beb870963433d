/* SPDX-License-Identifier: MIT */
/*
 * Select: a waiter in the list of each case, and one in no list for the deadline and a cancel.
 *
 *     anchor -> case 0 -> case 1 -> … -> anchor          linked by `peer`
 *
 * To the queue or event each is a waiter like any other.  Whichever is woken first takes all its peers out of their
 * lists in the same moment, so a second one cannot be; the one whose code has changed is the winner.
 *
 * To add another kind of thing: a member in the case, what it does at once (try_case) and where it waits (list_of).
 */
#include "sync/event.h"
#include "sync/queue.h"

#include <weir/select.h>

enum { NOT_WOKEN = 1 };

static bool is_valid(const struct weir_select_case *cases, size_t n)
{
	if (n > WEIR_SELECT_MOST)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct weir_select_case *c = &cases[i];
		if (!!c->get + !!c->put + !!c->event > 1 || (c->put && c->put->order == WEIR_PRIORITY && c->rank < 0))
			return false;
	}
	return true;
}

/* WEIR_EAGAIN: it would have to wait. */
static int try_case(const struct weir_select_case *c)
{
	if (c->get)
		return weir__queue_try_get(c->get, c->item);
	if (c->put)
		return weir__queue_try_put(c->put, c->item, c->rank);
	return c->event && weir_event_is_set(c->event) ? 0 : WEIR_EAGAIN;
}

static struct weir__waitlist *list_of(const struct weir_select_case *c)
{
	if (c->get)
		return &c->get->getters;
	if (c->put)
		return &c->put->putters;
	return c->event ? weir__event_waiters(c->event) : NULL;
}

static struct weir_queue *queue_of(const struct weir_select_case *c)
{
	return c->get ? c->get : c->put;
}

/* NULL: waits for this case are not counted. */
static struct weir__queue_waits *waits_of(const struct weir_select_case *c)
{
	struct weir_queue *queue = queue_of(c);
	if (!queue || !queue->get_waits.times)
		return NULL;
	return c->get ? &queue->get_waits : &queue->put_waits;
}

static void count_waits(const struct weir_select_case *cases, size_t n, struct weir__queue_waits *const *waits,
			weir_nsec since)
{
	for (size_t i = 0; i < n; i++)
		if (waits[i])
			weir__queue_wait_ended(queue_of(&cases[i]), waits[i], since);
}

static int wait_for_any(struct weir_select_case *cases, size_t n, weir_nsec deadline)
{
	struct weir__queue_waiter waiters[WEIR_SELECT_MOST];
	struct weir__queue_waits *waits[WEIR_SELECT_MOST];
	struct weir__waiter anchor = {.what = "select", .code = NOT_WOKEN, .peer = &anchor};
	struct weir__waiter *last = &anchor;
	for (size_t i = 0; i < n; i++) {
		waiters[i] = (struct weir__queue_waiter){
			.waiter = {.list = list_of(&cases[i]), .code = NOT_WOKEN, .peer = &anchor},
			.item = cases[i].item,
			.rank = cases[i].rank,
		};
		waits[i] = waits_of(&cases[i]);
		if (waits[i])
			weir__queue_wait_begins(queue_of(&cases[i]));
		last = last->peer = &waiters[i].waiter;
	}
	int code = weir__wait(NULL, &anchor, deadline);
	count_waits(cases, n, waits, anchor.fiber ? anchor.since : WEIR_FOREVER);
	for (size_t i = 0; i < n; i++)
		if (waiters[i].waiter.code != NOT_WOKEN) {
			cases[i].code = waiters[i].waiter.code;
			return (int)i;
		}
	return code; /* it was the anchor */
}

int weir_select(struct weir_select_case *cases, size_t n, weir_nsec deadline)
{
	if (weir__check_cancel())
		return WEIR_ECANCELED;
	if (!is_valid(cases, n))
		return WEIR_EINVAL;
	for (size_t i = 0; i < n; i++) {
		int code = try_case(&cases[i]);
		if (code != WEIR_EAGAIN) {
			cases[i].code = code;
			return (int)i;
		}
	}
	return wait_for_any(cases, n, deadline);
}
