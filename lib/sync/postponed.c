/* SPDX-License-Identifier: MIT */
/*
 * Jobs that were postponed and are not due yet: only when, in a binary heap, to know how many there are.  They cost
 * nothing here, but while an upstream is down each job that is read is postponed at once; without a bound a whole store
 * of jobs would be read and put back, over and over.
 */
#include "sync/process.h"

#include <stdlib.h>

enum { ROOM_FIRST = 64, TIMES_AT_ONCE = 64 };

/* Without memory for it this one is not counted.  From the one on that is too many the reader waits, and the dispatcher
 * has to know when there will be fewer: it may rest for ever otherwise. */
void weir__postponed_add(struct run *run, weir_nsec due)
{
	struct postponed *postponed = &run->postponed;
	if (postponed->n == postponed->room) {
		size_t room = postponed->room ? postponed->room * 2 : ROOM_FIRST;
		weir_nsec *larger = realloc(postponed->due, room * sizeof *larger);
		if (!larger)
			return;
		postponed->due = larger;
		postponed->room = room;
	}
	size_t at = postponed->n++;
	for (; at && postponed->due[(at - 1) / 2] > due; at = (at - 1) / 2)
		postponed->due[at] = postponed->due[(at - 1) / 2];
	postponed->due[at] = due;
	if (weir__postponed_too_many(run) && (at == 0 || postponed->n == TIMES_AT_ONCE * run->at_once + 1))
		weir__run_wake(run);
}

static void remove_first(struct postponed *postponed)
{
	weir_nsec *due = postponed->due, last = due[--postponed->n];
	size_t at = 0, child;
	while ((child = 2 * at + 1) < postponed->n) {
		child += child + 1 < postponed->n && due[child + 1] < due[child];
		if (due[child] >= last)
			break;
		due[at] = due[child];
		at = child;
	}
	due[at] = last;
}

void weir__postponed_due(struct run *run)
{
	struct postponed *postponed = &run->postponed;
	while (postponed->n && postponed->due[0] <= weir_now())
		remove_first(postponed);
}

bool weir__postponed_too_many(const struct run *run)
{
	return run->postponed.n > TIMES_AT_ONCE * run->at_once;
}

weir_nsec weir__postponed_next(const struct run *run)
{
	return weir__postponed_too_many(run) ? run->postponed.due[0] : WEIR_FOREVER;
}
