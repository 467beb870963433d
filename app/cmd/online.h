/* SPDX-License-Identifier: MIT */
/* `weir check --online`: what a run would find where it reads, calls and writes. */
#ifndef CMD_ONLINE_H
#define CMD_ONLINE_H

struct plan;

/* Prints a line for each thing; state: the state folder, there or not.  0; 78: something must be changed; 69: something
 * does not answer, is in use or has failed. */
int online_check(const struct plan *plan, const char *state);

#endif
