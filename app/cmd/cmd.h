/* SPDX-License-Identifier: MIT */
/* The verbs of the command, one file each.  argv[0] is the verb; the answer is the exit code. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

int cmd_check(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_mock(int argc, char **argv);

#endif
