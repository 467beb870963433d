/* SPDX-License-Identifier: MIT */
/* Shows on stderr where a run stands: a line that is drawn again and again on a terminal, a JSON object a line
 * otherwise. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include "cmd/report.h"

struct progress {
	struct report *report;
	bool terminal;
	bool drawn; /* the terminal's line holds something */
};

void progress_init(struct progress *progress, struct report *report);

/* Body of a fiber: shows progress until it is cancelled. */
int progress_run(void *progress);

/* A remark in the middle of a run, in the form of the rest. */
void progress_note(struct progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The last word. */
void progress_end(struct progress *progress);

#endif
