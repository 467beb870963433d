/* SPDX-License-Identifier: MIT */
/* Where the programs of weir lie. */
#ifndef CMD_PATHS_H
#define CMD_PATHS_H

/* The path of a helper program beside the running one ("weir-jq"), whether it is there or not: who starts it says so.
 * malloc'ed or NULL. */
char *cmd_helper_path(const char *name);

/* The path of the running program; malloc'ed or NULL. */
char *cmd_exe_path(void);

#endif
