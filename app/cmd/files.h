/* SPDX-License-Identifier: MIT */
/* The files of a run, those of the plan and those around it, compared before any of them is opened for writing. */
#ifndef CMD_FILES_H
#define CMD_FILES_H

#include "spec/plan.h"

#include <stdio.h>

/* WEIR_EINVAL when one file would stand for two things, with err's place in the pipeline file.  state: the folder, made
 * or not; NULL: none.  summary: a path; NULL or "-": none. */
int cmd_files_check(const struct plan *plan, const char *state, const char *summary, struct weir_error *err);

/* The same for a file that a verb writes beside a state: it must be no part of that. */
int cmd_output_check(const char *output, const char *state, struct weir_error *err);

/* Where a verb writes what it exports: the file, or for NULL the standard output; NULL with err. */
FILE *cmd_output_open(const char *path, struct weir_error *err);

/* Ends that: `code`, or the failure of the last write.  Who reads the standard output may go when he has seen enough.
 */
int cmd_output_close(FILE *output, int code, struct weir_error *err);

/* Reads a pipeline file and checks it with all files that its run would have: 0, or the exit code when something is
 * wrong, which is said.  no_source: it need not be on this machine.  *ret_state, malloc'ed, is the state folder:
 * `state`, or .weir/NAME beside the file. */
int cmd_load(const char *file, const char *state, const char *summary, bool no_source, struct plan **ret_plan,
	     char **ret_state);

/* Prints the plan's warnings on the standard error. */
void cmd_warn(const struct plan *plan);

#endif
