/* SPDX-License-Identifier: MIT */
/*
 * The state folder of a run, `.weir/NAME/`: held by one weir at a time.
 *
 *     lock    flock'ed while a weir works there; says the holder's pid, and " short" if it is no run
 *     ctl     the control socket (state/control.h)
 *     state.db, state.db-wal    the store (store.h)
 *     upstreams.json            what is known of the upstreams, and what flow.rate has let through (engine/upstreams.c)
 *     summary.json              the totals of the last run that ended in order (figures.h)
 *     history                   what the runs have done, each second, minute and hour (observe/history.h)
 *     dead.jsonl                dead letters of a broker that keeps none, unless the pipeline sends them elsewhere
 */
#ifndef STORE_FOLDER_H
#define STORE_FOLDER_H

#include <stdbool.h>
#include <weir/base.h>

struct folder {
	char *path;
	int fd;        /* of the folder itself: names in it stay short, however deep it lies */
	int lock_fd;   /* holds the lock; the kernel lets go of it when the process ends, however it ends */
	bool locked;   /* by this process, to write */
	bool readonly; /* it can be looked at, and not be written */
};

enum folder_use {
	FOLDER_RUN,    /* made if it is not there (0700, with its parents) */
	FOLDER_CHANGE, /* for a moment, of one that is there */
	FOLDER_LOOK,   /* the same; where it cannot be written others may look, too */
};

/* Opens the folder and locks it.  Waits up to a second for a weir that has it for a moment.  WEIR_EBUSY with the
 * holder's pid in err->text when another one has it; -ENOENT when it is not there, or is none that weir made; -EACCES
 * when other users may write to it. */
int folder_open(const char *path, enum folder_use use, struct folder *ret_folder, struct weir_error *err);

#define FOLDER_SUMMARY     "summary.json"
#define FOLDER_SUMMARY_NEW "summary.json.new" /* while it is written */
#define FOLDER_HISTORY     "history"

/* The names of all that weir puts into a state folder; NULL ends them. */
extern const char *const folder_names[];

/* Removes all that weir puts into it, and the folder itself if nothing else is in it.  It stays open. */
int folder_remove(struct folder *folder, struct weir_error *err);

void folder_close(struct folder *folder);

/* Who held the folder last, by its lock; whether it still does, the lock tells, not this. */
struct folder_holder {
	long pid;       /* 0: nobody */
	bool suspended; /* the process of that pid is stopped, by Ctrl-Z or SIGSTOP */
};
void folder_holder(int folder_fd, struct folder_holder *ret_holder);

/* The path of a file in it, malloc'ed; NULL: out of memory. */
char *folder_file(const struct folder *folder, const char *name);

#endif
