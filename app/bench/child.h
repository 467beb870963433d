/* SPDX-License-Identifier: MIT */
/* Other programs, as children of this process: where they are, their start and their end. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A program in the PATH; of PostgreSQL, and the newest version where there are several.  malloc'ed; NULL: there is
 * none. */
char *bench_child_find(const char *name);
char *bench_child_find_postgres(const char *name);

/* All zero but the words: reads nothing, its errors go nowhere, and it is killed when this process ends. */
struct bench_child {
	const char *const *words; /* its path, its arguments, NULL */
	const char *const *sets;  /* what its environment has besides: name, value, ... NULL; may be NULL */
	const char *file;         /* what it says goes to the end of this one, which may be new */
	bool errors;              /* its standard error goes where its standard output goes */
	bool as_nobody;           /* if this is root: as the user "nobody", in the folder "/" */
	int end_signal;           /* instead of SIGKILL */
};

/* With its standard output in *ret_from, which may be NULL: then nowhere.  Its pid, or -1. */
pid_t bench_child_start(const struct bench_child *child, int *ret_from);
int bench_child_wait(pid_t pid); /* blocks; its status as waitpid() has it, -1 for a pid below 1 */

/* Blocks until it has ended; its status.  text: the first of its output, NUL-terminated, without the last newline. */
int bench_child_run(const struct bench_child *child, char *text, size_t room);

/* The memory of a process and of all below it: a page that n processes share counts as 1/n (PSS).  Bytes; 0: it is
 * gone. */
double bench_child_memory(pid_t pid);

/* A new temporary folder, which only this user may look into; false: there is no room for one.  for_nobody: a child
 * that runs as "nobody" shall get to it, so root does not make it in its own TMPDIR. */
bool bench_child_folder(bool for_nobody, char folder[static 64]);
void bench_child_remove(const char *folder); /* with all that is in it */

#endif
