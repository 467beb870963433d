/* SPDX-License-Identifier: MIT */
/*
 * A plan with other ends, to see what it does to a few items: it is run like any other, but stores nothing.
 *
 *     source        gives the first items, or one that was given, each when the one before has reached its end
 *     steps         the plan's own, with one attempt each; what they do is noted
 *     sink          notes the rows that the plan's sink would write, and writes none
 *     dead letters  the same for items that fail
 *
 * After a call that its upstream refuses the source ends: it said to come back later.
 */
#ifndef CMD_TRIAL_H
#define CMD_TRIAL_H

#include "spec/plan.h"

struct trial;

enum trial_event { TRIAL_ITEM, TRIAL_STEP, TRIAL_END };

struct trial_options {
	const struct plan *plan; /* borrowed for the life of the trial */
	uint64_t items;          /* most of the source */
	const char *item;        /* JSON, one line: this one instead; NULL */

	/* What is noted (trial_note.h): an item when it is taken, a step that was run with a value, and all of an item
	 * that has reached its end. */
	void (*noted)(void *arg, enum trial_event event, const struct buf *json);
	void *arg;
};

int trial_new(const struct trial_options *opts, struct trial **ret_trial); /* WEIR_ENOMEM */
void trial_free(struct trial *trial);

/* To be run, of one that was not run before. */
const struct plan *trial_plan(const struct trial *trial);

/* Whether it ended because an upstream refused a call. */
bool trial_was_refused(const struct trial *trial);

#endif
