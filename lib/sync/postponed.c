/* SPDX-License-Identifier: MIT */
/*
 * Jobs that were postponed and are not due yet: only when, to know how many there are.  They cost little here, but
 * while an upstream is down each job that is read is postponed at once; without a bound a whole store of jobs would be
 * read and put back, over and over.
 */
#include "sync/process.h"

#include <stdlib.h>

/* Without memory for it this one is not counted. */
void weir__postponed_add(struct postponed *postponed, weir_nsec due)
{
	struct weir_heap_node *node = NULL;
	if (!weir_heap_reserve(&postponed->due, postponed->due.n + 1))
		node = malloc(sizeof *node);
	if (node)
		weir_heap_add(&postponed->due, due, node);
}

static void remove_until(struct postponed *postponed, weir_nsec due)
{
	while (postponed->due.n && weir_heap_top(&postponed->due).key <= due) {
		struct weir_heap_node *node = weir_heap_top(&postponed->due).node;
		weir_heap_remove(&postponed->due, node);
		free(node);
	}
}

void weir__postponed_due(struct postponed *postponed)
{
	if (postponed->due.n)
		remove_until(postponed, weir_now());
}

bool weir__postponed_too_many(const struct postponed *postponed)
{
	return postponed->due.n > postponed->most;
}

weir_nsec weir__postponed_next(const struct postponed *postponed)
{
	return weir__postponed_too_many(postponed) ? weir_heap_top(&postponed->due).key : WEIR_FOREVER;
}

void weir__postponed_fini(struct postponed *postponed)
{
	remove_until(postponed, INT64_MAX);
	weir_heap_fini(&postponed->due);
}
