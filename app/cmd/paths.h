/* SPDX-License-Identifier: MIT */
/* Where the programs of weir lie. */
#ifndef CMD_PATHS_H
#define CMD_PATHS_H

/* The path of a helper program that lies beside the running one ("weir-jq"); malloc'ed, NULL if it is not there or
 * cannot be run. */
char *cmd_helper_path(const char *name);

/* The path of the running program; malloc'ed or NULL. */
char *cmd_exe_path(void);

#endif
