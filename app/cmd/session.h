/* SPDX-License-Identifier: MIT */
/* Running a plan as a user sees it: state folder, signals, control socket, progress, summary, exit code. */
#ifndef CMD_SESSION_H
#define CMD_SESSION_H

#include "cmd/progress.h"
#include "engine/engine.h"

struct session_options {
	const char *state;   /* the state folder; NULL: none, and no control socket */
	const char *summary; /* where the totals go as JSON; "-": stdout; NULL: nowhere */
	const char *fresh;   /* start over; "discard": whatever that loses; NULL: resume an earlier run */
	bool adopt;          /* resume although the pipeline has changed */
	unsigned roles;      /* enum engine_role; 0: all of them */
	bool detach;         /* ENGINE_SUBMIT: does not wait for the end */
	bool stay;           /* ENGINE_WORK: when the run is done, waits for the next */
	enum progress_form progress;
	bool quiet;  /* as PROGRESS_NONE */
	bool record; /* `weir get` */
	bool allow_private;
};

/* What steps are given: the environment's proxies and certificates; exe_path is borrowed. */
void session_env(const char *exe_path, struct step_env *ret_env);

/* Runs the plan to its end and returns the exit code.  Says on stderr what went wrong. */
int session_run(const struct plan *plan, const struct session_options *opts);

#endif
