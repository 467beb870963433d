/* SPDX-License-Identifier: MIT */
/* The starter files of `weir init`; templates/embed.sh makes the table of them. */
#ifndef CMD_INIT_H
#define CMD_INIT_H

struct cmd_template {
	const char *name, *about, *text;
};

extern const struct cmd_template cmd_templates[]; /* ends with one that has no name */

/* Prints them, a line each. */
int init_list(void);

#endif
