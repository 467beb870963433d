/* SPDX-License-Identifier: MIT */
/* Shows on the standard error where a run stands: a block that is drawn in place on a terminal, else a line now and
 * then, or a JSON object a second for programs. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include "cmd/block.h"

enum progress_form { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE };

/* The value of --progress.  WEIR_EINVAL with err->text. */
int progress_form_read(const char *word, enum progress_form *ret_form, struct weir_error *err);
#define PROGRESS_HELP                                                                                                  \
	"bar, plain (a line every 30 s), json (an object a second) or none (default auto: bar on a terminal that can " \
	"show it, else plain)"

struct progress {
	struct report *report;
	enum progress_form form; /* never auto */
	struct terminal terminal;
	struct block block; /* what the terminal shows of it; no lines: nothing */
	weir_nsec shown_at;
};

/* is_shared: others write to the terminal, too; then auto draws nothing.  Where nothing can be drawn bar is plain. */
void progress_init(struct progress *progress, struct report *report, enum progress_form form, bool is_shared);

/* Body of a fiber: looks at the run until it is cancelled, and shows what it sees. */
int progress_run(void *progress);

/* A remark in the middle of a run, in the form of the rest. */
void progress_note(struct progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How it ended. */
void progress_end(struct progress *progress, int exit_code);

#endif
