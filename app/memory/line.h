/* SPDX-License-Identifier: MIT */
/*
 * The items of a broker that are in memory, and who is next:
 *
 *     ready      deferred  came back without having used up an attempt: by the place that they had
 *                again     due for another attempt: by the place that they had
 *                fresh     as they came, or by class
 *     waiting    until they are due; a fiber, the mover, makes them ready then
 *     leased     only counted: the items are with the workers
 *
 * By class all that are ready share one order, that of the classes and of when an item came first; else what came back
 * goes before what is fresh.  While there is no room for retries (options.fresh_first) those that are due go last.
 * While options.only names an item, none but that is handed out.
 *
 * Nothing but broker_line_take() suspends, and no memory is needed to add an item or to take it back.  All calls belong
 * on fibers of one loop.
 */
#ifndef BROKER_LINE_H
#define BROKER_LINE_H

#include "port/broker.h"

#include <weir/event.h>
#include <weir/group.h>

struct broker_line {
	struct broker_options opts;
	struct weir_heap deferred, again, ranked; /* by key_of() */
	STAILQ_HEAD(fresh_items, item) fresh;     /* without classes */
	size_t n, leased;                         /* ready; with the workers */
	struct weir_heap waiting;                 /* by when they are due */
	bool closed;
	weir_nsec last_place;
	struct weir_event *changed; /* an item is ready, it was closed, or opts.only has changed */
	struct weir_event *earlier; /* another one is the first that is due */
	struct weir_group *mover;
};

/* For so many items.  WEIR_ENOMEM. */
int broker_line_open(struct broker_line *line, const struct broker_options *opts, size_t most);
/* Frees the items, too.  One that is all zero is fine. */
void broker_line_free(struct broker_line *line);

/* An item has come: it gets its class and its place, which it keeps when it comes back; ready, or waiting if it has a
 * due time.  `waiting`, `behind` and `place` of it are the line's from now on. */
void broker_line_add(struct broker_line *line, struct item *item);

/* The next ones, max at most and 1 at least: their number.  Suspends while there is none; then WEIR_ECLOSED if it was
 * closed, WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED. */
int broker_line_take(struct broker_line *line, struct item **ret_items, size_t max, weir_nsec deadline);

/* One that was taken comes back, and waits so long. */
void broker_line_give_back(struct broker_line *line, struct item *item, weir_nsec wait);

/* So many that were taken do not come back. */
static inline void broker_line_forget(struct broker_line *line, size_t n)
{
	line->leased -= n;
}

/* All that it has, those that were taken too. */
static inline size_t broker_line_items(const struct broker_line *line)
{
	return line->n + line->leased + line->waiting.n;
}

/* Who takes looks again, since opts.only may answer otherwise now. */
static inline void broker_line_look(struct broker_line *line)
{
	weir_event_set(line->changed);
}

/* Nothing more will become ready. */
void broker_line_close(struct broker_line *line);

#endif
