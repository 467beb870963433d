/* SPDX-License-Identifier: MIT */
/* One child process at the other end of a socket pair; child.c makes a pool of them, child_run.c runs one to its end.
 */
#ifndef SYNC_SUBPROCESS_H
#define SYNC_SUBPROCESS_H

#include <sys/types.h>
#include <weir/child.h>
#include <weir/io.h>

struct weir__subprocess {
	pid_t pid; /* 0: none */
	int pidfd; /* -1: the system has none */
	int fd;    /* the parent's end, non-blocking; the child has the other one as descriptors 0 and 1 */
	struct weir_io *io;
};

/* How a child ended. */
struct weir__end {
	int exit_code; /* -1: it did not exit by itself */
	int signal;    /* that killed it, from elsewhere; 0: none.  Neither: it was killed here. */
};

/* Starts argv, envp, memory_bytes of the options.  complaints: a descriptor on which the child writes them; then it has
 * nothing to read.  -1: they are thrown away.  What posix_spawn() says, WEIR_EMFILE, WEIR_ENOMEM. */
int weir__subprocess_start(const struct weir_child_options *opts, int complaints, struct weir__subprocess *ret_process);

/* Closes the parent's end, gives the child `grace` to end by itself, kills it and what it has started, and reaps it.
 * Suspends, and is not to be cancelled: the caller has entered a shield.  *process is zeroed. */
struct weir__end weir__subprocess_end(struct weir__subprocess *process, weir_nsec grace);

/* A copy of a NULL-terminated list of strings; NULL if out of memory. */
const char *const *weir__strings_copy(const char *const *strings);
void weir__strings_free(const char *const *strings);

#endif
