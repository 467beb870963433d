/* SPDX-License-Identifier: MIT */
/*
 * The state folder of a run, `.weir/NAME/`: held by one weir at a time.
 *
 *     lock    flock'ed while the run lives; says the holder's pid
 *     ctl     the control socket (admin/control.h)
 *     state.db, state.db-wal    the store (store.h)
 *     learnt.json               what was learnt of the upstreams (engine/learnt.c)
 *     dead.jsonl                dead letters of a broker that keeps none, unless the pipeline sends them elsewhere
 */
#ifndef STORE_FOLDER_H
#define STORE_FOLDER_H

#include <weir/base.h>

struct folder {
	char *path;
	int fd;      /* of the folder itself: names in it stay short, however deep it lies */
	int lock_fd; /* holds the lock; the kernel lets go of it when the process ends, however it ends */
};

/* Makes the folder (0700, with its parents) and locks it.  WEIR_EBUSY with the holder's pid in err->text when another
 * weir has it. */
int folder_open(const char *path, struct folder *ret_folder, struct weir_error *err);

/* The same, of a folder that is there; -ENOENT when it is not, or is none that weir made. */
int folder_open_existing(const char *path, struct folder *ret_folder, struct weir_error *err);

/* Removes all that weir puts into it, and the folder itself if nothing else is in it.  It stays open. */
int folder_remove(struct folder *folder, struct weir_error *err);

void folder_close(struct folder *folder);

/* The path of a file in it, malloc'ed; NULL: out of memory. */
char *folder_file(const struct folder *folder, const char *name);

#endif
