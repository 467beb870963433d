/* SPDX-License-Identifier: MIT */
/*
 * What is noted of an item of a trial, as JSON:
 *
 *     {"item": …, "position": 1,
 *      "steps": [{"step": 1, "kind": "http", "request": {…}, "response": {…}, "attempts": 1,
 *                 "verdict": "ok", "why": null, "outputs": […], "ms": 12.3}, …],
 *      "rows": […], "result": "ok", "why": null, "ms": 14.0}
 *
 * A verdict is ok, dropped, followed (what comes next is of the same value), retry, refused, pause or dead
 * (port/step.h); a result ok, dropped or failed.  Secrets are hidden.
 */
#ifndef CMD_TRIAL_NOTE_H
#define CMD_TRIAL_NOTE_H

#include "port/step.h"

struct trial_note {
	struct buf json; /* what was noted last: of `item` and `position`, of a step, or all of it at the item's end;
			  * `failed`: out of memory */
	struct buf item, steps, rows;
	weir_nsec begun;
};

/* A step was run with a value. */
struct trial_run {
	size_t step; /* from 1 */
	const char *kind;
	const struct step_call *call;
	size_t before; /* outputs that were there */
	enum step_verdict verdict;
	const struct buf *evidence;
	weir_nsec took;
};

void trial_note_begin(struct trial_note *note, const struct item *item); /* forgets the one before */
void trial_note_step(struct trial_note *note, const struct trial_run *run);
void trial_note_row(struct trial_note *note, const char *row, size_t n); /* JSON */
void trial_note_no_rows(struct trial_note *note);
void trial_note_end(struct trial_note *note, const char *result, const char *why);
void trial_note_fini(struct trial_note *note);

#endif
