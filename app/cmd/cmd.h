/* SPDX-License-Identifier: MIT */
/* The verbs of the command, one file each.  argv[0] is the verb; the answer is the exit code. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <weir/base.h>

int cmd_check(int argc, char **argv);
int cmd_dead(int argc, char **argv);
int cmd_get(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_mock(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_state(int argc, char **argv);
int cmd_status(int argc, char **argv);

/* The exit code for a failure of what belongs to a run: its folder, its store, its letters. */
int cmd_exit_of(int code);

/* One line on stderr: FILE:LINE:COLUMN: what is wrong. */
void cmd_print_error(const struct weir_error *err);

#endif
