/* SPDX-License-Identifier: MIT */
/*
 * What a run answers on its control socket.  A request is a word, and what it is about:
 *
 *     status              lines for people, and the figures as JSON
 *     set rate=5/s …      changes the limits (changes.h); a line for people, and the figures
 *     letters …           see letters.h
 *
 * The last line of an answer is a JSON object; {"error": "…"} alone says that nothing was done.
 */
#ifndef CMD_REQUESTS_H
#define CMD_REQUESTS_H

#include "cmd/progress.h"

struct requests {
	const struct plan *plan;
	struct engine *engine;
	struct report *report;
	struct progress *progress; /* that says what was changed */
	const char *dead_letters;  /* the file that they are in where the broker keeps none */
};

/* A control_answer (state/control.h); requests: a const struct requests *. */
void requests_answer(void *requests, const char *request, struct buf *out, weir_nsec deadline);

#endif
