/* SPDX-License-Identifier: MIT */
/* Running a plan as a user sees it: state folder, signals, control socket, progress, summary, exit code. */
#ifndef CMD_SESSION_H
#define CMD_SESSION_H

#include "engine/engine.h"

struct session_options {
	const char *state;     /* the state folder; NULL: none, and no control socket */
	const char *summary;   /* where the totals go as JSON; "-": stdout; NULL: nowhere */
	enum engine_wish wish; /* what to do about an earlier run of the pipeline */
	bool quiet;            /* no progress and no closing words */
	bool record;           /* `weir get` */
	bool allow_private;
};

/* Runs the plan to its end and returns the exit code.  Says on stderr what went wrong. */
int session_run(const struct plan *plan, const struct session_options *opts);

#endif
