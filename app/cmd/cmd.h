/* SPDX-License-Identifier: MIT */
/* The verbs of the command, one file each.  argv[0] is the verb; the answer is the exit code. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <sys/resource.h>
#include <weir/base.h>

int cmd_bench(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_dead(int argc, char **argv);
int cmd_get(int argc, char **argv);
int cmd_history(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_mock(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_state(int argc, char **argv);
int cmd_submit(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_try(int argc, char **argv);
int cmd_work(int argc, char **argv);

/* Runs a verb in a program: what must be done once, before any thread, is done here.  Returns the exit code. */
int cmd_run_verb(int (*verb)(int argc, char **argv), int argc, char **argv);

/* `code`, or another when the last of what was printed found no room; a reader that has gone wanted no more. */
int cmd_end_output(int code);

/* Raises the limit of open descriptors as far as it goes, which is the answer. */
rlim_t cmd_raise_descriptors(void);

/* From here on SIGINT and SIGTERM come on the descriptor that is the answer; -1 with errno. */
int cmd_signals_open(void);

/* The exit code for a failure of what belongs to a run: its folder, its store, its letters. */
int cmd_exit_of(int code);

#endif
