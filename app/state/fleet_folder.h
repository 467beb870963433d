/* SPDX-License-Identifier: MIT */
/*
 * The state folder of a process that works on a run with others: `.weir/NAME/PID/`, so that each has its own without
 * being told.  It has the lock and the control socket; what is worth keeping is the broker's.  It goes with its
 * process; one that was left by a process that is gone is removed by the next that starts.
 *
 * `.weir/NAME/history` is there for all of them, and stays (observe/history.h).
 */
#ifndef STATE_FLEET_FOLDER_H
#define STATE_FLEET_FOLDER_H

#include "state/folder.h"

/* parent: `.weir/NAME`.  As folder_open() with FOLDER_RUN. */
int fleet_folder_open(const char *parent, struct folder *ret_folder, struct weir_error *err);

/* Removes it, and the parent when nothing else is in it. */
void fleet_folder_close(struct folder *folder);

/* The path of a file beside the folders, malloc'ed; NULL: out of memory. */
char *fleet_folder_file(const char *parent, const char *name);

/* Removes what stays, and the parent unless a process is there. */
void fleet_folder_forget(const char *parent);

#endif
