/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the first of several things: a get or put of a queue, an event, a deadline.
 *
 *     uint64_t job;
 *     struct weir_select_case cases[] = {{.event = stop}, {.get = urgent, .item = &job}, {.get = jobs, .item = &job}};
 *     int won = weir_select(cases, 3, weir_after(5 * WEIR_SEC));
 *     if (won > 0 && cases[won].code == 0)
 *             ...                                        a job; else stopped, closed (code), or won < 0
 *
 * Exactly one case happens, the others leave no trace.  While it waits a select stands in line with all others that
 * wait for the same thing, and is served when its turn comes; its wait counts in the statistics of each queue.
 */
#ifndef WEIR_SELECT_H
#define WEIR_SELECT_H

#include <weir/event.h>
#include <weir/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { WEIR_SELECT_MOST = 16 };

/* One of get, put and event is set.  None: the case never happens, which is how one is switched off. */
struct weir_select_case {
	struct weir_queue *get;   /* as weir_queue_get(get, item) */
	struct weir_queue *put;   /* as weir_queue_put_at(put, item, rank) */
	struct weir_event *event; /* as weir_event_wait(event) */
	void *item;               /* where a get's goes; a put's is only read */
	int64_t rank;
	int code; /* of the case that happened: 0, or why the queue refused: WEIR_ECLOSED, WEIR_ENOMEM */
};

/* Suspends until one of n cases (WEIR_SELECT_MOST at most) can happen, and returns its index; if several
 * can, the first of the array.  The `code` of the others is not touched.
 * WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED: none happened.  WEIR_EINVAL: too many, two things in one case, or a
 * class that is negative. */
WEIR_API int weir_select(struct weir_select_case *cases, size_t n, weir_nsec deadline);

#ifdef __cplusplus
}
#endif
#endif
